"""Commands on connectors and consumers: found by entry point, run with their own settings."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table
from typer.core import TyperCommand, TyperGroup

from hub.cli.common import JSON, Context, console, show_json, track
from hub.client import Connector, Consumer, RunReport
from hub.errors import RetryLaterError, UsageError
from hub.gateway import HubGateway
from hub.plugins import (
    CONNECTORS,
    CONSUMERS,
    blamed,
    connector_named,
    connectors,
    consumer_named,
    consumers,
    kit,
    module_in,
    module_of,
    unusable,
)
from hub.settings import from_environment
from hub.stopping import told_to_stop
from hub.telemetry import log

Plugin = Connector | Consumer
_EXTRA: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
_STATE_DIR: Final = "state_dir"
"""The one setting that the hub gives by itself."""
_NAMED: Final = "hub.plugin"
EVERY = typer.Option(None, "--every", min=0.1, help="Run again this many seconds after each end, until told to stop.")


class _EitherOrder(TyperGroup):
    """Takes `NAME run` for `run NAME`: the process table of a machine reads better so."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if len(args) > 1 and args[0] not in self.commands and args[1] in self.commands:
            args = [args[1], args[0], *args[2:]]
        return super().parse_args(ctx, args)


class _RunConnector(TyperCommand):
    """Shows in its help the settings of the connector that is named."""

    def find(self, name: str) -> Plugin:
        return connector_named(name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_NAMED] = args[0] if args and not args[0].startswith("-") else None  # asked for help, click looks no further
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        plugin = self.find(name) if (name := ctx.meta.get(_NAMED)) else None
        super().format_help(ctx, formatter)
        if plugin is not None:
            _show_settings(plugin)


class _RunConsumer(_RunConnector):
    """The same of a consumer."""

    def find(self, name: str) -> Plugin:
        return consumer_named(name)


app = typer.Typer(cls=_EitherOrder, no_args_is_help=True, help="Connectors to agency systems.")
consumers_app = typer.Typer(cls=_EitherOrder, no_args_is_help=True, help="What acts on deliveries: exports and the like.")


@app.command("list")
def list_(as_json: bool = JSON) -> None:
    """List the connectors that are installed."""
    _list("connector", connectors(), unusable(CONNECTORS), as_json=as_json)


@consumers_app.command("list")
def list_consumers(as_json: bool = JSON) -> None:
    """List the consumers that are installed."""
    _list("consumer", consumers(), unusable(CONSUMERS), as_json=as_json)


@app.command(cls=_RunConnector, context_settings=_EXTRA)
def run(context: typer.Context, name: str, every: float | None = EVERY, as_json: bool = JSON) -> None:
    """Run a connector to the end of its input. Its settings are options, or HUB_<NAME>_<SETTING>; `run NAME --help` shows them."""
    _run(context, connector_named(name), every, as_json=as_json)


@consumers_app.command("run", cls=_RunConsumer, context_settings=_EXTRA)
def run_consumer(context: typer.Context, name: str, every: float | None = EVERY, as_json: bool = JSON) -> None:
    """Run a consumer once. Its settings are options, or HUB_<NAME>_<SETTING>; `run NAME --help` shows them."""
    _run(context, consumer_named(name), every, as_json=as_json)


@app.command()
def check(
    context: typer.Context,
    name: str | None = typer.Argument(None, help="An installed connector."),
    folder: Path | None = typer.Option(None, "--from", help="The folder of one that is not installed.", exists=True, file_okay=False),
    as_json: bool = JSON,
) -> None:
    """Hold a connector to the conformance suite, in a world of its own. Exit code 1 if a check failed."""
    if (name is None) == (folder is None):
        raise UsageError("give the name of a connector, or --from with its folder", "see `hub connector list`")
    ctx: Context = context.obj
    module = module_of(name) if name is not None else module_in(folder or Path())
    results = [asdict(result) for result in track(kit("check")(module, lambda home: _elsewhere(ctx, home)), total=None, label=module)]
    failed = sum(result["verdict"] == "failed" for result in results)
    if as_json:
        show_json(results)
    else:
        table = Table("check", "what", "", "why", title=f"Connector {name or module}", title_justify="left")
        for result in results:
            table.add_row(result["check"], result["what"], result["verdict"], result["why"])
        console().print(table)
        print(f"{failed} of {len(results)} checks failed" if failed else _no_check_failed(results[-1]))
    if failed:
        raise typer.Exit(1)


def _no_check_failed(last: dict[str, str]) -> str:
    """Sum up; the last check holds the connector to the rules in force."""
    return "no check failed" + ("" if last["verdict"] == "passed" else f", but it was not held against the rules: {last['why']}")


@contextmanager
def _elsewhere(ctx: Context, home: Path) -> Iterator[HubGateway]:
    """Open a hub of its own in a fresh folder, with the rules that the user means."""
    settings = ctx.settings.model_copy(update={"home": home, "database_url": None, "kafka_bootstrap": None})
    with Context(settings, ctx.now).hub() as hub:
        yield HubGateway(hub)


@app.command()
def new(
    name: str,
    kind: str = typer.Option(..., "--kind", help="source, sink or both."),
    folder: Path = typer.Option(Path(), "--in", help="Where to make its folder.", exists=True, file_okay=False),
) -> None:
    """Write the folder of a new connector, which passes the conformance suite as it is."""
    written: list[Path] = kit("new")(name, kind, folder, module_in(folder / name))
    for path in written:
        print(path)
    print(f"\nnext: hub connector check --from {folder / name}")


