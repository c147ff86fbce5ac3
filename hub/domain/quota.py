"""Caps per key and period, exact under any interleaving.

The counting state of a key is read and written inside the transaction that records the
decision, so two routers can never both take the last place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.domain import terms

if TYPE_CHECKING:
    from datetime import date

    from hub.domain.rulefiles import Agreement
    from hub.domain.ruleset import QuotaRule


@dataclass(slots=True)
class Count:
    """How a key stands in the current period."""

    used: int
    waiting: int
    changed: bool = False

    def take(self, limit: int | None) -> bool:
        """Take a place if there is one and nobody waits for it; else join the queue."""
        self.changed = True
        if self.waiting or (limit is not None and self.used >= limit):
            self.waiting += 1
            return False
        self.used += 1
        return True


def limit_of(rule: QuotaRule, activation: Any) -> int | None:
    """Return the limit in force, None for no cap.

    Only an agreement may leave its limit out. A setting without a value in force is a gap in the
    register, and a gap never opens the cap: the limit is 0 then. Raises ValueError on an error in the expression.
    """
    if rule.limit is None or isinstance(rule.limit, int):
        return rule.limit
    found = rule.limit.number(activation)
    return 0 if found is None and rule.limit.variables != {"cfg.agreement.limit"} else found


def key(rule: QuotaRule, agreement: Agreement | None, recipient: str, publisher: str, municipality: str | None) -> str:
    """Return the text under which this delivery counts, such as `tijdig-in-zicht|schuldhulp.0772`."""
    parts = {
        "agreement": agreement.id if agreement else "",
        "recipient": recipient,
        "publisher": publisher,
        "municipality": municipality or "",
    }
    return "|".join([rule.entry.name, *(parts[name] for name in rule.entry.key)])


def period(rule: QuotaRule, today: date) -> int:
    """Return the period as a number: the ordinal of its first day in the Netherlands."""
    return terms.period_start(rule.entry.per, today).toordinal()
