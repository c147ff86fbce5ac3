"""Who gets a signal: a pure function of the rule set, the signal and the recorded circumstances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hub.domain.contract import value_at
from hub.domain.grants import ADDRESSEE, PUBLISHER, RECIPIENTS, STARTER
from hub.domain.process import variable
from hub.domain.reasons import REASONS, text_of
from hub.domain.registers import covering
from hub.domain.signal import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from hub.domain.conditions import Condition
    from hub.domain.process import Case
    from hub.domain.rulefiles import Agreement
    from hub.domain.ruleset import Grant, RuleSet
    from hub.domain.signal import Signal

NOBODY: Final = "*"
"""Recipient of the one decision of a signal that no grant gives to anyone."""
DELIVER, WITHHOLD, DEFER, RELEASED, EXPIRED, RECALLED = "deliver", "withhold", "defer", "released", "expired", "recalled"
AWAITS: Final = "wacht-op-oppakken"
"""Reason of a withheld delivery that goes out when its recipient publishes what the grant names."""


class Circumstances(NamedTuple):
    """What a decision rests on besides the signal and the rules. All of it is recorded."""

    now_ms: int
    today: date
    """The Dutch date of `now_ms`."""
    correlation: str = ""
    cause_publisher: str | None = None
    starter: str | None = None
    """Who opened the keten."""
    case: Case | None = None
    """The case that the signal belongs to, after its step."""
    received: frozenset[tuple[str, str]] = frozenset()
    """(recipient, type) of what was received in the keten before and was not taken back."""
    published: frozenset[tuple[str, str]] = frozenset()
    """(publisher, type) of what was published in the keten before."""
    holders: tuple[str, ...] = ()
    """Who received the signal that this one takes back."""


class Decision(NamedTuple):
    """One grant, one recipient, one outcome with its reason code."""

    grant: Grant | None
    recipient: str
    outcome: str
    reason: str
    agreement: Agreement | None = None


class Verdict(NamedTuple):
    """Either faults, and the signal is refused, or decisions."""

    faults: tuple[Fault, ...]
    decisions: tuple[Decision, ...]
    alarms: tuple[str, ...] = ()
    """Rules whose condition could not be evaluated."""


class Conditions:
    """The conditions of one signal, bound to its values once, and once to each agreement where needed."""

    def __init__(self, ruleset: RuleSet, signal: Signal, by: Circumstances) -> None:
        self._ruleset = ruleset
        self._signal = signal
        self._by = by
        self._bound: dict[str | None, Any] = {}

    def under(self, agreement: Agreement | None) -> Any:
        """Return the activation to evaluate with. Most grants of a type stand under one agreement, so it is made once."""
        if not self._signal.rules.reads_agreement:
            agreement = None
        key = agreement.id if agreement else None
        if key not in self._bound:
            self._bound[key] = self._signal.rules.environment.activation(self._values(agreement))
        return self._bound[key]

    def _values(self, agreement: Agreement | None) -> dict[str, Any]:
        signal, rules = self._signal, self._signal.rules
        values = {name: read(signal.data) for name, read in rules.data_readers}
        for name in rules.other_variables:
            values[name] = self._other(name, agreement)
        return values

    def _other(self, name: str, agreement: Agreement | None) -> Any:
        publisher = self._signal.publisher
        match name:
            case "e.role":
                return publisher.role
            case "e.type":
                return self._signal.rules.contract.type
            case "e.participant":
                return publisher.id
            case "e.correlationid":
                return self._by.correlation
            case "today":
                return self._by.today.isoformat()
        if name.startswith("c."):
            return variable(self._by.case, name)
        return _setting(self._ruleset, name, agreement, self._signal.municipality, self._by.today)

    @staticmethod
    def of_settings(
        ruleset: RuleSet, condition: Condition, agreement: Agreement | None, municipality: str | None, today: date
    ) -> dict[str, Any]:
        """Return the values of an expression that reads settings and agreement only, such as a limit."""
        return {name: _setting(ruleset, name, agreement, municipality, today) for name in condition.variables}


def _setting(ruleset: RuleSet, name: str, agreement: Agreement | None, municipality: str | None, today: date) -> Any:
    if name == "cfg.agreement.id":
        return agreement.id if agreement else ""
    if name == "cfg.agreement.limit":
        return agreement.limit if agreement else None
    return ruleset.settings.value(name.removeprefix("cfg."), municipality, today)


def decide(ruleset: RuleSet, signal: Signal, by: Circumstances, grants: Sequence[Grant] | None = None) -> Verdict:
    """Return who gets the signal and who does not, or why it is refused.

    `grants` are those of a reminder, which the process names; else every grant of the type counts.
    The same rule set, signal and circumstances give the same verdict.
    """
    conditions = Conditions(ruleset, signal, by)
    faults, alarms = _content_faults(signal, conditions)
    decisions: list[Decision] = []
    unmet: list[Fault] = []
    met = 0
    for grant in signal.rules.grants if grants is None else grants:
        if not grant.in_force(by.today):
            continue
        agreement = covering(grant.agreements, signal.publisher, signal.municipality, by.today)
        applies = grant.when is None or grant.when.holds(conditions.under(agreement))
        if applies is False:
            continue
        failed = [] if applies else [Fault("voorwaarde-fout", None, text_of("voorwaarde-fout"))]
        if applies:
            failed = _unmet(grant, agreement, conditions)
            unmet += failed
            met += not failed
        if any(fault.code == "voorwaarde-fout" for fault in failed):
            alarms.append(grant.id)
        for recipient in _recipients(ruleset, grant, signal, by):
            reason = failed[0].code if failed else obstacle(ruleset, grant, recipient, signal) or _not_yet(grant, recipient, by)
            outcome = WITHHOLD if reason else DELIVER
            decisions.append(Decision(grant, recipient, outcome, reason or "volgens-regel", agreement))
    if unmet and not met:
        faults += [fault for i, fault in enumerate(unmet) if fault not in unmet[:i]]
    if not decisions:
        decisions.append(Decision(None, NOBODY, WITHHOLD, "geen-regel"))
    return Verdict(tuple(faults), tuple(decisions), tuple(alarms))


def _content_faults(signal: Signal, conditions: Conditions) -> tuple[list[Fault], list[str]]:
    faults, alarms = [], []
    for rule in signal.rules.refusals:
        holds = rule.condition.holds(conditions.under(None))
        if holds:
            faults.append(Fault(rule.code, None, rule.text))
        elif holds is None:
            faults.append(Fault("regel-fout", None, text_of("regel-fout")))
            alarms.append(rule.where)
    return faults, alarms


def _unmet(grant: Grant, agreement: Agreement | None, conditions: Conditions) -> list[Fault]:
    """Return every precondition that does not hold; what cannot be evaluated does not hold."""
    failed = []
    if grant.agreements and agreement is None:
        failed.append(Fault("geen-afspraak", None, REASONS["geen-afspraak"].text))
    if grant.requires:
        activation = conditions.under(agreement)
        for required in grant.requires:
            holds = required.condition.holds(activation)
            if holds is None:
                failed.append(Fault("voorwaarde-fout", None, text_of("voorwaarde-fout")))
            elif not holds:
                failed.append(Fault(required.code, None, required.text))
    return failed


def _recipients(ruleset: RuleSet, grant: Grant, signal: Signal, by: Circumstances) -> tuple[str, ...]:
    if grant.to == ADDRESSEE:
        return signal.addressees
    if grant.to == PUBLISHER:
        return (by.cause_publisher,) if by.cause_publisher else ()
    if grant.to == STARTER:
        return (by.starter,) if by.starter else ()
    if grant.to == RECIPIENTS:
        return by.holders
    participants = ruleset.participants
    if participants.role_is_local(grant.to):
        return (participants.local_id(grant.to, signal.municipality),) if signal.municipality else ()
    return participants.national(grant.to)


def obstacle(ruleset: RuleSet, grant: Grant, recipient_id: str, signal: Signal) -> str | None:
    """Return why this recipient may not have it although the grant's conditions hold."""
    recipient = ruleset.participants.find(recipient_id)
    if recipient is None:
        return "ontvanger-onbekend"
    if recipient.id == signal.publisher.id:
        return "eigen-signaal"
    secrecy = signal.rules.contract.secrecy
    if secrecy is not None and not recipient.government and value_at(signal.data, secrecy.split(".")):
        return "brp-geheimhouding"
    if not grant.settled and not (recipient.is_test and signal.publisher.is_test):
        return "grondslag-te-toetsen"
    return None


