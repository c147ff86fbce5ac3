"""Transforms: a closed list of ways to show less of a field than it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from hub.domain.terms import iso_date

if TYPE_CHECKING:
    from hub.domain.contract import Leaf

_CALL: Final = re.compile(r"(?P<name>[a-z0-9]+)(\((?P<args>[^()]*)\))?").fullmatch
_AGES: Final = ((18, "ONDER_18"), (27, "VAN_18_TOT_27"), (67, "VAN_27_TOT_67"))
_OLDEST, _UNKNOWN_AGE = "VANAF_67", "ONBEKEND"


class ViewError(Exception):
    """A field grant that cannot be: what is wrong, and the fix."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a transform may know besides the value."""

    pseudonym: Callable[[str], str]
    """Turns a value into the recipient's own pseudonym for it."""
    today: date
    """The Dutch date of the decision."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One way to show less of a field: the new name and type, and the function."""

    name: str
    suffix: str
    avro: Any
    apply: Callable[[Any, Circumstances], Any]
    nullable: bool | None = None
    """None keeps what the field had."""


def transform(leaf: Leaf, text: str) -> Transform:
    """Read a transform such as `klasse(5000;25000)`. Raises ViewError."""
    match = _CALL(text.strip())
    maker = TRANSFORMS.get(match["name"]) if match else None
    if match is None or maker is None:
        msg = f"`{text}` is no transform"
        raise ViewError(msg, f"known: {', '.join(TRANSFORMS)}")
    args = [arg.strip() for arg in match["args"].split(";")] if match["args"] else []
    return maker(leaf, args)


def _needs(leaf: Leaf, name: str, kinds: set[str], args: list[str]) -> None:
    if leaf.kind not in kinds:
        msg = f"`{name}` does not work on `{leaf.dotted}`, which is a {leaf.kind}"
        raise ViewError(msg, f"it works on: {', '.join(sorted(kinds))}")
    if args:
        msg = f"`{name}` takes no arguments"
        raise ViewError(msg)


def _pseudoniem(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "pseudoniem", {"string"}, args)
    return Transform("pseudoniem", "_pseudoniem", "string", lambda value, by: by.pseudonym(value))


def _date_text(leaf: Leaf) -> Callable[[Any], str]:
    """Return how to read jjjjmmdd, zeros for unknown parts, from a value of this leaf."""
    if leaf.kind == "gba-datum":
        return str
    return lambda days: iso_date(days).replace("-", "")


def _jaar(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "jaar", {"date", "gba-datum"}, args)
    text = _date_text(leaf)
    unknown = leaf.kind == "gba-datum" or None
    return Transform("jaar", "_jaar", "int", lambda value, _: int(text(value)[:4]) or None, unknown)


def _maand(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "maand", {"date", "gba-datum"}, args)
    text = _date_text(leaf)

    def month(value: Any, _: Circumstances) -> str | None:
        digits = text(value)
        return None if digits[4:6] == "00" else f"{digits[:4]}-{digits[4:6]}"

    return Transform("maand", "_maand", "string", month, leaf.kind == "gba-datum" or None)


def _leeftijdsklasse(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "leeftijdsklasse", {"date", "gba-datum"}, args)
    text = _date_text(leaf)

    def age_class(value: Any, by: Circumstances) -> str:
        digits = text(value)
        if digits[4:6] == "00" or digits[6:] == "00":
            return _UNKNOWN_AGE
        birthday = (int(digits[4:6]), int(digits[6:]))
        age = by.today.year - int(digits[:4]) - ((by.today.month, by.today.day) < birthday)
        return next((label for limit, label in _AGES if age < limit), _OLDEST)

    symbols = [label for _, label in _AGES] + [_OLDEST, _UNKNOWN_AGE]
    return Transform("leeftijdsklasse", "_leeftijdsklasse", _enum(leaf, "leeftijdsklasse", symbols, _UNKNOWN_AGE), age_class)


def _pc4(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "pc4", {"string"}, args)
    if leaf.format != "postcode":
        msg = f"`pc4` works on a postcode, and `{leaf.dotted}` has no such format"
        raise ViewError(msg)
    return Transform("pc4", "_pc4", "string", lambda value, _: value[:4])


def _klasse(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "klasse", {"int", "long"}, [])
    try:
        edges = [int(arg) for arg in args]
    except ValueError:
        edges = []
    if not edges or edges != sorted(set(edges)):
        msg = "`klasse` takes whole numbers that go up"
        raise ViewError(msg, "for example klasse(5000;25000)")
    labels = [f"ONDER_{edges[0]}", *(f"VAN_{a}_TOT_{b}" for a, b in pairwise(edges)), f"VANAF_{edges[-1]}"]
    if edges[0] < 0:
        labels = [label.replace("-", "MIN_") for label in labels]
    avro = _enum(leaf, "klasse", labels, labels[0])
    return Transform("klasse", "_klasse", avro, lambda value, _: labels[sum(value >= edge for edge in edges)])


def _aanwezig(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "aanwezig", {leaf.kind}, args)
    return Transform("aanwezig", "_aanwezig", "boolean", lambda value, _: value is not None, nullable=False)


def _waarden(leaf: Leaf, args: list[str]) -> Transform:
    _needs(leaf, "waarden", {"enum"}, [])
    kept = [arg for arg in args if not arg.startswith("anders:")]
    other = [arg.removeprefix("anders:") for arg in args if arg.startswith("anders:")]
    strange = [symbol for symbol in kept if symbol not in leaf.symbols or kept.count(symbol) > 1]
    if len(other) != 1 or not re.fullmatch(r"[A-Z][A-Z0-9_]*", other[0]) or strange:
        msg = f"`waarden` needs symbols of `{leaf.dotted}` and one `anders:CODE`"
        raise ViewError(msg, f"symbols: {', '.join(leaf.symbols)}")
    symbols = [*kept, *(code for code in other if code not in kept)]
    avro = _enum(leaf, "waarden", symbols, other[0])
    shown = frozenset(kept)
    return Transform("waarden", "", avro, lambda value, _: value if value in shown else other[0])


def _enum(leaf: Leaf, transform_name: str, symbols: list[str], default: str) -> dict[str, Any]:
    name = "".join(part[0].upper() + part[1:] for part in (*leaf.path, transform_name))  # `a_b` and `a.b` stay apart
    return {"type": "enum", "name": name, "symbols": symbols, "default": default}


TRANSFORMS: Final[dict[str, Callable[[Leaf, list[str]], Transform]]] = {
    "pseudoniem": _pseudoniem, "jaar": _jaar, "maand": _maand, "leeftijdsklasse": _leeftijdsklasse, "pc4": _pc4,
    "klasse": _klasse, "aanwezig": _aanwezig, "waarden": _waarden,
}  # fmt: skip
"""The closed list of transforms."""
