"""The programs that services are made of: found, or installed where that can be done, or named in one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from filelock import FileLock

from tests.services.waiting import ServiceError

Found = TypeVar("Found")
INSTALL: Final = ("apt-get", "install", "-y", "--no-install-recommends")
INSTALL_WITHIN: Final = 600
NO_CLUSTER: Final = Path("/etc/postgresql-common/createcluster.d/signaalhub.conf")
"""Keeps Debian from starting a PostgreSQL of its own as soon as the package is there."""

DOCKER_SOCKETS: Final = (
    Path("/var/run/docker.sock"),
    Path.home() / ".docker/run/docker.sock",
    Path(f"/run/user/{os.getuid()}/docker.sock"),
)


def cache() -> Path:
    """Return the folder for what is fetched once for all runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "signaalhub"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def docker_present() -> bool:
    """Tell whether anything says that Docker is here. Where nothing does, its client is not even imported."""
    return "DOCKER_HOST" in os.environ or any(path.exists() for path in DOCKER_SOCKETS)


def program(name: str) -> str | None:
    """Return where a program is."""
    return shutil.which(name)


def need(what: str, find: Callable[[], Found | None], *packages: str) -> Found:
    """Return what `find` finds, after installing Debian packages if it must be.

    Raises:
        ServiceError: it is not here and cannot be installed by us; the one line names the command.
    """
    found = find()
    if found is None and os.geteuid() == 0 and program("apt-get"):
        with FileLock(cache() / "apt.lock"):
            found = find()
            if found is None:
                _install(packages)
                found = find()
    if found is None:
        raise ServiceError(f"{what} is missing and no Docker gives it; run: sudo {' '.join((*INSTALL, *packages))}")
    return found


def _install(packages: tuple[str, ...]) -> None:
    """Let apt-get try; whether it worked shows when the program is looked for again."""
    if not NO_CLUSTER.exists():
        NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        NO_CLUSTER.write_text("create_main_cluster = false\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], [*INSTALL, *packages]):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [command[0], "-o", "DPkg::Lock::Timeout=300", *command[1:]],
                env=environment, stdin=subprocess.DEVNULL, timeout=INSTALL_WITHIN, check=False,
            )  # fmt: skip
