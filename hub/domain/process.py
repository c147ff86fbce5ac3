"""Cases: flows with memory. One pure step function takes a case through the machine that the rules declare.

A case is one running instance of a machine. Signals, withdrawals and terms that fall due are what
moves it; nothing else does. The same machine, case and trigger give the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hub.domain import terms
from hub.domain.machine import Guard, Machine, Notice, Span, Term, Transition
from hub.domain.reasons import text_of
from hub.domain.signal import Fault

if TYPE_CHECKING:
    from hub.domain.conditions import Condition
    from hub.domain.registers import Settings

Value = str | int | bool | None
_DAY: Final = timedelta(days=1)
_MOST_DAYS: Final = 10_000
"""Working days of one term: a number that a publisher sent must not keep the hub counting."""


# --- a case -----------------------------------------------------------------------------------


class Mover(NamedTuple):
    """The signal that moved a case last."""

    signal: int
    type: str
    publisher: str


class Case(NamedTuple):
    """One case, at one moment."""

    state: str
    entered_ms: int
    """When the state was entered."""
    variables: Mapping[str, Value]
    due: Mapping[str, int]
    """Code of a running term -> the moment at which it falls due, in epoch milliseconds."""
    fired: frozenset[tuple[str, int]]
    """Terms that fell due: each code and moment once."""
    mover: Mover | None = None
    """None: no signal moved it since, or a term did."""
    before: tuple[str, Mapping[str, Value]] | None = None
    """State and variables before the mover's step."""
    newest: Mapping[str, int] = {}
    """Signal type -> the newest signal of it that moved the case."""

    @property
    def next_due(self) -> int | None:
        """The moment at which its first term falls due."""
        return min(self.due.values(), default=None)


class Told(NamedTuple):
    """A reminder to send, and the last day that it names."""

    notice: Notice
    state: str
    until: date | None


