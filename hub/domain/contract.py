"""A contract: what a signal type may say, by whom, and how each field is classified.

A contract is a plain Avro record with attributes that Avro allows as metadata. How a file becomes
one is in `contractfile`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

CLASSES: Final = {
    "organisation": "no person",
    "code": "a neutral code about a person",
    "identifier": "identifies a person: BSN, name, birth date, contact",
    "address": "a house address or an id of one",
    "financial": "an amount of a person's money",
    "sensitive": "a neutral code that still hints at health or need",
    "sanction": "CJIB or suspicion, treated as AVG art. 10",
}
"""The privacy classes. `free-text` and `special` (AVG art. 9) do not exist in a hub schema."""

INFORMED: Final = ("JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT")
KETEN: Final = "@keten"
ANYTHING: Final = "*"
"""In `answers`: the type answers any signal that the publisher sent or received."""
LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar of a contract, or of the records in one of its arrays."""

    path: tuple[str, ...]
    kind: str
    """`string`, `int`, `long`, `boolean`, `enum`, `date`, `timestamp` or `gba-datum`."""
    nullable: bool
    in_array: bool
    privacy: str
    symbols: tuple[str, ...] = ()
    format: str | None = None

    @property
    def dotted(self) -> str:
        """The name by which rules grant it, such as `adres.postcode`."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Contract:
    """One signal type. Immutable; `raw` is the schema as its file states it."""

    type: str
    raw: dict[str, Any]
    publishers: tuple[str, ...]
    subject: tuple[str, ...] | str | None
    """Names of the identifying fields, `@keten` (inherited), or None (anonymous)."""
    municipality: str | None
    retention: str
    answers: tuple[str, ...]
    secrecy: str | None
    leaves: dict[str, Leaf]

    @property
    def inherits_subject(self) -> bool:
        """The subject is that of the keten, which the signal must then name."""
        return self.subject == KETEN

    def may_publish(self, role: str) -> bool:
        """Say whether a participant in this role may publish the type."""
        return "*" in self.publishers or role in self.publishers


def split_null(avro: Any) -> tuple[Any, bool]:
    """Return the type without null, and whether null was allowed."""
    if isinstance(avro, list) and len(avro) == 2 and "null" in avro:  # noqa: PLR2004
        return next(branch for branch in avro if branch != "null"), True
    return avro, False


def value_at(data: Any, path: Iterable[str]) -> Any:
    """Return the value of a leaf in a signal's data; None if it, or a record on the way, is null."""
    for name in path:
        if data is None:
            return None
        data = data[name]
    return data
