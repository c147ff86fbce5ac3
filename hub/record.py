"""The rows of one batch: signals, decisions and deliveries, and the signals that the hub itself sends.

Nothing here opens or commits the transaction; `router` and `clock` do.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hub.batch import Batch, Stored
from hub.codec import UnreadableError, read_avro, write_avro
from hub.domain import decide as deciding
from hub.domain import quota, terms
from hub.domain.decide import Circumstances, Decision, decide
from hub.domain.grants import RECIPIENTS
from hub.domain.registers import HUB
from hub.domain.signal import Signal
from hub.domain.transforms import Circumstances as ViewCircumstances
from hub.keys import seal, unseal
from hub.placing import Place
from hub.storage.tables import Outcome as Recorded
from hub.storage.tables import State, deliveries
from hub.telemetry import log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from hub.domain.ruleset import Grant
    from hub.keys import Keys
    from hub.rulebook import Rulebook
    from hub.storage.names import Names

DEFERRED: Final = "nl.signaalhub.signaal-uitgesteld.v1"
EXPIRED: Final = "nl.signaalhub.signaal-verlopen.v1"
_OUTCOMES: Final = {
    deciding.DELIVER: Recorded.DELIVER, deciding.WITHHOLD: Recorded.WITHHOLD, deciding.DEFER: Recorded.DEFER,
    deciding.RELEASED: Recorded.RELEASED, deciding.EXPIRED: Recorded.EXPIRED, deciding.RECALLED: Recorded.RECALLED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Means:
    """What the work needs besides the batch."""

    keys: Keys
    names: Names
    random_id: Callable[[], str]
    wire_schema: Callable[[int, str], Any]
    """(schema id, signal type) -> a stored contract parsed for wire values, or None."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A delivery to a recipient of the signal that another takes back or replaces."""

    id: int
    grant: str
    recipient: str
    state: int
    queue: int | None


Instead = Mapping[tuple[str, str], Sequence[Earlier]]
"""(grant, recipient) -> the earlier deliveries that a new one is about, one each."""


