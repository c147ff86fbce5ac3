"""From an answer of the BRP personen API (Haal Centraal), and what was seen before, to start, change and end; pure.

The API says how things stand now and keeps no history: an investigation that ended is no longer in it. So an end is
only seen by whoever remembers that there was a beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

from connectors.brp.translate import DATE_UNKNOWN, WOONADRES, is_municipality, signalled
from hub.client import NewSignal

FIELDS: Final = (
    "burgerservicenummer",
    "gemeenteVanInschrijving",
    "verblijfplaatsBinnenland.adresseerbaarObjectIdentificatie",
    "verblijfplaatsBinnenland.datumVan",
    "verblijfplaatsBinnenland.functieAdres",
)
"""All that is asked. `inOnderzoek`, the indication, secrecy and suspension come with it and may not be asked for.

The alias `verblijfplaatsBinnenland` asks nothing of an address abroad.
"""

MOST: Final = 20
"""How many persons one question may be about."""

ENDED: Final = "nl.brp.adresonderzoek-afgerond.v1"
WITHDRAWN: Final = "nl.signaalhub.signaal-ingetrokken.v1"

Reason = Literal[
    "bsn-ongeldig",
    "dubbel-op-de-lijst",
    "geen-open-onderzoek",
    "persoon-niet-gevonden",
    "antwoord-onleesbaar",
    "ongewijzigd",
    "geen-adresvaststelling",
    "andere-gemeente",
    "opgeschort",
    "briefadres",
]

REASONS: Final[Mapping[Reason, str]] = {
    "bsn-ongeldig": "De regel van de lijst is geen geldig burgerservicenummer; er is niets gevraagd.",
    "dubbel-op-de-lijst": "Het burgerservicenummer staat al eerder op de lijst.",
    "geen-open-onderzoek": "Over deze persoon loopt volgens de lijst geen onderzoek; er is niets gevraagd.",
    "persoon-niet-gevonden": "De BRP geeft over dit burgerservicenummer niets; wat er eerder was, blijft staan.",
    "antwoord-onleesbaar": "Het antwoord van de BRP over deze persoon heeft een vorm die niet is beschreven.",
    "ongewijzigd": "De vaststelling is gemeld en is nog zo.",
    "geen-adresvaststelling": "Op het actuele adres staat geen vaststelling, en er is er geen gemeld.",
    "andere-gemeente": "De persoon is niet ingeschreven in deze gemeente.",
    "opgeschort": "De bijhouding van de persoonslijst is opgeschort.",
    "briefadres": "Het adres is geen woonadres, maar bijvoorbeeld een briefadres.",
}
"""Every reason for which someone on the list gives no signal."""

_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})").fullmatch
_YEARS, _MONTHS = range(1, 10_000), range(1, 13)


def question(bsns: Sequence[str]) -> dict[str, Any]:
    """Return the question about at most MOST persons."""
    return {"type": "RaadpleegMetBurgerservicenummer", "burgerservicenummer": list(bsns), "fields": list(FIELDS)}


class UnreadableError(ValueError):
    """An answer does not have the form that the API describes; says nothing of its content."""


@dataclass(frozen=True, slots=True)
class Person:
    """What the BRP says of one person; its repr shows no value."""

    bsn: str = field(repr=False)
    gemeentecode: str = field(repr=False)
    kind: str = field(repr=False)
    """Adres, Locatie, VerblijfplaatsBuitenland or VerblijfplaatsOnbekend; empty if it is not said."""
    functie: str = field(repr=False)
    bag_id: str = field(repr=False)
    sinds: str | None = field(repr=False)
    """Since when the person is registered here, as a gba-datum."""
    vastgesteld: bool = field(repr=False)
    """Whether it was established that the person does not live here."""
    onderzoek: str | None = field(repr=False)
    """When the investigation began, as a gba-datum."""
    geheim: bool = field(repr=False)
    opgeschort: bool = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the connector remembers of one person: a date and a reference, nothing else."""

    onderzoek: str
    """The start of the investigation that was told, as a gba-datum."""
    begonnen: str
    """When the connector first saw it, ISO 8601: tells one establishment from a later one about the same person."""
    signal_id: str | None = None
    """The signal that told of it; None until it is told."""
    einde: str | None = None
    """The day on which the connector saw the end, ISO 8601, until that is told."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to publish, and what to remember once that is done."""

    kind: Literal["begin", "wijziging", "einde"]
    signal: NewSignal
    seen: Seen


def gba_datum(datum: Any) -> str:
    """Return a polymorphic date as `jjjjmmdd` with zeros for what is unknown. Raises UnreadableError."""
    if isinstance(datum, Mapping):
        year, month = datum.get("jaar"), datum.get("maand")
        match datum.get("type"):
            case "Datum" if isinstance(datum.get("datum"), str) and (found := _DATE(datum["datum"])):
                return "".join(found.groups())
            case "JaarMaandDatum" if type(year) is int and type(month) is int and year in _YEARS and month in _MONTHS:
                return f"{year:04d}{month:02d}00"
            case "JaarDatum" if type(year) is int and year in _YEARS:
                return f"{year:04d}0000"
            case "DatumOnbekend":
                return DATE_UNKNOWN
    raise UnreadableError


