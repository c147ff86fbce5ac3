"""Reading an agency's text file of rows, one row a line, without saying what is in it."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from connectors.kit.flow import Skipped
from hub.errors import StopError

TOO_SHORT: Final = Skipped("rij-onvolledig")
TOO_LONG: Final = Skipped("rij-te-lang")
UNENDED: Final = Skipped("laatste-rij-zonder-einde")
REASONS: Final[Mapping[str, str]] = {
    TOO_SHORT.reason: "De rij heeft minder kolommen dan de kop van het bestand.",
    TOO_LONG.reason: "De rij heeft meer kolommen dan de kop van het bestand.",
    UNENDED.reason: (
        "Na de laatste rij staat geen regeleinde: misschien is het bestand afgebroken, en is de laatste cel niet heel. "
        "Sluit elke rij van de export met een regeleinde."
    ),
}
"""Every reason for which `rows` gives no cells."""


def lines(file: Path, encoding: str = "utf-8-sig") -> Generator[str]:
    """Yield the lines with their line ends. Raises StopError for a file that is not there or not in this encoding."""
    try:
        with file.open(encoding=encoding) as stream:
            yield from stream
            return
    except UnicodeDecodeError:
        fault = f"the text is not {encoding.removesuffix('-sig').upper()}", "Save the file in that encoding and run again."
    except FileNotFoundError:
        fault = "there is no such file", "Give the path of a file with rows."
    except OSError as error:
        reason = error.strerror or "unknown error"
        fault = f"cannot be read ({reason})", "Give a file that this account may read."
    # Raised out here since the decoding error holds the bytes it failed on: persons.
    message, hint = fault
    raise StopError(f"{file}: {message}", hint)


def cells(line: str, delimiter: str = ";") -> list[str]:
    """Split one line.

    A reader of its own for each line keeps a stray quote from swallowing the rows below.
    """
    try:
        return next(csv.reader((line,), delimiter=delimiter), [])
    except csv.Error:
        return [line.partition(delimiter)[0]]  # not to be split: a row with too few columns


def rows(file: Path, columns: Sequence[str], *, delimiter: str = ";", encoding: str = "utf-8-sig") -> Iterator[dict[str, str] | Skipped]:
    """Yield for each row below the header the cells of these columns, by name, without space around them; or why not.

    Empty lines are no rows. Raises StopError when the file cannot be read or lacks a column.
    """
    with closing(lines(file, encoding)) as found:
        header = [name.strip() for name in cells(next(found, ""), delimiter)]
        missing = [column for column in columns if header.count(column) != 1]
        if missing:
            raise StopError(
                f"{file}: these columns are not there exactly once: {', '.join(missing)}",
                f"Give a file with a header line and `{delimiter}` between the columns.",
            )
        for line in found:
            if not line.strip():
                continue
            row = cells(line, delimiter)
            if len(row) < len(header):
                yield TOO_SHORT
            elif len(row) > len(header):
                yield TOO_LONG
            elif not line.endswith("\n"):
                yield UNENDED
            else:
                yield {column: row[header.index(column)].strip() for column in columns}
