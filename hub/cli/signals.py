"""Commands on signals: publish, deliveries, why, quota, unsent."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer
from rich.table import Table

from hub import explain
from hub.app import Hub
from hub.cli.common import JSON, Context, console, show_json
from hub.client import NewSignal, Receipt
from hub.codec import Received, UnreadableError
from hub.errors import HubError, RefusedError, StopError, UsageError
from hub.quotas import stands
from hub.work import Outcome

_ENVELOPE: Final = frozenset({"id", "time", "correlation", "cause", "replaces", "data"})


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(publish)
    app.command()(deliveries)
    app.command()(why)
    quota = typer.Typer(no_args_is_help=True, help="Caps and queues.")
    quota.command("show")(quota_show)
    app.add_typer(quota, name="quota")
    unsent = typer.Typer(no_args_is_help=True, help="Deliveries that could leave and do not.")
    unsent.command("list")(unsent_list)
    app.add_typer(unsent, name="unsent")


def publish(
    context: typer.Context,
    participant: str = typer.Option(..., "--as", help="Who publishes."),
    type_: str = typer.Option(..., "--type", help="The signal type."),
    data: str = typer.Option(..., "--data", help="A JSON file, or - for standard input; an array publishes each."),
    id_: str | None = typer.Option(None, "--id", help="The publisher's own id; random without it."),
    time: str | None = typer.Option(None, "--time", help="When it was published (RFC 3339)."),
    correlation: str | None = typer.Option(None, "--correlation", help="The keten that it belongs to."),
    cause: str | None = typer.Option(None, "--cause", help="What it answers: an own signal_id or a received delivery_id."),
    replaces: str | None = typer.Option(None, "--replaces", help="The own signal that it corrects."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say who would get what; record nothing."),
    as_json: bool = JSON,
) -> None:
    """Publish signals: validate, record and decide in one go."""
    ctx: Context = context.obj
    raw = _read(data)
    outcomes: list[Outcome] = []
    failure: HubError | None = None
    with ctx.hub() as hub:
        given = {"id": id_, "time": time, "correlation": correlation, "cause": cause, "replaces": replaces}
        events = _events(hub, participant, type_, raw, given)
        for start in range(0, len(events), 500):
            try:
                outcomes += hub.router.process(events[start : start + 500], dry_run=dry_run)
            except HubError as exc:
                if not outcomes:
                    raise
                failure = exc
                break
        results = [_result(hub.receipt(o), o.decisions if dry_run else ()) for o in outcomes]
    if as_json:
        show_json(results)
    else:
        _print_results(results, dry_run=dry_run)
    if failure is not None:
        failure.message = f"{len(results)} of {len(events)} signals are stored, the others are not: {failure.message}"
        failure.hint = "publish the others; those above are done"
        raise failure
    if any(result["status"] == "rejected" for result in results):
        raise typer.Exit(1)


def _events(hub: Hub, participant: str, type_: str, raw: bytes, given: dict[str, str | None]) -> list[Received]:
    try:
        parsed = json.loads(raw)
        if isinstance(parsed, list) and given["id"] is not None:
            raise UsageError("--id names one signal, and the data is an array", "give each element its own `id`")
        items = parsed if isinstance(parsed, list) else [parsed]
        return [hub.encode(participant, _signal(type_, item, given, in_array=isinstance(parsed, list))) for item in items]
    except (ValueError, RecursionError):
        return [Received(participant, raw)]  # unreadable: admission says so, and keeps the bytes


def _read(where: str) -> bytes:
    if where == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(where).read_bytes()
    except OSError as exc:
        raise StopError(f"{where} cannot be read ({exc.strerror})", "give a file, or - for standard input") from None


def _signal(type_: str, item: Any, given: dict[str, str | None], *, in_array: bool) -> NewSignal:
    own = dict(given)
    if in_array and isinstance(item, dict) and "data" in item and item.keys() <= _ENVELOPE:
        own |= {name: value for name, value in item.items() if name != "data"}
        item = item["data"]
    return NewSignal(type=type_, data=item, **own)


def _result(found: Receipt, decisions: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": found.id or None,
        "signal_id": found.signal_id,
        "correlation": found.correlation,
        "status": found.status,
        "errors": [asdict(error) for error in found.errors],
    }
    if decisions:
        result["decisions"] = [
            {
                "recipient": decision.recipient,
                "grant": decision.grant.id if decision.grant else None,
                "outcome": outcome,
                "reason": decision.reason,
                "fields": list(decision.grant.view.shown) if decision.grant and outcome != "withhold" else [],
            }
            for decision, outcome in decisions
        ]
    return result


def _print_results(results: list[dict[str, Any]], *, dry_run: bool) -> None:
    out = console()
    for result in results:
        out.print(f"{result['status']}  {result['signal_id'] or '-'}", markup=False)
        for error in result["errors"]:
            out.print(f"    {error['code']}{' (' + error['field'] + ')' if error['field'] else ''}: {error['message']}", markup=False)
        for decision in result.get("decisions", ()):
            fields = f": {', '.join(decision['fields'])}" if decision["fields"] else ""
            out.print(f"    {decision['outcome']:9} {decision['recipient']}  {decision['reason']}{fields}", markup=False)
    if dry_run:
        out.print("Nothing was recorded.")


def deliveries(context: typer.Context, recipient: str, as_json: bool = JSON) -> None:
    """Show what a recipient received, as it decodes it from the wire."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        if hub.rulebooks.current.ruleset.participants.find(recipient) is None:
            raise UsageError("there is no such participant", "see participants.yaml")
        found = []
        for record in hub.received_by(recipient):
            try:
                found.append(hub.decoder.delivery(recipient, record.message.value, record.message.headers))
            except UnreadableError:
                raise StopError("a delivery on the wire cannot be read", "restore the newest backup of the home") from None
    if as_json:
        for delivery in found:
            show_json(delivery)
        return
    table = Table("nr", "type", "regel", "moment", "velden", title=f"Leveringen aan {recipient}")
    for delivery in found:
        table.add_row(str(delivery["sequence"]), delivery["type"], delivery["grant"], delivery["time"][:16], ", ".join(delivery["data"]))
    console().print(table)


