"""From BRP person records in LO3 columns to spookbewoning signals; pure.

A column is named `category.group.element`. A row whose first column is filled starts a person
and holds the current occurrence of every category; a row whose first column is empty adds an
older occurrence (or a further child or travel document) to the person above. So only the row
that starts a person can say anything about the current address, whatever codes stand below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from connectors.brp.translate import WOONADRES, is_bsn, is_municipality, signalled
from connectors.kit.flow import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hub.client import NewSignal

BSN: Final = "01.01.20"
OPSCHORTING: Final = "07.67.10"
GEHEIMHOUDING: Final = "07.70.10"
GEMEENTE: Final = "08.09.10"
FUNCTIE_ADRES: Final = "08.10.10"
ADRESSEERBAAR_OBJECT: Final = "08.11.80"
ONDERZOEK: Final = "08.83.10"
ONDERZOEK_START: Final = "08.83.20"
ONDERZOEK_EINDE: Final = "08.83.30"

COLUMNS: Final = (
    BSN,
    OPSCHORTING,
    GEHEIMHOUDING,
    GEMEENTE,
    FUNCTIE_ADRES,
    ADRESSEERBAAR_OBJECT,
    ONDERZOEK,
    ONDERZOEK_START,
    ONDERZOEK_EINDE,
)
"""The columns that are read; all others are never looked at."""

START_COLUMN: Final = "the first column, without a name, that is filled where a person starts"

Reason = Literal[
    "rij-onvolledig",
    "rij-te-lang",
    "rij-zonder-persoon",
    "geen-adresvaststelling",
    "onderzoek-afgerond",
    "geen-gemeente",
    "opgeschort",
    "briefadres",
    "bsn-ontbreekt",
]

REASONS: Final[Mapping[Reason, str]] = {
    "rij-onvolledig": "De rij heeft minder kolommen dan de kop van het bestand.",
    "rij-te-lang": "De rij heeft meer kolommen dan de kop van het bestand.",
    "rij-zonder-persoon": "De rij vult een persoon aan, maar er staat geen persoon boven.",
    "geen-adresvaststelling": "Op het actuele adres staat geen aanduiding 089999.",
    "onderzoek-afgerond": "Het adresonderzoek op het actuele adres heeft een einddatum.",
    "geen-gemeente": "Er is geen gemeente van inschrijving (onbekend, of alleen de RNI).",
    "opgeschort": "De bijhouding van de persoonslijst is opgeschort.",
    "briefadres": "Het adres is geen woonadres, maar bijvoorbeeld een briefadres.",
    "bsn-ontbreekt": "Er is geen geldig burgerservicenummer.",
}
"""Every reason for which a person gives no signal, in the order in which they are asked."""

VASTGESTELD: Final = "089999"
_NOT_SECRET: Final = ("", "0")

_ELEMENT: Final = re.compile(r"[0-9]{2}\.([0-9]{2}\.[0-9]{2}|H)").fullmatch


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """What one person's current occurrences say in `COLUMNS`; its repr shows no value."""

    current: Mapping[str, str] = field(repr=False)
    fault: Reason | None = None
    """Why the row cannot be read; `current` is empty then."""


def missing_columns(header: Sequence[str]) -> list[str]:
    """Name the columns that this connector needs and cannot find exactly once.

    Returns names from this module only: where a file has no header, its first row holds
    personal data.
    """
    names = [name.strip() for name in header]
    missing = [column for column in COLUMNS if names.count(column) != 1]
    # Without its first column a file still has all others, but every row of history would
    # then pass for a person.
    if not names or _ELEMENT(names[0]):
        missing.insert(0, START_COLUMN)
    return missing


def records(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[PersonRecord]:
    """Yield one record for each row that starts a person, in order; holds one row at a time.

    A damaged row gives a record with a fault, never an exception. Rows are taken by position,
    since LO3 files repeat column names (the last column has no name either).

    Args:
        header: A header in which `missing_columns` finds nothing missing.
        rows: The cells of each further row.
    """
    names = [name.strip() for name in header]
    positions = {column: names.index(column) for column in COLUMNS}
    shortest = max(position for position, name in enumerate(names) if name) + 1
    started = False
    for row in rows:
        if not any(row):
            continue
        if not row[0].strip():
            if not started:
                yield PersonRecord({}, "rij-zonder-persoon")
            continue
        started = True
        if len(row) < shortest:
            yield PersonRecord({}, "rij-onvolledig")
        elif len(row) > len(names):
            yield PersonRecord({}, "rij-te-lang")
        else:
            yield PersonRecord({column: row[at].strip() for column, at in positions.items()})


def translate(person: PersonRecord) -> NewSignal | Skipped:
    """Give the signal that follows from a person, without an id, or why none does.

    The first question is whether there is anything to tell: an open 089999 on the current
    address. Only of those who have one is it worth counting what stands in the way, so that
    the other counts show missed signals and not the make-up of the file.
    """
    reason = person.fault or _nothing_to_tell(person.current) or _obstacle(person.current)
    return Skipped(reason) if reason else _signal(person.current)


def _nothing_to_tell(current: Mapping[str, str]) -> Reason | None:
    if current[ONDERZOEK] != VASTGESTELD:
        return "geen-adresvaststelling"
    # Any end date counts, 00000000 too: that one says "ended, unknown when".
    return "onderzoek-afgerond" if current[ONDERZOEK_EINDE] else None


def _obstacle(current: Mapping[str, str]) -> Reason | None:
    if not is_municipality(current[GEMEENTE]):
        return "geen-gemeente"
    if current[OPSCHORTING]:
        return "opgeschort"
    if current[FUNCTIE_ADRES] != WOONADRES:
        return "briefadres"
    return None if is_bsn(current[BSN]) else "bsn-ontbreekt"


def _signal(current: Mapping[str, str]) -> NewSignal:
    return signalled(
        current[GEMEENTE],
        current[BSN],
        current[ADRESSEERBAAR_OBJECT],
        current[ONDERZOEK_START] or None,
        secret=current[GEHEIMHOUDING] not in _NOT_SECRET,
    )
