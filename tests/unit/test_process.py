"""Cases: one pure step function, from the rules as they are loaded to the state, variables and terms of a case."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain import process, terms
from hub.domain.decide import Circumstances, Conditions
from hub.domain.loading import load
from hub.domain.machine import Guard, Machine
from hub.domain.process import Arrived, Calendar, Case, Corrected, Due, Mover, Step, Trigger, Withdrawn
from hub.domain.processfile import REMINDER
from hub.domain.ruleset import RuleSet
from hub.domain.signal import Signal
from tests.unit.test_contract import DATE, PARTICIPANTS, enum, field, schema_of
from tests.unit.test_rules import FLOW_FILE, GROUNDS, OWN, SETTINGS

REPORTED: Final = "nl.test.gemeld.v1"
STEP: Final = "nl.test.stap.v1"
ANSWER: Final = "nl.test.antwoord.v1"
FACT: Final = "nl.test.feit.v1"
INFORMED: Final = ("JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT")
HOLIDAYS: Final = "gelijkgesteld: [{datum: 2026-05-04, status: te-toetsen, source: test}]\n"


def schema(type_: str, *more: dict[str, Any], subject: Any = "@keten", **signal: Any) -> str:
    """Return a contract with fields of every kind that a case can keep."""
    fields = (
        field("datum", ["null", DATE], default=None), field("aantal", "int"), field("soort", enum("Soort", "HUUR", "ZORG")),
        field("ja", "boolean"), *more,
    )  # fmt: skip
    return json.dumps(schema_of(*fields, type=type_, subject=subject, publishers=["bron", "doel"], **signal), indent=1)


def schemas() -> dict[str, str]:
    reported = schema(
        REPORTED, field("gemeentecode", "string", format="gemeentecode", privacy="organisation"),
        field("bsn", "string", format="bsn", privacy="identifier"), field("betrokkene_geinformeerd", enum("Geinformeerd", *INFORMED)),
        field("contactrol", "string", privacy="organisation"), subject=["bsn"], municipality="gemeentecode",
    )  # fmt: skip
    return {f"schemas/{REPORTED}.avsc": reported} | {f"schemas/{name}.avsc": schema(name) for name in (STEP, ANSWER, FACT)}


HEAD: Final = f"""flow: proef
purpose: Een doel
activity: https://example.org/proef
grants:
  - {{id: proef.doel, signal: {REPORTED}, to: doel, legal_basis: [wet-1], fields: [aantal], retention: P6M, explain: Uitleg.}}
  - {{id: proef.loket, signal: {REPORTED}, to: loket, legal_basis: [wet-1], fields: [aantal], retention: P6M, explain: Uitleg.}}
