"""Opening the database, transactions on it, and what its errors mean."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
    TimeoutError,
)

from hub.errors import HubError, RetryLaterError, StatementError, StopError
from hub.storage import tables
from hub.storage.engines import BESIDE, open_engines

if TYPE_CHECKING:
    from pathlib import Path

REVISION: Final = "0003"
"""The newest migration; a test holds it against the migrations folder."""
_GONE: Final = (OperationalError, InterfaceError, InternalError)
"""What a statement raises when the database itself cannot go on, whatever the statement was."""
BROKEN: Final = (DBAPIError, PendingRollbackError)
"""What any statement raises that fails. Its transaction can do nothing more: PostgreSQL takes no other statement until the end of it."""
UNWRITABLE: Final = (StatementError, ValueError, OverflowError)
"""What a write raises when the database has no form for a value; a driver says the last two before it asks."""
FRESH: Final = "fresh_names"
"""Where a write connection keeps the names that its transaction gave out."""
_AFTER: Final = "after_commit"


class Database:
    """One SQL database. Safe to share between threads; not across a fork."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._on_commit: list[Callable[[dict[str, int]], None]] = []
        self._writer, self._reader = open_engines(url)
        self._writer_beside = self._writer.execution_options(**{BESIDE: True})

    @classmethod
    def embedded(cls, folder: Path) -> Database:
        """Open, or make, the SQLite database of a home."""
        return cls(f"sqlite:///{folder / 'hub.db'}")

    @property
    def dialect(self) -> Any:
        """The SQLAlchemy dialect, to compile statements for once."""
        return self._writer.dialect

    def on_commit(self, keep: Callable[[dict[str, int]], None]) -> None:
        """Call this with the names that a transaction gave out, once they are committed and not before."""
        self._on_commit.append(keep)

    @contextmanager
    def write(self, *, beside: bool = False) -> Iterator[Connection]:
        """A transaction that commits when the block ends and is undone when it raises.

        With `beside` it waits for no other on PostgreSQL: for who touches rows that nobody else changes meanwhile.

        Raises RetryLaterError (busy, full, unreachable), StatementError (it does not take this) or StopError
        (damaged); then nothing of the block is stored.
        """
        fresh: dict[str, int] = {}
        after: list[Callable[[], None]] = []
        with _translated(), (self._writer_beside if beside else self._writer).begin() as connection:
            connection.info[FRESH] = fresh
            connection.info[_AFTER] = after
            yield connection
        for keep in self._on_commit:
            keep(fresh)
        for do in after:
            do()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read with; each statement sees what is committed by then."""
        with _translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def alone(self, names: Collection[str]) -> Iterator[frozenset[str]]:
        """Say of which of these names this process is the only one in a block, on any machine. PostgreSQL only.

        The server gives the locks back when the process or its connection dies.
        """
        keys = {int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True): name for name in names}
        with _translated(), self._reader.connect() as connection:
            tried = select(*(func.pg_try_advisory_lock(key) for key in keys))
            held = [key for key, taken in zip(keys, connection.execute(tried).one(), strict=True) if taken]
            try:
                yield frozenset(keys[key] for key in held)
            finally:
                if held:
                    _unlock(connection, held)

    def revision(self) -> str | None:
        """Return the schema revision of the database, or None if it is new."""
        with self.read() as connection:
            if not connection.dialect.has_table(connection, "alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def upgrade(self) -> None:
        """Bring the schema to the newest revision. Does nothing when it is there already."""
        revision = self.revision()
        if revision == REVISION:
            return
        if revision is not None and revision > REVISION:
            msg = "this database was made by a newer version of the hub"
            raise StopError(msg, "install that version, or use another home")
        from hub.storage.migrations import upgrade  # noqa: PLC0415  (Alembic is slow to import and seldom needed)

        with _translated():
            upgrade(self._writer)

    def create(self) -> None:
        """Make the tables at once, without migrations: for databases that live for one run."""
        with self.write() as connection:
            tables.metadata.create_all(connection)

    def copy_of(self, other: Database) -> None:
        """Take over everything in another database. SQLite only."""
        with other.read() as source, self.read() as target:
            source.connection.driver_connection.backup(target.connection.driver_connection)  # type: ignore[union-attr]

    def close(self) -> None:
        """Close all connections."""
        engines: set[Engine] = {self._writer, self._reader}
        for engine in engines:
            engine.dispose()


def after_commit(connection: Connection, do: Callable[[], None]) -> None:
    """Do this when the transaction of a write connection is committed, and not if it is undone."""
    connection.info[_AFTER].append(do)


def _unlock(connection: Connection, keys: Collection[int]) -> None:
    """Give locks back. What cannot be given back is dropped with its connection: what was done under it stays done."""
    try:
        connection.execute(select(*(func.pg_advisory_unlock(key) for key in keys)))
    except SQLAlchemyError:
        connection.invalidate()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises into what to do about it. Its texts hold values: not repeated."""
    try:
        yield
    except HubError:
        raise
    except DBAPIError as exc:
        raise _translate(exc) from None
    except (PendingRollbackError, TimeoutError):
        raise _silent() from None
    except SQLAlchemyError as exc:
        msg = f"the database could not be used ({type(exc).__name__})"
        raise StopError(msg, "check HUB_DATABASE_URL and the folder of the home") from None


_MEANINGS: Final = (
    ("lock timeout", RetryLaterError, "the database is held by another process", "wait for it or stop it, then run the same command again"),
    ("statement timeout", RetryLaterError, "the database took too long", "look at what it is busy with, then run the same command again"),
    (
        "read-only",
        RetryLaterError,
        "the database may only be read now; nothing was stored",
        "make it writable, then run the same command again",
    ),
    (
        "no space left",
        RetryLaterError,
        "the disk of the database is full; nothing was stored",
        "make room, then run the same command again",
    ),
    ('fatal:  database "', StopError, "there is no such database", "make it, or check its name in HUB_DATABASE_URL"),
    ("password", StopError, "the database does not let the hub in", "check the user and the password of HUB_DATABASE_URL"),
    ("permission denied", StopError, "the database does not let the hub do this", "give its user the rights on the tables"),
    ("locked", RetryLaterError, "the database is locked by another process", "wait for it or stop it, then run the same command again"),
    ("full", RetryLaterError, "the disk is full; nothing was stored", "make room, then run the same command again"),
    ("disk i/o", RetryLaterError, "the disk gave an error; nothing was stored", "check the disk, then run the same command again"),
    ("readonly", StopError, "the database may not be written", "check the rights on the home and its files"),
    ("unable to open", StopError, "the database cannot be opened", "check that the home exists and may be written"),
    ("malformed", StopError, "the database is damaged", "restore the newest backup of the home"),
    ("not a database", StopError, "the file is no database, or it is damaged", "restore the newest backup of the home"),
)


def _silent() -> HubError:
    return RetryLaterError("the database does not answer; nothing was stored", "check that it runs, then try again")


def _translate(exc: DBAPIError) -> HubError:
    said = str(exc.orig).lower()
    for part, error, message, hint in _MEANINGS:
        if part in said:
            return error(message, hint)
    if isinstance(exc, _GONE):
        return _silent()
    return StatementError(f"the database refused a statement ({type(exc.orig).__name__})", "report this as a fault of the hub")