def _list(what: str, found: list[Any], broken: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        whole = [{"name": plugin.name, "summary": plugin.summary} for plugin in found]
        show_json([*whole, *({"name": name, "summary": "", "not_importable": why} for name, why in sorted(broken.items()))])
        return
    table = Table(what, "what it does", "settings")
    for plugin in found:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in plugin.settings.model_fields)
        table.add_row(plugin.name, plugin.summary, options)
    for name, why in sorted(broken.items()):
        table.add_row(name, f"not importable: {why}", "")
    console().print(table)


def _show_settings(plugin: Plugin) -> None:
    """Print what a plugin must be told, and how."""
    table = Table("setting", "in the environment", "what it is", "", title=plugin.name, title_justify="left")
    for name, found in plugin.settings.model_fields.items():
        required = found.is_required() and name != _STATE_DIR
        table.add_row(f"--{name.replace('_', '-')}", f"HUB_{plugin.name.upper()}_{name.upper()}", escape(found.description or ""),
                      "required" if required else "")  # fmt: skip
    console().print(table)


def _run(context: typer.Context, plugin: Plugin, every: float | None, *, as_json: bool) -> None:
    ctx: Context = context.obj
    settings = settings_of(plugin, _options(context.args), ctx)
    with told_to_stop() as stop, ctx.hub() as hub:
        gateway = HubGateway(hub, relays=ctx.settings.kafka_bootstrap is None, stop=stop)
        if every is None:
            with blamed(plugin):
                report = plugin.run(settings, gateway, track)
            _show(plugin, report, as_json=as_json)
        else:
            _again_and_again(plugin, settings, gateway, stop, every)


def _again_and_again(plugin: Plugin, settings: Any, gateway: HubGateway, stop: threading.Event, every: float) -> None:
    """Run until told to stop; a run that may succeed later is no end."""
    print(f"{plugin.name} runs every {every:g} s; Ctrl-C stops it", flush=True)
    while not stop.is_set():
        try:
            with blamed(plugin):
                report = plugin.run(settings, gateway, track)
            log.info("connector_ran", connector=plugin.name, **_totals(report))
        except RetryLaterError as exc:
            if not stop.is_set():
                log.error("retry_later", error=type(exc).__name__, why=exc.message)
        stop.wait(every)


def settings_of(plugin: Plugin, given: dict[str, str], ctx: Context) -> Any:
    """Build the settings of a connector or consumer from options, the environment and defaults. Raises UsageError."""
    fields = plugin.settings.model_fields
    if unknown := given.keys() - fields.keys():
        raise UsageError(f"{plugin.name} has no option --{sorted(unknown)[0].replace('_', '-')}",
                         f"it has: {', '.join('--' + f.replace('_', '-') for f in fields)}")  # fmt: skip
    values = from_environment(f"HUB_{plugin.name.upper()}_", fields)
    if _STATE_DIR in fields:
        values.setdefault(_STATE_DIR, str(ctx.settings.home / "connectors" / plugin.name))
    try:
        return plugin.settings.model_validate(values | given)
    except ValidationError as exc:
        missing = [str(error["loc"][0]).replace("_", "-") for error in exc.errors(include_input=False) if error["loc"]]
        raise UsageError(f"{plugin.name}: --{missing[0] if missing else '?'} is missing or wrong",
                         "; ".join(f"--{n.replace('_', '-')}: {f.description or ''}" for n, f in fields.items())) from None  # fmt: skip


def _options(args: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    rest = list(args)
    while rest:
        option = rest.pop(0)
        name, equals, value = option.removeprefix("--").partition("=")
        if not option.startswith("--") or (not equals and not rest):
            raise UsageError(f"`{name}` is no option with a value" if option.startswith("--") else "settings are given as --name value", "")
        given[name.replace("-", "_")] = value if equals else rest.pop(0)
    return given


def _takes_deliveries(plugin: Plugin) -> bool:
    return not isinstance(plugin, Connector) or plugin.kind != "source"


def _as_json(plugin: Plugin, report: RunReport) -> dict[str, Any]:
    """Return the counts; those of deliveries only where there are any to take."""
    found: dict[str, Any] = {"read": report.read, "accepted": report.accepted, "duplicate": report.duplicate}
    if _takes_deliveries(plugin):
        found["delivered"] = report.delivered
    found |= {"skipped": dict(sorted(report.skipped.items())), "refused": dict(sorted(report.refused.items()))}
    if _takes_deliveries(plugin):
        found["answers"] = dict(sorted(report.answers.items()))
    return found


def _totals(report: RunReport) -> dict[str, int]:
    found = {"read": report.read, "accepted": report.accepted, "duplicate": report.duplicate, "delivered": report.delivered}
    return found | {"skipped": report.skipped.total(), "refused": report.refused.total(), "answers": report.answers.total()}


def _show(plugin: Plugin, report: RunReport, *, as_json: bool) -> None:
    if as_json:
        show_json(_as_json(plugin, report))
        return
    table = Table("", "aantal", title=f"{type(plugin).__name__} {plugin.name}", title_justify="left")
    table.add_row("gelezen", str(report.read))
    if not isinstance(plugin, Connector) or plugin.kind != "sink":
        table.add_row("gepubliceerd", str(report.accepted))
    if _takes_deliveries(plugin):
        table.add_row("afgeleverd", str(report.delivered))
    table.add_row("al bekend", str(report.duplicate))
    kinds: tuple[tuple[str, Counter[str]], ...] = (
        ("overgeslagen", report.skipped), ("geweigerd", report.refused), ("antwoord", report.answers)
    )  # fmt: skip
    for kind, counts in kinds:
        for code, count in sorted(counts.items()):
            table.add_row(f"{kind}: {code}", str(count))
    console().print(table)
