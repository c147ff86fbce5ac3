"""One partner, a small file of it, and what must come of that: how the conformance suite sees this connector."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from connectors.kit.memory import START
from connectors.kit.rig import Fault, World
from connectors.kit.rigs import FileRig
from connectors.vaste_lasten import CONNECTOR
from connectors.vaste_lasten.settings import VasteLastenSettings
from connectors.vaste_lasten.translate import TYPE
from hub.client import NewSignal

PARTNER: Final = "wonen-voorbeeld"
COLUMNS: Final = {
    "kenmerk": "Contract", "gemeentecode": "Gemeente", "achternaam": "Naam", "geboortedatum": "Geboren", "postcode": "Postcode",
    "huisnummer": "Nr", "telefoon": "Tel.", "achterstand_maanden": "Maanden", "crisissignaal": "Ontruiming",
    "natuurlijk_persoon": "Particulier", "persoonlijk_contact_gezocht": "Contact gezocht", "gewezen_op_schuldhulp": "Gewezen op hulp",
    "herinneringen": "Aanmaningen", "doorgeven_aangeboden": "Aangeboden", "doorgeven_geweigerd": "Afgewezen", "bedrag": "Achterstand",
}  # fmt: skip
"""The amount stands last: what is cut off of it is an amount too."""
FIXED: Final = {"partnersoort": "HUUR", "betrokkene_geinformeerd": "JA", "contactrol": "incasso-huur"}


def write_partners(folder: Path, name: str = "partners.yaml", **more: Any) -> None:
    """Write the settings of the partner, who delivers in `in`; what is not whole is put aside at once. JSON is YAML too."""
    partner: dict[str, Any] = {"participant": PARTNER, "folder": "in", "patience_minutes": 0, "columns": COLUMNS, "fixed": FIXED}
    (folder / name).write_text(json.dumps({"partners": [partner | more]}), encoding="utf-8")


def settings_in(folder: Path) -> VasteLastenSettings:
    """Return the settings of a world."""
    return VasteLastenSettings(partners=folder / "partners.yaml", state_dir=folder / "state")


@dataclass(kw_only=True)
class PartnerRig(FileRig):
    """A file that a partner delivers: it can be cut off and damaged, and its folder can be away."""

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[World]:
        """Deliver the file, written to when the hub's clock begins."""
        file, aside = folder / self.name, folder / "elders"
        with super().open(folder) as world:

            def spoil(fault: Fault, variant: int = 0) -> None:
                if fault is Fault.UNREACHABLE:
                    file.parent.rename(aside)
                elif world.spoil is not None:
                    world.spoil(fault, variant)
                    _written_at_the_start(file)

            def mend() -> None:
                if aside.exists():
                    aside.rename(file.parent)
                world.mend()
                _written_at_the_start(file)

            mend()
            yield replace(world, spoil=spoil, mend=mend)


def _written_at_the_start(file: Path) -> None:
    os.utime(file, (START.timestamp(), START.timestamp()))


def _arrear(**own: Any) -> tuple[str, NewSignal]:
    data = {
        "gemeentecode": "0344", "achternaam": "Van Voorbeeld", "voorletters": None, "geboortedatum": None, "postcode": "3511 AB",
        "huisnummer": 12, "huisletter": None, "huisnummertoevoeging": None, "telefoon": None, "email": None, "klantnummer": None,
        "partnersoort": "HUUR", "achterstand_maanden": 2, "crisissignaal": False, "natuurlijk_persoon": True,
        "persoonlijk_contact_gezocht": True, "gewezen_op_schuldhulp": True, "herinneringen": 1, "doorgeven_aangeboden": True,
        "doorgeven_geweigerd": False, "betrokkene_geinformeerd": "JA", "contactrol": "incasso-huur",
    }  # fmt: skip
    return PARTNER, NewSignal(type=TYPE, data=data | own)


RIG: Final = PartnerRig(
    connector=CONNECTOR,
    settings=settings_in,
    prepare=write_partners,
    name="in/oktober.csv",
    header=";".join(COLUMNS.values()),
    rows=[
        "H-2026-001;0344;Van Voorbeeld;14-03-1985;3511 AB;12;06-12345678;2;nee;ja;ja;ja;1;ja;nee;1.284,50",
        'H-2026-002;0344;"Verzonnen; Ünal";;3511AC;7;;4;ja;ja;ja;ja;3;ja;nee;986,00',
        "H-2026-003;0344;Zondercontact;;3511AD;9;;2;nee;ja;;ja;1;ja;nee;310,25",
        "H-2026-004;0344;Halverij",
        "Kwartelkoning;0344;Zonderkenmerk;;3511AE;11;;2;nee;ja;ja;ja;1;ja;nee;410,25",
        "H-2026-001;0344;Van Voorbeeld;14-03-1985;3511 AB;12;06-12345678;2;nee;ja;ja;ja;1;ja;nee;1.284,50",
        "H-2026-005;0344;Iemand;;3511 AF;15;030 1234567;3;nee;ja;ja;ja;2;ja;nee;12.345,67",
    ],
    signals=[
        _arrear(geboortedatum="1985-03-14", telefoon="0612345678", bedrag_cent=128_450),
        _arrear(achternaam="Verzonnen; Ünal", postcode="3511AC", huisnummer=7, achterstand_maanden=4, crisissignaal=True, herinneringen=3,
                bedrag_cent=98_600),
        _arrear(achternaam="Iemand", postcode="3511 AF", huisnummer=15, telefoon="0301234567", achterstand_maanden=3, herinneringen=2,
                bedrag_cent=1_234_567),
    ],
    public=["H-2026-001", "H-2026-002", "H-2026-003", "H-2026-004", "H-2026-005", "incasso-huur"],
    leaves=["in/*/*.ontvangst.csv"],
)  # fmt: skip
