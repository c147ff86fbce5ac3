"""The tutorials do what they say: each step is executed as it stands on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tutorial import ROOT, Shell, steps


@pytest.mark.parametrize("page", ["add-a-connector", "add-a-flow"])
def test_every_step_of_a_tutorial_works(page: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    shell = Shell(folder)
    found = list(steps(ROOT / "docs" / f"{page}.md"))
    assert len(found) > 5
    for step in found:
        shell.do(step)
