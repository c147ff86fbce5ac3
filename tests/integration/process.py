"""Processes of the hub as an operator starts and stops them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.integration.support import ROOT
from tests.services.process import free_port

HUB: Final = str(Path(sys.executable).with_name("hub"))
COMMANDS: Final = ("up", "router", "relay", "clock", "api")
STOP_SECONDS: Final = 10
"""What is promised: so long after SIGTERM a process has ended."""


@dataclass(frozen=True)
class Running:
    """A process that runs, and what it wrote."""

    command: str
    port: int
    process: subprocess.Popen[bytes]
    out: Path

    def tell_to_stop(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait until it ended, as long as it may take from SIGTERM, and return its exit code."""
        return self.process.wait(STOP_SECONDS)

    def said(self) -> str:
        """Return what it wrote on standard error."""
        return self.out.read_text(encoding="utf-8")

    def events(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def running(folder: Path, environment: Mapping[str, str], *commands: str) -> Iterator[list[Running]]:
    """Start these commands with these settings; what still runs at the end is killed."""
    folder.mkdir(exist_ok=True)
    started: list[Running] = []
    try:
        started.extend(start(folder, environment, command) for command in commands)
        yield started
    finally:
        for one in started:
            one.process.kill()
            one.process.wait()


def start(folder: Path, environment: Mapping[str, str], command: str) -> Running:
    """Start one command."""
    port, out = free_port(), folder / f"{command}.err"
    settings = os.environ | environment | {"HUB_HEALTH_PORT": str(port)}
    with out.open("wb") as err:
        process = subprocess.Popen([HUB, command], cwd=ROOT, env=settings, stdout=subprocess.DEVNULL, stderr=err)
    return Running(command, port, process, out)


def stop(processes: list[Running]) -> list[int]:
    """Tell all to stop at once, and return the exit codes."""
    for one in processes:
        one.tell_to_stop()
    return [one.ended() for one in processes]
