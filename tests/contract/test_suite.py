"""The conformance suite finds what is wrong: every check fails on a connector that does that wrong, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.hostile.connector import connector
from connectors.hostile.rig import rig
from connectors.hostile.settings import Misdeed
from connectors.kit.suite import BY_NAME, CHECKS


def test_there_is_a_misdeed_for_every_check() -> None:
    assert [check.name for check in CHECKS] == [misdeed.value for misdeed in Misdeed]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_connector_without_misdeeds_passes(name: str, tmp_path: Path) -> None:
    found = BY_NAME[name].on(rig(connector(frozenset())), tmp_path)
    assert (found.verdict, found.why) == ("passed", "")


@pytest.mark.parametrize("misdeed", Misdeed)
def test_each_misdeed_is_found_by_its_check(misdeed: Misdeed, tmp_path: Path) -> None:
    found = BY_NAME[misdeed].on(rig(connector(frozenset({misdeed}))), tmp_path)
    assert found.verdict == "failed"
    assert found.why


@pytest.mark.parametrize("name", BY_NAME)
def test_who_does_everything_wrong_fails_everywhere(name: str, tmp_path: Path) -> None:
    assert BY_NAME[name].on(rig(connector(frozenset(Misdeed))), tmp_path).verdict == "failed"
