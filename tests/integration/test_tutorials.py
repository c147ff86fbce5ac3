"""The tutorials do what they say: each step is executed as it stands on the page."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.kit.bench import Ending, Killed
from connectors.kit.memory import MemoryGateway
from connectors.kit.scaffold import write
from tests.tutorial import ROOT, Shell, steps

NIGHTS = ("achterstanden", "dinsdag", "woensdag", "woensdag")
TYPE = "nl.wgs.achterstand-gesignaleerd.v1"
WITHDRAWN = "nl.signaalhub.signaal-ingetrokken.v1"


@pytest.mark.parametrize("page", ["add-a-connector", "add-a-flow"])
def test_every_step_of_a_tutorial_works(page: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    shell = Shell(folder)
    found = list(steps(ROOT / "docs" / f"{page}.md"))
    assert len(found) > 5
    for step in found:
        shell.do(step)


@pytest.fixture
def bron(tmp_path: Path) -> Iterator[Any]:
    """The connector of the tutorial as it is in the end, imported, and its files beside it."""
    write("bronvoorbeeld", "source", tmp_path, "bronvoorbeeld")
    for step in steps(ROOT / "docs" / "add-a-connector.md"):
        if step.file:
            (tmp_path / step.file).write_text(step.text, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("bronvoorbeeld").CONNECTOR
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "bronvoorbeeld"]:
        del sys.modules[name]


@pytest.mark.parametrize("killed", range(len(NIGHTS) - 1))
def test_after_a_kill_at_any_step_of_a_night_the_next_goes_on_from_what_stands(killed: int, bron: Any, tmp_path: Path) -> None:
    for after in itertools.count():
        hub = MemoryGateway()
        ending = Ending(after, Killed)
        for number, night in enumerate(NIGHTS):
            hub.step = ending if number == killed else lambda _: None
            with contextlib.suppress(Killed):
                settings = bron.settings(file=tmp_path / f"{night}.csv", state_dir=tmp_path / str(after))
                bron.run(settings, hub, lambda items, **_: items)
            assert len(standing(hub)) <= 2  # never a customer twice
        assert standing(hub) == set()  # on Wednesday nobody owes anything
        if ending.seen <= after:  # the night was done before that step
            break
    assert after > 1


def standing(hub: MemoryGateway) -> set[str]:
    """Return the signal_ids of what was neither corrected nor withdrawn; what was is so once, and stood."""
    found: set[str] = set()
    for one in hub.history("bron-voorbeeld", [TYPE, WITHDRAWN]):
        gone = one.cause if one.type == WITHDRAWN else one.replaces
        if gone is not None:
            found.remove(gone)
        if one.type == TYPE:
            found.add(one.id)
    return found
