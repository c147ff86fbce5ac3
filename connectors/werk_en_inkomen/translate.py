"""From a row of the outbox to a signal, given what is known of its measure; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from connectors.kit.flow import Outgoing, Skipped
from connectors.kit.ids import ID_LETTERS, letters
from hub.client import NewSignal

ROLE: Final = "werk-en-inkomen"
GUARD: Final = "maatregel-uitvoeren"
ANNOUNCED: Final = "nl.participatiewet.maatregel-voorgenomen.v1"
CARRIED_OUT: Final = "nl.participatiewet.maatregel-uitgevoerd.v1"
WITHDRAWN: Final = "nl.signaalhub.signaal-ingetrokken.v1"

REASONS: Final = {
    "bericht-onbekend": "Het bericht is geen VOORGENOMEN, INGETROKKEN of UITGEVOERD.",
    "veld-onleesbaar": "In een kolom staat iets dat geen tekst, geheel getal, ja of nee, of dag is.",
    "maatregel-onbekend": "Er is geen aangenomen melding van deze maatregel om in te trekken.",
    "maatregel-gesloten": "De maatregel is ingetrokken of uitgevoerd. Meld een nieuwe onder een nieuw kenmerk.",
    "andere-gemeente": "De maatregel is gemeld voor een andere gemeente.",
    "rij-te-laat": "Over deze maatregel is al een latere rij behandeld.",
}
"""Why the connector itself refuses a row; every other code is the hub's."""


class Message(StrEnum):
    """What a row says."""

    ANNOUNCED = "VOORGENOMEN"
    """The first of a measure announces it; any later one corrects that."""
    WITHDRAWN = "INGETROKKEN"
    CARRIED_OUT = "UITGEVOERD"


class Standing(StrEnum):
    """How a measure stands with the connector."""

    OPEN = "OPEN"
    """Announced: the guard is asked at every run."""
    REFUSED = "GEWEIGERD"
    """The last that was said of it was refused: what the hub knows is not what the benefit system means."""
    CLOSED = "DICHT"
    """Withdrawn or carried out."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What the connector knows of a measure."""

    gemeentecode: str
    standing: Standing
    last_row: int
    """The number of the last row about it that was handled."""
    signal_id: str | None
    """The announcement that holds now; None if none was ever accepted."""


_FIELDS: Final = {
    Message.ANNOUNCED: (
        "gemeentecode", "bsn", "achternaam", "geboortedatum", "maatregelsoort", "aanleiding", "aantal_contactpogingen", "gepland_op",
        "bezwaar_tot", "extra_contact_nodig", "lopend_hulptraject", "betrokkene_geinformeerd", "contactrol",
    ),
    Message.CARRIED_OUT: ("gemeentecode", "bsn", "maatregelsoort", "uitgevoerd_op", "betrokkene_geinformeerd", "contactrol"),
    Message.WITHDRAWN: ("redencode",),
}  # fmt: skip
FIELDS: Final = tuple(dict.fromkeys(name for names in _FIELDS.values() for name in names))
"""The columns that go into signals."""
_YES_NO: Final = frozenset({"extra_contact_nodig"})


def participant(gemeentecode: str) -> str:
    """Who publishes and asks for a municipality."""
    return f"{ROLE}.{gemeentecode}"


def translate(row: Mapping[str, Any], known: Measure | None) -> Outgoing | Skipped:
    """Give who publishes which signal, or the one reason why nothing follows from the row.

    A fact is passed on whatever is known of its measure.
    """
    if row["bericht"] not in list(Message):
        return Skipped("bericht-onbekend")
    message = Message(row["bericht"])
    data = {name: _json(name, row[name]) for name in _FIELDS[message]}
    if any(value is _UNREADABLE for value in data.values()):
        return Skipped("veld-onleesbaar")
    if message is not Message.CARRIED_OUT and (reason := _unfit(message, row, known)):
        return Skipped(reason)
    return participant(row["gemeentecode"]), _signal(message, data, row, known)


def _unfit(message: Message, row: Mapping[str, Any], known: Measure | None) -> str | None:
    if known is None:
        return "maatregel-onbekend" if message is Message.WITHDRAWN else None
    if row["nummer"] < known.last_row:
        return "rij-te-laat"
    if row["gemeentecode"] != known.gemeentecode:
        return "andere-gemeente"
    return "maatregel-gesloten" if known.standing is Standing.CLOSED else None


def _signal(message: Message, data: Mapping[str, Any], row: Mapping[str, Any], known: Measure | None) -> NewSignal:
    # The id follows from the key of the row, which is random and stays there: every run on every machine gives the same.
    id_ = f"wi-{letters(str(row['sleutel']).encode(), (), ID_LETTERS)}"
    earlier = known.signal_id if known is not None else None  # what a fact names in vain, the hub leaves out
    if message is Message.ANNOUNCED:
        return NewSignal(type=ANNOUNCED, data=data, id=id_, replaces=earlier)
    return NewSignal(type=CARRIED_OUT if message is Message.CARRIED_OUT else WITHDRAWN, data=data, id=id_, cause=earlier)


_UNREADABLE: Final = object()


def _json(name: str, value: Any) -> Any:
    """Return the value of a column as JSON has it; what drivers give for the same column differs."""
    if name in _YES_NO and isinstance(value, int) and value in {0, 1}:
        return bool(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int) else _UNREADABLE
