"""A new rule set meets open cases: they go on in it, are moved as it says, or it does not come into force."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from hub import cases
from hub.app import Hub, MovingClock, load_files
from hub.client import NewSignal, Receipt
from hub.domain import terms
from hub.domain.processfile import REMINDER
from hub.domain.ruleset import RuleSet
from hub.errors import FaultsError
from tests.integration.support import Cli, accepted, codes, one, opened, received, settings
from tests.unit.test_contract import line_of
from tests.unit.test_process import ANSWER, FACT, FILES, ORDINARY, PERSON, REPORTED, STEP, flow, local
from tests.unit.test_rules import SETTINGS

RULES: Final = "proef.yaml"
START: Final = f"start: {{on: {REPORTED}, to: nieuw, set: {{datum: s.datum}}}}"
STEPS: Final = (
    f"  - {{from: nieuw, on: {STEP}, to: bezig}}",
    f"  - {{from: [nieuw, bezig], on: {ANSWER}}}",
    f"  - {{from: [nieuw, bezig], on: {FACT}, to: klaar, fact: true}}",
)
TERM: Final = "  - {in: [nieuw, bezig], after: P14D, to: klaar, notify: [doel], code: termijn}"
FINAL: Final = "final: [klaar]"
FIRST: Final = (START, FINAL, "transitions:", *STEPS, "terms:", TERM)
"""The process under which the cases begin: nieuw, bezig, klaar."""
RENAMED: Final = tuple(line.replace("bezig", "loopt") for line in FIRST)
"""The same, in which `bezig` has another name."""


def data_of(type_: str, **changed: Any) -> dict[str, Any]:
    return ORDINARY | (PERSON if type_ == REPORTED else {}) | changed


@dataclass
class World:
    """The rules of a hub on disk, changed between one opening and the next."""

    folder: Path
    clock: MovingClock
    patch: pytest.MonkeyPatch
    ketens: dict[str, str] = field(default_factory=dict)
    """Name of a case -> the keten as its starter knows it."""

    def __post_init__(self) -> None:
        for file, text in FILES.items():
            if not file.startswith("own/"):
                self.write(file, text)
        self.rules(*FIRST)

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def rules(self, *lines: str) -> str:
        """Write the process as these lines. Returns the whole file."""
        text = flow(*lines)
        self.write(f"rules/{RULES}", text)
        return text

    def loaded(self) -> RuleSet:
        return load_files(self.settings).unwrap()

    @property
    def settings(self) -> Any:
        return settings(self.folder / "home", self.folder / "rules", self.folder / "schemas")

    @contextmanager
    def hub(self, at: str | None = None) -> Iterator[Hub]:
        """Open the hub, which takes up the rules on disk if it can, and let it do what is due."""
        if at is not None:
            self.clock.now = terms.moment(at)
        with opened(self.folder / "home", self.clock, self.folder / "rules", self.folder / "schemas") as hub:
            hub.clock.run_once()
            yield hub

    def open_case(self, hub: Hub, name: str, *types: str, **data: Any) -> None:
        """Open a case and let these signals move it."""
        receipt = accepted(hub, "bron", NewSignal(type=REPORTED, data=data_of(REPORTED, **data)))
        self.ketens[name] = receipt.correlation or ""
        for type_ in types:
            assert codes(self.send(hub, name, type_)) == []

    def send(self, hub: Hub, name: str, type_: str, **data: Any) -> Receipt:
        return one(hub, "bron", NewSignal(type=type_, data=data_of(type_, **data), correlation=self.ketens[name]))

    def case(self, hub: Hub, name: str) -> dict[str, Any]:
        keten = cases.keten_of(hub, "bron", self.ketens[name])
        assert keten is not None
        (number,) = cases.in_keten(hub, keten)
        return cases.show(hub, number)

    def state(self, hub: Hub, name: str) -> str:
        return str(self.case(hub, name)["state"])

    def due(self, hub: Hub, name: str) -> dict[str, str]:
        return {term["code"]: local(terms.moment(term["due"])) for term in self.case(hub, name)["terms"]}

    def check(self) -> tuple[int, list[Any]]:
        """Run `hub rules check` on the rules on disk, against what the home holds."""
        cli = Cli(self.folder / "home", self.patch)
        cli.rules, cli.schemas, cli.now = self.folder / "rules", self.folder / "schemas", None
        ran = cli("rules", "check", "--json")
        return ran.code, [fault for fault in ran.json if not fault["warning"]]


@pytest.fixture
def world(tmp_path: Path, clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, clock, monkeypatch)


def refused(world: World, *expected: tuple[str, int, str]) -> None:
    """Check that the rules on disk are not taken up, that everything stays as it was, and that `rules check` says the same."""
    with world.hub() as hub:
        before = hub.rulebooks.current
        assert before.ruleset.version != world.loaded().version
        stood = [cases.show(hub, row["case"]) for row in cases.listing(hub, everything=True)]
        with pytest.raises(FaultsError) as caught:
            hub.rulebooks.adopt(world.loaded())
        assert [(fault.file, fault.line) for fault in caught.value.faults] == [(file, line) for file, line, _ in expected]
        for fault, (_, _, what) in zip(caught.value.faults, expected, strict=True):
            assert what in fault.what
        assert hub.rulebooks.current is before
        assert [cases.show(hub, row["case"]) for row in cases.listing(hub, everything=True)] == stood
    code, faults = world.check()
    assert code == 1
    assert [(fault["file"], fault["line"]) for fault in faults] == [(str(world.folder / file), line) for file, line, _ in expected]
    for fault, (_, _, what) in zip(faults, expected, strict=True):
        assert what in fault["what"]


def in_force(world: World, hub: Hub) -> bool:
    """Say whether the rules on disk are the ones in force."""
    return hub.rulebooks.current.ruleset.version == world.loaded().version


# --- cases that go on ---


def test_an_open_case_goes_on_under_rules_that_change_nothing_for_it(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", datum="2026-12-01")
        before = world.case(hub, "a")
    world.rules(*FIRST, "guards: [{name: uitvoeren, closed_in: bezig, code: loopt}]")
    assert world.check() == (0, [])
    with world.hub("2026-11-05T09:00") as hub:
        assert in_force(world, hub)
        assert world.case(hub, "a") == before
        assert codes(world.send(hub, "a", STEP)) == []
        assert codes(world.send(hub, "a", STEP)) == ["al-gedaan"]
        assert cases.may(hub, "uitvoeren", "bron", world.ketens["a"]).code == "loopt"


def test_a_case_takes_the_steps_that_the_new_rules_have_and_no_others(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
    steps = (f"  - {{from: nieuw, on: {ANSWER}, to: bezig}}", f"  - {{from: bezig, on: {STEP}, to: klaar}}", STEPS[2])
    world.rules(START, FINAL, "transitions:", *steps, "terms:", TERM)
    with world.hub() as hub:
        assert codes(world.send(hub, "a", STEP)) == ["staat-past-niet"]
        assert codes(world.send(hub, "a", ANSWER)) == []
        assert world.state(hub, "a") == "bezig"


def test_a_hub_without_cases_takes_up_any_rules(world: World) -> None:
    with world.hub():
        pass
    world.rules(*RENAMED)
    assert world.check() == (0, [])
    with world.hub() as hub:
        assert in_force(world, hub)


def test_before_the_first_opening_there_is_nothing_to_hold_the_rules_against(world: World) -> None:
    assert world.check() == (0, [])
    assert not (world.folder / "home").exists()


# --- states that are gone ---


def test_a_state_that_is_gone_stops_the_rules_until_they_say_where_its_cases_go(world: World) -> None:
    with world.hub() as hub:
        for name in ("a", "b"):
            world.open_case(hub, name, STEP)
        world.open_case(hub, "c")
    text = world.rules(*RENAMED)
    what = "2 open cases of `zaak` are in state `bezig`, which is no longer there"
    refused(world, (f"rules/{RULES}", line_of(text, "id: zaak"), what))
    world.rules(*RENAMED, "migrate: {bezig: loopt}")
    assert world.check() == (0, [])
    with world.hub("2026-11-05T09:00") as hub:
        assert in_force(world, hub)
        assert {name: world.state(hub, name) for name in world.ketens} == {"a": "loopt", "b": "loopt", "c": "nieuw"}
        assert cases.counts(hub) == {"zaak": {"loopt": 2, "nieuw": 1}}
        assert codes(world.send(hub, "a", FACT)) == []
        assert world.state(hub, "a") == "klaar"


def test_the_fix_of_the_fault_is_the_line_to_write(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
    world.rules(*RENAMED)
    assert [fault["fix"] for fault in world.check()[1]] == ["say where they go: `migrate: {bezig: <state>}`"]


def test_a_case_that_was_moved_keeps_its_variables_its_entry_and_its_terms_and_was_moved_by_nobody(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", datum="2026-12-01")
    with world.hub("2026-11-04T09:00") as hub:
        world.send(hub, "a", STEP)
        before = world.case(hub, "a")
    week = "  - {in: loopt, after: P7D, notify: [doel], code: week}"
    world.rules(*RENAMED, week, "  - {in: loopt, at: c.datum, notify: [doel], code: datum}", "migrate: {bezig: loopt}")
    with world.hub("2026-11-09T09:00") as hub:
        after = world.case(hub, "a")
        assert [after[key] for key in ("variables", "opened", "closed")] == [before[key] for key in ("variables", "opened", "closed")]
        assert world.due(hub, "a") == {"termijn": "2026-11-17T00:00", "week": "2026-11-12T00:00", "datum": "2026-12-02T00:00"}
        assert after["next_due"] == "2026-11-11T23:00:00.000Z"
        assert after["steps"][:-1] == before["steps"]
        moved = {"time": "2026-11-09T08:00:00.000Z", "trigger": "regels-gewijzigd", "by": None, "from": "bezig", "to": "loopt"}
        assert after["steps"][-1] == moved
        assert codes(world.send(hub, "a", STEP)) == ["staat-past-niet"]


def test_states_may_be_joined_and_what_has_no_cases_need_not_be_named(world: World) -> None:
    more = (*STEPS, f"  - {{from: bezig, on: {STEP}, to: bijna}}", f"  - {{from: bijna, on: {STEP}, to: ver}}", f"  - {{from: [bijna, ver], on: {FACT}, to: klaar}}")  # fmt: skip
    world.rules(START, FINAL, "transitions:", *more, "terms:", TERM)
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
        world.open_case(hub, "b", STEP, STEP)
    world.rules(START, FINAL, "transitions:", *(step.replace("bezig", "samen") for step in STEPS), "terms:", TERM.replace("bezig", "samen"),
                "migrate: {bezig: samen, bijna: samen}")  # fmt: skip
    with world.hub() as hub:
        assert {name: world.state(hub, name) for name in world.ketens} == {"a": "samen", "b": "samen"}


def test_a_case_that_has_ended_is_held_to_nothing_and_left_alone(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", FACT)
        before = world.case(hub, "a")
    world.rules(*(line.replace("klaar", "af") for line in RENAMED))
    assert world.check() == (0, [])
    with world.hub() as hub:
        assert in_force(world, hub)
        assert world.case(hub, "a") == before
        assert codes(world.send(hub, "a", REPORTED)) == ["zaak-bestaat-al"]


def closes(world: World, *lines: str) -> dict[str, Any]:
    """Return an open case as it stands under rules in which its state is an end."""
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
    world.rules(*lines)
    with world.hub("2026-11-05T09:00") as hub:
        assert in_force(world, hub)
        return world.case(hub, "a")


ENDS: Final = (START, "final: [klaar, bezig]", "transitions:", STEPS[0], f"  - {{from: nieuw, on: {FACT}, to: klaar, fact: true}}")


@pytest.mark.parametrize(
    "lines",
    [(*(line.replace("bezig", "af") for line in ENDS), "migrate: {bezig: af}"), ENDS],
    ids=["moved to a final state", "its state is final now"],
)
def test_a_case_that_the_new_rules_end_is_closed(world: World, lines: tuple[str, ...]) -> None:
    found = closes(world, *lines)
    assert found["terms"] == []
    assert found["closed"] is not None


# --- processes that are gone ---


def test_a_process_with_open_cases_cannot_go(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
        world.open_case(hub, "b")
    head, _, _ = flow(*FIRST).partition("processes:\n")
    world.write(f"rules/{RULES}", head)
    gone = "the process `zaak` is gone, and 1 of its cases are open (in `{}`)"
    expected = [(gone.format(state), 1) for state in ("nieuw", "bezig")]
    with world.hub() as hub:
        assert not in_force(world, hub)
        with pytest.raises(FaultsError) as caught:
            hub.rulebooks.adopt(world.loaded())
        assert sorted((fault.what, fault.line) for fault in caught.value.faults) == sorted(expected)
        assert codes(world.send(hub, "a", FACT)) == []
        assert codes(world.send(hub, "b", FACT)) == []
    with world.hub() as hub:
        assert in_force(world, hub)
        assert hub.rulebooks.current.ruleset.machines == {}


def test_rules_check_tells_of_a_process_that_is_gone(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
    head, _, _ = flow(*FIRST).partition("processes:\n")
    world.write(f"rules/{RULES}", head)
    code, faults = world.check()
    assert (code, [fault["what"] for fault in faults]) == (1, ["the process `zaak` is gone, and 1 of its cases are open (in `nieuw`)"])


def test_a_process_under_another_id_is_another_process(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
    world.write(f"rules/{RULES}", flow(*FIRST).replace("id: zaak", "id: dossier"))
    assert [fault["what"] for fault in world.check()[1]] == ["the process `zaak` is gone, and 1 of its cases are open (in `nieuw`)"]


# --- variables that old cases lack ---


def counted(*lines: str) -> tuple[str, ...]:
    """Return the process with a variable that the start sets."""
    return (START.replace("s.datum}", "s.datum, n: 0}"), *FIRST[1:-2], *lines, "terms:", TERM)


def test_a_variable_that_every_path_now_sets_is_missing_from_the_cases_that_are_open(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
        world.open_case(hub, "b")
        world.open_case(hub, "c", STEP)
        world.open_case(hub, "d", FACT)
    text = world.rules(*counted())
    lacks = "open cases of `zaak` in state `{}` have no `n`, which every path now sets"
    line = line_of(text, "id: zaak")
    refused(
        world,
        (f"rules/{RULES}", line, "1 " + lacks.format("bezig")),
        (f"rules/{RULES}", line, "2 " + lacks.format("nieuw")),
    )
    with world.hub() as hub:
        for name in ("a", "b", "c"):
            world.send(hub, name, FACT)
    with world.hub() as hub:
        assert in_force(world, hub)
        world.open_case(hub, "e")
        assert world.case(hub, "e")["variables"] == {"datum": None, "n": 0}


def test_a_variable_that_only_a_state_to_come_has_is_missed_by_nobody_who_is_not_there_yet(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
    step = STEPS[0].replace("to: bezig", "to: bezig, set: {op: today}")
    world.rules(START, FINAL, "transitions:", step, *STEPS[1:], "terms:", TERM)
    with world.hub("2026-11-05T09:00") as hub:
        assert in_force(world, hub)
        world.send(hub, "a", STEP)
        assert world.case(hub, "a")["variables"] == {"datum": None, "op": "2026-11-05"}


def test_a_case_is_held_to_the_variables_of_the_state_that_it_is_moved_to(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
    step = STEPS[0].replace("to: bezig", "to: loopt, set: {op: today}")
    rest = [line.replace("bezig", "loopt") for line in (*STEPS[1:], "terms:", TERM)]
    text = world.rules(START, FINAL, "transitions:", step, *rest, "migrate: {bezig: loopt}")
    what = "1 open cases of `zaak` in state `loopt` have no `op`, which every path now sets"
    refused(world, (f"rules/{RULES}", line_of(text, "id: zaak"), what))
    world.rules(START, FINAL, "transitions:", step, *rest, "migrate: {bezig: nieuw}")
    with world.hub() as hub:
        assert (in_force(world, hub), world.state(hub, "a")) == (True, "nieuw")


def test_a_variable_that_nothing_sets_any_more_stays_with_the_cases_that_have_it(world: World) -> None:
    world.rules(*counted())
    with world.hub() as hub:
        world.open_case(hub, "a")
    world.rules(*FIRST)
    with world.hub() as hub:
        assert in_force(world, hub)
        assert world.case(hub, "a")["variables"] == {"datum": None, "n": 0}


@pytest.mark.parametrize(("now", "fits"), [("s.soort", False), ("s.ja", False), ("null", True), ("s.aantal", True)])
def test_a_variable_that_gets_another_type_stops_the_rules(world: World, now: str, fits: bool) -> None:  # noqa: FBT001
    world.rules(*counted())
    with world.hub() as hub:
        world.open_case(hub, "a")
        world.open_case(hub, "b", STEP)
    step = STEPS[0].replace("to: bezig", f"to: bezig, set: {{n: {now}}}")
    value = "null" if fits else now
    text = world.rules(START.replace("s.datum}", f"s.datum, n: {value}}}"), FINAL, "transitions:", step, *STEPS[1:], "terms:", TERM)
    if not fits:
        refused(world, (f"rules/{RULES}", line_of(text, "id: zaak"), "2 open cases of `zaak` hold a `n` of another type than it has now"))
    with world.hub() as hub:
        assert in_force(world, hub) is fits


def test_a_variable_that_may_no_longer_be_null_stops_the_rules_for_the_cases_in_which_it_is(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
        world.open_case(hub, "b", datum="2026-12-01")
    text = world.rules(*(line.replace("s.datum", "today") for line in FIRST))
    refused(world, (f"rules/{RULES}", line_of(text, "id: zaak"), "1 open cases of `zaak` hold a `datum` of another type than it has now"))


# --- terms that go on ---


@pytest.mark.parametrize(
    ("term", "due"),
    [
        (TERM, {"termijn": "2026-11-17T00:00"}),
        (TERM.replace("P14D", "P7D"), {"termijn": "2026-11-17T00:00"}),
        (TERM.replace("P14D", "werkdagen(30)"), {"termijn": "2026-11-17T00:00"}),
        (TERM.replace("after: P14D", "at: c.datum"), {"termijn": "2026-11-17T00:00"}),
        (TERM.replace("termijn", "anders"), {"anders": "2026-11-17T00:00"}),
        (TERM.replace("termijn", "anders").replace("P14D", "P3D"), {"anders": "2026-11-06T00:00"}),
        (TERM.replace("termijn", "anders").replace("after: P14D", "at: c.datum"), {"anders": "2026-12-02T00:00"}),
        (TERM.replace("[nieuw, bezig]", "bezig"), {}),
    ],
    ids=["same", "shorter", "longer", "a date", "another code", "shorter under another code", "a date under another code", "elsewhere"],
)  # fmt: skip
def test_a_running_term_goes_on_as_it_was_and_a_new_one_counts_from_the_day_that_the_state_was_entered(
    world: World, term: str, due: dict[str, str]
) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", datum="2026-12-01")
    world.rules(*FIRST[:-1], term, "guards: [{name: uitvoeren, closed_in: bezig, code: loopt}]")
    with world.hub("2026-11-04T09:00") as hub:
        assert in_force(world, hub)
        assert world.due(hub, "a") == due


def test_a_new_term_that_is_past_already_falls_due_at_once_and_once(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
    new = "  - {in: nieuw, after: P3D, notify: [doel], code: drie-dagen}"
    world.rules(*FIRST, new)
    for at in ("2026-11-12T09:00", "2026-11-12T10:00"):
        with world.hub(at) as hub:
            told = [(delivery["data"]["code"], delivery["data"]["uiterlijk"]) for delivery in received(hub, "doel", REMINDER)]
            assert told == [("drie-dagen", "2026-11-05")]


def test_what_fell_due_before_the_new_rules_does_not_fall_due_again_under_them(world: World) -> None:
    reminding = TERM.replace("to: klaar, ", "")
    world.rules(*FIRST[:-1], reminding)
    with world.hub() as hub:
        world.open_case(hub, "a")
    with world.hub("2026-11-18T09:00") as hub:
        world.send(hub, "a", STEP)
    world.rules(*FIRST[:-1], reminding.replace("notify: [doel]", "notify: [doel, loket]"))
    with world.hub("2026-12-31T09:00") as hub:
        assert in_force(world, hub)
        assert (world.state(hub, "a"), world.due(hub, "a")) == ("bezig", {})
        assert len(received(hub, "doel", REMINDER)) == 1


def test_a_reminder_before_a_day_goes_out_once_for_that_day_also_when_the_number_of_days_changes(world: World) -> None:
    ahead = "  - {in: nieuw, before: [c.datum, P5D], notify: [doel], code: nadert}"
    world.rules(*FIRST[:-1], ahead)
    with world.hub() as hub:
        world.open_case(hub, "a", datum="2026-11-20")
    with world.hub("2026-11-16T09:00") as hub:
        assert [told["data"]["uiterlijk"] for told in received(hub, "doel", REMINDER)] == ["2026-11-20"]
    for days in ("P7D", "P2D"):
        world.rules(*FIRST[:-1], ahead.replace("P5D", days))
        with world.hub("2026-11-19T09:00") as hub:
            assert (in_force(world, hub), world.due(hub, "a")) == (True, {})
            assert len(received(hub, "doel", REMINDER)) == 1


def test_a_late_clock_lets_old_terms_fall_due_by_the_new_rules_on_their_own_day(world: World) -> None:
    """The hub was down while the term passed and the rules changed."""
    with world.hub() as hub:
        world.open_case(hub, "a")
    late = TERM.replace("to: klaar", "to: laat")
    world.rules(*FIRST[:-1], late, "  - {in: laat, after: P7D, to: klaar, code: nog-een-week}")
    with world.hub("2026-11-20T09:00") as hub:
        assert world.state(hub, "a") == "laat"
        assert world.due(hub, "a") == {"nog-een-week": "2026-11-25T00:00"}


def test_a_setting_that_comes_or_changes_starts_the_term_that_lacked_it_and_touches_no_other(world: World) -> None:
    counting = "  - {in: nieuw, after: werkdagen(cfg.dagen), to: klaar, code: dagen}"
    world.rules(*FIRST, counting)
    later = SETTINGS.replace("- {value: 7, from: 2026-07-01, source: test}", "- {value: 7, from: 2027-01-01, source: test}")
    world.write("rules/settings.yaml", later)
    with world.hub() as hub:
        world.open_case(hub, "utrecht", gemeentecode="0344")
        world.open_case(hub, "tilburg", gemeentecode="0855")
        assert {name: world.due(hub, name).get("dagen") for name in world.ketens} == {"utrecht": "2026-11-06T00:00", "tilburg": None}
    world.write("rules/settings.yaml", SETTINGS.replace("value: 3", "value: 4"))
    with world.hub("2026-11-04T09:00") as hub:
        found = {name: world.due(hub, name).get("dagen") for name in world.ketens}
        assert found == {"utrecht": "2026-11-06T00:00", "tilburg": "2026-11-12T00:00"}
        world.open_case(hub, "nieuw", gemeentecode="0344")
        assert world.due(hub, "nieuw")["dagen"] == "2026-11-11T00:00"


# --- rules that are not taken up ---


def broken(world: World) -> None:
    world.write(f"rules/{RULES}", flow(*FIRST).replace("to: bezig}", "to: bezg}"))


def stranding(world: World) -> None:
    world.rules(*RENAMED)


def lacking(world: World) -> None:
    world.rules(*counted())


@pytest.mark.parametrize("change", [broken, stranding, lacking])
def test_under_rules_that_are_not_taken_up_the_old_ones_stay_and_the_case_goes_on(world: World, change: Callable[[World], None]) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
        old, before = hub.rulebooks.current.ruleset.version, world.case(hub, "a")
    change(world)
    with world.hub("2026-11-05T09:00") as hub:
        assert hub.rulebooks.current.ruleset.version == old
        assert world.case(hub, "a") == before
        assert codes(world.send(hub, "a", STEP)) == ["al-gedaan"]
        world.open_case(hub, "b")
    with world.hub("2026-11-17T00:00") as hub:
        assert hub.rulebooks.current.ruleset.version == old
        assert (world.state(hub, "a"), world.state(hub, "b")) == ("klaar", "nieuw")


def test_nothing_of_refused_rules_is_kept(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
    world.rules(*RENAMED)
    refused_version = world.loaded().version
    with world.hub() as hub, hub.database.read() as connection:
        assert refused_version not in {row[0] for row in connection.exec_driver_sql("SELECT version FROM rule_sets")}


def test_a_running_hub_refuses_them_too_and_takes_the_next_ones(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
        old = hub.rulebooks.current
        world.rules(*RENAMED)
        with pytest.raises(FaultsError, match="which is no longer there"):
            hub.rulebooks.adopt(world.loaded())
        assert hub.rulebooks.current is old
        world.rules(*RENAMED, "migrate: {bezig: loopt}")
        assert hub.rulebooks.adopt(world.loaded()) is not old
        assert world.state(hub, "a") == "loopt"


def test_going_back_to_earlier_rules_is_held_against_the_cases_as_going_forward_is(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
    world.rules(*RENAMED, "migrate: {bezig: loopt}")
    with world.hub() as hub:
        world.open_case(hub, "b", STEP)
    text = world.rules(*FIRST)
    refused(world, (f"rules/{RULES}", line_of(text, "id: zaak"), "2 open cases of `zaak` are in state `loopt`"))
    world.rules(*FIRST, "migrate: {loopt: bezig}")
    with world.hub() as hub:
        assert {name: world.state(hub, name) for name in world.ketens} == {"a": "bezig", "b": "bezig"}


def test_taking_up_the_same_rules_again_changes_nothing(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a", STEP)
        before, book = world.case(hub, "a"), hub.rulebooks.current.id
    for at in ("2026-11-03T09:00", "2026-11-04T09:00"):
        with world.hub(at) as hub:
            assert (world.case(hub, "a"), hub.rulebooks.current.id) == (before, book)


def test_a_step_is_recorded_under_the_rules_by_which_it_was_taken(world: World) -> None:
    with world.hub() as hub:
        world.open_case(hub, "a")
    world.rules(*FIRST, "guards: [{name: uitvoeren, closed_in: bezig, code: loopt}]")
    with world.hub() as hub:
        world.send(hub, "a", STEP)
        with hub.database.read() as connection:
            used = [row[0] for row in connection.exec_driver_sql("SELECT rule_set FROM case_steps ORDER BY id")]
    assert used == [1, 2]
