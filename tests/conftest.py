"""What all tests share: a hub of their own, a clock that stands still, no environment of the developer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.app import Hub, MovingClock, open_hub
from hub.domain import terms
from hub.settings import HubSettings
from hub.telemetry import configure

ROOT = Path(__file__).parent.parent
NOW = terms.moment("2026-11-02T09:00")
"""A Monday morning in Dutch time, at which tests begin unless they say so."""


pytest_plugins = ["tests.services.plugin"]


def pytest_configure() -> None:
    """Keep the developer's HUB_ settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("HUB_"):
            del os.environ[name]
    configure("critical")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many tests skipped; in CI a skip is a failure."""
    count = len(terminalreporter.stats.get("skipped", ()))
    terminalreporter.write_line(f"{count} tests skipped (they need SIGNAALHUB_TESTDATA)")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a skip into a failure in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def clock() -> MovingClock:
    """A clock that moves only when the test says so."""
    return MovingClock(NOW)


@pytest.fixture
def hub(tmp_path: Path, clock: MovingClock) -> Iterator[Hub]:
    """A hub in a fresh home, with the rules of the repository."""
    opened = open_hub(HubSettings(home=tmp_path / "home", rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas"), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def testdata() -> Path:
    """The folder of public test data by others, which is not part of this repository; skips where it is not."""
    folder = Path(os.environ.get("SIGNAALHUB_TESTDATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the public test data is not in {folder} (SIGNAALHUB_TESTDATA)")
    return folder
