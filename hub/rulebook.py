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

from hub.domain.faults import Fault
from hub.domain.loading import load
from hub.domain.view import parse_wire
from hub.errors import FaultsError
from hub.storage.tables import rule_sets, schemas

if TYPE_CHECKING:
    from sqlalchemy import Connection

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

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
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
        """Put a rule set in force and store it.

        Raises FaultsError if a contract breaks with what its version promised before; then the
        rule set that was in force stays so.
        """
        if self._current is not None and self._current.ruleset.version == ruleset.version:
            return self._current
        known = self._find(ruleset)
        if known is None:
            with self._database.write() as connection:
                known = self._store(connection, ruleset)
        self._loaded[known.id] = ruleset
        self._current = known
        self._note_in_force(known.id)
        return known

    def _note_in_force(self, rule_set_id: int) -> None:
        newest = select(func.max(rule_sets.c.turn))
        mine = rule_sets.c.id == rule_set_id
        with self._database.read() as connection:
            if connection.execute(select(rule_sets.c.turn).where(mine)).scalar() == connection.execute(newest).scalar():
                return
        with self._database.write() as connection:
            following = connection.execute(newest).scalar_one() + 1
            connection.execute(rule_sets.update().where(mine).values(turn=following))

    def resume(self) -> Rulebook | None:
        """Put the rule set back in force that was so last, if there is one."""
        with self._database.read() as connection:
            last = connection.execute(select(rule_sets.c.id).order_by(rule_sets.c.turn.desc()).limit(1)).scalar()
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

    def incompatible(self, ruleset: RuleSet) -> list[Fault]:
        """Return the contracts that could not read what was stored under the same type."""
        with self._database.read() as connection:
            return _incompatible(connection, ruleset)

    # --- storing --------------------------------------------------------------------------

    def _find(self, ruleset: RuleSet) -> Rulebook | None:
        with self._database.read() as connection:
            rule_set_id = connection.execute(select(rule_sets.c.id).where(rule_sets.c.version == ruleset.version)).scalar()
            if rule_set_id is None:
                return None
            ids = {row.hash: row.id for row in connection.execute(select(schemas.c.hash, schemas.c.id))}
        contracts = {name: ids.get(_hash(CONTRACT, name, rules.contract.raw)) for name, rules in ruleset.types.items()}
        views = {name: ids.get(_hash(VIEW, name, grant.view.schema)) for name, grant in ruleset.grants.items()}
        if None in contracts.values() or None in views.values():
            return None  # this version of the hub derives a schema otherwise: it is stored beside the old one
        return Rulebook(ruleset, rule_set_id, contracts, views)  # type: ignore[arg-type]

    def _store(self, connection: Connection, ruleset: RuleSet) -> Rulebook:
        if faults := _incompatible(connection, ruleset):
            raise FaultsError(faults)
        contracts = {name: _schema_id(connection, CONTRACT, name, rules.contract.raw) for name, rules in ruleset.types.items()}
        views = {name: _schema_id(connection, VIEW, name, grant.view.schema) for name, grant in ruleset.grants.items()}
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


def _canonical(raw: Any) -> str:
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":"))


def _hash(kind: str, name: str, raw: Any) -> bytes:
    return hashlib.sha256(f"{kind} {name} {_canonical(raw)}".encode()).digest()


def _schema_id(connection: Connection, kind: str, name: str, raw: Any) -> int:
    digest = _hash(kind, name, raw)
    known = connection.execute(select(schemas.c.id).where(schemas.c.hash == digest)).scalar()
    if known is not None:
        return int(known)
    new_id = int(connection.execute(select(func.max(schemas.c.id))).scalar() or 0) + 1
    connection.execute(insert(schemas).values(id=new_id, hash=digest, kind=kind, name=name, content=_canonical(raw)))
    return new_id


def _incompatible(connection: Connection, ruleset: RuleSet) -> list[Fault]:
    faults = []
    stored = connection.execute(select(schemas.c.name, schemas.c.content).where(schemas.c.kind == CONTRACT)).all()
    for name, content in stored:
        rules = ruleset.types.get(name)
        if rules is None or content == _canonical(rules.contract.raw):
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
