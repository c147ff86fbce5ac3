"""From a row of a partner's file to a signal of an arrear, or every reason why there is none; pure.

What is asked here is whether a row can be read and whether each legal precondition is stated in it. Whether
the preconditions are met, and everything else, is for the rules of the hub.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal, NamedTuple

from connectors.kit.ids import identified
from connectors.vaste_lasten.settings import ONE_OF, Partner, normal
from hub.client import NewSignal

TYPE: Final = "nl.wgs.achterstand-gesignaleerd.v1"
MAX_ROWS: Final = 50_000
MAX_BYTES: Final = 256 * 2**20
MAX_CELL: Final = 32_767
MAX_COLUMNS: Final = 256
MAX_LINES: Final = 1_048_576
"""As many as a sheet of Excel has; blank ones count."""

PRECONDITIONS: Final = (
    "persoonlijk_contact_gezocht",
    "gewezen_op_schuldhulp",
    "herinneringen",
    "doorgeven_aangeboden",
    "doorgeven_geweigerd",
    "natuurlijk_persoon",
    "achterstand_maanden",
)
"""What the law, or the agreement where no article is known, wants to be so before a partner may signal (the first four: Bgs art. 2 a-d)."""

RowCode = Literal[
    "rij-onleesbaar", "rij-onvolledig", "rij-te-lang", "rij-dubbel", "kenmerk-ongeldig", "voorwaarde-ontbreekt",
    "veld-leeg", "bedrag-onleesbaar", "datum-onleesbaar", "getal-onleesbaar", "ja-nee-onleesbaar",
]  # fmt: skip
FileCode = Literal[
    "bsn-kolom", "bestand-onleesbaar", "bestand-onvolledig", "bestand-te-groot", "soort-onbekend", "kop-ontbreekt", "kolom-ontbreekt",
]  # fmt: skip

ROW_REASONS: Final[Mapping[RowCode, str]] = {
    "rij-onleesbaar": "De rij is beschadigd of staat in een andere codering dan de rest van het bestand.",
    "rij-onvolledig": "De rij heeft minder kolommen dan de kop van het bestand.",
    "rij-te-lang": "De rij heeft meer kolommen dan de kop van het bestand.",
    "rij-dubbel": "Dezelfde rij staat hoger in dit bestand al.",
    "kenmerk-ongeldig": "Het kenmerk is leeg, langer dan 40 tekens, zonder cijfer of met andere tekens dan A-Z a-z 0-9 . _ / - en spatie.",
    "voorwaarde-ontbreekt": "Deze voorwaarde staat niet of niet leesbaar in de rij; zonder mag u niet melden.",
    "veld-leeg": "Dit verplichte veld is leeg.",
    "bedrag-onleesbaar": "Dit is geen bedrag in euro's met hooguit twee decimalen.",
    "datum-onleesbaar": "Dit is geen bestaande datum; schrijf bijvoorbeeld 31-12-2026.",
    "getal-onleesbaar": "Dit is geen heel getal.",
    "ja-nee-onleesbaar": "Hier moet ja of nee staan.",
}
"""Every reason of this connector for which a row gives no signal."""

FILE_REASONS: Final[Mapping[FileCode, str]] = {
    "bsn-kolom": "Er staat een kolom met burgerservicenummers in het bestand. Die mag u niet sturen; haal de kolom weg en lever opnieuw.",
    "bestand-onleesbaar": "Het bestand kan niet worden gelezen: het is beschadigd, beveiligd of geen CSV in UTF-8 of Windows-1252.",
    "bestand-onvolledig": "Het bestand is niet af: de laatste regel heeft geen regeleinde, of de sluitregel ontbreekt of telt anders.",
    "bestand-te-groot": "Het bestand heeft meer dan 50.000 rijen of is te groot; splits het en lever opnieuw.",
    "soort-onbekend": "Dit soort bestand wordt niet gelezen; lever een CSV-bestand of een Excel-bestand (.xlsx).",
    "kop-ontbreekt": "Er is geen regel met kolomnamen.",
    "kolom-ontbreekt": "Een afgesproken kolom staat niet precies een keer in de kop van het bestand.",
}
"""Every reason for which a file is refused as a whole."""

_REQUIRED: Final = ("gemeentecode", "achternaam", "postcode", "partnersoort", "betrokkene_geinformeerd", "contactrol")
_OPTIONAL: Final = ("voorletters", "huisletter", "huisnummertoevoeging", "klantnummer", "email")
_CODES: Final = frozenset({"partnersoort", "betrokkene_geinformeerd"})

_REFERENCE: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9._/ -]{1,40}").fullmatch
_WHOLE: Final = re.compile(r"-?[0-9]{1,9}").fullmatch
_DATES: Final = (
    re.compile(r"(?P<d>[0-9]{1,2})[-/.](?P<m>[0-9]{1,2})[-/.](?P<y>[0-9]{4})").fullmatch,
    re.compile(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})").fullmatch,
)
_AMOUNTS: Final = {
    ",": re.compile(r"(-?)([0-9]{1,12}|[0-9]{1,3}(?:\.[0-9]{3}){1,3})(?:,([0-9]{1,2}))?").fullmatch,
    ".": re.compile(r"(-?)([0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3})(?:\.([0-9]{1,2}))?").fullmatch,
}
_IN_NUMBERS: Final = re.compile(r"[\s()./-]+")


class Row(NamedTuple):
    """One row of a file: its line number, counted as a spreadsheet does, and its cells if it could be read."""

    number: int
    cells: Sequence[str] | None


class Reason(NamedTuple):
    """Why a row gives no signal: a code, the field if any, and a sentence without any value."""

    code: str
    field: str | None
    text: str


class RefusedFileError(Exception):
    """A file is refused as a whole; `rows` says how many it has, as far as they were counted."""

    def __init__(self, code: FileCode, names: Sequence[str] = (), rows: int = 0) -> None:
        super().__init__(code)
        self.rows = rows
        text = FILE_REASONS[code]
        self.reason = Reason(code, None, f"{text} Het gaat om: {', '.join(names)}." if names else text)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that gives no signal, and every reason for it."""

    reference: str
    """The partner's own reference; empty if it could not be read with certainty."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Arrear:
    """A row that gives a signal; its repr shows no value."""

    reference: str
    data: Mapping[str, Any] = field(repr=False)

    def signal(self, participant: str, key: bytes) -> NewSignal:
        """Return the signal under the id that follows from partner, reference and content: the same row again is the same signal."""
        return identified(NewSignal(type=TYPE, data=self.data), key, "vl", participant, self.reference)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a partner stand in one file."""

    partner: Partner
    width: int
    at: Mapping[str, int]
    """Field -> position. A precondition without a column in this file is not in it."""
    words: Mapping[str, bool]
    """What means yes and what means no, without case."""

    @classmethod
    def of(cls, header: Sequence[str], partner: Partner) -> Layout:
        """Return the layout of a header in which `missing_columns` finds nothing missing."""
        names = [normal(name) for name in header]
        at = {field: names.index(normal(column)) for field, column in partner.columns.mapped.items() if normal(column) in names}
        words = {word.casefold(): True for word in partner.true_words} | {word.casefold(): False for word in partner.false_words}
        return cls(partner, max(number for number, name in enumerate(names, 1) if name), at, words)


