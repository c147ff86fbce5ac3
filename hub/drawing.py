"""A process as data and as text: its states, what moves a case, what falls due, what may not be done and who hears what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from hub.domain.grants import STARTER
from hub.prose import grid, printed, text, timing

if TYPE_CHECKING:
    from hub.domain.machine import Machine, Notice, Transition

BEGAN: Final = "wie de keten begon"
"""Who `$starter` is."""
NO_CASE: Final = "(nog geen zaak)"
STAYS: Final = "(blijft)"
EVERY: Final = "elke staat"
_WIDEST: Final = 30
"""Columns that the names of states may take in a table."""


# --- as data ----------------------------------------------------------------------------------


def describe(machine: Machine) -> dict[str, Any]:
    """Return one process as a JSON-able dict. The first state comes first and the final ones last."""
    states = [machine.start.to, *machine.states]
    ordered = [name for name in dict.fromkeys(states) if name and name not in machine.final]
    ordered += [name for name in machine.states if name in machine.final]
    names = _short(machine.keys)
    return {
        "process": machine.id,
        "flow": machine.flow,
        "case": machine.entry.case,
        "scope": "subject" if machine.by_subject else "keten",
        "states": [{"name": name, "start": name == machine.start.to, "final": name in machine.final} for name in ordered],
        "sets": {name: list(states) for name, states in machine.entry.sets.items()},
        "steps": list(_steps(machine, ordered, names)),
        "terms": _terms(machine, ordered),
        "guards": [
            {"name": guard.name, "closed_in": _in_order(guard.closed_in, ordered), "code": guard.code, "text": guard.text}
            for guard in machine.guards
        ],
        "alarms": [
            {"type": name, "what": names[name], "in": _in_order(alarm.sources, ordered), **_told(alarm.notice)}
            for name, alarms in machine.alarms.items()
            for alarm in alarms
        ],
        "migrate": dict(machine.migrate),
        "where": machine.where,
    }


def _short(types: Mapping[str, Any]) -> dict[str, str]:
    """Return each type without its domain and version, or whole where two would look the same."""
    short = {name: name.split(".")[-2] for name in types}
    counts = Counter(short.values())
    return {name: word if counts[word] == 1 else name for name, word in short.items()}


def _in_order(states: frozenset[str], ordered: Sequence[str]) -> list[str]:
    return [name for name in ordered if name in states]


def _told(notice: Notice | None) -> dict[str, Any]:
    """Return what a reminder says, and to whom."""
    if notice is None:
        return {"code": None, "text": None, "tells": []}
    return {"code": notice.code, "text": notice.text, "tells": [grant.to for grant in notice.grants]}


def _steps(machine: Machine, ordered: Sequence[str], names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield every step that a signal or its withdrawal takes, by type; of one type the first that fits is taken."""
    for name, short in names.items():
        if name == machine.start_type:
            yield {"kind": "start", "type": name, "what": short, **_moved(machine.start, ordered)}
        for step in machine.steps.get(name, ()):
            yield {"kind": "signal", "type": name, "what": short, **_moved(step, ordered)}
        for step in machine.undoing.get(name, ()):
            yield {"kind": "withdrawn", "type": name, "what": f"ingetrokken: {short}", **_moved(step, ordered)}


def _moved(step: Transition, ordered: Sequence[str]) -> dict[str, Any]:
    return {
        "from": _in_order(step.sources, ordered),
        "to": step.to,
        "when": step.when.text if step.when else None,
        "unmet": {"code": step.unmet.code, "text": step.unmet.text} if step.unmet else None,
        "set": {name: value.text for name, value in step.assigns},
        "fact": step.fact,
        **_told(step.notice),
    }


def _terms(machine: Machine, ordered: Sequence[str]) -> list[dict[str, Any]]:
    said = {entry.code: entry.text for entry in machine.entry.terms}  # a term that tells nobody may say something all the same
    return [
        {"code": term.code, "written": term.written, **_moved(term.step, ordered), **_told(term.step.notice)}
        | {"code": term.code, "text": said[term.code] or (term.step.notice.text if term.step.notice else None)}
        for term in machine.terms
    ]


