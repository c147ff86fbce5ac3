"""Commands on rules and schemas: check, test, matrix, view."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Column, Table

from hub import examples, fieldlist
from hub.app import folders, incompatible, load_files, name_faults
from hub.cli.common import JSON, Context, console, require_no_faults, show_faults, show_json
from hub.drawing import as_text as drawn_as_text
from hub.drawing import describe
from hub.errors import StopError, UsageError
from hub.matrix import rows
from hub.matrixpage import as_html, as_text
from hub.stepchart import as_svg

rules_app = typer.Typer(no_args_is_help=True, help="Check, test and show the rules.")
schemas_app = typer.Typer(no_args_is_help=True, help="List and check the schemas, and show derived views.")


@rules_app.command()
def check(
    context: typer.Context, strict: bool = typer.Option(False, "--strict", help="Warnings count as faults."), as_json: bool = JSON
) -> None:
    """Report every fault in rules and schemas, one a line, with file and line and the fix."""
    ctx: Context = context.obj
    loaded = load_files(ctx.settings)
    faults = list(loaded.faults)
    total = 0
    if loaded.ruleset is not None:
        total, found = examples.run(loaded.ruleset)
        faults += name_faults(found, ctx.settings)
        faults += name_faults(incompatible(ctx.settings, loaded.ruleset), ctx.settings)
    counting = [fault for fault in faults if strict or not fault.warning]
    if as_json:
        show_json([{"file": f.file, "line": f.line, "what": f.what, "fix": f.fix, "warning": f.warning} for f in sorted(faults)])
    else:
        show_faults(sorted(faults))
        if loaded.ruleset is not None and not counting:
            print(f"{len(loaded.ruleset.types)} signal types, {len(loaded.ruleset.grants)} grants, {total} examples: no faults")
    if counting:
        raise typer.Exit(1)


@rules_app.command()
def test(context: typer.Context) -> None:
    """Run every example of the rule files through the real pipeline."""
    ctx: Context = context.obj
    loaded = load_files(ctx.settings)
    total, faults = examples.run(loaded.unwrap())
    failed = [fault for fault in name_faults(faults, ctx.settings) if not fault.warning]
    show_faults(failed)
    print(f"{total - len({(f.file, f.line) for f in failed})} of {total} examples passed")
    if failed:
        raise typer.Exit(1)


@rules_app.command()
def matrix(
    context: typer.Context,
    as_json: bool = JSON,
    html: Path | None = typer.Option(None, "--html", help="Write one self-contained page to this file."),
) -> None:
    """Show who receives which fields of what, for which purpose, on which ground and with which status."""
    ctx: Context = context.obj
    ruleset = load_files(ctx.settings).unwrap()
    found = rows(ruleset)
    if html is not None:
        _write(html, as_html(found, ruleset.version, [describe(machine) for machine in ruleset.machines.values()]))
    elif as_json:
        show_json(found)
    else:
        print(as_text(found))


@rules_app.command()
def show(
    context: typer.Context,
    flow: str = typer.Argument(metavar="FLOW", help="The name of a flow whose rules declare a process."),
    as_json: bool = JSON,
    svg: Path | None = typer.Option(None, "--svg", help="Write a drawing to this file."),
) -> None:
    """Draw the processes of a flow: their states, what moves a case, what falls due and who hears what."""
    ctx: Context = context.obj
    ruleset = load_files(ctx.settings).unwrap()
    found = [describe(machine) for machine in ruleset.machines.values() if machine.flow == flow]
    if not found:
        known = sorted({machine.flow for machine in ruleset.machines.values()})
        hint = f"flows with a process: {', '.join(known)}" if known else "no flow of these rules has a process"
        is_flow = flow in ruleset.examples or any(grant.flow == flow for grant in ruleset.grants.values())
        raise UsageError("this flow has no process" if is_flow else "there is no such flow", hint)
    if svg is not None:
        _write(svg, as_svg(found))
    elif as_json:
        show_json(found)
    else:
        print(drawn_as_text(found), end="")


def _write(file: Path, text: str) -> None:
    """Write a file that was asked for, and say so."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise StopError(f"{file} cannot be written ({exc.strerror})", "choose another file") from None
    print(f"written: {file}")


@schemas_app.command("check")
def check_schemas(context: typer.Context) -> None:
    """Report every fault in the schemas."""
    ctx: Context = context.obj
    loaded = load_files(ctx.settings)
    faults = [fault for fault in loaded.faults if fault.file.endswith(".avsc")]
    show_faults(faults)
    if faults:
        raise typer.Exit(1)
    if not any(folders(ctx.settings)[1].glob("*.avsc")):
        print("there is no schema in the folder of schemas: only the types of the hub itself are known")
    if loaded.ruleset is not None:
        print(f"{len(loaded.ruleset.types)} schemas: no faults")


@schemas_app.command("list")
def list_schemas(
    context: typer.Context, name: str | None = typer.Argument(None, metavar="[TYPE]", help="A signal type."), as_json: bool = JSON
) -> None:
    """List the signal types with who may publish them; of one type, its fields."""
    ctx: Context = context.obj
    known = load_files(ctx.settings).unwrap().types
    if name is None:
        found = fieldlist.types(rules.contract for rules in known.values())
    elif name not in known:
        raise UsageError("there is no such signal type", "`hub schemas list` shows all of them")
    else:
        found = fieldlist.fields(known[name].contract)
    if as_json:
        show_json(found if name is None else {"type": name, "publishers": list(known[name].contract.publishers), "fields": found})
    elif name is None:
        table = Table(Column("type", no_wrap=True), "published by", "meaning")
        for row in found:
            table.add_row(row["type"], ", ".join(row["publishers"]), row["meaning"])
        console().print(table)
    else:
        table = Table(Column("field", no_wrap=True), "form", "", "privacy", "meaning")
        for row in found:
            table.add_row(row["field"], escape(row["form"]), "required" if row["required"] else "", row["privacy"], row["meaning"])
        print(f"{name}, published by {', '.join(known[name].contract.publishers)}")
        console().print(table)


@schemas_app.command()
def view(context: typer.Context, grant: str) -> None:
    """Print the Avro schema that a grant derives for its recipient."""
    ctx: Context = context.obj
    loaded = load_files(ctx.settings)
    require_no_faults(loaded.faults)
    grants = loaded.unwrap().grants
    if grant not in grants:
        raise UsageError("there is no such grant", f"known: {', '.join(sorted(grants))}")
    print(json.dumps(grants[grant].view.schema, ensure_ascii=False, indent=2))
