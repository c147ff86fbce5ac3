"""Running the examples of rule files through the real pipeline, each in a fresh hub in memory.

An example states what must follow from a signal, and what must not. Together they also show
whether each grant is seen to deliver and seen to hold back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from hub.app import MovingClock, open_for_examples
from hub.cases import ask, states
from hub.client import NewSignal
from hub.codec import frame
from hub.domain import terms
from hub.domain.faults import Fault
from hub.domain.flows import NOBODY_ELSE, REFUSED
from hub.domain.processfile import REMINDER
from hub.domain.registers import HUB
from hub.errors import HubError
from hub.keys import unseal
from hub.record import DEFERRED, EXPIRED
from hub.refusing import REFUSED as REFUSAL
from hub.storage.tables import Outcome, State, decisions, deliveries, signals

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.domain.rulefiles import Example, Step
    from hub.domain.ruleset import RuleSet

DEFAULT_MOMENT: Final = "2026-11-02T09:00"
"""When an example plays unless it says so: a working day, Dutch time."""
OPEN: Final = "open"
"""What a guard answers when it may be done."""
_NOTICES: Final = frozenset({REFUSAL, DEFERRED, EXPIRED})
"""Messages of the hub about handling: no part of what an example expects."""
_GOES_OUT: Final = frozenset({"deliver", "defer", "released"})


@dataclass(slots=True)
class Coverage:
    """What the examples showed of each grant."""

    delivered: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision that a step led to."""

    signal: int
    delivery: int | None
    grant: str | None
    recipient: str
    outcome: str
    reason: str


def run(ruleset: RuleSet) -> tuple[int, list[Fault]]:
    """Run every example. Returns how many there are, and a fault for each expectation that fails.

    A grant without an example that delivers, and one that does not, is a warning.
    """
    coverage = Coverage()
    faults: list[Fault] = []
    total = 0
    fresh = open_for_examples(ruleset, MovingClock(terms.moment(DEFAULT_MOMENT)))
    for flow in ruleset.examples.values():
        for example, where in flow:
            total += 1
            file, _, line = where.rpartition(":")
            problems = _Play(ruleset, coverage, fresh).play(example)
            faults += [Fault(file, int(line), f"example `{example.name}`: {problem}") for problem in problems]
    fresh.close()
    return total, faults + list(_uncovered(ruleset, coverage))


def _uncovered(ruleset: RuleSet, coverage: Coverage) -> Iterator[Fault]:
    for grant in ruleset.grants.values():
        if grant.flow == HUB:
            continue
        file, _, line = grant.where.rpartition(":")
        if grant.id not in coverage.delivered:
            yield Fault(file, int(line), f"grant `{grant.id}` has no example that delivers", "add one", warning=True)
        if grant.id not in coverage.withheld and grant.signal != REMINDER:
            yield Fault(file, int(line), f"grant `{grant.id}` has no example that does not deliver", "add one", warning=True)


