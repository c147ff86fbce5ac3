"""A state machine as the rules declare it, checked and compiled: what moves a case, what falls due, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from hub.domain.conditions import Condition, Environment
    from hub.domain.ruleset import Grant
    from hub.domain.signal import Fault


@dataclass(frozen=True, slots=True)
class Notice:
    """A reminder that a step, a term or an alarm sends: its code, and the grants that let it go out."""

    code: str
    text: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """One way from a state to another, or to the same."""

    sources: frozenset[str]
    to: str | None
    """None: the state stays."""
    when: Condition | None
    unmet: Fault | None
    assigns: tuple[tuple[str, Condition], ...]
    fact: bool = False
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as the rules write it."""

    kind: str
    """`werkdagen`, `wettelijk`, `hard` or `duration`."""
    duration: str = ""
    count: Condition | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """What falls due while a case is in a state."""

    code: str
    sources: frozenset[str]
    moment: Condition | None
    """The date of `at` and `before`; None for `after`."""
    span: Span | None
    """None for `at`."""
    step: Transition
    written: str
    """As the rule file says it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """States in which something may not be done, and the code that says why."""

    name: str
    closed_in: frozenset[str]
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """States in which a fact must be heard of at once."""

    sources: frozenset[str]
    notice: Notice


@dataclass(frozen=True)
class Machine:
    """One process, checked and compiled."""

    id: str
    flow: str
    by_subject: bool
    keys: Mapping[str, Condition]
    """Signal type -> what is equal for the signals of one case."""
    start_type: str
    start: Transition
    states: tuple[str, ...]
    final: frozenset[str]
    steps: Mapping[str, tuple[Transition, ...]]
    undoing: Mapping[str, tuple[Transition, ...]]
    """Signal type -> the steps that its withdrawal takes."""
    terms: tuple[Term, ...]
    guards: tuple[Guard, ...]
    alarms: Mapping[str, tuple[Alarm, ...]]
    migrate: Mapping[str, str]
    environment: Environment
    """For what reads a case and settings only: terms."""
    equated: frozenset[date]
    assigned: Mapping[str, frozenset[str]]
    """State -> the variables that every path to it has set."""
    askers: frozenset[str]
    """The roles that may ask its guards: those that can move a case. To others no case exists."""
    entry: Any
    """As the rule file states it."""
    where: str

    @cached_property
    def term(self) -> Mapping[str, Term]:
        """The terms by their codes."""
        return {term.code: term for term in self.terms}

    @cached_property
    def timed(self) -> frozenset[str]:
        """The variables that terms and withdrawals read: those of a case and of settings, not of a signal."""
        conditions = [c for term in self.terms for c in (term.moment, term.span.count if term.span else None) if c]
        steps = [*(term.step for term in self.terms), *(step for steps in self.undoing.values() for step in steps)]
        conditions += [c for step in steps for c in (step.when, *(assign for _, assign in step.assigns)) if c]
        return frozenset().union(*(condition.variables for condition in conditions))

    @cached_property
    def notices(self) -> tuple[Notice, ...]:
        """Every reminder that it can send."""
        steps = [step for steps in (*self.steps.values(), *self.undoing.values()) for step in steps]
        found = [step.notice for step in (*steps, *(term.step for term in self.terms))]
        found += [alarm.notice for alarms in self.alarms.values() for alarm in alarms]
        return tuple(notice for notice in found if notice is not None)

    def reads(self, signal_type: str) -> frozenset[str]:
        """Return the variables that the steps of a signal type read."""
        steps = self.steps.get(signal_type, ())
        if signal_type == self.start_type:
            steps = (*steps, self.start)
        conditions = [c for step in steps for c in (step.when, *(assign for _, assign in step.assigns)) if c]
        return frozenset().union(self.keys[signal_type].variables, *(condition.variables for condition in conditions))

    def is_fact(self, signal_type: str) -> bool:
        """Say whether signals of the type are never refused for the state of a case."""
        return any(step.fact for step in self.steps.get(signal_type, ())) or (
            signal_type in self.alarms and signal_type not in self.steps and signal_type != self.start_type
        )
