"""Reads a file of person records, or polls the API, and publishes what follows: the I/O of the connector."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from connectors.brp import polling
from connectors.brp.lo3 import missing_columns, records, translate
from connectors.brp.translate import publisher
from connectors.kit.files import cells, lines
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
    """Look whether the file is there and has the columns, or whether the API answers. Raises a HubError."""
    if settings.file is None:
        polling.ping(settings)
    else:
        next(_persons(settings.file), None)


def run(settings: BrpSettings, gateway: Gateway, track: Track) -> RunReport:
    """Read the whole file, or ask for the whole list, and publish what follows; running it again changes nothing.

    A file is read twice: the first time counts the persons and finds what would stop the
    run, so that a file that cannot be read publishes nothing. Memory holds one batch.

    Raises:
        StopError: The file, the key, the list or the answer of the API cannot be used.
        RefusedError: The API does not take the question.
        RetryLaterError: The hub or the API did not answer. What was published stays; run it again.
    """
    if settings.file is None:
        return polling.run(settings, gateway, track)
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
    with closing(lines(file)) as found:
        rows = map(cells, found)
        header = next(rows, [])
        missing = missing_columns(header)
        if missing:
            raise StopError(
                f"{file}: these columns are not there exactly once: {', '.join(missing)}",
                "Give a file with a header line of LO3 columns and `;` between them.",
            )
        yield from records(header, rows)
