"""The machine of `tests/integration/test_processes.py` with many examples, and what they came upon.

Each run has a seed of its own, which it prints; SIGNAALHUB_PROOF_SEED repeats one.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any, Final

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import reference as ref
from tests.integration import test_processes as short
from tests.integration.test_processes import PauseMachine, shipped

pytestmark = pytest.mark.proof

SEED: Final = int(os.environ.get("SIGNAALHUB_PROOF_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
EXAMPLES: Final = 400
STEPS: Final = 60
BATCHES: Final = 4
"""At most so many times so many examples, until every state was come to and every term fell due."""
count: Counter[str] = Counter()


class CountedMachine(PauseMachine):
    """The machine, counting its runs and steps."""

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        count["steps"] += 1
        super().check_invariants(settings, output, runtimes)

    def teardown(self) -> None:
        count["examples"] += 1
        super().teardown()


def test_every_case_stands_as_the_rule_text_says_after_any_sequence() -> None:
    print(f"\nseed {SEED}")
    before = Counter(short.searched)
    machine_settings = settings(short.QUICK, database=None, print_blob=True, max_examples=EXAMPLES, stateful_step_count=STEPS)
    found: Counter[str] = Counter()
    for batch in range(BATCHES):
        run_state_machine_as_test(seed(SEED + batch)(type("Counted", (CountedMachine,), {})), settings=machine_settings)
        found = short.searched - before
        if not _missing(found):
            break  # else some corner was not come upon: look further, with the next seed
    print(f"{count['examples']} examples, {count['steps']} steps")
    for kind in ("entered", "left", "term", "accepted", "refused", "guard"):
        print(f"  {kind}: {_of(found, kind)}")
    print(f"  {dict(sorted((what, n) for what, n in found.items() if ' ' not in what))}")
    assert not _missing(found)
    for name in (ref.PAUZE, ref.CJIB):
        machine = shipped()[0].machines[name]
        for state in machine.states:
            assert state in machine.final or found[f"left {name} {state}"] == found[f"entered {name} {state}"], f"{state} is not left"


def _missing(found: Counter[str]) -> list[str]:
    """Return the states that no example came to, and the terms that fell due in none."""
    wanted = [f"entered {name} {state}" for name in (ref.PAUZE, ref.CJIB) for state in shipped()[0].machines[name].states]
    wanted += [f"term {name} {code}" for name in (ref.PAUZE, ref.CJIB) for code in shipped()[0].machines[name].term]
    return [what for what in wanted if not found[what]]


def _of(found: Counter[str], kind: str) -> str:
    return ", ".join(f"{what.removeprefix(kind).strip()} {n}" for what, n in sorted(found.items()) if what.startswith(f"{kind} "))
