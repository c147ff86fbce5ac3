"""The formats that a string field can have, checked at admission.

Each check returns whether the text is right; the reason code for a wrong one stands beside it.
Sources: BSN 11-proef and BAG, OIN and gba-datum forms as their registers publish them.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from stdnum.nl import brin, bsn, postcode

if TYPE_CHECKING:
    from collections.abc import Callable

_NINE_DIGITS: Final = re.compile(r"[0-9]{9}").fullmatch
_DIGIT_RUN: Final = re.compile(r"[0-9]{9,}")
_DOTTED: Final = re.compile(r"(?<![0-9])([0-9]{3})[._-]([0-9]{3})[._-]([0-9]{3})(?![0-9])")
_GBA: Final = re.compile(r"[0-9]{8}").fullmatch
_MUNICIPALITY: Final = re.compile(r"(?!0000|1999)[0-9]{4}").fullmatch


def is_bsn(text: str) -> bool:
    """Nine digits that pass the 11-proef and are not all zero (stdnum alone accepts dots)."""
    return _NINE_DIGITS(text) is not None and text != "000000000" and bsn.checksum(text) == 0


def holds_bsn(text: str) -> bool:
    """Say whether `text` holds nine digits in a row, or as 123.456.782, that could be a BSN."""
    if any(is_bsn("".join(parts)) for parts in _DOTTED.findall(text)):
        return True
    return any(is_bsn(run[i : i + 9]) for run in _DIGIT_RUN.findall(text) for i in range(len(run) - 8))


def is_gba_date(text: str) -> bool:
    """Eight digits jjjjmmdd; unknown parts are zeros, from the right (Logisch Ontwerp BRP)."""
    if _GBA(text) is None:
        return False
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    if year == 0 or month == 0:
        return day == 0 and (year != 0 or month == 0)
    try:
        date(year, month, day or 1)
    except ValueError:
        return False
    return True


def is_municipality(text: str) -> bool:
    """A CBS gemeentecode: four digits, not 0000 (unknown) and not 1999 (RNI)."""
    return _MUNICIPALITY(text) is not None


def _pattern(text: str) -> Callable[[str], bool]:
    match = re.compile(text).fullmatch
    return lambda value: match(value) is not None


def _both(text: str, is_valid: Callable[[str], bool]) -> Callable[[str], bool]:
    """Hold the exact form first: the library accepts dots, dashes and spaces around."""
    match = re.compile(text).fullmatch
    return lambda value: match(value) is not None and is_valid(value)


FORMATS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "bsn": (is_bsn, "bsn-ongeldig"),
    "gemeentecode": (is_municipality, "gemeentecode-ongeldig"),
    "bag-id": (_pattern(r"[0-9]{16}"), "bag-id-ongeldig"),
    "postcode": (_both(r"[1-9][0-9]{3} ?[A-Za-z]{2}", postcode.is_valid), "postcode-ongeldig"),
    "oin": (_pattern(r"[0-9]{8}[0-9A-Z]{12}"), "oin-ongeldig"),
    "cjib-nummer": (_pattern(r"[0-9]{9}|[0-9]{16}"), "cjib-nummer-ongeldig"),
    "gba-datum": (is_gba_date, "gba-datum-ongeldig"),
    "email": (_pattern(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,189}\.[A-Za-z]{2,}"), "email-ongeldig"),
    "phone": (_pattern(r"(\+[1-9][0-9]{7,14})|(0[0-9]{9})"), "telefoon-ongeldig"),
    "brin": (_both(r"[0-9]{2}[A-Z]{2}([0-9]{2})?", brin.is_valid), "brin-ongeldig"),
}
"""Format name -> (check, reason code)."""


def canonical(kind: str | None, text: str) -> str:
    """Return the one spelling under which equal things are equal (`3511 ab` is `3511AB`)."""
    if kind == "postcode":
        return text.replace(" ", "").upper()
    return " ".join(text.split()).casefold() if kind is None else text
