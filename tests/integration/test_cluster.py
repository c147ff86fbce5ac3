"""A little of each trouble on Kafka and PostgreSQL in every run; `make proof` does much of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proof.cluster import KillingOnServices, Round, killed
from tests.proof.troubles import read_only, topics_dealt_anew


@pytest.mark.parametrize(("round_", "rounds"), [(KillingOnServices.round, 3), (topics_dealt_anew, 1), (read_only, 1)])
def test_trouble_on_kafka_and_postgresql_loses_nothing_and_sends_nothing_else(tmp_path: Path, round_: Round, rounds: int) -> None:
    killing, books = killed(tmp_path / "home", 7, rounds, round_)
    assert killing.kills >= rounds
    assert books["signals"] > 0
