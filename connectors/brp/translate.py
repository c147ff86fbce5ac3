"""What both forms of the BRP come to: the signal that someone no longer lives where they are registered; pure.

`lo3.py` reads person records in LO3 columns, `personen.py` answers of the BRP personen API.
"""

from __future__ import annotations

import re
from typing import Final

from stdnum.nl import bsn as bsn_number

from hub.client import NewSignal

TYPE: Final = "nl.brp.spookbewoning-gesignaleerd.v1"
DATE_UNKNOWN: Final = "00000000"
WOONADRES: Final = "W"
"""The function of an address at which someone lives; `B` is a letter address."""

_NINE_DIGITS: Final = re.compile(r"[0-9]{9}").fullmatch
_MUNICIPALITY: Final = re.compile(r"(?!0000|1999)[0-9]{4}").fullmatch
_BAG_ID: Final = re.compile(r"(?!0{16})[0-9]{16}").fullmatch


def is_bsn(text: str) -> bool:
    """Say whether a text is a BSN: nine digits that pass the 11-proef, not all zeros."""
    # stdnum alone accepts dots, and nine zeros pass the 11-proef.
    return _NINE_DIGITS(text) is not None and text != "000000000" and bsn_number.is_valid(text)


def is_municipality(code: str) -> bool:
    """Say whether a code is that of a municipality: not unknown (0000), not the RNI (1999)."""
    return _MUNICIPALITY(code) is not None


def signalled(gemeentecode: str, bsn: str, bag_id: str, start: str | None, *, secret: bool) -> NewSignal:
    """Return the signal of an open 089999, without an id.

    Args:
        gemeentecode: Where the person is registered.
        bsn: Whose registration it is.
        bag_id: The dwelling; anything but 16 digits is left out.
        start: When the investigation began, `jjjjmmdd` with zeros for what is unknown; None if it is not said.
        secret: Whether any secrecy is noted.
    """
    data = {
        "gemeentecode": gemeentecode,
        # Too short a number lost its leading zeros; padding it could name another house.
        "bag_id": bag_id if _BAG_ID(bag_id) else None,
        "bsn": bsn,
        "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        # The BRP does not say when the person left. What it does say is that from this day on
        # the person no longer counts as living here; leaving was on or before it.
        "niet_woonachtig_sinds": start or DATE_UNKNOWN,
        "adresonderzoek": "LOOPT",
        "adresonderzoek_start": start,
        "geheimhouding": secret,
        "betrokkene_geinformeerd": "NVT",
        "contactrol": "burgerzaken-adresonderzoek",
    }
    return NewSignal(type=TYPE, data=data)


def publisher(signal: NewSignal) -> str:
    """The participant that publishes the signal: burgerzaken of the municipality in it."""
    return f"burgerzaken.{signal.data['gemeentecode']}"
