"""The two engines of a database: one to write with, one to read with. What differs between SQLite and PostgreSQL is here.

One write transaction runs at a time: that is what makes quota exact, cases safe and row ids go up in the order of commits.
SQLite gives this with BEGIN IMMEDIATE, because its default loses updates between a read and a write. PostgreSQL gives it
with one advisory lock that the transaction holds to its end, also when its process dies. A relay goes beside it: it numbers and
marks what is committed, of recipients that it alone serves. The reader never begins a
transaction: on SQLite a forgotten read would lock every writer out, on PostgreSQL it would hold back the vacuum.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from hub.errors import UsageError

MEMORY: Final = "sqlite://"
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "busy_timeout=30000",
    "wal_autocheckpoint=10000",
    "cache_size=-65536",
    "temp_store=MEMORY",
)
BESIDE: Final = "hub_beside"
"""The execution option of a write that may go on beside the one writer."""
_WRITERS: Final = 0x5349474E41414C48
"""The advisory lock of writers: one a database."""
_SERVER: Final = {
    "lock_timeout": "30s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "client_encoding": "utf8",
    "timezone": "UTC",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
"""What the server is told: how long a session may wait or be idle, and when one is gone whose machine fell silent, with its locks."""
_CLIENT: Final = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip
"""The same for a server that fell silent."""


def open_engines(url: str) -> tuple[Engine, Engine]:
    """Return the engine to write with and the one to read with. Raises UsageError for a database that is neither."""
    if url == MEMORY:
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        _on_sqlite(engine, engine)
        return engine, engine
    try:
        name = make_url(url).drivername
    except ArgumentError:
        name = ""
    if name == "sqlite":
        writer, reader = create_engine(url), create_engine(url, isolation_level="AUTOCOMMIT")
        _on_sqlite(writer, reader)
    elif name == "postgresql+psycopg":
        options: dict[str, Any] = {
            "pool_pre_ping": True,
            "connect_args": {**_CLIENT, "options": " ".join(f"-c {k}={v}" for k, v in _SERVER.items())},
        }
        writer, reader = create_engine(url, **options), create_engine(url, isolation_level="AUTOCOMMIT", **options)
        event.listen(writer, "begin", _alone)
    else:
        raise UsageError(
            "HUB_DATABASE_URL names no database that the hub knows", "give postgresql+psycopg://user@host/name, or leave it out"
        )
    return writer, reader


def _on_sqlite(writer: Engine, reader: Engine) -> None:
    for engine in {writer, reader}:
        event.listen(engine, "connect", _prepare)
    event.listen(writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are ours to begin
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _alone(connection: Connection) -> None:
    if connection.get_execution_options().get(BESIDE):
        return
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
