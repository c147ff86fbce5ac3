"""From deliveries to what Toeslagen takes, and from its answer to signals; pure: no request, no clock, no settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from connectors.kit.flow import Skipped
from connectors.kit.ids import spelled
from hub.client import Delivery, NewSignal

RECIPIENT: Final = "toeslagen"
REPORTED: Final = "nl.brp.spookbewoning-gesignaleerd.v1"
INVESTIGATED: Final = "nl.brp.adresonderzoek-afgerond.v1"
WITHDRAWN: Final = "nl.signaalhub.signaal-ingetrokken.v1"
PROCESSED: Final = "nl.awir.adressignaal-verwerkt.v1"
CONFIRMED: Final = "nl.signaalhub.ontvangst-bevestigd.v1"

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    REPORTED: (
        "gemeentecode", "bag_id", "bsn", "signaalsoort", "niet_woonachtig_sinds", "adresonderzoek", "adresonderzoek_start",
        "geheimhouding", "betrokkene_geinformeerd", "contactrol",
    ),
    INVESTIGATED: ("gemeentecode", "uitkomst", "afgerond_op"),
    WITHDRAWN: ("redencode",),
}  # fmt: skip
"""Every field that goes to Toeslagen, by signal type; no other does."""

Kind = Literal["MELDING", "CORRECTIE", "UITKOMST", "INTREKKING"]
"""What a message to Toeslagen is."""

OPEN: Final = frozenset({"ONTVANGEN", "IN_BEHANDELING"})
"""The statuses after which another comes."""
_LOOKED_AT: Final[Mapping[str, str]] = {
    "ONTVANGEN": "ONTVANGEN",
    "IN_BEHANDELING": "ONTVANGEN",
    # With or without an effect on an allowance: the municipality does not hear which.
    "AANGEPAST": "VERWERKT",
    "ONGEWIJZIGD": "VERWERKT",
    "PERSOON_ONBEKEND": "NIET_HERKEND",
    "ADRES_ONBEKEND": "NIET_HERKEND",
}
_TAKEN_BACK: Final[Mapping[str, str]] = {
    "AANGEPAST": "VERWERKT",
    "ONGEWIJZIGD": "VERWERKT",
    "PERSOON_ONBEKEND": "NIET_GEVONDEN",
    "ADRES_ONBEKEND": "NIET_GEVONDEN",
    "MELDING_ONBEKEND": "NIET_GEVONDEN",
}
RESULTS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "MELDING": _LOOKED_AT,
    "CORRECTIE": _LOOKED_AT,
    # An outcome has no number of a person: where its report is not known, nor is whom it is about.
    "UITKOMST": {**_LOOKED_AT, "MELDING_ONBEKEND": "NIET_HERKEND"},
    "INTREKKING": {},
}
"""The `resultaat` of PROCESSED, by kind of message and status of Toeslagen."""
CONFIRMATIONS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "MELDING": {},
    "CORRECTIE": _TAKEN_BACK,
    "UITKOMST": {},
    "INTREKKING": _TAKEN_BACK,
}
"""The `resultaat` of CONFIRMED, by kind of message and status of Toeslagen."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer of Toeslagen says."""

    signals: tuple[NewSignal, ...]
    final: bool
    """Whether Toeslagen is done with the message."""


def kind_of(delivery: Delivery) -> Kind | None:
    """Return what Toeslagen calls a delivery; None for a type that is not for it."""
    if delivery.type == REPORTED:
        return "CORRECTIE" if delivery.replaces else "MELDING"
    kinds: Mapping[str, Kind] = {INVESTIGATED: "UITKOMST", WITHDRAWN: "INTREKKING"}
    return kinds.get(delivery.type)


def message(delivery: Delivery, kind: Kind) -> dict[str, Any]:
    """Give what Toeslagen takes: which message it is, what it belongs to, and the fields that go there."""
    return {
        "kenmerk": delivery.delivery_id,
        "soort": kind,
        "keten": delivery.correlation,
        "betreft": delivery.replaces or delivery.cause,
        "gegevens": {name: delivery.data[name] for name in FIELDS[delivery.type] if name in delivery.data},
    }


def reply(kind: Kind, said: Mapping[str, Any]) -> Reply | Skipped:
    """Give what follows from the status of one message, or the one reason why nothing does.

    The ids follow from the message and the result, so the same status published twice is one signal.

    Args:
        kind: What the message was.
        said: Toeslagen's answer about it: `kenmerk`, `status` and `sinds`. All else in it is left alone.
    """
    name, since = said["kenmerk"], said.get("sinds")
    status = given if isinstance(given := said.get("status"), str) else ""
    result = RESULTS[kind].get(status)
    confirmation = CONFIRMATIONS[kind].get(status)
    if result is None and confirmation is None and status not in OPEN:
        return Skipped("antwoord-onbekend")
    if not _is_day(since):
        return Skipped("datum-onleesbaar")
    signals = []
    if result is not None:
        data = {"resultaat": result, "verwerkt_op": since}
        signals.append(NewSignal(type=PROCESSED, data=data, id=f"toeslagen-{result}-{spelled(name)}", cause=name))
    if confirmation is not None:
        signals.append(NewSignal(type=CONFIRMED, data={"resultaat": confirmation}, id=f"toeslagen-bevestigd-{spelled(name)}", cause=name))
    return Reply(tuple(signals), final=status not in OPEN)


def _is_day(text: Any) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
