"""The provider of test services: what it gives works, is kept apart, and survives what proofs do to it."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer

from tests.services import docker, local
from tests.services.fixtures import own_kafka, own_postgres
from tests.services.local import plain


@pytest.mark.parametrize("turn", [1, 2])
def test_a_database_is_empty_and_one_commit_is_on_disk(postgres: str, turn: int) -> None:
    with psycopg.connect(plain(postgres)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,), turn
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        connection.execute("CREATE TABLE seen (n int)")


def test_a_record_and_its_header_go_through_the_broker(kafka: str) -> None:
    topic = f"services.{time.monotonic_ns()}"
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    producer.send(topic, b"value", headers=[("ce_id", b"1")]).get(15)
    producer.close()
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=15_000)
    record = next(consumer)
    consumer.close()
    assert (record.value, list(record.headers)) == (b"value", [("ce_id", b"1")])


def test_a_killed_database_server_comes_back_with_what_was_committed() -> None:
    with own_postgres() as server:
        with psycopg.connect(plain(server.url), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (7)")
        server.process.stop(signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(plain(server.url), connect_timeout=2)
        server.start()
        with psycopg.connect(plain(server.url)) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_stopped_broker_comes_back_with_what_was_sent() -> None:
    with own_kafka() as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
        producer.send("kept", b"7").get(15)
        producer.close()
        broker.process.stop(signal.SIGKILL)
        broker.start()
        consumer = KafkaConsumer("kept", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=15_000)
        assert next(consumer).value == b"7"
        consumer.close()


def test_what_is_missing_and_cannot_be_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(local, "_DEBIAN_POSTGRES", Path("/nowhere"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(pytest.fail.Exception, match=r"PostgreSQL is missing; install it with: sudo apt-get install .* postgresql"):
        local.LocalPostgres(1)


def test_a_docker_that_is_not_there_or_does_not_come_in_time_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert docker.started(lambda: pytest.fail("never made")) is None
    monkeypatch.setattr(docker, "answers", lambda: True)
    monkeypatch.setattr(docker, "SECONDS", 0.01)
    late = Event()
    assert docker.started(lambda: SimpleNamespace(start=late.wait)) is None
    late.set()
    monkeypatch.setattr(docker, "SECONDS", 20)
    container = SimpleNamespace()
    container.start = lambda: container
    assert docker.started(lambda: container) is container
