"""A process that runs until it is told to stop: it waits for what it needs, takes turns, says how it is, and ends in time."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hub.app import Hub, folders, load_files
from hub.cli.common import Context
from hub.errors import FaultsError, HubError, RetryLaterError, StopError
from hub.health import Health, served
from hub.metrics import Metrics
from hub.stopping import Stop, told_to_stop
from hub.telemetry import log
from hub.transport.base import IN, ROUTERS

_SHORTEST_SECONDS = 0.005
_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 1.0
Stamp = list[tuple[str, int, int]] | None
"""By which rule and schema files are seen to have changed; None while they cannot be read."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a process does again and again."""

    turn: Callable[[Stop], int]
    """Does some of what is pending, and returns how much that was."""
    rest: float = 0.2
    """Seconds that it rests at most when there is nothing to do."""
    stay: Callable[[], object] = lambda: None
    """Called while nothing can be done, so that a router does not lose its topics for being silent."""


Work = Callable[[Hub], AbstractContextManager[Part]]


def serve(ctx: Context, work: Work, *, topics: bool, adopt: bool = True) -> None:
    """Run a part of the hub until told to stop.

    While the database, or the brokers if it uses `topics`, are away it waits for them: alive and not ready. What a person
    must put right ends it: StopError.
    """
    with told_to_stop() as stop:
        process = _Process(ctx, stop, topics=topics)
        with served(process.health, ctx.settings.health_host, ctx.settings.health_port):
            while not stop.is_set():
                with process.patient(), ctx.hub(adopt=adopt) as hub, process.watching(hub), work(hub) as part:
                    process.take_turns(hub, part)


class _Process:
    """One process that runs."""

    def __init__(self, ctx: Context, stop: threading.Event, *, topics: bool) -> None:
        self._ctx = ctx
        self._stop = stop
        self._topics = topics
        self._hub: Hub | None = None
        """The hub that it has opened; None while it waits for that."""
        self._waits_for: str | None = None
        self._seen: Stamp = None
        self._told: dict[int, str] = {}
        self._looked = time.monotonic()
        self._pause: float = 0
        """How long it rests when there is nothing to do: shorter just after work, for work comes in rows."""
        self._metrics = Metrics()
        self.health = Health(self._metrics, self._ready)

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """Let what may succeed later wait a moment; says so once, and once that it is over."""
        try:
            yield
        except RetryLaterError as exc:
            if exc.message != self._waits_for:
                log.error("retry_later", error=type(exc).__name__, why=exc.message)
            self._waits_for = exc.message
            self.health.beat()
            self._stop.wait(_RETRY_SECONDS)

    @contextlib.contextmanager
    def watching(self, hub: Hub) -> Iterator[None]:
        """Tell how this hub is while the block lasts. Raises RetryLaterError if its topics do not answer."""
        if self._topics:
            hub.transport.check()
        self._metrics.watch(hub.database, hub.now_ms, lambda: hub.transport.lag(ROUTERS, IN), hub.unsent)
        hub.observer = self._metrics
        self._hub = hub
        try:
            yield
        finally:
            self._hub = None
            self._metrics.unwatch()

    def take_turns(self, hub: Hub, part: Part) -> None:
        """Take turns until told to stop; look for new rules now and then, and wait a little when there is nothing to do."""
        self._seen = _stamp(self._ctx)
        gc.collect()
        gc.freeze()  # the rules stay: to look through them again and again would hold up a turn for a tenth of a second
        while not self._stop.is_set():
            with self.patient():
                self._turn(hub, part)

    def _turn(self, hub: Hub, part: Part) -> None:
        try:
            busy = part.turn(self._asked)
        except RetryLaterError:
            with contextlib.suppress(RetryLaterError):
                part.stay()
            raise
        if self._waits_for is not None:
            log.warning("going_on")
            self._waits_for = None
        self._tell(hub.relay.failing)
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._take_up_new_rules(hub)
            self._looked = time.monotonic()
        self._pause = 0 if busy else min(max(2 * self._pause, _SHORTEST_SECONDS), part.rest)
        if self._pause:
            self._stop.wait(self._pause)

    def _tell(self, failing: Mapping[int, HubError]) -> None:
        """Say of recipients who cannot be served why that is, once."""
        for recipient, why in failing.items():
            if self._told.get(recipient) != why.message:
                log.error("retry_later", error=type(why).__name__, why=why.message)
        self._told = {recipient: why.message for recipient, why in failing.items()}

    def _asked(self) -> bool:
        """Note that the work goes on, and say whether it must stop."""
        self.health.beat()
        return self._stop.is_set()

    def _ready(self) -> bool:
        hub = self._hub
        if hub is None:
            return False
        try:
            if self._topics:
                hub.transport.check()
            return hub.database.revision() is not None
        except HubError:
            return False

    def _take_up_new_rules(self, hub: Hub) -> None:
        """Adopt changed files; a broken set is refused, and the one in force stays."""
        stamp = _stamp(self._ctx)
        if stamp is None or stamp == self._seen:
            return
        before = hub.rulebooks.current.ruleset.version
        try:
            adopted = hub.rulebooks.adopt(load_files(self._ctx.settings).unwrap())
        except StopError as exc:
            log.error("rules_refused", faults=len(exc.faults) if isinstance(exc, FaultsError) else 1)
        else:
            if adopted.ruleset.version != before:
                log.info("rules_adopted", version=adopted.ruleset.version)
        self._seen = stamp


def _stamp(ctx: Context) -> Stamp:
    try:
        found = [(path, path.lstat()) for folder in folders(ctx.settings) for path in sorted(folder.iterdir())]
    except OSError:
        return None
    return [(str(path), stat.st_mtime_ns, stat.st_size) for path, stat in found]
