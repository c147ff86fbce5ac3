"""Cases as they are stored, and what one transaction changes in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update

from hub.domain import terms
from hub.domain.process import Case, Mover
from hub.storage.tables import cases

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.domain.ruleset import RuleSet
    from hub.keys import Keys
    from hub.storage.names import Names


class StoredCase(NamedTuple):
    """A case with where it belongs."""

    id: int
    process: str
    key: bytes
    subject: bytes | None
    keten: int
    municipality: str | None
    opened_at: int
    changed_at: int
    closed_at: int | None
    erase_at: int | None
    case: Case


def standing(stored: StoredCase, case: Case, ruleset: RuleSet, now: int) -> StoredCase:
    """Return a stored case as it stands now; in a final state it is closed, and kept as long as its first signal's contract says."""
    machine = ruleset.machines[stored.process]
    if stored.closed_at is not None or case.state not in machine.final:
        return stored._replace(case=case, changed_at=now)
    erase_at = terms.duration_ms(ruleset.types[machine.start_type].contract.retention, now)
    return stored._replace(case=case, changed_at=now, closed_at=now, erase_at=erase_at)


class Moment(NamedTuple):
    """Which step a case took, when, under which rules."""

    trigger: str
    """A signal type, the code of a term, or MIGRATED."""
    signal: int | None
    at: int
    rule_set: int


MIGRATED: Final = "regels-gewijzigd"
"""The trigger of a step that new rules took, because a state is no longer there."""


def step_row(
    id_: int, stored: StoredCase, before: str | None, moment: Moment, name: Callable[[str], int], keys: Keys, *, moved: bool
) -> tuple[Any, ...]:
    """Return a row of `case_steps`. `before` is the state before it; `name` gives the number of a name."""
    variables = json.dumps(dict(stored.case.variables), separators=(",", ":")).encode()
    return (
        id_, stored.id, moment.signal, name(moment.trigger), name(before) if before else None, name(stored.case.state),
        int(moved), moment.rule_set, moment.at, keys.seal_log(variables),
    )  # fmt: skip


