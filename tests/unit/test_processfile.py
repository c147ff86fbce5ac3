"""Processes in rule files: what loads, and each fault on its line, told once, before anything runs."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from hub.domain.faults import Fault
from hub.domain.loading import Loaded, load
from hub.domain.processfile import REMINDER
from tests.unit.test_contract import changed, field, line_of
from tests.unit.test_process import ANSWER, FACT, FILES, REPORTED, STEP, schema
from tests.unit.test_rules import FLOW_FILE, SETTINGS

NAMELESS: Final = "nl.test.naamloos.v1"
OTHER: Final = "nl.test.ander.v1"
OTHER_FILE: Final = "rules/ander.yaml"
GOOD: Final = f"""flow: proef
purpose: Een doel
activity: https://example.org/proef
grants:
  - id: proef.gemeld
    signal: {REPORTED}
    to: doel
    legal_basis: [wet-1]
    when: c.n == 0 && c.state == 'nieuw'
    fields: [aantal]
    retention: P6M
    explain: U krijgt dit omdat het is gemeld.
  - id: proef.antwoord
    signal: {ANSWER}
    to: $starter
    legal_basis: [wet-2]
    requires:
      niet-huur: c.soort == 'HUUR' && c.n > 0
    fields: [aantal]
    retention: P6M
    explain: U krijgt dit omdat u het meldde.
processes:
  - id: zaak
    case: e.correlationid
    scope: subject
    start:
      on: {REPORTED}
      to: nieuw
      when: s.aantal > 0 # start
      unmet: {{code: te-weinig, text: Het is te weinig.}}
      set: {{datum: s.datum, n: 0}} # start
    final: [klaar, vervallen]
    sets:
      open: [nieuw, bezig, gepauzeerd]
    transitions:
      - {{from: nieuw, on: {STEP}, to: bezig, set: {{n: c.n + 1, soort: s.soort}}}} # 00
      - {{from: bezig, on: {STEP}, to: gepauzeerd, when: s.ja && c.n < 9, unmet: {{code: nee, text: Nee.}}, set: {{tot: "plus(today, 'P4M')"}}}} # 01
      - {{from: [bezig, gepauzeerd], on: {ANSWER}}} # 02
      - {{from: open, on: {FACT}, to: klaar, fact: true}} # 03
      - {{from: gepauzeerd, withdrawn: {STEP}, to: bezig, when: c.n > 0, notify: [doel], code: weer-bezig, text: Het loopt weer.}} # 04
      - {{from: open, withdrawn: {REPORTED}, to: vervallen}} # 05
    terms:
      - {{in: open, after: werkdagen(cfg.dagen), to: klaar, notify: [doel, $starter], code: te-lang}} # 06
      - {{in: gepauzeerd, before: [c.tot, P14D], notify: [doel], code: nadert}} # 07
      - {{in: gepauzeerd, at: c.tot, to: bezig, set: {{n: 0}}, code: voorbij}} # 08
      - {{in: nieuw, at: c.datum, notify: [doel], code: op-datum}} # 09
    guards:
      - {{name: uitvoeren, closed_in: open, code: loopt, text: Er loopt iets.}} # 10
      - {{name: uitvoeren, closed_in: vervallen, code: loopt}} # 11
    alarms:
      - {{on: {FACT}, in: [nieuw, gepauzeerd], notify: [doel], code: toch}} # 12
    migrate: {{oud: nieuw}}
refuse:
  - signal: {ANSWER}
    when: c.n > 5
    code: te-vaak
    text: Het is te vaak.
