"""The handling of one batch inside its transaction: place, advance, decide, record, tell.

Nothing here opens or commits the transaction; `router` does. What one event does wrong takes its
own rows back and harms no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hub import trail
from hub.casework import Casework, Taken
from hub.codec import Received
from hub.domain.decide import Circumstances, Decision, content_faults, decide
from hub.domain.signal import Fault, Refused, Signal
from hub.errors import HubError
from hub.placing import CONFIRMED, Place, fault, place
from hub.recall import Recaller
from hub.record import Means, Recorder
from hub.refusing import refuse
from hub.storage.database import BROKEN
from hub.telemetry import log

if TYPE_CHECKING:
    from hub.batch import Batch, Mark
    from hub.rulebook import Rulebook


class Outcome(NamedTuple):
    """What became of one received event."""

    status: str
    """`accepted`, `rejected` or `duplicate`."""
    id: str | None
    signal_id: bytes | None
    publisher: str = ""
    correlation: str | None = None
    """The name that the publisher itself chose for the keten."""
    keten: int | None = None
    faults: tuple[Fault, ...] = ()
    decisions: tuple[tuple[Decision, str], ...] = ()
    """Each decision with its outcome after the quota."""


class Work:
    """The handling of one batch inside its transaction."""

    def __init__(self, means: Means, book: Rulebook, batch: Batch, now: int) -> None:
        self.book = book
        self.batch = batch
        self.keys = means.keys
        self.now = now
        self.recorder = Recorder(means, book, batch, now)
        self.casework = Casework(self.recorder)
        self.recaller = Recaller(self.recorder)
        if trail.is_kept():
            batch.rows.decided = []

    def finish(self) -> None:
        """Tell the recipients whose queue grew, and write everything."""
        self.recorder.tell_waiting()
        self.batch.rows.saw(self.now)
        self.batch.flush()
        if self.batch.rows.decided:
            trail.decided(self.batch, self.batch.rows.decided)

    # --- one event ------------------------------------------------------------------------

    def handle(self, event: Received, admitted: Signal | Refused) -> Outcome:
        """Record one event. What one event does wrong never harms the others of its batch."""
        if isinstance(admitted, Refused):
            return self._refuse(event, admitted)
        try:
            return self._signal(event, admitted)
        except (HubError, *BROKEN):  # the transaction cannot go on; `Router.process` finds the event that broke it
            raise
        except Exception as exc:  # noqa: BLE001  (the one guard: a fault of the hub on one event harms no other)
            trace = self.keys.trace(admitted.signal_id)
            log.error("signal_failed", type=admitted.rules.contract.type, error=type(exc).__name__, trace=trace)
            return self._reject(event, admitted, (fault("interne-fout"),))

    def _signal(self, event: Received, signal: Signal) -> Outcome:
        content = _content(signal)
        stored = self.batch.prefetched(signal.signal_id)
        if stored is not None:
            if stored.fingerprint in self.keys.fingerprints(content):
                return Outcome("duplicate", signal.id, signal.signal_id, signal.publisher.id, signal.correlation, stored.keten)
            return self._reject(event, signal, (fault("id-hergebruikt", "id"),))
        found = place(self.batch, self.keys, signal)
        if isinstance(found, Fault):
            return self._reject(event, signal, (found,))
        self._settle(signal, found)
        mark, notices = self.batch.mark(), dict(self.recorder.waiting_notices)
        try:
            outcome = self._decided(signal, found, self.keys.fingerprint(content))
        except BaseException:
            self._undo(mark, notices)
            raise
        if isinstance(outcome, Outcome):
            return outcome
        self._undo(mark, notices)
        return self._reject(event, signal, outcome)

    def _settle(self, signal: Signal, found: Place) -> None:
        """Write what this batch holds of everything that the signal looks back at; after the mark that cannot be undone."""
        type_ = signal.rules.contract.type
        if signal.rules.looks_back or signal.rules.tells_starter or type_ in self.book.ruleset.releasing:
            self.batch.settle(found.keten)
        for earlier in (found.recalls, found.cause if type_ == CONFIRMED else None):
            if earlier is not None:
                self.batch.settle(earlier.keten)

    def _undo(self, mark: Mark, notices: dict[str, str]) -> None:
        self.batch.undo(mark)
        self.recorder.waiting_notices = notices

    def _decided(self, signal: Signal, found: Place, fingerprint: bytes) -> Outcome | tuple[Fault, ...]:
        """Take the signal through its case and the rules, and record it; or return every reason against it."""
        id_ = self.batch.rows.next("signals")
        keten = id_ if found.opens else found.keten
        taken = self._advance(signal, found, id_, keten)
        if isinstance(taken, Fault):
            by = Circumstances(self.now, self.recorder.today, self._opaque(keten))
            return taken, *content_faults(self.book.ruleset, signal, by)
        earlier = self.recaller.standing(found.recalls) if found.recalls else []
        by = self._circumstances(signal, found, keten, taken, self.recaller.holders(earlier))
        verdict = decide(self.book.ruleset, signal, by)
        for where in verdict.alarms:
            log.error("condition_failed", rule=where, type=signal.rules.contract.type, trace=self.keys.trace(signal.signal_id))
        if verdict.faults:
            return verdict.faults
        instead = self.recaller.instead(earlier, verdict.decisions) if earlier else {}
        self.recorder.places_taken.clear()
        stored, outcomes = self.recorder.record(signal, found, id_, verdict.decisions, fingerprint, instead)
        decisions = tuple(zip(verdict.decisions, outcomes, strict=True))
        if taken is not None:
            self.casework.settle(taken, id_)
        if found.recalls is not None:
            self.recaller.carry_out(stored, found.recalls, earlier, instead)
        if stored.type == CONFIRMED and found.cause is not None:
            self.recaller.confirm(found.cause, signal.publisher.id)
        if keten is not None and stored.type in self.book.ruleset.releasing:
            self.recaller.release(signal, keten, by)
        return Outcome("accepted", signal.id, signal.signal_id, signal.publisher.id, signal.correlation, keten, decisions=decisions)

    def _advance(self, signal: Signal, found: Place, id_: int, keten: int | None) -> Taken | Fault | None:
        """Return the step of the case that a signal belongs to; advance comes before decide."""
        if found.withdraws is not None:
            return self.casework.withdraw(found.withdraws)
        if found.replaces is not None:
            return self.casework.correct(signal, found.replaces, id_, keten)
        if signal.rules.contract.type == CONFIRMED:
            return self.recaller.confirmable(found, signal.publisher.id)
        return self.casework.arrive(signal, found, id_, keten)

    def _circumstances(
        self, signal: Signal, found: Place, keten: int | None, taken: Taken | None, holders: tuple[str, ...]
    ) -> Circumstances:
        received: frozenset[tuple[str, str]] = frozenset()
        published: frozenset[tuple[str, str]] = frozenset()
        if signal.rules.looks_back and found.keten is not None:
            received, published = self.batch.heard(found.keten)
        return Circumstances(
            self.now, self.recorder.today, self._opaque(keten), self.recaller.concerned(found.cause),
            self._starter(signal, found),
            taken.case if taken else None, received, published, holders,
        )  # fmt: skip

    def _starter(self, signal: Signal, found: Place) -> str | None:
        """Return who opened the keten; nobody once that signal was withdrawn: then it is no longer theirs."""
        if not signal.rules.tells_starter or found.keten is None:
            return signal.publisher.id
        return None if self.batch.is_withdrawn(found.keten) else self.batch.by_id(found.keten).publisher

    def _opaque(self, keten: int | None) -> str:
        """Return what conditions see of a keten: equal within it, and nothing else to learn from."""
        return "" if keten is None else self.keys.fingerprint(b"keten %d" % keten).hex()

    # --- refusing -------------------------------------------------------------------------

    def _reject(self, event: Received, signal: Signal, faults: tuple[Fault, ...]) -> Outcome:
        return self._refuse(event, Refused(faults, signal.id, signal.signal_id, signal.rules.contract.type, signal.publisher))

    def _refuse(self, event: Received, refused: Refused) -> Outcome:
        refuse(self.recorder, event, refused)
        return Outcome("rejected", refused.id or None, refused.signal_id, faults=refused.faults)


def _content(signal: Signal) -> bytes:
    """Return what must be equal for two signals with one id to be the same signal. Time is not in it.

    The id is: else two questions without a person would have a fingerprint in common.
    """
    links = "\0".join((signal.rules.contract.type, signal.correlation or "", signal.cause or "", signal.replaces or ""))
    return signal.signal_id + links.encode() + b"\0" + signal.encoded
