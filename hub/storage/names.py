"""Small integers for names that recur in millions of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from hub.storage.database import FRESH
from hub.storage.tables import names

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.storage.database import Database


class Names:
    """Remembers the numbers of committed names only: an undone one may be given to another name."""

    def __init__(self, database: Database) -> None:
        self.known: dict[str, int] = {}
        """Numbers that are known already, for a quick look; `id` is the way to get one."""
        self._names: dict[int, str] = {}
        database.on_commit(self.known.update)

    def id(self, connection: Connection, name: str) -> int:
        """Return the number of a name, giving it one if it is new. Call inside a write."""
        fresh: dict[str, int] = connection.info[FRESH]
        known = self.known.get(name) or fresh.get(name)
        if known is None:
            known = self.find(connection, name)
            if known is not None:
                self.known[name] = known
                return known
            known = (connection.execute(select(func.max(names.c.id))).scalar() or 0) + 1
            connection.execute(insert(names).values(id=known, name=name))
            fresh[name] = known
        return known

    def find(self, connection: Connection, name: str) -> int | None:
        """Return the number of a name, or None if it has none."""
        return connection.execute(select(names.c.id).where(names.c.name == name)).scalar()

    def name(self, connection: Connection, number: int) -> str:
        """Return the name behind a number."""
        known = self._names.get(number)
        if known is None:
            known = str(connection.execute(select(names.c.name).where(names.c.id == number)).scalar_one())
            if known not in connection.info.get(FRESH, ()):
                self._names[number] = known
        return known
