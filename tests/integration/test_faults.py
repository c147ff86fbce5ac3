"""What breaks around the hub: not acknowledged, nothing half done, and a sentence that says what to do."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, func, select, update

from hub.app import Hub, MovingClock, open_hub
from hub.client import NewSignal
from hub.domain import terms
from hub.errors import RetryLaterError, StopError
from hub.keys import load_keys
from hub.settings import HubSettings
from hub.storage import engines
from hub.storage.tables import decisions, deliveries, log_records, quota_usage, signals
from hub.work import Work
from tests.integration import support
from tests.integration.support import LANDLORD, ROOT, TAX, TILBURG, Cli, Ran, accepted, amounts, debts, one, opened, received, some_address
from tests.sample import ADDRESS, address, address_data, debt

SPAWN = multiprocessing.get_context("spawn")
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "home", monkeypatch)


def known() -> NewSignal:
    return NewSignal(type=ADDRESS, data=address_data(), id="a-1")


def failed(ran: Ran, code: int, *words: str) -> None:
    """Hold what a command said when it failed against what it must say and must not."""
    assert ran.code == code, ran.said
    assert ran.out == ""
    first, _, hint = ran.err.partition("\n")
    assert first.startswith("hub: ")
    assert hint.strip(), "no hint on what to do"
    for word in words:
        assert word in ran.err
    for secret in ("Traceback", "999990019", "Error", "fault of the hub itself"):
        assert secret not in ran.err


def everything(hub: Hub) -> list[Any]:
    with hub.database.read() as connection:
        return [connection.execute(select(table)).all() for table in (signals, decisions, deliveries, quota_usage)]


# --- locked -------------------------------------------------------------------------------


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Let another connection hold the database for writing."""
    with closing(sqlite3.connect(home / "hub.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a millisecond for a lock, where the hub waits half a minute."""
    monkeypatch.setattr(engines, "_PRAGMAS", (*engines._PRAGMAS, "busy_timeout=1"))


@pytest.mark.usefixtures("impatient")
def test_while_the_database_is_locked_nothing_is_acknowledged_and_afterwards_it_works(hub: Hub, tmp_path: Path) -> None:
    before = everything(hub)
    with held(tmp_path / "home"):
        with pytest.raises(RetryLaterError, match="locked") as caught:
            one(hub, TILBURG, known())
        assert caught.value.hint
        assert everything(hub) == before
    assert one(hub, TILBURG, known()).status == "accepted"
    assert len(received(hub, TAX)) == 1


@pytest.mark.usefixtures("impatient")
def test_a_relay_or_clock_that_meets_a_lock_loses_nothing(hub: Hub, clock: MovingClock, tmp_path: Path) -> None:
    debts(hub, range(1, 53))
    clock.now = terms.moment("2026-12-01T00:00")
    for work in (hub.relay.run_once, hub.clock.run_once, hub.run_once):
        with held(tmp_path / "home"), pytest.raises(RetryLaterError):
            work()
    assert amounts(hub) == list(range(1, 53))


@pytest.mark.usefixtures("impatient")
def test_the_command_line_says_that_the_database_is_locked(cli: Cli) -> None:
    assert cli("run", "--once").code == 0
    with held(cli.home):
        failed(cli.publish(address_data(), "--id", "a-1"), 3, "locked", "again")
    ran = cli.publish(address_data(), "--id", "a-1")
    assert (ran.code, ran.json[0]["status"]) == (0, "accepted")


@pytest.mark.usefixtures("impatient")
def test_a_first_start_on_a_locked_database_says_so(cli: Cli) -> None:
    cli.home.mkdir()
    with closing(sqlite3.connect(cli.home / "hub.db")) as made:
        made.execute("PRAGMA journal_mode=WAL")
    (cli.home / "keys").mkdir()
    (cli.home / "keys" / "1.key").write_text(KEY)
    with held(cli.home):
        failed(cli.publish(address_data()), 3, "locked")
    assert cli.publish(address_data()).code == 0


# --- full ---------------------------------------------------------------------------------


def room(hub: Hub, pages: int) -> None:
    """Leave the database so many pages to grow by; SQLite then says the same as on a full disk."""
    with hub.database.write() as connection:
        used: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={used + pages}")


def test_on_a_full_disk_nothing_is_acknowledged_and_with_room_again_it_works(hub: Hub) -> None:
    accepted(hub, LANDLORD, debt(bedrag_cent=1))
    before = everything(hub)
    room(hub, 2)
    many = [NewSignal(type=ADDRESS, data=address_data(bag_id=f"{n:016d}"), id=f"m-{n}") for n in range(400)]
    with pytest.raises(RetryLaterError, match="full") as caught:
        hub.publish(TILBURG, many)
    assert "room" in caught.value.hint
    assert everything(hub) == before
    room(hub, 100_000)
    assert {receipt.status for receipt in hub.publish(TILBURG, many)} == {"accepted"}
    assert [delivery["data"]["bag_id"] for delivery in received(hub, TAX)] == [f"{n:016d}" for n in range(400)]


def test_a_disk_that_fills_up_under_load_loses_and_doubles_nothing(hub: Hub) -> None:
    room(hub, 30)
    acknowledged, refused = [], 0
    for number in range(300):
        try:
            acknowledged.append(
                accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(bag_id=f"{number:016d}"), id=f"m-{number}")).id
            )
        except RetryLaterError:
            refused += 1
    assert refused
    assert acknowledged
    room(hub, 100_000)
    for number in range(300):
        receipt = one(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(bag_id=f"{number:016d}"), id=f"m-{number}"))
        assert receipt.status == ("duplicate" if f"m-{number}" in acknowledged else "accepted")
    got = [delivery["data"]["bag_id"] for delivery in received(hub, TAX)]
    assert sorted(got) == [f"{number:016d}" for number in range(300)]


