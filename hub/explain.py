"""Why: every decision on a signal, told from what was recorded."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hub.domain import terms
from hub.domain.decide import NOBODY
from hub.domain.reasons import REASONS, text_of
from hub.storage.tables import Outcome, case_steps, cases, decisions, deliveries, rejections, signals

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from hub.app import Hub
    from hub.domain.ruleset import Grant, RuleSet

_VERBS = {
    "deliver": "Geleverd aan", "withhold": "Niet geleverd aan", "defer": "Wacht op ruimte voor",
    "released": "Alsnog geleverd aan", "expired": "Vervallen voor", "recalled": "Teruggehaald bij",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One decision as it is told."""

    recipient: str
    grant: str | None
    outcome: str
    reason: str
    text: str
    time: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A signal and the decisions on it, or the reasons for which it was refused."""

    signal: str
    type: str | None
    publisher: str
    received: str
    trace: str
    """By what the log knows it."""
    rule_set: str
    decisions: tuple[Told, ...]
    refused: tuple[tuple[str, str | None], ...] = ()
    steps: tuple[str, ...] = ()
    """What it did to cases: decisions saw them as they were after it."""

    def as_json(self) -> dict[str, Any]:
        """Return the form that the command line promises."""
        told = [{"recipient": d.recipient, "grant": d.grant, "outcome": d.outcome, "reason": d.reason, "text": d.text, "time": d.time}
                for d in self.decisions]  # fmt: skip
        result: dict[str, Any] = {"signal": self.signal, "rule_set": self.rule_set, "decisions": told}
        if self.refused:
            result["refused"] = [{"code": code, "field": field, "text": text_of(code)} for code, field in self.refused]
        return result

    def as_prose(self) -> str:
        """Return the explanation in plain Dutch."""
        lines = [f"Signaal {self.signal}", f"  type        {self.type or 'onbekend'}", f"  afzender    {self.publisher}",
                 f"  ontvangen   {_dutch(self.received)}", f"  spoor       {self.trace}"]  # fmt: skip
        if self.refused:
            lines.append("\nGeweigerd:")
            for code, field in self.refused:
                advice = REASONS[code].advice if code in REASONS else ""
                lines.append(f"  - {text_of(code)}{f' (veld {field})' if field else ''} {advice}".rstrip())
            return "\n".join(lines)
        lines.append(f"  regelset    {self.rule_set[:12]}")
        lines += [f"  zaak        {step}" for step in self.steps]
        for told in self.decisions:
            to = "niemand" if told.recipient == NOBODY else told.recipient
            verb = "Naar" if told.recipient == NOBODY else _VERBS[told.outcome]
            lines += ["", f"{verb} {to} ({_dutch(told.time)})", *(f"  {line}" for line in told.text.split("\n"))]
        return "\n".join(lines)


def _dutch(iso: str) -> str:
    moment = datetime.fromisoformat(iso).astimezone(terms.AMSTERDAM)
    return f"{moment.day}-{moment.month}-{moment.year} {moment:%H.%M} uur"


def find(hub: Hub, id_: str) -> Explanation | None:
    """Explain what is known under a signal_id or delivery_id; None if nothing is."""
    try:
        block = uuid.UUID(id_).bytes
    except ValueError:
        return None
    with hub.database.read() as connection:
        where = signals.c.signal_id == block
        delivery = hub.keys.delivery_of(block)
        if delivery is not None:
            where = signals.c.id == select(deliveries.c.signal).where(deliveries.c.id == delivery).scalar_subquery()
        row = connection.execute(select(signals).where(where)).one_or_none()
        return _signal(hub, connection, row) if row is not None else _rejection(hub, connection, block)


def _signal(hub: Hub, connection: Connection, row: Row[Any]) -> Explanation:
    name = hub.names.name
    ruleset = hub.rulebooks.stored(row.rule_set)
    rows = connection.execute(select(decisions).where(decisions.c.signal == row.id).order_by(decisions.c.id)).all()
    told = tuple(_told(hub, connection, hub.rulebooks.stored(d.rule_set), d) for d in rows)
    steps = connection.execute(
        select(cases.c.process, case_steps.c.from_state, case_steps.c.to_state)
        .join(cases, cases.c.id == case_steps.c.case).where(case_steps.c.signal == row.id)
    ).all()  # fmt: skip
    moved = tuple(_step(name(connection, s[0]), name(connection, s[1]) if s[1] else None, name(connection, s[2])) for s in steps)
    return Explanation(
        str(uuid.UUID(bytes=row.signal_id)), name(connection, row.type), name(connection, row.publisher),
        terms.iso_utc(row.received_at), hub.keys.trace(row.signal_id), ruleset.version, told, steps=moved,
    )  # fmt: skip


def _step(process: str, before: str | None, after: str) -> str:
    if before is None:
        return f"{process}: begonnen in {after}"
    return f"{process}: bleef in {after}" if before == after else f"{process}: van {before} naar {after}"


def _told(hub: Hub, connection: Connection, ruleset: RuleSet, row: Row[Any]) -> Told:
    grant_id = hub.names.name(connection, row.grant) if row.grant else None
    grant = ruleset.grants.get(grant_id) if grant_id else None
    outcome = Outcome(row.outcome).name.lower()
    text = _text(grant, outcome, row.reason, row.counted)
    return Told(hub.names.name(connection, row.recipient), grant_id, outcome, row.reason, text, terms.iso_utc(row.at))


def _text(grant: Grant | None, outcome: str, reason: str, counted: int | None) -> str:
    """Return what a privacy officer reads: the sentence, the fields, the purpose and the ground."""
    if grant is None:
        return text_of(reason)
    own = next((required.text for required in grant.requires if required.code == reason), None)
    lines = [own or text_of(reason)]
    if outcome in {"deliver", "released"}:
        lines = [grant.explain, "Velden: " + ", ".join(grant.view.shown) + "."]
    if counted is not None:
        lines.append(f"Geteld op dat moment: {counted} in deze periode.")
    grounds = "; ".join(f"{ground.text} ({ground.status})" for ground in grant.grounds)
    return "\n".join([*lines, f"Doel: {grant.purpose}.", f"Grondslag: {grounds}.", f"Regel: {grant.id}, {grant.where}."])


def _rejection(hub: Hub, connection: Connection, signal_id: bytes) -> Explanation | None:
    row = connection.execute(select(rejections).where(rejections.c.signal_id == signal_id).order_by(rejections.c.id.desc())).first()
    if row is None:
        return None
    name = hub.names.name
    reasons = tuple((code, field) for code, field in json.loads(row.reasons))
    return Explanation(
        str(uuid.UUID(bytes=signal_id)), name(connection, row.type) if row.type else None, name(connection, row.publisher),
        terms.iso_utc(row.received_at), hub.keys.trace(signal_id), "", (), reasons,
    )  # fmt: skip
