"""The shape of a process: its states and the ways between them, before anything in it is compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.domain import rulefiles
    from hub.domain.conditions import Variable
    from hub.domain.faults import Fault
    from hub.domain.sources import Path, Source


@dataclass(slots=True)
class Edge:
    """One way through the machine, for the checks on its shape."""

    source: str
    to: str
    sets: frozenset[str]


@dataclass(slots=True)
class Declared:
    """One process as declared, before anything in it is compiled."""

    source: Source
    path: Path
    flow: rulefiles.FlowFile
    entry: rulefiles.ProcessEntry
    variables: dict[str, Variable] = field(default_factory=dict)
    assigned: dict[str, frozenset[str]] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    faults: list[Fault] = field(default_factory=list)

    def fault(self, at: Path, what: str, fix: str = "") -> None:
        """Note a fault at a place inside the process, once."""
        found = self.source.fault((*self.path, *at), what, fix)
        if found not in self.faults:
            self.faults.append(found)

    @property
    def types(self) -> dict[str, list[Path]]:
        """Every signal type that it mentions, and where."""
        found: dict[str, list[Path]] = {}
        named: list[tuple[str | None, Path]] = [(self.entry.start.on, ("start", "on"))]
        for i, step in enumerate(self.entry.transitions):
            named += [(step.on, ("transitions", i, "on")), (step.withdrawn, ("transitions", i, "withdrawn"))]
        named += [(alarm.on, ("alarms", i, "on")) for i, alarm in enumerate(self.entry.alarms)]
        for name, at in named:
            if name is not None:
                found.setdefault(name, []).append((*self.path, *at))
        return found

    def states(self, given: rulefiles.States) -> tuple[str, ...]:
        """Return the states that a name, a set or a list of those stands for."""
        return tuple(dict.fromkeys(state for name in named(given) for state in self.entry.sets.get(name, (name,))))

    @property
    def all_states(self) -> tuple[str, ...]:
        """Every state that something leads to, or that is final, in the order of the file."""
        found = [self.entry.start.to, *(step.to for step in self.entry.transitions), *(term.to for term in self.entry.terms)]
        return tuple(dict.fromkeys(state for state in (*found, *self.entry.final) if state is not None))

    def edges(self) -> Iterator[Edge]:
        """Yield every way from a state to another or to itself."""
        for step in self.entry.transitions:
            for state in self.states(step.from_):
                yield Edge(state, step.to or state, frozenset(step.set))
        for term in self.entry.terms:
            for state in self.states(term.in_):
                yield Edge(state, term.to or state, frozenset(term.set))

    def lacking(self, read: Iterable[str], states: Iterable[str]) -> list[str]:
        """Return what is wrong with reading these variables in these states."""
        return [
            f"`{name}` is read in state `{state}`, and not every path to it has set it"
            for name in sorted(read)
            for state in sorted(states)
            if name.startswith("c.") and name != "c.state" and name[2:] not in self.assigned.get(state, frozenset((name[2:],)))
        ]

    def after(self, signal_type: str) -> frozenset[str]:
        """Return the states in which a case can be after a signal of this type."""
        entry = self.entry
        found = {entry.start.to} if entry.start.on == signal_type else set()
        for step in entry.transitions:
            if step.on == signal_type:
                found |= {step.to} if step.to else set(self.states(step.from_))
        return frozenset(found)

    def may_lack_a_case(self, signal_type: str) -> bool:
        """A fact is accepted without a case, and so is what only raises an alarm."""
        steps = [step for step in self.entry.transitions if step.on == signal_type]
        return any(step.fact for step in steps) or (not steps and signal_type != self.entry.start.on)


def named(given: rulefiles.States) -> tuple[str, ...]:
    """Return the names of states or sets as they are given."""
    return (given,) if isinstance(given, str) else given


def check(declared: Declared) -> None:
    """Check that every state is reached, and left or final, and that every path can end."""
    entry, edges = declared.entry, list(declared.edges())
    reached, frontier = {entry.start.to}, [entry.start.to]
    while frontier:
        state = frontier.pop()
        following = {edge.to for edge in edges if edge.source == state} - reached
        reached |= following
        frontier += following
    declared.reached = frozenset(reached)
    for at, names in _mentions(declared):
        may_be_set = at[0] not in {"final", "sets", "migrate"}
        if not names and at[0] != "final":
            declared.fault(at, "no state is named here", "name a state or a set")
        for state in names:
            if state not in reached and not (may_be_set and state in entry.sets):
                declared.fault(at, f"the state `{state}` cannot be reached", "correct the spelling, or add the step that leads to it")
    for name in entry.sets:
        if name in declared.all_states:
            declared.fault(("sets", name), f"`{name}` is a state and a set", "give the set a name of its own")
    for state in sorted(reached):
        leaves = any(edge.source == state and edge.to != state for edge in edges)
        if state in entry.final and leaves:
            declared.fault(("final",), f"the final state `{state}` is left by a step", "a final state is the end")
        elif state not in entry.final and not leaves:
            declared.fault((), f"the state `{state}` is neither final nor left by anything", "add a step or a term, or make it final")
    _ends(declared, edges)
    if not declared.faults:  # else what hides a step may be a name that means something else
        _hidden(declared)
    _idle(declared)
    _assign(declared, edges)


def _hidden(declared: Declared) -> None:
    """Check that every step can be taken: of the steps that fit the first whose condition holds is, so one without may hide others."""
    always: dict[tuple[str, str], list[rulefiles.TransitionEntry]] = {}
    for i, step in enumerate(declared.entry.transitions):
        places = [(step.on or f"withdrawn {step.withdrawn}", state) for state in declared.states(step.from_)]
        if places and all(any(_covers(other, step) for other in always.get(place, ())) for place in places):
            declared.fault(
                ("transitions", i), "this step is never taken: one without `when` goes before it", "put it first, or take it out"
            )
        if step.when is None:
            for place in places:
                always.setdefault(place, []).append(step)


def _covers(other: rulefiles.TransitionEntry, step: rulefiles.TransitionEntry) -> bool:
    """Say whether a step fits whenever another does: taking back what a later signal overtook fits only steps that change nothing."""
    return step.on is not None or (other.to is None and not other.set) or step.to is not None or bool(step.set)


def _idle(declared: Declared) -> None:
    """Check that no term waits for a case that has ended: it would never fall due."""
    for i, term in enumerate(declared.entry.terms):
        for state in sorted(set(declared.states(term.in_)) & set(declared.entry.final)):
            if term.to in {None, state}:
                declared.fault(("terms", i, "in"), f"no term runs in the final state `{state}`", "leave it out here")


def _mentions(declared: Declared) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
    """Yield each place that names states or sets, as it names them."""
    entry = declared.entry
    yield ("final",), entry.final
    for name, states in entry.sets.items():
        yield ("sets", name), states
    for i, step in enumerate(entry.transitions):
        yield ("transitions", i, "from"), named(step.from_)
    for i, term in enumerate(entry.terms):
        yield ("terms", i, "in"), named(term.in_)
    for i, guard in enumerate(entry.guards):
        yield ("guards", i, "closed_in"), named(guard.closed_in)
    for i, alarm in enumerate(entry.alarms):
        yield ("alarms", i, "in"), named(alarm.in_)
    for old, new in entry.migrate.items():
        yield ("migrate", old), (new,)


def _ends(declared: Declared, edges: list[Edge]) -> None:
    ending = set(declared.entry.final)
    while more := {edge.source for edge in edges if edge.to in ending} - ending:
        ending |= more
    for state in sorted(declared.reached - ending):
        if any(edge.source == state and edge.to != state for edge in edges):
            declared.fault((), f"no path from `{state}` ends", "let some step lead to a final state")
    for old in declared.entry.migrate:
        if old in declared.reached:
            declared.fault(("migrate", old), f"`{old}` is still a state", "migrate names states that are no longer there")


def _assign(declared: Declared, edges: list[Edge]) -> None:
    """Find, for each state, the variables that every path to it has set."""
    entry = declared.entry
    everything = frozenset(entry.start.set).union(*(edge.sets for edge in edges))
    found = dict.fromkeys(declared.reached, everything)
    found[entry.start.to] = frozenset(entry.start.set)
    changed = True
    while changed:
        changed = False
        for edge in edges:
            if edge.source in found and edge.to in found:
                narrowed = found[edge.to] & (found[edge.source] | edge.sets)
                changed |= narrowed != found[edge.to]
                found[edge.to] = narrowed
    declared.assigned = found
