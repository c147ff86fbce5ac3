"""A few kills in every run; `make proof` does many."""

from __future__ import annotations

from pathlib import Path

from tests.proof.kill import Killing


def test_a_killed_hub_loses_nothing_and_sends_nothing_else_and_its_cases_follow_from_what_came_in(tmp_path: Path) -> None:
    killing = Killing(tmp_path / "home", seed=7)
    for _ in range(14):
        killing.round()
    killing.balance()
