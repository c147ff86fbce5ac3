"""Reads a delivered file as a header and rows, whatever it holds; memory stays flat.

A line is a row: values hold no line breaks. So a stray quote costs its own row and not the file.
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from connectors.vaste_lasten.bsn import Tally, could_be_bsn, is_bsn_name
from connectors.vaste_lasten.settings import Partner
from connectors.vaste_lasten.spreadsheet import spool
from connectors.vaste_lasten.translate import (
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_LINES,
    MAX_ROWS,
    Layout,
    RefusedFileError,
    Row,
    missing_columns,
    whole,
)

MAX_LINE: Final = 64 * 1024
TEXTS: Final = frozenset({".csv", ".txt"})
SHEETS: Final = frozenset({".xlsx"})
_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Table:
    """A file that was looked at from its beginning to its end and can be read as rows."""

    layout: Layout
    rows: int
    _lines: Lines

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows, from the first. Blank lines and the closing line are none."""
        lines = iter(self._lines)
        _header(lines)
        return _rows(lines, self.layout.partner)


Lines = Iterable[Row]


def is_whole(path: Path, partner: Partner) -> bool:
    """Say whether a file has its end: an archive its directory, a text its last line break or the partner's closing line."""
    suffix = path.suffix.lower()
    if suffix in SHEETS:
        return zipfile.is_zipfile(path)
    if suffix not in TEXTS:
        return True
    with path.open("rb") as file:
        if file.read(2) in _UTF16:
            return True  # not to be read: it is refused, whole or not
        file.seek(max(0, file.seek(0, io.SEEK_END) - 4096))
        tail = file.read()
    last = tail.rstrip(b"\r\n;, ").rpartition(b"\n")[2]
    return (b"\n" in tail[-1:]) if partner.trailer is None else partner.trailer.encode() in last


@contextmanager
def opened(path: Path, partner: Partner) -> Iterator[Table]:
    """Look through a file once, and give it to be read.

    Raises:
        RefusedFileError: It cannot be read, has no such columns, is not whole, or holds BSNs; which of them, and nothing of its content.
    """
    with ExitStack() as stack:
        try:
            table = _looked_at(_lines_of(path, partner, stack), partner)
            if not is_whole(path, partner):  # what was cut off of a number is a number too
                raise RefusedFileError("bestand-onvolledig", rows=table.rows)
        except OSError:
            raise RefusedFileError("bestand-onleesbaar") from None
        yield table


def _lines_of(path: Path, partner: Partner, stack: ExitStack) -> Lines:
    suffix = path.suffix.lower()
    if suffix in TEXTS:
        return _Text.of(path, partner)
    if suffix not in SHEETS:
        raise RefusedFileError("soort-onbekend")
    into = stack.enter_context(_nameless())
    spool(path, partner, into)
    return _Spooled(into)


def _looked_at(lines: Lines, partner: Partner) -> Table:
    iterator = iter(lines)
    header = _header(iterator)
    if header is None:
        raise RefusedFileError("kop-ontbreekt")
    if len(header) > MAX_COLUMNS:
        raise RefusedFileError("bestand-onleesbaar")
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    count, closing = 0, None
    for row in iterator:
        if _is_closing(row, partner):
            closing = row
            continue
        if _is_blank(row):
            continue
        count += 1
        for position, cell in enumerate((row.cells or ())[: len(header)]):
            number = could_be_bsn(cell)
            if number is not None:
                tallies[position].add(number)
    if any(map(is_bsn_name, header)) or any(tally.is_bsn for tally in tallies.values()):
        raise RefusedFileError("bsn-kolom", rows=count)
    if missing := missing_columns(header, partner):
        raise RefusedFileError("kolom-ontbreekt", missing, rows=count)
    if count > MAX_ROWS:
        raise RefusedFileError("bestand-te-groot", rows=count)
    if partner.trailer is not None and (closing is None or _closing_count(closing) != count):
        raise RefusedFileError("bestand-onvolledig", rows=count)
    return Table(Layout.of(header, partner), count, lines)


def _header(lines: Iterator[Row]) -> Sequence[str] | None:
    return next((row.cells for row in lines if not _is_blank(row)), None)


def _rows(lines: Iterator[Row], partner: Partner) -> Iterator[Row]:
    return (row for row in lines if not _is_blank(row) and not _is_closing(row, partner))


def _is_blank(row: Row) -> bool:
    return row.cells is not None and not any(cell.strip() for cell in row.cells)


def _is_closing(row: Row, partner: Partner) -> bool:
    return partner.trailer is not None and bool(row.cells) and row.cells[0].strip() == partner.trailer  # type: ignore[index]


def _closing_count(row: Row) -> int | None:
    text = row.cells[1].strip() if row.cells is not None and len(row.cells) > 1 else ""
    return whole(text)


# --- text -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    path: Path
    encoding: str
    delimiter: str

    @classmethod
    def of(cls, path: Path, partner: Partner) -> _Text:
        encoding = _encoding(path)
        with_each = [cls(path, encoding, delimiter) for delimiter in (";", ",")]
        return min(with_each, key=lambda text: len(missing_columns(_header(iter(text)) or (), partner)))

    def __iter__(self) -> Iterator[Row]:
        for number, raw in enumerate(_raw_lines(self.path), 1):
            yield Row(number, self._cells(raw))

    def _cells(self, raw: bytes) -> Sequence[str] | None:
        if raw.isascii():
            text = raw.decode("ascii")
        elif len(raw) > MAX_LINE or _is_utf8(raw) != (self.encoding == "utf-8"):
            return None
        else:
            try:
                text = raw.decode(self.encoding)
            except UnicodeDecodeError:  # five bytes mean nothing in Windows-1252
                return None
        if len(raw) > MAX_LINE:
            return None
        try:
            return next(csv.reader((text,), delimiter=self.delimiter), [])
        except csv.Error:
            return None


def _raw_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines without their breaks; of one that is too long its beginning, one byte longer than may be."""
    with path.open("rb") as file:
        if file.read(3) != _BOM:
            file.seek(0)
        lines = 0
        while line := file.readline(MAX_LINE + 1):
            lines += 1
            if lines > MAX_LINES:
                raise RefusedFileError("bestand-te-groot")
            whole = line
            while len(line) > MAX_LINE and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE + 1)
            yield whole.rstrip(b"\r\n") if len(whole) <= MAX_LINE else whole


def _encoding(path: Path) -> str:
    """Return the encoding of a text: UTF-8 if it says so or if its lines are, else Windows-1252.

    A line with an accent in Windows-1252 is not UTF-8. Where some lines are and others are not, the file is
    damaged: most of them decide, and the others are refused rather than garbled.
    """
    with path.open("rb") as file:
        start = file.read(3)
    if start[:2] in _UTF16:
        raise RefusedFileError("bestand-onleesbaar")
    if path.stat().st_size > MAX_BYTES:
        raise RefusedFileError("bestand-te-groot")
    votes = [0, 0]
    for raw in _raw_lines(path):
        if not raw.isascii():
            votes[_is_utf8(raw)] += 1
    return "utf-8" if start == _BOM or votes[True] >= votes[False] else "cp1252"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# --- spreadsheets ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spooled:
    file: IO[str]

    def __iter__(self) -> Iterator[Row]:
        self.file.seek(0)
        for number, *cells in csv.reader(self.file):
            yield Row(int(number), cells)


def _nameless() -> IO[str]:
    """Return a file without a name: a crash leaves nothing of it."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", newline="")