class Step(NamedTuple):
    """What a trigger did to a case."""

    case: Case
    told: tuple[Told, ...] = ()
    failed: tuple[str, ...] = ()
    """Codes of conditions and terms that could not be evaluated; they count as not met."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """What dates are counted with: the settings of a municipality."""

    settings: Settings
    municipality: str | None


Bind = Callable[[Case], Any]
"""Binds the conditions of a trigger to its values and to a case."""
_NEW: Final = Case("", 0, {}, {}, frozenset())


# --- triggers ---------------------------------------------------------------------------------


class Arrived(NamedTuple):
    """A signal of a type came in."""

    by: Mover
    bind: Bind


class Withdrawn(NamedTuple):
    """A signal that moved the case was taken back."""

    by: Mover
    """The signal that was taken back."""


class Corrected(NamedTuple):
    """A signal that moved the case was replaced by another."""

    original: int
    by: Mover
    bind: Bind


class Due(NamedTuple):
    """A term fell due."""

    code: str
    at_ms: int


SignalTrigger = Arrived | Withdrawn | Corrected
Trigger = SignalTrigger | Due


def step(machine: Machine, case: Case | None, trigger: Trigger, calendar: Calendar, now_ms: int) -> Step | Fault:
    """Return what a trigger does to a case, or why it may not. A fact always gives a step, if need be to nowhere.

    Without a case a signal of the starting type opens one; any other is refused, and a fact leaves
    no case: its step is then an empty one.
    """
    if isinstance(trigger, Due):
        return _fall_due(machine, case or _NEW, trigger, calendar)
    if isinstance(trigger, Arrived):
        return _arrive(machine, case, trigger, calendar, now_ms)
    if case is None:
        return _fault("zaak-onbekend")
    if isinstance(trigger, Withdrawn):
        return _withdraw(machine, case, trigger, calendar, now_ms)
    return _correct(machine, case, trigger, calendar)


def _arrive(machine: Machine, case: Case | None, trigger: Arrived, calendar: Calendar, now_ms: int) -> Step | Fault:
    type_ = trigger.by.type
    if case is None:
        if type_ == machine.start_type:
            return _taken(machine, _NEW, (machine.start,), trigger, calendar, now_ms)
        return Step(_NEW) if machine.is_fact(type_) else _fault("zaak-onbekend")
    known = machine.steps.get(type_, ())
    fitting = tuple(one for one in known if case.state in one.sources)
    if fitting:
        return _taken(machine, case, fitting, trigger, calendar, now_ms)
    if machine.is_fact(type_):
        return Step(case)
    if not known:
        return _fault("zaak-bestaat-al")
    if case.mover and case.mover.type == type_ and case.state in {one.to for one in known}:
        return _fault("al-gedaan" if case.mover.publisher == trigger.by.publisher else "ander-was-voor")
    return _fault("staat-past-niet")


def _taken(
    machine: Machine, case: Case, fitting: tuple[Transition, ...], trigger: Arrived | Withdrawn, calendar: Calendar, now_ms: int
) -> Step | Fault:
    """Take the first transition whose condition holds."""
    own = isinstance(trigger, Arrived)
    activation = trigger.bind(case) if own else _bind(machine, case, calendar, terms.amsterdam_date(now_ms))  # type: ignore[union-attr]
    failed = []
    for one in fitting:
        holds = one.when is None or one.when.holds(activation)
        if holds is None:
            failed.append(machine.id)
        if holds:
            try:
                changes = {name: value.value(activation) for name, value in one.assigns}
            except ValueError:
                failed.append(machine.id)
                break
            step_ = _moved(machine, case, one, changes, trigger, calendar, now_ms)
            return step_._replace(failed=(*failed, *step_.failed))
    if own and machine.is_fact(trigger.by.type):
        return Step(case, failed=tuple(failed))
    if failed:
        return _fault("voorwaarde-fout")
    return next((one.unmet for one in reversed(fitting) if one.unmet), _fault("stap-voorwaarde"))


def _moved(
    machine: Machine, case: Case, one: Transition, changes: Mapping[str, Value],
    trigger: Arrived | Withdrawn, calendar: Calendar, now_ms: int,
) -> Step:  # fmt: skip
    state = one.to or case.state
    told = (Told(one.notice, state, None),) if one.notice else ()
    if case is not _NEW and state == case.state and not changes:
        return Step(case, told)
    arrived = isinstance(trigger, Arrived)
    after = case._replace(
        state=state,
        entered_ms=case.entered_ms if state == case.state else now_ms,
        variables={**case.variables, **changes},
        mover=trigger.by if arrived else None,
        newest={**case.newest, trigger.by.type: trigger.by.signal} if arrived else case.newest,
        before=(case.state, case.variables) if arrived else None,
    )
    return _armed(machine, case, after, calendar, told)


def _withdraw(machine: Machine, case: Case, trigger: Withdrawn, calendar: Calendar, now_ms: int) -> Step | Fault:
    fitting = tuple(one for one in machine.undoing.get(trigger.by.type, ()) if case.state in one.sources)
    if case.newest.get(trigger.by.type) != trigger.by.signal:  # a later one took its place: the case stays as that one made it
        fitting = tuple(one for one in fitting if one.to is None and not one.assigns)
    if not fitting:
        return _fault("stap-al-gezet")
    return _taken(machine, case, fitting, trigger, calendar, now_ms)


def _correct(machine: Machine, case: Case, trigger: Corrected, calendar: Calendar) -> Step | Fault:
    """Take the step of the original again, from where the case stood before it; it must lead to where the case is."""
    if case.mover is None or case.before is None or case.mover.signal != trigger.original:
        return _fault("stap-al-gezet")
    state, variables = case.before
    earlier = case._replace(state=state, variables=variables)
    known = (machine.start,) if not state else machine.steps.get(trigger.by.type, ())
    fitting = [one for one in known if not state or state in one.sources]
    activation = trigger.bind(earlier)
    for one in fitting:
        if one.when is None or one.when.holds(activation):
            if (one.to or state) != case.state:
                return _fault("stap-voorwaarde")  # as it is now, the signal would have led elsewhere
            try:
                changes = {name: value.value(activation) for name, value in one.assigns}
            except ValueError:
                return _fault("voorwaarde-fout")
            after = case._replace(
                variables={**variables, **changes}, mover=trigger.by, newest={**case.newest, trigger.by.type: trigger.by.signal}
            )
            return _armed(machine, case, after, calendar, ())
    return next((one.unmet for one in reversed(fitting) if one.unmet), _fault("stap-voorwaarde"))


# --- terms ------------------------------------------------------------------------------------


def overdue(machine: Machine, case: Case, calendar: Calendar, now_ms: int) -> Iterator[tuple[Due, Step]]:
    """Yield each term of a case that is due now, the oldest first, with the step that it takes.

    It ends at a term that the machine does not know: that one waits for rules that do.
    """
    while (at := case.next_due) is not None and at <= now_ms:
        due = Due(first_due(machine, case), at)
        if due.code not in machine.term:
            return
        taken = _fall_due(machine, case, due, calendar)
        yield due, taken
        case = taken.case


def _fall_due(machine: Machine, case: Case, trigger: Due, calendar: Calendar) -> Step:
    """A term fires once; what it leads to is entered at the moment at which it fell due, however late the clock is."""
    term = machine.term.get(trigger.code)
    fired = case._replace(
        due={code: at for code, at in case.due.items() if code != trigger.code}, fired=case.fired | {(trigger.code, trigger.at_ms)}
    )
    if term is None or case.state not in term.sources:
        return Step(fired)
    entered = max(trigger.at_ms, case.entered_ms)  # a date that was past already falls due when it is set, not before
    activation = _bind(machine, case, calendar, terms.amsterdam_date(entered))
    failed: tuple[str, ...] = ()
    changes: dict[str, Value] = {}
    try:
        changes = {name: value.value(activation) for name, value in term.step.assigns}
    except ValueError:
        failed = (term.code,)
    until: date | None = terms.amsterdam_date(trigger.at_ms - 1)
    if term.moment is not None and term.span is not None:
        until = _date(term.moment, activation)
    state = term.step.to or case.state
    told = (Told(term.step.notice, state, until),) if term.step.notice else ()
    after = fired._replace(
        state=state,
        entered_ms=case.entered_ms if state == case.state else entered,
        variables={**case.variables, **changes},
    )
    if state != case.state or changes:
        after = after._replace(mover=None, before=None)
    step_ = _armed(machine, fired, after, calendar, told)
    return step_._replace(failed=step_.failed + failed)


def _armed(machine: Machine, before: Case, after: Case, calendar: Calendar, told: tuple[Told, ...]) -> Step:
    """Set the terms of the state that a case is in now."""
    due: dict[str, int] = {}
    failed: list[str] = []
    if after.state not in machine.final:
        activation = _bind(machine, after, calendar, terms.amsterdam_date(after.entered_ms)) if machine.terms else None
        for term in machine.terms:
            if after.state not in term.sources:
                continue
            try:
                if term.moment is None and before.state in term.sources:
                    at = before.due.get(term.code)  # it runs on while the case stays in its states, and fires once there
                else:
                    at = _due(term, after, activation, machine)
            except (ValueError, OverflowError):  # also a date at the end of the calendar, such as 9999-12-31
                failed.append(term.code)
                continue
            if at is not None and (term.code, at) not in after.fired:
                due[term.code] = at
    return Step(after._replace(due=due), told, tuple(failed))


def rearmed(machine: Machine, case: Case, calendar: Calendar, *, moved: bool = False) -> Step:
    """Return a case with the terms of its state under a changed machine; those that run already go on.

    What fell due in this state does not do so again because a length of time changed; a day that is another does count anew.
    `moved` says that the case was put in another state, so that what fell due before counts for nothing there.
    """
    fresh = _armed(machine, _NEW, case, calendar, ())
    fired: set[str] = set() if moved else {code for code, _ in case.fired}
    over = {term.code for term in machine.terms if term.span is not None and term.code in fired and term.code not in case.due}
    due = {code: case.due.get(code, at) for code, at in fresh.case.due.items() if code not in over}
    return fresh._replace(case=fresh.case._replace(due=due))


def _bind(machine: Machine, case: Case, calendar: Calendar, day: date) -> Any:
    values: dict[str, Any] = {}
    for name in machine.timed:
        if name.startswith("c."):
            values[name] = variable(case, name)
        elif name == "today":
            values[name] = day.isoformat()
        else:
            values[name] = calendar.settings.value(name.removeprefix("cfg."), calendar.municipality, day)
    return machine.environment.activation(values)


def variable(case: Case | None, name: str) -> Value:
    """Return the value of `c.state` or `c.<variable>`; None if there is none."""
    if case is None:
        return None
    return case.state if name == "c.state" else case.variables.get(name.removeprefix("c."))


def _due(term: Term, case: Case, activation: Any, machine: Machine) -> int | None:
    """Return the moment at which a term falls due, or None for a date that is not set. Raises ValueError or OverflowError."""
    if term.moment is None:
        return _after(term.span or Span("duration"), case.entered_ms, activation, machine.equated)
    day = _date(term.moment, activation)
    if day is None:
        return None
    if term.span is None:
        day += _DAY
    elif term.span.kind == "werkdagen":
        day = terms.working_days(day, -_count(term.span, activation), machine.equated)
    else:
        day = terms.plus(day, f"-{term.span.duration}")
    at = terms.midnight_ms(day)
    terms.amsterdam_date(at - 1)  # raises for a day before the first of the calendar
    return at


def _after(span: Span, since_ms: int, activation: Any, equated: frozenset[date]) -> int:
    day = terms.amsterdam_date(since_ms)
    match span.kind:
        case "werkdagen":
            last = terms.working_days(day, _count(span, activation), equated)
        case "wettelijk":
            last = terms.statutory_end(day, span.duration, equated)
        case "hard":
            last = terms.hard_end(day, span.duration)
        case _ if "T" in span.duration:
            return terms.duration_ms(span.duration, since_ms)
        case _:
            last = terms.plus(day, span.duration)
    return terms.midnight_ms(last + _DAY)


def _count(span: Span, activation: Any) -> int:
    found = span.count.number(activation) if span.count else None
    if found is None or not 0 <= found <= _MOST_DAYS:
        raise ValueError
    return found


def _date(moment: Condition, activation: Any) -> date | None:
    found = moment.value(activation)
    return None if found is None else date.fromisoformat(str(found))


def first_due(machine: Machine, case: Case) -> str:
    """Return the code of the running term that falls due first; of two at once, the one that stands first in the rules."""
    order = {term.code: i for i, term in enumerate(machine.terms)}
    return min(case.due, key=lambda code: (case.due[code], order.get(code, len(order))))


# --- guards -----------------------------------------------------------------------------------


def closed(machine: Machine, name: str, own: Case | None, others: tuple[Case, ...]) -> Guard | str | None:
    """Return the guard that says no, a reason code, or None: it may be done now.

    `others` are the other open cases about the same person, if the process guards them together.
    Without a case of its own nothing was announced, so the answer is no.
    """
    if own is None:
        return "zaak-onbekend"
    for guard in machine.guards:
        if guard.name == name and any(case.state in guard.closed_in for case in (own, *others)):
            return guard
    return None


def alarms(machine: Machine, signal_type: str, case: Case) -> tuple[Told, ...]:
    """Return what must be heard of when a signal of this type comes while the case stands so."""
    return tuple(Told(alarm.notice, case.state, None) for alarm in machine.alarms.get(signal_type, ()) if case.state in alarm.sources)


def _fault(code: str) -> Fault:
    return Fault(code, None, text_of(code))
