"""From a grant in a rule file to a compiled grant, with every check on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hub.domain import terms
from hub.domain.conditions import ConditionError
from hub.domain.faults import Fault
from hub.domain.reasons import REASONS
from hub.domain.rulefiles import Requirement
from hub.domain.ruleset import Grant, Precondition, QuotaRule
from hub.domain.transforms import ViewError
from hub.domain.view import UITGEVER, FieldGrant, View, derive, field_grant

if TYPE_CHECKING:
    from datetime import date

    from hub.domain.conditions import Condition, Environment
    from hub.domain.contract import Contract
    from hub.domain.registers import Participants, Settings
    from hub.domain.rulefiles import Agreement, FlowFile, Forbidden, GrantEntry, Ground
    from hub.domain.sources import Path, Source

PUBLISHER: Final = "$publisher"
"""The publisher of the signal named as cause."""
STARTER: Final = "$starter"
"""Who opened the keten."""
RECIPIENTS: Final = "$recipients"
"""Everyone who received the signal named as cause; in the hub's own rules only."""
ADDRESSEE: Final = "$addressee"
"""Whom the hub itself addresses; in the hub's own rules only."""


@dataclass(frozen=True, slots=True)
class Registers:
    """What grants refer to."""

    participants: Participants
    agreements: Mapping[str, Agreement]
    grounds: Mapping[str, Ground]
    settings: Settings
    forbidden: tuple[Forbidden, ...]
    equated: frozenset[date] = frozenset()
    """Days that count as holidays besides those of the law."""
    whole: bool = True
    """No register has a fault; else a name that is not found may well be there."""
    unread: frozenset[str] = frozenset()
    """Signal types whose schema could not be read at all; that is a fault already."""


def condition_faults(source: Source, path: Path, exc: ConditionError) -> list[Fault]:
    """Return what is wrong with a condition, on the lines of the file."""
    first = source.text_line(path)
    return [Fault(source.file, first + line - 1, what, "see the fields of the contract") for line, what in exc.faults]


