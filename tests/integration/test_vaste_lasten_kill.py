"""A few kills of the vaste-lasten connector in every run; `make proof` does many."""

from __future__ import annotations

from pathlib import Path

from tests.proof.partnerfile import FETCHED, GIVEN, prove


def test_a_connector_killed_at_any_request_to_the_server_loses_no_row_and_repeats_none(tmp_path: Path) -> None:
    figures = prove(tmp_path, count=300, kills=9, seed=4, batch=50, remote=True)
    assert figures["rows"] == 300
    assert figures[f"killed {FETCHED}"] == figures[f"killed {GIVEN}"] == 3


def test_a_killed_connector_loses_no_row_and_repeats_none(tmp_path: Path) -> None:
    figures = prove(tmp_path, count=700, kills=6, seed=4, batch=50)
    assert figures["rows"] == 700
    assert min(figures[status] for status in ("aangenomen", "wacht", "geweigerd")) > 0
    assert len([what for what in figures if what.startswith("killed ")]) == 3
