"""Cases for people and systems that ask: how they stand, what happened, and whether something may be done now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from hub.casebook import Casebook, StoredCase
from hub.domain import process, terms
from hub.domain.machine import Guard, Machine
from hub.domain.reasons import text_of
from hub.errors import UsageError
from hub.storage.tables import LARGEST_KEY, case_steps, cases, signals

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.app import Hub


@dataclass(frozen=True, slots=True)
class Answer:
    """What a guard answers."""

    allowed: bool
    code: str | None = None
    """Why not; None if it may be done."""
    text: str = ""


def may(hub: Hub, guard: str, participant: str, correlation: str) -> Answer:
    """Answer whether something may be done now, to a participant that takes part in the keten.

    To anyone else the keten does not exist. Raises UsageError if there is no such guard or participant.
    """
    ruleset = hub.rulebooks.current.ruleset
    found = ruleset.participants.find(participant)
    if found is None:
        raise UsageError("there is no such participant", "see participants.yaml")
    return ask(hub, guard, keten_of(hub, participant, correlation), found.role)


def keten_of(hub: Hub, participant: str, correlation: str) -> int | None:
    """Return the keten that a participant means, or None if it knows none under this name."""
    with hub.database.read() as connection:
        return hub.router.open_batch(connection).keten(participant, correlation)


def ask(hub: Hub, guard: str, keten: int | None, role: str | None = None) -> Answer:
    """Answer a guard for a keten, to a role that can move its case. What is due counts as done, also when no clock ran yet."""
    guarding = [m for m in hub.rulebooks.current.ruleset.machines.values() if any(g.name == guard for g in m.guards)]
    if not guarding:
        known = sorted({g.name for m in hub.rulebooks.current.ruleset.machines.values() for g in m.guards})
        raise UsageError("there is no such guard", f"known: {', '.join(known) or 'none'}")
    guarding = [m for m in guarding if role is None or role in m.askers]
    if keten is None or not guarding:
        return Answer(allowed=False, code="keten-onbekend", text=text_of("keten-onbekend"))
    with hub.database.read() as connection:
        book = Casebook(connection, hub.names, hub.keys)
        found = [stored for stored in book.in_keten(keten) if any(m.id == stored.process for m in guarding)]
        if not found:
            return Answer(allowed=False, code="zaak-onbekend", text=text_of("zaak-onbekend"))
        for own in found:
            machine = next(m for m in guarding if m.id == own.process)
            subjects = (own.subject,) if machine.by_subject and own.subject else ()
            others = [_today(hub, machine, s) for s in book.about(machine.id, subjects, own.municipality) if s.id != own.id]
            running = tuple(case for case in others if case.state not in machine.final)
            closed = process.closed(machine, guard, _today(hub, machine, own), running)
            if isinstance(closed, Guard):
                return Answer(allowed=False, code=closed.code, text=closed.text)
    return Answer(allowed=True)


def _today(hub: Hub, machine: Machine, stored: StoredCase) -> process.Case:
    """Return a case as it is once every term that is due has fallen due."""
    calendar = process.Calendar(hub.rulebooks.current.ruleset.settings, stored.municipality)
    case = stored.case
    for _, step in process.overdue(machine, case, calendar, hub.now_ms()):
        case = step.case
    return case


def states(hub: Hub) -> dict[int, str]:
    """Return the state of every case, by keten."""
    with hub.database.read() as connection:
        rows = connection.execute(select(cases.c.keten, cases.c.state).order_by(cases.c.id)).all()
        return {row.keten: hub.names.name(connection, row.state) for row in rows}


def counts(hub: Hub) -> dict[str, dict[str, int]]:
    """Return by process and state how many cases there are."""
    found: dict[str, dict[str, int]] = {}
    with hub.database.read() as connection:
        rows = connection.execute(select(cases.c.process, cases.c.state, func.count()).group_by(cases.c.process, cases.c.state)).all()
        for row in rows:
            found.setdefault(hub.names.name(connection, row[0]), {})[hub.names.name(connection, row[1])] = row[2]
    return {name: dict(sorted(by_state.items())) for name, by_state in sorted(found.items())}


def listing(hub: Hub, *, everything: bool) -> list[dict[str, Any]]:
    """Return the cases, open ones only unless `everything`: how each stands, and nothing of whom it is about."""
    with hub.database.read() as connection:
        where = () if everything else (cases.c.closed_at.is_(None),)
        rows = connection.execute(select(cases).where(*where).order_by(cases.c.id)).all()
        return [_as_row(hub, connection, row) for row in rows]


def _as_row(hub: Hub, connection: Connection, row: Any) -> dict[str, Any]:
    return {
        "case": row.id,
        "process": hub.names.name(connection, row.process),
        "state": hub.names.name(connection, row.state),
        "municipality": row.municipality,
        "opened": terms.iso_utc(row.opened_at),
        "changed": terms.iso_utc(row.changed_at),
        "closed": _iso(row.closed_at),
        "next_due": _iso(row.next_due),
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else terms.iso_utc(ms)


def show(hub: Hub, number: int, *, who: bool = True) -> dict[str, Any]:
    """Return one case: variables, running terms, and every step. Raises UsageError if there is none.

    `who` says by whom each step was; a participant does not learn that of the others.
    """
    with hub.database.read() as connection:
        row = connection.execute(select(cases).where(cases.c.id == min(number, LARGEST_KEY))).one_or_none()
        if row is None:
            raise UsageError("there is no such case", "see `hub cases list --all`")
        stored = Casebook(connection, hub.names, hub.keys).by_id(number)
        case = stored.case if stored else None
        return {
            **_as_row(hub, connection, row),
            "variables": dict(case.variables) if case else {},
            "terms": _running(case) if case else [],
            "steps": [step if who else {**step, "by": None} for step in _steps(hub, connection, number)],
        }


def _running(case: process.Case) -> list[dict[str, str]]:
    return [{"code": code, "due": terms.iso_utc(at)} for code, at in sorted(case.due.items(), key=lambda term: term[1])]


def _steps(hub: Hub, connection: Connection, number: int) -> list[dict[str, Any]]:
    name = hub.names.name
    rows = connection.execute(
        select(case_steps, signals.c.publisher)
        .outerjoin(signals, signals.c.id == case_steps.c.signal)
        .where(case_steps.c.case == number).order_by(case_steps.c.id)
    ).all()  # fmt: skip
    return [
        {
            "time": terms.iso_utc(row.at),
            "trigger": name(connection, row.trigger),
            "by": name(connection, row.publisher) if row.publisher else None,
            "from": name(connection, row.from_state) if row.from_state else None,
            "to": name(connection, row.to_state),
        }
        for row in rows
    ]


def in_keten(hub: Hub, keten: int) -> list[int]:
    """Return the numbers of the cases in a keten."""
    with hub.database.read() as connection:
        return list(connection.execute(select(cases.c.id).where(cases.c.keten == keten).order_by(cases.c.id)).scalars())
