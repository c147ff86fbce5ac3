"""The shipped processes, searched exhaustively: every state is reached, and every path can end.

`survey` follows every step that the rules name, whether or not its condition holds. `explore` takes
real steps of the engine with the signals of the flow's own examples, withdrawals of each of them
and every term, from every kind of case that this leads to, until no new kind of case turns up.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from hub import files
from hub.domain import process, terms
from hub.domain.decide import Circumstances, Conditions
from hub.domain.loading import load
from hub.domain.machine import Machine
from hub.domain.process import Arrived, Calendar, Case, Due, Mover, Step, Withdrawn
from hub.domain.ruleset import RuleSet
from hub.domain.signal import Signal

ROOT: Final = Path(__file__).parents[2]
BEGIN: Final = ""
"""Where a case is before it begins."""
START: Final = terms.moment("2026-11-02T09:00")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


class Edge(NamedTuple):
    """One way from a state to another, or to itself."""

    source: str
    trigger: str
    to: str
    by_time: bool = False
    """A term takes it; nobody has to do anything."""


# --- every step that the rules name ---------------------------------------------------------------


def edges(machine: Machine) -> list[Edge]:
    """Return every way through a machine, conditions left out of account."""
    found = [Edge(BEGIN, machine.start_type, machine.start.to or "")]
    for type_, steps in machine.steps.items():
        found += [Edge(state, type_, one.to or state) for one in steps for state in one.sources]
    for type_, steps in machine.undoing.items():
        found += [Edge(state, f"withdrawn {type_}", one.to or state) for one in steps for state in one.sources]
    for term in machine.terms:
        found += [Edge(state, term.code, term.step.to or state, by_time=True) for state in term.sources]
    return sorted(set(found))


def distances(sources: Iterable[str], ways: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return by state how few steps lead to it from the nearest of `sources`."""
    found = dict.fromkeys(sources, 0)
    ways, waiting = list(ways), deque(found)
    while waiting:
        state = waiting.popleft()
        for source, to in ways:
            if source == state and to not in found:
                found[to] = found[state] + 1
                waiting.append(to)
    return found


@dataclass(frozen=True, slots=True)
class State:
    """One state of a process: how it is reached and left, and what is so in it."""

    name: str
    steps_to: int | None
    """The fewest steps from the beginning; None: it cannot be reached."""
    steps_out: int | None
    """The fewest steps to an end; None: no path ends."""
    waits: int | None
    """The fewest terms that alone lead to an end; None: someone has to do something."""
    exits: int
    """Ways to another state."""
    terms: tuple[str, ...]
    closed: tuple[str, ...]
    """Guards that say no."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that the shape of a process says."""

    process: str
    states: tuple[State, ...]
    final: frozenset[str]
    guards: tuple[str, ...]

    @property
    def unreached(self) -> list[str]:
        """States that nothing leads to."""
        return [state.name for state in self.states if state.steps_to is None]

    @property
    def stuck(self) -> list[str]:
        """States that are not final and that nothing leaves."""
        return [state.name for state in self.states if state.name not in self.final and not state.exits]

    @property
    def endless(self) -> list[str]:
        """States from which no path ends."""
        return [state.name for state in self.states if state.steps_out is None]

    @property
    def longest(self) -> int:
        """The longest of the shortest paths to an end."""
        return max(state.steps_out or 0 for state in self.states)


def survey(machine: Machine) -> Survey:
    """Search a machine by the steps that its rules name."""
    ways = edges(machine)
    to = distances([BEGIN], [(one.source, one.to) for one in ways])
    out = distances(machine.final, [(one.to, one.source) for one in ways])
    waits = distances(machine.final, [(one.to, one.source) for one in ways if one.by_time])
    states = tuple(
        State(
            name, to.get(name), out.get(name), waits.get(name), len({one.to for one in ways if one.source == name} - {name}),
            tuple(term.code for term in machine.terms if name in term.sources),
            tuple(dict.fromkeys(guard.name for guard in machine.guards if name in guard.closed_in)),
        )
        for name in machine.states
    )  # fmt: skip
    return Survey(machine.id, states, machine.final, tuple(dict.fromkeys(guard.name for guard in machine.guards)))