def test_a_relay_on_a_full_disk_sends_later_what_it_could_not(hub: Hub) -> None:
    hub.publish(TILBURG, [some_address(n) for n in range(300)])
    room(hub, 1)
    with pytest.raises(RetryLaterError, match="full"):
        hub.relay.run_once()
    room(hub, 100_000)
    assert [delivery["sequence"] for delivery in received(hub, TAX)] == list(range(1, 301))


def small_files() -> None:
    """Let the operating system refuse to make any file larger than a little."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def program(home: Path, *arguments: str, before: Callable[[], None] | None = None, stdin: bytes = b"", **environment: str) -> Ran:
    """Run the installed program."""
    command = [
        str(Path(sys.executable).parent / "hub"),
        "--home",
        str(home),
        "--rules",
        str(ROOT / "rules"),
        "--schemas",
        str(ROOT / "schemas"),
    ]
    done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, check=False, timeout=120, preexec_fn=before,
                          env={**os.environ, **environment})  # fmt: skip
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_write_that_the_operating_system_refuses_is_to_be_tried_again(tmp_path: Path) -> None:
    home, publish = tmp_path / "home", ("publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-", "--json")
    assert program(home, "run", "--once").code == 0
    many = json.dumps([{"id": f"m-{n}", "data": address_data()} for n in range(500)]).encode()
    ran = program(home, *publish, stdin=many, before=small_files)
    failed(ran, 3, "nothing was stored", "again")
    ran = program(home, *publish, stdin=many)
    assert ran.code == 0
    assert {result["status"] for result in ran.json} == {"accepted"}


def no_files() -> None:
    """Let the operating system refuse to write any file at all."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))


def test_a_first_start_that_cannot_write_says_so_and_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    ran = program(tmp_path / "home", "run", "--once", before=no_files)
    assert ran.code in {1, 3}
    failed(ran, ran.code)
    assert program(tmp_path / "home", "run", "--once").code == 0


def test_a_database_that_may_not_be_written_is_said_to_be_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(cli.home)
    with monkeypatch.context() as patch:
        patch.setattr(engines, "_PRAGMAS", (*engines._PRAGMAS, "query_only=1"))
        failed(cli.publish(address_data()), 1, "may not be written", "rights")
    assert cli.publish(address_data()).code == 0


# --- damaged ------------------------------------------------------------------------------


