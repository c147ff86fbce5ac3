"""From a process in a rule file to a machine, with every check on it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel
from pydantic import ValidationError

from hub.domain import forms, rulefiles, terms
from hub.domain.celcheck import Kind
from hub.domain.conditions import Condition, ConditionError, Environment, Given, Variable
from hub.domain.grants import condition_faults
from hub.domain.process import Alarm, Guard, Machine, Notice, Span, Term, Transition
from hub.domain.reasons import REASONS
from hub.domain.registers import HUB
from hub.domain.signal import Fault as Refusal

if TYPE_CHECKING:
    from hub.domain.contract import Contract
    from hub.domain.faults import Fault
    from hub.domain.grants import Registers
    from hub.domain.ruleset import Grant
    from hub.domain.sources import Path, Source

REMINDER: Final = "nl.signaalhub.herinnering.v1"
"""The signal that tells of a term, an alarm or a step."""
STARTER: Final = "$starter"
_SPAN: Final = re.compile(r"(?P<kind>werkdagen|wettelijk|hard)\((?P<inner>.+)\)").fullmatch
_KEPT: Final = frozenset({"code", "organisation"})
"""The privacy classes that a case may keep something of."""


@dataclass(slots=True)
class _Edge:
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
        return tuple(dict.fromkeys(state for name in _named(given) for state in self.entry.sets.get(name, (name,))))

    @property
    def all_states(self) -> tuple[str, ...]:
        """Every state that something leads to, or that is final, in the order of the file."""
        found = [self.entry.start.to, *(step.to for step in self.entry.transitions), *(term.to for term in self.entry.terms)]
        return tuple(dict.fromkeys(state for state in (*found, *self.entry.final) if state is not None))

    def edges(self) -> Iterator[_Edge]:
        """Yield every way from a state to another or to itself."""
        for step in self.entry.transitions:
            for state in self.states(step.from_):
                yield _Edge(state, step.to or state, frozenset(step.set))
        for term in self.entry.terms:
            for state in self.states(term.in_):
                yield _Edge(state, term.to or state, frozenset(term.set))

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


class Processes:
    """Every process of a rule set: declared first, because conditions anywhere may read a case; then built."""

    def __init__(
        self, contracts: Mapping[str, Contract], registers: Registers, shared: Callable[[Contract | None], dict[str, Variable]]
    ) -> None:
        self._contracts = contracts
        self._registers = registers
        self._shared = shared
        self._of_type: dict[str, Declared] = {}
        self.declared: list[Declared] = []
        self.faults: list[Fault] = []

    # --- declaring ------------------------------------------------------------------------

    def survey(self, source: Source, flow: rulefiles.FlowFile) -> None:
        """Note the processes of one rule file."""
        for i in range(len(flow.processes)):
            path: Path = ("processes", i)
            entry, faults = forms.read(source, rulefiles.ProcessEntry, path)
            self.faults += faults
            if entry is None:
                continue
            declared = Declared(source, path, flow, entry)
            if any(other.entry.id == entry.id for other in self.declared):
                self._fault(declared, ("id",), f"the process id `{entry.id}` is used twice")
            self.declared.append(declared)
            for name, places in declared.types.items():
                if name in self._of_type:
                    other = self._of_type[name].entry.id
                    fix = "a signal moves one case; put the steps in one process"
                    self.faults.append(source.fault(places[0], f"`{name}` already belongs to process `{other}`", fix))
                else:
                    self._of_type[name] = declared
            self._shape(declared)
            self._infer(declared)

    def variables(self, signal_type: str) -> dict[str, Variable]:
        """Return what conditions on a type may read of a case, as `c.<name>`."""
        declared = self._of_type.get(signal_type)
        return {} if declared is None else declared.variables

    def unset(self, signal_type: str, condition: Condition) -> list[str]:
        """Return what is wrong with a condition of a grant or content rule that reads a case."""
        declared = self._of_type.get(signal_type)
        read = [name for name in condition.variables if name.startswith("c.")]
        if declared is None or not read:
            return []
        if declared.may_lack_a_case(signal_type):
            return [f"`{name}` is read, and {signal_type} may come without a case" for name in read]
        return self._lacking(declared, read, declared.after(signal_type))

    @staticmethod
    def _lacking(declared: Declared, read: Iterable[str], states: Iterable[str]) -> list[str]:
        return [
            f"`{name}` is read in state `{state}`, and not every path to it has set it"
            for name in sorted(read)
            for state in sorted(states)
            if name.startswith("c.") and name != "c.state" and name[2:] not in declared.assigned.get(state, frozenset((name[2:],)))
        ]

    def _fault(self, declared: Declared, at: tuple[str | int, ...], what: str, fix: str = "") -> None:
        fault = declared.source.fault((*declared.path, *at), what, fix)
        if fault not in self.faults:
            self.faults.append(fault)

    def _shape(self, declared: Declared) -> None:
        """Check that every state is reached, and left or final, and that every path can end."""
        entry, edges = declared.entry, list(declared.edges())
        reached, frontier = {entry.start.to}, [entry.start.to]
        while frontier:
            state = frontier.pop()
            following = {edge.to for edge in edges if edge.source == state} - reached
            reached |= following
            frontier += following
        declared.reached = frozenset(reached)
        for at, names in self._mentions(declared):
            may_be_set = at[0] not in {"final", "sets", "migrate"}
            if not names and at[0] != "final":
                self._fault(declared, at, "no state is named here", "name a state or a set")
            for state in names:
                if state not in reached and not (may_be_set and state in entry.sets):
                    self._fault(
                        declared, at, f"the state `{state}` cannot be reached", "correct the spelling, or add the step that leads to it"
                    )
        for name in entry.sets:
            if name in declared.all_states:
                self._fault(declared, ("sets", name), f"`{name}` is a state and a set", "give the set a name of its own")
        for state in sorted(reached):
            leaves = any(edge.source == state and edge.to != state for edge in edges)
            if state in entry.final and leaves:
                self._fault(declared, ("final",), f"the final state `{state}` is left by a step", "a final state is the end")
            elif state not in entry.final and not leaves:
                self._fault(
                    declared, (), f"the state `{state}` is neither final nor left by anything", "add a step or a term, or make it final"
                )
        self._ends(declared, edges)
        self._idle(declared)
        self._assign(declared, edges)

    def _idle(self, declared: Declared) -> None:
        """Check that no term waits for a case that has ended: it would never fall due."""
        for i, term in enumerate(declared.entry.terms):
            for state in sorted(set(declared.states(term.in_)) & set(declared.entry.final)):
                if term.to in {None, state}:
                    self._fault(declared, ("terms", i, "in"), f"no term runs in the final state `{state}`", "leave it out here")

    @staticmethod
    def _mentions(declared: Declared) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
        """Yield each place that names states or sets, as it names them."""
        entry = declared.entry
        yield ("final",), entry.final
        for name, states in entry.sets.items():
            yield ("sets", name), states
        for i, step in enumerate(entry.transitions):
            yield ("transitions", i, "from"), _named(step.from_)
        for i, term in enumerate(entry.terms):
            yield ("terms", i, "in"), _named(term.in_)
        for i, guard in enumerate(entry.guards):
            yield ("guards", i, "closed_in"), _named(guard.closed_in)
        for i, alarm in enumerate(entry.alarms):
            yield ("alarms", i, "in"), _named(alarm.in_)
        for old, new in entry.migrate.items():
            yield ("migrate", old), (new,)

    def _ends(self, declared: Declared, edges: list[_Edge]) -> None:
        ending = set(declared.entry.final)
        while more := {edge.source for edge in edges if edge.to in ending} - ending:
            ending |= more
        for state in sorted(declared.reached - ending):
            if any(edge.source == state and edge.to != state for edge in edges):
                self._fault(declared, (), f"no path from `{state}` ends", "let some step lead to a final state")
        for old in declared.entry.migrate:
            if old in declared.reached:
                self._fault(declared, ("migrate", old), f"`{old}` is still a state", "migrate names states that are no longer there")

    @staticmethod
    def _assign(declared: Declared, edges: list[_Edge]) -> None:
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

    # --- the types of variables -----------------------------------------------------------

    def _setters(self, declared: Declared) -> Iterator[tuple[str, str | None, str, tuple[str | int, ...]]]:
        """Yield (variable, type that sets it or None for a term or withdrawal, expression, place)."""
        entry = declared.entry
        given: list[tuple[str | None, Mapping[str, Any], tuple[str | int, ...]]] = [(entry.start.on, entry.start.set, ("start", "set"))]
        given += [(step.on, step.set, ("transitions", i, "set")) for i, step in enumerate(entry.transitions)]
        given += [(None, term.set, ("terms", i, "set")) for i, term in enumerate(entry.terms)]
        for signal_type, assignments, at in given:
            for name, value in assignments.items():
                yield name, signal_type, _expression(value), (*at, name)

    def _infer(self, declared: Declared) -> None:
        """Type each variable by what sets it; what needs a variable whose type is not known yet waits a round."""
        pending = list(self._setters(declared))
        known: dict[str, Given] = {}
        variables: dict[str, Variable] = {"c.state": Variable(cel.Type.STRING, cel.Type.DYN, Kind("enum", declared.all_states))}
        while pending:
            waiting = []
            environments: dict[str | None, Environment] = {}
            for setter in pending:
                name, signal_type, text, at = setter
                contract = self._contracts.get(signal_type) if signal_type else None
                if signal_type and contract is None:
                    continue
                if signal_type not in environments:
                    extra = {**self._shared(contract), **variables}
                    environments[signal_type] = Environment(contract, extra, self._registers.equated)
                try:
                    gives = environments[signal_type].gives(text)
                except ConditionError:
                    waiting.append(setter)
                    continue
                if name == "state":
                    self._fault(declared, at, "`state` is the state of the case itself", "give the variable another name")
                    continue
                joined = known[name].joined(gives) if name in known else gives
                if joined is None:
                    self._fault(declared, at, f"`{name}` gets another type than elsewhere", "a variable has one type")
                else:
                    known[name] = joined
            fresh = {f"c.{name}": made for name, gives in known.items() if (made := gives.variable()) is not None}
            if len(waiting) == len(pending):
                break  # what is wrong with them is told when they are compiled
            variables |= fresh
            pending = waiting
        declared.variables = variables

    # --- building -------------------------------------------------------------------------

    def build(
        self, declared: Declared, environment: Callable[[str], Environment],
        entries: Sequence[rulefiles.GrantEntry], register: Callable[[Path, rulefiles.GrantEntry], Grant | None],
    ) -> Machine | None:  # fmt: skip
        """Compile one process; None if something in it is at fault."""
        before = len(self.faults)
        build = _Build(self, declared, environment, entries, register)
        machine = build.machine()
        return machine if len(self.faults) == before and not build.failed else None


class _Build:
    """The compilation of one process."""

    def __init__(
        self, processes: Processes, declared: Declared, environment: Callable[[str], Environment],
        entries: Sequence[rulefiles.GrantEntry], register: Callable[[Path, rulefiles.GrantEntry], Grant | None],
    ) -> None:  # fmt: skip
        self.processes = processes
        self.declared = declared
        self.environment = environment
        self.entries = entries
        self.register = register
        self.contracts = processes._contracts  # noqa: SLF001  (the same idea, in two classes)
        self.registers = processes._registers  # noqa: SLF001
        self.failed = False
        extra = {**processes._shared(None), **declared.variables}  # noqa: SLF001
        self.timed = Environment(None, extra, self.registers.equated)

    def fault(self, at: tuple[str | int, ...], what: str, fix: str = "") -> None:
        self.processes._fault(self.declared, at, what, fix)  # noqa: SLF001

    def machine(self) -> Machine | None:
        declared, entry = self.declared, self.declared.entry
        if not self.types():
            return None
        self.codes()
        self.grounds()
        keys = {name: self.key(name) for name in declared.types}
        start_states: tuple[str, ...] = ()
        start = self.transition(entry.start, ("start",), entry.start.on, start_states, to=entry.start.to)
        steps: dict[str, list[Transition]] = {}
        undoing: dict[str, list[Transition]] = {}
        for i, step in enumerate(entry.transitions):
            where = steps if step.on else undoing
            sources = declared.states(step.from_)
            made = self.transition(step, ("transitions", i), step.on, sources, to=step.to, fact=step.fact,
                                   notice=self.notice(("transitions", i), step.notify, step.code or "", step.text))  # fmt: skip
            where.setdefault(step.on or step.withdrawn or "", []).append(made)
        alarms: dict[str, list[Alarm]] = {}
        for i, alarm in enumerate(entry.alarms):
            if not alarm.notify:
                self.fault(("alarms", i, "notify"), "an alarm that nobody hears is none", "name a role")
            notice = self.notice(("alarms", i), alarm.notify, alarm.code, alarm.text)
            if notice is not None:
                alarms.setdefault(alarm.on, []).append(Alarm(frozenset(declared.states(alarm.in_)), notice))
        made_terms = tuple(term for i, given in enumerate(entry.terms) if (term := self.term(("terms", i), given)) is not None)
        guards = tuple(
            Guard(guard.name, frozenset(declared.states(guard.closed_in)), guard.code, guard.text or "") for guard in entry.guards
        )
        if self.failed or None in keys.values():
            return None
        return Machine(
            id=entry.id, flow=declared.flow.flow, by_subject=entry.scope == "subject",
            keys={name: key for name, key in keys.items() if key is not None},
            start_type=entry.start.on, start=start, states=declared.all_states, final=frozenset(entry.final),
            steps={name: tuple(some) for name, some in steps.items()}, undoing={name: tuple(some) for name, some in undoing.items()},
            terms=made_terms, guards=guards, alarms={name: tuple(some) for name, some in alarms.items()}, migrate=dict(entry.migrate),
            environment=self.timed, equated=self.registers.equated, assigned=declared.assigned,
            entry=entry, where=f"{declared.source.file}:{declared.source.line(declared.path)}",
        )  # fmt: skip

    # --- checks ---------------------------------------------------------------------------

    def types(self) -> bool:
        """Check every signal type; say whether all could be read."""
        readable = True
        entry = self.declared.entry
        steps = {step.on for step in entry.transitions} | {entry.start.on}
        for name, places in self.declared.types.items():
            contract = self.contracts.get(name)
            for place in places:
                if contract is None:
                    readable = False
                    if name not in self.registers.unread:
                        self.at(place, f"the signal type `{name}` does not exist")
                elif name.startswith(f"nl.{HUB}."):
                    self.at(place, f"`{name}` is the hub's own and moves no case", "see `withdrawn` for what taking back a signal does")
                elif contract.subject is None:
                    self.at(place, f"`{name}` is anonymous and belongs to no case", "give the contract a subject")
                elif entry.scope == "subject" and not self.same_person(contract):
                    fix = "name the same fields, or inherit the keten's subject"
                    self.at(place, f"`{name}` names its subject by other fields than {entry.start.on}, so one person would be two", fix)
                elif place[-1] == "withdrawn" and name not in steps:
                    self.at(place, f"`{name}` moves no case, so its withdrawal undoes nothing", "add the step that it takes")
        return readable

    def same_person(self, contract: Contract) -> bool:
        """Say whether a type names a person by the very fields of the starting type: the pseudonym follows from them."""
        first = self.contracts.get(self.declared.entry.start.on)
        if first is None or contract.inherits_subject:
            return True
        return not first.inherits_subject and contract.subject == first.subject

    def at(self, place: Path, what: str, fix: str = "") -> None:
        self.processes.faults.append(self.declared.source.fault(place, what, fix))

    def codes(self) -> None:
        """The code of a reminder names its grants, so it stands once in a process; hub codes mean something else."""
        entry = self.declared.entry
        named: list[tuple[str, tuple[str | int, ...]]] = [(term.code, ("terms", i, "code")) for i, term in enumerate(entry.terms)]
        named += [(alarm.code, ("alarms", i, "code")) for i, alarm in enumerate(entry.alarms)]
        named += [(step.code, ("transitions", i, "code")) for i, step in enumerate(entry.transitions) if step.code]
        counts = Counter(code for code, _ in named)
        for code, at in named:
            if counts[code] > 1:
                self.fault(at, f"the code `{code}` is used twice in this process", "give each reminder a code of its own")
        named += [(guard.code, ("guards", i, "code")) for i, guard in enumerate(entry.guards)]
        for label, unmet in [("start", entry.start.unmet), *((("transitions", i), s.unmet) for i, s in enumerate(entry.transitions))]:
            if unmet is not None:
                named.append((unmet.code, (*(label if isinstance(label, tuple) else (label,)), "unmet", "code")))
        for code, at in named:
            if code in REASONS:
                self.fault(at, f"the code `{code}` is one of the hub's own", "choose another")

    def grounds(self) -> None:
        """The legal basis of the reminders is named once, so what is wrong with it is told once."""
        named = self.declared.entry.legal_basis
        if named is not None and not named:
            self.fault(("legal_basis",), f"process `{self.declared.entry.id}` has no legal basis", "name a ground of grounds.yaml")
        for i, name in enumerate(named or ()):
            if self.registers.whole and name not in self.registers.grounds:
                self.fault(("legal_basis", i), f"the ground `{name}` does not exist", "add it to grounds.yaml")

    # --- parts ----------------------------------------------------------------------------

    def key(self, signal_type: str) -> Condition | None:
        """Compile what tells cases apart: it must be the same whenever a signal of the case comes."""
        key = self.compiled(signal_type, ("case",), self.declared.entry.case, Environment.compile_text)
        for name in sorted(key.variables) if key else ():
            if name == "today" or name.startswith("c."):
                self.fault(("case",), f"`{name}` changes while a case runs", "read what is equal for its signals, such as e.correlationid")
        return key

    def compiled(
        self, signal_type: str | None, at: tuple[str | int, ...], text: str, how: Callable[[Environment, str], Condition]
    ) -> Condition | None:
        environment = self.environment(signal_type) if signal_type else self.timed
        path = (*self.declared.path, *at)
        try:
            return how(environment, text)
        except ConditionError as exc:
            found = condition_faults(self.declared.source, path, exc)
            self.processes.faults += [fault for fault in found if fault not in self.processes.faults]
            self.failed = True
            return None

    def reads(self, condition: Condition | None, at: tuple[str | int, ...], states: Iterable[str]) -> None:
        if condition is not None:
            for what in self.processes._lacking(self.declared, condition.variables, states):  # noqa: SLF001
                self.fault(at, what, "set it in the start, or on every way to that state")

    def assigns(
        self, signal_type: str | None, at: tuple[str | int, ...], given: Mapping[str, Any], states: Sequence[str]
    ) -> tuple[tuple[str, Condition], ...]:
        found = []
        for name, value in given.items():
            condition = self.compiled(signal_type, (*at, "set", name), _expression(value), _value)
            self.reads(condition, (*at, "set", name), states)
            if condition is None:
                continue
            contract = self.contracts[signal_type] if signal_type else None
            for field_name in (n.removeprefix("s.") for n in condition.variables if n.startswith("s.") and contract):
                held = [leaf for leaf in contract.leaves.values() if (leaf.dotted + ".").startswith(field_name + ".")] if contract else []
                if any(leaf.privacy not in _KEPT for leaf in held):
                    fix = "keep a code, a date or a number that says nothing of who it is"
                    self.fault((*at, "set", name), f"a case may not keep `{field_name}`", fix)
            found.append((name, condition))
        return tuple(found)

    def transition(
        self, given: Any, at: tuple[str | int, ...], signal_type: str | None, sources: Sequence[str], *, to: str | None,
        fact: bool = False, notice: Notice | None = None,
    ) -> Transition:  # fmt: skip
        when = None
        if given.when is not None:
            when = self.compiled(signal_type, (*at, "when"), given.when, Environment.compile)
            self.reads(when, (*at, "when"), sources)
        if not sources and when is not None and any(name.startswith("c.") for name in when.variables):
            self.fault((*at, "when"), "there is no case yet when it starts", "read the signal only")
        assigns = self.assigns(signal_type, at, given.set, sources)
        if not sources and any(name.startswith("c.") for _, value in assigns for name in value.variables):
            self.fault((*at, "set"), "there is no case yet when it starts", "read the signal only")
        unmet = Refusal(given.unmet.code, None, given.unmet.text) if given.unmet else None
        return Transition(frozenset(sources), to, when, unmet, assigns, fact, notice)

    def term(self, at: tuple[str | int, ...], given: rulefiles.TermEntry) -> Term | None:
        sources = self.declared.states(given.in_)
        notice = self.notice(at, given.notify, given.code, given.text)
        step = Transition(frozenset(sources), given.to, None, None, self.assigns(None, at, given.set, sources), notice=notice)
        moment = span = None
        if given.after is not None:
            span, written = self.span((*at, "after"), given.after, back=False), f"na {given.after}"
        elif given.before is not None:
            moment = self.compiled(None, (*at, "before", 0), given.before[0], Environment.compile_date)
            span = self.span((*at, "before", 1), given.before[1], back=True)
            written = f"{given.before[1]} voor {given.before[0]}"
        else:
            moment = self.compiled(None, (*at, "at"), given.at or "", Environment.compile_date)
            written = f"na {given.at}"
        for condition in (moment, span.count if span else None):
            self.reads(condition, at, sources)
            self.settings(condition, at)
        if (span is None and given.at is None) or (moment is None and given.after is None):
            self.failed = True
            return None
        return Term(given.code, frozenset(sources), moment, span, step, written)

    def settings(self, condition: Condition | None, at: tuple[str | int, ...]) -> None:
        """A term whose number is missing somewhere would never fall due there, and nobody would know."""
        for name in sorted(condition.variables) if condition else ():
            setting = name.removeprefix("cfg.")
            if name.startswith("cfg.") and self.registers.whole and "*" not in self.registers.settings.values.get(setting, {}):
                self.fault(at, f"the setting `{setting}` has no value for every municipality", 'give it one under "*"')

    def span(self, at: tuple[str | int, ...], text: str, *, back: bool) -> Span | None:
        match = _SPAN(text.strip())
        kind, inner = (match["kind"], match["inner"].strip()) if match else ("duration", text.strip())
        if kind == "werkdagen":
            if inner.startswith("-"):
                self.fault(at, f"`{text}` is no length of time", "use `before` to count back")
                return None
            count = self.compiled(None, at, inner, lambda environment, given: environment.compile(given, number=True))
            return Span(kind, count=count) if count is not None else None
        if back and kind != "duration":
            self.fault(at, f"`{kind}` does not count back (Algemene termijnenwet art. 1 lid 2)", "use werkdagen(n) or a duration")
        elif not terms.is_duration(inner) or ("T" in inner and (back or kind != "duration")):
            self.fault(at, f"`{text}` is no length of time", "werkdagen(n), wettelijk(P6W), hard(P8W), or a duration such as P14D")
        else:
            return Span(kind, inner)
        return None

    def notice(self, at: tuple[str | int, ...], notify: Sequence[str], code: str, text: str | None) -> Notice | None:
        """Build the grants of a reminder: `notify` is itself the grant."""
        if not notify:
            return None
        grants = []
        explain = text or f"U krijgt deze herinnering omdat in deze zaak een termijn verliep of iets gebeurde ({code})."
        for i, role in enumerate(notify):
            place = (*at, "notify", i)
            basis = self.basis(place, role) if self.recipient(place, role, notify[:i]) else None
            if basis is None:
                self.failed = True
                continue
            id_ = f"{self.declared.entry.id}.{code}.{role.removeprefix('$')}"
            try:
                entry = rulefiles.GrantEntry(
                    id=id_, signal=REMINDER, to=role, legal_basis=basis,
                    fields=("gemeentecode", "proces", "code", "staat", "uiterlijk"), retention="P6M", explain=explain,
                )  # fmt: skip
            except ValidationError:
                self.fault(place, f"`{id_}` is too long for the id of a grant", "shorten the id of the process, or the code")
                continue
            grant = self.register((*self.declared.path, *place), entry)
            if grant is None:
                self.failed = True
            else:
                grants.append(grant)
        return Notice(code, explain, tuple(grants))

    def recipient(self, at: tuple[str | int, ...], role: str, earlier: Sequence[str]) -> bool:
        """Check that a reminder goes to somebody, once."""
        known = role == STARTER or role in self.registers.participants.roles()
        if not known and self.registers.whole:
            self.fault(at, f"the recipient `{role}` does not exist", f"a role of participants.yaml, or {STARTER}")
        elif role in earlier:
            self.fault(at, f"`{role}` is told twice", "keep one of the two")
        return known and role not in earlier

    def basis(self, at: tuple[str | int, ...], role: str) -> tuple[str, ...] | None:
        """Return the grounds on which a recipient may know of the case: those of the flow's grants to it."""
        own = self.declared.entry.legal_basis
        if own is not None:
            known = tuple(name for name in own if not self.registers.whole or name in self.registers.grounds)
            return known if known == own and own else None
        found = dict.fromkeys(ground for entry in self.entries if entry.to == role for ground in entry.legal_basis)
        if role == STARTER and not found:  # who started it knows of it by the grounds of whoever it wrote to
            found = dict.fromkeys(g for entry in self.entries if entry.signal == self.declared.entry.start.on for g in entry.legal_basis)
        if not found:
            self.fault(
                at,
                f"nothing else in this flow is granted to `{role}`, so the reminder has no legal basis",
                "give the process a `legal_basis`",
            )
            return None
        return tuple(found)


def _named(given: rulefiles.States) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def _value(environment: Environment, text: str) -> Condition:
    environment.gives(text)  # raises for what a case cannot hold, such as a list
    return environment.compile_value(text)


def _expression(value: Any) -> str:
    """Return the CEL text of a value in `set`: text is an expression, anything else is itself."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
