"""Where the suite runs a connector: fresh worlds of a rig, and the books of what came of a run."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from connectors.kit.listening import counted, listening, told
from connectors.kit.memory import MemoryGateway
from connectors.kit.rig import Rig, World
from hub.client import Gateway, Item, NewSignal, RunReport
from hub.errors import HubError, whereabouts

_PARTS: Final = 5
UNBALANCED: Final = "the counts of the report do not add up to what it read"
Books = Counter[str]
"""What was published and what the other side holds, each as text, and how often."""


class FailedError(Exception):
    """A check failed; the message says why, and holds no value of the input."""


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass(slots=True)
class Ending:
    """Raises at a step, and at every step after it: what is gone stays gone."""

    after: int
    error: Callable[[], BaseException]
    only: frozenset[str] = frozenset()
    """The steps that count; all when empty."""
    seen: int = 0

    def __call__(self, step: str) -> None:
        """Count a step."""
        if self.only and step not in self.only:
            return
        self.seen += 1
        if self.seen > self.after:
            raise self.error()


@dataclass(slots=True)
class Ran:
    """What came of one run."""

    report: RunReport | None
    error: BaseException | None
    said: str
    """Everything that anyone could hear of it."""
    cause: str
    """What the error says, or where it came from; empty when there is none."""

    def well(self) -> RunReport:
        """Return the report of a run that had to end well. Raises FailedError."""
        if self.report is None:
            raise FailedError(f"it ended with an error, though nothing was wrong any more: {self.cause}")
        if not self.report.balanced:
            raise FailedError(UNBALANCED)
        return self.report

    def orderly(self) -> None:
        """Raise FailedError unless it ended with counts that add up, or with an error that says what to do."""
        if self.error is not None and not isinstance(self.error, HubError | Killed):
            raise FailedError(f"{self.cause} came out of it: neither StopError nor RetryLaterError")
        if self.report is not None:
            self.well()


class Bench:
    """Opens worlds of a rig, each in a new folder, and runs its connector there."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self._folder = folder
        self._number = itertools.count(1)

    @contextlib.contextmanager
    def world(self) -> Iterator[tuple[World, MemoryGateway]]:
        """Open a fresh world and a hub that knows nothing yet."""
        folder = self._folder / f"world-{next(self._number)}"
        folder.mkdir(parents=True)
        with self.rig.open(folder) as world:
            hub = MemoryGateway(world.deliveries, guards=world.guards)
            world.attend(hub.now)
            yield world, hub

    def run(self, world: World, hub: MemoryGateway, *, impatient: bool = False) -> Ran:
        """Run the connector once, and hear all that it says."""
        return self.run_on(world, hub, hub.step, impatient=impatient)

    def run_on(self, world: World, gateway: Gateway, step: Callable[[str], None] | None = None, *, impatient: bool = False) -> Ran:
        """Run it on any hub; `step` is called at each item that it shows progress over."""

        def track(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:  # noqa: ARG001
            for item in items:
                if step is not None:
                    step("row")
                yield item

        settings = world.impatient if impatient and world.impatient is not None else world.settings
        return self._heard(world, lambda: self.rig.connector.run(settings, gateway, track))

    def ping(self, world: World, *, impatient: bool = False) -> Ran:
        """Ping once. The report is that of nothing when it raised nothing."""
        settings = world.impatient if impatient and world.impatient is not None else world.settings

        def ping() -> RunReport:
            self.rig.connector.ping(settings)
            return RunReport()

        return self._heard(world, ping)

    def _heard(self, world: World, work: Callable[[], RunReport]) -> Ran:
        report: RunReport | None = None
        error: BaseException | None = None
        with listening() as said:
            try:
                report = work()
            except KeyboardInterrupt:
                raise
            except BaseException as exc:  # noqa: BLE001  (whatever comes out of a connector is judged)
                error = exc
        text = said.getvalue() + (told(error) if error else "") + (counted(report) if report else "")
        return Ran(report, error, text, self._cause(world, error) if error else "")

    def _cause(self, world: World, error: BaseException) -> str:
        """Say what went wrong: a HubError in its own words, unless they hold a value of the input."""
        if isinstance(error, HubError) and not any(marker in error.message for marker in world.markers):
            return f"{type(error).__name__}: {error.message}"
        return whereabouts(error, self.rig.connector.settings.__module__)

    @cached_property
    def trouble(self) -> str:
        """Why a run in which nothing should go wrong fails; empty when it ends well."""
        with self.world() as (world, hub):
            ran = self.run(world, hub)
            if ran.error is not None:
                return ran.cause
            return "" if ran.report is not None and ran.report.balanced else UNBALANCED

    @cached_property
    def expected(self) -> Books:
        """The books of one run in which nothing goes wrong. Raises FailedError."""
        with self.world() as (world, hub):
            self.run(world, hub).well()
            return books(world, hub)

    @cached_property
    def requests(self) -> int:
        """How often the other side is asked something in such a run."""
        with self.world() as (world, hub):
            self.run(world, hub)
            return len(world.asked())

    def steps(self, only: frozenset[str] = frozenset()) -> int:
        """Return how many steps such a run takes."""
        with self.world() as (world, hub):
            hub.step = counter = Ending(1_000_000, Killed, only)
            self.run(world, hub).well()
            return counter.seen


def books(world: World, hub: MemoryGateway) -> Books:
    """Return the books as they stand."""
    return Counter([*(entry(participant, signal) for participant, signal in hub.published), *map(_text, world.effects())])


def entry(participant: str, signal: NewSignal) -> str:
    """Return a signal as it stands in the books: not its id and time, which may differ between worlds."""
    return _text([participant, signal.type, signal.data, signal.cause, signal.replaces])


def split(found: Books, world: World) -> tuple[int, int]:
    """Return how many of these are answers to deliveries, and how many are not."""
    causes = {delivery.delivery_id for delivery in world.deliveries}
    answers = Counter({text: count for text, count in found.items() if _cause(json.loads(text)) in causes}).total()
    return answers, found.total() - answers


def _cause(item: Any) -> Any:
    return item[3] if isinstance(item, list) and len(item) == _PARTS else None


def wanted(world: World) -> Books:
    """Return the books as the rig says that they should be."""
    return Counter([*(entry(participant, signal) for participant, signal in world.signals), *map(_text, world.expects)])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
