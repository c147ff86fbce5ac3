"""The long crash proof of the vaste-lasten connector: 30 kills at random rows of a file of 50,000; the seed is printed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.proof.partnerfile import prove

KILLS = 30
ROWS = 50_000


@pytest.mark.proof
def test_no_row_is_lost_or_doubled_by_killing_the_connector_at_random_rows(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"\nseed {seed}")
    figures = prove(tmp_path, count=ROWS, kills=KILLS, seed=seed)
    print(f"  {dict(sorted(figures.items()))}")
    assert sum(count for what, count in figures.items() if what.startswith("killed ")) == KILLS
    assert figures["rows"] == ROWS
