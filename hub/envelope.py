"""A recorded delivery as its recipient reads it: CloudEvents in Kafka's binary mode, Avro in Confluent framing.

A delivery that is sent again has the same bytes, so all that stands in it follows from what is recorded and stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, select

from hub.codec import AVRO, frame
from hub.domain import terms
from hub.domain.registers import HUB
from hub.keys import unseal
from hub.placing import WITHDRAWN
from hub.storage.tables import State, deliveries, keten_names, signals
from hub.transport.base import Message

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from hub.keys import Keys
    from hub.rulebook import Rulebooks
    from hub.storage.names import Names

COLUMNS: Final = (
    deliveries.c.id, deliveries.c.delivery_id, deliveries.c.recipient, deliveries.c.schema, deliveries.c.payload,
    deliveries.c.at, deliveries.c.sequence, deliveries.c.about,
    signals.c.type, signals.c.publisher, signals.c.keten, signals.c.cause,
    signals.c.subject, signals.c.sealed_key, signals.c.erase_at, signals.c.signal_id,
)  # fmt: skip
"""What is read of a delivery and its signal."""
Delivery = Row[Any]
_RECEIVED: Final = (int(State.READY), int(State.SENT))
_READABLE_MS: Final = 7 * 86_400_000
"""A delivery can be read this long at least, also when its signal is due to be erased at once."""


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Makes messages of deliveries."""

    rulebooks: Rulebooks
    keys: Keys
    names: Names
    now_ms: Callable[[], int]
    source: str
    """CloudEvents `source` of the hub: its URN."""

    def of(self, connection: Connection, batch: Sequence[Delivery]) -> list[tuple[str, Message]]:
        """Return each delivery with the name of its recipient, in the same order."""
        around = _Around(connection, batch)
        return [
            (name, self._message(connection, around, name, row)) for row in batch for name in (self.names.name(connection, row.recipient),)
        ]

    def _message(self, connection: Connection, around: _Around, recipient: str, row: Delivery) -> Message:
        view = self.rulebooks.view(row.schema)
        type_ = self.names.name(connection, row.type)
        headers = {
            "ce_id": _text(row.delivery_id),
            "ce_source": self.source,
            "ce_specversion": "1.0",
            "ce_type": type_,
            "ce_time": terms.iso_utc(row.at),
            "ce_dataschema": f"{self.source}:schema:{row.schema}",
            "content-type": AVRO,
            "ce_purpose": view["purpose"],
            "ce_grantid": view["grant"],
            "ce_sequence": str(row.sequence),
            "ce_traceparent": _traceparent(row.delivery_id),
        }
        earlier = None if row.about is None else around.earlier[row.about]
        # A withdrawal speaks of the person as the delivery did that it takes back. What the hub itself says of no delivery
        # speaks of nobody: else one pseudonym would join all flows.
        flow = view["flow"] if earlier is None else self.rulebooks.view(earlier.schema)["flow"]
        if row.subject is not None and flow != HUB:
            headers["ce_subject"] = self.keys.pseudonym(recipient, flow, row.subject)
        if row.keten is not None:
            headers["ce_correlationid"] = self._keten(around, recipient, row)
        cause = None if row.cause is None else around.known_as(row)
        if earlier is not None:
            headers["ce_causationid" if type_ == WITHDRAWN else "ce_vervangt"] = _text(earlier.delivery_id)
        if cause is not None:
            headers.setdefault("ce_causationid", cause)
        return Message(
            frame(row.schema, unseal(self.keys.data_key(row.sealed_key), row.payload)),
            {name: value.encode() for name, value in headers.items()},
            max(row.erase_at, self.now_ms() + _READABLE_MS),
        )

    def _keten(self, around: _Around, recipient: str, row: Delivery) -> str:
        """Return the keten as this recipient knows it: its own name if it opened it, else a handle."""
        named = around.named.get(row.keten)
        if named is not None and named.publisher == row.recipient:
            return self.keys.open_log(named.sealed_name).decode()
        return _text(self.keys.keten_handle(recipient, row.keten, like=row.delivery_id))


class _Around:
    """What deliveries refer to, looked up once for all of them."""

    def __init__(self, connection: Connection, batch: Sequence[Delivery]) -> None:
        self._connection = connection
        self._batch = batch

    def _rows(
        self, columns: Sequence[ColumnElement[Any]], key: ColumnElement[Any], name: str, *where: ColumnElement[bool]
    ) -> list[Row[Any]]:
        wanted = {value for row in self._batch if (value := getattr(row, name)) is not None}
        return list(self._connection.execute(select(*columns).where(key.in_(wanted), *where))) if wanted else []

    @cached_property
    def earlier(self) -> dict[int, Row[Any]]:
        """The deliveries that others take back or replace."""
        return {
            row.id: row for row in self._rows((deliveries.c.id, deliveries.c.delivery_id, deliveries.c.schema), deliveries.c.id, "about")
        }

    @cached_property
    def named(self) -> dict[int, Row[Any]]:
        """The ketens whose opener chose its own name for it."""
        columns = (keten_names.c.keten, keten_names.c.sealed_name, signals.c.publisher)
        return {row.keten: row for row in self._rows(columns, keten_names.c.keten, "keten", signals.c.id == keten_names.c.keten)}

    @cached_property
    def _causes(self) -> dict[int, Row[Any]]:
        return {row.id: row for row in self._rows((signals.c.id, signals.c.signal_id, signals.c.publisher), signals.c.id, "cause")}

    @cached_property
    def _received(self) -> dict[tuple[int, int], list[Row[Any]]]:
        """(signal, recipient) -> the deliveries of it that it got, the oldest first."""
        columns = (deliveries.c.id, deliveries.c.delivery_id, deliveries.c.signal, deliveries.c.recipient, deliveries.c.sequence)
        found: dict[tuple[int, int], list[Row[Any]]] = {}
        for row in sorted(self._rows(columns, deliveries.c.signal, "cause", deliveries.c.state.in_(_RECEIVED)), key=lambda row: row.id):
            found.setdefault((row.signal, row.recipient), []).append(row)
        return found

    def known_as(self, row: Delivery) -> str | None:
        """Return the cause as this recipient knows it: its own signal_id, or what it received.

        None if it neither sent nor received it: then it must not learn that there was one. Only what stands before this
        delivery in its sequence counts, so that a repeat names the same.
        """
        cause = self._causes[row.cause]
        if cause.publisher == row.recipient:
            return _text(cause.signal_id)
        received = self._received.get((row.cause, row.recipient), ())
        return next((_text(one.delivery_id) for one in received if one.sequence is not None and one.sequence < row.sequence), None)


def _text(id_: bytes) -> str:
    return str(uuid.UUID(bytes=id_))


def _traceparent(delivery_id: bytes) -> str:
    """Return a trace context of its own: fresh, so that it joins nothing, and the same at a repeat."""
    return f"00-{delivery_id.hex()}-{delivery_id[:8].hex()}-01"
