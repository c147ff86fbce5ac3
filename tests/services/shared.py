"""One service of each kind for a whole test run, started by the first worker that asks and ended with the run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.services import docker
from tests.services.local import LocalKafka, LocalPostgres, locked

RUN: Final = "SIGNAALHUB_TEST_RUN"
"""Where a run notes what it started; set by the process that began the run, for its workers."""
OWNER: Final = "SIGNAALHUB_TEST_OWNER"
DATABASE_URL: Final = "SIGNAALHUB_TEST_DATABASE_URL"
KAFKA: Final = "SIGNAALHUB_TEST_KAFKA"


def begin() -> None:
    """Begin a run, unless this is a worker of one."""
    if RUN not in os.environ:
        os.environ[RUN] = tempfile.mkdtemp(prefix="signaalhub-run-")
        os.environ[OWNER] = str(os.getpid())


def end() -> None:
    """End every service of the run that this process began."""
    if os.environ.get(OWNER) != str(os.getpid()):
        return
    run = Path(os.environ[RUN])
    for note in run.glob("*.json"):
        found = json.loads(note.read_text())
        if pid := found.get("pid"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
                while True:  # a child of this process or of a worker that is gone
                    with suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
                    os.kill(pid, 0)
                    time.sleep(0.05)
        if container := found.get("container"):
            import docker as client  # noqa: PLC0415

            client.from_env().containers.get(container).remove(force=True, v=True)
        if folder := found.get("folder"):
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)


def postgres() -> str:
    """Return the address of the run's PostgreSQL server."""
    return os.environ.get(DATABASE_URL) or _once("postgres", docker.postgres, lambda c: str(c.get_connection_url()), _local_postgres)


def kafka() -> str:
    """Return the address of the run's Kafka broker."""
    return os.environ.get(KAFKA) or _once("kafka", docker.kafka, lambda c: str(c.get_bootstrap_server()), _local_kafka)


def _once(name: str, make: Callable[[], Any], address: Callable[[Any], str], local: Callable[[], dict[str, Any]]) -> str:
    run = Path(os.environ[RUN])
    note = run / f"{name}.json"
    with locked(run / f"{name}.lock"):
        if not note.exists():
            container = docker.started(make)
            found = local() if container is None else {"address": address(container), "container": container.get_wrapped_container().id}
            note.write_text(json.dumps(found))
    return str(json.loads(note.read_text())["address"])


def owner() -> int:
    """Return the process with which services end."""
    return int(os.environ[OWNER])


def _local_postgres() -> dict[str, Any]:
    server = LocalPostgres(owner())
    server.start()
    return {"address": server.url, "pid": server.process.leave(), "folder": str(server.folder)}


def _local_kafka() -> dict[str, Any]:
    broker = LocalKafka(owner())
    broker.start()
    return {"address": broker.bootstrap, "pid": broker.process.leave(), "folder": str(broker.folder)}