def filled(home: Path) -> None:
    """Make a home with something in it, closed and in one file."""
    with opened(home, MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        hub.publish(TILBURG, [some_address(n) for n in range(300)])
        hub.run_once()


def overwritten(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * length)


def test_a_file_that_is_no_database_stops_the_hub(cli: Cli) -> None:
    filled(cli.home)
    (cli.home / "hub.db").write_bytes(b"Dit is een brief. " * 500)
    failed(cli.publish(address_data()), 1, "no database", "backup")


def test_a_damaged_header_stops_the_hub(cli: Cli) -> None:
    filled(cli.home)
    overwritten(cli.home / "hub.db", 0, 100)
    failed(cli.publish(address_data()), 1, "backup")


def test_damaged_pages_stop_the_hub_and_change_nothing(cli: Cli) -> None:
    filled(cli.home)
    path = cli.home / "hub.db"
    overwritten(path, 4096, path.stat().st_size - 4096)
    damaged = path.read_bytes()
    for command in (("run", "--once"), ("deliveries", TAX), ("quota", "show"), ("rejections", "list")):
        failed(cli(*command), 1, "backup")
    failed(cli.publish(address_data()), 1, "backup")
    assert path.read_bytes() == damaged


def test_a_file_cut_short_stops_the_hub(cli: Cli) -> None:
    filled(cli.home)
    path = cli.home / "hub.db"
    os.truncate(path, path.stat().st_size // 2)
    failed(cli("deliveries", TAX), 1, "backup")


@pytest.mark.parametrize("column", [log_records.c.sealed, signals.c.sealed_key, deliveries.c.payload], ids=str)
def test_a_record_that_was_altered_is_never_handed_out(cli: Cli, clock: MovingClock, column: Column[bytes]) -> None:
    with opened(cli.home, clock) as hub:
        accepted(hub, TILBURG, address())
        if column.table is log_records:
            hub.run_once()
        with hub.database.write() as connection:
            sealed = connection.execute(select(column).where(column.is_not(None))).scalar_one()
            connection.execute(update(column.table).values({column: sealed[:-1] + bytes([sealed[-1] ^ 1])}))
    command = ("deliveries", TAX) if column.table is log_records else ("run", "--once")
    failed(cli(*command), 1)


# --- keys ---------------------------------------------------------------------------------


def with_key(tmp_path: Path, key: str) -> HubSettings:
    return HubSettings(home=tmp_path / "home", rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas", master_key=key)


def test_a_home_opens_with_its_own_key_only(tmp_path: Path, clock: MovingClock) -> None:
    hub = open_hub(with_key(tmp_path, KEY), clock=clock)
    accepted(hub, TILBURG, known())
    hub.close()
    with pytest.raises(StopError, match="key") as caught:
        open_hub(with_key(tmp_path, OTHER_KEY), clock=clock)
    assert "HUB_MASTER_KEY" in caught.value.hint
    hub = open_hub(with_key(tmp_path, KEY), clock=clock)
    assert one(hub, TILBURG, known()).status == "duplicate"
    assert len(received(hub, TAX)) == 1
    hub.close()


def test_with_a_wrong_key_a_home_is_left_exactly_as_it_was(tmp_path: Path, clock: MovingClock) -> None:
    hub = open_hub(with_key(tmp_path, KEY), clock=clock)
    accepted(hub, TILBURG, known())
    hub.close()
    before = {path: path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(StopError):
            open_hub(with_key(tmp_path, OTHER_KEY), clock=clock)
    assert {path: path.read_bytes() for path in before} == before


def test_the_environment_gives_the_key_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    home, publish = tmp_path / "home", ("publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-")
    data = json.dumps(address_data()).encode()
    assert program(home, *publish, stdin=data, HUB_MASTER_KEY=KEY).code == 0
    assert not list(home.glob("keys/*"))
    ran = program(home, *publish, stdin=data, HUB_MASTER_KEY=OTHER_KEY)
    failed(ran, 1, "key", "HUB_MASTER_KEY")
    assert OTHER_KEY not in ran.said


@pytest.mark.parametrize("key", ["kort", "AAAA", "geen base64!", "é", KEY + "AAAA"])
def test_a_key_that_is_none_is_refused_and_not_repeated(cli: Cli, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("HUB_MASTER_KEY", key)
    ran = cli.publish(address_data())
    failed(ran, 1, "HUB_MASTER_KEY")
    assert key not in ran.said
    assert not (cli.home / "hub.db").exists()


@pytest.mark.parametrize("content", [b"", b"kort", b"\xff\xfe\x00\x80", b"A" * 500])
def test_a_key_file_that_is_damaged_is_named(cli: Cli, content: bytes) -> None:
    filled(cli.home)
    (cli.home / "keys" / "1.key").write_bytes(content)
    failed(cli.publish(address_data()), 1, "1.key", "key")


def test_a_home_without_its_keys_makes_no_new_ones(cli: Cli) -> None:
    filled(cli.home)
    key = (cli.home / "keys" / "1.key").read_bytes()
    (cli.home / "keys" / "1.key").unlink()
    failed(cli.publish(address_data()), 1, "keys", "put them back")
    (cli.home / "keys").rmdir()
    failed(cli("run", "--once"), 1, "keys", "put them back")
    assert not (cli.home / "keys").exists()
    (cli.home / "keys").mkdir()
    (cli.home / "keys" / "1.key").write_bytes(key)
    assert cli.publish(address_data()).code == 0


def test_keys_are_for_their_owner_only(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock):
        assert (tmp_path / "home" / "keys").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "home" / "keys" / "1.key").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_second_key_seals_what_is_new_and_the_first_still_opens_what_is_old(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, known())
        debts(hub, range(1, 53))
    (tmp_path / "home" / "keys" / "2.key").write_text(KEY)
    with opened(tmp_path / "home", clock) as hub:
        assert one(hub, TILBURG, known()).status == "duplicate"
        accepted(hub, TILBURG, some_address(2))
        assert len(received(hub, TAX)) == 2
        clock.now = terms.moment("2026-12-01T00:00")
        assert len(amounts(hub)) == 52
    (tmp_path / "home" / "keys" / "1.key").unlink()
    with pytest.raises(StopError, match="key"):
        open_hub(support.settings(tmp_path / "home"), clock=clock)


def test_a_file_beside_the_keys_that_is_no_key_is_left_alone(tmp_path: Path) -> None:
    load_keys(tmp_path / "keys", None)
    (tmp_path / "keys" / "readme.key").write_text("niet een sleutel")
    assert list(load_keys(tmp_path / "keys", None).versions) == [1]


# --- the home -----------------------------------------------------------------------------


def test_a_home_that_is_a_file_is_named(cli: Cli) -> None:
    cli.home.write_text("geen map")
    failed(cli.publish(address_data()), 1, str(cli.home))


def test_a_home_under_a_file_is_named(cli: Cli) -> None:
    cli.home.write_text("geen map")
    cli.home = cli.home / "home"
    failed(cli.publish(address_data()), 1, str(cli.home))


def test_a_file_where_the_keys_should_be_is_named(cli: Cli) -> None:
    cli.home.mkdir()
    (cli.home / "keys").write_text("geen map")
    failed(cli.publish(address_data()), 1, "keys")


def test_a_file_where_the_locks_should_be_is_named_and_nothing_is_lost(cli: Cli, clock: MovingClock) -> None:
    with opened(cli.home, clock) as hub:
        hub.send(TILBURG, [address()])
    (cli.home / "locks").write_text("geen map")
    failed(cli("run", "--once"), 1, "locks")
    (cli.home / "locks").unlink()
    assert cli("run", "--once").code == 0
    assert len(cli("deliveries", TAX, "--json").lines) == 1


def test_a_database_that_is_a_folder_is_named(cli: Cli) -> None:
    (cli.home / "hub.db").mkdir(parents=True)
    (cli.home / "keys").mkdir()
    (cli.home / "keys" / "1.key").write_text(KEY)
    failed(cli.publish(address_data()), 1, "database", "home")


def test_a_home_of_a_newer_hub_is_left_alone(cli: Cli) -> None:
    filled(cli.home)
    with closing(sqlite3.connect(cli.home / "hub.db", isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    failed(cli.publish(address_data()), 1, "newer")


# --- rules and schemas --------------------------------------------------------------------


def test_rules_that_cannot_be_read_are_named_on_a_new_home(cli: Cli, tmp_path: Path) -> None:
    cli.rules = support.copied("rules", tmp_path / "rules")
    (cli.rules / "nieuw.yaml").write_bytes(b"\xff\xfe")
    ran = cli.publish(address_data())
    assert ran.code == 1
    assert str(cli.rules / "nieuw.yaml") in ran.err
    assert "UTF-8" in ran.err


def test_a_folder_of_rules_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    rules = cli.rules
    for _ in range(2):  # on a new home, and on one in use: a wrong --rules is not the set that was in force
        cli.rules = tmp_path / "weg"
        failed(cli.publish(address_data()), 1, str(tmp_path / "weg"), "--rules")
        cli.rules = rules
        assert cli.publish(address_data()).code == 0


def test_the_lock_file_of_an_editor_stops_nothing(cli: Cli, tmp_path: Path) -> None:
    cli.rules = support.copied("rules", tmp_path / "rules")
    (cli.rules / ".#vaste-lasten.yaml").symlink_to("jan@werkplek.4711:1730000000")
    assert cli.publish(address_data()).code == 0


# --- killed -------------------------------------------------------------------------------


def killed_in_its_transaction(home: Path, link: Connection) -> None:
    """Publish sixty arrears, and be killed when all is written and nothing is committed."""
    finish = Work.finish

    def wait(work: Work) -> None:
        finish(work)
        link.send("written")
        link.recv()

    with pytest.MonkeyPatch.context() as patch, opened(home, MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        patch.setattr(Work, "finish", wait)
        hub.publish(LANDLORD, [debt(bedrag_cent=n) for n in range(1, 61)])


def test_a_process_killed_in_its_transaction_leaves_nothing_and_blocks_nobody(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        debts(hub, range(100, 110))
        before = everything(hub)
        link, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=killed_in_its_transaction, args=(tmp_path / "home", theirs))
        process.start()
        try:
            assert link.recv() == "written"
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.join()
        assert everything(hub) == before
        debts(hub, range(110, 160))
        assert amounts(hub) == list(range(100, 150))
        with hub.database.read() as connection:
            assert connection.execute(select(func.sum(quota_usage.c.used))).scalar() == 50
