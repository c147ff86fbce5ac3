"""Commands on refused signals."""

from __future__ import annotations

import json

import typer
from rich.table import Table

from hub import rejections
from hub.cli.common import JSON, Context, console, show_json
from hub.errors import UsageError
from hub.rejections import Which

app = typer.Typer(no_args_is_help=True, help="Refused signals: list, show masked, replay, discard.")
_NUMBERS = typer.Argument(None, metavar="[NUMBER]...")
_EVERYTHING = typer.Option(False, "--all", help="Every one that is open.")
_CODE = typer.Option(None, "--code", help="Those that were refused for this reason, among others perhaps.")
_TYPE = typer.Option(None, "--type", help="Those of this signal type.")
_FROM = typer.Option(None, "--from", metavar="PARTICIPANT", help="Those of this publisher.")


@app.command("list")
def list_(
    context: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Closed ones too."),
    code: str | None = _CODE,
    type_: str | None = _TYPE,
    publisher: str | None = _FROM,
    as_json: bool = JSON,
) -> None:
    """List the refused signals that are kept, without content."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found, counts = rejections.listing(hub, Which(code, type_, publisher), only_open=not everything), rejections.counts(hub)
    if as_json:
        for row in found:
            show_json(row)
        return
    table = Table("nr", "ontvangen", "afzender", "type", "redenen", "status")
    for row in found:
        codes = ", ".join(error["code"] for error in row["errors"])
        table.add_row(str(row["rejection"]), row["received"][:16], row["publisher"], row["type"] or "?", codes, row["state"])
    console().print(table)
    for counted, count in counts.items():
        console().print(f"{count} keer {counted}: daarvan is niets bewaard.", markup=False)


@app.command()
def show(context: typer.Context, number: int, as_json: bool = JSON) -> None:
    """Show one refused signal, identifiers masked."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = rejections.show(hub, number)
    print(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))


@app.command()
def replay(
    context: typer.Context,
    numbers: list[int] | None = _NUMBERS,
    everything: bool = _EVERYTHING,
    code: str | None = _CODE,
    type_: str | None = _TYPE,
    publisher: str | None = _FROM,
    as_json: bool = JSON,
) -> None:
    """Put refused signals through the rules again, exactly as they came."""
    ctx: Context = context.obj
    with ctx.hub() as hub:
        which = _chosen(numbers, everything, Which(code, type_, publisher))
        chosen = rejections.replayable(hub, which) if isinstance(which, Which) else which
        outcomes = rejections.replay(hub, chosen)
    for number, outcome in zip(chosen, outcomes, strict=True):
        codes = [fault.code for fault in outcome.faults]
        if as_json:
            show_json({"rejection": number, "status": outcome.status, "errors": codes})
        else:
            print(f"{number}: {outcome.status}{' (' + ', '.join(codes) + ')' if codes else ''}")
    if any(outcome.status == "rejected" for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def discard(
    context: typer.Context,
    numbers: list[int] | None = _NUMBERS,
    reason: str = typer.Option(..., "--reason", help="Why; kept with the entry. Name no person."),
    everything: bool = _EVERYTHING,
    code: str | None = _CODE,
    type_: str | None = _TYPE,
    publisher: str | None = _FROM,
) -> None:
    """Erase refused signals before their time."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        which = _chosen(numbers, everything, Which(code, type_, publisher))
        chosen = [row["rejection"] for row in rejections.listing(hub, which)] if isinstance(which, Which) else which
        rejections.discard(hub, chosen, reason[:200])
    print(f"{len(chosen)} discarded")


def _chosen(numbers: list[int] | None, everything: bool, which: Which) -> list[int] | Which:
    """Return what the options mean: either numbers, or all that fit. Raises UsageError if both are given, or nothing is."""
    if bool(numbers) == (everything or which != rejections.ALL):
        raise UsageError("name the refused signals, or give --all, --code, --type or --from", "see `hub rejections list`")
    return list(dict.fromkeys(numbers)) if numbers else which
