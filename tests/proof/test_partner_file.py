"""The long crash proof of the vaste-lasten connector: 30 kills on a file of 50,000 rows, in a folder and over SFTP; the seed is printed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.proof.partnerfile import prove

KILLS = 30
ROWS = 50_000


@pytest.mark.proof
@pytest.mark.parametrize("remote", [False, True], ids=["in a folder", "over SFTP"])
def test_no_row_is_lost_or_doubled_by_killing_the_connector(tmp_path: Path, remote: bool) -> None:  # noqa: FBT001
    seed = random.SystemRandom().randrange(2**32)
    print(f"\nseed {seed}")
    figures = prove(tmp_path, count=ROWS, kills=KILLS, seed=seed, remote=remote)
    print(f"  {dict(sorted(figures.items()))}")
    assert sum(count for what, count in figures.items() if what.startswith("killed ")) == KILLS
    assert figures["rows"] == ROWS
