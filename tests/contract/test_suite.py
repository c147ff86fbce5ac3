"""The conformance suite finds what is wrong: every check fails on a connector that does that wrong, and only then."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.hostile.connector import connector
from connectors.hostile.rig import rig
from connectors.hostile.settings import Misdeed
from connectors.kit.bench import entry
from connectors.kit.difference import difference
from connectors.kit.suite import BY_NAME, CHECKS, NOT_TRIED, check_all
from hub.client import NewSignal, RunReport
from hub.errors import StopError


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


# --- what a failure says ------------------------------------------------------------------


def test_what_came_out_otherwise_is_told_by_type_and_field(tmp_path: Path) -> None:
    found = BY_NAME["round-trip"].on(rig(connector(frozenset({Misdeed.ROUND_TRIP}))), tmp_path)
    assert found.why.endswith(": 3 x nl.voorbeeld.melding-gedaan.v1 differs in naam")


def books(*signals: dict[str, Any], type_: str = "nl.a.v1") -> Counter[str]:
    return Counter(entry("a", NewSignal(type=type_, data=data)) for data in signals)


@pytest.mark.parametrize(
    ("missing", "extra", "told"),
    [
        (books({"a": 1, "b": None}), books({"a": 2}), "1 x nl.a.v1 differs in a, b"),
        (books({"a": {"b": 1, "c": 2}}), books({"a": {"b": 1, "c": 3}}), "1 x nl.a.v1 differs in a.c"),
        (
            books({"a": 1}, {"a": 2, "b": 2}),
            books({"a": 9, "b": 2}, {"a": 1, "b": 1}),
            "1 x nl.a.v1 differs in a; 1 x nl.a.v1 differs in b",
        ),
        (books({"a": 1}), books({"a": 1}, type_="nl.b.v1"), "1 x nl.a.v1 is missing; 1 x nl.b.v1 should not be there"),
        (books({"a": 1}), books({"a": 1, "999990019": 1}), "1 x nl.a.v1 differs in a name that is not shown"),
        (Counter(['{"bsn": 1}']), Counter(['{"bsn": 2}']), "1 x an effect differs in bsn"),
    ],
)
def test_each_is_laid_beside_the_one_that_is_most_like_it(missing: Counter[str], extra: Counter[str], told: str) -> None:
    assert sorted(difference(missing, extra).split("; ")) == told.split("; ")


def test_who_publishes_and_the_cause_are_told_too() -> None:
    signal = NewSignal(type="nl.a.v1", data={})
    found = difference(Counter([entry("a", signal)]), Counter([entry("b", replace(signal, cause="x"))]))
    assert found == "1 x nl.a.v1 differs in its cause, its publisher"


def failing(error: Exception) -> Any:
    def run(*_: object) -> RunReport:
        raise error

    return rig(replace(connector(frozenset()), run=run))


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (StopError("the file is not there"), "StopError: the file is not there"),
        (KeyError("Aukje Verzonnen"), r"KeyError at test_suite\.py:[0-9]+"),
        (StopError("Aukje Verzonnen is not there"), r"StopError at test_suite\.py:[0-9]+"),
    ],
)
def test_a_run_that_fails_is_told_once_with_its_cause_and_what_depends_on_it_is_not_tried(error: Exception, cause: str) -> None:
    found = {result.check: result for result in check_all(failing(error))}
    assert re.fullmatch(f"a run in which nothing goes wrong fails: {cause}", found["total"].why)
    alone = {"settings": "passed", "ping": "passed", "total": "failed", "secrets": "passed"}
    assert {name: found[name].verdict for name in alone} == alone
    rest = [result for name, result in found.items() if name not in {*alone, "canary"}]
    assert {(result.verdict, result.why) for result in rest} == {("not tried", NOT_TRIED)}
