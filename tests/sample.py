"""Sample data for tests: invented people, BSNs from the documented test range."""

from __future__ import annotations

from typing import Any, Final

from hub.client import NewSignal

ADDRESS: Final = "nl.brp.spookbewoning-gesignaleerd.v1"
INVESTIGATED: Final = "nl.brp.adresonderzoek-afgerond.v1"
ANSWER: Final = "nl.awir.adressignaal-verwerkt.v1"
DEBT: Final = "nl.wgs.achterstand-gesignaleerd.v1"
OFFER: Final = "nl.wgs.hulpaanbod-resultaat.v1"


def address_data(**changed: Any) -> dict[str, Any]:
    """Return the data of a spookbewoning signal of Tilburg."""
    return {
        "gemeentecode": "0855", "bag_id": "0855010000000017", "bsn": "999990019", "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        "niet_woonachtig_sinds": "20260914", "adresonderzoek": "LOOPT", "adresonderzoek_start": "20260914",
        "geheimhouding": False, "betrokkene_geinformeerd": "NVT", "contactrol": "burgerzaken-adresonderzoek",
    } | changed  # fmt: skip


def debt_data(**changed: Any) -> dict[str, Any]:
    """Return the data of a rent arrear in Eindhoven that meets every precondition."""
    return {
        "gemeentecode": "0772", "achternaam": "Jansen", "voorletters": "A.", "geboortedatum": "1980-02-29", "postcode": "5611 AB",
        "huisnummer": 12, "huisletter": None, "huisnummertoevoeging": None, "telefoon": None, "email": None,
        "klantnummer": None, "partnersoort": "HUUR", "bedrag_cent": 120_000, "achterstand_maanden": 2,
        "crisissignaal": False, "natuurlijk_persoon": True, "persoonlijk_contact_gezocht": True,
        "gewezen_op_schuldhulp": True, "herinneringen": 1, "doorgeven_aangeboden": True, "doorgeven_geweigerd": False,
        "betrokkene_geinformeerd": "JA", "contactrol": "incasso",
    } | changed  # fmt: skip


def address(**changed: Any) -> NewSignal:
    """Return a spookbewoning signal."""
    return NewSignal(type=ADDRESS, data=address_data(**changed))


def debt(**changed: Any) -> NewSignal:
    """Return a rent arrear signal."""
    return NewSignal(type=DEBT, data=debt_data(**changed))
