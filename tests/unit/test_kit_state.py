"""What a connector remembers: kept on the disk, together or not at all, and nobody's values in an error."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from connectors.kit.listening import told
from connectors.kit.memory import START
from connectors.kit.state import FILE, State
from hub.errors import RetryLaterError, StopError


def test_it_is_there_the_next_time(tmp_path: Path) -> None:
    with State(tmp_path / "a" / "b") as state:
        assert state.get("adres", "k") is None
        state.put("adres", "k", "LOOPT", START)
        state.put("adres", "k", "KLAAR", START + timedelta(days=1))
        state.put("plaats", "k", "12", START)
    with State(tmp_path / "a" / "b") as state:
        assert state.get("adres", "k") == "KLAAR"
        assert state.entries("adres") == {"k": ("KLAAR", START + timedelta(days=1))}
        state.remove("adres", "k")
        state.remove("adres", "k")
        assert state.entries("adres") == {}
        assert state.get("plaats", "k") == "12"


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    with State(tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state" / FILE).stat().st_mode) == 0o600


def test_a_block_counts_whole_or_not_at_all(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        with pytest.raises(KeyError), state.together():
            state.put("a", "1", "x", START)
            raise KeyError
        assert state.entries("a") == {}
        with state.together():
            state.put("a", "1", "x", START)
            assert state.get("a", "1") == "x"
        assert state.get("a", "1") == "x"


def test_what_is_older_is_forgotten(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        for day in range(3):
            state.put("a", str(day), "x", START + timedelta(days=day))
        assert state.forget("a", START + timedelta(days=1)) == 1
        assert list(state.entries("a")) == ["1", "2"]


def test_a_damaged_file_stops(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"999990019" * 1000)
    with pytest.raises(StopError) as raised:
        State(tmp_path)
    assert "999990019" not in told(raised.value)


def test_a_folder_that_cannot_be_made_stops(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StopError):
        State(tmp_path / "file" / "state")


def test_while_another_writes_it_is_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with State(tmp_path) as state:
        other = create_engine(f"sqlite:///{tmp_path / FILE}")
        with other.connect() as connection:
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
            monkeypatch.setattr(state, "_engine", create_engine(f"sqlite:///{tmp_path / FILE}", connect_args={"timeout": 0}))
            with pytest.raises(RetryLaterError) as raised:
                state.put("a", "k", "999990019", START)
        state._engine.dispose()
        other.dispose()
    assert "999990019" not in told(raised.value)
