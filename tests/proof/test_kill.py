"""The long crash proof: at least 200 kills while cases move, terms fall due and signals are taken back; the seed is printed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hub.domain.terms import iso_utc
from tests.proof.kill import Killing

KILLS = 210


@pytest.mark.proof
def test_nothing_is_lost_or_doubled_by_killing_the_hub_at_random_moments(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"\nseed {seed}")
    killing = Killing(tmp_path / "home", seed)
    while killing.kills < KILLS:
        killing.round()
    books = killing.balance()
    print(f"{killing.kills} kills, {killing.finished} children finished first, until {iso_utc(killing.now)}")
    print(f"  {dict(sorted(books.items()))}")
    assert min(books[what] for what in ("terms", "reminders", "withdrawn", "corrected", "confirmed", "defer then released")) > 0, (
        "the load lacks something"
    )
