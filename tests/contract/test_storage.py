"""What everything above relies on in the database: no lost update, no half transaction, names that stay put."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Barrier, Thread
from unittest import mock

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, event, func, insert, inspect, select, text
from sqlalchemy.exc import TimeoutError

from hub.errors import RetryLaterError, StopError, UsageError
from hub.storage import engines, migrations, tables
from hub.storage.database import REVISION, Database
from hub.storage.names import Names
from hub.storage.rows import Inserts, Rows
from tests.services import own_postgres
from tests.services.postgres import EmptyDatabase

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    return f"sqlite:///{tmp_path / 'hub.db'}" if request.param == "sqlite" else str(request.getfixturevalue("postgres").url)


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    database = Database(address)
    database.upgrade()
    yield database
    database.close()


def add_one(connection: Connection, name: str) -> None:
    """Read a number, add one, write it: what loses updates when two do it at once."""
    value = connection.execute(select(tables.counters.c.value).where(tables.counters.c.name == name)).scalar()
    if value is None:
        connection.execute(insert(tables.counters).values(name=name, value=1))
    else:
        connection.execute(tables.counters.update().where(tables.counters.c.name == name).values(value=value + 1))


def count(database: Database, name: str) -> int | None:
    with database.read() as connection:
        found: int | None = connection.execute(select(tables.counters.c.value).where(tables.counters.c.name == name)).scalar()
        return found


def test_eight_threads_that_read_add_and_write_lose_no_update(database: Database) -> None:
    barrier = Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(25):
            with database.write() as connection:
                add_one(connection, "n")

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database, "n") == 200


def test_an_open_read_locks_no_writer_out(database: Database) -> None:
    with database.read() as reading:
        reading.execute(select(tables.counters)).all()
        with database.write() as connection:
            add_one(connection, "n")
        assert reading.execute(select(func.count()).select_from(tables.counters)).scalar() == 1


def test_an_unfinished_write_locks_no_reader_out_and_is_not_seen(database: Database) -> None:
    with database.write() as connection:
        add_one(connection, "n")
        assert count(database, "n") is None
    assert count(database, "n") == 1


def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    def half() -> None:
        with database.write() as connection:
            add_one(connection, "n")
            raise LookupError

    with pytest.raises(LookupError):
        half()
    assert count(database, "n") is None
    with database.write() as connection:
        add_one(connection, "n")
    assert count(database, "n") == 1


# --- the schema ---------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_declares(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_expects(database: Database) -> None:
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert folder.get_heads() == [REVISION]
    assert database.revision() == REVISION


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    with database.write() as connection:
        add_one(connection, "n")
    database.upgrade()
    assert count(database, "n") == 1


def older(address: str, revision: str) -> Database:
    """Return a database as an older version of the hub made it."""
    database = Database(address)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with database._writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return database


def test_a_filled_database_of_the_first_version_is_brought_up_to_date_with_what_is_in_it(address: str) -> None:
    database = older(address, "0001")
    with database.write() as connection:
        held = MetaData()
        held.reflect(connection)
        rows = {"names": {"id": 1, "name": "toeslagen"}, "counters": {"name": "signals", "value": 1},
                "deliveries": {"id": 1, "delivery_id": bytes(16), "signal": 1, "grant": 1, "recipient": 1, "state": 2, "at": 5, "sequence": 1, "sent_at": 6},
                "decisions": {"id": 1, "signal": 1, "recipient": 1, "outcome": 1, "reason": "regel-past", "rule_set": 1, "at": 5}}  # fmt: skip
        for name, row in rows.items():
            connection.execute(insert(held.tables[name]).values(row))
    assert database.revision() == "0001"
    database.upgrade()
    assert database.revision() == REVISION
    with database.read() as connection:
        for name, row in rows.items():
            (stored,) = connection.execute(select(tables.metadata.tables[name])).mappings()
            assert {column: stored[column] for column in row} == row
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables.metadata) == []
    database.close()


def test_of_two_only_one_is_alone_and_what_it_does_not_ask_for_is_left_to_the_other(postgres: EmptyDatabase) -> None:
    one, other = Database(postgres.url), Database(postgres.url)
    with one.alone(["a", "b"]) as first:
        assert first == {"a", "b"}
        with other.alone(["b", "c"]) as second:
            assert second == {"c"}
    with other.alone(["a", "b"]) as second:
        assert second == {"a", "b"}
    one.close()
    other.close()


def test_what_was_done_under_a_lock_stays_done_when_its_connection_dies(postgres: EmptyDatabase) -> None:
    database, other = Database(postgres.url), Database(postgres.url)
    with database.alone(["a"]) as mine:
        assert mine == {"a"}
        with other.read() as connection:
            held = connection.execute(text("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")).scalars().all()
            connection.execute(text("SELECT pg_terminate_backend(pid) FROM unnest(:held) AS pid").bindparams(held=held))
    with other.alone(["a"]) as theirs:
        assert theirs == {"a"}
    with database.alone(["b"]) as mine:
        assert mine == {"b"}
    database.close()
    other.close()


def test_a_pool_that_is_busy_is_no_reason_to_end(tmp_path: Path) -> None:
    database = Database.embedded(tmp_path)
    with mock.patch.object(database._reader, "connect", side_effect=TimeoutError), pytest.raises(RetryLaterError, match="does not answer"):
        database.revision()
    database.close()


def test_who_writes_beside_the_writer_does_not_wait_for_it(postgres: EmptyDatabase) -> None:
    database = Database(postgres.url)
    database.create()
    with database.write() as connection:
        connection.execute(insert(tables.sequences).values(recipient=1, last=1))
        with database.write(beside=True) as second:
            second.execute(insert(tables.sequences).values(recipient=2, last=1))
    with database.read() as connection:
        assert set(connection.execute(select(tables.sequences.c.recipient)).scalars()) == {1, 2}
    database.close()


def test_what_was_numbered_before_and_had_not_left_stands_behind_what_is_sent(address: str) -> None:
    database = older(address, "0002")
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO sequences (recipient, last) VALUES (1, 7), (2, 3)")
        for number, recipient, state, place in ((1, 1, 2, 5), (2, 1, 1, 6), (3, 1, 1, 7), (4, 1, 1, None), (5, 2, 2, 3)):
            row = {"id": number, "recipient": recipient, "state": state, "sequence": place}
            connection.execute(insert(tables.deliveries).values(delivery_id=bytes(16), signal=1, grant=1, at=0, **row))
    database.upgrade()
    with database.read() as connection:
        assert connection.execute(select(tables.sequences).order_by(tables.sequences.c.recipient)).all() == [(1, 7, 5), (2, 3, 3)]
    database.close()


def test_a_database_of_a_newer_hub_is_left_alone(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StopError, match="newer"):
        database.upgrade()


def test_tables_made_at_once_are_the_same_as_migrated_ones() -> None:
    memory = Database("sqlite://")
    memory.create()
    with memory.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    memory.close()


def test_no_table_stores_a_date_or_time_type(database: Database) -> None:
    """SQLite drops zones in silence; every moment is an integer of milliseconds."""
    with database.read() as connection:
        found = {column["type"].__class__.__name__ for table in tables.metadata.tables for column in inspect(connection).get_columns(table)}
    assert found <= {"BIGINT", "INTEGER", "SMALLINT", "VARCHAR", "TEXT", "BLOB", "BYTEA"}


def first_start(address: str) -> None:
    """Open a new database in a process of its own."""
    database = Database(address)
    database.upgrade()
    with database.write() as connection:
        add_one(connection, "n")
    database.close()


def test_processes_that_open_a_new_database_at_once_make_it_once(address: str) -> None:
    processes = [SPAWN.Process(target=first_start, args=(address,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    database = Database(address)
    assert count(database, "n") == 4
    database.close()


# --- names --------------------------------------------------------------------------------


def test_a_name_keeps_its_number(database: Database) -> None:
    names = Names(database)
    with database.write() as connection:
        first = names.id(connection, "toeslagen")
        assert names.id(connection, "toeslagen") == first
        assert names.id(connection, "cjib") != first
    again = Names(database)
    with database.write() as connection:
        assert again.id(connection, "toeslagen") == first
        assert again.name(connection, first) == "toeslagen"
        assert again.find(connection, "niemand") is None


def test_the_number_of_an_undone_name_is_forgotten(database: Database) -> None:
    names = Names(database)

    def undone() -> None:
        with database.write() as connection:
            names.id(connection, "first")
            raise LookupError

    with pytest.raises(LookupError):
        undone()
    with database.write() as connection:
        other = names.id(connection, "second")
        assert names.name(connection, other) == "second"
        first = names.id(connection, "first")
        assert first != other
        assert names.name(connection, first) == "first"


def test_an_undone_name_is_forgotten_before_the_next_writer_can_use_it(database: Database) -> None:
    names = Names(database)
    used: list[int] = []

    def next_writer(*_: object) -> None:
        """Write at the first moment at which the lock is free: when the undone transaction gives its connection back."""
        if not used:
            used.append(0)
            with database.write() as connection:
                used[0] = names.id(connection, "first")

    def undone() -> None:
        with database.write() as connection:
            names.id(connection, "first")
            event.listen(database._writer, "checkin", next_writer)
            raise LookupError

    with pytest.raises(LookupError):
        undone()
    with database.read() as connection:
        assert connection.execute(select(tables.names.c.name).where(tables.names.c.id == used[0])).scalar() == "first"


def test_names_given_by_several_at_once_never_collide(address: str) -> None:
    databases = [Database(address) for _ in range(4)]
    databases[0].upgrade()
    barrier = Barrier(4)
    found: list[dict[str, int]] = [{} for _ in databases]

    def work(mine: Database, into: dict[str, int]) -> None:
        names = Names(mine)
        barrier.wait()
        for i in range(20):
            with mine.write() as connection:
                into[f"name-{i}"] = names.id(connection, f"name-{i}")

    threads = [Thread(target=work, args=pair) for pair in zip(databases, found, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in databases:
        each.close()
    assert all(numbers == found[0] for numbers in found)
    assert len(set(found[0].values())) == 20


# --- rows ---------------------------------------------------------------------------------


def test_ids_taken_back_are_given_out_again_and_ids_used_never(database: Database) -> None:
    inserts = Inserts(database.dialect)
    with database.write() as connection:
        rows = Rows(connection, inserts)
        assert rows.next("signals") == 1
        mark = rows.mark()
        assert rows.next("signals") == 2
        rows.add("decisions", ())
        rows.undo(mark)
        assert rows.rows["decisions"] == []
        assert rows.next("signals") == 2
        rows.flush()
    with database.write() as connection:
        assert Rows(connection, inserts).next("signals") == 3


def test_the_latest_moment_seen_never_goes_back(database: Database) -> None:
    inserts = Inserts(database.dialect)
    for now in (5, 9, 7):
        with database.write() as connection:
            rows = Rows(connection, inserts)
            rows.saw(now)
            rows.flush()
    assert count(database, "now") == 9


# --- what it says -------------------------------------------------------------------------


def test_what_the_driver_says_is_never_repeated(database: Database) -> None:
    with pytest.raises(StopError) as caught, database.write() as connection:
        connection.exec_driver_sql("INSERT INTO names (id, name) VALUES (1, 'merkteken'), (1, 'merkteken')")
    assert "merkteken" not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# --- SQLite: one file -------------------------------------------------------------------


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"this is a letter, not a database. " * 200)
    database = Database.embedded(tmp_path)
    with pytest.raises(StopError, match="no database") as caught:
        database.revision()
    assert "backup" in caught.value.hint
    database.close()


def test_a_folder_where_the_file_should_be_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "hub.db").mkdir()
    database = Database.embedded(tmp_path)
    with pytest.raises(StopError, match="cannot be opened") as caught:
        database.revision()
    assert caught.value.hint
    database.close()


def test_a_first_start_on_a_locked_file_is_to_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_PRAGMAS", (*engines._PRAGMAS, "busy_timeout=1"))
    database = Database.embedded(tmp_path)
    with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=WAL")
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryLaterError, match="locked"):
            database.upgrade()
    database.upgrade()
    assert database.revision() == REVISION
    database.close()


def test_the_database_forces_every_commit_to_disk_and_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    database = Database.embedded(tmp_path)
    for open_ in (database.write, database.read):
        with open_() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    database.close()


def test_a_second_writer_is_told_to_come_back_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_PRAGMAS", (*engines._PRAGMAS, "busy_timeout=1"))
    database, other = Database.embedded(tmp_path), Database.embedded(tmp_path)
    database.upgrade()
    with database.write() as connection:
        add_one(connection, "n")
        with pytest.raises(RetryLaterError, match="locked"), other.write():
            pass
    with other.write() as connection:
        add_one(connection, "n")
    other.close()
    assert count(database, "n") == 2
    database.close()


# --- PostgreSQL: a server -----------------------------------------------------------------


def test_a_writer_that_waits_too_long_for_another_is_told_to_come_back_later(
    postgres: EmptyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_SERVER", engines._SERVER | {"lock_timeout": "50ms"})
    database, other = Database(postgres.url), Database(postgres.url)
    database.upgrade()
    with database.write() as connection:
        add_one(connection, "n")
        with pytest.raises(RetryLaterError, match="held by another"), other.write():
            pass
    with other.write() as connection:
        add_one(connection, "n")
    assert count(database, "n") == 2
    database.close()
    other.close()


def test_a_statement_that_takes_too_long_is_ended(postgres: EmptyDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_SERVER", engines._SERVER | {"statement_timeout": "50ms"})
    database = Database(postgres.url)
    with pytest.raises(RetryLaterError, match="too long"), database.write() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(10)")
    database.close()


def test_a_database_that_may_only_be_read_stores_nothing_and_works_again_afterwards(postgres: EmptyDatabase) -> None:
    database = Database(postgres.url)
    database.upgrade()
    name = postgres.url.rpartition("/")[2]
    for mode in ("on", "off"):
        with database.read() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {mode}")
        database.close()  # what is opened from now on begins so
        if mode == "on":
            with pytest.raises(RetryLaterError, match="only be read"), database.write() as connection:
                add_one(connection, "n")
            with database.read() as connection:
                connection.exec_driver_sql("SET default_transaction_read_only = off")
                connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    with database.write() as connection:
        add_one(connection, "n")
    assert count(database, "n") == 1
    database.close()


def test_after_the_server_was_gone_the_same_database_works_again() -> None:
    with own_postgres() as server:
        database = Database(server.address)
        database.upgrade()
        with database.write() as connection:
            add_one(connection, "n")
        server.kill()
        with pytest.raises(RetryLaterError), database.write() as connection:
            add_one(connection, "n")
        server.start()
        with database.write() as connection:
            add_one(connection, "n")
        assert count(database, "n") == 2
        database.close()


def test_an_address_that_is_none_and_one_where_nothing_answers_are_told_apart() -> None:
    for wrong in ("mysql://host/name", "geen adres", "postgresql://user@host/name"):
        with pytest.raises(UsageError, match="HUB_DATABASE_URL"):
            Database(wrong)
    database = Database("postgresql+psycopg://hub:geheim@127.0.0.1:9/hub")
    with pytest.raises(RetryLaterError, match="does not answer") as caught, database.write():
        pass
    assert "geheim" not in caught.value.message + caught.value.hint
    database.close()
