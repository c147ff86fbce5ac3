"""The properties of `tests/integration/test_properties.py` with many examples, and what was searched.

Each run has a seed of its own, which it prints; SIGNAALHUB_PROOF_SEED repeats one.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from hub.codec import Received
from tests.integration import test_properties as short
from tests.strategies import RECORDS, Binary, World

pytestmark = pytest.mark.proof

SEED: Final = int(os.environ.get("SIGNAALHUB_PROOF_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
MANY: Final = settings(short.QUICK, database=None, print_blob=True)
Case = tuple[World, list[dict[str, Any]], int]
examples: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _printed(request: pytest.FixtureRequest) -> Iterator[None]:
    before = Counter(short.searched)
    yield
    looked_at = {what: count - before[what] for what, count in sorted(short.searched.items()) if count > before[what]}
    print(f"\n{request.node.name}\n  seed {SEED}, {examples[request.node.name]} examples\n  {looked_at}")


@seed(SEED)
@settings(MANY, max_examples=2500)
@given(short.published(), st.integers(0, 29))
def test_no_delivered_byte_says_what_was_not_granted(case: Case, draw: int) -> None:
    examples["test_no_delivered_byte_says_what_was_not_granted"] += 1
    short.check_view(*case, real_topics=draw == 0)


@seed(SEED)
@settings(MANY, max_examples=1000)
@given(short.judged())
def test_the_same_inputs_give_the_same_decision(case: Case) -> None:
    examples["test_the_same_inputs_give_the_same_decision"] += 1
    short.check_same_decision(*case)


@seed(SEED)
@settings(MANY, max_examples=1500)
@given(RECORDS, st.lists(st.integers(1, 30), max_size=6))
def test_accepted_refused_and_duplicate_make_up_what_was_received(records: list[Received | Binary], cuts: list[int]) -> None:
    examples["test_accepted_refused_and_duplicate_make_up_what_was_received"] += 1
    short.check_books(records, cuts)


@seed(SEED)
@settings(MANY, max_examples=1000)
@given(short.PERSONS, short.PERSONS, short.SPELLINGS, short.SPELLINGS)
def test_a_person_has_one_pseudonym_per_recipient_and_flow(
    one: short.Person, other: short.Person, first: short.Spelling, second: short.Spelling
) -> None:
    examples["test_a_person_has_one_pseudonym_per_recipient_and_flow"] += 1
    short.check_pseudonyms(one, other, first, second)


@seed(SEED)
class CountedMachine(short.QuotaMachine):
    """The machine, counting its runs."""

    def teardown(self) -> None:
        examples["test_a_quota_is_never_passed_under_any_interleaving"] += 1
        super().teardown()


def test_a_quota_is_never_passed_under_any_interleaving() -> None:
    run_state_machine_as_test(CountedMachine, settings=settings(MANY, max_examples=1000, stateful_step_count=40))