def why(context: typer.Context, id_: str = typer.Argument(..., metavar="ID"), as_json: bool = JSON) -> None:
    """Explain who got a signal and who did not, and why. ID: a signal_id or a delivery_id."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = explain.find(hub, id_)
        if found is None:
            raise RefusedError(["onbekend"], "nothing is known under that id", "give a signal_id or a delivery_id")
        if as_json:
            show_json(found.as_json())
        else:
            print(found.as_prose())


def quota_show(context: typer.Context, as_json: bool = JSON) -> None:
    """Show how each cap stands in its current period, and who waits."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = stands(hub)
    if as_json:
        show_json(found)
        return
    table = Table("quota", "sleutel", "periode vanaf", "gebruikt", "grens", "wacht")
    for row in found:
        limit = "geen" if row["limit"] is None else str(row["limit"])
        table.add_row(row["quota"], row["key"], row["period"], str(row["used"]), limit, str(row["waiting"]))
    console().print(table)


def unsent_list(
    context: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Those too that are not overdue yet."),
    as_json: bool = JSON,
) -> None:
    """List the deliveries that should have left by now, the oldest first. They leave by themselves as soon as they can."""
    ctx: Context = context.obj
    with ctx.hub(adopt=False) as hub:
        found = hub.unsent.listing(hub.names, everything=everything)
    if as_json:
        for row in found:
            show_json(row)
        return
    table = Table("levering", "ontvanger", "type", "regel", "klaar sinds", "seconden")
    for row in found:
        table.add_row(row["delivery_id"], row["recipient"], row["type"], row["grant"], row["since"][:19], str(row["seconds"]))
    console().print(table)
