"""Reads the file and publishes what follows from it: the I/O of the connector."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from connectors.brp.lo3 import missing_columns, records, translate
from connectors.brp.translate import publisher
from connectors.kit.flow import Skipped, publish_all
from connectors.kit.ids import id_key, identified
from hub.client import RunReport
from hub.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connectors.brp.lo3 import PersonRecord
    from connectors.brp.settings import BrpSettings
    from connectors.kit.flow import Outgoing
    from hub.client import Gateway, Track

BATCH_SIZE: Final = 500


def ping(settings: BrpSettings) -> None:
    """Look whether the file is there and has the columns. Raises StopError."""
    next(_persons(settings.file), None)


def run(settings: BrpSettings, gateway: Gateway, track: Track) -> RunReport:
    """Read the whole file and publish what follows from it; running it again changes nothing.

    The file is read twice: the first time counts the persons and finds what would stop the
    run, so that a file that cannot be read publishes nothing. Memory holds one batch.

    Raises:
        StopError: The file or the key cannot be used; nothing was published.
        RetryLaterError: The hub did not answer. What was published stays; run it again.
    """
    total = sum(1 for _ in _persons(settings.file))
    key = id_key(settings.state_dir)
    report = RunReport()
    persons = track(_persons(settings.file), total=total, label="BRP")
    publish_all(gateway, report, (_outcome(person, key) for person in persons), BATCH_SIZE)
    return report


def _outcome(person: PersonRecord, key: bytes) -> Outgoing | Skipped:
    signal = translate(person)
    return signal if isinstance(signal, Skipped) else (publisher(signal), identified(signal, key, "lo3"))


def _persons(file: Path) -> Iterator[PersonRecord]:
    rows = map(_cells, _lines(file))
    header = next(rows, [])
    missing = missing_columns(header)
    if missing:
        raise StopError(
            _in(file, f"these columns are not there exactly once: {', '.join(missing)}"),
            "Give a file with a header line of LO3 columns and `;` between them.",
        )
    yield from records(header, rows)


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            yield from stream
            return
    except UnicodeDecodeError:
        fault = "the text is not UTF-8", "Save the file as UTF-8 and run again."
    except FileNotFoundError:
        fault = "there is no such file", "Give the path of a file with person records."
    except OSError as error:
        reason = error.strerror or "unknown error"
        fault = f"cannot be read ({reason})", "Give a file that this account may read."
    # Raised out here since the decoding error holds the bytes it failed on: persons.
    message, hint = fault
    raise StopError(_in(file, message), hint)


def _cells(line: str) -> list[str]:
    """Split one line; LO3 values hold no line breaks.

    A reader of its own for each line keeps a stray quote from swallowing the persons below.
    """
    try:
        return next(csv.reader((line,), delimiter=";"))
    except csv.Error:
        return [line.partition(";")[0]]  # not to be split: a row with too few columns


def _in(file: Path, message: str) -> str:
    return f"{file}: {message}"
