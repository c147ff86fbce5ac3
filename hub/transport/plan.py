"""Which topics there are and who may do what with them: it follows from the participants and the rules, and from nothing else.

A publisher may write its own ingress topic and nothing more; a recipient may read its own out topic and nothing more.
The user that a participant has on the brokers bears the participant's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.domain.registers import HUB
from hub.transport.base import IN, OUT, ROUTERS

if TYPE_CHECKING:
    from hub.domain.registers import Participant
    from hub.domain.ruleset import RuleSet

RETENTION_MS: Final = 7 * 86_400_000
"""A topic keeps a record seven days at most: what is erased in the database is gone from the brokers after that too."""
PARTITIONS: Final = 1
"""One partition, so one order: of what a publisher sends, and of what a recipient gets."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Something that a user may do."""

    user: str
    operation: str
    """`READ` or `WRITE`; both let it see that the resource exists."""
    kind: str
    """`TOPIC` or `GROUP`."""
    name: str
    prefixed: bool = False
    """The name is the beginning of names."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The topics and rights that there should be."""

    topics: tuple[str, ...]
    rights: tuple[Right, ...]


def plan(ruleset: RuleSet, municipalities: Iterable[str] = (), hub_user: str = HUB) -> Plan:
    """Return what follows from a rule set.

    A participant that exists in every municipality gets topics in those that the registers name and in `municipalities`.
    """
    found = list(ruleset.participants.all_in({*_named(ruleset), *municipalities}))
    publishing = [one for one in found if any(rules.contract.may_publish(one.role) for rules in ruleset.types.values())]
    topics = [*(IN + one.id for one in publishing), *(OUT + one.id for one in found)]
    rights = [right for one in publishing for right in _publishes(one)] + [right for one in found for right in _receives(one)]
    rights += [
        Right(hub_user, "READ", "TOPIC", IN, prefixed=True), Right(hub_user, "READ", "GROUP", ROUTERS),
        Right(hub_user, "WRITE", "TOPIC", OUT, prefixed=True),
    ]  # fmt: skip
    return Plan(tuple(sorted(topics)), tuple(sorted(rights)))


def _publishes(one: Participant) -> list[Right]:
    return [Right(one.id, "WRITE", "TOPIC", IN + one.id)]


def _receives(one: Participant) -> list[Right]:
    return [Right(one.id, "READ", "TOPIC", OUT + one.id), Right(one.id, "READ", "GROUP", f"{one.id}.", prefixed=True)]


def _named(ruleset: RuleSet) -> set[str]:
    """Return the municipalities that the registers name: of participants, agreements and settings."""
    entries = ruleset.participants.entries
    found = {code for entry in entries if entry.per_municipality != "all" for code in entry.per_municipality or ()}
    found |= {code for entry in entries for code in entry.municipalities or ()}
    found |= {code for agreement in ruleset.agreements.values() for code in agreement.municipalities if agreement.municipalities != "all"}
    return found | {code for values in ruleset.settings.values.values() for code in values if code != "*"}