def missing_columns(header: Sequence[str], partner: Partner) -> list[str]:
    """Name the columns that a header does not have exactly once, as the settings call them.

    A precondition may have no column: then its rows are refused, each with that reason. Names come from
    the settings only: where a file has no header, its first line holds personal data.
    """
    names = [normal(name) for name in header]
    return [
        column
        for field, column in partner.columns.mapped.items()
        if (count := names.count(normal(column))) != 1 and not (count == 0 and field in PRECONDITIONS)
    ]


def translate(row: Row, layout: Layout) -> Arrear | Refusal:
    """Return the arrear that a row tells of, or every reason why it cannot be read. Never raises, whatever the cells hold."""
    if row.cells is None:
        return Refusal("", (_reason("rij-onleesbaar"),))
    if len(row.cells) < layout.width:
        return Refusal("", (_reason("rij-onvolledig"),))  # cells may have moved: no reference is certain
    if any(cell.strip() for cell in row.cells[layout.width :]):
        return Refusal("", (_reason("rij-te-lang"),))
    reader = _Reader(row.cells, layout)
    data = reader.data()
    reference = reader.reference()
    return Refusal(reference, tuple(reader.reasons)) if reader.reasons else Arrear(reference, data)


class _Reader:
    """Reads one row, and gathers what is wrong with it."""

    def __init__(self, cells: Sequence[str], layout: Layout) -> None:
        self.partner = layout.partner
        self.words = layout.words
        self.texts = {field: cells[position].strip() for field, position in layout.at.items()}
        self.reasons: list[Reason] = []

    def reference(self) -> str:
        text = self.texts["kenmerk"]
        if _REFERENCE(text) is None:
            self.reasons.insert(0, _reason("kenmerk-ongeldig", "kenmerk"))
            return ""
        return text

    def data(self) -> dict[str, Any]:
        return dict(self._fields())

    def _fields(self) -> Iterator[tuple[str, Any]]:
        for name in _REQUIRED:
            yield name, self.required(name)
        for name in _OPTIONAL:
            yield name, self.texts.get(name) or None
        yield "telefoon", phone(self.texts.get("telefoon", "")) or None
        yield "geboortedatum", self.parsed("geboortedatum", day, "datum-onleesbaar") if self.texts.get("geboortedatum") else None
        yield "huisnummer", self.parsed("huisnummer", whole, "getal-onleesbaar")
        yield "bedrag_cent", self.parsed("bedrag", lambda text: cents(text, self.partner.decimal), "bedrag-onleesbaar")
        yield "crisissignaal", self.parsed("crisissignaal", self.yes_or_no, "ja-nee-onleesbaar")
        for name in PRECONDITIONS:
            yield name, self.precondition(name, whole if name in {"herinneringen", "achterstand_maanden"} else self.yes_or_no)

    def required(self, name: str) -> str | None:
        fixed: str | None = getattr(self.partner.fixed, name) if name in ONE_OF else None
        text = fixed or self.texts.get(name, "")
        if not text:
            self.reasons.append(_reason("veld-leeg", name))
        return text.upper() if name in _CODES else text

    def parsed(self, name: str, parse: Callable[[str], Any], code: RowCode) -> Any:
        text = self.texts.get(name, "")
        value = parse(text)
        if value is None:
            self.reasons.append(_reason(code if text else "veld-leeg", name))
        return value

    def precondition(self, name: str, parse: Callable[[str], Any]) -> Any:
        value = parse(self.texts.get(name, ""))
        if value is None:
            self.reasons.append(_reason("voorwaarde-ontbreekt", name))
        return value

    def yes_or_no(self, text: str) -> bool | None:
        return self.words.get(text.casefold())


