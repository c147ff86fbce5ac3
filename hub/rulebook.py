"""The rule set in force, as the router uses it: loaded, stored, with wire ids for its schemas.

Every version that was ever used stays stored. A broken set is refused and the old one stays; a
new one takes effect at a batch boundary.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse as parse_avro
from sqlalchemy import func, insert, select

from hub.casebook import Casebook
from hub.domain.faults import Fault
from hub.domain.loading import load
from hub.domain.view import parse_wire
from hub.errors import FaultsError
from hub.storage.tables import rule_sets, schemas

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.carryover import CarryOver
    from hub.domain.ruleset import RuleSet
    from hub.storage.database import Database

CONTRACT, VIEW = "contract", "view"


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A rule set with its stored ids. Immutable."""

    ruleset: RuleSet
    id: int
    contract_ids: Mapping[str, int]
    """Signal type -> schema id."""
    view_ids: Mapping[str, int]
    """Grant -> schema id."""


class Rulebooks:
    """Keeps rule sets: adopts new ones, remembers old ones."""

    def __init__(self, database: Database, now_ms: Callable[[], int], carry_over: CarryOver) -> None:
        self._database = database
        self._now_ms = now_ms
        self._carry_over = carry_over
        self._current: Rulebook | None = None
        self._loaded: dict[int, RuleSet] = {}
        self._wire: dict[int, tuple[str, Any]] = {}
        self._views: dict[int, dict[str, Any]] = {}

    @property
    def current(self) -> Rulebook:
        """The rule set in force. `adopt` or `resume` comes first."""
        if self._current is None:
            raise FaultsError([Fault("rules", 1, "no rule set has been loaded", "run `hub rules check`")])
        return self._current

    def adopt(self, ruleset: RuleSet) -> Rulebook:
        """Put a rule set in force and store it; open cases go on under it.

        Raises FaultsError if a contract breaks with what its version promised before, or if an open
        case would have nowhere to go; then the rule set that was in force stays so.
        """
        if self._current is not None and self._current.ruleset.version == ruleset.version:
            return self._current
        known = self._find(ruleset)
        if known is None or known.id != self._last_in_force():
            with self._database.write() as connection:
                known = self._store(connection, ruleset) if known is None else known
                self._put_in_force(connection, known)
        self._loaded[known.id] = ruleset
        self._current = known
        return known

    def _put_in_force(self, connection: Connection, book: Rulebook) -> None:
        turns = connection.execute(select(rule_sets.c.id, rule_sets.c.turn).order_by(rule_sets.c.turn.desc())).all()
        before = next((row.id for row in turns if row.id != book.id), None)
        if Casebook.open_states(connection, self._carry_over.names):
            if faults := self._carry_over.faults(connection, book.ruleset):
                raise FaultsError(faults)
            self._carry_over.move(connection, book.ruleset, book.id, self.stored(before) if before is not None else None)
        if turns[0].id != book.id:
            connection.execute(rule_sets.update().where(rule_sets.c.id == book.id).values(turn=turns[0].turn + 1))

    def _last_in_force(self) -> int | None:
        with self._database.read() as connection:
            return connection.execute(select(rule_sets.c.id).order_by(rule_sets.c.turn.desc()).limit(1)).scalar()

    def sync(self, connection: Connection) -> Rulebook:
        """Return the rule set in force as this transaction sees it: another process may have put a new one in force."""
        last = connection.execute(select(rule_sets.c.id).order_by(rule_sets.c.turn.desc()).limit(1)).scalar()
        if last is not None and last != self.current.id:
            found = self._find(self.stored(last))
            self._current = found or self.current
        return self.current

    def resume(self) -> Rulebook | None:
        """Put the rule set back in force that was so last, if there is one."""
        last = self._last_in_force()
        return None if last is None else self.adopt(self.stored(last))

    def stored(self, rule_set_id: int) -> RuleSet:
        """Return a rule set as it was when it was used."""
        if rule_set_id not in self._loaded:
            with self._database.read() as connection:
                content = connection.execute(select(rule_sets.c.content).where(rule_sets.c.id == rule_set_id)).scalar_one()
            self._loaded[rule_set_id] = load(json.loads(zlib.decompress(content))).unwrap()
        return self._loaded[rule_set_id]

    def schema(self, schema_id: int) -> dict[str, Any] | None:
        """Return a stored schema by its wire id, or None."""
        with self._database.read() as connection:
            content = connection.execute(select(schemas.c.content).where(schemas.c.id == schema_id)).scalar()
        return None if content is None else json.loads(content)

    def view(self, schema_id: int) -> dict[str, Any]:
        """Return the stored view of a delivery; it carries the grant, purpose and flow it was made for."""
        if schema_id not in self._views:
            self._views[schema_id] = self.schema(schema_id) or {}
        return self._views[schema_id]

    def wire_schema(self, schema_id: int, signal_type: str) -> Any:
        """Return a stored contract of this type parsed for wire values, or None if the id is of something else."""
        if schema_id not in self._wire:
            raw = self.schema(schema_id)
            if raw is None or not _is_contract_of(raw, signal_type):
                return None
            self._wire[schema_id] = (signal_type, parse_wire(raw))
        of, wire = self._wire[schema_id]
        return wire if of == signal_type else None

    # --- storing --------------------------------------------------------------------------

    def _find(self, ruleset: RuleSet) -> Rulebook | None:
        with self._database.read() as connection:
            rule_set_id = connection.execute(select(rule_sets.c.id).where(rule_sets.c.version == ruleset.version)).scalar()
            if rule_set_id is None:
                return None
            ids = {row.hash: row.id for row in connection.execute(select(schemas.c.hash, schemas.c.id))}
        contracts = {name: ids.get(_hash(CONTRACT, name, text)) for name, text in ruleset.contract_texts.items()}
        views = {name: ids.get(_hash(VIEW, name, text)) for name, text in ruleset.view_texts.items()}
        if None in contracts.values() or None in views.values():
            return None  # this version of the hub derives a schema otherwise: it is stored beside the old one
        return Rulebook(ruleset, rule_set_id, contracts, views)  # type: ignore[arg-type]

    def _store(self, connection: Connection, ruleset: RuleSet) -> Rulebook:
        if faults := incompatible(connection, ruleset):
            raise FaultsError(faults)
        numbers = _SchemaNumbers(connection)
        contracts = {name: numbers.of(CONTRACT, name, text) for name, text in ruleset.contract_texts.items()}
        views = {name: numbers.of(VIEW, name, text) for name, text in ruleset.view_texts.items()}
        numbers.store()
        existing = connection.execute(select(rule_sets.c.id).where(rule_sets.c.version == ruleset.version)).scalar()
        if existing is not None:
            return Rulebook(ruleset, existing, contracts, views)
        new_id = (connection.execute(select(func.max(rule_sets.c.id))).scalar() or 0) + 1
        content = zlib.compress(json.dumps(dict(ruleset.content), sort_keys=True).encode())
        turn = (connection.execute(select(func.max(rule_sets.c.turn))).scalar() or 0) + 1
        connection.execute(
            insert(rule_sets).values(id=new_id, version=ruleset.version, content=content, loaded_at=self._now_ms(), turn=turn)
        )
        return Rulebook(ruleset, new_id, contracts, views)


