"""Commands on the topics of Kafka and who may use them."""

from __future__ import annotations

from dataclasses import asdict

import typer

from hub.app import load_files
from hub.backends import kafka_options
from hub.cli.common import JSON, Context, require_no_faults, show_json
from hub.domain.registers import HUB
from hub.errors import UsageError
from hub.transport.plan import PARTITIONS, RETENTION_MS, Plan, Right, plan

app = typer.Typer(no_args_is_help=True, help="Topics and rights on Kafka, as they follow from participants and rules.")
_EXTRA = typer.Option([], "--municipality", help="A municipality of which the registers say nothing yet; may be repeated.")


def _plan(ctx: Context, municipalities: list[str]) -> Plan:
    loaded = load_files(ctx.settings)
    require_no_faults(loaded.faults)
    return plan(loaded.unwrap(), municipalities, ctx.settings.kafka_user or HUB)


@app.command("plan")
def plan_(context: typer.Context, municipality: list[str] = _EXTRA, as_json: bool = JSON) -> None:
    """Print the topics, how long they keep what, and who may do what. Reaches no broker."""
    found = _plan(context.obj, municipality)
    if as_json:
        show_json({
            "topics": [{"name": topic, "partitions": PARTITIONS, "retention_ms": RETENTION_MS} for topic in found.topics],
            "rights": [asdict(right) for right in found.rights],
        })  # fmt: skip
        return
    for topic in found.topics:
        by = {op: ", ".join(sorted(r.user for r in found.rights if r.operation == op and _covers(r, topic))) for op in ("WRITE", "READ")}
        print(f"{topic}  {PARTITIONS} partition, {RETENTION_MS // 86_400_000} days  written by {by['WRITE']}  read by {by['READ']}")


def _covers(right: Right, topic: str) -> bool:
    return right.kind == "TOPIC" and (topic.startswith(right.name) if right.prefixed else topic == right.name)


@app.command()
def apply(
    context: typer.Context,
    municipality: list[str] = _EXTRA,
    replicas: int = typer.Option(-1, "--replicas", help="Copies of a new topic; -1 leaves that to the brokers."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what is otherwise; change nothing."),
    as_json: bool = JSON,
) -> None:
    """Make the brokers as planned, and tell what is otherwise. Exit code 1: something is left that a person must look at."""
    from hub.transport import access  # noqa: PLC0415  (Kafka is slow to import)

    ctx: Context = context.obj
    options = kafka_options(ctx.settings)
    if options is None:
        raise UsageError("there is no Kafka to apply this to", "set HUB_KAFKA_BOOTSTRAP")
    found = access.apply(options, _plan(ctx, municipality), replicas, dry_run=dry_run)
    if as_json:
        show_json([{"what": one.what, "mended": one.mended} for one in found])
    else:
        for one in found:
            print(f"{'done' if one.mended else 'look'}: {one.what}")
        if not found:
            print("everything is as planned")
    if any(not one.mended for one in found):
        raise typer.Exit(1)
