"""The pipeline: receive, admit, decide, meter, project, record.

Everything that follows from a batch of received events commits in one transaction, or none of
it does. When `process` returns, the outcome of every event is durably recorded, and only then
may its offset be committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hub import admission, trail
from hub.batch import Batch
from hub.codec import Received, UnreadableError, read_avro
from hub.domain.reasons import text_of
from hub.domain.signal import Fault, Refused, Signal
from hub.errors import HubError
from hub.record import Means
from hub.storage.database import UNWRITABLE
from hub.storage.rows import Inserts
from hub.telemetry import log
from hub.work import Outcome, Work

if TYPE_CHECKING:
    from hub.domain.ruleset import TypeRules
    from hub.keys import Keys
    from hub.rulebook import Rulebook, Rulebooks
    from hub.storage.database import Database
    from hub.storage.names import Names


_FAILED: Final = Fault("interne-fout", None, text_of("interne-fout"))


class _UndoError(Exception):
    """Ends a dry run: the transaction is undone."""


def _undo_if(dry_run: bool) -> None:  # noqa: FBT001
    if dry_run:
        raise _UndoError


@dataclass(slots=True)
class Router:
    """Takes received events to recorded decisions. Safe to call from several threads."""

    database: Database
    rulebooks: Rulebooks
    keys: Keys
    names: Names
    now_ms: Callable[[], int]
    random_id: Callable[[], str]
    _inserts: Inserts = field(init=False)

    def __post_init__(self) -> None:
        self._inserts = Inserts(self.database.dialect)

    @property
    def means(self) -> Means:
        """What the handling of a batch needs."""
        return Means(self.keys, self.names, self.random_id, self.rulebooks.wire_schema)

    def process(self, received: Sequence[Received], *, dry_run: bool = False) -> list[Outcome]:
        """Handle a batch in order and record every outcome in one transaction.

        A dry run decides the same and records nothing. Raises RetryLaterError or StopError when
        nothing could be recorded; then nothing is half done. A batch of which the database refuses something is
        handled event by event, and what it refuses is kept as a refused signal; if that raises, the first events may
        be recorded: given again they are duplicates.
        """
        try:
            return self._recorded(received, self._admit, dry_run=dry_run)
        except UNWRITABLE:
            return [self._by_itself(event, dry_run=dry_run) for event in received]

    def _by_itself(self, event: Received, *, dry_run: bool) -> Outcome:
        try:
            return self._recorded([event], self._admit, dry_run=dry_run)[0]
        except UNWRITABLE as exc:
            return self._recorded([event], partial(self._unwritable, exc), dry_run=dry_run)[0]

    def _recorded(
        self, received: Sequence[Received], admit: Callable[[Received, Rulebook, int], Signal | Refused], *, dry_run: bool
    ) -> list[Outcome]:
        book = self.rulebooks.current
        now = self.now_ms()
        admitted = [admit(event, book, now) for event in received]
        if kept := trail.is_kept() and not dry_run:
            trail.received(self.keys, received, admitted)
        outcomes: list[Outcome] = []
        try:
            with self.database.write() as connection:
                # The moment counts from here: the wait for the lock may cross the edge of a month.
                now_in_force = self.rulebooks.sync(connection)
                if now_in_force is not book:  # another process changed the rules while this one waited
                    book = now_in_force
                    admitted = [admit(event, book, now) for event in received]
                work = Work(self.means, book, self.open_batch(connection), self.now_ms())
                work.batch.prefetch(a.signal_id for a in admitted if a.signal_id is not None)
                outcomes = [work.handle(event, item) for event, item in zip(received, admitted, strict=True)]
                if kept:
                    trail.recorded(connection, self.keys, received, admitted, [(one.status, one.faults) for one in outcomes])
                work.finish()
                _undo_if(dry_run)
        except _UndoError:
            # The keten that a dry run would open may be another's tomorrow: no handle of it goes out.
            return [outcome._replace(keten=None) for outcome in outcomes]
        return outcomes

    def _admit(self, event: Received, book: Rulebook, now: int) -> Signal | Refused:
        def decode(rules: TypeRules, schema_id: int, data: bytes) -> tuple[Any, bool]:
            if schema_id == book.contract_ids[rules.contract.type]:
                return read_avro(rules.wire, data), True
            writer = self.rulebooks.wire_schema(schema_id, rules.contract.type)
            if writer is None:
                raise UnreadableError
            return read_avro(writer, data, rules.wire), False

        try:
            return admission.admit(event, book.ruleset, now, decode)
        except HubError:
            raise
        except Exception as exc:  # noqa: BLE001  (see Work.handle)
            log.error("signal_failed", type="unknown", error=type(exc).__name__)
            publisher = book.ruleset.participants.find(event.participant)
            return Refused((_FAILED,), publisher=publisher)

    def _unwritable(self, exc: Exception, event: Received, book: Rulebook, now: int) -> Signal | Refused:
        """Return the refusal of a signal that the database does not take."""
        found = self._admit(event, book, now)
        if isinstance(found, Refused):
            return found
        log.error("signal_failed", type=found.rules.contract.type, error=type(exc).__name__, trace=self.keys.trace(found.signal_id))
        return Refused((_FAILED,), found.id, found.signal_id, found.rules.contract.type, found.publisher)

    def open_batch(self, connection: Any) -> Batch:
        """Return an empty batch on an open write transaction."""
        return Batch(connection, self.names, self.keys, self._inserts)