def variables(process: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what sets each variable of a case, and to what."""
    found: dict[str, dict[str, None]] = {}
    for step in (*process["steps"], *process["terms"]):
        by = step.get("what") or f"termijn {step['code']}"
        for name, value in step["set"].items():
            found.setdefault(name, {})[f"{by}: {value}"] = None
    return {name: list(ways) for name, ways in found.items()}


def hears(tells: Sequence[str]) -> str:
    """Say who is told."""
    return ", ".join(BEGAN if role == STARTER else role for role in tells)


# --- as text ----------------------------------------------------------------------------------


def as_text(processes: Sequence[Mapping[str, Any]], width: int = 100) -> str:
    """Return processes for a terminal or a pipe, in Dutch, without colour codes."""
    parts: list[RenderableType] = []
    for process in processes:
        parts += [""] if parts else []
        parts += [text(f"PROCES {process['process']}"), grid(_about(process))]
        for title, body in _parts(process, width):
            if body:
                parts += ["", text(title), *(Padding(part, (0, 0, 0, 2)) for part in body)]
    return printed(parts, width)


def _parts(process: Mapping[str, Any], width: int) -> Iterator[tuple[str, list[RenderableType]]]:
    """Yield each part of the text with its title; what a process does not have is empty."""
    groups = [(name, ", ".join(states)) for name, states in process["sets"].items()]
    ways = [(name, way) for name, ways in variables(process).items() for way in ways]
    yield "STATEN", [_states(process)]
    yield "GROEPEN VAN STATEN", [_named(groups)] if groups else []
    yield "STAPPEN", [text("Passen er meer, dan geldt de bovenste."), _steps_table(process, width)]
    yield "TERMIJNEN", _blocks([(term["code"], _term(process, term)) for term in process["terms"]])
    yield "MAG DIT NU?", _blocks(_guards(process))
    yield "ALARMEN", _blocks([(alarm["what"], _alarm(process, alarm)) for alarm in process["alarms"]])
    yield "VARIABELEN", [_named(ways)] if ways else []


def _about(process: Mapping[str, Any]) -> list[tuple[str, str]]:
    keten = process["case"] == "e.correlationid"
    case = "elke keten is een zaak" if keten else f"signalen met dezelfde uitkomst van {process['case']} horen bij een zaak"
    facts = [("Flow", process["flow"]), ("Zaak", case)]
    if process["scope"] == "subject":
        facts.append(("Persoon", "`mag dit nu` en de alarmen kijken ook naar andere lopende zaken over dezelfde persoon"))
    facts += [("Verhuisd", f"een zaak in {old} gaat naar {new}") for old, new in process["migrate"].items()]
    return [*facts, ("Staat in", process["where"])]


def _named(facts: Sequence[tuple[str, str]]) -> Table:
    return grid(facts, min(_WIDEST, max((len(name) for name, _ in facts), default=0)))


def _states(process: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    for number, state in enumerate(process["states"], 1):
        words = [word for word, is_so in (("begin", state["start"]), ("einde", state["final"])) if is_so]
        table.add_row(text(str(number)), text(state["name"]), text(", ".join(words)))
    return table


def _places(process: Mapping[str, Any], states: Sequence[str]) -> str:
    """Name states, as a group if the rule file has one of exactly these."""
    if len(states) > 1 and len(states) == len(process["states"]):
        return EVERY
    for name, members in process["sets"].items():
        if len(states) > 1 and set(members) == set(states):
            return f"groep {name}"
    return ", ".join(states)


def _steps_table(process: Mapping[str, Any], width: int) -> Table:
    rows = [(step, _places(process, step["from"]) or NO_CASE, step["to"] or STAYS) for step in process["steps"]]
    most = min(_WIDEST, width * 3 // 10)
    left, right = (min(most, max(len(row[i]) for row in rows)) for i in (1, 2))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("Van", width=left, overflow="fold")
    table.add_column("Wat", width=width - left - right - 6, overflow="fold")
    table.add_column("Naar", width=right, overflow="fold")
    for step, before, after in rows:
        more = Padding(Group(*(text(line) for line in conditions(step))), (0, 0, 0, 2))
        table.add_row(text(before), Group(text(f"{step['what']} (feit)" if step["fact"] else step["what"]), more), text(after))
    return table


def conditions(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that say when a step is taken, what it keeps and who hears of it."""
    if step["when"]:
        yield f"als {step['when']}"
    if unmet := step["unmet"]:
        yield f"anders {unmet['code']}: {unmet['text']}"
    if step["set"]:
        yield "zet " + "; ".join(f"{name} = {value}" for name, value in step["set"].items())
    if step["tells"]:
        yield f"meldt {step['code']} aan {hears(step['tells'])}: {step['text']}"


def _blocks(blocks: Sequence[tuple[str, list[tuple[str, str]]]]) -> list[RenderableType]:
    return [part for head, facts in blocks for part in (text(head), Padding(grid(facts), (0, 0, 0, 2)))]


def _term(process: Mapping[str, Any], term: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("Wanneer", timing(term["written"])), ("In", _places(process, term["from"])), ("Naar", term["to"] or STAYS)]
    facts += [("Zet", f"{name} = {value}") for name, value in term["set"].items()]
    return [*facts, *_heard(term)]


def _heard(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("Hoort het", hears(entry["tells"]) or "niemand")]
    return [*facts, ("Zegt", entry["text"])] if entry["text"] else facts


def _guards(process: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each guard once, with every reason for which it answers no."""
    found: dict[str, list[tuple[str, str]]] = {}
    for guard in process["guards"]:
        said = f"{guard['code']}: {guard['text']}" if guard["text"] else guard["code"]
        found.setdefault(guard["name"], []).extend([("Niet in", _places(process, guard["closed_in"])), ("Want", said)])
    return list(found.items())


def _alarm(process: Mapping[str, Any], alarm: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("In", _places(process, alarm["in"])), ("Code", alarm["code"]), *_heard(alarm)]
