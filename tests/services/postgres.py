"""PostgreSQL: its own server programs run as a process of ours, and databases on whatever server there is."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.services.process import LOOPBACK, Server
from tests.services.tools import need, program
from tests.services.waiting import ServiceError

OLDEST: Final = 15
DEBIAN: Final = Path("/usr/lib/postgresql")
"""Where Debian keeps the servers, each version in a folder of its own and none on PATH."""
USER: Final = "postgres"
"""Who runs the server when we are root: it refuses to."""
INIT_WITHIN: Final = 60


@dataclass(frozen=True)
class EmptyDatabase:
    """An empty database of one test."""

    url: str


@contextlib.contextmanager
def fresh_database(server: str) -> Iterator[EmptyDatabase]:
    """Make a database on a server and drop it afterwards, even while somebody still holds a connection."""
    name = f"test_{secrets.token_hex(6)}"
    _run(server, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield EmptyDatabase(urlsplit(server)._replace(path=f"/{name}").geturl())
    finally:
        _run(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def answers(url: str) -> bool:
    """Tell whether a client may log in there."""
    try:
        psycopg.connect(plain(url), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def plain(url: str) -> str:
    """Return a SQLAlchemy URL as psycopg itself reads it."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


class PostgresServer(Server):
    """A PostgreSQL with data of its own."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT
    end_signal = signal.SIGQUIT

    def __init__(self, folder: Path, *, fsync: bool = True, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._programs = need("PostgreSQL's server", programs, "postgresql")
        self._password = secrets.token_hex(12)
        self._settings = {
            "listen_addresses": LOOPBACK, "port": str(self.port), "unix_socket_directories": "", "max_connections": "200",
            "fsync": "on" if fsync else "off", **(settings or {}),
        }  # fmt: skip

    @property
    def address(self) -> str:
        """The URL of its first, empty database."""
        return f"postgresql+psycopg://signaalhub:{self._password}@{LOOPBACK}:{self.port}/postgres"

    @property
    def url(self) -> str:
        """The same, by the name that databases of tests have."""
        return self.address

    def prepare(self) -> None:
        """Make a cluster. Only this is done without fsync: nothing in it is worth keeping yet."""
        password = self.folder / "password"
        password.write_text(self._password)
        if _root():
            shutil.chown(self.folder, USER, USER)
            shutil.chown(password, USER, USER)
        options = ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256", "--username=signaalhub", f"--pwfile={password}"]
        made = subprocess.run(
            [*_as_user(), str(self._programs / "initdb"), *options, "-D", "data"],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INIT_WITHIN, check=False,
        )  # fmt: skip
        if made.returncode:
            raise ServiceError(f"initdb ended with code {made.returncode}: {made.stderr.strip()}")

    def command(self) -> list[str]:
        """Return what runs the server; settings are given here, so that a test may read them in one place."""
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return [*_as_user(), str(self._programs / "postgres"), "-D", "data", *settings]

    def answers(self) -> bool:
        """Tell whether a client may log in."""
        return answers(self.address)


def programs() -> Path | None:
    """Return the folder of the newest server programs that are new enough."""
    on_path = program("initdb")
    found = {_version(path): path for path in (*DEBIAN.glob("*/bin"), *([Path(on_path).resolve().parent] if on_path else []))}
    newest = max(found, default=0)
    return found[newest] if newest >= OLDEST else None


def _version(folder: Path) -> int:
    """Return the major version of the server in a folder, 0 if there is none."""
    if not (folder / "postgres").exists() or not (folder / "initdb").exists():
        return 0
    said = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, timeout=INIT_WITHIN, check=False).stdout
    number = re.search(r"\) (\d+)", said)
    return int(number[1]) if number else 0


def _root() -> bool:
    return os.geteuid() == 0


def _as_user() -> list[str]:
    """Return what goes before a command so that root runs it as somebody else, who still dies with his parent."""
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--pdeathsig=keep"] if _root() else []


def _run(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(plain(server), autocommit=True) as connection:
        connection.execute(statement)
