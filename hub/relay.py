"""The relay: recorded deliveries to the transport, in order, one recipient at a time.

A delivery gets its `sequence` at its first send, in a transaction of its own before anything
leaves. A crash between sending and noting it sends again: the same id, sequence and bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, bindparam, select

from hub import trail
from hub.codec import AVRO, frame
from hub.domain import terms
from hub.domain.registers import HUB
from hub.errors import HubError
from hub.keys import unseal
from hub.placing import WITHDRAWN
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

    def run_once(self) -> int:
        """Send everything that is ready now. Returns how many deliveries left."""
        sent = 0
        failed: HubError | None = None
        while recipients := self._recipients():
            before = sent
            for recipient in recipients:
                try:
                    with self.transport.alone(f"relay {recipient}") as mine:  # else another relay owns the recipient
                        while mine and (count := self._send_batch(recipient)):
                            sent += count
                except HubError as exc:  # such as a topic that is not there: no other recipient waits for it
                    failed = failed or exc
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

    def _send_batch(self, recipient: int) -> int:
        with self.database.write() as connection:
            batch = self._number(connection, recipient)
        if not batch:
            return 0
        with self.database.read() as connection:
            name = self.names.name(connection, recipient)
            messages = [self._message(connection, name, row) for row in batch]
        self.transport.send(OUT + name, messages)
        with self.database.write() as connection:
            connection.execute(
                deliveries.update().where(deliveries.c.id == bindparam("sent")).values(state=int(State.SENT), sent_at=self.now_ms()),
                [{"sent": row.id} for row in batch],
            )
        if trail.is_kept():
            self._log(batch)
        return len(batch)

    def _log(self, batch: Sequence[_Delivery]) -> None:
        with self.database.read() as connection:
            for row in batch:
                trace, type_ = self.keys.trace(row.signal_id), self.names.name(connection, row.type)
                log.debug("delivery_sent", trace=trace, type=type_, grant=self.rulebooks.view(row.schema)["grant"])

    def _number(self, connection: Connection, recipient: int) -> list[_Delivery]:
        """Give each delivery of the next batch its place in the recipient's sequence, once."""
        ready = (deliveries.c.recipient == recipient, deliveries.c.state == State.READY)
        fresh = connection.execute(
            select(deliveries.c.id).where(*ready, deliveries.c.sequence.is_(None)).order_by(deliveries.c.id).limit(BATCH)
        ).scalars().all()  # fmt: skip
        if fresh:
            last = connection.execute(select(sequences.c.last).where(sequences.c.recipient == recipient)).scalar()
            if last is None:
                connection.execute(sequences.insert().values(recipient=recipient, last=len(fresh)))
            else:
                connection.execute(sequences.update().where(sequences.c.recipient == recipient).values(last=last + len(fresh)))
            connection.execute(
                deliveries.update().where(deliveries.c.id == bindparam("fresh")).values(sequence=bindparam("place")),
                [{"fresh": id_, "place": (last or 0) + i} for i, id_ in enumerate(fresh, 1)],
            )
        columns = (
            deliveries.c.id, deliveries.c.delivery_id, deliveries.c.schema, deliveries.c.payload,
            deliveries.c.at, deliveries.c.sequence, deliveries.c.about,
            signals.c.type, signals.c.publisher, signals.c.keten, signals.c.cause,
            signals.c.subject, signals.c.sealed_key, signals.c.erase_at, signals.c.signal_id,
        )  # fmt: skip
        joined = deliveries.join(signals, signals.c.id == deliveries.c.signal)
        return list(
            connection.execute(
                select(*columns)
                .select_from(joined)
                .where(*ready, deliveries.c.sequence.is_not(None))
                .order_by(deliveries.c.sequence)
                .limit(BATCH)
            )
        )

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


def _traceparent(delivery_id: bytes) -> str:
    """Return a trace context of its own: fresh, so that it joins nothing, and the same at a repeat."""
    return f"00-{delivery_id.hex()}-{delivery_id[:8].hex()}-01"
