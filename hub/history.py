"""What one participant received and published, read back from the database for as long as the hub keeps it.

Topics forget after days; who accounts for a month needs the signals for as long as they may be kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from hub.client import Exchanged
from hub.codec import UnreadableError, frame
from hub.domain import terms
from hub.errors import StopError, UsageError
from hub.keys import unseal
from hub.placing import WITHDRAWN
from hub.record import unpack
from hub.storage.tables import Outcome, Recall, State, decisions, deliveries, recalls, signals

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from hub.app import Hub


def exchanged(hub: Hub, participant: str, types: Collection[str]) -> Iterator[Exchanged]:
    """Return what was sent to a participant in the order of its sequence, then what it published in order of arrival.

    Raises UsageError for an unknown participant; reading on raises StopError for a stored record that cannot be read.
    """
    if hub.rulebooks.current.ruleset.participants.find(participant) is None:
        raise UsageError("there is no such participant", "see participants.yaml")
    return _exchanged(hub, participant, types)


def _exchanged(hub: Hub, participant: str, types: Collection[str]) -> Iterator[Exchanged]:
    with hub.database.read() as connection:
        number = hub.names.find(connection, participant)
        wanted = [found for name in sorted(types) if (found := hub.names.find(connection, name)) is not None]
        received = connection.execute(_received(number, wanted)).all()
        published = connection.execute(_published(number, wanted)).all()
        known = _Known(hub, connection, number)
        for row in received:
            yield known.received(row)
        for row in published:
            yield known.published(row)


def _received(recipient: int | None, types: Collection[int]) -> Any:
    earlier = aliased(deliveries)
    waited = exists().where(
        decisions.c.signal == signals.c.id, decisions.c.recipient == recipient, decisions.c.outcome == Outcome.DEFER
    )  # fmt: skip
    return (
        select(
            deliveries.c.delivery_id, deliveries.c.schema, deliveries.c.payload, deliveries.c.at, signals.c.type, signals.c.cause,
            signals.c.sealed_key, earlier.c.delivery_id.label("about"), waited.label("waited"),
        )
        .select_from(deliveries.join(signals, signals.c.id == deliveries.c.signal).outerjoin(earlier, earlier.c.id == deliveries.c.about))
        .where(deliveries.c.recipient == recipient, deliveries.c.state == State.SENT, signals.c.type.in_(types))
        .order_by(deliveries.c.sequence)
    )  # fmt: skip


def _published(publisher: int | None, types: Collection[int]) -> Any:
    original = aliased(signals)
    return (
        select(
            signals.c.signal_id, signals.c.schema, signals.c.payload, signals.c.time, signals.c.type, signals.c.cause,
            signals.c.sealed_key, original.c.signal_id.label("original"),
        )
        .select_from(
            signals.outerjoin(recalls, (recalls.c.by == signals.c.id) & (recalls.c.kind == Recall.CORRECTED))
            .outerjoin(original, original.c.id == recalls.c.original)
        )
        .where(signals.c.publisher == publisher, signals.c.type.in_(types))
        .order_by(signals.c.id)
    )  # fmt: skip


class _Known:
    """Says things as one participant knows them."""

    def __init__(self, hub: Hub, connection: Connection, number: int | None) -> None:
        self._hub = hub
        self._connection = connection
        self._number = number

    def received(self, row: Row[Any]) -> Exchanged:
        type_ = self._hub.names.name(self._connection, row.type)
        about = _text(row.about)
        withdraws = type_ == WITHDRAWN and about is not None
        return Exchanged(
            id=str(uuid.UUID(bytes=row.delivery_id)), type=type_, own=False, time=terms.to_moment(row.at), waited=row.waited,
            cause=about if withdraws else self._cause(row.cause), replaces=None if withdraws else about,
            data=self._data(row, lambda payload: payload),
        )  # fmt: skip

    def published(self, row: Row[Any]) -> Exchanged:
        return Exchanged(
            id=str(uuid.UUID(bytes=row.signal_id)), type=self._hub.names.name(self._connection, row.type), own=True,
            time=terms.to_moment(row.time), cause=self._cause(row.cause), replaces=_text(row.original),
            data=self._data(row, lambda payload: unpack(payload)[1]),
        )  # fmt: skip

    def _data(self, row: Row[Any], encoded: Any) -> dict[str, Any] | None:
        if row.sealed_key is None or row.payload is None:
            return None
        try:
            return self._hub.decoder.data(frame(row.schema, encoded(unseal(self._hub.keys.data_key(row.sealed_key), row.payload))))
        except UnreadableError:
            raise StopError("a stored record cannot be read", "restore the newest backup of the home") from None

    def _cause(self, signal: int | None) -> str | None:
        """Return a signal by the name that the participant has for it; None if it has none."""
        if signal is None:
            return None
        own = select(signals.c.signal_id).where(signals.c.id == signal, signals.c.publisher == self._number)
        got = (
            select(deliveries.c.delivery_id)
            .where(deliveries.c.signal == signal, deliveries.c.recipient == self._number, deliveries.c.state == State.SENT)
            .order_by(deliveries.c.id)
        )
        return _text(self._connection.execute(own).scalar() or self._connection.execute(got).scalars().first())


def _text(id_: bytes | None) -> str | None:
    return None if id_ is None else str(uuid.UUID(bytes=id_))
