"""From what schuldhulp received and answered to vroegsignalen and vroegsignaalzaken of DDAS; pure.

What the hub did not tell the municipality, or the municipality did not tell the hub, is left out.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from consumers.ddas.model import Client, Partner, Reference, Signaalpartner, Status, Vroegsignaal, Vroegsignaalzaak
from hub.client import Exchanged

ARREAR: Final = "nl.wgs.achterstand-gesignaleerd.v1"
ANSWER: Final = "nl.wgs.hulpaanbod-resultaat.v1"
WITHDRAWN: Final = "nl.signaalhub.signaal-ingetrokken.v1"
TYPES: Final = (ARREAR, ANSWER, WITHDRAWN)
"""The signal types that the export looks at."""

AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
OFFERED: Final = "AANBOD_GEDAAN"
_PARTNERS: Final[Mapping[str, Partner]] = {"ENERGIE": "Energie", "HUUR": "Huur", "WATER": "Water", "ZORG": "Zorg"}

Reason = Literal["ingetrokken", "buiten-periode", "niet-meer-bewaard", "gecorrigeerd"]
REASONS: Final[Mapping[Reason, str]] = {
    "ingetrokken": "De partner heeft de melding ingetrokken.",
    "buiten-periode": "De melding kwam niet in deze maand, en er is in deze maand ook niet op geantwoord.",
    "niet-meer-bewaard": "In deze maand is geantwoord op een melding van eerder, waarvan de inhoud niet meer wordt bewaard.",
    "gecorrigeerd": "De partner heeft de melding gecorrigeerd; alleen de laatste versie telt.",
}
"""Every reason for which a delivery of an arrear is not in the file."""


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month in the Netherlands, first and last day included."""

    first: date
    last: date

    @classmethod
    def of(cls, month: str) -> Period:
        """Return the period of a month such as `2026-10`."""
        year, number = map(int, month.split("-"))
        return cls(date(year, number, 1), date(year, number, monthrange(year, number)[1]))

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(slots=True)
class Melding:
    """An arrear as it stands now; its repr shows no data."""

    id: str
    """The delivery_id of its first version, which every later delivery to CBS repeats."""
    day: date
    """When the municipality received it."""
    waited: bool
    data: Mapping[str, Any] | None = field(repr=False)
    """The latest version; None when the hub does not keep it any more."""
    corrections: int = 0
    withdrawn: bool = False
    answers: dict[str, tuple[str, date]] = field(default_factory=dict)
    """signal_id of the answer -> what it said and for which day; without the answers that were taken back."""

    def until(self, last: date) -> list[tuple[str, date]]:
        """Return the answers up to and including a day, the oldest first."""
        return sorted((answer for answer in self.answers.values() if answer[1] <= last), key=lambda answer: answer[1])

    def left_out(self, period: Period) -> Reason | None:
        """Return why it is not in the delivery of a period, or None.

        It is in the delivery of the month in which it came, and in that of every later month in which it was answered.
        """
        if self.withdrawn:
            return "ingetrokken"
        if self.day in period:
            return None
        if self.day > period.last or not any(day in period for _, day in self.until(period.last)):
            return "buiten-periode"
        return "niet-meer-bewaard" if self.data is None else None


def standing(history: Iterable[Exchanged]) -> list[Melding]:
    """Return every arrear that was received, in order, as it stands after corrections, withdrawals and answers.

    `history` has what was received before what was published, each in order.
    """
    meldingen: dict[str, Melding] = {}
    answered: dict[str, Melding] = {}
    for item in history:
        if item.own:
            _answer(item, meldingen, answered)
        elif item.type == ARREAR:
            _receive(item, meldingen)
        elif item.type == WITHDRAWN and item.cause in meldingen:
            meldingen[item.cause].withdrawn = True
    return list({melding.id: melding for melding in meldingen.values()}.values())


def _receive(item: Exchanged, meldingen: dict[str, Melding]) -> None:
    known = meldingen.get(item.replaces or "")
    if known is None:
        known = Melding(item.id, item.time.astimezone(AMSTERDAM).date(), item.waited, item.data)
    else:
        known.data = item.data
        known.corrections += 1
    meldingen[item.id] = known


def _answer(item: Exchanged, meldingen: Mapping[str, Melding], answered: dict[str, Melding]) -> None:
    earlier = item.cause if item.type == WITHDRAWN else item.replaces
    melding = answered.pop(earlier, None) if earlier else None
    if melding is not None:
        del melding.answers[earlier or ""]
    if item.type != ANSWER or item.data is None:
        return
    melding = melding or meldingen.get(item.cause or "")
    if melding is not None:
        melding.answers[item.id] = (item.data["resultaat"], date.fromisoformat(item.data["resultaat_op"]))
        answered[item.id] = melding


def vroegsignaal(melding: Melding, period: Period) -> Vroegsignaal:
    """Return an arrear as DDAS tells it, with its status at the end of the period.

    Raises ValueError when its content is not kept any more.
    """
    data = melding.data
    if data is None:
        msg = "the content is not kept"
        raise ValueError(msg)
    return Vroegsignaal(
        id=melding.id,
        crisissignaal=data.get("crisissignaal"),  # not in what was delivered before the rules granted it
        bedrag=whole_euros(data["bedrag_cent"]),
        # DDAS asks when the partner sent it. The hub passes on at once, unless it had to wait for room: then
        # nobody told the municipality.
        signaaldatum=None if melding.waited else melding.day,
        status=_status([said for said, _ in melding.until(period.last)]),
        signaalpartner=Signaalpartner(type=_PARTNERS.get(data["partnersoort"])),
        client=Client(
            geboortedatum=data["geboortedatum"],
            postcode=data["postcode"].replace(" ", "").upper(),
            huisnummer=str(data["huisnummer"]),
            # DDAS has no place for the letter, and 101C is another house than 101.
            huisnummertoevoeging=(data["huisletter"] or "") + (data["huisnummertoevoeging"] or "") or None,
        ),
    )


def _status(said: list[str]) -> Status | None:
    if OFFERED in said:
        return "Opgepakt"
    # In the model a signal begins as the latter. One that was closed without an offer ended, and why is not known.
    return None if said else "Nog niet opgepakt"


def vroegsignaalzaak(melding: Melding, period: Period) -> Vroegsignaalzaak | None:
    """Return what the municipality did about an arrear up to the end of the period; None if it offered no help.

    The offer is the first act of which the hub knows, so its day counts as the day on which the case was taken up. How it ended
    (`resultaat`) and how often contact was sought stays with the municipality.
    """
    offered = [day for said, day in melding.until(period.last) if said == OFFERED]
    return Vroegsignaalzaak(datum_opgepakt=offered[0], vroegsignalen=(Reference(id=melding.id),)) if offered else None


def whole_euros(cents: int) -> int:
    """Round eurocents to whole euros, half up."""
    return (cents + 50) // 100