class Recorder:
    """Adds the rows of signals to one batch."""

    def __init__(self, means: Means, book: Rulebook, batch: Batch, now: int) -> None:
        self.means = means
        self.book = book
        self.batch = batch
        self.keys = means.keys
        self._known = means.names.known
        self.now = now
        self.today = terms.amsterdam_date(now)
        self.waiting_notices: dict[str, str] = {}
        """Recipient -> grant, of queues that grew: each is told once a batch."""
        self.places_taken: set[int] = set()
        """Waiting deliveries whose place the signal at hand took, as a correction."""

    def tell_waiting(self) -> None:
        """Tell the recipients whose queue grew."""
        for recipient, grant in list(self.waiting_notices.items()):
            waiting = self.batch.counts[self.batch.queued[recipient]].waiting
            if waiting > 0:  # what waited may have been withdrawn by the same batch
                self._notify(DEFERRED, (recipient,), None, grant, wachtend=waiting)

    # --- signals --------------------------------------------------------------------------

    def record(
        self, signal: Signal, place: Place, id_: int, decisions: Sequence[Decision], fingerprint: bytes | None, instead: Instead
    ) -> tuple[Stored, list[str]]:
        """Add the rows of one signal under a fresh id. Returns it and the outcome of each decision.

        `instead` names the earlier deliveries that its own ones take back or replace.
        """
        batch, rows, contract = self.batch, self.batch.rows, signal.rules.contract
        name = self.name
        keten = id_ if place.opens else place.keten
        goes_out = any(decision.outcome == deciding.DELIVER or decision.reason == deciding.AWAITS for decision in decisions)
        key: AESGCM | None = None
        sealed_key = payload = None
        if goes_out:
            key, sealed_key = self.keys.new_data_key()
            payload = seal(key, _pack(signal.id, signal.encoded))
        rows.add("signals", (
            id_, signal.signal_id, name(contract.type), name(signal.publisher.id), signal.municipality, keten,
            place.cause.id if place.cause else None, place.subject, signal.time_ms, self.now, self.book.id,
            self.book.contract_ids[contract.type], fingerprint, sealed_key, payload,
            terms.duration_ms(contract.retention, self.now),
        ))  # fmt: skip
        stored = Stored(
            id_, signal.signal_id, contract.type, signal.publisher.id, signal.municipality, keten, place.subject, fingerprint,
            place.cause.id if place.cause else None,
        )  # fmt: skip
        batch.added(stored)
        if place.opens and signal.correlation:
            batch.name_keten(signal.publisher.id, signal.correlation, id_)
        return stored, [self._decision(signal, stored, decision, key, instead) for decision in decisions]

    def _decision(self, signal: Signal, stored: Stored, decision: Decision, key: AESGCM | None, instead: Instead) -> str:
        """Add the rows of one decision. Returns its outcome after the quota."""
        outcome, reason, counted = decision.outcome, decision.reason, None
        grant = decision.grant
        if grant is not None and key is not None:
            earlier = instead.get((grant.id, decision.recipient), ())
            if outcome == deciding.DELIVER:
                outcome, reason, counted = self._delivery(signal, stored, decision, grant, key, earlier)
            elif reason == deciding.AWAITS:
                self.deliver(signal, stored.id, grant, decision.recipient, key, State.HELD)
        self.decided(stored.id, grant.id if grant else None, decision.recipient, outcome, reason, counted)
        if outcome == deciding.DEFER and grant is not None and reason != "vervangt-wachtend":
            self.waiting_notices[decision.recipient] = grant.id
            waiting = self.batch.counts[self.batch.queued[decision.recipient]].waiting
            self._notify(DEFERRED, (signal.publisher.id,), stored, grant.id, wachtend=waiting)
        return outcome

    def _delivery(
        self, signal: Signal, stored: Stored, decision: Decision, grant: Grant, key: AESGCM, earlier: Sequence[Earlier]
    ) -> tuple[str, str, int | None]:
        """Deliver: in place of an earlier delivery, or under the quota. Returns outcome, reason, and the count that it saw."""
        if grant.quota is None and not earlier:
            if grant.to != RECIPIENTS:
                self.deliver(signal, stored.id, grant, decision.recipient, key, State.READY)
            return deciding.DELIVER, decision.reason, None
        if grant.to == RECIPIENTS or any(one.state in {State.READY, State.SENT} for one in earlier):
            for one in earlier:  # who holds the original gets what is said of it, whatever the quota
                self.deliver(signal, stored.id, grant, decision.recipient, key, State.READY, about=one.id)
            return deciding.DELIVER, decision.reason, None
        outcome, queue, counted = self._meter(signal, decision, grant, [one.queue for one in earlier])
        if queue is not None and earlier:
            self.take_place(earlier[0], stored)
            return outcome, "vervangt-wachtend", None
        self.deliver(signal, stored.id, grant, decision.recipient, key, State.READY if queue is None else State.WAITING, queue=queue)
        return outcome, "wacht-op-ruimte" if outcome == deciding.DEFER else decision.reason, counted

    def take_place(self, waiting: Earlier, stored: Stored) -> None:
        """Let a signal wait in the place of an earlier one."""
        self.places_taken.add(waiting.id)
        self.batch.change(deliveries.update().where(deliveries.c.id == waiting.id).values(signal=stored.id), stored.keten)

    def leave_queue(self, waiting: Earlier, keten: int | None) -> None:
        """Drop a delivery that never left. It used no place, so it gives none back."""
        if waiting.queue is not None:
            self._count_before(waiting.queue)
        values = {"state": int(State.DROPPED), "queue": None}
        self.batch.change(deliveries.update().where(deliveries.c.id == waiting.id).values(values), keten)
        for (queue, _), count in self.batch.counts.items():
            if queue == waiting.queue:
                count.waiting -= 1

    def _count_before(self, queue: int) -> None:
        """See to it that a queue is counted before something leaves it, so that the batch keeps the count right."""
        key = self.means.names.name(self.batch.connection, queue)
        rules = (grant.quota for grant in self.book.ruleset.grants.values() if grant.quota is not None)
        for rule in rules:
            if rule.entry.name == key.partition("|")[0]:
                self.batch.count(key, quota.period(rule, self.today))

    def decided(self, signal: int, grant: str | None, recipient: str, outcome: str, reason: str, counted: int | None) -> None:
        """Append a decision."""
        rows = self.batch.rows
        rows.add("decisions", (
            rows.next("decisions"), signal, self.name(grant) if grant else None, self.name(recipient),
            int(_OUTCOMES[outcome]), reason, self.book.id, self.now, counted,
        ))  # fmt: skip

    def _meter(self, signal: Signal, decision: Decision, grant: Grant, places: Sequence[int | None]) -> tuple[str, int | None, int | None]:
        """Apply the quota: (outcome, queue to wait in, count that the decision saw). `places` are queues with a place in them."""
        rule = grant.quota
        if rule is None:
            return deciding.DELIVER, None, None
        activation = deciding.Conditions(self.book.ruleset, signal, Circumstances(self.now, self.today)).under(decision.agreement)
        exempt = rule.exempt is not None and rule.exempt.holds(activation)
        if exempt is None:
            log.error("condition_failed", rule=grant.id, type=signal.rules.contract.type, trace=self.keys.trace(signal.signal_id))
        if exempt:
            return deciding.DELIVER, None, None
        limit = quota.limit_of(rule, activation)
        key = quota.key(rule, decision.agreement, decision.recipient, signal.publisher.id, signal.municipality)
        at, count = self.batch.count(key, quota.period(rule, self.today))
        if at[0] in places:
            return deciding.DEFER, at[0], None
        used = count.used
        if count.take(limit):
            return deciding.DELIVER, None, used
        self.batch.queued[decision.recipient] = at
        return deciding.DEFER, at[0], used

    def deliver(
        self, signal: Signal, signal_key: int, grant: Grant, recipient: str, key: AESGCM, state: State,
        *, queue: int | None = None, about: int | None = None,
    ) -> None:  # fmt: skip
        """Add a delivery: projected and ready, or waiting or held back with nothing projected yet."""
        rows = self.batch.rows
        id_ = rows.next("deliveries")
        schema = payload = None
        if state == State.READY:
            schema, payload = self.project(signal, grant, recipient, key)
        rows.add("deliveries", (
            id_, self.keys.delivery_id(id_), signal_key, self.name(grant.id), self.name(recipient),
            int(state), queue, schema, payload, self.now, None, None, about,
        ))  # fmt: skip

    def project(self, signal: Signal, grant: Grant, recipient: str, key: AESGCM) -> tuple[int, bytes]:
        """Encode the view of one recipient. Returns its schema id and the sealed bytes."""
        record = signal.data
        if not grant.view.is_plain:
            by = ViewCircumstances(lambda value: self.keys.value_pseudonym(recipient, grant.flow, value), self.today)
            record = grant.view.project(signal.data, signal.publisher.id, by)
        return self.book.view_ids[grant.id], seal(key, write_avro(grant.view.wire, record))

    def read_back(self, row: Any) -> Signal | None:
        """Read a stored signal under the contract of today; None if the rules no longer know its publisher or its form.

        `row` has type, publisher, municipality, time, schema, sealed_key, payload and signal_id.
        """
        name = self.means.names.name
        connection, ruleset = self.batch.connection, self.book.ruleset
        publisher = ruleset.participants.find(name(connection, row.publisher))
        rules = ruleset.types.get(name(connection, row.type))
        if publisher is None or rules is None:
            return None
        id_, encoded = unpack(unseal(self.keys.data_key(row.sealed_key), row.payload))
        current = row.schema == self.book.contract_ids[rules.contract.type]
        writer = rules.wire if current else self.means.wire_schema(row.schema, rules.contract.type)
        try:
            data = read_avro(writer, encoded, None if current else rules.wire)
        except UnreadableError:
            log.error("signal_failed", type=rules.contract.type, error="UnreadableError", trace=self.keys.trace(row.signal_id))
            return None
        return Signal(rules, publisher, id_, row.signal_id, row.time, data, encoded, row.municipality)

    def name(self, name: str) -> int:
        """Return the number of a name."""
        return self._known.get(name) or self.means.names.id(self.batch.connection, name)

    # --- the hub's own signals ------------------------------------------------------------

    def _notify(self, type_name: str, to: tuple[str, ...], about: Stored | None, grant: str, **numbers: int) -> None:
        signal_id = str(uuid.UUID(bytes=about.signal_id)) if about else None
        self.address(type_name, {"signaal_id": signal_id, "regel": grant, **numbers}, to, about)

    def tell_expired(self, about: Stored, grant: str, reason: str, recipient: str) -> None:
        """Tell publisher and recipient that a waiting delivery will not come; the latter never knew the signal."""
        signal_id = str(uuid.UUID(bytes=about.signal_id))
        self.address(EXPIRED, {"signaal_id": signal_id, "regel": grant, "reden": reason}, (about.publisher,), about)
        self.address(EXPIRED, {"signaal_id": None, "regel": grant, "reden": reason}, (recipient,), None)

    def address(self, type_name: str, data: dict[str, Any], to: tuple[str, ...], about: Stored | None) -> None:
        """Send a signal of the hub to whom it concerns."""
        signal = self.own(type_name, data, self.means.random_id())
        signal.addressees = to
        self.emit(signal, Place(about.keten if about else None, about, (), opens=False), Circumstances(self.now, self.today))

    def own(self, type_name: str, data: dict[str, Any], id_: str) -> Signal:
        """Return a signal of the hub itself."""
        rules = self.book.ruleset.types[type_name]
        publisher = self.book.ruleset.participants.find(HUB)
        if publisher is None:  # the register always holds the hub
            raise LookupError
        return Signal(
            rules=rules, publisher=publisher, id=id_, signal_id=uuid.uuid5(uuid.NAMESPACE_URL, f"{HUB} {id_}").bytes,
            time_ms=self.now, data=data, encoded=write_avro(rules.wire, data),
        )  # fmt: skip

    def emit(
        self, signal: Signal, place: Place, by: Circumstances, grants: Sequence[Grant] | None = None, instead: Instead | None = None
    ) -> Stored:
        """Record a signal of the hub; it passes the rules like any other."""
        verdict = decide(self.book.ruleset, signal, by, grants)
        return self.record(signal, place, self.batch.rows.next("signals"), verdict.decisions, None, instead or {})[0]


def _pack(id_: str, encoded: bytes) -> bytes:
    """Put the publisher's own id before the data; both are sealed together."""
    return bytes([len(id_)]) + id_.encode() + encoded


def unpack(payload: bytes) -> tuple[str, bytes]:
    """Return the publisher's own id and the encoded data."""
    length = payload[0] + 1
    return payload[1:length].decode(), payload[length:]
