"""Hears everything that a run says: standard output and error, every log record of any library, errors, reports."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator

import structlog

from hub.client import RunReport
from hub.errors import HubError
from hub.telemetry import configure


class _Hears(logging.Handler):
    def __init__(self, into: io.StringIO) -> None:
        super().__init__(logging.DEBUG)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.write(f"{self.format(record)}\n")


@contextlib.contextmanager
def listening() -> Iterator[io.StringIO]:
    """Give what is said while the block lasts, at the most talkative level of every library."""
    said = io.StringIO()
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = [_Hears(said)]
    configure("debug")
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield said
    finally:
        root.setLevel(level)
        root.handlers = handlers
        structlog.configure(**before)


def told(error: BaseException) -> str:
    """Return all that an error may come to say: its message, its hint, and those of the errors that are shown with it."""
    found: list[str] = []
    shown: BaseException | None = error
    while shown is not None:
        found += [str(shown), repr(shown), *getattr(shown, "__notes__", ()), shown.hint if isinstance(shown, HubError) else ""]
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return "\n".join(found)


def counted(report: RunReport) -> str:
    """Return a report as text."""
    return json.dumps({slot: getattr(report, slot) for slot in report.__slots__})
