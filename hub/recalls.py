"""Recalls for people who ask: what was taken back, who was told, and who has not confirmed yet."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hub.domain import terms
from hub.storage.tables import Recall, recalls, receipts, signals

if TYPE_CHECKING:
    from hub.app import Hub


def listing(hub: Hub, *, everything: bool) -> list[dict[str, Any]]:
    """Return the recalls, those confirmed by everyone left out unless `everything`. Names no person and no content."""
    name = hub.names.name
    with hub.database.read() as connection:
        told: dict[int, list[dict[str, Any]]] = {}
        for row in connection.execute(select(receipts).order_by(receipts.c.original, receipts.c.recipient)):
            confirmed = None if row.confirmed_at is None else terms.iso_utc(row.confirmed_at)
            told.setdefault(row.original, []).append({"recipient": name(connection, row.recipient), "confirmed": confirmed})
        rows = connection.execute(
            select(recalls, signals.c.signal_id, signals.c.type, signals.c.publisher)
            .join(signals, signals.c.id == recalls.c.original).order_by(recalls.c.at, recalls.c.original)
        ).all()  # fmt: skip
        found = [
            {
                "signal": str(uuid.UUID(bytes=row.signal_id)),
                "type": name(connection, row.type),
                "publisher": name(connection, row.publisher),
                "kind": Recall(row.kind).name.lower(),
                "time": terms.iso_utc(row.at),
                "recipients": told.get(row.original, []),
                "unconfirmed": sum(entry["confirmed"] is None for entry in told.get(row.original, [])),
            }
            for row in rows
        ]
    return [entry for entry in found if everything or entry["unconfirmed"]]