"""
BARE: Final = (
    GOOD.replace("    when: c.n == 0 && c.state == 'nieuw'\n", "")
    .replace("      niet-huur: c.soort == 'HUUR' && c.n > 0\n", "      wel: s.ja\n")
    .replace("    when: c.n > 5\n", "    when: s.aantal > 5\n")
)
"""The same, with nothing outside the process that reads its cases."""
ALL: Final = FILES | {
    FLOW_FILE: GOOD,
    f"schemas/{NAMELESS}.avsc": schema(NAMELESS, subject=None),
    f"schemas/{OTHER}.avsc": schema(OTHER, field("moment", {"type": "long", "logicalType": "timestamp-millis"})),
}


def load_with(text: str, **others: str) -> Loaded:
    return load(ALL | {FLOW_FILE: text} | others)


def told(faults: tuple[Fault, ...]) -> list[tuple[str, int, str]]:
    return [(fault.file, fault.line, fault.what) for fault in faults]


def only_faults(text: str, *expected: tuple[str, str], others: dict[str, str] | None = None, file: str = FLOW_FILE) -> tuple[Fault, ...]:
    """Check that these faults are found and no others: a marker of the line, and what is said of it (a pattern)."""
    loaded = load(ALL | {FLOW_FILE: text} | (others or {}))
    content = (others or {}).get(file, text)
    wanted = sorted((line_of(content, marker), what) for marker, what in expected)
    assert [(fault.file, fault.line) for fault in loaded.faults] == [(file, line) for line, _ in wanted], told(loaded.faults)
    for fault, (_, what) in zip(loaded.faults, wanted, strict=True):
        assert re.search(what, fault.what), fault.what
    assert loaded.ruleset is None
    return loaded.faults


# --- a process that is right ---


def test_a_process_that_is_right_loads_and_is_found_by_the_types_that_move_it() -> None:
    rules = load_with(GOOD).unwrap()
    machine = rules.machines["zaak"]
    assert (machine.id, machine.flow, machine.by_subject, machine.start_type) == ("zaak", "proef", True, REPORTED)
    assert machine.states == ("nieuw", "bezig", "gepauzeerd", "klaar", "vervallen")
    assert machine.final == {"klaar", "vervallen"}
    assert {name: found.machine is machine for name, found in rules.types.items() if found.machine} == dict.fromkeys(
        (REPORTED, STEP, ANSWER, FACT), True
    )
    assert rules.types[OTHER].machine is None
    assert {name: [len(step.sources) for step in steps] for name, steps in machine.steps.items()} == {STEP: [1, 1], ANSWER: [2], FACT: [3]}
    assert {name: [step.to for step in steps] for name, steps in machine.undoing.items()} == {STEP: ["bezig"], REPORTED: ["vervallen"]}
    assert [(term.code, sorted(term.sources), term.written) for term in machine.terms] == [
        ("te-lang", ["bezig", "gepauzeerd", "nieuw"], "na werkdagen(cfg.dagen)"),
        ("nadert", ["gepauzeerd"], "P14D voor c.tot"),
        ("voorbij", ["gepauzeerd"], "na c.tot"),
        ("op-datum", ["nieuw"], "na c.datum"),
    ]
    assert machine.migrate == {"oud": "nieuw"}
    assert machine.where == f"{FLOW_FILE}:{line_of(GOOD, 'id: zaak')}"


def test_each_state_knows_what_every_path_to_it_has_set() -> None:
    assert load_with(GOOD).unwrap().machines["zaak"].assigned == {
        "nieuw": {"datum", "n"},
        "bezig": {"datum", "n", "soort"},
        "gepauzeerd": {"datum", "n", "soort", "tot"},
        "klaar": {"datum", "n"},
        "vervallen": {"datum", "n"},
    }


def test_a_reminder_is_a_grant_on_the_grounds_of_the_flow_and_stands_where_notify_stands() -> None:
    rules = load_with(BARE).unwrap()
    found = {name: grant for name, grant in rules.grants.items() if grant.signal == REMINDER}
    assert set(found) == {
        "zaak.te-lang.doel", "zaak.te-lang.starter", "zaak.nadert.doel", "zaak.op-datum.doel", "zaak.toch.doel", "zaak.weer-bezig.doel",
    }  # fmt: skip
    grant = found["zaak.te-lang.doel"]
    assert (grant.flow, grant.purpose, grant.to, [ground.id for ground in grant.grounds]) == ("proef", "Een doel", "doel", ["wet-1"])
    assert [given.shown_as for given in grant.view.grants] == ["gemeentecode", "proces", "code", "staat", "uiterlijk"]
    assert grant.where == f"{FLOW_FILE}:{line_of(BARE, '# 06')}"
    assert [ground.id for ground in found["zaak.te-lang.starter"].grounds] == ["wet-2"]
    assert (found["zaak.weer-bezig.doel"].explain, found["zaak.te-lang.doel"].explain.endswith("(te-lang).")) == ("Het loopt weer.", True)


def test_the_grounds_of_a_process_go_before_those_of_the_flow() -> None:
    rules = load_with(changed(BARE, "    scope: subject\n", "    legal_basis: [wet-2, wet-1]\n")).unwrap()
    grants = [grant for grant in rules.grants.values() if grant.signal == REMINDER]
    assert {tuple(ground.id for ground in grant.grounds) for grant in grants} == {("wet-2", "wet-1")}


def test_who_started_it_knows_of_it_by_the_grounds_of_whoever_it_wrote_to() -> None:
    text = changed(BARE, "    to: $starter\n", "    to: loket\n")
    assert [ground.id for ground in load_with(text).unwrap().grants["zaak.te-lang.starter"].grounds] == ["wet-1"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from: [bezig, gepauzeerd]", "from: [open]"),
        ("closed_in: vervallen", "closed_in: [open, vervallen]"),
        ("    migrate: {oud: nieuw}\n", ""),
        ("    migrate: {oud: nieuw}\n", "    migrate: {oud: klaar, ouder: nieuw}\n"),
        ("n: 0}, code: voorbij", "n: null}, code: voorbij"),
        ("werkdagen(cfg.dagen)", "wettelijk( P6W )"),
        ("werkdagen(cfg.dagen)", "PT36H"),
        ("werkdagen(cfg.dagen)", "werkdagen(c.n + 1)"),
        ("[c.tot, P14D]", "[c.tot, werkdagen(cfg.dagen)]"),
        ("at: c.datum", "at: \"plus(c.datum, 'P1M')\""),
        (", notify: [doel], code: weer-bezig, text: Het loopt weer.", ""),
        ("case: e.correlationid", "case: e.correlationid + e.participant"),
    ],
)  # fmt: skip
def test_what_the_form_allows_loads(old: str, new: str) -> None:
    assert told(load_with(changed(BARE, old, new)).faults) == []


# --- the shape ---


@pytest.mark.parametrize(
    ("old", "new", "marker", "state"),
    [
        ("from: [bezig, gepauzeerd], on", "from: [bezig, gepauzeerd, bezg], on", "# 02", "bezg"),
        ("gepauzeerd, withdrawn", "[gepauzeerd, bezg], withdrawn", "# 04", "bezg"),
        ("in: gepauzeerd, at", "in: [gepauzeerd, bezg], at", "# 08", "bezg"),
        ("in: nieuw, at", "in: nieuwe, at", "# 09", "nieuwe"),
        ("closed_in: vervallen", "closed_in: verlopen", "# 11", "verlopen"),
        ("in: [nieuw, gepauzeerd]", "in: [nieuw, gepauseerd]", "# 12", "gepauseerd"),
        ("final: [klaar, vervallen]", "final: [klaar, vervallen, afgerond]", "final:", "afgerond"),
        ("      open: [nieuw, bezig, gepauzeerd]", "      open: [nieuw, bezig, gepauzeerd, gestopt]", "gestopt", "gestopt"),
        ("      open: [nieuw", "      alle: [open]\n      open: [nieuw", "alle:", "open"),
        ("{oud: nieuw}", "{oud: nieuwe}", "nieuwe", "nieuwe"),
        ("{oud: nieuw}", "{oud: open}", "oud: open", "open"),
        ("closed_in: vervallen", "closed_in: Vervallen", "# 11", ""),
    ],
)
def test_a_state_that_cannot_be_reached_is_told_once_where_it_stands(old: str, new: str, marker: str, state: str) -> None:
    what = f"the state `{state}` cannot be reached" if state else "closed_in"
    only_faults(changed(BARE, old, new), (marker, what))


def test_what_only_a_state_that_cannot_be_reached_leads_to_cannot_be_reached_either() -> None:
    text = changed(
        BARE,
        "    terms:\n",
        f"      - {{from: ver, on: {ANSWER}, to: weg}} # ver\n      - {{from: weg, on: {ANSWER}, to: ver}} # weg\n    terms:\n",
    )
    only_faults(text, ("# ver", "the state `ver` cannot be reached"), ("# weg", "the state `weg` cannot be reached"))


def test_a_state_that_nothing_leaves_must_be_final() -> None:
    only_faults(
        changed(BARE, "to: vervallen}", "to: stil}").replace("vervallen", "klaar"),
        ("id: zaak", "the state `stil` is neither final nor left by anything"),
    )
    text = changed(
        BARE, "    terms:\n", f"      - {{from: nieuw, on: {ANSWER}, to: stil}}\n      - {{from: stil, on: {ANSWER}}}\n    terms:\n"
    )
    only_faults(text, ("id: zaak", "the state `stil` is neither final nor left by anything"))


@pytest.mark.parametrize(
    "line", [f"      - {{from: klaar, on: {ANSWER}, to: nieuw}}\n", f"      - {{from: klaar, withdrawn: {FACT}, to: nieuw}}\n"]
)
def test_a_final_state_is_left_by_nothing(line: str) -> None:
    text = changed(BARE, "    terms:\n", f"{line}    terms:\n")
    only_faults(text, ("final:", "the final state `klaar` is left by a step"))


def test_a_final_state_may_take_signals_that_lead_nowhere_else() -> None:
    for line in (
        f"      - {{from: klaar, on: {ANSWER}, set: {{n: c.n + 1}}}}\n",
        f"      - {{from: [open, klaar], on: {FACT}, to: klaar, fact: true}}\n",
    ):
        assert told(load_with(changed(BARE, "    terms:\n", f"{line}    terms:\n")).faults) == []


def test_some_path_from_each_state_ends() -> None:
    text = changed(BARE, "    terms:\n", f"      - {{from: nieuw, on: {ANSWER}, to: heen}}\n      - {{from: heen, on: {ANSWER}, to: weer}}\n"
                   f"      - {{from: weer, on: {ANSWER}, to: heen}}\n    terms:\n")  # fmt: skip
    only_faults(text, ("id: zaak", "no path from `heen` ends"), ("id: zaak", "no path from `weer` ends"))


def test_where_nothing_is_final_nothing_ends() -> None:
    text = changed(BARE, "final: [klaar, vervallen]", "final: []")
    found = {fault.what for fault in load_with(text).faults}
    assert found >= {"no path from `nieuw` ends", "the state `klaar` is neither final nor left by anything"}


@pytest.mark.parametrize(
    ("old", "new", "marker"),
    [
        ("from: [bezig, gepauzeerd], on", "from: [], on", "# 02"),
        ("in: nieuw, at", "in: [], at", "# 09"),
        ("closed_in: vervallen", "closed_in: []", "# 11"),
        ("in: [nieuw, gepauzeerd]", "in: []", "# 12"),
        ("    sets:\n", "    sets:\n      niets: []\n", "niets:"),
    ],
)
def test_a_place_that_names_no_state_is_a_fault(old: str, new: str, marker: str) -> None:
    only_faults(changed(BARE, old, new), (marker, "no state is named here"))


@pytest.mark.parametrize("final", ["klaar", "[nieuw, vervallen]"])
def test_no_term_waits_in_a_state_that_is_final(final: str) -> None:
    text = changed(BARE, "in: nieuw, at", f"in: {final}, at")
    only_faults(text, ("# 09", f"no term runs in the final state `{final.strip('[]').split(', ')[-1]}`"))


def test_a_set_has_a_name_that_no_state_has() -> None:
    only_faults(changed(BARE, "    sets:\n", "    sets:\n      bezig: [nieuw]\n"), ("bezig: [nieuw]", "`bezig` is a state and a set"))


@pytest.mark.parametrize(
    "line",
    [
        f"      - {{from: gepauzeerd, on: {ANSWER}, when: s.ja, set: {{n: c.n + 1}}}} # hidden\n",
        f"      - {{from: [bezig, gepauzeerd], on: {ANSWER}, to: klaar}} # hidden\n",
        f"      - {{from: open, withdrawn: {REPORTED}, to: klaar, when: c.n > 0}} # hidden\n",
    ],
)
def test_a_step_that_is_never_taken_is_a_fault(line: str) -> None:
    only_faults(changed(BARE, "    terms:\n", f"{line}    terms:\n"), ("# hidden", "this step is never taken"))


@pytest.mark.parametrize(
    "line",
    [
        f"      - {{from: [nieuw, bezig], on: {ANSWER}, when: s.ja}}\n",
        f"      - {{from: open, withdrawn: {REPORTED}}}\n",
    ],
    ids=["in one state it is taken", "once a later signal took its place it is taken"],
)
def test_a_step_that_is_taken_sometimes_is_none(line: str) -> None:
    assert told(load_with(changed(BARE, "    terms:\n", f"{line}    terms:\n")).faults) == []


@pytest.mark.parametrize(
    ("migrate", "marker", "what"),
    [
        ("{bezig: nieuw}", "bezig: nieuw}", "`bezig` is still a state"),
        ("{klaar: nieuw}", "klaar: nieuw}", "`klaar` is still a state"),
        ("{oud: weg}", "oud: weg", "the state `weg` cannot be reached"),
        ("[oud, nieuw]", "migrate:", "migrate"),
        ("{oud: [nieuw]}", "migrate:", "migrate"),
    ],
)
def test_migrate_leads_from_a_state_that_is_gone_to_one_that_is_there(migrate: str, marker: str, what: str) -> None:
    only_faults(changed(BARE, "{oud: nieuw}", migrate), (marker, what))


# --- what a condition may read ---


@pytest.mark.parametrize(
    ("old", "new", "marker", "what"),
    [
        ("when: s.ja && c.n < 9", "when: s.ja && c.tot > today", "# 01", "`c.tot` is read in state `bezig`, and not every path to it has set it"),
        ("set: {n: c.n + 1, soort: s.soort}", "set: {n: c.n + 1, soort: \"c.tot > today ? s.soort : s.soort\"}", "# 00", "`c.tot` is read in state `nieuw`"),
        ("when: c.n > 0, notify", "when: c.gezet, notify", "# 04", "undeclared reference to 'c.gezet'"),
        ("in: nieuw, at: c.datum", "in: nieuw, at: c.tot", "# 09", "`c.tot` is read in state `nieuw`"),
        ("in: gepauzeerd, before: [c.tot, P14D]", "in: bezig, before: [c.tot, P14D]", "# 07", "`c.tot` is read in state `bezig`"),
        ("set: {n: 0}, code: voorbij", "set: {n: c.m}, code: voorbij", "# 08", "undeclared reference to 'c.m'"),
        ("    when: c.n == 0 && c.state == 'nieuw'\n", "    when: c.soort == 'HUUR' # when\n", "# when", "`c.soort` is read in state `nieuw`"),
        ("      niet-huur: c.soort == 'HUUR' && c.n > 0\n", "      niet-huur: c.tot > today # requires\n", "# requires", "`c.tot` is read in state `bezig`"),
        ("    when: c.n > 5\n", "    when: c.tot > today # refuse\n", "# refuse", "`c.tot` is read in state `bezig`"),
        ("    when: c.n > 5\n", "    when: c.m > 5\n", "c.m > 5", "undeclared reference to 'c.m'"),
        ("    when: c.n > 5\n", "    when: c.state == 'bzg'\n", "bzg", "'bzg' is no symbol here; known: nieuw, bezig, gepauzeerd, klaar, vervallen"),
        ("    when: c.n > 5\n", "    when: c.soort == 'KOOP'\n", "KOOP", "'KOOP' is no symbol here; known: HUUR, ZORG"),
        ("    when: c.n > 5\n", "    when: c.datum == 'morgen'\n", "morgen", "'morgen' stands beside a date but is no date"),
        ("    when: c.n > 5\n", "    when: c.n > '5'\n", "c.n > '5'", "found no matching overload"),
        ("    when: c.n > 5\n", "    when: c.n\n", "    when: c.n\n".strip() + "$", "not true or false"),
    ],
)  # fmt: skip
def test_a_condition_reads_only_what_every_path_to_its_state_has_set_in_its_type(old: str, new: str, marker: str, what: str) -> None:
    text = changed(GOOD, old, new)
    if marker.endswith("$"):
        text = changed(text, "    when: c.n\n", "    when: c.n # here\n")
        marker = "# here"
    only_faults(text, (marker, what))


def test_a_variable_that_one_path_sets_is_missing_on_the_other() -> None:
    """The second way to `gepauzeerd` does not set `tot`: both terms and the withdrawal that read it are told."""
    text = changed(BARE, "    terms:\n", f"      - {{from: nieuw, on: {ANSWER}, to: gepauzeerd}}\n    terms:\n")
    missing = "`c.tot` is read in state `gepauzeerd`, and not every path to it has set it"
    only_faults(text, ("# 07", missing), ("# 08", missing))


def test_a_variable_that_the_start_does_not_set_is_missing_until_a_step_has_set_it() -> None:
    unset = "`c.n` is read in state `nieuw`, and not every path to it has set it"
    only_faults(changed(GOOD, "set: {datum: s.datum, n: 0} # start", "set: {datum: s.datum} # start"), ("# 00", unset), ("c.n == 0", unset))


def test_a_variable_that_only_comes_from_itself_is_none() -> None:
    text = changed(BARE, "set: {n: c.n + 1, soort: s.soort}", "set: {n: c.n + 1, soort: c.soort}")
    only_faults(text, ("# 00", "undeclared reference to 'c.soort'"))


@pytest.mark.parametrize(
    ("old", "new", "marker"),
    [
        ("when: s.aantal > 0 # start", "when: c.n > 0 # start", "# start"),
        ("when: s.aantal > 0 # start", "when: c.state == 'nieuw' # start", "# start"),
        ("n: 0} # start", "n: 0, m: c.n} # set", "# set"),
    ],
)
def test_the_start_reads_no_case_for_there_is_none_yet(old: str, new: str, marker: str) -> None:
    text = BARE.replace("# start", "") if marker == "# set" else changed(BARE, "n: 0} # start", "n: 0}")
    only_faults(
        changed(text, old.replace("# start", "") if marker == "# set" else old, new), (marker, "there is no case yet when it starts")
    )


@pytest.mark.parametrize("name", ["s.ja", "e.role == 'bron'", "cfg.agreement.limit > 0"])
def test_what_no_signal_causes_reads_no_signal(name: str) -> None:
    only_faults(changed(BARE, "when: c.n > 0, notify", f"when: {name}, notify"), ("# 04", "undeclared reference"))


@pytest.mark.parametrize(
    ("case", "what"),
    [
        ("e.corelationid", "undeclared reference to 'e.corelationid'"),
        ("s.aantal", "the expression gives INT, not a text"),
        ("s.datum", "not a text"),
        ("c.state", "`c.state` changes while a case runs"),
        ('"e.correlationid + today"', "`today` changes while a case runs"),
        ("s.bsn", "undeclared reference to 's.bsn'"),
    ],
)
def test_what_tells_cases_apart_is_a_text_that_every_type_has_and_that_stays_the_same(case: str, what: str) -> None:
    only_faults(changed(BARE, "case: e.correlationid", f"case: {case}"), ("case:", what))


@pytest.mark.parametrize(
    ("grant", "what"),
    [
        ("when: c.n > 0", "`c.n` is read, and .* may come without a case"),
        ("when: c.state == 'klaar'", "`c.state` is read, and .* may come without a case"),
        ("requires: {wel: c.n > 0}", "`c.n` is read, and .* may come without a case"),
    ],
)
def test_what_may_come_without_a_case_has_no_rules_that_read_one(grant: str, what: str) -> None:
    text = f"  - id: proef.feit\n    signal: {FACT}\n    to: doel\n    legal_basis: [wet-1]\n    {grant} # feit\n    fields: [aantal]\n    retention: P6M\n    explain: Uitleg.\nprocesses:\n"
    only_faults(changed(BARE, "processes:\n", text), ("# feit", what))
    alarm = changed(text, FACT, OTHER)
    raised = changed(BARE, "    migrate:", f"      - {{on: {OTHER}, in: nieuw, notify: [doel], code: ook}}\n    migrate:")
    only_faults(changed(raised, "processes:\n", alarm), ("# feit", what))


def test_a_rule_on_a_fact_that_refuses_by_the_case_is_a_fault() -> None:
    text = f"{BARE}  - signal: {FACT}\n    when: c.n > 1 # feit\n    code: te-laat\n    text: Te laat.\n"
    only_faults(text, ("# feit", "`c.n` is read, and .* may come without a case"))


def test_what_is_exempt_from_a_quota_does_not_depend_on_a_case() -> None:
    quota = "    quota: {name: q, limit: 5, per: month, key: [recipient], overflow: defer, exempt: c.n > 0} # quota\n    fields: [aantal]\n"
    text = changed(GOOD, "    when: c.n == 0 && c.state == 'nieuw'\n    fields: [aantal]\n", quota)
    only_faults(text, ("# quota", "may not depend on a case"))
    only_faults(
        changed(text, "limit: 5, ", "limit: c.n, ").replace(", exempt: c.n > 0", ""), ("# quota", r"a limit may not depend on c\.n")
    )


# --- what a case may keep ---


@pytest.mark.parametrize(
    ("assigned", "what"),
    [
        ("wie: s.bsn", "a case may not keep `bsn`"),
        ("wie: s.bsn == '999990019'", "a case may not keep `bsn`"),
        ("wie: s.aantl", "undeclared reference to 's.aantl'"),
        ("wie: HUUR", "undeclared reference to 'HUUR'"),
        ("wie: s.soort == 'KOOP'", "'KOOP' is no symbol here"),
        ("wie: '[1, 2]'", "the expression gives LIST<INT>, which a case cannot hold"),
        ("wie: '1.5'", "the expression gives DOUBLE, which a case cannot hold"),
        ("wie: 1.5", "the expression gives DOUBLE, which a case cannot hold"),
        ("wie: s.aantal +", "Syntax error"),
        ("state: s.soort", "`state` is the state of the case itself"),
        ("Wie: 1", "Wie"),
        ("wie: [1]", "wie"),
        ("wie: {a: 1}", "wie"),
        ("wie: ' '", "wie"),
    ],
)
def test_a_case_keeps_codes_dates_and_numbers_that_point_at_nobody(assigned: str, what: str) -> None:
    only_faults(changed(BARE, "n: 0} # start", f"n: 0, {assigned}}} # set"), ("# set", what))


@pytest.mark.parametrize(
    ("privacy", "kept"),
    [
        ("code", True),
        ("organisation", True),
        ("identifier", False),
        ("address", False),
        ("financial", False),
        ("sensitive", False),
        ("sanction", False),
    ],
)
def test_a_case_keeps_fields_of_class_code_and_organisation_only(privacy: str, kept: bool) -> None:  # noqa: FBT001
    others = {f"schemas/{STEP}.avsc": schema(STEP, field("veld", "string", privacy=privacy))}
    text = changed(BARE, "soort: s.soort}", "soort: s.soort, veld: s.veld}")
    if kept:
        assert told(load(ALL | others | {FLOW_FILE: text}).faults) == []
    else:
        only_faults(text, ("# 00", "a case may not keep `veld`"), others=others)


@pytest.mark.parametrize(
    ("first", "second"),
    [("1", "s.ja"), ("s.datum", "s.soort"), ("s.ja", "s.datum"), ("s.soort", "\"'los'\""), ("s.datum", "\"'2026-01-01'\"")],
)
def test_a_variable_has_one_type(first: str, second: str) -> None:
    text = changed(BARE, "n: 0} # start", f"n: 0, x: {first}}}")
    text = changed(text, "to: vervallen}", f"to: vervallen, set: {{x: {first}}}}}") if not first.startswith("s") else text
    text = changed(text, "soort: s.soort}", f"soort: s.soort, x: {second}}}")
    only_faults(text, ("# 00", "`x` gets another type than elsewhere"))


@pytest.mark.parametrize(
    ("first", "second"),
    [("1", "null"), ("null", "s.datum"), ("s.datum", "today"), ("0", "c.n + 1"), ("today", "\"plus(c.x, 'P1M')\""), ("true", "s.ja")],
)
def test_a_variable_may_be_null_somewhere_and_come_from_itself(first: str, second: str) -> None:
    text = changed(BARE, "n: 0} # start", f"n: 0, x: {first}}}")
    assert told(load_with(changed(text, "soort: s.soort}", f"soort: s.soort, x: {second}}}")).faults) == []


def test_a_variable_that_may_be_null_is_compared_before_it_is_taken_for_true() -> None:
    text = changed(GOOD, "n: 0} # start", "n: 0, ja: null}")
    text = changed(text, "soort: s.soort}", "soort: s.soort, ja: s.ja}")
    only_faults(changed(text, "    when: c.n > 5\n", "    when: c.ja # hier\n"), ("# hier", "the expression may be null"))
    assert told(load_with(changed(text, "    when: c.n > 5\n", "    when: c.ja == true\n")).faults) == []


# --- types of signals ---


@pytest.mark.parametrize(
    ("old", "new", "marker"),
    [
        (f"on: {ANSWER}}}", "on: nl.test.weg.v1}", "# 02"),
        (f"withdrawn: {REPORTED}", "withdrawn: nl.test.weg.v1", "# 05"),
        (f"- {{on: {FACT}, in", "- {on: nl.test.weg.v1, in", "# 12"),
    ],
)
def test_a_type_that_does_not_exist_is_told_where_it_stands(old: str, new: str, marker: str) -> None:
    text = GOOD
    if marker == "# 02":  # and then nothing on that type may read the case
        text = changed(text, "      niet-huur: c.soort == 'HUUR' && c.n > 0\n", "      wel: s.ja\n")
        text = changed(text, "    when: c.n > 5\n", "    when: s.aantal > 5\n")
    only_faults(changed(text, old, new), (marker, "the signal type `nl.test.weg.v1` does not exist"))


def test_a_start_that_does_not_exist_is_told_where_it_stands() -> None:
    text = changed(BARE, f"      on: {REPORTED}\n", "      on: nl.test.weg.v1\n")
    assert (line_of(text, "nl.test.weg.v1"), "the signal type `nl.test.weg.v1` does not exist") in {
        (fault.line, fault.what) for fault in load_with(text).faults
    }


def test_a_type_whose_schema_is_broken_is_told_there_and_not_here() -> None:
    loaded = load(ALL | {f"schemas/{FACT}.avsc": "{"})
    assert {fault.file for fault in loaded.faults} == {f"schemas/{FACT}.avsc"}


@pytest.mark.parametrize(
    "name", [REMINDER, "nl.signaalhub.signaal-ingetrokken.v1", "nl.signaalhub.ontvangst-bevestigd.v1", "nl.signaalhub.signaal-geweigerd.v1"]
)
def test_the_hubs_own_signals_move_no_case_for_no_participant_sends_them_as_one(name: str) -> None:
    line = f"      - {{from: nieuw, on: {name}}} # eigen\n"
    only_faults(changed(BARE, "    terms:\n", f"{line}    terms:\n"), ("# eigen", f"`{name}` is the hub's own and moves no case"))


@pytest.mark.parametrize(
    ("publishers", "what"), [([], "no publisher may send this type"), (["nergens"], "no participant has the role `nergens`")]
)
def test_a_type_that_no_publisher_may_send_is_a_fault_of_its_contract(publishers: list[str], what: str) -> None:
    raw = json.loads(ALL[f"schemas/{ANSWER}.avsc"])
    raw["signal"]["publishers"] = publishers
    found = load(ALL | {f"schemas/{ANSWER}.avsc": json.dumps(raw, indent=1)}).faults
    assert [(fault.file, fault.what) for fault in found] == [(f"schemas/{ANSWER}.avsc", what)]


@pytest.mark.parametrize(
    "line", [f"      - {{from: nieuw, on: {NAMELESS}}} # los\n", f"      - {{from: nieuw, on: {NAMELESS}, to: klaar, fact: true}} # los\n"]
)
def test_an_anonymous_signal_belongs_to_no_case(line: str) -> None:
    only_faults(changed(BARE, "    terms:\n", f"{line}    terms:\n"), ("# los", f"`{NAMELESS}` is anonymous and belongs to no case"))


def test_taking_back_a_signal_that_moves_nothing_undoes_nothing() -> None:
    line = f"      - {{from: nieuw, withdrawn: {OTHER}, to: klaar}} # los\n"
    only_faults(
        changed(BARE, "    terms:\n", f"{line}    terms:\n"), ("# los", f"`{OTHER}` moves no case, so its withdrawal undoes nothing")
    )


def test_a_type_that_only_raises_an_alarm_cannot_be_taken_back_by_the_case() -> None:
    text = changed(
        BARE, f"      - {{on: {FACT}, in", f"      - {{on: {OTHER}, in: nieuw, notify: [doel], code: ook}}\n      - {{on: {FACT}, in"
    )
    line = f"      - {{from: nieuw, withdrawn: {OTHER}, to: klaar}} # los\n"
    only_faults(changed(text, "    terms:\n", f"{line}    terms:\n"), ("# los", f"`{OTHER}` moves no case"))


SECOND: Final = f"""flow: ander
purpose: Een ander doel
activity: https://example.org/ander
processes:
  - id: andere-zaak
    case: e.correlationid
    start: {{on: {OTHER}, to: begin}}
    final: [eind]
    transitions:
      - {{from: begin, on: {OTHER}, to: eind}}
