"""Commands on the database."""

from __future__ import annotations

import contextlib

import typer

from hub.backends import database_of
from hub.cli.common import Context

app = typer.Typer(no_args_is_help=True, help="The database.")


@app.callback()
def group() -> None:
    """The database."""


@app.command()
def upgrade(context: typer.Context) -> None:
    """Bring the tables to what this version of the hub expects; what is in them stays."""
    ctx: Context = context.obj
    ctx.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(database_of(ctx.settings)) as database:
        before = database.revision()
        database.upgrade()
        after = database.revision()
    print(f"the database is at revision {after}" + ("" if before == after else f", and was at {before or 'none'}"))