def read(answer: Any) -> Person:
    """Read one person of an answer; what is absent there is false, unknown or not so. Raises UnreadableError."""
    person = _group(answer)
    place = _group(person.get("verblijfplaats") or {})
    investigation = _group(place.get("inOnderzoek") or {})
    return Person(
        bsn=_text(person.get("burgerservicenummer")),
        gemeentecode=_code(person.get("gemeenteVanInschrijving")),
        kind=_text(place.get("type")),
        functie=_code(place.get("functieAdres")),
        bag_id=_text(place.get("adresseerbaarObjectIdentificatie")),
        sinds=_date(place.get("datumVan")),
        vastgesteld=_yes(place.get("indicatieVastgesteldVerblijftNietOpAdres")),
        onderzoek=_date(investigation.get("datumIngangOnderzoek")),
        geheim=person.get("geheimhoudingPersoonsgegevens") not in (None, False),  # whatever else it is, it is no "not secret"
        opgeschort=person.get("opschortingBijhouding") is not None,
    )


def _group(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise UnreadableError


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise UnreadableError


def _code(value: Any) -> str:
    return "" if value is None else _text(_group(value).get("code"))


def _date(value: Any) -> str | None:
    return None if value is None else gba_datum(value)


def _yes(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise UnreadableError


def step(person: Person, seen: Seen | None, gemeentecode: str, now: str) -> Step | Reason:
    """Compare what the BRP says with what was seen before.

    Args:
        person: What the BRP says now.
        seen: What the connector remembers of this person, if anything.
        gemeentecode: The municipality whose investigations these are.
        now: The moment, ISO 8601; its date is that of the Netherlands.

    Returns:
        One step at most: someone who moved and of whom the same was established again ends first, and begins at the next look.
    """
    if seen is not None and seen.einde is not None:
        return _end(person, seen, gemeentecode, now)  # a run began to tell of the end, and may have done so
    stands = _nothing_told(person, gemeentecode)
    if seen is None or (seen.signal_id is None and stands is None):
        return stands or _begin(person, seen, now)
    if seen.signal_id is None and stands is not None:
        return stands  # it was never told, so there is nothing to end
    if stands is None and not _moved(person, seen):
        return "ongewijzigd" if _onderzoek(person) == seen.onderzoek else _change(person, seen)
    return _end(person, seen, gemeentecode, now)


def _nothing_told(person: Person, gemeentecode: str) -> Reason | None:
    """Return why there is nothing to tell; the reasons stand in the order of the LO3 file."""
    if not person.vastgesteld:
        return "geen-adresvaststelling"
    if person.gemeentecode != gemeentecode:
        return "andere-gemeente"
    if person.opgeschort:
        return "opgeschort"
    return None if person.functie == WOONADRES else "briefadres"


def _onderzoek(person: Person) -> str:
    return person.onderzoek or DATE_UNKNOWN


def _signal(person: Person) -> NewSignal:
    return signalled(person.gemeentecode, person.bsn, person.bag_id, person.onderzoek, secret=person.geheim)


def _begin(person: Person, seen: Seen | None, now: str) -> Step:
    return Step("begin", _signal(person), Seen(_onderzoek(person), seen.begonnen if seen else now))


def _change(person: Person, seen: Seen) -> Step:
    signal = _signal(person)
    corrected = NewSignal(type=signal.type, data=signal.data, replaces=seen.signal_id)
    return Step("wijziging", corrected, Seen(_onderzoek(person), seen.begonnen))


def _end(person: Person, seen: Seen, gemeentecode: str, now: str) -> Step:
    """Say how it ended, as far as the register itself says so; else take the signal back, since it no longer holds."""
    day = seen.einde or now[:10]
    outcome = _outcome(person, seen, gemeentecode)
    if outcome is None:
        signal = NewSignal(type=WITHDRAWN, data={"redencode": "ANDERS"}, cause=seen.signal_id)
    else:
        data = {"gemeentecode": gemeentecode, "uitkomst": outcome, "afgerond_op": day}
        signal = NewSignal(type=ENDED, data=data, cause=seen.signal_id)
    return Step("einde", signal, Seen(seen.onderzoek, seen.begonnen, seen.signal_id, day))


def _outcome(person: Person, seen: Seen, gemeentecode: str) -> str | None:
    """Return the outcome that follows from where the person is registered now; None if none does.

    Still at the same address without the annotation may mean that the person lives there, that the annotation was
    a mistake, or that the municipality did not get round to it; the register does not say which.
    """
    if person.kind == "VerblijfplaatsOnbekend":
        return "ADRES_ONBEKEND"
    if person.kind == "VerblijfplaatsBuitenland":
        return "VERTROKKEN_BUITENLAND"
    if person.opgeschort:
        return None
    if person.gemeentecode != gemeentecode:
        return "VERHUISD_ANDERE_GEMEENTE" if is_municipality(person.gemeentecode) else None
    if not _moved(person, seen):
        return None
    return {WOONADRES: "VERHUISD_BINNEN_GEMEENTE", "B": "BRIEFADRES"}.get(person.functie)


def _moved(person: Person, seen: Seen) -> bool:
    """Say whether the person is registered elsewhere since the investigation began; where a day is unknown, no."""
    known = person.sinds is not None and _is_day(person.sinds) and _is_day(seen.onderzoek)
    return known and str(person.sinds) > seen.onderzoek


def _is_day(datum: str) -> bool:
    try:
        date.fromisoformat(f"{datum[:4]}-{datum[4:6]}-{datum[6:]}")
    except ValueError:
        return False
    return True
