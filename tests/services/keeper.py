"""Runs one service for a run of pytest: `python -m tests.services.keeper NAME FOLDER LOCK`, started by `session.py`."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from tests.services.kafka.broker import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.process import Server
from tests.services.session import CONTROLLER, clear
from tests.services.tools import docker_present
from tests.services.waiting import ServiceError

LOCAL: Final[Mapping[str, Callable[[Path], Server]]] = {"postgres": PostgresServer, "kafka": KafkaServer}


class Service(Protocol):
    """What a keeper keeps."""

    @property
    def address(self) -> str:
        """Where clients find it."""

    def close(self) -> None:
        """End it."""


def started(name: str, folder: Path) -> Service:
    """Start the service: in Docker, else as a process in this folder."""
    if docker_present():
        from tests.services.docker import in_docker  # noqa: PLC0415 - takes a third of a second, for nothing where there is no Docker

        contained = in_docker(name)
        if contained:
            return contained
    folder.mkdir()
    server = LOCAL[name](folder)
    server.start()
    return server


def keep(name: str, folder: Path, kept: int) -> None:
    """Start it, tell where it is, and end it when the run ends; `kept` is the lock that tells others that we still run."""
    try:
        service = started(name, folder / name)
    except ServiceError as error:
        tell(folder / f"{name}.json", error=str(error))
        return
    try:
        tell(folder / f"{name}.json", address=service.address)
        with (folder / CONTROLLER).open("rb") as controller:
            fcntl.lockf(controller, fcntl.LOCK_SH)
    finally:
        service.close()
    os.close(kept)
    clear(folder)  # the controller does it too, unless it was killed


def tell(path: Path, **said: str) -> None:
    """Write it so that a reader sees all of it or nothing."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(said))
    new.rename(path)


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
