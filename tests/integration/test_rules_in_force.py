"""New rules hold for every process on a home at its next batch, whoever put them in force."""

from __future__ import annotations

from pathlib import Path

from hub import explain
from hub.app import MovingClock
from hub.domain import terms
from tests.integration.support import TILBURG, accepted, copied, edit, opened, tick
from tests.sample import address

CHANGED = "explain: U krijgt dit signaal omdat volgens de gemeente"


def test_a_process_that_runs_decides_by_the_rules_that_another_put_in_force(tmp_path: Path, clock: MovingClock) -> None:
    rules = copied("rules", tmp_path / "rules")
    edit(rules, "spookbewoning.yaml", CHANGED, f"{CHANGED} (nieuw)")
    with opened(tmp_path / "home", clock) as one:
        before = one.rulebooks.current.ruleset.version
        with opened(tmp_path / "home", clock, rules) as other:
            newest = other.rulebooks.current.ruleset.version
        assert newest != before
        receipt = accepted(one, TILBURG, address())
        found = explain.find(one, receipt.signal_id or "")
        assert found is not None
        assert found.rule_set == newest
        assert "(nieuw)" in found.decisions[0].text


def test_a_clock_that_runs_works_by_the_rules_that_another_put_in_force(tmp_path: Path, clock: MovingClock) -> None:
    rules = copied("rules", tmp_path / "rules")
    edit(rules, "settings.yaml", "{value: 10, from: 2023-05-15", "{value: 11, from: 2023-05-15")
    with opened(tmp_path / "home", clock) as one:
        accepted(one, TILBURG, address())
        with opened(tmp_path / "home", clock, rules) as other:
            newest = other.rulebooks.current.ruleset.version
        clock.now = terms.moment("2027-06-01T00:00")
        tick(one, clock, "2027-06-01T00:00")
        assert one.rulebooks.current.ruleset.version == newest
