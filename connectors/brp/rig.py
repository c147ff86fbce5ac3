"""A small file of persons, a small BRP, and what must come of them: how the conformance suite sees this connector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from connectors.brp import CONNECTOR
from connectors.brp.personen import FIELDS, MOST
from connectors.brp.settings import BrpSettings
from connectors.brp.translate import TYPE
from connectors.kit.counterpart import Request, Respond
from connectors.kit.rigs import FileRig, HttpRig
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


# --- the API ------------------------------------------------------------------------------

_BSN: Final = re.compile(r"[0-9]{9}").fullmatch


def playing(persons: Mapping[str, Mapping[str, Any]], token: str = "") -> Respond:
    """Answer as the BRP personen API does: refuse what it refuses, and more fields than this purpose needs.

    Args:
        persons: What it says of each burgerservicenummer that it knows.
        token: What it wants to see, if anything.
    """

    def answer(request: Request) -> Any:
        if token and request.headers.get("authorization") != f"Bearer {token}":
            return 401, {"status": 401, "code": "authentication"}
        if (request.method, request.path) != ("POST", "/personen"):
            return 404, {"status": 404, "code": "notFound"}
        asked = request.json
        bsns, fields = asked.get("burgerservicenummer"), asked.get("fields")
        if asked.get("type") != "RaadpleegMetBurgerservicenummer" or asked.keys() - {"type", "burgerservicenummer", "fields"}:
            return 400, {"status": 400, "code": "paramsValidation"}
        if not isinstance(bsns, list) or not 1 <= len(bsns) <= MOST or not all(map(_BSN, bsns)):
            return 400, {"status": 400, "code": "paramsValidation"}
        if not fields or set(fields) - set(FIELDS):
            return 400, {"status": 400, "code": "paramsValidation"}
        return {"type": asked["type"], "personen": [persons[bsn] for bsn in bsns if bsn in persons]}

    return answer


def person(bsn: str, since: str | None = None, municipality: str = "0855", **more: Any) -> dict[str, Any]:
    """Return what the API says of someone, with an establishment since a day if one is given."""
    open_ = {"type": True, "datumIngangOnderzoek": {"type": "Datum", "datum": since, "langFormaat": "een dag"}}
    established = {"indicatieVastgesteldVerblijftNietOpAdres": True, "inOnderzoek": open_} if since else {}
    place = {
        "type": "Adres",
        "adresseerbaarObjectIdentificatie": "0855010000000025",
        "functieAdres": {"code": "W", "omschrijving": "woonadres"},
        "datumVan": {"type": "Datum", "datum": "2019-04-14", "langFormaat": "14 april 2019"},
    }
    home = {"code": municipality, "omschrijving": "Voorbeeldstad"}
    return {"burgerservicenummer": bsn, "gemeenteVanInschrijving": home, "verblijfplaats": place | established} | more


_LIST: Final = ("999990007", "999990019", "999990020", "999990056", "999990068", "niet-een-nummer", "999990019")
_KNOWN: Final = {
    "999990007": person("999990007"),
    "999990019": person("999990019", "2026-09-14"),
    "999990020": person("999990020", "2026-09-01", geheimhoudingPersoonsgegevens=True),
    "999990056": person("999990056", "2026-08-18", municipality="0344"),
}

_TOKEN: Final = "verzonnen-geheim"  # noqa: S105  (of the counterpart)


def _write_list(folder: Path) -> None:
    (folder / "lijst.txt").write_text("\n".join(_LIST) + "\n", encoding="utf-8")


API: Final = HttpRig(
    connector=CONNECTOR,
    settings=lambda folder, url: BrpSettings(
        api_url=url, token=SecretStr(_TOKEN), municipality="0855", persons=folder / "lijst.txt", state_dir=folder / "state"
    ),
    prepare=_write_list,
    answer=playing(_KNOWN, _TOKEN),
    asks=lambda _: True,
    items=len(_LIST),
    secret_values=_LIST,
    public=[*FIELDS, "20260914", "20260901"],  # the dates: the connector remembers them, under a pseudonym
    signals=[
        _left("0855", "999990019", "0855010000000025", "20260914"),
        _left("0855", "999990020", "0855010000000025", "20260901", secret=True),
    ],
)  # fmt: skip
