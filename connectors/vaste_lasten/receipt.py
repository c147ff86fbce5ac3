"""The receipt of a delivery: for each row what became of it, and no content but the partner's own reference.

It is written while the rows are handled, under a name that is not looked at yet. So it is also the
memory of a run that was killed: what stands in it whole has been done.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, NamedTuple, Self

from connectors.vaste_lasten.translate import Reason, whole
from hub.client import Receipt

ACCEPTED: Final = "aangenomen"
QUEUED: Final = "wacht"
REFUSED: Final = "geweigerd"
HEADER: Final = ("rij", "kenmerk", "status", "redenen", "uitleg")
QUEUED_TEXT: Final = "Aangenomen; de gemeente krijgt dit signaal in een volgende maand, want het afgesproken aantal is bereikt."
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_BOM: Final = b"\xef\xbb\xbf"  # so that a spreadsheet reads it as UTF-8


class Answer(NamedTuple):
    """What became of one row; without a number, of the file as a whole."""

    number: int | None
    reference: str
    status: str
    codes: tuple[str, ...] = ()
    text: str = ""

    @classmethod
    def refused(cls, number: int | None, reference: str, reasons: Iterable[Reason]) -> Self:
        """Return a refusal with all its reasons."""
        told = list(reasons)
        codes = tuple(f"{reason.code}:{reason.field}" if reason.field else reason.code for reason in told)
        return cls(number, reference, REFUSED, codes, " ".join(dict.fromkeys(reason.text for reason in told)))

    @classmethod
    def of(cls, number: int, reference: str, receipt: Receipt) -> Self:
        """Return what the hub said of the signal of a row. That it had the signal already changes nothing."""
        if receipt.status == "rejected":
            return cls.refused(number, reference, (Reason(error.code, error.field, error.message) for error in receipt.errors))
        return cls(number, reference, QUEUED, text=QUEUED_TEXT) if receipt.deferred else cls(number, reference, ACCEPTED)

    @property
    def code(self) -> str:
        """The first reason."""
        return self.codes[0].partition(":")[0] if self.codes else ""


class Draft:
    """A receipt in the making. Give it a path under which one may lie that a killed run left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: Counter[tuple[str, str]] = Counter()
        """Status and first reason of the rows that have their answer already -> how many."""
        self._last = 0
        # The partner may write in this folder: a link that it put there would have another file of this account written over.
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b")
        self._file.seek(self._resume())
        self._file.truncate()

    @property
    def last(self) -> int:
        """The number of the last row that has its answer."""
        return self._last

    def add(self, answers: Iterable[Answer]) -> None:
        """Write answers, in the order of the rows; they are with the operating system when this returns."""
        for answer in answers:
            self._file.write(_line(answer))
            self._last = answer.number or 0
        self._file.flush()

    def finish(self) -> None:
        """See to it that all of it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Let go of the file; it stays for the next run."""
        self._file.close()

    def _resume(self) -> int:
        """Find how far the file is whole, and how its rows stand; begin it if there is nothing. Returns where to go on."""
        start = _BOM + _row(HEADER)
        if self._file.read(len(start)) != start:
            self._file.seek(0)
            self._file.write(start)
            return len(start)
        end = len(start)
        for raw in self._file:
            cells = _cells(raw)
            number = whole(cells[0]) if len(cells) == len(HEADER) else None
            if number is None or number <= self._last:
                break
            self._last = number
            self.done[cells[2], cells[3].partition(",")[0].partition(":")[0]] += 1
            end += len(raw)
        return end


def _line(answer: Answer) -> bytes:
    number = "" if answer.number is None else str(answer.number)
    return _row((number, answer.reference, answer.status, ",".join(answer.codes), answer.text))


def _row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerow([_safe(cell) for cell in cells])
    return text.getvalue().encode()


def _safe(cell: str) -> str:
    """Keep a spreadsheet from taking a cell for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(raw: bytes) -> list[str]:
    """Return the cells of a line that is there to its end, else nothing."""
    try:
        return next(csv.reader((raw.decode(),), delimiter=";"), []) if raw.endswith(b"\r\n") else []
    except (UnicodeDecodeError, csv.Error):
        return []
