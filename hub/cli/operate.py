"""Commands that run the hub: all of it in one process (up, run), or a part of it (router, relay, clock); and the demo."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import typer

from hub import demo as demonstration
from hub.app import Hub, folders, load_files
from hub.cli.common import JSON, Context, show_json
from hub.errors import FaultsError, HubError, RetryLaterError, StopError, UsageError
from hub.telemetry import log
from hub.transport.base import IN, ROUTERS

_IDLE_SECONDS = 0.2
Stamp = list[tuple[str, int, int]] | None
"""By which rule and schema files are seen to have changed; None while they cannot be read."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(up)
    app.command()(router)
    app.command()(relay)
    app.command()(clock)
    app.command()(api)
    app.command()(demo)


def run(context: typer.Context, once: bool = typer.Option(False, "--once", help="Stop when nothing is pending.")) -> None:
    """Process what is pending: ingress topics, due terms, deliveries."""
    if not once:
        up(context)
        return
    ctx: Context = context.obj
    with ctx.hub() as hub:
        hub.run_once()


def up(context: typer.Context) -> None:
    """Run everything in one process until it is told to stop; takes up new rules at a batch boundary."""
    ctx: Context = context.obj
    stop = _told_to_stop()
    with ctx.hub() as hub:
        ruleset = hub.rulebooks.current.ruleset
        print(
            f"hub up in {ctx.settings.home}: {len(ruleset.types)} signal types, {len(ruleset.grants)} grants; Ctrl-C stops it", flush=True
        )
        consumer = hub.transport.consumer(ROUTERS, IN)
        try:
            _turns(ctx, hub, stop, lambda: hub.drain(consumer), lambda: consumer.poll(0))
        finally:
            consumer.close()


def router(context: typer.Context) -> None:
    """Take what participants publish to recorded decisions. More than one may run; each has topics of its own."""
    ctx: Context = context.obj
    stop = _told_to_stop()
    with ctx.hub() as hub:
        consumer = hub.transport.consumer(ROUTERS, IN)
        print(f"router up in {ctx.settings.home}; Ctrl-C stops it", flush=True)
        try:
            _turns(ctx, hub, stop, lambda: hub.route_once(consumer), lambda: consumer.poll(0))
        finally:
            consumer.close()


def relay(context: typer.Context) -> None:
    """Send recorded deliveries to their recipients. More than one may run; one serves a recipient at a time."""
    ctx: Context = context.obj
    stop = _told_to_stop()
    with ctx.hub() as hub:
        print(f"relay up in {ctx.settings.home}; Ctrl-C stops it", flush=True)
        _turns(ctx, hub, stop, hub.relay_once)


def clock(context: typer.Context, once: bool = typer.Option(False, "--once", help="Stop when nothing is due any more.")) -> None:
    """Let fall due what is due: terms of cases, places in a new period, data whose time is up. More than one may run."""
    ctx: Context = context.obj
    with ctx.hub() as hub:
        if once:
            print(f"{hub.clock_once()} things were due")
            return
        print(f"clock up in {ctx.settings.home}; Ctrl-C stops it", flush=True)
        _turns(ctx, hub, _told_to_stop(), hub.clock_once)


def api(context: typer.Context) -> None:
    """Answer on HUB_HEALTH_PORT how the hub is. The HTTP API itself is still to come."""
    ctx: Context = context.obj
    if ctx.settings.health_port is None:
        raise UsageError("there is no port to answer on", "set HUB_HEALTH_PORT")
    with ctx.hub(adopt=False) as hub:
        print(f"api up on port {ctx.settings.health_port}; Ctrl-C stops it", flush=True)
        _turns(ctx, hub, _told_to_stop(), lambda: 0)


def _told_to_stop() -> threading.Event:
    """Return what is set when the process is told to stop."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _turns(ctx: Context, hub: Hub, stop: threading.Event, turn: Callable[[], int], stay: Callable[[], object] = lambda: None) -> None:
    """Take turns until told to stop; when there is nothing to do, look for new rules and wait a little.

    `stay` is called while nothing can be recorded, so that a router does not lose its topics for being silent.
    """
    seen = _stamp(ctx)
    with _health(ctx, hub) as beat:
        while not stop.is_set():
            beat()
            seen = _turn(ctx, hub, stop, turn, stay, seen)


def _turn(ctx: Context, hub: Hub, stop: threading.Event, turn: Callable[[], int], stay: Callable[[], object], seen: Stamp) -> Stamp:
    """Take one turn. Returns the files as they were when they were last looked at."""
    try:
        busy = turn()
    except RetryLaterError as exc:
        log.error("retry_later", error=type(exc).__name__)
        with contextlib.suppress(RetryLaterError):
            stay()
        busy = 0
    if not busy:
        stamp = _stamp(ctx)
        if stamp is not None and stamp != seen:
            _take_up_new_rules(ctx, hub)
            seen = stamp
        stop.wait(_IDLE_SECONDS)
    return seen


@contextlib.contextmanager
def _health(ctx: Context, hub: Hub) -> Iterator[Callable[[], None]]:
    """Answer how this process is while the block lasts, if it has a port for that. Gives what notes that a turn was taken."""
    if ctx.settings.health_port is None:
        yield lambda: None
        return
    from hub.health import Health, served  # noqa: PLC0415  (not needed without a port)
    from hub.metrics import Metrics  # noqa: PLC0415

    metrics = Metrics()
    metrics.watch(hub.database, hub.now_ms, lambda: hub.transport.lag(ROUTERS, IN), hub.unsent)
    hub.observer = metrics
    health = Health(metrics, lambda: _can_record(hub))
    with served(health, ctx.settings.health_host, ctx.settings.health_port):
        yield health.beat


def _can_record(hub: Hub) -> bool:
    try:
        return hub.database.revision() is not None
    except HubError:
        return False


def _stamp(ctx: Context) -> Stamp:
    try:
        found = [(path, path.lstat()) for folder in folders(ctx.settings) for path in sorted(folder.iterdir())]
    except OSError:
        return None
    return [(str(path), stat.st_mtime_ns, stat.st_size) for path, stat in found]


def _take_up_new_rules(ctx: Context, hub: Hub) -> None:
    """Adopt changed files; a broken set is refused, and the one in force stays."""
    before = hub.rulebooks.current.ruleset.version
    try:
        adopted = hub.rulebooks.adopt(load_files(ctx.settings).unwrap())
    except StopError as exc:
        log.error("rules_refused", faults=len(exc.faults) if isinstance(exc, FaultsError) else 1)
        return
    if adopted.ruleset.version != before:
        log.info("rules_adopted", version=adopted.ruleset.version)


def demo(as_json: bool = JSON) -> None:
    """Play some months of sample traffic in a temporary home, and explain one decision."""
    story = demonstration.play()
    if as_json:
        show_json(story.summary())
    else:
        story.tell()
