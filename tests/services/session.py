"""One PostgreSQL and one Kafka for a whole run of pytest, whatever its number of workers.

The controller (or the only process) makes a folder and holds a lock in it for as long as it lives. Whoever needs a service first, worker or
controller, starts a *keeper* for it: a process apart, so that it outlives that worker. The keeper runs the service and waits for the
controller's lock. It gets it when the run ends, and also when the controller dies, for then the system takes the lock away. So nothing
is started that no test asks for, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

from tests.services.process import tail
from tests.services.waiting import ServiceError, until

ROOT: Final = Path(__file__).parents[2]
GIVEN: Final = {"postgres": "SIGNAALHUB_TEST_DATABASE_URL", "kafka": "SIGNAALHUB_TEST_KAFKA"}
"""Where the environment may name a service that runs already."""
START_WITHIN: Final = 1800
"""The first start on a new machine installs and fetches. A keeper gives up sooner by its own deadlines; this one is for a keeper that hangs."""
CONTROLLER: Final = "controller"


def new_folder() -> Path:
    """Make a temporary folder that servers which run as another user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="signaalhub-test-", dir="/tmp" if os.geteuid() == 0 else None))  # noqa: S108 - root's own TMPDIR may be closed to others
    folder.chmod(0o711)
    return folder


class Session:
    """The services of a run, as one of its processes sees them."""

    def __init__(self, folder: Path, controller: IO[bytes] | None = None) -> None:
        self.folder = folder
        self._controller = controller
        self._keepers: list[subprocess.Popen[bytes]] = []

    @classmethod
    def open(cls) -> Session:
        """Begin a run, in its controller."""
        folder = new_folder()
        controller = (folder / CONTROLLER).open("wb")
        fcntl.lockf(controller, fcntl.LOCK_EX)  # of this process alone: no child that it forks keeps the lock alive
        return cls(folder, controller)

    def close(self) -> None:
        """End the run, and wait until its keepers have ended; in a worker nothing, for others may still need them."""
        if self._controller:
            self._controller.close()
            clear(self.folder)

    def address(self, name: str) -> str:
        """Return where the service is, after starting it if this is the first who asks.

        Raises:
            ServiceError: it cannot be had. Who asks later hears the same at once.
        """
        given = os.environ.get(GIVEN[name])
        if given:
            return given
        said = self.folder / f"{name}.json"
        with (self.folder / f"{name}.asking").open("wb") as asking:
            fcntl.flock(asking, fcntl.LOCK_EX)
            if not said.exists():
                self._start_keeper(name, said)
        found = json.loads(said.read_text())
        if "error" in found:
            raise ServiceError(found["error"])
        return str(found["address"])

    def _start_keeper(self, name: str, said: Path) -> None:
        log = self.folder / f"{name}.log"
        with (self.folder / f"{name}.kept").open("wb") as kept, log.open("wb") as output:
            fcntl.flock(kept, fcntl.LOCK_EX)  # handed over: the keeper holds it until it has ended
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.services.keeper", name, str(self.folder), str(kept.fileno())],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=[kept.fileno()],
            )  # fmt: skip
        self._keepers.append(keeper)
        until(lambda: said.exists() or keeper.poll() is not None, within=START_WITHIN, what=f"the keeper of {name}", tail=lambda: tail(log))
        if not said.exists():
            raise ServiceError(f"the keeper of {name} ended{tail(log)}")


def clear(folder: Path) -> None:
    """Wait until all keepers of a run have ended, and remove what it left."""
    for path in sorted(folder.glob("*.kept")):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as kept:
            fcntl.flock(kept, fcntl.LOCK_EX)
    shutil.rmtree(folder, ignore_errors=True)
