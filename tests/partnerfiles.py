"""Files as partners deliver them, for tests: invented people in an invented layout."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from openpyxl import Workbook

from connectors.kit.memory import MemoryGateway
from connectors.vaste_lasten.settings import Partner, read_partners
from hub.client import NewSignal, Receipt

PARTNER: Final = "wonen-voorbeeld"
COLUMNS: Final[dict[str, str]] = {
    "kenmerk": "Contract", "gemeentecode": "Gemeente", "achternaam": "Naam", "voorletters": "Voorl.", "geboortedatum": "Geboren",
    "postcode": "Postcode", "huisnummer": "Nr", "huisletter": "Letter", "huisnummertoevoeging": "Toev.", "telefoon": "Tel.",
    "email": "E-mail", "klantnummer": "Klantnr", "bedrag": "Achterstand", "achterstand_maanden": "Maanden", "crisissignaal": "Ontruiming",
    "natuurlijk_persoon": "Particulier", "persoonlijk_contact_gezocht": "Contact gezocht", "gewezen_op_schuldhulp": "Gewezen op hulp",
    "herinneringen": "Aanmaningen", "doorgeven_aangeboden": "Aangeboden", "doorgeven_geweigerd": "Afgewezen",
}  # fmt: skip
FIXED: Final = {"partnersoort": "HUUR", "betrokkene_geinformeerd": "JA", "contactrol": "incasso-huur"}
ROW: Final[dict[str, str]] = {
    "kenmerk": "H-2026-001", "gemeentecode": "0344", "achternaam": "Van Voorbeeld", "voorletters": "A.B.", "geboortedatum": "14-03-1985",
    "postcode": "3511 AB", "huisnummer": "12", "huisletter": "", "huisnummertoevoeging": "bis", "telefoon": "06-12345678",
    "email": "a.voorbeeld@voorbeeld.example", "klantnummer": "", "bedrag": "1.284,50", "achterstand_maanden": "2", "crisissignaal": "nee",
    "natuurlijk_persoon": "ja", "persoonlijk_contact_gezocht": "ja", "gewezen_op_schuldhulp": "ja", "herinneringen": "1",
    "doorgeven_aangeboden": "ja", "doorgeven_geweigerd": "nee",
}  # fmt: skip
"""Field -> cell, of an arrear that meets every precondition."""
HEADER: Final = [*COLUMNS.values()]


class Yes(MemoryGateway):
    """A hub that takes everything of the partner, and notes the ids that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str | None] = []

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        assert participant == PARTNER
        found = super().publish(participant, signals)
        self.ids += [signal.id for signal in signals]
        return found


def row(number: int = 1, **changed: str) -> list[str]:
    """Return the cells of one of many arrears; each has its own reference and amount."""
    own = {"kenmerk": f"H-2026-{number:05d}", "huisnummer": str(number % 900 + 1), "bedrag": f"{number // 100 + 1},{number % 100:02d}"}
    return [*(ROW | own | changed).values()]


def csv_bytes(rows: Iterable[Sequence[str]], header: Sequence[str] = HEADER, *, delimiter: str = ";", encoding: str = "utf-8") -> bytes:
    """Return a CSV file."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([header, *rows])
    return text.getvalue().encode(encoding)


def workbook(rows: Iterable[Sequence[Any]], header: Sequence[str] = HEADER) -> bytes:
    """Return a spreadsheet."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for cells in (header, *rows):
        sheet.append(list(cells))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def settings_file(folder: Path, *partners: Mapping[str, Any]) -> Path:
    """Write a settings file (JSON is YAML too); without partners one, who delivers in `folder/in`."""
    path = folder / "partners.yaml"
    path.write_text(json.dumps({"partners": list(partners) or [partner(folder / "in")]}), encoding="utf-8")
    return path


def partner(folder: Path, **changed: Any) -> dict[str, Any]:
    """Return the settings of a partner, and make its folder."""
    folder.mkdir(exist_ok=True)
    return {"participant": PARTNER, "folder": str(folder), "settle_seconds": 0, "columns": COLUMNS, "fixed": FIXED} | changed


def read_partner(folder: Path, **changed: Any) -> Partner:
    """Return the settings of a partner, as they are read from a file."""
    return read_partners(settings_file(folder, partner(folder / "in", **changed)))[0]


def receipt_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a receipt."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def receipts(folder: Path) -> list[Path]:
    """Return the receipts in a partner's folder."""
    return sorted(folder.glob("*/*.ontvangst.csv"))
