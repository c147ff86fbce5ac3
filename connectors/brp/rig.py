"""A small file of persons, and what must come of it: how the conformance suite sees this connector."""

from __future__ import annotations

from typing import Final

from connectors.brp import CONNECTOR
from connectors.brp.settings import BrpSettings
from connectors.brp.translate import TYPE
from connectors.kit.rigs import FileRig
from hub.client import NewSignal


def _left(municipality: str, bsn: str, bag_id: str, since: str, *, secret: bool = False) -> tuple[str, NewSignal]:
    data = {
        "gemeentecode": municipality, "bag_id": bag_id, "bsn": bsn, "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        "niet_woonachtig_sinds": since, "adresonderzoek": "LOOPT", "adresonderzoek_start": since, "geheimhouding": secret,
        "betrokkene_geinformeerd": "NVT", "contactrol": "burgerzaken-adresonderzoek",
    }  # fmt: skip
    return f"burgerzaken.{municipality}", NewSignal(type=TYPE, data=data)


RIG: Final = FileRig(
    connector=CONNECTOR,
    settings=lambda folder: BrpSettings(file=folder / "input.csv", state_dir=folder / "state"),
    header=";01.01.20;01.02.40;07.67.10;07.70.10;08.09.10;08.10.10;08.11.80;08.83.10;08.83.20;08.83.30;",
    rows=[
        "P_1;999990007;Verzonnen;;0;0855;W;0855010000000017;;;;",
        "P_2;999990019;Voorbeeld;;0;0855;W;0855010000000025;089999;20260914;;",
        ";;Vroeger;;;0855;W;0855010000000025;080000;20260801;20260914;",
        "P_3;999990020;Bedacht;;7;0344;W;0344010000000033;089999;20260901;;",
        "P_4;999990056;Niemand;;0;0855;B;;089999;20260818;;",
        "P_5;kapotte rij",
        "P_6;999990068;Nergens;;0;0772;W;0772010000000041;089999;20261002;;",
    ],
    items=6,
    signals=[
        _left("0855", "999990019", "0855010000000025", "20260914"),
        _left("0344", "999990020", "0344010000000033", "20260901", secret=True),
        _left("0772", "999990068", "0772010000000041", "20261002"),
    ],
)  # fmt: skip
