"""The relay: recorded deliveries to the transport, in order for each recipient, whom one relay serves at a time.

A delivery gets its `sequence` at its first send, in a transaction of its own before anything
leaves. A crash between sending and noting it sends again: the same id, sequence and bytes.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, Select, bindparam, select, union_all

from hub import trail
from hub.codec import AVRO, frame
from hub.domain import terms
from hub.domain.registers import HUB
from hub.errors import HubError
from hub.keys import unseal
from hub.placing import WITHDRAWN
from hub.stopping import Stop, never
from hub.storage.tables import State, deliveries, keten_names, sequences, signals
from hub.telemetry import log
from hub.transport.base import OUT, Message

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.keys import Keys
    from hub.rulebook import Rulebooks
    from hub.storage.database import Database
    from hub.storage.names import Names
    from hub.transport.base import Transport

BATCH: Final = 500
_TOGETHER: Final = 25
"""How many recipients are served at once."""
_COLUMNS: Final = (
    deliveries.c.id, deliveries.c.delivery_id, deliveries.c.recipient, deliveries.c.schema, deliveries.c.payload,
    deliveries.c.at, deliveries.c.sequence, deliveries.c.about,
    signals.c.type, signals.c.publisher, signals.c.keten, signals.c.cause,
    signals.c.subject, signals.c.sealed_key, signals.c.erase_at, signals.c.signal_id,
)  # fmt: skip
_RECEIVED: Final = (int(State.READY), int(State.SENT))
_READABLE_MS: Final = 7 * 86_400_000
"""A delivery can be read this long at least, also when its signal is due to be erased at once."""
_Delivery = Row[Any]


@dataclass(slots=True)
class Relay:
    """Sends what is ready. Raises RetryLaterError when the transport or the database does not answer."""

    database: Database
    transport: Transport
    rulebooks: Rulebooks
    keys: Keys
    names: Names
    now_ms: Callable[[], int]
    source: str
    """CloudEvents `source` of the hub: its URN."""

    def run_once(self, stop: Stop = never) -> int:
        """Send everything that is ready now, unless told to stop between batches. Returns how many deliveries left."""
        sent = 0
        failed: HubError | None = None
        while not stop() and (recipients := self._recipients()):
            before = sent
            for start in range(0, len(recipients), _TOGETHER):
                if stop():
                    break
                count, error = self._serve(recipients[start : start + _TOGETHER])
                sent, failed = sent + count, failed or error
            if sent == before:
                break
        if sent:
            log.info("deliveries_sent", count=sent)
        if failed is not None:
            raise failed
        return sent

    def _recipients(self) -> list[int]:
        with self.database.read() as connection:
            return list(connection.execute(select(deliveries.c.recipient).where(deliveries.c.state == State.READY).distinct()).scalars())

    def _serve(self, recipients: Sequence[int]) -> tuple[int, HubError | None]:
        """Send the next of each recipient that no other relay serves. Returns how many left, and what went wrong."""
        owned = {f"relay {recipient}": recipient for recipient in recipients}
        try:
            with self.transport.alone(owned) as mine:
                return self._send([owned[name] for name in sorted(mine)]) if mine else (0, None)
        except HubError as exc:
            return 0, exc

    def _send(self, recipients: Sequence[int]) -> tuple[int, HubError | None]:
        try:
            return self._send_batch(recipients), None
        except HubError as exc:
            if len(recipients) <= 1:
                return 0, exc
        failed = None
        sent = 0
        for recipient in recipients:  # such as a topic that is not there: no other recipient waits for it
            count, error = self._send([recipient])
            sent, failed = sent + count, failed or error
        return sent, failed

    def _send_batch(self, recipients: Sequence[int]) -> int:
        """Send the next deliveries of recipients together: one wait for the database and one for the brokers serve them all."""
        with self.database.write(beside=True) as connection:
            batch = self._numbered(connection, recipients)
        if not batch:
            return 0
        messages: dict[str, list[Message]] = defaultdict(list)
        with self.database.read() as connection:
            for row in batch:
                name = self.names.name(connection, row.recipient)
                messages[OUT + name].append(self._message(connection, name, row))
        self.transport.send_all(messages)
        last = {row.recipient: row.sequence for row in batch}
        with self.database.write(beside=True) as connection:
            connection.execute(
                deliveries.update().where(deliveries.c.id == bindparam("left")).values(state=int(State.SENT), sent_at=self.now_ms()),
                [{"left": row.id} for row in batch],
            )
            connection.execute(
                sequences.update().where(sequences.c.recipient == bindparam("to")).values(sent=bindparam("place")),
                [{"to": recipient, "place": place} for recipient, place in last.items()],
            )
        if trail.is_kept():
            self._log(batch)
        return len(batch)

    def _log(self, batch: Sequence[_Delivery]) -> None:
        with self.database.read() as connection:
            for row in batch:
                trace, type_ = self.keys.trace(row.signal_id), self.names.name(connection, row.type)
                log.debug("delivery_sent", trace=trace, type=type_, grant=self.rulebooks.view(row.schema)["grant"])

    def _numbered(self, connection: Connection, recipients: Sequence[int]) -> list[_Delivery]:
        """Return the next deliveries of each recipient in the order of its sequence, in which each gets its place once."""
        known = {row.recipient: row for row in connection.execute(select(sequences).where(sequences.c.recipient.in_(recipients)))}
        limit = max(1, BATCH // len(recipients))
        behind = {recipient for recipient, row in known.items() if row.sent < row.last}
        heads = [_head(recipient, limit, behind=recipient in behind) for recipient in recipients]
        found = connection.execute(union_all(*heads)).all()
        if not found:
            return []
        last = {row.recipient: known[row.recipient].last if row.recipient in known else 0 for row in found}
        places = []
        for row in sorted((row for row in found if row.sequence is None), key=attrgetter("id")):
            last[row.recipient] += 1
            places.append({"fresh": row.id, "place": last[row.recipient]})
        if places:
            connection.execute(deliveries.update().where(deliveries.c.id == bindparam("fresh")).values(sequence=bindparam("place")), places)
        self._note(connection, last, known)
        return list(
            connection.execute(
                select(*_COLUMNS)
                .select_from(deliveries.join(signals, signals.c.id == deliveries.c.signal))
                .where(deliveries.c.id.in_([row.id for row in found]))
                .order_by(deliveries.c.recipient, deliveries.c.sequence)
            )
        )

    @staticmethod
    def _note(connection: Connection, last: Mapping[int, int], known: Collection[int]) -> None:
        """Store up to where the sequences are given out, also when that is where it was: what cannot be noted must not leave."""
        new = [{"recipient": recipient, "last": place} for recipient, place in last.items() if recipient not in known]
        longer = [{"to": recipient, "place": place} for recipient, place in last.items() if recipient in known]
        if new:
            connection.execute(sequences.insert(), new)
        if longer:
            connection.execute(sequences.update().where(sequences.c.recipient == bindparam("to")).values(last=bindparam("place")), longer)

    def _message(self, connection: Connection, recipient: str, row: _Delivery) -> Message:
        view = self.rulebooks.view(row.schema)
        headers = {
            "ce_id": str(uuid.UUID(bytes=row.delivery_id)),
            "ce_source": self.source,
            "ce_specversion": "1.0",
            "ce_type": self.names.name(connection, row.type),
            "ce_time": terms.iso_utc(row.at),
            "ce_dataschema": f"{self.source}:schema:{row.schema}",
            "content-type": AVRO,
            "ce_purpose": view["purpose"],
            "ce_grantid": view["grant"],
            "ce_sequence": str(row.sequence),
            "ce_traceparent": _traceparent(row.delivery_id),
        }
        earlier = None if row.about is None else self._earlier(connection, row.about)
        # A withdrawal speaks of the person as the delivery did that it takes back. What the hub itself says of no delivery
        # speaks of nobody: else one pseudonym would join all flows.
        flow = view["flow"] if earlier is None else self.rulebooks.view(earlier.schema)["flow"]
        if row.subject is not None and flow != HUB:
            headers["ce_subject"] = self.keys.pseudonym(recipient, flow, row.subject)
        if row.keten is not None:
            headers["ce_correlationid"] = self._keten(connection, recipient, row.keten)
        if earlier is not None:
            headers["ce_causationid" if headers["ce_type"] == WITHDRAWN else "ce_vervangt"] = str(uuid.UUID(bytes=earlier.delivery_id))
        if row.cause is not None and "ce_causationid" not in headers:
            cause = self._known_as(connection, recipient, row.cause, row.sequence)
            if cause is not None:
                headers["ce_causationid"] = cause
        payload = unseal(self.keys.data_key(row.sealed_key), row.payload)
        return Message(
            frame(row.schema, payload),
            {name: value.encode() for name, value in headers.items()},
            max(row.erase_at, self.now_ms() + _READABLE_MS),
        )

    def _earlier(self, connection: Connection, delivery: int) -> Row[Any]:
        """Return an earlier delivery: its public id, as it was sent, and its view."""
        row: Row[Any] = connection.execute(select(deliveries.c.delivery_id, deliveries.c.schema).where(deliveries.c.id == delivery)).one()  # type: ignore[assignment]
        return row

    def _keten(self, connection: Connection, recipient: str, keten: int) -> str:
        """Return the keten as this recipient knows it: its own name if it opened it, else a handle."""
        named = connection.execute(
            select(keten_names.c.sealed_name, signals.c.publisher)
            .join(signals, signals.c.id == keten_names.c.keten)
            .where(keten_names.c.keten == keten)
        ).one_or_none()  # fmt: skip
        if named is not None and self.names.name(connection, named.publisher) == recipient:
            return self.keys.open_log(named.sealed_name).decode()
        return str(uuid.UUID(bytes=self.keys.keten_handle(recipient, keten)))

    def _known_as(self, connection: Connection, recipient: str, signal: int, sequence: int) -> str | None:
        """Return an earlier signal as this recipient knows it: its own signal_id, or what it received.

        None if it neither sent nor received it: then it must not learn that there was one. Only what stands before this
        delivery in its sequence counts, so that a repeat names the same.
        """
        row = connection.execute(select(signals.c.signal_id, signals.c.publisher).where(signals.c.id == signal)).one()
        if self.names.name(connection, row.publisher) == recipient:
            return str(uuid.UUID(bytes=row.signal_id))
        number = self.names.find(connection, recipient)
        received = connection.execute(
            select(deliveries.c.delivery_id)
            .where(deliveries.c.signal == signal, deliveries.c.recipient == number, deliveries.c.state.in_(_RECEIVED),
                   deliveries.c.sequence < sequence)
            .order_by(deliveries.c.id)
        ).scalars().first()  # fmt: skip
        return None if received is None else str(uuid.UUID(bytes=received))


def _head(recipient: int, limit: int, *, behind: bool) -> Select[Any]:
    """Select the next deliveries of a recipient.

    What has a place and is not known to have left goes first, in its order: the relay that gave the place did not come to note more.
    Only who is `behind` has such, so that a long queue need not be sorted for nobody.
    """
    order = (deliveries.c.sequence.is_(None), deliveries.c.sequence, deliveries.c.id) if behind else (deliveries.c.id,)
    found = (
        select(deliveries.c.id, deliveries.c.recipient, deliveries.c.sequence)
        .where(deliveries.c.recipient == recipient, deliveries.c.state == State.READY)
        .order_by(*order)
        .limit(limit)
    )
    return select(found.subquery())


def _traceparent(delivery_id: bytes) -> str:
    """Return a trace context of its own: fresh, so that it joins nothing, and the same at a repeat."""
    return f"00-{delivery_id.hex()}-{delivery_id[:8].hex()}-01"