def table(found: Survey) -> Iterator[str]:
    """Yield the lines of a survey as a table."""
    yield (
        f"{found.process}: {len(found.states)} states, {len(found.states) - len(found.unreached)} reachable, {len(found.final)} final; "
        f"longest shortest path to an end {found.longest}; states without exit: {', '.join(found.stuck) or 'none'}"
    )
    head = ("state", "from start", "to end", "by terms alone", "terms", "guards closed", "guards open")
    rows = [head, *(_row(found, state) for state in found.states)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(found: Survey, state: State) -> tuple[str, ...]:
    opened = [guard for guard in found.guards if guard not in state.closed]
    end = "final" if state.name in found.final else _number(state.steps_out)
    alone = "" if state.name in found.final else "no, waits for people" if state.waits is None else str(state.waits)
    return (
        state.name, _number(state.steps_to), end, alone, ", ".join(state.terms) or "-",
        ", ".join(state.closed) or "-", ", ".join(opened) or "-",
    )  # fmt: skip


def _number(count: int | None) -> str:
    return "never" if count is None else str(count)


# --- real steps -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Explored:
    """What real steps came upon."""

    process: str
    kinds: int = 0
    """Kinds of case: state, variables (of days only whether they are past), terms that run, and who moved it last."""
    steps: int = 0
    states: set[str] = field(default_factory=set)
    taken: set[Edge] = field(default_factory=set)
    fired: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    facts_refused: set[str] = field(default_factory=set)
    endless: int = 0
    """Kinds of case from which no real steps lead to an end."""

    def __str__(self) -> str:
        return (
            f"{self.process}: {self.kinds} kinds of case and {self.steps} steps tried; {len(self.states)} states, {len(self.taken)} ways and "
            f"{len(self.fired)} terms seen; refused with {', '.join(sorted(self.refused)) or 'nothing'}; {self.endless} kinds without an end"
        )


class _Explorer:
    def __init__(self, ruleset: RuleSet, machine: Machine, most: int | None) -> None:
        self.ruleset = ruleset
        self.machine = machine
        self.most = most
        self.samples = list(_samples(ruleset, machine))
        self.found = Explored(machine.id)

    def run(self) -> Explored:
        first = Case(BEGIN, START, {}, {}, frozenset())
        seen, waiting = {_kind(first, START): 0}, deque([(first, START)])
        ways: list[tuple[int, int]] = []
        ends: set[int] = set()
        while waiting:
            case, now = waiting.popleft()
            here = seen[_kind(case, now)]
            if case.state in self.machine.final:
                ends.add(here)
            for after, then in self.following(case, now):
                kind = _kind(after, then)
                if kind not in seen:
                    if self.most is not None and len(seen) > self.most:
                        continue
                    seen[kind] = len(seen)
                    waiting.append((after, then))
                ways.append((here, seen[kind]))
        ending = distances([str(end) for end in ends], [(str(to), str(source)) for source, to in ways])
        self.found.kinds = len(seen) - 1
        self.found.endless = len(seen) - len(ending)
        return self.found

    def following(self, case: Case, now: int) -> Iterator[tuple[Case, int]]:
        """Take every step that may come next."""
        municipality = "0344"
        calendar = Calendar(self.ruleset.settings, municipality)
        existing = None if case.state == BEGIN else case
        for signal in self.samples:
            yield from self.step(
                existing, Arrived(self.mover(signal, 2), self.bind(signal, now)), calendar, now, signal.rules.contract.type
            )
        for type_ in case.newest:
            for number in (case.newest[type_], -1):
                trigger = Withdrawn(Mover(number, type_, ""))
                yield from self.step(existing, trigger, calendar, now, f"withdrawn {type_}")
        if case.due:
            code = process.first_due(self.machine, case)
            at = case.due[code]
            self.found.fired.add(code)
            yield from self.step(case, Due(code, at), calendar, max(now, at), code, by_time=True)

    def step(
        self, case: Case | None, trigger: process.Trigger, calendar: Calendar, now: int, name: str, *, by_time: bool = False
    ) -> Iterator[tuple[Case, int]]:
        self.found.steps += 1
        after = process.step(self.machine, case, trigger, calendar, now)
        if not isinstance(after, Step):
            self.found.refused.add(after.code)
            if isinstance(trigger, Arrived) and self.machine.is_fact(trigger.by.type):
                self.found.facts_refused.add(trigger.by.type)
            return
        assert not after.failed, (
            f"{self.machine.id}: a condition or term of {name} cannot be evaluated in {case.state if case else 'no case'}"
        )
        if after.case.state == BEGIN:
            return  # a fact without a case leaves none
        self.found.states.add(after.case.state)
        self.found.taken.add(Edge(case.state if case else BEGIN, name, after.case.state, by_time))
        yield after.case, now

    @staticmethod
    def mover(signal: Signal, number: int) -> Mover:
        return Mover(number, signal.rules.contract.type, signal.publisher.id)

    def bind(self, signal: Signal, now: int) -> process.Bind:
        def bound(case: Case) -> Any:
            return Conditions(self.ruleset, signal, Circumstances(now, terms.amsterdam_date(now), case=case)).under(None)

        return bound


def explore(ruleset: RuleSet, machine: Machine, most: int | None = None) -> Explored:
    """Search a machine by real steps; with `most`, only so many kinds of case, the nearest first."""
    return _Explorer(ruleset, machine, most).run()


def untaken(machine: Machine, found: Explored) -> list[Edge]:
    """Return the ways to another state that no real step took."""
    return [one for one in edges(machine) if one.source != one.to and one not in found.taken]


@cache
def shipped() -> RuleSet:
    """Return the rules of the repository."""
    return load(files.read(ROOT / "rules", ROOT / "schemas")).unwrap()


def _kind(case: Case, now: int) -> tuple[Any, ...]:
    today = terms.amsterdam_date(now).isoformat()
    variables = tuple(sorted((name, _relative(value, today)) for name, value in case.variables.items()))
    mover = None if case.mover is None else (case.mover.type, case.before[0] if case.before else None)
    return case.state, variables, tuple(sorted(case.due)), mover, tuple(sorted(case.newest))


def _relative(value: process.Value, today: str) -> str:
    if isinstance(value, str) and _DATE(value):
        return "past" if value < today else "today" if value == today else "to come"
    return repr(value)


def _samples(ruleset: RuleSet, machine: Machine) -> Iterator[Signal]:
    """Yield the signals of the flow's examples, those alike to the process only once."""
    seen = set()
    for type_ in machine.keys:
        rules = ruleset.types[type_]
        names = sorted(name for name in machine.reads(type_) if name.startswith(("s.", "e.role")))
        readers: Mapping[str, Any] = dict(rules.data_readers)
        for participant, data in _examples(ruleset, machine.flow, type_):
            publisher = ruleset.participants.find(participant)
            wire, issues = rules.check_json(data)
            if publisher is None or issues or not rules.contract.may_publish(publisher.role):
                continue
            alike = (type_, *(publisher.role if name == "e.role" else repr(readers[name](wire)) for name in names))
            if alike not in seen:
                seen.add(alike)
                yield Signal(rules, publisher, "x", bytes(16), START, wire, b"", "0344")


def _examples(ruleset: RuleSet, flow: str, type_: str) -> Iterator[tuple[str, Any]]:
    for example, _ in ruleset.examples[flow]:
        for one in (example, *example.steps):
            if one.signal == type_ and one.as_ is not None:
                yield one.as_, one.data
