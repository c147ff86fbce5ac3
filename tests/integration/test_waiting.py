"""Processes that find the database or the brokers away wait for them, alive and not ready; what a person must mend ends them at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.process import COMMANDS, Running, running, start, stop
from tests.integration.support import Cli
from tests.integration.test_operate import asked
from tests.services import own_kafka, own_postgres
from tests.services.postgres import EmptyDatabase
from tests.services.process import free_port
from tests.services.waiting import until

ON_TOPICS = ("up", "router", "relay")


def environment(home: Path, database: str, bootstrap: str) -> dict[str, str]:
    return {"HUB_HOME": str(home), "HUB_KAFKA_SESSION_MS": "4000", "HUB_DATABASE_URL": database, "HUB_KAFKA_BOOTSTRAP": bootstrap}


def answers(processes: list[Running], path: str) -> Mapping[str, int]:
    return {one.command: asked(one.port, path)[0] for one in processes}


def become(processes: list[Running], expected: Mapping[str, int]) -> None:
    """Wait until `/ready` answers so, and hold that every process lives."""
    until(
        lambda: answers(processes, "/ready") == expected, within=90, what=f"{expected}", tail=lambda: f" but {answers(processes, '/ready')}"
    )
    assert set(answers(processes, "/live").values()) == {200}


def whys(one: Running) -> list[str]:
    """Return what it said that it waits for."""
    return [event["why"] for event in one.events() if event["event"] == "retry_later"]


def test_processes_wait_for_what_is_away_and_go_on_by_themselves(tmp_path: Path) -> None:
    none, some, every = dict.fromkeys(COMMANDS, 503), {c: 503 if c in ON_TOPICS else 200 for c in COMMANDS}, dict.fromkeys(COMMANDS, 200)
    with own_postgres() as database, own_kafka() as broker:
        database.stop()
        broker.stop()
        with running(tmp_path / "logs", environment(tmp_path / "home", database.address, broker.bootstrap), *COMMANDS) as processes:
            become(processes, none)
            assert {asked(one.port, "/metrics")[0] for one in processes} == {200}
            database.start()
            become(processes, some)
            broker.start()
            become(processes, every)
            broker.kill()
            become(processes, some)
            router = processes[COMMANDS.index("router")]
            until(lambda: whys(router)[-1:] == ["Kafka does not answer"], within=30, what="the router to say so", tail=router.said)
            assert {asked(one.port, "/metrics")[0] for one in processes} == {200}
            broker.start()
            become(processes, every)
            until(lambda: router.events()[-1]["event"] == "going_on", within=30, what="the router to go on", tail=router.said)
            assert stop(processes) == [0] * len(COMMANDS)
        for one in processes:
            assert whys(one)[0] == "the database does not answer; nothing was stored"
            assert len(whys(one)) < 10, "it says the same again and again"
            assert "Traceback" not in one.said()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_that_is_told_to_stop_while_it_waits_stops(tmp_path: Path, command: str) -> None:
    settings = environment(tmp_path / "home", f"postgresql+psycopg://hub:geheim@127.0.0.1:{free_port()}/hub", f"127.0.0.1:{free_port()}")
    with running(tmp_path / "logs", settings, command) as processes:
        become(processes, {command: 503})
        assert stop(processes) == [0]


def test_a_command_that_ends_says_at_once_what_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    ran = cli("run", "--once")
    assert (ran.code, ran.err.splitlines()[0]) == (3, "hub: Kafka does not answer")
    monkeypatch.setenv("HUB_DATABASE_URL", f"postgresql+psycopg://hub:geheim@127.0.0.1:{free_port()}/hub")
    for command in (["run", "--once"], ["clock", "--once"], ["db", "upgrade"]):
        ran = cli(*command)
        assert (ran.code, ran.err.splitlines()[0]) == (3, "hub: the database does not answer; nothing was stored")


@pytest.mark.parametrize("wrong", ["password", "database"])
def test_what_a_person_must_mend_ends_a_process_at_once(tmp_path: Path, wrong: str) -> None:
    with own_postgres() as database:
        known = {"password": database.address.rpartition("@")[0].rpartition(":")[2], "database": "/postgres"}[wrong]
        url = database.address.replace(known, "/nergens" if wrong == "database" else "verkeerd")
        one = start(tmp_path, environment(tmp_path / "home", url, f"127.0.0.1:{free_port()}"), "clock")
        try:
            assert one.process.wait(60) == 1
        finally:
            one.process.kill()
            one.process.wait()
    assert "HUB_DATABASE_URL" in one.said()


def test_wrong_keys_end_a_process_at_once(tmp_path: Path, postgres: EmptyDatabase) -> None:
    settings = {"HUB_DATABASE_URL": postgres.url}
    for home, code in (("one", 0), ("other", 1)):
        one = start(tmp_path, {**settings, "HUB_HOME": str(tmp_path / home)}, "up")
        try:
            if code == 0:
                until(lambda one=one: asked(one.port, "/ready")[0] == 200, within=60, what="hub up", tail=one.said)  # type: ignore[misc]
                one.tell_to_stop()
            assert one.process.wait(60) == code
        finally:
            one.process.kill()
            one.process.wait()
    assert "keys" in one.said()
