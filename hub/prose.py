"""Dutch for people, on lines without codes: what the texts and pages of rules have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_UNITS: Final = {"Y": ("jaar", "jaar"), "M": ("maand", "maanden"), "W": ("week", "weken"), "D": ("dag", "dagen")}
_DURATION: Final = re.compile(r"P(?:\d+[YMWD])+")
_OUTSIDE_QUOTES: Final = re.compile(r"(?<!['\"\w.])P(?:\d+[YMWD])+(?!['\"\w])")
_NARROWEST: Final = 40
"""Narrower than this no table can be read."""


def and_(words: Sequence[str]) -> str:
    """Join words as a sentence does."""
    return " en ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def duration(iso: str) -> str:
    """Say how long `P6M` is; what is rarer stays ISO 8601."""
    if not _DURATION.fullmatch(iso):
        return iso
    return and_([f"{number} {_UNITS[unit][number != '1']}" for number, unit in re.findall(r"(\d+)([YMWD])", iso)])


def timing(written: str) -> str:
    """Say when a term falls due; expressions stay as they are."""
    return _OUTSIDE_QUOTES.sub(lambda match: duration(match[0]), written)


def printable(text: str) -> str:
    """Return text in which no control code of a rule file is left; such a code must reach no terminal and no page."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def text(given: str) -> Text:
    """Return text without markup."""
    return Text(printable(given))


def grid(facts: Sequence[tuple[str, str]], labels: int = 14) -> Table:
    """Return labels with their texts beside them; a label that repeats stands there once."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=labels, overflow="fold")
    table.add_column(overflow="fold")
    before = None
    for label, said in facts:
        table.add_row(text("" if label == before else label), text(said))
        before = label
    return table


def printed(parts: Sequence[RenderableType], width: int) -> str:
    """Return the parts as lines for a terminal or a pipe, without colour codes."""
    out = StringIO()
    console = Console(
        file=out, width=max(width, _NARROWEST), color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def wrapped(given: str, columns: int) -> list[str]:
    """Break text into lines of at most so many columns, inside a word if it must."""
    console = Console(file=StringIO(), width=columns, color_system=None, force_terminal=False)
    return [line.plain.rstrip() for line in text(given).wrap(console, columns, overflow="fold")]