class GrantBuilder:
    """Builds the grants of one rule file and collects their faults."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        registers: Registers,
        environment: Callable[[str], Environment],
        unset: Callable[[str, Condition], list[str]],
        *,
        own: bool,
    ) -> None:
        self._contracts = contracts
        self._registers = registers
        self._environment = environment
        self._unset = unset
        self._own = own
        self._faults: list[Fault] = []

    def take_faults(self) -> list[Fault]:
        """Return the faults found since the last call."""
        faults, self._faults = self._faults, []
        return faults

    def build(self, source: Source, path: Path, flow: FlowFile, entry: GrantEntry) -> Grant | None:
        """Check and compile one grant; None if it has a fault."""
        self._names(source, path, entry)
        contract = self._contracts.get(entry.signal)
        if contract is None and entry.signal in self._registers.unread:
            return None
        if contract is None:
            self._fault(
                source,
                (*path, "signal"),
                f"the signal type `{entry.signal}` does not exist",
                f"known: {', '.join(sorted(self._contracts))}",
            )
            return None
        self._recipient(source, path, entry, contract)
        self._follow_ups(source, path, entry, contract)
        when = self._condition(source, (*path, "when"), contract, entry.when)
        requires = self._requires(source, path, contract, entry)
        quota = self._quota(source, path, contract, entry)
        view = self._view(source, path, contract, flow, entry)
        if self._faults or view is None or not self._registers.whole:
            return None
        sanction = (entry.sanction_basis,) if entry.sanction_basis else ()
        return Grant(
            id=entry.id,
            flow=flow.flow,
            purpose=entry.purpose or flow.purpose,
            activity=flow.activity,
            signal=entry.signal,
            to=entry.to,
            grounds=tuple(self._registers.grounds[name] for name in entry.legal_basis),
            agreements=tuple(self._registers.agreements[name] for name in entry.agreements),
            valid_from=entry.valid.from_,
            valid_until=entry.valid.until,
            when=when,
            requires=requires,
            follows=entry.follows,
            release_on=entry.release_on,
            view=view,
            quota=quota,
            retention=entry.retention,
            explain=entry.explain,
            privacy_decision=entry.privacy_decision,
            sanction_basis=entry.sanction_basis,
            settled=all(self._registers.grounds[name].status == "vastgesteld" for name in (*entry.legal_basis, *sanction)),
            where=f"{source.file}:{source.line(path)}",
        )

    def _fault(self, source: Source, path: Path, what: str, fix: str = "") -> None:
        self._faults.append(source.fault(path, what, fix))

    def _names(self, source: Source, path: Path, entry: GrantEntry) -> None:
        if not entry.legal_basis:
            self._fault(source, (*path, "legal_basis"), f"grant `{entry.id}` has no legal basis", "name a ground of grounds.yaml")
        for i, name in enumerate(entry.legal_basis):
            if self._registers.whole and name not in self._registers.grounds:
                self._fault(source, (*path, "legal_basis", i), f"the ground `{name}` does not exist", "add it to grounds.yaml")
        for i, name in enumerate(entry.agreements):
            if self._registers.whole and name not in self._registers.agreements:
                self._fault(source, (*path, "agreements", i), f"the agreement `{name}` does not exist", "add it to agreements.yaml")
        if self._registers.whole and entry.sanction_basis is not None and entry.sanction_basis not in self._registers.grounds:
            self._fault(source, (*path, "sanction_basis"), f"the ground `{entry.sanction_basis}` does not exist", "add it to grounds.yaml")
        if not terms.is_duration(entry.retention):
            self._fault(source, (*path, "retention"), "`retention` is an ISO 8601 duration", "for example P6M")

    def _recipient(self, source: Source, path: Path, entry: GrantEntry, contract: Contract) -> None:
        participants = self._registers.participants
        at = (*path, "to")
        if entry.to == PUBLISHER:
            if not contract.answers:
                self._fault(
                    source, at, f"`{PUBLISHER}` needs a cause, and {contract.type} answers nothing", "add `answers` to the contract"
                )
        elif (entry.to in {ADDRESSEE, RECIPIENTS} and self._own) or not self._registers.whole:
            return
        elif entry.to == STARTER:
            if contract.subject is None:
                self._fault(source, at, f"`{STARTER}` needs a keten, and {contract.type} is anonymous", f"use {PUBLISHER}, or a role")
        elif entry.to not in participants.roles():
            self._fault(source, at, f"the recipient `{entry.to}` does not exist", f"a role of participants.yaml, {PUBLISHER} or {STARTER}")
        elif not participants.role_is_local(entry.to) and len(participants.national(entry.to)) > 1:
            self._fault(source, at, f"`{entry.to}` is more than one participant, so it is not clear who gets it", f"use {PUBLISHER}")

    def _follow_ups(self, source: Source, path: Path, entry: GrantEntry, contract: Contract) -> None:
        """What depends on other signals of the keten needs a keten, and signals that exist and can come from there."""
        for key, named in (("follows", entry.follows), ("release_on", entry.release_on)):
            if named is None:
                continue
            other = self._contracts.get(named)
            if other is None and named not in self._registers.unread:
                self._fault(
                    source, (*path, key), f"the signal type `{named}` does not exist", f"known: {', '.join(sorted(self._contracts))}"
                )
            elif contract.subject is None or (other is not None and other.subject is None):
                self._fault(source, (*path, key), f"`{key}` needs a keten, and an anonymous signal has none", "leave it out")
            elif key == "release_on" and other is not None and not entry.to.startswith("$") and not other.may_publish(entry.to):
                self._fault(source, (*path, key), f"`{entry.to}` may not publish {named}, so nothing would ever be released")
        if entry.release_on is not None and entry.quota is not None:
            self._fault(source, (*path, "release_on"), "a grant has either `quota` or `release_on`", "make two grants of it")

    def _condition(self, source: Source, path: Path, contract: Contract, text: str | None) -> Condition | None:
        if text is None:
            return None
        try:
            condition = self._environment(contract.type).compile(text)
        except ConditionError as exc:
            self._faults += condition_faults(source, path, exc)
            return None
        for what in self._unset(contract.type, condition):
            self._fault(source, path, what, "set it in the start, or on every way to that state")
        return condition

    def _requires(self, source: Source, path: Path, contract: Contract, entry: GrantEntry) -> tuple[Precondition, ...]:
        found = []
        for code, required in entry.requires.items():
            at = (*path, "requires", code)
            if code in REASONS:
                self._fault(source, at, f"the code `{code}` is one of the hub's own", "choose another")
            entry_at = (*at, "condition") if isinstance(required, Requirement) else at
            full = required if isinstance(required, Requirement) else Requirement(condition=required)
            condition = self._condition(source, entry_at, contract, full.condition)
            if condition is not None:
                found.append(Precondition(code, condition, full.text or f"Aan de voorwaarde '{code}' is niet voldaan."))
        return tuple(found)

    def _quota(self, source: Source, path: Path, contract: Contract, entry: GrantEntry) -> QuotaRule | None:
        quota = entry.quota
        if quota is None:
            return None
        at = (*path, "quota")
        if "agreement" in quota.key and not entry.agreements:
            self._fault(source, (*at, "key"), "the quota counts by agreement, and the grant names none", "add `agreements`")
        limit: Condition | int | None = quota.limit if isinstance(quota.limit, int) else None
        if isinstance(quota.limit, str):
            try:
                limit = self._environment(contract.type).compile(quota.limit, number=True)
            except ConditionError as exc:
                self._faults += condition_faults(source, (*at, "limit"), exc)
            else:
                outside = [name for name in limit.variables if not name.startswith("cfg.")]
                if outside:
                    self._fault(source, (*at, "limit"), f"a limit may not depend on {', '.join(sorted(outside))}", "use cfg.*")
        exempt = self._condition(source, (*at, "exempt"), contract, quota.exempt)
        if exempt is not None and any(name.startswith("c.") for name in exempt.variables):
            self._fault(source, (*at, "exempt"), "what is exempt may not depend on a case: it may have moved by the time of release")
        return QuotaRule(quota, limit, exempt)

    def _view(self, source: Source, path: Path, contract: Contract, flow: FlowFile, entry: GrantEntry) -> View | None:
        grants: list[FieldGrant] = []
        shows_publisher = False
        for i, item in enumerate(entry.fields):
            at = (*path, "fields", i)
            names: list[tuple[str, str | None]] = [(item, None)] if isinstance(item, str) else list(item.items())
            for name, how in names:
                if name == UITGEVER and name not in contract.leaves and how is None:
                    if shows_publisher:
                        self._fault(source, at, f"`{UITGEVER}` is granted twice", "keep one of the two")
                    shows_publisher = True
                    continue
                self._field(source, at, contract, entry, (name, how), grants)
        if not entry.fields:
            self._fault(source, (*path, "fields"), f"grant `{entry.id}` names no fields", "name each field that may be seen")
        try:
            return derive(contract, entry.id, flow.flow, entry.purpose or flow.purpose, grants, shows_publisher=shows_publisher)
        except ViewError as exc:
            self._fault(source, (*path, "fields"), exc.what, exc.fix)
            return None

    def _field(
        self, source: Source, at: Path, contract: Contract, entry: GrantEntry, item: tuple[str, str | None], grants: list[Any]
    ) -> None:
        try:
            grant = field_grant(contract, *item)
        except ViewError as exc:
            self._fault(source, at, exc.what, exc.fix)
            return
        grants.append(grant)
        if grant.leaf.privacy == "sensitive" and entry.privacy_decision is None:
            self._fault(
                source, at, f"`{item[0]}` is sensitive and the grant has no `privacy_decision`", "state who decided that it may be shared"
            )
        if grant.leaf.privacy == "sanction" and entry.sanction_basis is None:
            self._fault(
                source, at, f"`{item[0]}` is about a sanction and the grant has no `sanction_basis`", "name the ground for AVG art. 10 data"
            )