def _reason(code: RowCode, name: str | None = None) -> Reason:
    return Reason(code, name, ROW_REASONS[code])


def whole(text: str) -> int | None:
    """Return a whole number, or None."""
    return int(text) if text.isascii() and _WHOLE(text) else None


def cents(text: str, decimal: str) -> int | None:
    """Return euros as cents, or None: `1.234,56` and `€ 1234,5` with a decimal comma. Never rounds."""
    bare = text.removeprefix("€").strip()
    match = _AMOUNTS[decimal](bare) if bare.isascii() else None
    if match is None:
        return None
    sign, euros, rest = match.groups()
    amount = int(euros.replace(".", "").replace(",", "")) * 100 + int((rest or "").ljust(2, "0"))
    return -amount if sign else amount


def day(text: str) -> str | None:
    """Return a date as jjjj-mm-dd, or None: `31-12-2026`, `31/12/2026`, `31.12.2026` or ISO. A year has four digits."""
    for pattern in _DATES:
        match = pattern(text) if text.isascii() else None
        if match is not None:
            try:
                return date(int(match["y"]), int(match["m"]), int(match["d"])).isoformat()
            except ValueError:
                return None
    return None


def phone(text: str) -> str:
    """Return a telephone number without what people write between its digits: `(040) 123 45 67`, `+31 6-12345678`, `0031...`."""
    digits = _IN_NUMBERS.sub("", text)
    return "+" + digits[2:] if digits.startswith("00") else digits


def spreadsheet_text(value: object, partner: Partner) -> str:
    """Return what stands in a cell of a spreadsheet as it would stand in the partner's CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return partner.true_words[0] if value else partner.false_words[0]
    if isinstance(value, float):  # six decimals: a spreadsheet keeps 0.3 as 0.30000000000000004
        return f"{value:.6f}".rstrip("0").rstrip(".").replace(".", partner.decimal)
    if isinstance(value, date):  # and datetime, of which the time is nothing here
        return value.isoformat()[:10]
    return str(value)[:MAX_CELL]
