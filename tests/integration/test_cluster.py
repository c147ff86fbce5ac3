"""A few kills of routers, relays and a clock on Kafka and PostgreSQL in every run; `make proof` does many."""

from __future__ import annotations

from pathlib import Path

from tests.proof.cluster import killed
from tests.services import own_kafka, own_postgres


def test_killed_processes_on_kafka_and_postgresql_lose_nothing_and_send_nothing_else(tmp_path: Path) -> None:
    with own_postgres() as database, own_kafka() as broker:
        killing, books = killed(tmp_path / "home", 7, 3, database, broker)
    assert killing.kills == 15
    assert books["signals"] > 0
