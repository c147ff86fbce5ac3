"""The rows of one batch, gathered first and inserted together.

A signal that turns out to be refused takes its rows back (`mark`, `undo`), so that no half step
stays behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Table, bindparam, insert, select

from hub.storage.tables import (
    case_steps,
    counters,
    decisions,
    deliveries,
    keten_names,
    recalls,
    receipts,
    rejections,
    signals,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES: Final[tuple[Table, ...]] = (signals, keten_names, decisions, deliveries, rejections, case_steps, recalls, receipts)


class Inserts:
    """The insert statements of the hot tables, by position and written once: compiling them costs more than they do."""

    def __init__(self, dialect: Any) -> None:
        by_position = type(dialect)(paramstyle="qmark" if dialect.name == "sqlite" else "format")
        self.sql = {table.name: str(insert(table).compile(dialect=by_position)) for table in _TABLES}


class Rows:
    """What one transaction will insert. Ids are given out in commit order."""

    def __init__(self, connection: Connection, inserts: Inserts) -> None:
        self._connection = connection
        self._inserts = inserts
        found = connection.execute(select(counters.c.name, counters.c.value)).all()
        self.stored: dict[str, int] = {name: value for name, value in found}  # noqa: C416  (typed)
        self.last = dict(self.stored)
        self.rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in _TABLES}
        self.decided: list[tuple[Any, ...]] | None = None
        """The decisions that were inserted, if a list is put here to keep them."""

    def next(self, table: str) -> int:
        """Return a fresh id."""
        self.last[table] = value = self.last.get(table, 0) + 1
        return value

    def add(self, table: str, row: tuple[Any, ...]) -> None:
        """Add a row, in the order of the table's columns."""
        self.rows[table].append(row)

    def mark(self) -> tuple[list[int], dict[str, int]]:
        """Return where the rows stand now."""
        return list(map(len, self.rows.values())), self.last.copy()

    def undo(self, mark: tuple[list[int], dict[str, int]]) -> None:
        """Take back every row since the mark."""
        lengths, last = mark
        for rows, length in zip(self.rows.values(), lengths, strict=True):
            del rows[length:]
        self.last = dict(last)

    def saw(self, now_ms: int) -> None:
        """Note the latest moment that this hub has seen."""
        self.last["now"] = max(self.last.get("now", 0), now_ms)

    def flush_rejections(self) -> None:
        """Insert the rejections at once, so that the same bytes later in the batch are recognised."""
        rows = self.rows["rejections"]
        self._connection.exec_driver_sql(self._inserts.sql["rejections"], rows)
        rows.clear()

    def flush(self) -> None:
        """Insert everything."""
        if self.decided is not None:
            self.decided += self.rows["decisions"]
        for name, rows in self.rows.items():
            if rows:
                self._connection.exec_driver_sql(self._inserts.sql[name], rows)
                rows.clear()
        new = [{"name": name, "value": value} for name, value in self.last.items() if name not in self.stored]
        moved = [{"counter": name, "to": value} for name, value in self.last.items() if self.stored.get(name, value) != value]
        if new:
            self._connection.execute(insert(counters), new)
        if moved:
            self._connection.execute(counters.update().where(counters.c.name == bindparam("counter")).values(value=bindparam("to")), moved)
        self.stored = dict(self.last)
