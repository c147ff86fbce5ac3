"""SIGTERM ends every process within ten seconds, whatever it does or waits for, and the books are whole afterwards."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from hub.app import Hub, MovingClock, open_hub
from hub.domain import terms
from hub.errors import RetryLaterError
from hub.settings import HubSettings
from hub.storage.engines import _WRITERS
from hub.storage.tables import State, deliveries
from tests.integration.process import STOP_SECONDS, Running, running, stop
from tests.integration.support import ROOT, TAX, TILBURG, amounts, debts, opened, some_address
from tests.integration.test_operate import asked
from tests.services import own_kafka
from tests.services.postgres import EmptyDatabase, plain
from tests.services.waiting import until

MANY = 1_200


def after(parts: int) -> Callable[[], bool]:
    """Return what says to stop once it was asked so often."""
    left = iter(range(parts))
    return lambda: next(left, None) is None


def count(hub: Hub, state: State) -> int:
    with hub.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(deliveries).where(deliveries.c.state == state)).scalar_one())


def delivered(hub: Hub, recipient: str = TAX) -> list[int]:
    """Return the sequence numbers that a recipient has, repeats dropped, in order of coming."""
    return [int(record.message.headers["ce_sequence"]) for record in hub.received_by(recipient)]


def went_through(hub: Hub) -> bool:
    """Run once; on a busy machine a router may miss its session, and goes on from the last commit."""
    try:
        hub.run_once()
    except RetryLaterError:
        return False
    return True


def is_whole(hub: Hub, sent: int) -> None:
    """Hold what recipients have against what was accepted."""
    until(lambda: went_through(hub), within=60, what="the rest to go out")
    assert (count(hub, State.READY), len(delivered(hub))) == (0, sent)
    assert delivered(hub) == list(range(1, sent + 1))


# --- between batches ----------------------------------------------------------------------


def test_a_relay_takes_a_batch_a_turn_and_leaves_the_rest_to_the_next(hub: Hub) -> None:
    for start in range(0, MANY, 400):
        hub.publish(TILBURG, [some_address(n) for n in range(start, start + 400)])
    assert hub.relay_once(after(0)) == 0
    assert hub.relay_once() == 500
    assert count(hub, State.READY) == MANY - 500
    is_whole(hub, MANY)


def test_a_clock_that_is_told_to_stop_leaves_the_rest_to_the_next(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 53))
    assert count(hub, State.WAITING) > 0
    clock.now = terms.moment("2026-12-01T00:00")
    waiting = count(hub, State.WAITING)
    assert hub.clock.run_once(lambda: True) == 0
    assert count(hub, State.WAITING) == waiting
    assert hub.clock.run_once() > 0
    assert amounts(hub) == list(range(1, 53))


def test_a_clock_asks_between_batches_of_terms(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = iter([500, 500, 500, 0])
    monkeypatch.setattr("hub.clock.Clock.some_terms", lambda *_: next(batches))
    assert hub.clock.run_once(after(2)) == 1_000


# --- processes ----------------------------------------------------------------------------


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HUB_HOME": str(home), "HUB_KAFKA_SESSION_MS": "4000", **more}


def all_ready(processes: list[Running]) -> None:
    for one in processes:
        until(lambda one=one: asked(one.port, "/ready")[0] == 200, within=60, what=f"hub {one.command}", tail=one.said)  # type: ignore[misc]


def test_processes_under_a_backlog_stop_in_time_and_the_books_are_whole(tmp_path: Path) -> None:
    with opened(tmp_path / "home", MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        for start in range(0, 3_000, 500):
            hub.publish(TILBURG, [some_address(n) for n in range(start, start + 500)])
            hub.send(TILBURG, [some_address(n) for n in range(3_000 + start, 3_500 + start)])
    with running(tmp_path / "logs", environment(tmp_path / "home"), "up", "router", "relay", "clock", "api") as processes:
        all_ready(processes)
        assert stop(processes) == [0] * 5
    with closing(open_hub(HubSettings(home=tmp_path / "home"))) as hub:
        is_whole(hub, 6_000)


WAITS = """
import sys
from pathlib import Path
from hub.stopping import told_to_stop
from hub.storage.database import Database
from hub.telemetry import configure

configure("error")
database = Database.embedded(Path(sys.argv[1]))
with told_to_stop():
    print("waits", flush=True)
    with database.write():
        pass
"""


def test_a_call_that_hears_of_no_signal_is_broken_off_in_time(hub: Hub, tmp_path: Path) -> None:
    """SQLite waits half a minute for a lock in one call: until it returns, no handler of Python runs."""
    with closing(sqlite3.connect(tmp_path / "home" / "hub.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path / "home")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"waits\n"
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(STOP_SECONDS) == 3
        finally:
            process.kill()
            _, said = process.communicate()
    assert b"ended_hard" in said
    hub.publish(TILBURG, [some_address(1)])
    is_whole(hub, 1)


def cluster(home: Path, database: str, bootstrap: str) -> HubSettings:
    return HubSettings(
        home=home, rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas", database_url=SecretStr(database), kafka_bootstrap=bootstrap,
        kafka_session_ms=4_000,
    )  # fmt: skip


def test_processes_that_wait_for_postgresql_or_for_kafka_stop_in_time_and_lose_nothing(tmp_path: Path, postgres: EmptyDatabase) -> None:
    home = tmp_path / "home"
    with own_kafka() as broker:
        ours = cluster(home, postgres.url, broker.bootstrap)
        settings = environment(home, HUB_DATABASE_URL=postgres.url, HUB_KAFKA_BOOTSTRAP=broker.bootstrap)
        with closing(open_hub(ours)) as hub, psycopg.connect(plain(postgres.url), autocommit=True) as session:
            hub.publish(TILBURG, [some_address(n) for n in range(3)])
            is_whole(hub, 3)
            with running(tmp_path / "one", settings, "router", "relay", "clock") as processes:
                all_ready(processes)
                session.execute("SELECT pg_advisory_lock(%s)", [_WRITERS])
                hub.send(TILBURG, [some_address(n) for n in range(3, 5)])  # for the router
                session.execute("UPDATE deliveries SET state = %s WHERE id = 1", [int(State.READY)])  # for the relay
                session.execute("UPDATE signals SET erase_at = 0")  # for the clock
                session.execute("BEGIN")
                session.execute("LOCK TABLE sequences")  # a relay does not wait for the writer
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                until(lambda: session.execute(waiting).fetchone() == (3,), within=60, what="all to wait for a lock")
                codes = stop(processes)
            assert codes == [3, 3, 3]
            assert all({"event": "ended_hard", "level": "error"}.items() <= one.events()[-1].items() for one in processes)
            session.execute("COMMIT")
            session.execute("SELECT pg_advisory_unlock(%s)", [_WRITERS])
            session.execute("UPDATE signals SET erase_at = 9000000000000")
            is_whole(hub, 5)
            with running(tmp_path / "two", settings, "router", "relay", "clock") as processes:
                all_ready(processes)
                broker.kill()
                hub.publish(TILBURG, [some_address(n) for n in range(5, 8)])
                until(lambda: not_ready(processes[:2]), within=60, what="router and relay to miss their brokers")
                codes = stop(processes)
            assert set(codes) <= {0, 3}
            assert codes[2] == 0
            broker.start()
        with closing(open_hub(ours)) as hub:
            is_whole(hub, 8)


def not_ready(processes: list[Running]) -> bool:
    return all(asked(one.port, "/ready")[0] == 503 for one in processes)
