"""The long proofs on Kafka and PostgreSQL: processes killed again and again, and one kind of trouble after the other. Books balance by id."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.domain.terms import iso_utc
from tests.proof.cluster import KillingOnServices, Round, fresh_seed, killed
from tests.proof.kill import BAD
from tests.proof.troubles import read_only, relays_killed, topics_dealt_anew

THIRD = 1 / 3


@pytest.mark.proof
@pytest.mark.parametrize(
    ("round_", "rounds", "bad", "least"),
    [
        pytest.param(KillingOnServices.round, 16, BAD, 60, id="every process killed, broker and database too"),
        pytest.param(KillingOnServices.round, 6, THIRD, 20, id="a third malformed"),
        pytest.param(topics_dealt_anew, 8, BAD, 20, id="topics dealt anew all the time"),
        pytest.param(relays_killed, 8, BAD, 40, id="relays killed all the time"),
        pytest.param(read_only, 5, BAD, 15, id="database read-only now and then"),
    ],
)
def test_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path, round_: Round, rounds: int, bad: float, least: int) -> None:
    seed = fresh_seed()
    print(f"\nseed {seed}")
    killing, books = killed(tmp_path / "home", seed, rounds, round_, bad=bad)
    print(f"{killing.kills} kills, {dict(killing.happened)}, until {iso_utc(killing.now)}")
    print(f"  {dict(sorted(books.items()))}")
    assert killing.kills >= least