"""


def test_a_rule_set_may_have_many_processes_in_one_file_or_in_several() -> None:
    assert load_with(BARE, **{OTHER_FILE: SECOND}).unwrap().machines.keys() == {"zaak", "andere-zaak"}
    text = changed(BARE, "refuse:\n", SECOND[SECOND.index("  - id: andere") :] + "refuse:\n")
    assert load_with(text).unwrap().machines.keys() == {"zaak", "andere-zaak"}


def test_a_type_moves_the_cases_of_one_process() -> None:
    """The second in the order of the files is told."""
    other = changed(SECOND, "to: eind}\n", f"to: eind}}\n      - {{from: begin, on: {ANSWER}}}\n")
    only_faults(BARE, ("# 02", f"`{ANSWER}` already belongs to process `andere-zaak`"), others={OTHER_FILE: other})


def test_a_process_has_an_id_of_its_own() -> None:
    only_faults(
        BARE, ("id: zaak", "the process id `zaak` is used twice"), others={OTHER_FILE: changed(SECOND, "id: andere-zaak", "id: zaak")}
    )


# --- terms ---


@pytest.mark.parametrize(
    ("after", "what"),
    [
        ("P14", "`P14` is no length of time"),
        ("14 dagen", "`14 dagen` is no length of time"),
        ("P0D", "`P0D` is no length of time"),
        ("-P14D", "`-P14D` is no length of time"),
        ("werkdagen", "`werkdagen` is no length of time"),
        ("werkdagen()", r"`werkdagen\(\)` is no length of time"),
        ("werkdagen(-5)", r"`werkdagen\(-5\)` is no length of time"),
        ("kalenderdagen(5)", r"`kalenderdagen\(5\)` is no length of time"),
        ("wettelijk(6 weken)", r"`wettelijk\(6 weken\)` is no length of time"),
        ("wettelijk(PT6H)", r"`wettelijk\(PT6H\)` is no length of time"),
        ("hard(PT6H)", r"`hard\(PT6H\)` is no length of time"),
        ("hard(P8W", r"`hard\(P8W` is no length of time"),
        ("c.datum", "`c.datum` is no length of time"),
        ("werkdagen(cfg.dgen)", "undeclared reference to 'cfg.dgen'"),
        ("werkdagen(s.aantal)", "undeclared reference to 's.aantal'"),
        ("werkdagen(c.datum)", "the expression gives STRING, not a whole number"),
        ("werkdagen('vijf')", "the expression gives STRING, not a whole number"),
        ("werkdagen(c.tot == today)", "the expression gives BOOL, not a whole number"),
        ("5", "after"),
    ],
)
def test_after_is_a_length_of_time(after: str, what: str) -> None:
    only_faults(changed(BARE, "werkdagen(cfg.dagen)", after), ("# 06", what))


@pytest.mark.parametrize(
    ("before", "what"),
    [
        ("[c.tot, wettelijk(P2W)]", "`wettelijk` does not count back"),
        ("[c.tot, hard(P2W)]", "`hard` does not count back"),
        ("[c.tot, PT36H]", "`PT36H` is no length of time"),
        ("[c.tot, -P14D]", "`-P14D` is no length of time"),
        ("[c.tot, veertien]", "`veertien` is no length of time"),
        ("[c.n, P14D]", "the expression gives no date"),
        ("[c.soort, P14D]", "the expression gives no date"),
        ("[\"'2026-01-01'\", P14D]", "the expression gives no date"),
        ("[c.tod, P14D]", "undeclared reference to 'c.tod'"),
        ("[c.tot]", "`1` is missing"),
        ("[c.tot, P14D, P7D]", "before"),
        ("c.tot", "before"),
    ],
)  # fmt: skip
def test_before_is_a_date_and_a_length_of_time_that_counts_back(before: str, what: str) -> None:
    only_faults(changed(BARE, "before: [c.tot, P14D]", f"before: {before}"), ("# 07", what))


@pytest.mark.parametrize(
    ("at", "what"),
    [
        ("c.n", "the expression gives no date"),
        ("c.state", "the expression gives no date"),
        ("2026-12-31", "the expression gives no date"),
        ("s.datum", "undeclared reference to 's.datum'"),
        ("\"plus(c.tot, 'vier maanden')\"", "is no ISO 8601 duration of whole days"),
        ("\"plus(c.n, 'P4M')\"", "found no matching overload"),
    ],
)  # fmt: skip
def test_at_is_a_date(at: str, what: str) -> None:
    only_faults(changed(BARE, "at: c.tot, to", f"at: {at}, to"), ("# 08", what))


def test_a_moment_is_no_date() -> None:
    text = changed(
        BARE,
        f"from: [bezig, gepauzeerd], on: {ANSWER}",
        f"from: nieuw, on: {OTHER}, set: {{moment: s.moment}}}} # ook\n      - {{from: [bezig, gepauzeerd], on: {ANSWER}",
    )
    text = changed(text, "n: 0} # start", "n: 0, moment: null}")
    only_faults(changed(text, "at: c.datum", "at: c.moment"), ("# 09", "the expression gives no date"))


@pytest.mark.parametrize(
    ("old", "new", "marker"),
    [
        ("after: werkdagen(cfg.dagen)", "after: werkdagen(cfg.weken * 7)", "# 06"),
        ("before: [c.tot, P14D]", "before: [c.tot, werkdagen(cfg.weken)]", "# 07"),
        ("at: c.datum", "at: \"werkdagen(c.datum, cfg.weken)\"", "# 09"),
    ],
)  # fmt: skip
def test_a_term_counts_with_a_setting_that_every_municipality_has(old: str, new: str, marker: str) -> None:
    weeks = SETTINGS + 'weken:\n  "0344": [{value: 2, from: 2026-01-01, source: test}]\n'
    others = {"rules/settings.yaml": weeks}
    only_faults(changed(BARE, old, new), (marker, "the setting `weken` has no value for every municipality"), others=others)
    others = {"rules/settings.yaml": weeks + '  "*": [{value: 3, from: 2026-01-01, source: test}]\n'}
    assert told(load(ALL | others | {FLOW_FILE: changed(BARE, old, new)}).faults) == []


# --- codes ---


@pytest.mark.parametrize(
    ("old", "new", "markers"),
    [
        ("code: nadert", "code: te-lang", ("# 06", "# 07")),
        ("code: toch", "code: nadert", ("# 07", "# 12")),
        ("code: weer-bezig", "code: voorbij", ("# 04", "# 08")),
    ],
)
def test_the_code_of_a_reminder_is_used_once(old: str, new: str, markers: tuple[str, str]) -> None:
    code = new.removeprefix("code: ")
    loaded = load_with(changed(BARE, old, new))
    lines = {fault.line for fault in loaded.faults if fault.what == f"the code `{code}` is used twice in this process"}
    assert lines == {line_of(changed(BARE, old, new), marker) for marker in markers}


@pytest.mark.parametrize(
    ("old", "new", "marker"),
    [
        ("code: nadert", "code: al-gedaan", "# 07"),
        ("code: toch", "code: ingetrokken", "# 12"),
        ("code: weer-bezig", "code: wacht-op-ruimte", "# 04"),
        ("closed_in: vervallen, code: loopt", "closed_in: vervallen, code: staat-past-niet", "# 11"),
        ("code: nee", "code: stap-voorwaarde", "# 01"),
        ("code: te-weinig", "code: geen-regel", "geen-regel"),
    ],
)
def test_a_code_of_the_hub_means_something_else(old: str, new: str, marker: str) -> None:
    code = new.rpartition("code: ")[2]
    only_faults(changed(BARE, old, new), (marker, f"the code `{code}` is one of the hub's own"))


# --- who is told ---


@pytest.mark.parametrize("role", ["deol", "Het doel", "loket.0344", "$publisher", "$recipients", "$addressee", "signaalhub"])
@pytest.mark.parametrize("basis", ["", "    legal_basis: [wet-1]\n"], ids=["of the flow", "of the process"])
def test_a_reminder_goes_to_a_role_or_to_who_started_it(role: str, basis: str) -> None:
    text = changed(BARE, "    scope: subject\n", basis)
    only_faults(
        changed(text, "notify: [doel], code: nadert", f"notify: [{role}], code: nadert"),
        ("# 07", f"the recipient `{re.escape(role)}` does not exist"),
    )


def test_a_reminder_without_legal_basis_is_told_for_each_that_would_get_it() -> None:
    text = changed(BARE, "notify: [doel], code: nadert", "notify: [doel, loket], code: nadert")
    faults = only_faults(text, ("# 07", "nothing else in this flow is granted to `loket`, so the reminder has no legal basis"))
    assert faults[0].fix == "give the process a `legal_basis`"
    assert told(load_with(changed(text, "    scope: subject\n", "    legal_basis: [wet-1]\n")).faults) == []


@pytest.mark.parametrize(
    ("basis", "what"), [("[wet-1, wet-9]", "the ground `wet-9` does not exist"), ("[]", "process `zaak` has no legal basis")]
)
def test_the_legal_basis_of_a_process_is_checked_where_it_stands(basis: str, what: str) -> None:
    only_faults(changed(BARE, "    scope: subject\n", f"    legal_basis: {basis}\n"), ("legal_basis: " + basis, what))


def test_nobody_is_told_twice_and_an_alarm_is_heard_by_somebody() -> None:
    only_faults(changed(BARE, "notify: [doel, $starter]", "notify: [doel, $starter, doel]"), ("# 06", "`doel` is told twice"))
    only_faults(changed(BARE, "notify: [doel], code: toch", "notify: [], code: toch"), ("# 12", "an alarm that nobody hears is none"))


def test_the_name_of_a_reminder_fits_in_the_id_of_a_grant() -> None:
    text = changed(BARE, "code: nadert", f"code: {'n' * 60}").replace("id: zaak", f"id: {'z' * 20}")
    only_faults(text, ("# 07", "is too long for the id of a grant"))


def test_the_grant_of_a_reminder_has_an_id_of_its_own() -> None:
    only_faults(changed(BARE, "id: proef.antwoord", "id: zaak.nadert.doel"), ("# 07", "the grant id `zaak.nadert.doel` is used twice"))


# --- grants on what came before in the keten ---


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("follows: nl.test.weg.v1", "the signal type `nl.test.weg.v1` does not exist"),
        (f"follows: {NAMELESS}", "`follows` needs a keten, and an anonymous signal has none"),
        ("release_on: nl.test.weg.v1", "the signal type `nl.test.weg.v1` does not exist"),
        (f"release_on: {NAMELESS}", "`release_on` needs a keten, and an anonymous signal has none"),
        (f"to: loket\n    release_on: {ANSWER}", f"`loket` may not publish {ANSWER}, so nothing would ever be released"),
        (
            f"quota: {{name: q, limit: 5, per: month, key: [recipient], overflow: defer}}\n    release_on: {ANSWER}",
            "a grant has either `quota` or `release_on`",
        ),
    ],
)
def test_a_grant_follows_or_waits_for_a_signal_that_can_come_in_its_keten(line: str, what: str) -> None:
    text = changed(BARE, "    to: doel\n", f"    {line} # hier\n" if line.startswith("to:") else f"    to: doel\n    {line} # hier\n")
    if line.startswith("to:"):
        text = text.replace("notify: [doel", "notify: [loket")
    only_faults(text, ("# hier", what))


def test_an_anonymous_signal_follows_nothing() -> None:
    text = f"  - id: proef.los\n    signal: {NAMELESS}\n    to: doel\n    legal_basis: [wet-1]\n    follows: {REPORTED} # hier\n    fields: [aantal]\n    retention: P6M\n    explain: Uitleg.\nprocesses:\n"
    only_faults(changed(BARE, "processes:\n", text), ("# hier", "`follows` needs a keten"))


# --- the form ---


@pytest.mark.parametrize(
    ("old", "new", "marker", "what"),
    [
        ("    case: e.correlationid\n", "", "id: zaak", "`case` is missing"),
        ("      to: nieuw\n", "", "start:", "`to` is missing"),
        ("    final: [klaar, vervallen]\n", "", "id: zaak", "`final` is missing"),
        ("  - id: zaak\n", "  - naam: zaak\n    id: zaak\n", "naam: zaak", "unknown key `naam`"),
        ("scope: subject", "scope: person", "scope:", "scope"),
        ("from: [bezig, gepauzeerd], on", "van: bezig, from: [bezig, gepauzeerd], on", "# 02", "unknown key `van`"),
        ("from: [bezig, gepauzeerd], on", "on", "# 02", "`from` is missing"),
        (f"from: gepauzeerd, withdrawn: {STEP}", f"from: gepauzeerd, on: {STEP}, withdrawn: {STEP}", "# 04", "a transition has either `on` or `withdrawn`"),
        (f"from: [bezig, gepauzeerd], on: {ANSWER}", "from: [bezig, gepauzeerd]", "# 02", "a transition has either `on` or `withdrawn`"),
        ("notify: [doel], code: weer-bezig", "notify: [doel]", "# 04", "`notify` and `code` go together"),
        ("notify: [doel], code: weer-bezig", "code: weer-bezig", "# 04", "`notify` and `code` go together"),
        (f"withdrawn: {REPORTED}, to: vervallen", f"withdrawn: {REPORTED}, to: vervallen, fact: true", "# 05", "a fact is a signal that is never refused"),
        ("fact: true", "fact: true, when: s.ja, unmet: {code: kan-niet, text: Kan niet.}", "# 03", "a fact is a signal that is never refused"),
        ("fact: true", "fact: ja", "# 03", "fact"),
        (f"on: {ANSWER}}} # 02", f"on: {ANSWER}, text: Er komt iets.}} # 02", "# 02", "nobody hears this `text`"),
        (f"on: {ANSWER}}} # 02", f"on: {ANSWER}, unmet: {{code: nooit, text: Nooit.}}}} # 02", "# 02", "there is no `when`"),
        ("at: c.tot, to", "at: c.tot, after: P1D, to", "# 08", "a term has one of `after`, `before` and `at`"),
        ("at: c.tot, to", "to", "# 08", "a term has one of `after`, `before` and `at`"),
        ("at: c.datum, notify: [doel], code", "at: c.datum, code", "# 09", "a term leads to a state or tells somebody"),
        ("notify: [doel], code: nadert", "notify: [doel]", "# 07", "`code` is missing"),
        ("code: nadert", "code: Nadert al", "# 07", "code"),
        ("name: uitvoeren, closed_in: vervallen", "closed_in: vervallen", "# 11", "`name` is missing"),
        ("closed_in: vervallen, code: loopt", "closed_in: vervallen", "# 11", "`code` is missing"),
        ("in: [nieuw, gepauzeerd], notify", "in: [nieuw, gepauzeerd], text: '', notify", "# 12", "text"),
        ("unmet: {code: nee, text: Nee.}", "unmet: {code: nee}", "# 01", "`text` is missing"),
        ("to: bezig, set: {n: c.n + 1", "to: Bezig, set: {n: c.n + 1", "# 00", "to"),
        ("set: {n: 0}, code: voorbij", "set: [n], code: voorbij", "# 08", "set"),
        ("    guards:\n", "    wachters: []\n    guards:\n", "wachters", "unknown key `wachters`"),
    ],
)  # fmt: skip
def test_each_fault_of_form_in_a_process_is_told_on_its_line(old: str, new: str, marker: str, what: str) -> None:
    """Without a process that can be read its variables are not known; what else reads them is left out here."""
    text = BARE
    only_faults(changed(text, old, new), (marker, what))


@pytest.mark.parametrize("processes", ["processes: zaak\n", "processes:\n  - zaak\n", "processes:\n  - []\n", "processes: {id: zaak}\n"])
def test_processes_of_another_form_are_a_fault_and_never_a_crash(processes: str) -> None:
    text = BARE[: BARE.index("processes:\n")] + processes
    assert {fault.file for fault in load_with(text).faults} == {FLOW_FILE}


def test_faults_in_one_process_hide_none_in_another_and_come_together() -> None:
    text = changed(BARE, "closed_in: vervallen", "closed_in: verlopen")
    text = changed(text, "code: nadert", "code: al-gedaan")
    text = changed(text, "at: c.datum", "at: c.n")
    other = changed(SECOND, "    final: [eind]\n", "    final: [einde]\n")
    found = {(fault.file, fault.line) for fault in load_with(text, **{OTHER_FILE: other}).faults}
    assert found == {(FLOW_FILE, line_of(text, marker)) for marker in ("# 07", "# 09", "# 11")} | {
        (OTHER_FILE, line_of(other, marker)) for marker in ("id: andere-zaak", "final:")
    }


def test_an_expression_over_several_lines_is_told_on_the_line_that_is_wrong() -> None:
    block = "when: |\n        s.aantal > 0\n        && s.aantl < 9\n"
    only_faults(changed(BARE, "when: s.aantal > 0 # start\n", block), ("s.aantl", "undeclared reference to 's.aantl'"))


def test_the_rule_set_is_another_when_its_process_is() -> None:
    versions: list[Any] = [load_with(text).unwrap().version for text in (GOOD, changed(GOOD, "P14D", "P15D"), f"# opmerking\n{GOOD}")]
    assert (versions[0] == versions[2], versions[0] == versions[1]) == (True, False)
