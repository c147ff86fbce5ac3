"""The matrix as data: who receives which fields of what, for which purpose, on which ground.

One row a grant, made from the rule set that the hub decides with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from hub.domain.contract import split_null
from hub.domain.grants import ADDRESSEE, PUBLISHER, RECIPIENTS, STARTER
from hub.domain.registers import HUB
from hub.domain.view import UITGEVER
from hub.drawing import BEGAN

if TYPE_CHECKING:
    from hub.domain.contract import Contract
    from hub.domain.rulefiles import Agreement, Ground
    from hub.domain.ruleset import Grant, QuotaRule, RuleSet

SETTLED: Final = "vastgesteld"
OPEN: Final = "te-toetsen"

WHO: Final = {
    PUBLISHER: "de afzender van het signaal waarop dit een antwoord is",
    STARTER: BEGAN,
    RECIPIENTS: "iedereen die het signaal kreeg",
    ADDRESSEE: "de deelnemer die het aangaat",
}
"""Who a recipient is that is no role."""


def rows(ruleset: RuleSet) -> list[dict[str, Any]]:
    """Return one JSON-able dict a grant, by flow in the order of the files, reminders last; the hub's own come after all."""
    reminders = {
        grant.id: {"process": machine.id, "code": notice.code}
        for machine in ruleset.machines.values()
        for notice in machine.notices
        for grant in notice.grants
    }
    found = sorted(ruleset.grants.values(), key=lambda grant: (grant.flow == HUB, grant.flow, grant.id in reminders, *_place(grant)))
    return [{**_row(ruleset, grant), "reminder": reminders.get(grant.id)} for grant in found]


def _place(grant: Grant) -> tuple[str, int]:
    file, _, line = grant.where.rpartition(":")
    return file, int(line)


def _row(ruleset: RuleSet, grant: Grant) -> dict[str, Any]:
    contract = ruleset.types[grant.signal].contract
    fields = _fields(grant, contract)
    shown = {field["from"] for field in fields}
    return {
        "flow": grant.flow,
        "grant": grant.id,
        "signal": grant.signal,
        "signal_doc": str(contract.raw.get("doc", "")),
        "publishers": list(contract.publishers),
        "recipient": grant.to,
        "recipient_name": _recipient_name(ruleset, grant.to),
        "government_only_if": contract.secrecy,
        "purpose": grant.purpose,
        "activity": grant.activity,
        "fields": fields,
        "not_shown": [name for name in contract.leaves if name not in shown],
        "legal_basis": [_ground(ground) for ground in grant.grounds],
        "status": SETTLED if grant.settled else OPEN,
        "agreements": [_agreement(agreement) for agreement in grant.agreements],
        "valid": {"from": _iso(grant.valid_from), "until": _iso(grant.valid_until)},
        "when": grant.when.text if grant.when else None,
        "requires": [{"code": r.code, "condition": r.condition.text, "text": r.text} for r in grant.requires],
        "follows": grant.follows,
        "release_on": grant.release_on,
        "quota": _quota(grant.quota) if grant.quota else None,
        "retention": grant.retention,
        "explain": grant.explain,
        "privacy_decision": grant.privacy_decision,
        "sanction_basis": _ground(ruleset.grounds[grant.sanction_basis]) if grant.sanction_basis else None,
        "where": grant.where,
    }


def _fields(grant: Grant, contract: Contract) -> list[dict[str, Any]]:
    docs = _docs(contract.raw)
    fields: list[dict[str, Any]] = [
        {
            "name": item.shown_as,
            "from": item.leaf.dotted,
            "transform": item.text.partition(":")[2].strip() if item.transform else None,
            "privacy": item.leaf.privacy,
            "doc": docs[item.leaf.dotted],
        }
        for item in grant.view.grants
    ]
    if grant.view.shows_publisher:  # no leaf of the contract: the hub adds it from the envelope
        added = grant.view.schema["fields"][-1]
        fields.append({"name": UITGEVER, "from": UITGEVER, "transform": None, "privacy": added["privacy"], "doc": added["doc"]})
    return fields


def _docs(record: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what each leaf means, by its dotted name."""
    found: dict[str, str] = {}
    for field in record["fields"]:
        here = (*path, field["name"])
        avro = split_null(field["type"])[0]
        if isinstance(avro, dict) and avro["type"] == "array":
            avro = split_null(avro["items"])[0]
        if isinstance(avro, dict) and avro["type"] == "record":
            found |= _docs(avro, here)
        else:
            found[".".join(here)] = str(field.get("doc", ""))
    return found


def _recipient_name(ruleset: RuleSet, to: str) -> str:
    """Say in Dutch who `to` is."""
    if to in WHO:
        return WHO[to]
    participants = ruleset.participants
    local = participants.role_is_local(to)
    names = [e.name for e in participants.entries if (e.role or e.id) == to and (e.per_municipality is not None) == local]
    return f"{names[0]} van de gemeente waar het signaal bij hoort" if local else names[0]


def _ground(ground: Ground) -> dict[str, str]:
    return {"id": ground.id, "text": ground.text, "status": ground.status, "source": ground.source}


def _agreement(agreement: Agreement) -> dict[str, Any]:
    municipalities = agreement.municipalities
    return {
        "id": agreement.id,
        "name": agreement.name,
        "parties": list(agreement.parties),
        "municipalities": municipalities if municipalities == "all" else list(municipalities),
        "from": _iso(agreement.from_),
        "until": _iso(agreement.until),
        "limit": agreement.limit,
    }


def _quota(rule: QuotaRule) -> dict[str, Any]:
    entry = rule.entry
    return {"name": entry.name, "limit": entry.limit, "per": entry.per, "key": list(entry.key), "exempt": entry.exempt}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
