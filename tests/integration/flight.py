"""One home, everything that is done to it, and everything that it says: what the canary tests fly in."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import pytest
import structlog

from hub.app import Hub, MovingClock, open_hub
from hub.cli import main
from hub.codec import Received
from hub.domain import terms
from hub.metrics import Metrics
from hub.settings import HubSettings
from hub.telemetry import configure
from hub.transport.base import IN, ROUTERS
from hub.work import Outcome
from tests.integration.canary import Aviary, Surfaces, at_rest, fixed_random

ROOT: Final = Path(__file__).parents[2]
LOUD: Final = ("sqlalchemy.engine", "alembic")
"""Loggers of libraries that are turned up for the search."""
Made = TypeVar("Made", bound="Flight")


class Flight:
    """One home with rules of its own."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, aviary: Aviary, begin: str) -> None:
        self.folder, self.patch, self.aviary = folder, patch, aviary
        self.home = folder / "home"
        self.surfaces = Surfaces()
        self.clock = MovingClock(terms.moment(begin))
        self.log = io.StringIO()
        self.codes: set[str] = set()
        """Every reason that was given to refuse something."""
        for kind in ("rules", "schemas"):
            shutil.copytree(ROOT / kind, folder / kind)
        configure("debug")

    def options(self) -> HubSettings:
        """Return the settings of the home."""
        return HubSettings(home=self.home, rules_dir=self.folder / "rules", schemas_dir=self.folder / "schemas")

    @contextlib.contextmanager
    def opened(self) -> Iterator[Hub]:
        """Open the hub for one block."""
        hub = open_hub(self.options(), clock=self.clock)
        try:
            yield hub
        finally:
            hub.close()

    # --- ways in ------------------------------------------------------------------------------

    def run(self, *arguments: str, stdin: bytes = b"", heard_by: str | None = None, of_rules: bool = False) -> str:
        """Run a command as the installed program does; what it says is searched, unless a recipient may hear it."""
        out, err = io.StringIO(), io.StringIO()
        folders = ("--home", self.home, "--rules", self.folder / "rules", "--schemas", self.folder / "schemas")
        given = (*folders, "--now", terms.iso_utc(self.clock.now))
        with self.patch.context() as patch:
            patch.setenv("HUB_LOG_LEVEL", "debug")
            patch.setattr(sys, "argv", ["hub", *map(str, given), *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit):
                main()
        configure("debug")
        name = f"hub {' '.join(arguments[:2])}"
        self.surfaces.add(f"{name} (stderr)", err.getvalue(), of_rules=of_rules)
        if heard_by is None:
            self.surfaces.add(f"{name} (stdout)", out.getvalue(), of_rules=of_rules)
        return out.getvalue()

    def process(self, hub: Hub, *received: Received) -> list[Outcome]:
        """Give the router records as they would come from a topic."""
        outcomes = hub.router.process(received)
        for outcome in outcomes:
            receipt = hub.receipt(outcome)
            self.surfaces.add("receipt", repr(receipt))
            self.codes.update(error.code for error in receipt.errors)
        return outcomes

    def failing(self, name: str, call: Callable[[], object]) -> None:
        """Keep the text of an exception, with all that Python would print with it."""
        with pytest.raises(Exception) as caught:
            call()
        self.surfaces.add(f"exception: {name}", "".join(traceback.format_exception(caught.value)) + repr(caught.value))

    def at_rest(self, when: str, *, whole: bool = True) -> None:
        """Search what is on disk: the files as they are if `whole`, else only what is in them."""
        at_rest(self.surfaces, self.home, when, whole=whole)

    def printed(self, capsys: pytest.CaptureFixture[str]) -> str:
        """Search what was printed and logged, by the hub and by its libraries. Returns what was on standard error."""
        captured = capsys.readouterr()
        self.surfaces.add("standard output", captured.out)
        self.surfaces.add("standard error", captured.err)
        self.surfaces.add("log of the libraries", self.log.getvalue(), of_rules=True)
        return captured.err


def measured(hub: Hub) -> Metrics:
    """Let a hub be counted, as a process with a health port is."""
    metrics = Metrics()
    metrics.watch(hub.database, hub.now_ms, lambda: hub.transport.lag(ROUTERS, IN), hub.unsent)
    hub.observer = metrics
    return metrics


@contextlib.contextmanager
def flying(folder: Path, patch: pytest.MonkeyPatch, make: Callable[[Path, pytest.MonkeyPatch], Made]) -> Iterator[Made]:
    """Fly in a folder of its own, with chance fixed and all logs at their loudest."""
    before = structlog.get_config()
    patch.setattr(os, "urandom", fixed_random())
    (folder / "cwd").mkdir()
    patch.chdir(folder / "cwd")
    made = make(folder, patch)
    handler = logging.StreamHandler(made.log)
    loggers = [logging.getLogger(name) for name in ("", *LOUD)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO if logger.name == "sqlalchemy.engine" else logging.DEBUG)
        logger.addHandler(handler)
        logger.propagate = False
    yield made
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
        logger.removeHandler(handler)
        logger.propagate = True
    structlog.configure(**before)


@contextlib.contextmanager
def mute_sql() -> Iterator[None]:
    """Turn the log of SQL statements down for a while."""
    logger = logging.getLogger("sqlalchemy.engine")
    level = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(level)