def _is_contract_of(raw: dict[str, Any], signal_type: str) -> bool:
    signal = raw.get("signal")  # a view has the type's name here, a contract its description
    return isinstance(signal, dict) and signal["type"] == signal_type


def _hash(kind: str, name: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind} {name} {text}".encode()).digest()


class _SchemaNumbers:
    """Wire ids: those that schemas have already, and fresh ones for new schemas."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[bytes, int] = {row.hash: row.id for row in connection.execute(select(schemas.c.hash, schemas.c.id))}
        self._fresh: list[dict[str, Any]] = []
        self._last = max(self._known.values(), default=0)

    def of(self, kind: str, name: str, text: str) -> int:
        """Return the wire id of a schema, giving it one if it is new."""
        digest = _hash(kind, name, text)
        if digest not in self._known:
            self._last += 1
            self._known[digest] = self._last
            self._fresh.append({"id": self._last, "hash": digest, "kind": kind, "name": name, "content": text})
        return self._known[digest]

    def store(self) -> None:
        """Store the new ones."""
        if self._fresh:
            self._connection.execute(insert(schemas), self._fresh)


def incompatible(connection: Connection, ruleset: RuleSet) -> list[Fault]:
    """Return the contracts that could not read what was stored under the same type."""
    faults = []
    stored = connection.execute(select(schemas.c.name, schemas.c.content).where(schemas.c.kind == CONTRACT)).all()
    for name, content in stored:
        rules = ruleset.types.get(name)
        if rules is None or content == ruleset.contract_texts[name]:
            continue
        for message in _breaks(rules.contract.raw, json.loads(content)):
            file = next(file for file in ruleset.content if file.endswith(f"/{name}.avsc"))
            fix = "undo the change, or make a new version beside this one"
            faults.append(Fault(file, 1, f"breaks with what was stored under this version: {message}", fix))
    return faults


def _breaks(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Return why the old and the new content cannot read each other (Avro schema resolution).

    Both ways: what is stored must stay readable, and a publisher that is not yet up to date must not be refused.
    """
    found = []
    try:
        one, two = parse_avro(json.dumps(new)), parse_avro(json.dumps(old))
        for reader, writer in ((one, two), (two, one)):
            result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
            if result.compatibility is not SchemaCompatibilityType.compatible:
                places = ", ".join(sorted(result.locations)) or "/"
                found.append(f"{'; '.join(sorted(result.messages)) or 'changed'} at {places}")
    except AvroException as exc:
        return [f"the schemas cannot be compared ({type(exc).__name__})"]
    return found[:1]
