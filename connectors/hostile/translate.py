"""From the invented system's rows to signals, and from deliveries to what it takes; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.kit.flow import Outgoing, Skipped
from hub.client import Delivery, NewSignal

PUBLISHER: Final = "woonhuis-verzonnen"
RECIPIENT: Final = "toeslagen"
REPORTED: Final = "nl.voorbeeld.melding-gedaan.v1"
ANSWERED: Final = "nl.voorbeeld.melding-verwerkt.v1"


def translate(row: Mapping[str, str | None]) -> Outgoing | Skipped:
    """Give the signal that follows from a row, without an id, or why none does."""
    if not row.get("kenmerk"):
        return Skipped("geen-kenmerk")
    return PUBLISHER, NewSignal(type=REPORTED, data={"kenmerk": row["kenmerk"], "naam": row.get("naam")})


def taken(delivery: Delivery) -> dict[str, Any]:
    """Give what the system takes of a delivery."""
    return {"bericht": delivery.delivery_id, "bsn": delivery.data["bsn"]}


def answer(status: str) -> NewSignal:
    """Give the signal that follows from its answer."""
    return NewSignal(type=ANSWERED, data={"resultaat": status})
