"""Commands on connectors: found by entry point, run with their own settings."""

from __future__ import annotations

from typing import Any

import typer
from pydantic import ValidationError
from rich.table import Table

from hub.cli.common import JSON, Context, console, show_json, track
from hub.client import Connector, RunReport
from hub.errors import UsageError
from hub.plugins import connector_named, connectors
from hub.settings import from_environment

app = typer.Typer(no_args_is_help=True, help="Connectors to agency systems.")


@app.command("list")
def list_(as_json: bool = JSON) -> None:
    """List the connectors that are installed."""
    found = connectors()
    if as_json:
        show_json([{"name": connector.name, "summary": connector.summary} for connector in found])
        return
    table = Table("connector", "what it does", "settings")
    for connector in found:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in connector.settings.model_fields)
        table.add_row(connector.name, connector.summary, options)
    console().print(table)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(context: typer.Context, name: str, as_json: bool = JSON) -> None:
    """Run a connector to the end of its input. Its settings are options: --file PATH, or HUB_<NAME>_FILE."""
    ctx: Context = context.obj
    connector = connector_named(name)
    given = _options(context.args)
    settings = settings_of(connector, given, ctx)
    with ctx.hub() as hub:
        report = connector.run(settings, hub, track)
    if as_json:
        show_json(_as_json(report))
    else:
        _print(name, report)


def settings_of(connector: Connector, given: dict[str, str], ctx: Context) -> Any:
    """Build the settings of a connector from options, the environment and defaults. Raises UsageError."""
    fields = connector.settings.model_fields
    if unknown := given.keys() - fields.keys():
        raise UsageError(f"connector {connector.name} has no option --{sorted(unknown)[0].replace('_', '-')}",
                         f"it has: {', '.join('--' + f.replace('_', '-') for f in fields)}")  # fmt: skip
    values = from_environment(f"HUB_{connector.name.upper()}_", fields)
    if "state_dir" in fields:
        values.setdefault("state_dir", str(ctx.settings.home / "connectors" / connector.name))
    try:
        return connector.settings.model_validate(values | given)
    except ValidationError as exc:
        missing = [str(error["loc"][0]).replace("_", "-") for error in exc.errors(include_input=False) if error["loc"]]
        raise UsageError(f"connector {connector.name}: --{missing[0] if missing else '?'} is missing or wrong",
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


def _as_json(report: RunReport) -> dict[str, Any]:
    return {
        "read": report.read,
        "accepted": report.accepted,
        "duplicate": report.duplicate,
        "skipped": dict(sorted(report.skipped.items())),
        "refused": dict(sorted(report.refused.items())),
    }


def _print(name: str, report: RunReport) -> None:
    table = Table("", "aantal", title=f"Connector {name}", title_justify="left")
    table.add_row("gelezen", str(report.read))
    table.add_row("gepubliceerd", str(report.accepted))
    table.add_row("al bekend", str(report.duplicate))
    for kind, counts in (("overgeslagen", report.skipped), ("geweigerd", report.refused)):
        for code, count in sorted(counts.items()):
            table.add_row(f"{kind}: {code}", str(count))
    console().print(table)
