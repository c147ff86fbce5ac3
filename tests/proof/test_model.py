"""The model check of every shipped process, to the end: prints the table and what real steps came upon."""

from __future__ import annotations

import pytest

from tests.proof.model import explore, shipped, survey, table, untaken

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("name", sorted(shipped().machines))
def test_every_state_is_reached_and_every_path_can_end(name: str) -> None:
    machine = shipped().machines[name]
    found = explore(shipped(), machine)
    print("", *table(survey(machine)), f"  by real steps: {found}", sep="\n")
    assert found.states == set(machine.states), "no signals of the examples lead to some state"
    assert found.fired == set(machine.term), "some term never falls due"
    assert not untaken(machine, found), "a step that the rules name is never taken"
    assert not found.endless, "a case can come where nothing leads to an end"
    assert not found.facts_refused
