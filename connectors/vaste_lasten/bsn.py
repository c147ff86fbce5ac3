"""Whether a column holds BSNs, by its name or by what stands in it; pure.

A partner may not send a BSN: the municipality looks it up itself. One nine-digit number in eleven
passes the 11-proef by chance, so a customer number now and then looks like a BSN and says nothing.
A column is taken for BSNs when so many of its *different* values pass that chance alone would do
that in fewer than one column in a million: six of six, eight of ten, 143 of 1,000. With fewer than six values
content says nothing, and only the name can tell.
"""

from __future__ import annotations

import math
import re
from typing import Final

from stdnum.nl import bsn

CHANCE: Final = 1 / 11
"""The share of arbitrary nine-digit numbers that pass the 11-proef."""
DOUBT: Final = math.log(1e6)
"""How unlikely (as -ln p) chance must be before a column counts as BSNs."""

_NAMES: Final = ("burgerservice", "sofinummer", "sofinr", "sociaalfiscaalnummer")
# Excel drops leading zeros, so eight digits count too.
_NUMBER: Final = re.compile(r"(?<![0-9])([0-9]{8,9}|[0-9]{3}([. -])[0-9]{3}\2[0-9]{3}|[0-9]{4}([. -])[0-9]{2}\3[0-9]{3})(?![0-9])").search
_NO_DIGITS: Final = re.compile(r"[^0-9]+")
_SHORTEST: Final = 8
_BITS: Final = 1 << 20


def is_bsn_name(name: str) -> bool:
    """Say whether a column is called after the BSN: `BSN`, `bsn_klant`, `KlantBSN`, `Burgerservicenummer`, `sofi-nummer`."""
    words = [word for word in re.split(r"[\W_]+", name.casefold()) if word]
    return any(word.startswith("bsn") or word.endswith("bsn") for word in words) or any(known in "".join(words) for known in _NAMES)


def could_be_bsn(text: str) -> int | None:
    """Return the number of eight or nine digits that a cell holds, with or without points in it, or None."""
    if len(text) < _SHORTEST:
        return None
    found = _NUMBER(text)
    return int(_NO_DIGITS.sub("", found[0])) if found else None


class Tally:
    """How many different numbers a column holds, and how many of them pass; of fixed size, whatever the column holds."""

    __slots__ = ("_seen", "numbers", "passing")

    def __init__(self) -> None:
        self._seen = bytearray(_BITS // 8)  # two values may share a bit: then one of them is not counted, which is fine
        self.numbers = 0
        self.passing = 0

    def add(self, number: int) -> None:
        """Take in a number that `could_be_bsn` found. Numbers that come again count once."""
        bit = (number * 2_654_435_761 % 2**32) >> 12  # Fibonacci hashing to 20 bits
        if self._seen[bit >> 3] & 1 << (bit & 7):
            return
        self._seen[bit >> 3] |= 1 << (bit & 7)
        self.numbers += 1
        self.passing += number > 0 and bsn.checksum(f"{number:09d}") == 0

    @property
    def is_bsn(self) -> bool:
        """Say whether chance does not explain how many pass (Chernoff's bound on the binomial tail)."""
        share = self.passing / self.numbers if self.numbers else 0.0
        if share <= CHANCE:
            return False
        rest = (1 - share) * math.log((1 - share) / (1 - CHANCE)) if share < 1 else 0.0
        return self.numbers * (share * math.log(share / CHANCE) + rest) > DOUBT
