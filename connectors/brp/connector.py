"""Reads the file, publishes in batches, keeps the key of the ids: the I/O of the connector."""

from __future__ import annotations

import contextlib
import csv
import os
import secrets
import tempfile
from typing import TYPE_CHECKING, Final

from connectors.brp.translate import (
    Skipped,
    identify,
    missing_columns,
    publisher,
    records,
    translate,
)
from hub.client import RunReport
from hub.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from connectors.brp.settings import BrpSettings
    from connectors.brp.translate import PersonRecord
    from hub.client import Gateway, NewSignal, Track

BATCH_SIZE: Final = 500
KEY_FILE: Final = "id.key"
KEY_BYTES: Final = 32


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
    key = _id_key(settings.state_dir)
    report = RunReport()
    batch: list[NewSignal] = []
    for person in track(_persons(settings.file), total=total, label="BRP"):
        report.read += 1
        outcome = translate(person)
        if isinstance(outcome, Skipped):
            report.skipped[outcome.reason] += 1
            continue
        batch.append(identify(outcome, key))
        if len(batch) == BATCH_SIZE:
            _publish(batch, gateway, report)
            batch.clear()
    _publish(batch, gateway, report)
    return report


def _publish(batch: Sequence[NewSignal], gateway: Gateway, report: RunReport) -> None:
    by_participant: dict[str, list[NewSignal]] = {}
    for signal in batch:
        by_participant.setdefault(publisher(signal), []).append(signal)
    for participant, signals in by_participant.items():
        for receipt in gateway.publish(participant, signals):
            report.count(receipt)


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


def _id_key(state_dir: Path) -> bytes:
    path = state_dir / KEY_FILE
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise StopError(
            _in(path, f"the key of the signal ids cannot be read or made ({reason})"),
            "Give a state_dir in which this account may write.",
        ) from error
    if len(key) != KEY_BYTES:
        raise StopError(
            _in(path, f"the key of the signal ids is not {KEY_BYTES} bytes long"),
            "Put the key back from a backup; with a new one, known facts are published again.",
        )
    return key


def _make_key(path: Path) -> None:
    """Make the key, whole or not at all; of two runs at once, both get the key of the first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as draft:  # its mode is 0600
        draft.write(secrets.token_bytes(KEY_BYTES))
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft.name)


def _in(file: Path, message: str) -> str:
    return f"{file}: {message}"