class _Play:
    """One example, step by step."""

    def __init__(self, ruleset: RuleSet, coverage: Coverage, fresh: Hub) -> None:
        self.fresh = fresh
        self.ruleset = ruleset
        self.coverage = coverage
        self.clock = MovingClock(terms.moment(DEFAULT_MOMENT))
        self.hub: Hub
        self.signals: dict[str, bytes] = {}
        """Step name -> signal_id."""
        self.keten: int | None = None
        """The keten of the last signal."""
        self.last = 0

    def play(self, example: Example) -> list[str]:
        """Return what did not turn out as expected."""
        try:
            if example.at:
                self.clock.now = terms.moment(example.at)
            self.hub = open_for_examples(self.ruleset, self.clock, like=self.fresh)
            problems: list[str] = []
            for number, step in enumerate(example.steps or (example,), 1):
                prefix = f"step {number}: " if example.steps else ""
                problems += [prefix + problem for problem in self.step(step)]
        except (ValueError, HubError) as exc:
            return [exc.message if isinstance(exc, HubError) else "a moment is not ISO 8601"]
        finally:
            if hasattr(self, "hub"):
                self.hub.close()
        return problems

    def step(self, step: Step) -> list[str]:
        if step.tick is not None:
            self.clock.now = terms.moment(step.tick)
            self.hub.clock.run_once()
            return [*self.compare(step.expect or {}, self.new_decisions(), None, 0), *self.memory(step)]
        if step.at:
            self.clock.now = terms.moment(step.at)
        refused: list[str] = []
        for _ in range(step.repeat):
            refused += self.publish(step)
        found = self.new_decisions()
        return [*self.compare(step.expect, found, refused, step.repeat), *self.memory(step)]

    def publish(self, step: Step) -> list[str]:
        participant, signal_type = step.as_ or "", step.signal or ""
        cause = self.cause(participant, step.cause) if step.cause else None
        replaces = self.cause(participant, step.replaces) if step.replaces else None
        signal = NewSignal(type=signal_type, data=step.data or {}, correlation=step.correlation, cause=cause, replaces=replaces)
        receipt = self.hub.publish(participant, [signal])[0]
        if receipt.signal_id and step.name:
            self.signals[step.name] = uuid.UUID(receipt.signal_id).bytes
        if receipt.signal_id:
            self.keten = self.keten_of(uuid.UUID(receipt.signal_id).bytes) or self.keten
        if receipt.status != "accepted":
            self.coverage.withheld.update(grant.id for grant in self.ruleset.types[signal_type].grants)
        return [error.code for error in receipt.errors]

    def cause(self, participant: str, step_name: str) -> str:
        """Return the earlier signal as this participant knows it."""
        if step_name not in self.signals:
            raise HubError(f"there is no earlier step called `{step_name}`")
        signal_id = self.signals[step_name]
        with self.hub.database.read() as connection:
            number = self.hub.names.find(connection, participant)
            delivery = connection.execute(
                select(deliveries.c.delivery_id)
                .join(signals, signals.c.id == deliveries.c.signal)
                .where(signals.c.signal_id == signal_id, deliveries.c.recipient == number)
            ).scalar()
        return str(uuid.UUID(bytes=delivery or signal_id))

    def keten_of(self, signal_id: bytes) -> int | None:
        with self.hub.database.read() as connection:
            return connection.execute(select(signals.c.keten).where(signals.c.signal_id == signal_id)).scalar()

    def memory(self, step: Step) -> list[str]:
        """Compare the states of cases and the answers of guards with what was expected."""
        problems = []
        found = states(self.hub)
        if isinstance(step.state, str) and list(found.values()) != [step.state]:
            problems.append(f"the case is in {', '.join(found.values()) or 'no state'}, expected {step.state}")
        for name, wanted in (step.state if isinstance(step.state, dict) else {}).items():
            state = found.get(self.keten_of(self.signals.get(name, b"")) or 0)
            if state != wanted:
                problems.append(f"the case of `{name}` is in {state or 'no state'}, expected {wanted}")
        for guard, wanted in (step.may or {}).items():
            answer = ask(self.hub, guard, self.keten)
            if (answer.code or OPEN) != wanted:
                problems.append(f"guard `{guard}` answers {answer.code or OPEN}, expected {wanted}")
        return problems

    # --- what followed --------------------------------------------------------------------

    def new_decisions(self) -> list[Decided]:
        """Return the decisions since the last call, the hub's own signals left out."""
        name = self.hub.names.name
        with self.hub.database.read() as connection:
            rows = connection.execute(
                select(decisions, signals.c.type)
                .join(signals, signals.c.id == decisions.c.signal)
                .where(decisions.c.id > self.last)
                .order_by(decisions.c.id)
            ).all()
            self.last = connection.execute(select(func.max(decisions.c.id))).scalar() or 0
            found: list[Decided] = []
            types: dict[int, str] = {}
            for row in rows:
                signal_type = name(connection, row.type)
                if signal_type in _NOTICES:
                    continue
                grant = name(connection, row.grant) if row.grant else None
                delivery = self.delivery(connection, row)
                outcome = Outcome(row.outcome).name.lower()
                found.append(Decided(row.signal, delivery, grant, name(connection, row.recipient), outcome, row.reason))
                types[row.signal] = signal_type
        for signal, signal_type in types.items():
            self.cover(signal_type, [decided for decided in found if decided.signal == signal])
        return found

    def delivery(self, connection: Any, row: Any) -> int | None:
        known: int | None = connection.execute(
            select(deliveries.c.id).where(
                deliveries.c.signal == row.signal,
                deliveries.c.grant == row.grant,
                deliveries.c.recipient == row.recipient,
                deliveries.c.state != int(State.WAITING),
            )
        ).scalar()
        return known

    def cover(self, signal_type: str, decided: list[Decided]) -> None:
        """Note which grants of the type this signal showed delivering, and which it showed holding back."""
        went = {d.grant for d in decided if d.grant and d.outcome in {"deliver", "released"}}
        self.coverage.delivered |= went
        if not any(d.outcome == "released" for d in decided):  # a release says nothing of the other grants
            self.coverage.withheld.update(grant.id for grant in self.ruleset.types[signal_type].grants if grant.id not in went)

    # --- what should have -----------------------------------------------------------------

    def compare(self, expect: Mapping[str, Any] | None, found: list[Decided], refused: list[str] | None, repeat: int) -> list[str]:
        if expect is None:
            return [f"refused with {', '.join(sorted(set(refused)))}, and nothing said so"] if refused else []
        problems = []
        wanted_codes = set(expect.get(REFUSED, ()))
        if refused is not None and set(refused) != wanted_codes:
            problems.append(f"refused with [{', '.join(sorted(set(refused)))}], expected [{', '.join(sorted(wanted_codes))}]")
        for recipient, wanted in expect.items():
            if recipient in {NOBODY_ELSE, REFUSED}:
                continue
            problems += self.recipient(recipient, wanted, [d for d in found if d.recipient == recipient], repeat)
        if expect.get(NOBODY_ELSE) == "none":
            others = {d.recipient for d in found if d.outcome in _GOES_OUT} - expect.keys()
            problems += [f"{other} got it too" for other in sorted(others)]
        return problems

    def recipient(self, recipient: str, wanted: Any, found: list[Decided], repeat: int) -> list[str]:
        if wanted == "none":
            return [f"{recipient} got it"] if any(d.outcome in _GOES_OUT for d in found) else []
        if not isinstance(wanted, dict) or wanted.keys() - {"outcome", "reason", "data", "grant"}:
            return [f"what is expected for {recipient} must be `none` or have outcome, reason, grant or data"]
        keys = {"outcome", "reason", "grant"} & wanted.keys()
        matching = [d for d in found if all(getattr(d, key) == wanted[key] for key in keys)]
        if len({d.signal for d in matching}) < max(repeat, 1):
            seen = ", ".join(sorted({f"{d.outcome} ({d.reason})" for d in found})) or "nothing"
            return [f"{recipient}: expected {', '.join(f'{k} {wanted[k]}' for k in sorted(keys))}, found {seen}"]
        if "data" in wanted and not any(self.delivered(d) == wanted["data"] for d in matching):
            return [f"{recipient}: the delivered data is not what was expected"]
        return []

    def delivered(self, decided: Decided) -> dict[str, Any] | None:
        """Return the data of a delivery, decoded with its view."""
        if decided.delivery is None:
            return None
        with self.hub.database.read() as connection:
            row = connection.execute(
                select(deliveries.c.schema, deliveries.c.payload, signals.c.sealed_key)
                .join(signals, signals.c.id == deliveries.c.signal)
                .where(deliveries.c.id == decided.delivery)
            ).one()
        return self.hub.decoder.data(frame(row.schema, unseal(self.hub.keys.data_key(row.sealed_key), row.payload)))
