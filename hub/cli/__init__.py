"""The command line. Stable: other programs are written against it.

Exit codes: 0 done, 1 refused or found faults, 2 wrong use, 3 a service is not reachable.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from hub.cli import cases, connectors, db, operate, rejections, rules, signals, topics
from hub.cli.common import Context, fail, parse_now
from hub.errors import HubError, UsageError, whereabouts
from hub.settings import HubSettings
from hub.telemetry import configure

app = typer.Typer(
    name="hub",
    help="Agencies tell each other what they must know, and nothing more.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
operate.add_to(app)
signals.add_to(app)
app.add_typer(rules.rules_app, name="rules")
app.add_typer(rules.schemas_app, name="schemas")
app.add_typer(cases.app, name="cases")
app.add_typer(cases.recalls_app, name="recalls")
app.add_typer(rejections.app, name="rejections")
app.add_typer(topics.app, name="topics")
app.add_typer(db.app, name="db")
app.add_typer(connectors.app, name="connector")
app.add_typer(connectors.consumers_app, name="consumer")


@app.callback()
def options(
    context: typer.Context,
    home: Path | None = typer.Option(None, help="Folder of the hub (HUB_HOME); default ./.hub."),
    rules_dir: Path | None = typer.Option(None, "--rules", help="Folder of rule files (HUB_RULES_DIR)."),
    schemas_dir: Path | None = typer.Option(None, "--schemas", help="Folder of schemas (HUB_SCHEMAS_DIR)."),
    now: str | None = typer.Option(None, help="Let the clock stand at this ISO 8601 moment (embedded only)."),
) -> None:
    """Agencies tell each other what they must know, and nothing more."""
    given: dict[str, Any] = {"home": home, "rules_dir": rules_dir, "schemas_dir": schemas_dir}
    try:
        settings = HubSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as exc:
        names = ", ".join(f"HUB_{str(error['loc'][0]).upper()}" for error in exc.errors(include_input=False) if error["loc"])
        raise UsageError(f"a setting is wrong: {names}", "see `HubSettings` in hub/settings.py for what it may be") from None
    configure(settings.log_level)
    context.obj = Context(settings, parse_now(now) if now is not None else None)


def main() -> None:
    """Run the command line; every error becomes a sentence and an exit code, never a traceback."""
    try:
        app()  # ends with SystemExit, also for wrong use
    except HubError as exc:
        sys.exit(fail(exc.message, exc.hint, exc.exit_code))
    except Exception as exc:  # noqa: BLE001  (the last guard: a message of someone else's may hold values)
        sys.exit(fail(f"a fault of the hub itself ({whereabouts(exc)})", "report it; nothing half done was stored", 1))
