"""Commands on cases and recalls."""

from __future__ import annotations

import json

import typer
from rich.table import Table

from hub import cases, recalls
from hub.app import Hub
from hub.cli.common import JSON, Context, console, show_json
from hub.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Cases: list, show, and whether something may be done now.")
recalls_app = typer.Typer(no_args_is_help=True, help="What was taken back or corrected, and who has confirmed it.")


@app.command("list")
def list_(context: typer.Context, everything: bool = typer.Option(False, "--all", help="Closed ones too."), as_json: bool = JSON) -> None:
    """List the open cases: how each stands, not whom it is about."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = cases.listing(hub, everything=everything)
    if as_json:
        for row in found:
            show_json(row)
        return
    table = Table("zaak", "proces", "staat", "gemeente", "sinds", "volgende termijn")
    for row in found:
        due = row["next_due"][:10] if row["next_due"] else "-"
        table.add_row(str(row["case"]), row["process"], row["state"], row["municipality"] or "-", row["opened"][:16], due)
    console().print(table)


@app.command()
def show(
    context: typer.Context,
    case: str = typer.Argument(metavar="CASE", help="The number of a case, or with --as the keten as that participant knows it."),
    participant: str | None = typer.Option(None, "--as", help="Whose name for the keten it is."),
    as_json: bool = JSON,
) -> None:
    """Show one case: its variables, its running terms, and every step that it took."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = [cases.show(hub, number, who=participant is None) for number in _numbers(hub, case, participant)]
    for shown in found:
        print(json.dumps(shown, ensure_ascii=False, indent=None if as_json else 2))


def _numbers(hub: Hub, case: str, participant: str | None) -> list[int]:
    if participant is None:
        if not case.isdecimal():
            raise UsageError("a case is shown by its number", "see `hub cases list`, or give --as to name a keten")
        return [int(case)]
    keten = cases.keten_of(hub, participant, case)
    numbers = cases.in_keten(hub, keten) if keten is not None else []
    if not numbers:
        raise UsageError("this participant knows no case under that name", "give the correlation that it received or chose")
    return numbers


@app.command()
def may(
    context: typer.Context,
    guard: str,
    participant: str = typer.Option(..., "--as", help="Who asks."),
    correlation: str = typer.Option(..., "--correlation", help="The keten, as that participant knows it."),
    as_json: bool = JSON,
) -> None:
    """Say whether something may be done now. Exit code 0: yes; 1: no."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        answer = cases.may(hub, guard, participant, correlation)
    show_json({"allowed": answer.allowed, "code": answer.code})
    if answer.text and not as_json:
        console().print(answer.text, markup=False)
    if not answer.allowed:
        raise typer.Exit(1)


@recalls_app.command("list")
def list_recalls(
    context: typer.Context, everything: bool = typer.Option(False, "--all", help="Confirmed ones too."), as_json: bool = JSON
) -> None:
    """List what was taken back or corrected and not yet confirmed by everyone who had it."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = recalls.listing(hub, everything=everything)
    if as_json:
        for row in found:
            show_json(row)
        return
    table = Table("signaal", "type", "afzender", "soort", "sinds", "bevestigd", "nog niet bevestigd")
    for row in found:
        kind = {"withdrawn": "ingetrokken", "corrected": "gecorrigeerd"}[row["kind"]]
        done = ", ".join(entry["recipient"] for entry in row["recipients"] if entry["confirmed"]) or "-"
        waiting = ", ".join(entry["recipient"] for entry in row["recipients"] if not entry["confirmed"]) or "-"
        table.add_row(row["signal"], row["type"], row["publisher"], kind, row["time"][:16], done, waiting)
    console().print(table)