"""
FILES: Final = OWN | schemas() | {
    "rules/participants.yaml": PARTICIPANTS, "rules/grounds.yaml": GROUNDS, "rules/settings.yaml": SETTINGS,
    "rules/feestdagen.yaml": HOLIDAYS,
}  # fmt: skip
ORDINARY: Final = {"datum": None, "aantal": 1, "soort": "HUUR", "ja": False}
PERSON: Final = {"gemeentecode": "0344", "bsn": "999990019", "betrokkene_geinformeerd": "NVT", "contactrol": "loket"}


def flow(*lines: str) -> str:
    """Return a rule file with one process; each line is a key of it."""
    return HEAD + "processes:\n  - id: zaak\n    case: e.correlationid\n" + "".join(f"    {line}\n" for line in lines)


@cache
def ruleset(*lines: str) -> RuleSet:
    return load(FILES | {FLOW_FILE: flow(*lines)}).unwrap()


def machine(*lines: str) -> Machine:
    return ruleset(*lines).machines["zaak"]


def local(ms: int) -> str:
    """Return a moment as a Dutch clock shows it."""
    return terms.to_moment(ms).astimezone(terms.AMSTERDAM).strftime("%Y-%m-%dT%H:%M")


class Play:
    """One case of the process `zaak`, moved as the hub moves it: first what is due, then what comes."""

    def __init__(self, *lines: str, at: str = "2026-11-02T09:00", municipality: str = "0344") -> None:
        self.rules = ruleset(*lines)
        self.machine = self.rules.machines["zaak"]
        self.calendar = Calendar(self.rules.settings, municipality)
        self.now = terms.moment(at)
        self.case: Case | None = None
        self.told: list[tuple[str, str, str | None]] = []
        """Code, state and last day of each reminder."""
        self.failed: list[str] = []
        self.fired: list[tuple[str, str]] = []
        """Code of each term that fell due, and when it did."""
        self.last = 0

    # --- what happens ---

    def arrive(self, type_: str, by: str = "bron", at: str | None = None, **data: Any) -> str | None:
        """Let a signal come in. Returns why it is refused, or None."""
        self.until(at)
        self.last += 1
        return self.take(Arrived(Mover(self.last, type_, by), self.bind(type_, by, data)))

    def correct(self, original: int, type_: str, by: str = "bron", at: str | None = None, **data: Any) -> str | None:
        """Let a signal come in that replaces an earlier one."""
        self.until(at)
        self.last += 1
        return self.take(Corrected(original, Mover(self.last, type_, by), self.bind(type_, by, data)))

    def withdraw(self, type_: str, at: str | None = None, signal: int | None = None) -> str | None:
        """Take back a signal, the newest of its type unless another is given."""
        self.until(at)
        newest = self.case.newest.get(type_, self.last) if self.case else self.last
        return self.take(Withdrawn(Mover(newest if signal is None else signal, type_, "bron")))

    def until(self, at: str | None) -> None:
        """Let the clock run once, at this moment; it may be late."""
        if at is not None:
            self.now = terms.moment(at)
        while self.case is not None and self.case.next_due is not None and self.case.next_due <= self.now:
            code = process.first_due(self.machine, self.case)
            self.fired.append((code, local(self.case.due[code])))
            assert self.take(Due(code, self.case.due[code])) is None

    def take(self, trigger: Trigger) -> str | None:
        before = self.case
        taken = process.step(self.machine, before, trigger, self.calendar, self.now)
        assert process.step(self.machine, before, trigger, self.calendar, self.now) == taken
        if not isinstance(taken, Step):
            return taken.code
        self.case = taken.case if taken.case.state else None
        self.told += [(told.notice.code, told.state, told.until.isoformat() if told.until else None) for told in taken.told]
        self.failed += taken.failed
        return None

    def bind(self, type_: str, by: str, data: dict[str, Any]) -> Callable[[Case], Any]:
        rules = self.rules.types[type_]
        checked, issues = rules.check_json(ORDINARY | (PERSON if type_ == REPORTED else {}) | data)
        publisher = self.rules.participants.find(by)
        assert not issues
        assert publisher is not None
        signal = Signal(rules, publisher, "1", bytes(16), self.now, checked, b"", municipality=self.calendar.municipality)
        now = self.now

        def bind(case: Case) -> Any:
            return Conditions(self.rules, signal, Circumstances(now, terms.amsterdam_date(now), "k", case=case)).under(None)

        return bind

    # --- how it stands ---

    @property
    def state(self) -> str | None:
        return self.case.state if self.case else None

    @property
    def variables(self) -> dict[str, Any]:
        return dict(self.case.variables) if self.case else {}

    @property
    def due(self) -> dict[str, str]:
        return {code: local(at) for code, at in self.case.due.items()} if self.case else {}

    @property
    def entered(self) -> str | None:
        return local(self.case.entered_ms) if self.case else None


START: Final = f"start: {{on: {REPORTED}, to: nieuw}}"
COUNTING: Final = f"start: {{on: {REPORTED}, to: nieuw, set: {{datum: s.datum, n: 0}}}}"
PLAIN: Final = (
    COUNTING,
    "final: [klaar, vervallen]",
    "sets: {open: [nieuw, bezig]}",
    "transitions:",
    f"  - {{from: nieuw, on: {STEP}, to: bezig, set: {{n: c.n + 1}}}}",
    f"  - {{from: bezig, on: {STEP}, to: bezig, when: s.aantal > 9, set: {{n: c.n + s.aantal}}}}",
    f"  - {{from: open, on: {ANSWER}}}",
    f"  - {{from: [open, klaar], on: {FACT}, to: klaar, when: s.ja, fact: true}}",
    f"  - {{from: bezig, withdrawn: {STEP}, to: nieuw, set: {{n: 0}}}}",
    f"  - {{from: open, withdrawn: {REPORTED}, to: vervallen}}",
)
"""Nearly everything that a signal or a withdrawal can do."""


def played(*events: str | tuple[str, dict[str, Any]], lines: tuple[str, ...] = PLAIN) -> Play:
    """Return a case after events that all fit: signal types, with data if need be."""
    play = Play(*lines)
    for event in events:
        type_, data = event if isinstance(event, tuple) else (event, {})
        assert play.arrive(type_, **data) is None
    return play


# --- the start ---


def test_the_signal_of_the_start_opens_a_case_and_sets_its_variables() -> None:
    play = played((REPORTED, {"datum": "2026-12-01"}))
    assert play.case == Case(
        "nieuw", play.now, {"datum": "2026-12-01", "n": 0}, {}, frozenset(), Mover(1, REPORTED, "bron"), ("", {}), {REPORTED: 1}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("unmet", "code"), [("", "stap-voorwaarde"), (", unmet: {code: te-weinig, text: Het zijn er te weinig.}", "te-weinig")]
)
def test_a_start_whose_condition_does_not_hold_opens_nothing_and_says_why(unmet: str, code: str) -> None:
    play = Play(f"start: {{on: {REPORTED}, to: nieuw, when: s.aantal > 1{unmet}}}", "final: [nieuw]")
    assert play.arrive(REPORTED) == code
    assert play.case is None
    assert play.arrive(REPORTED, aantal=2) is None
    assert play.state == "nieuw"


def test_what_an_unmet_condition_says_is_told_in_its_own_words() -> None:
    play = Play(f"start: {{on: {REPORTED}, to: nieuw, when: s.ja, unmet: {{code: niet-ja, text: U zei geen ja.}}}}", "final: [nieuw]")
    refused = process.step(
        play.machine, None, Arrived(Mover(1, REPORTED, "bron"), play.bind(REPORTED, "bron", {})), play.calendar, play.now
    )
    assert (getattr(refused, "code", ""), getattr(refused, "text", "")) == ("niet-ja", "U zei geen ja.")


@pytest.mark.parametrize(
    ("type_", "code"), [(STEP, "zaak-onbekend"), (ANSWER, "zaak-onbekend"), (FACT, None)], ids=["step", "answer", "fact"]
)
def test_without_a_case_only_a_fact_is_accepted_and_it_leaves_no_case(type_: str, code: str | None) -> None:
    play = Play(*PLAIN)
    assert play.arrive(type_, ja=True) == code
    assert play.case is None
    assert not play.told


def test_nothing_can_be_taken_back_or_corrected_where_there_is_no_case() -> None:
    play = Play(*PLAIN)
    assert play.withdraw(STEP) == "zaak-onbekend"
    assert play.correct(1, STEP) == "zaak-onbekend"


def test_the_type_of_the_start_may_be_a_step_too_once_there_is_a_case() -> None:
    play = Play(START, "final: [klaar]", f"transitions: [{{from: nieuw, on: {REPORTED}, to: klaar, when: s.ja}}]")
    assert play.arrive(REPORTED) is None
    assert play.arrive(REPORTED) == "stap-voorwaarde"
    assert play.arrive(REPORTED, ja=True) is None
    assert play.state == "klaar"


# --- steps ---


@pytest.mark.parametrize(
    ("earlier", "type_", "data", "answer", "state", "n"),
    [
        ((), STEP, {}, None, "bezig", 1),
        ((STEP,), STEP, {"aantal": 10}, None, "bezig", 11),
        ((STEP,), STEP, {"aantal": 9}, "stap-voorwaarde", "bezig", 1),
        ((STEP,), ANSWER, {}, None, "bezig", 1),
        ((), ANSWER, {}, None, "nieuw", 0),
        ((), REPORTED, {}, "zaak-bestaat-al", "nieuw", 0),
        ((STEP,), REPORTED, {}, "zaak-bestaat-al", "bezig", 1),
        (((FACT, {"ja": True}),), REPORTED, {}, "zaak-bestaat-al", "klaar", 0),
        (((FACT, {"ja": True}),), STEP, {}, "staat-past-niet", "klaar", 0),
        (((FACT, {"ja": True}),), ANSWER, {}, "staat-past-niet", "klaar", 0),
    ],
)
def test_a_signal_moves_a_case_in_the_states_that_the_rules_name_and_is_refused_in_others(
    earlier: tuple[Any, ...], type_: str, data: dict[str, Any], answer: str | None, state: str, n: int
) -> None:
    play = played(REPORTED, *earlier)
    before = play.case
    assert play.arrive(type_, **data) == answer
    assert (play.state, play.variables["n"]) == (state, n)
    assert answer is None or play.case == before


CHOICES: Final = (
    START, "final: [een, twee, drie]", "transitions:",
    f"  - {{from: nieuw, on: {STEP}, to: een, when: s.datum > '2026-11-02', unmet: {{code: te-vroeg, text: Te vroeg.}}}}",
    f"  - {{from: nieuw, on: {STEP}, to: twee, when: s.aantal > 1, unmet: {{code: te-weinig, text: Te weinig.}}}}",
    f"  - {{from: nieuw, on: {STEP}, to: drie, when: s.ja}}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "answer", "state"),
    [
        ({"datum": "2026-11-03"}, None, "een"),
        ({"datum": "2026-11-03", "aantal": 2, "ja": True}, None, "een"),
        ({"datum": "2026-11-02", "aantal": 2, "ja": True}, None, "twee"),
        ({"datum": "2026-11-02", "ja": True}, None, "drie"),
        ({"datum": "2026-11-02"}, "te-weinig", "nieuw"),
    ],
)
def test_the_first_transition_whose_condition_holds_is_taken_and_else_the_last_word_of_the_rules_is_told(
    data: dict[str, Any], answer: str | None, state: str
) -> None:
    play = played(REPORTED, lines=CHOICES)
    assert play.arrive(STEP, **data) == answer
    assert (play.state, play.failed) == (state, [])


@pytest.mark.parametrize(("aantal", "answer", "state", "failed"), [(2, None, "twee", ["zaak"]), (1, "voorwaarde-fout", "nieuw", [])])
def test_a_condition_that_cannot_be_evaluated_is_not_met_and_somebody_hears_of_it(
    aantal: int, answer: str | None, state: str, failed: list[str]
) -> None:
    """null > a date is an error in CEL; `voorwaarde-fout` is itself what makes the hub log it."""
    play = played(REPORTED, lines=CHOICES)
    assert play.arrive(STEP, aantal=aantal) == answer
    assert (play.state, play.failed) == (state, failed)


def test_a_set_that_cannot_be_evaluated_moves_nothing() -> None:
    divided = "set: {n: 10 / s.aantal}"
    play = played(
        REPORTED, lines=(START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: klaar, {divided}}}",
                         f"  - {{from: nieuw, on: {FACT}, to: klaar, fact: true, {divided}}}"),
    )  # fmt: skip
    before = play.case
    assert play.arrive(STEP, aantal=0) == "voorwaarde-fout"
    assert (play.case, play.failed) == (before, [])
    assert play.arrive(FACT, aantal=0) is None
    assert (play.case, play.failed) == (before, ["zaak"])


def test_a_set_reads_the_case_as_it_was_before_the_step() -> None:
    play = played(
        REPORTED, STEP, lines=(f"start: {{on: {REPORTED}, to: nieuw, set: {{a: 1, b: 2}}}}", "final: [klaar]",
                               f"transitions: [{{from: nieuw, on: {STEP}, to: klaar, set: {{a: c.b, b: c.a}}}}]"),
    )  # fmt: skip
    assert play.variables == {"a": 2, "b": 1}


def test_conditions_may_read_the_state_the_publisher_the_day_and_the_settings() -> None:
    when = "c.state == 'nieuw' && e.participant == 'doel' && today == '2026-11-03' && cfg.dagen == 3"
    play = Play(START, "final: [klaar]", f'transitions: [{{from: nieuw, on: {STEP}, to: klaar, when: "{when}"}}]')
    play.arrive(REPORTED)
    assert play.arrive(STEP, by="doel") == "stap-voorwaarde"
    assert play.arrive(STEP, at="2026-11-03T00:00") == "stap-voorwaarde"
    assert play.arrive(STEP, by="doel") is None


def test_a_step_without_a_state_to_go_to_leaves_everything_as_it_was() -> None:
    play = played(REPORTED, STEP)
    before = play.case
    play.now += 1
    assert play.arrive(ANSWER) is None
    assert play.case == before


def test_a_step_without_a_state_to_go_to_may_set_variables_and_does_not_enter_the_state_again() -> None:
    play = played(REPORTED, lines=(COUNTING, "final: [klaar]", "transitions:",
                                   f"  - {{from: nieuw, on: {STEP}, set: {{n: c.n + 1}}}}",
                                   f"  - {{from: nieuw, on: {FACT}, to: klaar, fact: true}}"))  # fmt: skip
    for _ in range(3):
        assert play.arrive(STEP, at="2026-11-05T10:00") is None
    assert (play.state, play.entered, play.variables["n"]) == ("nieuw", "2026-11-02T09:00", 3)


# --- twice the same ---


@pytest.mark.parametrize(
    ("earlier", "type_", "by", "answer"),
    [
        ((), STEP, "bron", None),
        ((STEP,), STEP, "bron", "al-gedaan"),
        ((STEP,), STEP, "doel", "ander-was-voor"),
        ((STEP, ANSWER), STEP, "bron", "al-gedaan"),
        ((STEP, FACT), STEP, "bron", "staat-past-niet"),
        ((FACT,), STEP, "bron", "staat-past-niet"),
    ],
)
def test_a_second_try_hears_whether_it_was_there_before_or_somebody_else_was(
    earlier: tuple[str, ...], type_: str, by: str, answer: str | None
) -> None:
    once = (START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig}}", f"  - {{from: bezig, on: {ANSWER}}}",
            f"  - {{from: [nieuw, bezig], on: {FACT}, to: klaar}}")  # fmt: skip
    assert played(REPORTED, *earlier, lines=once).arrive(type_, by=by) == answer


def test_who_began_a_case_has_not_done_what_the_same_type_does_later() -> None:
    lines = (
        START,
        "final: [klaar]",
        "transitions:",
        f"  - {{from: nieuw, on: {STEP}, to: bezig}}",
        f"  - {{from: bezig, on: {REPORTED}, to: klaar}}",
    )
    assert played(REPORTED, lines=lines).arrive(REPORTED) == "staat-past-niet"


def test_what_a_term_moved_since_was_done_by_nobody() -> None:
    lines = (START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig}}",
             f"  - {{from: gemeld, on: {FACT}, to: bezig}}", "terms:", "  - {in: bezig, after: P1D, to: gemeld, code: dag}",
             "  - {in: gemeld, after: P1D, to: klaar, code: nog-een-dag}")  # fmt: skip
    play = played(REPORTED, STEP, lines=lines)
    assert play.arrive(STEP) == "al-gedaan"
    assert play.arrive(STEP, at="2026-11-04T00:00") == "staat-past-niet"


def test_a_term_that_only_reminds_does_not_change_who_was_first() -> None:
    lines = (START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig}}", f"  - {{from: bezig, on: {FACT}, to: klaar}}",
             "terms: [{in: bezig, after: P1D, notify: [doel], code: dag}]")  # fmt: skip
    play = played(REPORTED, STEP, lines=lines)
    assert play.arrive(STEP, at="2026-11-05T00:00") == "al-gedaan"
    assert play.told == [("dag", "bezig", "2026-11-03")]


# --- facts ---


@pytest.mark.parametrize(
    ("earlier", "data", "state"),
    [
        ((), {"ja": True}, "klaar"),
        ((), {"ja": False}, "nieuw"),
        ((STEP,), {"ja": False}, "bezig"),
        (((FACT, {"ja": True}),), {"ja": False}, "klaar"),
        (((FACT, {"ja": True}),), {"ja": True}, "klaar"),
    ],
)
def test_a_fact_is_never_refused_whether_or_not_it_moves_the_case(earlier: tuple[Any, ...], data: dict[str, Any], state: str) -> None:
    play = played(REPORTED, *earlier)
    assert play.arrive(FACT, by="doel", **data) is None
    assert play.state == state


def test_a_type_that_is_a_fact_somewhere_is_one_everywhere() -> None:
    lines = (START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig}}",
             f"  - {{from: bezig, on: {FACT}, to: klaar, fact: true}}",
             f"  - {{from: nieuw, on: {FACT}, to: klaar, when: s.ja}}")  # fmt: skip
    play = played(REPORTED, lines=lines)
    assert play.machine.is_fact(FACT)
    assert play.arrive(FACT) is None
    assert play.state == "nieuw"


def test_a_type_that_only_raises_an_alarm_is_a_fact() -> None:
    lines = (START, "final: [klaar]", f"transitions: [{{from: nieuw, on: {STEP}, to: klaar}}]",
             f"alarms: [{{on: {FACT}, in: nieuw, notify: [doel], code: toch}}]")  # fmt: skip
    play = Play(*lines)
    assert [play.machine.is_fact(name) for name in (FACT, STEP, REPORTED)] == [True, False, False]
    assert play.arrive(FACT) is None
    assert play.case is None
    play.arrive(REPORTED)
    before = play.case
    assert play.arrive(FACT) is None
    assert play.case == before


# --- taking back ---


@pytest.mark.parametrize(
    ("earlier", "type_", "answer", "state"),
    [
        ((STEP,), STEP, None, "nieuw"),
        ((STEP,), REPORTED, None, "vervallen"),
        ((), REPORTED, None, "vervallen"),
        ((), STEP, "stap-al-gezet", "nieuw"),
        ((STEP, (FACT, {"ja": True})), STEP, "stap-al-gezet", "klaar"),
        (((FACT, {"ja": True}),), REPORTED, "stap-al-gezet", "klaar"),
        (((FACT, {"ja": True}),), FACT, "stap-al-gezet", "klaar"),
    ],
)
def test_taking_back_does_what_the_rules_say_of_it_in_the_states_that_they_name_and_is_refused_in_others(
    earlier: tuple[Any, ...], type_: str, answer: str | None, state: str
) -> None:
    play = played(REPORTED, *earlier)
    assert play.withdraw(type_) == answer
    assert play.state == state


@pytest.mark.parametrize(("signal", "answer", "state"), [(2, "stap-al-gezet", "bezig"), (3, None, "nieuw"), (99, "stap-al-gezet", "bezig")])
def test_taking_back_a_signal_whose_place_another_took_leaves_the_case_as_that_one_made_it(
    signal: int, answer: str | None, state: str
) -> None:
    play = played(REPORTED, STEP, (STEP, {"aantal": 10}))
    assert play.withdraw(STEP, signal=signal) == answer
    assert play.state == state


def test_after_a_correction_it_is_the_correction_that_can_be_taken_back() -> None:
    play = played(REPORTED, STEP)
    assert play.correct(2, STEP) is None
    assert play.withdraw(STEP, signal=2) == "stap-al-gezet"
    assert play.withdraw(STEP, signal=3) is None
    assert play.state == "nieuw"


def test_taking_back_an_older_signal_may_be_told_where_that_changes_nothing() -> None:
    lines = (START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: nieuw, set: {{n: s.aantal}}}}",
             f"  - {{from: nieuw, withdrawn: {STEP}, notify: [doel], code: weer-weg}}", f"  - {{from: nieuw, on: {FACT}, to: klaar}}")  # fmt: skip
    play = played(REPORTED, STEP, (STEP, {"aantal": 2}), lines=lines)
    before = play.case
    assert play.withdraw(STEP, signal=2) is None
    assert (play.case, play.told) == (before, [("weer-weg", "nieuw", None)])


def test_after_taking_back_the_state_begins_anew_and_nobody_moved_the_case() -> None:
    play = played(REPORTED, STEP)
    assert play.withdraw(STEP, at="2026-11-05T12:00") is None
    assert play.case is not None
    assert (play.entered, play.variables["n"], play.case.mover, play.case.before) == ("2026-11-05T12:00", 0, None, None)
    assert play.arrive(STEP) is None


def test_taking_back_may_depend_on_the_case_the_day_and_the_settings() -> None:
    when = "c.n < cfg.dagen && today < '2026-11-05'"
    play = played(REPORTED, STEP, lines=(
        COUNTING, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig, set: {{n: c.n + 2}}}}",
        f"  - {{from: bezig, withdrawn: {STEP}, to: klaar, when: \"{when}\", unmet: {{code: te-laat, text: Te laat.}}}}",
    ))  # fmt: skip
    assert play.withdraw(STEP, at="2026-11-05T00:00") == "te-laat"
    assert play.withdraw(STEP, at="2026-11-04T23:59") is None


# --- correcting ---


def test_a_correction_runs_the_set_again_from_the_variables_before_the_original() -> None:
    play = played(REPORTED, STEP, (STEP, {"aantal": 10}))
    assert play.variables["n"] == 11
    assert play.correct(3, STEP, aantal=20) is None
    assert (play.state, play.variables["n"]) == ("bezig", 21)
    assert play.correct(4, STEP, aantal=30) is None
    assert play.variables["n"] == 31
    assert play.correct(3, STEP, aantal=40) == "stap-al-gezet"


def test_a_correction_of_the_start_sets_its_variables_again() -> None:
    play = played((REPORTED, {"datum": "2026-12-01"}))
    assert play.correct(1, REPORTED, datum="2026-12-24", at="2026-11-03T10:00") is None
    assert play.variables == {"datum": "2026-12-24", "n": 0}
    assert play.entered == "2026-11-02T09:00"


def test_what_the_case_kept_beside_the_corrected_step_is_kept() -> None:
    play = played((REPORTED, {"datum": "2026-12-01"}), STEP, (STEP, {"aantal": 10}))
    assert play.correct(3, STEP, aantal=11) is None
    assert play.variables["datum"] == "2026-12-01"


def test_a_correction_that_takes_another_way_to_the_same_state_leaves_nothing_of_the_first() -> None:
    lines = (f"start: {{on: {REPORTED}, to: nieuw, set: {{a: 0, b: 0}}}}", "final: [klaar]", "transitions:",
             f"  - {{from: nieuw, on: {STEP}, to: klaar, when: s.ja, set: {{a: s.aantal}}}}", f"  - {{from: nieuw, on: {STEP}, to: klaar, set: {{b: s.aantal}}}}")  # fmt: skip
    play = played(REPORTED, (STEP, {"ja": True, "aantal": 5}), lines=lines)
    assert play.variables == {"a": 5, "b": 0}
    assert play.correct(2, STEP, aantal=6) is None
    assert play.variables == {"a": 0, "b": 6}


@pytest.mark.parametrize("event", [ANSWER, FACT])
def test_what_leaves_the_case_alone_does_not_keep_the_step_before_it_from_being_corrected(event: str) -> None:
    assert played(REPORTED, STEP, event).correct(2, STEP) is None


@pytest.mark.parametrize("original", [1, 3, 99])
def test_only_the_signal_that_moved_the_case_last_can_be_corrected(original: int) -> None:
    play = played(REPORTED, STEP)
    before = play.case
    assert play.correct(original, STEP) == "stap-al-gezet"
    assert play.case == before


def test_after_a_withdrawal_or_a_term_there_is_no_step_to_correct() -> None:
    play = played(REPORTED, STEP)
    play.withdraw(STEP)
    assert play.correct(2, STEP) == "stap-al-gezet"
    play = played(REPORTED, lines=(START, "final: [klaar]", "terms: [{in: nieuw, after: P1D, to: klaar, code: dag}]"))
    assert play.correct(1, REPORTED, at="2026-11-04T00:00") == "stap-al-gezet"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ({"ja": True}, None),
        ({"ja": True, "aantal": 3}, "stap-voorwaarde"),
        ({"aantal": 3}, "stap-voorwaarde"),
        ({}, "geen-ja"),
    ],
    ids=["as before", "also elsewhere", "elsewhere", "nowhere"],
)
def test_a_correction_that_would_have_led_elsewhere_is_refused(data: dict[str, Any], answer: str | None) -> None:
    play = played(REPORTED, (STEP, {"ja": True}), lines=(
        START, "final: [veel, ja]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: veel, when: s.aantal > 2}}",
        f"  - {{from: nieuw, on: {STEP}, to: ja, when: s.ja, unmet: {{code: geen-ja, text: Geen ja.}}}}",
    ))  # fmt: skip
    before = play.case
    assert play.correct(2, STEP, **data) == answer
    assert play.state == "ja"
    assert answer is None or play.case == before


def test_a_correction_whose_set_cannot_be_evaluated_is_refused() -> None:
    play = played(
        REPORTED, STEP, lines=(START, "final: [klaar]", f"transitions: [{{from: nieuw, on: {STEP}, to: klaar, set: {{n: 10 / s.aantal}}}}]")
    )
    assert play.correct(2, STEP, aantal=0) == "voorwaarde-fout"


def test_a_correction_moves_the_terms_on_a_date_and_restarts_no_other() -> None:
    play = played((REPORTED, {"datum": "2026-12-01"}), lines=(
        COUNTING, "final: [klaar]", "terms:", "  - {in: nieuw, at: c.datum, to: klaar, code: dag}",
        "  - {in: nieuw, after: P30D, to: klaar, code: maand}",
    ))  # fmt: skip
    assert play.due == {"dag": "2026-12-02T00:00", "maand": "2026-12-03T00:00"}
    assert play.correct(1, REPORTED, datum="2026-12-24", at="2026-11-20T12:00") is None
    assert play.due == {"dag": "2026-12-25T00:00", "maand": "2026-12-03T00:00"}
    assert not play.told


# --- reminders of steps ---


def test_a_transition_may_send_a_reminder_with_a_grant_for_each_recipient() -> None:
    lines = (START, "final: [klaar]", "transitions:",
             f"  - {{from: nieuw, on: {STEP}, to: klaar, notify: [doel, $starter], code: gezet, text: Er is een stap gezet.}}",
             f"  - {{from: nieuw, on: {ANSWER}, notify: [loket], code: antwoord}}",
             f"  - {{from: nieuw, withdrawn: {REPORTED}, to: klaar, notify: [doel], code: weer-weg}}")  # fmt: skip
    play = played(REPORTED, ANSWER, STEP, lines=lines)
    assert play.told == [("antwoord", "nieuw", None), ("gezet", "klaar", None)]
    play = played(REPORTED, lines=lines)
    play.withdraw(REPORTED)
    assert play.told == [("weer-weg", "klaar", None)]
    notices = {notice.code: notice for notice in play.machine.notices}
    assert [grant.id for grant in notices["gezet"].grants] == ["zaak.gezet.doel", "zaak.gezet.starter"]
    assert {(grant.signal, grant.explain) for grant in notices["gezet"].grants} == {(REMINDER, "Er is een stap gezet.")}
    assert set(play.rules.grants) >= {"zaak.gezet.doel", "zaak.gezet.starter", "zaak.antwoord.loket", "zaak.weer-weg.doel"}


# --- terms: when they fall due ---


@pytest.mark.parametrize(
    ("after", "entered", "due"),
    [
        ("werkdagen(5)", "2026-11-02T09:00", "2026-11-10T00:00"),
        ("werkdagen(5)", "2026-11-02T00:00", "2026-11-10T00:00"),
        ("werkdagen(5)", "2026-11-02T23:59", "2026-11-10T00:00"),
        ("werkdagen(5)", "2026-11-03T00:00", "2026-11-11T00:00"),
        ("werkdagen(5)", "2026-04-30T09:00", "2026-05-12T00:00"),
        ("werkdagen(1)", "2026-12-24T09:00", "2026-12-29T00:00"),
        ("werkdagen(0)", "2026-11-02T09:00", "2026-11-03T00:00"),
        ("werkdagen(cfg.dagen)", "2026-11-02T09:00", "2026-11-06T00:00"),
        ("werkdagen(cfg.dagen + 2)", "2026-11-02T09:00", "2026-11-10T00:00"),
        ("werkdagen(c.n)", "2026-11-02T09:00", "2026-11-12T00:00"),
        ("wettelijk(P6W)", "2026-11-20T09:00", "2027-01-05T00:00"),
        ("wettelijk(P4W)", "2026-02-02T09:00", "2026-03-03T00:00"),
        ("wettelijk(P6M)", "2026-02-02T09:00", "2026-08-03T00:00"),
        ("hard(P8W)", "2026-03-10T09:00", "2026-05-05T00:00"),
        ("hard(P1D)", "2026-11-02T09:00", "2026-11-03T00:00"),
        ("P14D", "2026-11-02T09:00", "2026-11-17T00:00"),
        ("P1M", "2026-01-31T09:00", "2026-03-01T00:00"),
        ("P6M", "2026-11-02T09:00", "2027-05-03T00:00"),
        ("PT36H", "2026-11-02T09:00", "2026-11-03T21:00"),
        ("PT90M", "2026-11-02T23:00", "2026-11-03T00:30"),
        ("P1D", "2026-03-28T12:00", "2026-03-30T00:00"),
        ("P1D", "2026-03-27T23:30", "2026-03-29T00:00"),
        ("P1D", "2026-10-24T12:00", "2026-10-26T00:00"),
        ("P1D", "2026-10-25T02:30", "2026-10-27T00:00"),
    ],
)
def test_after_falls_due_at_midnight_after_its_last_day(after: str, entered: str, due: str) -> None:
    play = Play(
        f"start: {{on: {REPORTED}, to: nieuw, set: {{n: s.aantal}}}}", "final: [klaar]",
        f"terms: [{{in: nieuw, after: {after}, to: klaar, code: termijn}}]", at=entered,
    )  # fmt: skip
    assert play.arrive(REPORTED, aantal=7) is None
    assert play.due == {"termijn": due}


@pytest.mark.parametrize(
    ("term", "datum", "due"),
    [
        ("at: c.datum", "2026-12-01", "2026-12-02T00:00"),
        ("at: c.datum", "2026-03-28", "2026-03-29T00:00"),
        ("at: c.datum", "2026-11-02", "2026-11-03T00:00"),
        ("at: c.datum", "2026-10-01", "2026-10-02T00:00"),
        ("at: \"plus(c.datum, 'P4M')\"", "2026-10-31", "2027-03-01T00:00"),
        ("at: \"werkdagen(c.datum, 2)\"", "2026-11-06", "2026-11-11T00:00"),
        ("at: \"plus(today, 'P1M')\"", "2026-11-06", "2026-12-03T00:00"),
        ("before: [c.datum, werkdagen(2)]", "2026-11-16", "2026-11-12T00:00"),
        ("before: [c.datum, werkdagen(2)]", "2026-11-15", "2026-11-12T00:00"),
        ("before: [c.datum, werkdagen(0)]", "2026-11-16", "2026-11-16T00:00"),
        ("before: [c.datum, werkdagen(cfg.dagen)]", "2026-12-28", "2026-12-22T00:00"),
        ("before: [c.datum, werkdagen(1)]", "2026-05-05", "2026-05-01T00:00"),
        ("before: [c.datum, P14D]", "2026-11-30", "2026-11-16T00:00"),
        ("before: [c.datum, P1M]", "2027-03-31", "2027-02-28T00:00"),
        ("before: [c.datum, P14D]", "2026-11-05", "2026-10-22T00:00"),
        ("before: [\"plus(c.datum, 'P1D')\", P1D]", "2026-11-30", "2026-11-30T00:00"),
    ],
)  # fmt: skip
def test_at_falls_due_at_midnight_after_its_day_and_before_at_midnight_of_its_day(term: str, datum: str, due: str) -> None:
    play = played(
        (REPORTED, {"datum": datum}), lines=(COUNTING, "final: [klaar]", f"terms: [{{in: nieuw, {term}, to: klaar, code: termijn}}]")
    )
    assert play.due == {"termijn": due}


@pytest.mark.parametrize("term", ["at: c.datum", "before: [c.datum, P14D]"])
def test_without_a_date_there_is_no_term_and_it_follows_the_date_from_then_on(term: str) -> None:
    lines = (COUNTING, "final: [klaar]", f"transitions: [{{from: nieuw, on: {STEP}, set: {{datum: s.datum}}}}]",
             f"terms: [{{in: nieuw, {term}, to: klaar, code: termijn}}]")  # fmt: skip
    play = played(REPORTED, lines=lines)
    found = []
    for datum in (None, "2026-12-31", "2027-01-31", None, "2026-12-31"):
        assert play.arrive(STEP, datum=datum) is None
        found.append(play.due.get("termijn", "none")[:7])
    later = (
        ["none", "2027-01", "2027-02", "none", "2027-01"] if term.startswith("at") else ["none", "2026-12", "2027-01", "none", "2026-12"]
    )
    assert (found, play.failed) == (later, [])


@pytest.mark.parametrize("term", ["at: c.datum", "before: [c.datum, P14D]"])
def test_what_is_past_already_falls_due_at_once_and_what_follows_counts_from_then(term: str) -> None:
    lines = (COUNTING, "final: [klaar]", "terms:", f"  - {{in: nieuw, {term}, to: over, notify: [doel], code: voorbij}}",
             "  - {in: over, after: werkdagen(5), to: klaar, code: daarna}")  # fmt: skip
    play = played((REPORTED, {"datum": "2026-10-12"}), lines=lines)
    play.until("2026-11-02T09:00")
    assert (play.state, play.entered, play.due) == ("over", "2026-11-02T09:00", {"daarna": "2026-11-10T00:00"})
    assert play.told == [("voorbij", "over", "2026-10-12")]


@pytest.mark.parametrize(
    ("term", "datum"),
    [("at: c.datum", "9999-12-31"), ("before: [c.datum, P14D]", "0001-01-05"), ("before: [c.datum, werkdagen(1)]", "0001-01-02")],
)
def test_a_date_at_the_edge_of_the_calendar_is_no_term_and_is_reported(term: str, datum: str) -> None:
    lines = (COUNTING, "final: [klaar]", f"terms: [{{in: nieuw, {term}, to: klaar, code: termijn}}]")
    play = played((REPORTED, {"datum": datum}), lines=lines)
    assert (play.state, play.due, play.failed) == ("nieuw", {}, ["termijn"])


# --- terms: what starts and stops them ---

TWO: Final = (
    COUNTING, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig}}", f"  - {{from: bezig, on: {STEP}, to: nieuw}}",
    f"  - {{from: nieuw, on: {ANSWER}, to: nieuw, set: {{n: c.n + 1}}}}", f"  - {{from: [nieuw, bezig], on: {FACT}, to: klaar, fact: true}}",
)  # fmt: skip
"""Two states, to and fro."""


def test_a_step_to_the_same_state_does_not_restart_a_term() -> None:
    play = played(REPORTED, lines=(*TWO, "terms: [{in: nieuw, after: P14D, notify: [doel], code: termijn}]"))
    play.arrive(ANSWER, at="2026-11-09T09:00")
    assert (play.variables["n"], play.due) == (1, {"termijn": "2026-11-17T00:00"})


def test_a_state_that_is_entered_again_starts_its_terms_again() -> None:
    play = played(REPORTED, lines=(*TWO, "terms: [{in: nieuw, after: P14D, notify: [doel], code: termijn}]"))
    play.arrive(STEP, at="2026-11-05T09:00")
    assert play.due == {}
    play.arrive(STEP, at="2026-11-09T09:00")
    assert play.due == {"termijn": "2026-11-24T00:00"}


def test_a_term_over_several_states_runs_on_while_the_case_moves_between_them_and_falls_due_once() -> None:
    play = played(REPORTED, lines=(*TWO, "terms: [{in: [nieuw, bezig], after: P14D, notify: [doel], code: termijn}]"))
    play.arrive(STEP, at="2026-11-09T09:00")
    assert play.due == {"termijn": "2026-11-17T00:00"}
    play.arrive(STEP, at="2026-11-18T09:00")
    play.arrive(STEP, at="2026-12-24T09:00")
    play.until("2027-12-31T00:00")
    assert play.fired == [("termijn", "2026-11-17T00:00")]
    assert play.told == [("termijn", "bezig", "2026-11-16")]


def test_a_term_over_several_states_starts_again_once_the_case_was_in_none_of_them() -> None:
    lines = (START, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: weg}}", f"  - {{from: weg, on: {ANSWER}, to: bezig}}",
             f"  - {{from: [weg, bezig], on: {FACT}, to: klaar}}", "terms: [{in: [nieuw, bezig], after: P14D, notify: [doel], code: termijn}]")  # fmt: skip
    play = played(REPORTED, lines=lines)
    play.arrive(STEP, at="2026-11-20T09:00")
    play.arrive(ANSWER, at="2026-11-21T09:00")
    assert (play.fired, play.due) == ([("termijn", "2026-11-17T00:00")], {"termijn": "2026-12-06T00:00"})


def test_a_term_that_leads_to_another_of_its_own_states_falls_due_once() -> None:
    play = played(REPORTED, lines=(*TWO, "terms: [{in: [nieuw, bezig], after: P14D, to: bezig, code: termijn}]"))
    play.until("2027-12-31T00:00")
    assert (play.state, play.entered, play.fired, play.due) == ("bezig", "2026-11-17T00:00", [("termijn", "2026-11-17T00:00")], {})


@pytest.mark.parametrize(("term", "datum"), [("at: c.datum", "2026-11-10"), ("before: [c.datum, P14D]", "2026-11-25")])
def test_a_date_falls_due_once_also_when_the_case_comes_back_to_its_state(term: str, datum: str) -> None:
    play = played((REPORTED, {"datum": datum}), lines=(*TWO, f"terms: [{{in: nieuw, {term}, to: bezig, notify: [doel], code: termijn}}]"))
    play.until("2026-11-12T09:00")
    assert (play.state, len(play.told)) == ("bezig", 1)
    play.arrive(STEP, at="2026-11-13T09:00")
    assert (play.state, play.due) == ("nieuw", {})


def test_another_date_falls_due_again() -> None:
    lines = (COUNTING, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, set: {{datum: s.datum}}}}",
             f"  - {{from: nieuw, on: {FACT}, to: klaar}}", "terms: [{in: nieuw, at: c.datum, notify: [doel], code: termijn}]")  # fmt: skip
    play = played((REPORTED, {"datum": "2026-11-10"}), lines=lines)
    play.arrive(STEP, at="2026-11-12T09:00", datum="2026-11-20")
    play.arrive(STEP, at="2026-11-22T09:00", datum="2026-11-10")
    play.until("2026-12-31T00:00")
    assert play.told == [("termijn", "nieuw", "2026-11-10"), ("termijn", "nieuw", "2026-11-20")]


def test_a_case_that_ended_has_no_terms() -> None:
    play = played((REPORTED, {"datum": "2026-12-01"}), FACT, lines=(*TWO, "terms:", "  - {in: nieuw, at: c.datum, notify: [doel], code: dag}",
                                                                    "  - {in: [nieuw, bezig], after: P14D, notify: [doel], code: termijn}"))  # fmt: skip
    assert (play.state, play.due) == ("klaar", {})


# --- terms: what they do ---


def test_a_late_clock_enters_each_state_at_the_moment_at_which_the_term_fell_due() -> None:
    lines = (START, "final: [klaar]", "terms:", "  - {in: nieuw, after: werkdagen(5), to: wacht, code: eerste}",
             "  - {in: wacht, after: werkdagen(2), to: laat, code: tweede}", "  - {in: laat, after: P1M, to: klaar, code: derde}")  # fmt: skip
    play = played(REPORTED, lines=lines)
    play.until("2026-11-30T17:00")
    assert play.fired == [("eerste", "2026-11-10T00:00"), ("tweede", "2026-11-13T00:00")]
    assert (play.state, play.entered, play.due) == ("laat", "2026-11-13T00:00", {"derde": "2026-12-14T00:00"})


def test_what_comes_in_late_meets_the_case_as_the_terms_have_left_it() -> None:
    lines = (START, "final: [klaar]", f"transitions: [{{from: nieuw, on: {STEP}, to: klaar}}]",
             "terms: [{in: nieuw, after: P7D, to: klaar, code: termijn}]")  # fmt: skip
    assert played(REPORTED, lines=lines).arrive(STEP, at="2026-11-09T23:59") is None
    assert played(REPORTED, lines=lines).arrive(STEP, at="2026-11-10T00:00") == "staat-past-niet"


@pytest.mark.parametrize(
    ("term", "due", "until"),
    [
        ("after: werkdagen(5)", "2026-11-10T00:00", "2026-11-09"),
        ("after: hard(P8W)", "2026-12-28T00:00", "2026-12-27"),
        ("after: PT36H", "2026-11-03T21:00", "2026-11-03"),
        ("after: PT15H", "2026-11-03T00:00", "2026-11-02"),
        ("at: c.datum", "2026-12-02T00:00", "2026-12-01"),
        ("before: [c.datum, werkdagen(2)]", "2026-11-27T00:00", "2026-12-01"),
        ("before: [c.datum, P14D]", "2026-11-17T00:00", "2026-12-01"),
    ],
)
def test_a_reminder_names_the_last_day_that_counts(term: str, due: str, until: str) -> None:
    lines = (COUNTING, "final: [klaar]", f"terms: [{{in: nieuw, {term}, to: klaar, notify: [doel, loket], code: termijn}}]")
    play = played((REPORTED, {"datum": "2026-12-01"}), lines=lines)
    assert play.due == {"termijn": due}
    play.until("2027-01-31T00:00")
    assert play.told == [("termijn", "klaar", until)]


def test_a_term_may_set_variables_from_the_case_the_day_and_the_settings() -> None:
    lines = (
        COUNTING,
        "final: [klaar]",
        "terms: [{in: nieuw, after: P14D, to: klaar, set: {n: c.n + cfg.dagen, op: today, hoe: true}, code: termijn}]",
    )
    play = played(REPORTED, lines=lines)
    play.until("2026-12-31T00:00")
    assert play.variables == {"datum": None, "n": 3, "op": "2026-11-17", "hoe": True}
    assert play.case is not None
    assert play.case.mover is None


def test_a_term_that_only_sets_a_variable_may_do_so_without_leaving_its_state() -> None:
    lines = (*TWO, "terms: [{in: nieuw, after: P1D, set: {n: c.n + 1}, notify: [doel], code: dag}]")
    play = played(REPORTED, lines=lines)
    play.until("2026-12-31T00:00")
    assert (play.state, play.entered, play.variables["n"], play.due) == ("nieuw", "2026-11-02T09:00", 1, {})


def test_a_term_whose_set_cannot_be_evaluated_still_falls_due_and_is_reported() -> None:
    lines = (COUNTING, "final: [klaar]", "terms: [{in: nieuw, after: P1D, to: klaar, set: {n: 10 / c.n}, notify: [doel], code: dag}]")
    play = played(REPORTED, lines=lines)
    play.until("2026-12-31T00:00")
    assert (play.state, play.variables["n"], play.failed) == ("klaar", 0, ["dag"])
    assert play.told == [("dag", "klaar", "2026-11-03")]


def test_of_two_terms_at_one_moment_the_first_in_the_rules_falls_due_first() -> None:
    both = ["  - {in: nieuw, after: P7D, to: een, code: z-eerste}", "  - {in: nieuw, after: P1W, to: twee, code: a-tweede}"]
    for terms_, state in ((both, "een"), (both[::-1], "twee")):
        play = played(REPORTED, lines=(START, "final: [een, twee]", "terms:", *terms_))
        play.until("2026-12-31T00:00")
        assert (play.state, len(play.fired)) == (state, 1)


def test_a_term_that_does_not_run_any_more_does_nothing() -> None:
    play = played(REPORTED, STEP, lines=(*TWO, "terms: [{in: nieuw, after: P14D, to: klaar, notify: [doel], code: termijn}]"))
    for code in ("termijn", "nergens"):
        assert play.take(Due(code, play.now)) is None
    assert (play.state, play.told) == ("bezig", [])


# --- terms: numbers that are not there ---


@pytest.mark.parametrize(
    ("municipality", "at", "due"),
    [
        ("0344", "2026-11-02T09:00", "2026-11-06T00:00"),
        ("0855", "2026-11-02T09:00", "2026-11-12T00:00"),
        ("0855", "2026-06-30T23:59", "2026-07-08T00:00"),
        ("0855", "2026-07-01T00:00", "2026-07-11T00:00"),
        ("0344", "2026-02-28T12:00", "2026-03-07T00:00"),
        ("0344", "2026-03-01T12:00", "2026-03-05T00:00"),
    ],
)
def test_a_term_counts_with_the_number_of_its_municipality_on_the_day_that_it_starts(municipality: str, at: str, due: str) -> None:
    play = Play(START, "final: [klaar]", "terms: [{in: nieuw, after: werkdagen(cfg.dagen), to: klaar, code: termijn}]",
                at=at, municipality=municipality)  # fmt: skip
    play.arrive(REPORTED)
    assert play.due == {"termijn": due}


def test_a_term_whose_setting_is_not_in_force_is_not_set_and_reported_and_the_others_run() -> None:
    play = Play(START, "final: [klaar]", "terms:", "  - {in: nieuw, after: werkdagen(cfg.dagen), to: klaar, code: zonder}",
                "  - {in: nieuw, after: P7D, to: klaar, code: met}", at="2025-12-31T23:59")  # fmt: skip
    assert play.arrive(REPORTED) is None
    assert (play.due, play.failed) == ({"met": "2026-01-08T00:00"}, ["zonder"])


@pytest.mark.parametrize(("number", "armed"), [(-1, False), (0, True), (10_000, True), (10_001, False), (2**31 - 1, False)])
def test_a_number_of_days_that_is_no_term_is_not_counted_out(number: int, armed: bool) -> None:  # noqa: FBT001
    play = Play(f"start: {{on: {REPORTED}, to: nieuw, set: {{n: s.aantal}}}}", "final: [klaar]",
                "terms: [{in: nieuw, after: werkdagen(c.n), to: klaar, code: termijn}]")  # fmt: skip
    assert play.arrive(REPORTED, aantal=number) is None
    assert (bool(play.due), play.failed) == (armed, [] if armed else ["termijn"])


# --- terms under a changed machine ---


def rearmed(play: Play, *lines: str, migrate: str | None = None) -> Play:
    """Go on with a case under other rules, as the hub does when it takes them up."""
    after = Play(*lines)
    after.now, after.last = play.now, play.last
    assert play.case is not None
    case = play.case._replace(state=migrate, mover=None, before=None) if migrate else play.case
    found = process.rearmed(after.machine, case, after.calendar, moved=migrate is not None)
    after.case, after.failed = found.case, list(found.failed)
    assert found.told == ()
    return after


def test_a_running_term_goes_on_as_it_was_a_new_one_starts_at_the_entry_and_a_dropped_one_is_gone() -> None:
    start = (START, "final: [klaar]", "terms:")
    old = played(
        REPORTED,
        lines=(*start, "  - {in: nieuw, after: P14D, to: klaar, code: blijft}", "  - {in: nieuw, after: P21D, to: klaar, code: gaat}"),
    )
    old.now = terms.moment("2026-11-05T09:00")
    new = rearmed(
        old, *start, "  - {in: nieuw, after: P7D, to: klaar, code: blijft}", "  - {in: nieuw, after: P10D, to: klaar, code: komt}"
    )
    assert new.due == {"blijft": "2026-11-17T00:00", "komt": "2026-11-13T00:00"}


def test_a_term_that_fell_due_does_not_do_so_again_under_other_rules() -> None:
    lines = (
        *TWO,
        "terms:",
        "  - {in: nieuw, after: P1D, notify: [doel], code: dag}",
        "  - {in: nieuw, at: c.datum, notify: [doel], code: datum}",
    )
    play = played((REPORTED, {"datum": "2026-11-03"}), lines=lines)
    play.until("2026-11-05T00:00")
    assert [code for code, _ in play.fired] == ["dag", "datum"]
    assert rearmed(play, *lines[:-1], "  - {in: nieuw, at: c.datum, notify: [loket], code: datum}").due == {}


def test_a_term_over_several_states_that_fell_due_does_not_do_so_again_under_other_rules() -> None:
    lines = (*TWO, "terms: [{in: [nieuw, bezig], after: P7D, notify: [doel], code: termijn}]")
    play = played(REPORTED, lines=lines)
    play.arrive(STEP, at="2026-11-12T09:00")
    assert (play.fired, play.due) == ([("termijn", "2026-11-10T00:00")], {})
    assert rearmed(play, *lines).due == {}


def test_another_date_than_the_one_that_fell_due_falls_due_under_other_rules() -> None:
    lines = (COUNTING, "final: [klaar]", "transitions:", f"  - {{from: nieuw, on: {STEP}, to: bezig, set: {{datum: s.datum}}}}",
             f"  - {{from: [nieuw, bezig], on: {FACT}, to: klaar}}", "terms:")  # fmt: skip
    old = played((REPORTED, {"datum": "2026-11-03"}), lines=(*lines, "  - {in: nieuw, at: c.datum, notify: [doel], code: dag}"))
    old.arrive(STEP, at="2026-11-05T09:00", datum="2026-12-01")
    assert (old.fired, old.due) == ([("dag", "2026-11-04T00:00")], {})
    assert rearmed(old, *lines, "  - {in: [nieuw, bezig], at: c.datum, notify: [doel], code: dag}").due == {"dag": "2026-12-02T00:00"}


def test_a_case_that_is_moved_to_another_state_gets_the_terms_of_that_state() -> None:
    old = played(
        (REPORTED, {"datum": "2026-12-01"}), lines=(COUNTING, "final: [klaar]", "terms: [{in: nieuw, after: P14D, to: klaar, code: oud}]")
    )
    new = rearmed(old, COUNTING.replace("nieuw", "anders"), "final: [klaar]", "terms:", "  - {in: anders, at: c.datum, to: klaar, code: dag}",
                  "  - {in: anders, after: P7D, to: klaar, code: week}", migrate="anders")  # fmt: skip
    assert (new.state, new.due) == ("anders", {"dag": "2026-12-02T00:00", "week": "2026-11-10T00:00"})


def test_a_case_that_is_moved_back_to_a_state_starts_the_terms_of_that_state_anew() -> None:
    week = "  - {in: nieuw, after: P7D, to: over, code: week}"
    old = played(REPORTED, lines=(START, "final: [klaar]", f"transitions: [{{from: over, on: {STEP}, to: klaar}}]", "terms:", week))
    old.until("2026-11-12T09:00")
    assert old.state == "over"
    assert rearmed(old, START, "final: [klaar]", "terms:", week.replace("over", "klaar"), migrate="nieuw").due.keys() == {"week"}


# --- guards and alarms ---

GUARDED: Final = (
    START, "final: [klaar]", "sets: {open: [nieuw, bezig]}", f"transitions: [{{from: nieuw, on: {STEP}, to: bezig}}, {{from: open, on: {FACT}, to: klaar}}]",
    "guards:", "  - {name: uitvoeren, closed_in: nieuw, code: te-vroeg, text: Het is te vroeg.}", "  - {name: uitvoeren, closed_in: [klaar], code: voorbij}",
    "  - {name: bellen, closed_in: open, code: loopt-nog}",
    "alarms:", f"  - {{on: {FACT}, in: nieuw, notify: [doel], code: te-vroeg-gedaan}}", f"  - {{on: {FACT}, in: open, notify: [loket], code: gedaan}}",
)  # fmt: skip


def standing(state: str) -> Case:
    return Case(state, 0, {}, {}, frozenset())


@pytest.mark.parametrize(
    ("name", "own", "others", "answer"),
    [
        ("uitvoeren", "nieuw", (), "te-vroeg"),
        ("uitvoeren", "bezig", (), None),
        ("uitvoeren", "klaar", (), "voorbij"),
        ("uitvoeren", "bezig", ("bezig", "nieuw"), "te-vroeg"),
        ("uitvoeren", "bezig", ("bezig",), None),
        ("bellen", "klaar", (), None),
        ("bellen", "klaar", ("bezig",), "loopt-nog"),
        ("uitvoeren", None, (), "zaak-onbekend"),
        ("uitvoeren", None, ("bezig",), "zaak-onbekend"),
    ],
)
def test_a_guard_looks_at_its_own_case_in_any_state_and_at_the_other_open_ones(
    name: str, own: str | None, others: tuple[str, ...], answer: str | None
) -> None:
    found = process.closed(machine(*GUARDED), name, standing(own) if own else None, tuple(standing(state) for state in others))
    assert (found.code if isinstance(found, Guard) else found) == answer


def test_a_guard_says_its_own_sentence() -> None:
    found = process.closed(machine(*GUARDED), "uitvoeren", standing("nieuw"), ())
    assert isinstance(found, Guard)
    assert (found.name, found.code, found.text) == ("uitvoeren", "te-vroeg", "Het is te vroeg.")


@pytest.mark.parametrize(("scope", "by_subject"), [("", False), ("scope: keten", False), ("scope: subject", True)])
def test_a_process_says_whether_it_guards_a_person_or_a_keten(scope: str, by_subject: bool) -> None:  # noqa: FBT001
    assert machine(*GUARDED, *([scope] if scope else [])).by_subject is by_subject


@pytest.mark.parametrize(
    ("type_", "state", "codes"),
    [
        (FACT, "nieuw", ["te-vroeg-gedaan", "gedaan"]),
        (FACT, "bezig", ["gedaan"]),
        (FACT, "klaar", []),
        (STEP, "nieuw", []),
    ],
)
def test_an_alarm_is_raised_by_its_type_in_its_states(type_: str, state: str, codes: list[str]) -> None:
    told = process.alarms(machine(*GUARDED), type_, standing(state))
    assert [one.notice.code for one in told] == codes
    assert {(one.state, one.until) for one in told} <= {(state, None)}


# --- what a machine says of itself ---


def test_a_machine_names_what_it_reads_what_it_sends_and_what_each_state_has_set() -> None:
    made = machine(*PLAIN, "terms: [{in: open, after: werkdagen(cfg.dagen + c.n), notify: [doel], code: termijn}]",
                   f"alarms: [{{on: {FACT}, in: open, notify: [loket], code: toch}}]")  # fmt: skip
    assert made.states == ("nieuw", "bezig", "klaar", "vervallen")
    assert made.keys.keys() == {REPORTED, STEP, ANSWER, FACT}
    assert made.reads(STEP) == {"e.correlationid", "s.aantal", "c.n"}
    assert made.reads(REPORTED) == {"e.correlationid", "s.datum"}
    assert made.reads(ANSWER) == {"e.correlationid"}
    assert made.timed == {"cfg.dagen", "c.n"}
    assert [notice.code for notice in made.notices] == ["termijn", "toch"]
    assert made.term["termijn"].written == "na werkdagen(cfg.dagen + c.n)"
    assert set(made.assigned.values()) == {frozenset({"datum", "n"})}


def test_variables_are_read_of_a_case_and_none_where_there_is_none() -> None:
    case = Case("nieuw", 0, {"n": 5}, {}, frozenset())
    assert [process.variable(case, name) for name in ("c.state", "c.n", "c.anders")] == ["nieuw", 5, None]
    assert process.variable(None, "c.state") is None


# --- whatever happens ---

MUCH: Final = (
    COUNTING, "final: [klaar]", "sets: {open: [nieuw, bezig, over]}", "transitions:",
    f"  - {{from: nieuw, on: {STEP}, to: bezig, set: {{n: c.n + 1, op: today}}}}",
    f"  - {{from: bezig, on: {STEP}, to: bezig, when: s.ja, set: {{n: c.n + 1}}}}",
    f"  - {{from: bezig, on: {STEP}, to: nieuw, when: s.datum > c.op}}",
    f"  - {{from: open, on: {ANSWER}, set: {{datum: s.datum}}}}",
    f"  - {{from: open, on: {FACT}, to: klaar, when: s.aantal > 8, fact: true}}",
    f"  - {{from: bezig, withdrawn: {STEP}, to: nieuw}}",
    "terms:",
    "  - {in: open, after: P10D, notify: [doel], code: lang}",
    "  - {in: bezig, after: werkdagen(c.n), to: over, code: bezig-om}",
    "  - {in: over, after: P2D, to: nieuw, code: terug}",
    "  - {in: [nieuw, bezig], at: c.datum, to: over, set: {n: c.n + 1}, code: datum-om}",
    "  - {in: open, before: [c.datum, P3D], notify: [doel], code: datum-nadert}",
)  # fmt: skip
EVENTS: Final = st.tuples(
    st.sampled_from([REPORTED, STEP, ANSWER, FACT, "withdraw", "correct", "wait"]), st.sampled_from(["bron", "doel"]),
    st.integers(0, 9), st.booleans(), st.none() | st.integers(-20, 40), st.integers(0, 20 * 24),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(EVENTS, min_size=1, max_size=25))
def test_whatever_happens_to_a_case_its_state_variables_and_terms_are_those_of_the_rules(events: list[Any]) -> None:
    play = _MUCH
    play.case, play.now, play.last = None, terms.moment("2026-02-20T09:00"), 0
    play.told, play.failed, play.fired = [], [], []
    for type_, by, aantal, ja, days, hours in events:
        play.now += hours * 3_600_000
        datum = None if days is None else terms.iso_date((terms.amsterdam_date(play.now) - terms.EPOCH).days + days)
        data = {"aantal": aantal, "ja": ja, "datum": datum}
        play.until(None)
        before = play.case
        if type_ == "withdraw":
            answer = play.withdraw(STEP)
        elif type_ == "correct":
            answer = play.correct(play.last, STEP, by, **data)
        else:
            answer = None if type_ == "wait" else play.arrive(type_, by, **data)
        play.until(None)
        assert answer is None or play.case == before
        if play.case is None:
            continue
        made, case = play.machine, play.case
        assert case.state in made.states
        assert case.variables.keys() >= made.assigned[case.state]
        assert all(case.state in made.term[code].sources and at > play.now for code, at in case.due.items())
        assert case.state not in made.final or not case.due
        assert before is None or before.entered_ms <= case.entered_ms <= play.now
    assert len(set(play.fired)) == len(play.fired)
    assert play.failed.count("zaak") == len(play.failed)


_MUCH: Final = Play(*MUCH)
