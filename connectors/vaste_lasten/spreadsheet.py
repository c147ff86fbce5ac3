"""Writes the first sheet of a spreadsheet as text, within bounds: an archive of some kilobytes can unpack to gigabytes."""

from __future__ import annotations

import csv
import resource
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from openpyxl import load_workbook

from connectors.vaste_lasten.settings import Partner
from connectors.vaste_lasten.translate import MAX_BYTES, MAX_COLUMNS, MAX_LINES, RefusedFileError, spreadsheet_text

ROOM: Final = 512 * 2**20
"""The memory that reading a spreadsheet may take, in bytes."""
_MEMORY: Final = Path("/proc/self/statm")


def spool(path: Path, partner: Partner, into: IO[str]) -> None:
    """Write each row that holds something as CSV, its number before it: reading a spreadsheet takes much longer than reading text.

    Raises RefusedFileError for one that is damaged, or that does not fit in memory or on the disk.
    """
    try:
        with warnings.catch_warnings(), _at_most(ROOM):
            warnings.simplefilter("ignore")  # some of them hold the value of a cell
            _write(path, partner, into)
    except RefusedFileError:
        raise
    except MemoryError:
        raise RefusedFileError("bestand-te-groot") from None
    except Exception:  # noqa: BLE001  (a damaged archive can make the library raise anything, and its texts hold what they like)
        raise RefusedFileError("bestand-onleesbaar") from None


def _write(path: Path, partner: Partner, into: IO[str]) -> None:
    writer = csv.writer(into)
    written = 0
    for number, cells in enumerate(_sheet(path), 1):
        texts = [spreadsheet_text(value, partner) for value in cells[: MAX_COLUMNS + 1]]
        if any(texts):
            written += writer.writerow([number, *texts])
        if written > MAX_BYTES:  # one long text may stand in a million cells
            raise RefusedFileError("bestand-te-groot")


def _sheet(path: Path) -> Iterator[Sequence[object]]:
    """Yield the rows of the first sheet; one that would not end, or not fit on the disk, is refused."""
    if max(path.stat().st_size, _unpacks_to(path)) > MAX_BYTES:
        raise RefusedFileError("bestand-te-groot")
    book = load_workbook(path, read_only=True, data_only=True)
    try:
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what a file says of its size need not be so
        yield from islice(sheet.iter_rows(values_only=True), MAX_LINES)
    finally:
        book.close()


def _unpacks_to(path: Path) -> int:
    """Return how many bytes an archive holds. What it says is so: no more of a part is read."""
    with zipfile.ZipFile(path) as archive:
        return sum(part.file_size for part in archive.infolist())


@contextmanager
def _at_most(room: int) -> Iterator[None]:
    """Let this process take so many bytes more than it has, where the system tells how many those are; beyond it is a MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if not _MEMORY.exists():
        yield
        return
    limit = int(_MEMORY.read_text(encoding="ascii").split()[0]) * resource.getpagesize() + room
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
