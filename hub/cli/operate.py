"""Commands that run the hub: all of it in one process (up, run), or a part of it (router, relay, clock); and the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from hub import demo as demonstration
from hub.app import Hub
from hub.cli.common import JSON, Context, show_json
from hub.cli.running import Part, serve
from hub.errors import UsageError
from hub.transport.base import IN, ROUTERS


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

    @contextmanager
    def work(hub: Hub) -> Iterator[Part]:
        consumer = hub.transport.consumer(ROUTERS, IN)
        ruleset = hub.rulebooks.current.ruleset
        print(
            f"hub up in {ctx.settings.home}: {len(ruleset.types)} signal types, {len(ruleset.grants)} grants; Ctrl-C stops it", flush=True
        )
        try:
            yield Part(lambda stop: hub.drain(consumer, stop), stay=lambda: consumer.poll(0))
        finally:
            consumer.close()

    serve(ctx, work, topics=True)


def router(context: typer.Context) -> None:
    """Take what participants publish to recorded decisions. More than one may run; each has topics of its own."""
    ctx: Context = context.obj

    @contextmanager
    def work(hub: Hub) -> Iterator[Part]:
        consumer = hub.transport.consumer(ROUTERS, IN)
        print(f"router up in {ctx.settings.home}; Ctrl-C stops it", flush=True)
        try:
            yield Part(lambda stop: hub.route_once(consumer, stop), stay=lambda: consumer.poll(0))
        finally:
            consumer.close()

    serve(ctx, work, topics=True)


def relay(context: typer.Context) -> None:
    """Send recorded deliveries to their recipients. More than one may run; one serves a recipient at a time."""
    ctx: Context = context.obj

    @contextmanager
    def work(hub: Hub) -> Iterator[Part]:
        print(f"relay up in {ctx.settings.home}; Ctrl-C stops it", flush=True)
        yield Part(hub.relay_once, rest=0.05)

    serve(ctx, work, topics=True)


def clock(context: typer.Context, once: bool = typer.Option(False, "--once", help="Stop when nothing is due any more.")) -> None:
    """Let fall due what is due: terms of cases, places in a new period, data whose time is up. More than one may run."""
    ctx: Context = context.obj
    if once:
        with ctx.hub() as hub:
            print(f"{hub.clock_once()} things were due")
        return

    @contextmanager
    def work(hub: Hub) -> Iterator[Part]:
        print(f"clock up in {ctx.settings.home}; Ctrl-C stops it", flush=True)
        yield Part(hub.clock_once)

    serve(ctx, work, topics=False)


def api(context: typer.Context) -> None:
    """Answer on HUB_HEALTH_PORT how the hub is. The HTTP API itself is still to come."""
    ctx: Context = context.obj
    if ctx.settings.health_port is None:
        raise UsageError("there is no port to answer on", "set HUB_HEALTH_PORT")

    @contextmanager
    def work(_: Hub) -> Iterator[Part]:
        print(f"api up on port {ctx.settings.health_port}; Ctrl-C stops it", flush=True)
        yield Part(lambda _: 0)

    serve(ctx, work, topics=False, adopt=False)


def demo(as_json: bool = JSON) -> None:
    """Play some months of sample traffic in a temporary home, and explain one decision."""
    story = demonstration.play()
    if as_json:
        show_json(story.summary())
    else:
        story.tell()
