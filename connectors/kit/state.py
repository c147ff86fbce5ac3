"""What a connector remembers between runs: small texts under names, in one SQLite file of its own.

Never a person's number, name or address: use `connectors.kit.ids.pseudonym` for what stands for a person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Column, MetaData, String, Table, create_engine, delete, insert, select, update
from sqlalchemy.engine import Connection

from connectors.kit.database import translated
from hub.errors import StopError

FILE: Final = "state.db"
_metadata: Final = MetaData()
_entries: Final = Table(
    "entries", _metadata,
    Column("space", String, primary_key=True), Column("key", String, primary_key=True), Column("value", String, nullable=False),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip


class State:
    """Entries in named spaces; each has a key, a text, and the moment it was put there. A context manager.

    Every change is on the disk when the call returns, or when the block of `together` ends. Raises StopError for a file
    that cannot be used, RetryLaterError while another process writes.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._together: Connection | None = None
        with self._translated():
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._engine = create_engine(f"sqlite:///{self._path}")
        try:
            with self._translated():
                _metadata.create_all(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    def get(self, space: str, key: str) -> str | None:
        """Return the text under a key."""
        with self._connection() as connection:
            found = connection.execute(select(_entries.c.value).where(_entries.c.space == space, _entries.c.key == key)).scalar()
        return None if found is None else str(found)

    def put(self, space: str, key: str, value: str, at: datetime) -> None:
        """Put a text under a key, in place of what was there."""
        where = (_entries.c.space == space, _entries.c.key == key)
        values: dict[str, Any] = {"value": value, "at": _ms(at)}
        with self._connection() as connection:
            if not connection.execute(update(_entries).where(*where).values(values)).rowcount:
                connection.execute(insert(_entries).values(space=space, key=key, **values))

    def remove(self, space: str, key: str) -> None:
        """Take an entry away; one that is not there is no fault."""
        with self._connection() as connection:
            connection.execute(delete(_entries).where(_entries.c.space == space, _entries.c.key == key))

    def entries(self, space: str) -> dict[str, tuple[str, datetime]]:
        """Return every text of a space with its moment, by key, in order of key."""
        with self._connection() as connection:
            rows = connection.execute(select(_entries).where(_entries.c.space == space).order_by(_entries.c.key)).all()
        return {row.key: (row.value, datetime.fromtimestamp(row.at / 1000, UTC)) for row in rows}

    def forget(self, space: str, before: datetime) -> int:
        """Take away what was put there before a moment. Returns how many."""
        with self._connection() as connection:
            return connection.execute(delete(_entries).where(_entries.c.space == space, _entries.c.at < _ms(before))).rowcount

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make all changes of the block at once, or none of them when it raises."""
        with self._translated(), self._engine.begin() as connection:
            self._together = connection
            try:
                yield
            finally:
                self._together = None

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._together is not None:
            yield self._together
            return
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with translated(str(self._path)):
                yield
        except OSError as error:
            msg = f"{self._path}: what the connector remembers cannot be kept there ({error.strerror or 'unknown error'})"
            raise StopError(msg, "give a state_dir in which this account may write") from None

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