@dataclass(slots=True)
class Casebook:
    """Look-ups and changes of one transaction. What it changed it also finds."""

    connection: Connection
    names: Names
    keys: Keys
    _cases: dict[int, StoredCase] = field(default_factory=dict)
    _by_key: dict[bytes, int | None] = field(default_factory=dict)
    _fresh: set[int] = field(default_factory=set)
    _changed: set[int] = field(default_factory=set)
    _journal: list[tuple[int, StoredCase | None]] = field(default_factory=list)
    """Each change with what was there before it, to take it back."""

    # --- finding --------------------------------------------------------------------------

    def find(self, key: bytes) -> StoredCase | None:
        """Return the case with this key."""
        if key not in self._by_key:
            self._by_key[key] = None
            self._load(cases.c.key == key)
        id_ = self._by_key[key]
        return None if id_ is None else self._cases[id_]

    def by_id(self, id_: int) -> StoredCase | None:
        """Return the case with this number."""
        if id_ not in self._cases:
            self._load(cases.c.id == id_)
        return self._cases.get(id_)

    def about(self, process: str, subjects: Sequence[bytes], municipality: str | None) -> list[StoredCase]:
        """Return the open cases of a process about one person, whose pseudonyms these are, in one municipality.

        What another municipality does is a matter of its own, and no other may learn of it.
        """
        if not subjects:
            return []
        self._load(cases.c.subject.in_(subjects), cases.c.closed_at.is_(None))
        found = [stored for stored in self._cases.values() if stored.subject in subjects and stored.closed_at is None]
        here = [stored for stored in found if stored.process == process and stored.municipality == municipality]
        return sorted(here, key=lambda stored: stored.id)

    def in_keten(self, keten: int) -> list[StoredCase]:
        """Return the cases in a keten."""
        self._load(cases.c.keten == keten)
        return sorted((stored for stored in self._cases.values() if stored.keten == keten), key=lambda stored: stored.id)

    def due(self, now: int, limit: int, skipping: Iterable[int] = ()) -> list[StoredCase]:
        """Return the cases with a term that is due, the oldest first."""
        where = [cases.c.next_due <= now]
        if skipped := list(skipping):
            where.append(cases.c.id.not_in(skipped))
        rows = self.connection.execute(select(cases).where(*where).order_by(cases.c.next_due, cases.c.id).limit(limit)).all()
        return [self._remember(row) for row in rows]

    def of_process(self, process: str) -> Iterator[StoredCase]:
        """Yield every open case of a process, with what it holds."""
        number = self.names.find(self.connection, process)
        for row in self.connection.execute(select(cases).where(cases.c.process == number, cases.c.closed_at.is_(None))):
            yield self._stored(row)

    @staticmethod
    def open_states(connection: Connection, names: Names) -> list[tuple[str, str, int]]:
        """Return (process, state, number of open cases)."""
        rows = connection.execute(
            select(cases.c.process, cases.c.state, func.count()).where(cases.c.closed_at.is_(None)).group_by(cases.c.process, cases.c.state)
        )
        return [(names.name(connection, row[0]), names.name(connection, row[1]), row[2]) for row in rows.all()]

    def _load(self, *where: Any) -> None:
        for row in self.connection.execute(select(cases).where(*where)).all():
            self._remember(row)

    def _remember(self, row: Any) -> StoredCase:
        if row.id not in self._cases:
            stored = self._stored(row)
            self._cases[row.id] = stored
            self._by_key[stored.key] = row.id
        return self._cases[row.id]

    def _stored(self, row: Any) -> StoredCase:
        name = self.names.name
        state = name(self.connection, row.state)
        case = Case(state, 0, {}, {}, frozenset()) if row.sealed is None else _unpacked(state, self.keys.open_log(row.sealed))
        return StoredCase(
            row.id, name(self.connection, row.process), row.key, row.subject, row.keten, row.municipality,
            row.opened_at, row.changed_at, row.closed_at, row.erase_at, case,
        )  # fmt: skip

    # --- changing -------------------------------------------------------------------------

    def add(self, stored: StoredCase) -> None:
        """Take in a case that begins now."""
        self._journal.append((stored.id, None))
        self._fresh.add(stored.id)
        self._cases[stored.id] = stored
        self._by_key[stored.key] = stored.id

    def put(self, stored: StoredCase) -> None:
        """Take in a case as it is now."""
        self._journal.append((stored.id, self._cases[stored.id]))
        self._changed.add(stored.id)
        self._cases[stored.id] = stored

    def mark(self) -> int:
        """Return where the changes stand now."""
        return len(self._journal)

    def undo(self, mark: int) -> None:
        """Take back every change since the mark."""
        while len(self._journal) > mark:
            id_, before = self._journal.pop()
            if before is not None:
                self._cases[id_] = before
                continue
            self._fresh.discard(id_)
            self._changed.discard(id_)
            self._by_key[self._cases.pop(id_).key] = None

    def flush(self) -> None:
        """Write what changed."""
        if self._fresh:
            self.connection.execute(insert(cases), [self._row(id_) for id_ in sorted(self._fresh)])
        later = sorted(self._changed - self._fresh)
        if later:
            columns: dict[str, Any] = {column.name: bindparam(f"new_{column.name}") for column in cases.c if column.name != "id"}
            rows = [{f"new_{name}": value for name, value in self._row(id_).items()} for id_ in later]
            self.connection.execute(update(cases).where(cases.c.id == bindparam("new_id")).values(columns), rows)
        self._fresh.clear()
        self._changed.clear()
        self._journal.clear()

    def _row(self, id_: int) -> dict[str, Any]:
        stored = self._cases[id_]
        number = self.names.id
        return {
            "id": stored.id, "process": number(self.connection, stored.process), "key": stored.key, "subject": stored.subject,
            "keten": stored.keten, "municipality": stored.municipality, "state": number(self.connection, stored.case.state),
            "sealed": self.keys.seal_log(_packed(stored.case)), "next_due": stored.case.next_due, "opened_at": stored.opened_at,
            "changed_at": stored.changed_at, "closed_at": stored.closed_at, "erase_at": stored.erase_at,
        }  # fmt: skip


def _packed(case: Case) -> bytes:
    held = {
        "entered": case.entered_ms, "variables": dict(case.variables), "due": dict(case.due), "fired": sorted(case.fired),
        "mover": case.mover, "newest": dict(case.newest), "before": None if case.before is None else [case.before[0], dict(case.before[1])],
    }  # fmt: skip
    return json.dumps(held, separators=(",", ":")).encode()


def _unpacked(state: str, packed: bytes) -> Case:
    held = json.loads(packed)
    before = held["before"]
    return Case(
        state, held["entered"], held["variables"], held["due"], frozenset((code, at) for code, at in held["fired"]),
        None if held["mover"] is None else Mover(*held["mover"]), None if before is None else (before[0], before[1]),
        held["newest"],
    )  # fmt: skip
