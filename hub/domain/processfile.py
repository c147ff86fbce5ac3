"""From a declared process to a machine: everything in it compiled and checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from hub.domain import rulefiles, terms
from hub.domain.conditions import Condition, ConditionError, Environment
from hub.domain.grants import STARTER, condition_faults
from hub.domain.machine import Alarm, Guard, Machine, Notice, Span, Term, Transition
from hub.domain.processes import expression
from hub.domain.reasons import REASONS
from hub.domain.registers import HUB
from hub.domain.signal import Fault as Refusal

if TYPE_CHECKING:
    from hub.domain.contract import Contract
    from hub.domain.grants import Registers
    from hub.domain.processshape import Declared
    from hub.domain.ruleset import Grant
    from hub.domain.sources import Path

REMINDER: Final = "nl.signaalhub.herinnering.v1"
"""The signal that tells of a term, an alarm or a step."""
_SPAN: Final = re.compile(r"(?P<kind>werkdagen|wettelijk|hard)\((?P<inner>.+)\)").fullmatch
_KEPT: Final = frozenset({"code", "organisation"})
"""The privacy classes that a case may keep something of."""
Environments = tuple[Callable[[str], Environment], Environment]
"""How conditions on a signal type are checked, and those on a case alone."""
Register = Callable[["Path", rulefiles.GrantEntry], "Grant | None"]
"""Builds the grant of a reminder and takes it into the rule set."""


def build(
    declared: Declared, contracts: Mapping[str, Contract], registers: Registers, environments: Environments,
    entries: Sequence[rulefiles.GrantEntry], register: Register,
) -> Machine | None:  # fmt: skip
    """Compile one process; None if something in it is at fault."""
    before = len(declared.faults)
    building = _Build(declared, contracts, registers, environments, entries, register)
    machine = building.machine()
    return machine if len(declared.faults) == before and not building.failed else None


class _Build:
    """The compilation of one process."""

    def __init__(
        self, declared: Declared, contracts: Mapping[str, Contract], registers: Registers, environments: Environments,
        entries: Sequence[rulefiles.GrantEntry], register: Register,
    ) -> None:  # fmt: skip
        self.declared = declared
        self.environment, self.timed = environments
        self.entries = entries
        self.register = register
        self.contracts = contracts
        self.registers = registers
        self.fault = declared.fault
        self.failed = False

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
            askers=frozenset(role for name in declared.types for role in self.contracts[name].publishers),
            environment=self.timed, equated=self.registers.equated, assigned=declared.assigned,
            entry=entry, where=f"{declared.source.file}:{declared.source.line(declared.path)}",
        )  # fmt: skip

    # --- checks ---------------------------------------------------------------------------

    def types(self) -> bool:
        """Check every signal type; say whether all could be read."""
        readable = True
        entry = self.declared.entry
        steps = {step.on for step in entry.transitions if step.to is not None or step.set} | {entry.start.on}
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
        self.declared.faults.append(self.declared.source.fault(place, what, fix))

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
            self.declared.faults += [fault for fault in found if fault not in self.declared.faults]
            self.failed = True
            return None

    def reads(self, condition: Condition | None, at: tuple[str | int, ...], states: Iterable[str]) -> None:
        if condition is not None:
            for what in self.declared.lacking(condition.variables, states):
                self.fault(at, what, "set it in the start, or on every way to that state")

    def assigns(
        self, signal_type: str | None, at: tuple[str | int, ...], given: Mapping[str, Any], states: Sequence[str]
    ) -> tuple[tuple[str, Condition], ...]:
        found = []
        for name, value in given.items():
            condition = self.compiled(signal_type, (*at, "set", name), expression(value), _value)
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


def _value(environment: Environment, text: str) -> Condition:
    environment.gives(text)  # raises for what a case cannot hold, such as a list
    return environment.compile_value(text)
