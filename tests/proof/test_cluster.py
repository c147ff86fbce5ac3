"""The long crash proof on Kafka and PostgreSQL: every process killed again and again, now and then the broker or the database too."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.domain.terms import iso_utc
from tests.proof.cluster import fresh_seed, killed
from tests.services import own_kafka, own_postgres

ROUNDS = 16


@pytest.mark.proof
def test_nothing_is_lost_or_doubled_on_kafka_and_postgresql(tmp_path: Path) -> None:
    seed = fresh_seed()
    print(f"\nseed {seed}")
    with own_postgres() as database, own_kafka() as broker:
        killing, books = killed(tmp_path / "home", seed, ROUNDS, database, broker)
    print(f"{killing.kills} kills, {dict(killing.restarts)} restarted under load, until {iso_utc(killing.now)}")
    print(f"  {dict(sorted(books.items()))}")
    assert killing.kills >= 60