def _not_yet(grant: Grant, recipient: str, by: Circumstances) -> str | None:
    """Return why a recipient does not get it for what it did or did not get before in this keten."""
    if grant.follows is not None and (recipient, grant.follows) not in by.received:
        return "volgt-niet"
    if grant.release_on is not None and (recipient, grant.release_on) not in by.published:
        return AWAITS
    return None


def content_faults(ruleset: RuleSet, signal: Signal, by: Circumstances) -> list[Fault]:
    """Return the content rules that a signal breaks whatever its case, for one that its case refuses already."""
    conditions = Conditions(ruleset, signal, by)
    return [
        Fault(rule.code, None, rule.text)
        for rule in signal.rules.refusals
        if not any(name.startswith("c.") for name in rule.condition.variables) and rule.condition.holds(conditions.under(None))
    ]


def still_applies(ruleset: RuleSet, grant: Grant, agreement: Agreement | None, signal: Signal, by: Circumstances) -> bool:
    """Say whether the conditions of a grant hold today for a signal that was held back earlier."""
    conditions = Conditions(ruleset, signal, by)
    if grant.when is not None and grant.when.holds(conditions.under(agreement)) is not True:
        return False
    return not _unmet(grant, agreement, conditions)


def still_holds(ruleset: RuleSet, grant_id: str, signal: Signal, recipient: str, today: date) -> tuple[Grant, Agreement | None] | None:
    """Return the grant and agreement under which a waiting delivery may leave today, if any."""
    grant = ruleset.grants.get(grant_id)
    if grant is None or grant not in signal.rules.grants or not grant.in_force(today):
        return None
    if not grant.to.startswith("$") and recipient not in _recipients(ruleset, grant, signal, Circumstances(0, today)):
        return None
    agreement = covering(grant.agreements, signal.publisher, signal.municipality, today)
    if (grant.agreements and agreement is None) or obstacle(ruleset, grant, recipient, signal) is not None:
        return None
    return grant, agreement
