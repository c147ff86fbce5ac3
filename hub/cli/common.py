"""What the commands share: opening the hub, printing, progress."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub.app import open_hub
from hub.domain.terms import moment
from hub.errors import FaultsError, UsageError

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.domain.faults import Fault
    from hub.settings import HubSettings

Item = TypeVar("Item")
_FIRST, _LAST = 0, 7_258_118_400_000
JSON = typer.Option(False, "--json", help="Print JSON.")


@dataclass(frozen=True, slots=True)
class Context:
    """The global options."""

    settings: HubSettings
    now: int | None

    @contextmanager
    def hub(self, *, adopt: bool = True) -> Iterator[Hub]:
        """Open the hub of the home and close it afterwards; what only reads adopts no rules."""
        hub = open_hub(self.settings, now=self.now, adopt=adopt)
        try:
            yield hub
        finally:
            hub.close()


def parse_now(text: str) -> int:
    """Return the moment of `--now`. Raises UsageError."""
    try:
        found = moment(text)
    except (ValueError, OverflowError):
        raise UsageError("--now is not an ISO 8601 moment", "for example 2026-11-02T09:00:00+01:00") from None
    if not _FIRST <= found <= _LAST:
        raise UsageError("--now lies outside 1970 to 2200", "for example 2026-11-02T09:00:00+01:00")
    return found


def fail(message: str, hint: str, code: int) -> int:
    """Print what is wrong and what to do on standard error, and return the exit code."""
    print(f"hub: {message}", file=sys.stderr)
    if hint:
        print(f"     {hint}", file=sys.stderr)
    return code


def show_json(value: Any) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(value, ensure_ascii=False))


def console() -> Console:
    """Return a console for people; at least 100 columns wide in a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=max(100, found.width))


def show_faults(faults: Iterable[Fault]) -> None:
    """Print one fault a line."""
    for fault in faults:
        print(fault)


def require_no_faults(faults: Iterable[Fault]) -> None:
    """Raise FaultsError if there is a fault among these; warnings pass."""
    real = [fault for fault in faults if not fault.warning]
    if real:
        raise FaultsError(real)


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Give what is set when the process is told to stop (SIGINT, SIGTERM) while the block lasts."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = [(number, signal.signal(number, on_signal)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def track(items: Iterable[Item], *, total: int | None, label: str) -> Iterator[Item]:
    """Show a progress bar on a terminal, and nothing in a pipe."""
    err = Console(stderr=True)
    if not err.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        yield from progress.track(items, total=total, description=label)
