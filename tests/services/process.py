"""A server that runs as a process of ours; its port and its data outlive the process, so that it may be killed and started again."""

from __future__ import annotations

import abc
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import ClassVar, Final

from tests.services.waiting import ServiceError, until

LOOPBACK: Final = "127.0.0.1"
LOG_LINES: Final = 30
PORTS: Final = range(15_000, 32_000)
"""Below those that a system hands out by itself: nobody takes the port of a server that is down for a moment."""


class Server(abc.ABC):
    """A server on the loopback address, with a folder of its own."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    """Lets it close its books."""
    end_signal: ClassVar[signal.Signals]
    """Ends it at once; what it leaves is thrown away. It also gets this one when the process that started it dies."""
    patience: ClassVar[float] = 60

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make the data and the settings, before the first start."""

    @abc.abstractmethod
    def command(self) -> list[str]:
        """Return what runs the server, in its folder."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Tell whether a client gets an answer."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """Where clients find it."""

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, on the port and the data it had before; returns when a client gets an answer."""
        if not self.log.exists():
            self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*bound_to_us(self.end_signal), *self.command()],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            until(self._ready, within=self.patience, what=f"{self.name} to answer", tail=self.tail)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to stop, and wait until it did."""
        self._end(self.stop_signal)

    def close(self) -> None:
        """End it without asking; its data will not be read again."""
        self._end(self.end_signal)

    def kill(self) -> None:
        """SIGKILL it with all its children: when this returns, nothing of it runs or writes."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGSTOP)  # so that it makes no more children
        family = [self._process.pid, *children(self._process.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        until(lambda: all(gone(pid) for pid in family), within=10, what=f"the end of {self.name}'s children")

    def tail(self) -> str:
        """Return the end of its log, to stand under an error."""
        return tail(self.log)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def _ready(self) -> bool:
        if not self.running:
            raise ServiceError(f"{self.name} ended while it started{self.tail()}")
        return self.answers()


def tail(log: Path) -> str:
    """Return the last lines of a log, to stand under an error."""
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    return "".join(f"\n  | {line}" for line in lines)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind((LOOPBACK, port))
            return port


def listening(port: int) -> bool:
    """Tell whether something listens there: cheaper than asking with a client that tries for seconds."""
    with socket.socket() as found:
        return found.connect_ex((LOOPBACK, port)) == 0


def bound_to_us(how: signal.Signals) -> list[str]:
    """Return what goes before a command so that it ends when this process dies, SIGKILL included (where the system can)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", how.name.removeprefix("SIG")] if setpriv else []


def children(pid: int) -> list[int]:
    """Return the children of a process (none where there is no /proc)."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
