"""A rule set in force: every contract, register and grant, ready to decide with."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hub.domain.data import checker
from hub.domain.view import parse_wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from hub.domain.conditions import Condition, Environment
    from hub.domain.contract import Contract
    from hub.domain.data import Issue
    from hub.domain.machine import Machine
    from hub.domain.registers import Participants, Settings
    from hub.domain.rulefiles import Agreement, Example, Forbidden, Ground, Quota
    from hub.domain.view import View


@dataclass(frozen=True, slots=True)
class Precondition:
    """A legal precondition of a grant, under its own reason code."""

    code: str
    condition: Condition
    text: str


@dataclass(frozen=True, slots=True)
class QuotaRule:
    """The cap of a grant, compiled."""

    entry: Quota
    limit: Condition | int | None
    exempt: Condition | None


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant, checked and compiled."""

    id: str
    flow: str
    purpose: str
    activity: str
    signal: str
    to: str
    grounds: tuple[Ground, ...]
    agreements: tuple[Agreement, ...]
    valid_from: date | None
    valid_until: date | None
    when: Condition | None
    requires: tuple[Precondition, ...]
    follows: str | None
    release_on: str | None
    view: View
    quota: QuotaRule | None
    retention: str
    explain: str
    privacy_decision: str | None
    sanction_basis: str | None
    settled: bool
    """Every ground of it, that for sanctions included, has been confirmed."""
    where: str
    """`file:line` of the grant."""

    def in_force(self, today: date) -> bool:
        """Say whether the grant is valid on this day."""
        return (self.valid_from is None or self.valid_from <= today) and (self.valid_until is None or today <= self.valid_until)


@dataclass(frozen=True, slots=True)
class ContentRule:
    """A reason to refuse a signal for what it says."""

    code: str
    condition: Condition
    text: str
    where: str


@dataclass(frozen=True)
class TypeRules:
    """Everything about one signal type: how to check it, refuse it and hand it out."""

    contract: Contract
    environment: Environment
    grants: tuple[Grant, ...]
    refusals: tuple[ContentRule, ...]
    machine: Machine | None = None
    """The process whose cases signals of this type belong to."""

    @cached_property
    def wire(self) -> Any:
        """The contract's schema, parsed for wire values."""
        return parse_wire(self.contract.raw)

    @cached_property
    def check_json(self) -> Callable[[Any], tuple[Any, list[Issue]]]:
        """Check data from JSON."""
        return checker(self.contract, json=True)

    @cached_property
    def check_wire(self) -> Callable[[Any], tuple[Any, list[Issue]]]:
        """Check data decoded from Avro."""
        return checker(self.contract, json=False)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names that the conditions of this type read; only these are bound."""
        conditions: list[Condition] = [rule.condition for rule in self.refusals]
        for grant in self.grants:
            conditions += [c for c in (grant.when, *(r.condition for r in grant.requires)) if c]
            if grant.quota:
                conditions += [c for c in (grant.quota.limit, grant.quota.exempt) if c and not isinstance(c, int)]
        of_steps = self.machine.reads(self.contract.type) if self.machine else frozenset()
        return of_steps.union(*(c.variables for c in conditions))

    @cached_property
    def tells_starter(self) -> bool:
        """Some grant is for who opened the keten."""
        return any(grant.to == "$starter" for grant in self.grants)

    @cached_property
    def looks_back(self) -> bool:
        """Some grant depends on what was sent or received in the keten before."""
        return any(grant.follows or grant.release_on for grant in self.grants)

    @cached_property
    def data_readers(self) -> tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...]:
        """How to find the value of each field that the conditions read."""
        readers = self.environment.readers
        return tuple((name, readers[name]) for name in sorted(self.variables) if name in readers)

    @cached_property
    def other_variables(self) -> tuple[str, ...]:
        """What the conditions read besides the data."""
        return tuple(sorted(self.variables - self.environment.readers.keys()))

    @cached_property
    def reads_agreement(self) -> bool:
        """Some condition depends on which agreement covers the signal."""
        return any(name.startswith("cfg.agreement.") for name in self.variables)


def _canonical(raw: Any) -> str:
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class RuleSet:
    """All rule and schema files together, identified by the SHA-256 of their canonical content."""

    version: str
    content: Mapping[str, str]
    """The files as they were read, by name."""
    types: Mapping[str, TypeRules]
    participants: Participants
    settings: Settings
    grounds: Mapping[str, Ground]
    agreements: Mapping[str, Agreement]
    forbidden: tuple[Forbidden, ...]
    examples: Mapping[str, tuple[tuple[Example, str], ...]] = field(default_factory=dict)
    """By flow: the example and its `file:line`."""

    machines: Mapping[str, Machine] = field(default_factory=dict)
    """Every process by id."""

    @cached_property
    def grants(self) -> Mapping[str, Grant]:
        """Every grant by id, those of reminders included."""
        found = {grant.id: grant for rules in self.types.values() for grant in rules.grants}
        return found | {grant.id: grant for machine in self.machines.values() for notice in machine.notices for grant in notice.grants}

    @cached_property
    def contract_texts(self) -> Mapping[str, str]:
        """Each contract as it is stored, by signal type."""
        return {name: _canonical(rules.contract.raw) for name, rules in self.types.items()}

    @cached_property
    def view_texts(self) -> Mapping[str, str]:
        """Each view as it is stored, by grant."""
        return {name: _canonical(grant.view.schema) for name, grant in self.grants.items()}

    @cached_property
    def releasing(self) -> frozenset[str]:
        """The signal types that let go what was held back for their publisher."""
        return frozenset(grant.release_on for grant in self.grants.values() if grant.release_on)

    @cached_property
    def _forbidden(self) -> tuple[tuple[re.Pattern[str], Forbidden], ...]:
        return tuple((re.compile(fnmatch.translate(entry.type), re.IGNORECASE), entry) for entry in self.forbidden)

    def forbids(self, signal_type: str) -> Forbidden | None:
        """Return the entry that forbids a type, if any."""
        return next((entry for pattern, entry in self._forbidden if pattern.match(signal_type)), None)
