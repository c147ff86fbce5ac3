"""How the caps stand, for people who ask."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from hub.domain import quota, terms
from hub.domain.decide import Conditions
from hub.storage.tables import State, deliveries, quota_usage

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.domain.ruleset import Grant


def stands(hub: Hub) -> list[dict[str, Any]]:
    """Return, for each quota key that was ever used, its current period, use, limit and queue."""
    today = terms.amsterdam_date(hub.now_ms())
    ruleset = hub.rulebooks.current.ruleset
    by_quota = {grant.quota.entry.name: grant for grant in ruleset.grants.values() if grant.quota}
    with hub.database.read() as connection:
        used = {(row.key, row.period): row.used for row in connection.execute(select(quota_usage))}
        waiting: dict[int, int] = {
            row[0]: row[1]
            for row in connection.execute(
                select(deliveries.c.queue, func.count()).where(deliveries.c.state == State.WAITING).group_by(deliveries.c.queue)
            )
        }
        found = []
        for number in sorted({key for key, _ in used} | waiting.keys()):
            name, *parts = hub.names.name(connection, number).split("|")
            grant = by_quota.get(name)
            per = grant.quota.entry.per if grant and grant.quota else "month"
            start = terms.period_start(per, today)
            found.append({
                "quota": name,
                "key": " ".join(parts),
                "period": start.isoformat(),
                "used": used.get((number, start.toordinal()), 0),
                "limit": _limit(hub, grant, parts, today) if grant else None,
                "waiting": waiting.get(number, 0),
            })  # fmt: skip
    return found


def _limit(hub: Hub, grant: Grant, parts: list[str], today: date) -> int | None:
    """Return the limit of a key today: a limit depends on settings and agreement only."""
    rule = grant.quota
    if rule is None or rule.limit is None or isinstance(rule.limit, int):
        return None if rule is None else quota.limit_of(rule, None)
    if len(parts) != len(rule.entry.key):
        return None  # counted under an older form of the key
    by_name = dict(zip(rule.entry.key, parts, strict=True))
    ruleset = hub.rulebooks.current.ruleset
    agreement = ruleset.agreements.get(by_name.get("agreement", ""))
    recipient = by_name.get("recipient", "").split(".")
    municipality = by_name.get("municipality") or (recipient[1] if len(recipient) > 1 else None)
    values = Conditions.of_settings(ruleset, rule.limit, agreement, municipality, today)
    environment = ruleset.types[grant.signal].environment
    return quota.limit_of(rule, environment.activation(values))
