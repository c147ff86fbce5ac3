"""The handling of one batch inside its transaction: place, decide, meter, project, record, refuse.

Nothing here opens or commits the transaction; `router` and `clock` do.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hub.batch import Batch, Stored
from hub.codec import Received, write_avro
from hub.domain import decide as deciding
from hub.domain import quota, terms
from hub.domain.contract import value_at
from hub.domain.decide import Circumstances, Decision, decide
from hub.domain.formats import canonical
from hub.domain.reasons import text_of
from hub.domain.registers import HUB
from hub.domain.signal import LARGEST_SIGNAL, Fault, Refused, Signal
from hub.domain.transforms import Circumstances as ViewCircumstances
from hub.errors import HubError
from hub.keys import seal
from hub.storage.tables import Outcome as Recorded
from hub.storage.tables import Rejection, State, refusal_counts
from hub.telemetry import log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from hub.domain.ruleset import Grant
    from hub.keys import Keys
    from hub.rulebook import Rulebook
    from hub.storage.names import Names

REFUSED: Final = "nl.signaalhub.signaal-geweigerd.v1"
DEFERRED: Final = "nl.signaalhub.signaal-uitgesteld.v1"
EXPIRED: Final = "nl.signaalhub.signaal-verlopen.v1"
REFUSAL_KEPT_DAYS: Final = 14
"""How long the bytes of a refused signal are kept."""
_OUTCOMES: Final = {
    deciding.DELIVER: Recorded.DELIVER, deciding.WITHHOLD: Recorded.WITHHOLD, deciding.DEFER: Recorded.DEFER,
    deciding.RELEASED: Recorded.RELEASED, deciding.EXPIRED: Recorded.EXPIRED,
}  # fmt: skip


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


class Place(NamedTuple):
    """Where a signal belongs: its keten, its cause, its subject."""

    keten: int | None
    cause: Stored | None
    subject: bytes | None
    opens: bool


@dataclass(frozen=True, slots=True)
class Means:
    """What the work needs besides the batch."""

    keys: Keys
    names: Names
    random_id: Callable[[], str]


class Work:
    """The handling of one batch inside its transaction."""

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

    def finish(self) -> None:
        """Tell the recipients whose queue grew, and write everything."""
        for recipient, grant in list(self.waiting_notices.items()):
            at = self.batch.queued[recipient]
            self._notify(DEFERRED, (recipient,), None, grant, wachtend=self.batch.counts[at].waiting)
        self.batch.rows.saw(self.now)
        self.batch.flush()

    # --- one event ------------------------------------------------------------------------

    def handle(self, event: Received, admitted: Signal | Refused) -> Outcome:
        """Record one event. What one event does wrong never harms the others of its batch."""
        if isinstance(admitted, Refused):
            return self._refuse(event, admitted)
        try:
            return self._signal(event, admitted)
        except HubError:
            raise
        except Exception as exc:  # noqa: BLE001  (the one guard: a fault of the hub on one event harms no other)
            log.error("signal_failed", type=admitted.rules.contract.type, error=type(exc).__name__)
            return self._reject(event, admitted, (_fault("interne-fout"),))

    def _signal(self, event: Received, signal: Signal) -> Outcome:
        content = _content(signal)
        stored = self.batch.prefetched(signal.signal_id)
        if stored is not None:
            if stored.fingerprint in self.keys.fingerprints(content):
                return Outcome("duplicate", signal.id, signal.signal_id, signal.publisher.id, signal.correlation, stored.keten)
            return self._reject(event, signal, (Fault("id-hergebruikt", "id", text_of("id-hergebruikt")),))
        place = self._place(signal)
        if isinstance(place, Fault):
            return self._reject(event, signal, (place,))
        circumstances = Circumstances(self.now, self.today, self._opaque(place.keten), place.cause.publisher if place.cause else None)
        verdict = decide(self.book.ruleset, signal, circumstances)
        for where in verdict.alarms:
            log.error("condition_failed", rule=where, type=signal.rules.contract.type)
        if verdict.faults:
            return self._reject(event, signal, verdict.faults)
        mark, notices = self.batch.mark(), dict(self.waiting_notices)
        try:
            keten, outcomes = self._record(signal, place, verdict.decisions, self.keys.fingerprint(content))
        except BaseException:
            self.batch.undo(mark)
            self.waiting_notices = notices
            raise
        return Outcome("accepted", signal.id, signal.signal_id, signal.publisher.id, signal.correlation, keten,
                       decisions=tuple(zip(verdict.decisions, outcomes, strict=True)))  # fmt: skip

    def _opaque(self, keten: int | None) -> str:
        """Return what conditions see of a keten: equal within it, and nothing else to learn from."""
        return "" if keten is None else self.keys.fingerprint(b"keten %d" % keten).hex()

    # --- where a signal belongs -----------------------------------------------------------

    def _place(self, signal: Signal) -> Place | Fault:
        contract, publisher = signal.rules.contract, signal.publisher
        if signal.replaces is not None:
            return _fault("correctie-niet-mogelijk", "vervangt")
        anonymous = contract.subject is None
        if anonymous and (signal.correlation or (signal.cause and not contract.answers)):
            return _fault("keten-niet-toegestaan")
        cause = self.batch.known_to(publisher.id, signal.cause) if signal.cause else None
        if signal.cause and cause is None:
            return _fault("keten-onbekend", "causationid")
        if contract.answers and cause is None:
            return _fault("oorzaak-ontbreekt", "causationid")
        if cause and contract.answers and cause.type not in contract.answers:
            return _fault("oorzaak-past-niet", "causationid")
        if anonymous:
            return Place(None, cause, None, opens=False)
        return self._in_keten(signal, cause)

    def _in_keten(self, signal: Signal, cause: Stored | None) -> Place | Fault:
        contract, publisher = signal.rules.contract, signal.publisher
        keten = cause.keten if cause else None
        if signal.correlation:
            named = self.batch.keten(publisher.id, signal.correlation)
            if cause is not None and named != keten:
                return _fault("keten-onbekend", "correlationid")
            keten = named
        if keten is None and contract.inherits_subject:
            return _fault("keten-onbekend", "correlationid")
        opener = self.batch.by_id(keten) if keten is not None else None
        if contract.municipality is None:
            of_keten = opener.municipality if opener else None
            signal.municipality = of_keten or publisher.municipality
        if contract.inherits_subject:
            return Place(keten, cause, opener.subject if opener else None, opens=False)
        return Place(keten, cause, self._subject(signal), opens=keten is None)

    def _subject(self, signal: Signal) -> bytes:
        contract = signal.rules.contract
        parts = []
        for name in contract.subject or ():
            leaf = contract.leaves[name]
            value = value_at(signal.data, leaf.path)
            parts.append("" if value is None else canonical(leaf.format, str(value)))
        return self.keys.subject("\x1f".join(parts))

    # --- recording ------------------------------------------------------------------------

    def _record(
        self, signal: Signal, place: Place, decisions: Sequence[Decision], fingerprint: bytes | None
    ) -> tuple[int | None, list[str]]:
        """Add the rows of one signal. Returns its keten and the outcome of each decision."""
        batch, rows, contract = self.batch, self.batch.rows, signal.rules.contract
        name = self._name
        id_ = rows.next("signals")
        keten = id_ if place.opens else place.keten
        goes_out = any(decision.outcome == deciding.DELIVER for decision in decisions)
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
        stored = Stored(id_, signal.signal_id, contract.type, signal.publisher.id, signal.municipality, keten, place.subject, fingerprint)
        batch.remember(stored)
        if place.opens and signal.correlation:
            batch.name_keten(signal.publisher.id, signal.correlation, id_)
        return keten, [self._decision(signal, stored, decision, key) for decision in decisions]

    def _decision(self, signal: Signal, stored: Stored, decision: Decision, key: AESGCM | None) -> str:
        """Add the rows of one decision. Returns its outcome after the quota."""
        outcome, reason, counted = decision.outcome, decision.reason, None
        queue: int | None = None
        if outcome == deciding.DELIVER and decision.grant is not None:
            outcome, queue, counted = self._meter(signal, decision, decision.grant)
            if outcome == deciding.DEFER:
                reason = "wacht-op-ruimte"
            if key is not None:
                self.deliver(signal, stored.id, decision.grant, decision.recipient, key, queue)
        self.decided(stored.id, decision.grant.id if decision.grant else None, decision.recipient, outcome, reason, counted)
        if outcome == deciding.DEFER and decision.grant is not None:
            self.waiting_notices[decision.recipient] = decision.grant.id
            waiting = self.batch.counts[self.batch.queued[decision.recipient]].waiting
            self._notify(DEFERRED, (signal.publisher.id,), stored, decision.grant.id, wachtend=waiting)
        return outcome

    def decided(self, signal: int, grant: str | None, recipient: str, outcome: str, reason: str, counted: int | None) -> None:
        """Append a decision."""
        rows = self.batch.rows
        rows.add("decisions", (
            rows.next("decisions"), signal, self._name(grant) if grant else None, self._name(recipient),
            int(_OUTCOMES[outcome]), reason, self.book.id, self.now, counted,
        ))  # fmt: skip

    def _meter(self, signal: Signal, decision: Decision, grant: Grant) -> tuple[str, int | None, int | None]:
        """Apply the quota: (outcome, queue to wait in, count that the decision saw)."""
        rule = grant.quota
        if rule is None:
            return deciding.DELIVER, None, None
        activation = deciding.Conditions(self.book.ruleset, signal, Circumstances(self.now, self.today)).under(decision.agreement)
        exempt = rule.exempt is not None and rule.exempt.holds(activation)
        if exempt is None:
            log.error("condition_failed", rule=grant.id, type=signal.rules.contract.type)
        if exempt:
            return deciding.DELIVER, None, None
        limit = quota.limit_of(rule, activation)
        key = quota.key(rule, decision.agreement, decision.recipient, signal.publisher.id, signal.municipality)
        at, count = self.batch.count(key, quota.period(rule, self.today))
        used = count.used
        if count.take(limit):
            return deciding.DELIVER, None, used
        self.batch.queued[decision.recipient] = at
        return deciding.DEFER, at[0], used

    def deliver(self, signal: Signal, signal_key: int, grant: Grant, recipient: str, key: AESGCM, queue: int | None) -> None:
        """Add a delivery: projected and ready, or waiting in a queue with nothing projected yet."""
        rows = self.batch.rows
        id_ = rows.next("deliveries")
        schema = payload = None
        if queue is None:
            schema, payload = self.project(signal, grant, recipient, key)
        rows.add("deliveries", (
            id_, self.keys.delivery_id(id_), signal_key, self._name(grant.id), self._name(recipient),
            int(State.READY if queue is None else State.WAITING), queue, schema, payload, self.now, None, None,
        ))  # fmt: skip

    def project(self, signal: Signal, grant: Grant, recipient: str, key: AESGCM) -> tuple[int, bytes]:
        """Encode the view of one recipient. Returns its schema id and the sealed bytes."""
        record = signal.data
        if not grant.view.is_plain:
            by = ViewCircumstances(lambda value: self.keys.value_pseudonym(recipient, grant.flow, value), self.today)
            record = grant.view.project(signal.data, signal.publisher.id, by)
        return self.book.view_ids[grant.id], seal(key, write_avro(grant.view.wire, record))

    def _name(self, name: str) -> int:
        return self._known.get(name) or self.means.names.id(self.batch.connection, name)

    # --- refusing -------------------------------------------------------------------------

    def _reject(self, event: Received, signal: Signal, faults: tuple[Fault, ...]) -> Outcome:
        refused = Refused(faults, signal.id, signal.signal_id, signal.rules.contract.type, signal.publisher)
        return self._refuse(event, refused)

    def _refuse(self, event: Received, refused: Refused) -> Outcome:
        """Keep the bytes and tell the publisher, unless nothing may be kept; refusing twice is once."""
        publisher = refused.publisher
        if not refused.keep or publisher is None:
            self._count_refusal(refused.counted_as or refused.faults[0].code)
        else:
            fingerprint = self.keys.fingerprint(publisher.id.encode() + b"\0" + _raw(event))
            if not self.batch.refused_before(fingerprint):
                self._keep(event, refused, publisher.id, fingerprint)
                self._tell_refused(refused, publisher.id)
        return Outcome("rejected", refused.id or None, refused.signal_id, faults=refused.faults)

    def _count_refusal(self, code: str) -> None:
        connection = self.batch.connection
        where = refusal_counts.c.code == code
        if not connection.execute(refusal_counts.update().where(where).values(count=refusal_counts.c.count + 1)).rowcount:
            connection.execute(refusal_counts.insert().values(code=code, count=1))

    def _keep(self, event: Received, refused: Refused, publisher: str, fingerprint: bytes) -> None:
        sealed_key = body = None
        if len(event.body) <= LARGEST_SIGNAL:  # of a larger one nobody looked at the type, and it may be a forbidden one
            key, sealed_key = self.keys.new_data_key()
            body = seal(key, _raw(event))
        reasons = json.dumps([[fault.code, fault.field] for fault in refused.faults])
        rows = self.batch.rows
        rows.add("rejections", (
            rows.next("rejections"), refused.signal_id, self._name(publisher), self._name(refused.type) if refused.type else None,
            self.now, reasons, fingerprint, sealed_key, body, int(Rejection.OPEN), None,
            self.now + REFUSAL_KEPT_DAYS * 86_400_000,
        ))  # fmt: skip
        rows.flush_rejections()

    def _tell_refused(self, refused: Refused, publisher: str) -> None:
        signal_id = str(uuid.UUID(bytes=refused.signal_id)) if refused.signal_id else None
        reasons = [{"code": fault.code, "veld": fault.field} for fault in refused.faults]
        self._emit(REFUSED, {"signaal_id": signal_id, "signaaltype": refused.type, "redenen": reasons}, (publisher,), None)

    # --- the hub's own signals ------------------------------------------------------------

    def _notify(self, type_name: str, to: tuple[str, ...], about: Stored | None, grant: str, **numbers: int) -> None:
        signal_id = str(uuid.UUID(bytes=about.signal_id)) if about else None
        self._emit(type_name, {"signaal_id": signal_id, "regel": grant, **numbers}, to, about)

    def tell_expired(self, about: Stored, grant: str, reason: str, recipient: str) -> None:
        """Tell publisher and recipient that a waiting delivery will not come; the latter never knew the signal."""
        signal_id = str(uuid.UUID(bytes=about.signal_id))
        self._emit(EXPIRED, {"signaal_id": signal_id, "regel": grant, "reden": reason}, (about.publisher,), about)
        self._emit(EXPIRED, {"signaal_id": None, "regel": grant, "reden": reason}, (recipient,), None)

    def _emit(self, type_name: str, data: dict[str, Any], to: tuple[str, ...], about: Stored | None) -> None:
        """Send a signal of the hub itself; it passes the rules like any other."""
        rules = self.book.ruleset.types[type_name]
        publisher = self.book.ruleset.participants.find(HUB)
        if publisher is None:  # the register always holds the hub
            raise LookupError
        id_ = self.means.random_id()
        signal = Signal(
            rules=rules, publisher=publisher, id=id_, signal_id=uuid.uuid5(uuid.NAMESPACE_URL, f"{HUB} {id_}").bytes,
            time_ms=self.now, data=data, encoded=write_avro(rules.wire, data), addressees=to,
        )  # fmt: skip
        verdict = decide(self.book.ruleset, signal, Circumstances(self.now, self.today))
        self._record(signal, Place(about.keten if about else None, about, None, opens=False), verdict.decisions, None)


def _fault(code: str, field: str | None = None) -> Fault:
    return Fault(code, field, text_of(code))


def _content(signal: Signal) -> bytes:
    """Return what must be equal for two signals with one id to be the same signal. Time is not in it."""
    links = "\0".join((signal.rules.contract.type, signal.correlation or "", signal.cause or "", signal.replaces or ""))
    return links.encode() + b"\0" + signal.encoded


def _pack(id_: str, encoded: bytes) -> bytes:
    """Put the publisher's own id before the data; both are sealed together."""
    return bytes([len(id_)]) + id_.encode() + encoded


def unpack(payload: bytes) -> tuple[str, bytes]:
    """Return the publisher's own id and the encoded data."""
    length = payload[0] + 1
    return payload[1:length].decode(), payload[length:]


def _raw(event: Received) -> bytes:
    """Return everything received as bytes that `unraw` takes apart again, exactly."""
    headers = json.dumps({name: value.hex() for name, value in sorted(event.headers.items())}).encode()
    return len(headers).to_bytes(4) + headers + event.body


def unraw(participant: str, raw: bytes) -> Received:
    """Return the event as it was received."""
    end = 4 + int.from_bytes(raw[:4])
    headers = {name: bytes.fromhex(value) for name, value in json.loads(raw[4:end]).items()}
    return Received(participant, raw[end:], headers)
