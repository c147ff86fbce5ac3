"""Rule files: every fault reported at once on its line, examples that hold the rules to account, registers by day and place."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

import hub
from hub import examples
from hub.domain.decide import Circumstances, Verdict, decide
from hub.domain.faults import Fault
from hub.domain.loading import Loaded, load
from hub.domain.registers import covering
from hub.domain.ruleset import RuleSet
from hub.domain.signal import Signal
from hub.errors import FaultsError
from tests.unit.test_contract import DATE, FILE, PARTICIPANTS, TYPE, changed, enum, field, line_of, schema_of

ANSWER: Final = "nl.test.antwoord-gegeven.v1"
ANSWER_FILE: Final = f"schemas/{ANSWER}.avsc"
FLOW_FILE: Final = "rules/proef.yaml"
SCHEMA: Final = json.dumps(
    schema_of(
        field("gemeentecode", "string", format="gemeentecode", privacy="organisation"),
        field("soort", enum("Soort", "HUUR", "ZORG")),
        field("aantal", "int"),
        field("datum", DATE),
        field("zorg", "boolean", privacy="sensitive"),
        field("zaak", "string", format="cjib-nummer", privacy="sanction"),
        subject=None,
        municipality="gemeentecode",
    ),
    indent=1,
)
ANSWER_SCHEMA: Final = json.dumps(
    schema_of(field("aantal", "int"), type=ANSWER, subject=None, answers=[TYPE], publishers=["doel"]), indent=1
)
AGREEMENTS: Final = """agreements:
  - id: afspraak
    name: Een afspraak
    parties: [bron]
    municipalities: ["0344", "0855"]
    from: 2026-01-01
    until: 2026-12-31
    limit: 2
"""
GROUNDS: Final = """grounds:
  - {id: wet-1, text: Wet 1, status: vastgesteld, source: test}
  - {id: wet-2, text: Wet 2, status: te-toetsen, source: test}
"""
SETTINGS: Final = """dagen:
  "*":
    - {value: 5, from: 2026-01-01, until: 2026-06-30, source: test}
    - {value: 7, from: 2026-07-01, source: test}
  "0344": [{value: 3, from: 2026-03-01, source: test}]
"""
FORBIDDEN: Final = """forbidden:
  - {type: "*diagnose*", code: diagnose-niet-delen, text: Een diagnose blijft bij de behandelaar.}
"""
FLOW: Final = f"""flow: proef
purpose: Een doel
activity: https://example.org/proef
grants:
  - id: proef.een
    signal: {TYPE}
    to: doel
    agreements: [afspraak]
    legal_basis: [wet-1]
    valid: {{from: 2026-02-01, until: 2026-11-30}}
    when: e.role == 'bron'
    requires:
      te-weinig:
        condition: s.aantal >= 2
        text: Het zijn er te weinig.
      te-oud: s.datum >= '2020-01-01'
    fields: [gemeentecode, soort, aantal]
    retention: P6M
    explain: U krijgt dit omdat het moet.
  - id: proef.twee
    signal: {TYPE}
    to: loket
    legal_basis: [wet-1, wet-2]
    purpose: Een ander doel
    fields: [aantal]
    retention: P1Y
    explain: U krijgt dit ook.
refuse:
  - signal: {TYPE}
    when: s.aantal > 100
    code: te-veel
    text: Het zijn er te veel.
examples:
  - name: het gewone geval
    signal: {TYPE}
    as: bron
    data: &data {{gemeentecode: "0344", soort: HUUR, aantal: 3, datum: "2026-01-01", zorg: false, zaak: "123456789"}}
    expect:
      doel: {{outcome: deliver, data: {{gemeentecode: "0344", soort: HUUR, aantal: 3}}}}
      loket.0344: {{outcome: deliver, data: {{aantal: 3}}}}
      '*': none
  - name: te veel
    signal: {TYPE}
    as: bron
    data: {{gemeentecode: "0344", soort: HUUR, aantal: 101, datum: "2026-01-01", zorg: false, zaak: "123456789"}}
    expect: {{refused: [te-veel], '*': none}}
"""
OWN: Final = {f"own/{path.name}": path.read_text(encoding="utf-8") for path in (Path(hub.__file__).parent / "own").glob("*.[ya][av]*")}
FILES: Final = OWN | {
    "rules/participants.yaml": PARTICIPANTS,
    "rules/agreements.yaml": AGREEMENTS,
    "rules/grounds.yaml": GROUNDS,
    "rules/settings.yaml": SETTINGS,
    "rules/forbidden.yaml": FORBIDDEN,
    FLOW_FILE: FLOW,
    FILE: SCHEMA,
    ANSWER_FILE: ANSWER_SCHEMA,
}
DATA: Final = {"gemeentecode": "0344", "soort": "HUUR", "aantal": 3, "datum": "2026-01-01", "zorg": False, "zaak": "123456789"}


def load_with(file: str, text: str | None) -> Loaded:
    """Load the files with one replaced, or left out."""
    return load({name: content for name, content in (FILES | {file: text or ""}).items() if text is not None or name != file})


def flow_with(old: str, new: str) -> str:
    return changed(FLOW, old, new)


def only_fault(text: str, marker: str, what: str, fix: str = "", file: str = FLOW_FILE) -> None:
    """Check that there is one fault, in this file at the line of the marker, that says `what` (a pattern)."""
    loaded = load_with(file, text)
    found = [(fault.file, fault.line) for fault in loaded.faults]
    assert found == [(file, line_of(text, marker))], [str(fault) for fault in loaded.faults]
    assert re.search(what, loaded.faults[0].what), loaded.faults[0].what
    assert fix in loaded.faults[0].fix
    assert loaded.ruleset is None
    with pytest.raises(FaultsError, match=re.escape(str(loaded.faults[0]))):
        loaded.unwrap()


@pytest.fixture(scope="module")
def ruleset() -> RuleSet:
    return load(FILES).unwrap()


# --- rules that are right ---


def test_a_grant_is_what_its_file_says(ruleset: RuleSet) -> None:
    grant = ruleset.grants["proef.een"]
    assert (grant.flow, grant.purpose, grant.activity) == ("proef", "Een doel", "https://example.org/proef")
    assert (grant.signal, grant.to, grant.retention, grant.explain) == (TYPE, "doel", "P6M", "U krijgt dit omdat het moet.")
    assert [ground.id for ground in grant.grounds] == ["wet-1"]
    assert [agreement.id for agreement in grant.agreements] == ["afspraak"]
    assert [(required.code, required.condition.text) for required in grant.requires] == [
        ("te-weinig", "s.aantal >= 2"),
        ("te-oud", "s.datum >= '2020-01-01'"),
    ]
    assert grant.requires[0].text == "Het zijn er te weinig."
    assert [given.shown_as for given in grant.view.grants] == ["gemeentecode", "soort", "aantal"]
    assert grant.where == f"{FLOW_FILE}:{line_of(FLOW, 'id: proef.een')}"
    assert grant.settled


def test_a_grant_may_have_a_purpose_of_its_own_and_a_ground_that_is_not_sure(ruleset: RuleSet) -> None:
    grant = ruleset.grants["proef.twee"]
    assert grant.purpose == "Een ander doel"
    assert not grant.settled


def test_grants_are_found_by_the_type_of_the_signal(ruleset: RuleSet) -> None:
    assert [grant.id for grant in ruleset.types[TYPE].grants] == ["proef.een", "proef.twee"]
    assert ruleset.types[ANSWER].grants == ()


@pytest.mark.parametrize(
    ("day", "holds"),
    [(date(2026, 1, 31), False), (date(2026, 2, 1), True), (date(2026, 11, 30), True), (date(2026, 12, 1), False)],
)
def test_a_grant_is_valid_from_its_first_to_its_last_day(ruleset: RuleSet, day: date, *, holds: bool) -> None:
    assert ruleset.grants["proef.een"].in_force(day) is holds
    assert ruleset.grants["proef.twee"].in_force(day)


@pytest.mark.parametrize(
    ("name", "forbidden"), [("nl.zorg.diagnose-gesteld.v1", True), ("nl.diagnose.v1", True), (TYPE, False), ("diagnos", False)]
)
def test_some_types_may_never_be_published(ruleset: RuleSet, name: str, *, forbidden: bool) -> None:
    found = ruleset.forbids(name)
    assert (found is not None and found.code == "diagnose-niet-delen") is forbidden


# --- the version of a rule set ---


def test_the_version_follows_from_the_content_and_not_from_its_layout(ruleset: RuleSet) -> None:
    noisy = {name: f"# een opmerking\n{text}\n" if name.endswith(".yaml") else text.replace("\n", "\n\n") for name, text in FILES.items()}
    assert load(noisy).unwrap().version == ruleset.version
    assert re.fullmatch("[0-9a-f]{64}", ruleset.version)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (FLOW_FILE, "s.aantal >= 2", "s.aantal >= 3"),
        (FLOW_FILE, "explain: U krijgt dit ook.", "explain: U krijgt dit."),
        ("rules/agreements.yaml", "limit: 2", "limit: 3"),
        ("rules/settings.yaml", "value: 3", "value: 4"),
        ("rules/grounds.yaml", "te-toetsen", "vastgesteld"),
        (FILE, '"privacy": "sensitive"', '"privacy": "code"'),
    ],
)
def test_any_change_of_content_is_another_version(ruleset: RuleSet, file: str, old: str, new: str) -> None:
    assert load_with(file, changed(FILES[file], old, new)).unwrap().version != ruleset.version


# --- faults in a flow, each on its line ---


@pytest.mark.parametrize(
    ("old", "new", "marker", "what"),
    [
        ("    when: e.role", "    wanneer: e.role", "wanneer", "unknown key `wanneer`"),
        ("    retention: P6M\n", "    retention: P6M\n    priority: 1\n", "priority", "unknown key `priority`"),
        ("activity: https", "homepage: x\nactivity: https", "homepage", "unknown key `homepage`"),
        ("purpose: Een doel\n", "", "flow: proef", "`purpose` is missing"),
        ("activity: https://example.org/proef\n", "", "flow: proef", "`activity` is missing"),
        ("    legal_basis: [wet-1]\n", "", "id: proef.een", "`legal_basis` is missing"),
        ("    legal_basis: [wet-1]\n", "    legal_basis: []\n", "legal_basis: []", "grant `proef.een` has no legal basis"),
        ("    legal_basis: [wet-1]\n", "    legal_basis:\n    - wet-1\n    - wet-3\n", "wet-3", "the ground `wet-3` does not exist"),
        ("    agreements: [afspraak]\n", "    agreements:\n    - afspraken\n", "afspraken", "the agreement `afspraken` does not exist"),
        ("    to: doel\n", "    to: deol\n", "deol", "the recipient `deol` does not exist"),
        ("    to: doel\n", "    to: loket.0344\n", "    to: loket.0344", "the recipient `loket.0344` does not exist"),
        ("    to: doel\n", "    to: $addressee\n", "$addressee", r"the recipient `\$addressee` does not exist"),
        ("    to: doel\n", "    to: $publisher\n", "$publisher", r"`\$publisher` needs a cause"),
        ("    to: doel\n", "", "id: proef.een", "`to` is missing"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [gemeentecode, sort]", "sort]", "`sort` is no field of"),
        ("fields: [gemeentecode, soort, aantal]", "fields: []", "fields: []", "grant `proef.een` names no fields"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [soort, soort]", "[soort, soort]", "`soort` is granted twice"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [soort, {aantal: pc4}]", "pc4", "`pc4` does not work on `aantal`"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [soort, {aantal: ''}]", "{aantal: ''}", "fields"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [soort, uitgever, uitgever]", "uitgever", "`uitgever` is granted twice"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [{uitgever: pseudoniem}]", "uitgever", "`uitgever` is no field of"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [soort, zorg]", "zorg]", "`zorg` is sensitive and the grant has no `privacy_decision`"),
        ("fields: [gemeentecode, soort, aantal]", "fields: [zaak]", "[zaak]", "`zaak` is about a sanction and the grant has no `sanction_basis`"),
        ("fields: [gemeentecode, soort, aantal]", "sanction_basis: wet-9\n    fields: [zaak]", "wet-9", "the ground `wet-9` does not exist"),
        ("    retention: P6M\n", "    retention: 6 maanden\n", "6 maanden", "`retention` is an ISO 8601 duration"),
        ("    explain: U krijgt dit omdat het moet.\n", "", "id: proef.een", "`explain` is missing"),
        ("    explain: U krijgt dit omdat het moet.\n", "    explain: ' '\n", "explain: ' '", "explain"),
        ("id: proef.een", "id: Proef Een", "Proef Een", "id"),
        ("id: proef.twee", "id: proef.een # weer", "# weer", "the grant id `proef.een` is used twice"),
        ("from: 2026-02-01, until: 2026-11-30", "from: gisteren", "gisteren", "from"),
        ("from: 2026-02-01, until: 2026-11-30", "from: 2026-02-30", "2026-02-30", "from"),
        ("from: 2026-02-01, until: 2026-11-30", "from: 2026-02-01, tot: 2026-11-30", "tot:", "unknown key `tot`"),
        ("when: e.role == 'bron'", "when: e.role == 'brn'", "'brn'", "'brn' is no symbol here"),
        ("when: e.role == 'bron'", "when: s.aantl > 1", "aantl", "undeclared reference to 's.aantl'"),
        ("when: e.role == 'bron'", "when: cfg.dgen > 1", "dgen", "undeclared reference to 'cfg.dgen'"),
        ("      te-oud: s.datum", "      geen-afspraak: s.datum", "geen-afspraak", "the code `geen-afspraak` is one of the hub's own"),
        ("      te-oud: s.datum", "      Te_Oud: s.datum", "Te_Oud", "Te_Oud"),
        ("s.datum >= '2020-01-01'", "s.datum >= '2020-13-01'", "2020-13-01", "stands beside a date but is no date"),
        ("    condition: s.aantal >= 2\n", "    condition: s.aantal >= 2\n        uitleg: x\n", "uitleg", "unknown key `uitleg`"),
        ("    when: s.aantal > 100\n", "    when: s.aantal\n", "    when: s.aantal", "not true or false"),
        ("    code: te-veel\n", "    code: veld-onbekend\n", "veld-onbekend", "the code `veld-onbekend` is one of the hub's own"),
        ("    code: te-veel\n", "    code: Te veel\n", "Te veel", "code"),
        ("    text: Het zijn er te veel.\n", "", "  - signal: " + TYPE, "`text` is missing"),
        ("  - name: te veel\n", "  - naam: te veel\n    name: te veel\n", "naam: te veel", "unknown key `naam`"),
        ("  - name: te veel\n", "  - name: te veel\n    repeat: 0\n", "repeat: 0", "repeat"),
    ],
)  # fmt: skip
def test_each_fault_in_a_flow_is_reported_alone_and_on_its_line(old: str, new: str, marker: str, what: str) -> None:
    only_fault(flow_with(old, new), marker, what)


@pytest.mark.parametrize(
    ("quota", "what"),
    [
        ("{name: q, limit: 5, per: week, key: [recipient], overflow: defer}", "per"),
        ("{name: q, limit: 5, per: month, key: [recipient], overflow: drop}", "overflow"),
        ("{name: q, limit: 5, per: month, key: [gemeente], overflow: defer}", "key"),
        ("{name: q, limit: cfg.nergens, per: month, key: [recipient], overflow: defer}", "undeclared reference to 'cfg.nergens'"),
        ("{name: q, limit: s.aantal, per: month, key: [recipient], overflow: defer}", "a limit may not depend on s.aantal"),
        ("{name: q, limit: -1, per: month, key: [recipient], overflow: defer}", "limit"),
        ("{name: q, limit: 5, per: month, key: [recipient], overflow: defer, exempt: s.aantal}", "not true or false"),
        ("{limit: 5, per: month, key: [recipient], overflow: defer}", "`name` is missing"),
        ("{name: q, limit: 5, key: [recipient], overflow: defer}", "`per` is missing"),
    ],
)
def test_each_fault_in_a_quota_is_reported(quota: str, what: str) -> None:
    only_fault(flow_with("    retention: P6M\n", f"    quota: {quota}\n    retention: P6M\n"), "quota:", what)


def test_a_quota_by_agreement_needs_an_agreement() -> None:
    quota = "    quota: {name: q, limit: cfg.agreement.limit, per: month, key: [agreement, recipient], overflow: defer}\n"
    assert load_with(FLOW_FILE, flow_with("    retention: P6M\n", f"{quota}    retention: P6M\n")).faults == ()
    only_fault(flow_with("    retention: P1Y\n", f"{quota}    retention: P1Y\n"), "quota:", "the grant names none")


def test_a_role_that_many_have_is_no_recipient() -> None:
    many = PARTICIPANTS + "  - {id: doel-b, role: doel, name: Nog een doel}\n"
    found = load_with("rules/participants.yaml", many).faults
    assert [(fault.file, fault.line) for fault in found] == [(FLOW_FILE, line_of(FLOW, "to: doel"))]
    assert "more than one participant" in found[0].what


@pytest.mark.parametrize(
    ("example", "marker", "what"),
    [
        ("{name: x, signal: nl.test.bestaat-niet.v1, as: bron, data: {}}", "bestaat-niet", "the signal type `nl.test.bestaat-niet.v1` does not exist"),
        (f"{{name: x, signal: {TYPE}, as: bronn, data: {{}}}}", "bronn", "the participant `bronn` does not exist"),
        (f"{{name: x, signal: {TYPE}, as: loket, data: {{}}}}", "as: loket", "the participant `loket` does not exist"),
        (f"{{name: x, signal: {TYPE}, as: loket.9999x, data: {{}}}}", "9999x", "the participant `loket.9999x` does not exist"),
        (f"{{name: x, signal: {TYPE}, as: bron}}", "name: x", "a step has `signal`, `as` and `data`, or a `tick`"),
        ("{name: x}", "name: x", "a step has `signal`, `as` and `data`, or a `tick`"),
        (f"{{signal: {TYPE}, as: bron, data: {{}}}}", "as: bron, data: {}", "`name` is missing"),
        (f"{{name: x, signal: {TYPE}, as: bron, data: []}}", "data: []", "data"),
        (f"{{name: x, signal: {TYPE}, as: bron, data: {{}}, repeat: 1001}}", "repeat", "repeat"),
    ],
)  # fmt: skip
def test_each_fault_in_an_example_is_reported(example: str, marker: str, what: str) -> None:
    only_fault(f"{FLOW}  - {example}\n", marker, what)


@pytest.mark.parametrize(
    ("old", "new", "marker"),
    [
        ("expect: {refused: [te-veel], '*': none}", "expect: {refused: [te-veel], '*': niets}", "niets"),
        ("expect: {refused: [te-veel], '*': none}", "expect: {refused: [te-veel], deol: none}", "deol"),
        ("expect: {refused: [te-veel], '*': none}", "expect: {refused: te-veel, '*': none}", "refused: te-veel"),
    ],
)
def test_an_expectation_that_could_never_fail_is_reported(old: str, new: str, marker: str) -> None:
    text = flow_with(old, new)
    loaded = load_with(FLOW_FILE, text)
    found = list(loaded.faults) or examples.run(loaded.unwrap())[1]
    real = [fault for fault in found if not fault.warning]
    assert [fault.file for fault in real] == [FLOW_FILE]
    assert line_of(text, "name: te veel") <= real[0].line <= line_of(text, marker)


def test_a_flow_that_does_not_exist_yet_has_an_empty_file() -> None:
    for text in ("", "[]", "tekst", "5"):
        assert [(fault.file, fault.line) for fault in load_with(FLOW_FILE, text).faults] == [(FLOW_FILE, 1)]


def test_broken_yaml_and_a_duplicate_key_are_faults_like_any_other() -> None:
    only_fault(flow_with("    to: doel\n", "    to: doel\n    to: loket # weer\n"), "# weer", "duplicate key `to`")
    only_fault(flow_with("    to: doel\n", "    to: [doel\n"), "agreements: [afspraak]", "not valid YAML")


# --- faults in the registers ---


@pytest.mark.parametrize(
    ("file", "old", "new", "marker", "what"),
    [
        ("rules/participants.yaml", "name: Doel", "naam: Doel", "naam: Doel", ""),
        ("rules/participants.yaml", "id: loket", "id: bron", "gemeentecode", "the id `bron` is used twice"),
        ("rules/agreements.yaml", "parties: [bron]", "parties: [brn]", "brn", "`brn` is no role or participant"),
        ("rules/agreements.yaml", "from: 2026-01-01", "from: 1 januari", "1 januari", "from"),
        ("rules/agreements.yaml", "limit: 2", "limit: -1", "limit", "limit"),
        ("rules/agreements.yaml", "limit: 2", "limiet: 2", "limiet", "unknown key `limiet`"),
        ("rules/agreements.yaml", '["0344", "0855"]', "alles", "alles", "municipalities"),
        ("rules/agreements.yaml", '["0344", "0855"]', '["0344", 855]', "855", "municipalities"),
        ("rules/grounds.yaml", "id: wet-2", "id: wet-1", "te-toetsen", "the id `wet-1` is used twice"),
        ("rules/grounds.yaml", "status: vastgesteld", "status: zeker", "zeker", "status"),
        ("rules/grounds.yaml", "{id: wet-1, text: Wet 1, status: vastgesteld, source: test}", "{id: wet-1, text: Wet 1, status: vastgesteld}", "vastgesteld}", "`source` is missing"),
        ("rules/settings.yaml", "value: 3, ", "", "0344", "`value` is missing"),
        ("rules/settings.yaml", "value: 3,", "value: 3, bron: x,", "bron: x", "unknown key `bron`"),
        ("rules/settings.yaml", "from: 2026-03-01, ", "", "0344", "`from` is missing"),
        ("rules/settings.yaml", '"0344":', '"344":', "344", "344"),
        ("rules/forbidden.yaml", "code: diagnose-niet-delen, ", "", "diagnose", "`code` is missing"),
    ],
)  # fmt: skip
def test_each_fault_in_a_register_is_reported_on_its_line(file: str, old: str, new: str, marker: str, what: str) -> None:
    text = changed(FILES[file], old, new)
    found = load_with(file, text).faults
    assert {(fault.file, fault.line) for fault in found} >= {(file, line_of(text, marker))}
    assert any(what in fault.what for fault in found)


@pytest.mark.parametrize(
    ("file", "old", "new", "marker", "what"),
    [
        ("rules/agreements.yaml", '["0344", "0855"]', "alles", "alles", "municipalities"),
        ("rules/agreements.yaml", "name: Een afspraak", "naam: Een afspraak\n    name: x", "naam", "unknown key `naam`"),
        ("rules/participants.yaml", "name: Bron", "name: Bron, rol: x", "rol: x", "unknown key `rol`"),
        ("rules/grounds.yaml", "text: Wet 2", "tekst: x, text: Wet 2", "tekst", "unknown key `tekst`"),
    ],
)
def test_one_wrong_entry_in_a_register_does_not_make_the_others_unknown(file: str, old: str, new: str, marker: str, what: str) -> None:
    """A fault that follows from another sends the reader to the wrong place."""
    only_fault(changed(FILES[file], old, new), marker, what, file=file)


@pytest.mark.parametrize(
    "text", ["- a\n", "tekst\n", "dagen: 5\n", "dagen:\n  '*': 5\n", "dagen:\n  '*': {value: 1}\n", "dagen:\n  '*': [5]\n", "5\n"]
)
def test_settings_of_the_wrong_form_are_a_fault_and_never_a_crash(text: str) -> None:
    assert {fault.file for fault in load_with("rules/settings.yaml", text).faults} == {"rules/settings.yaml"}


@pytest.mark.parametrize("file", ["rules/settings.yaml", "rules/forbidden.yaml"])
def test_some_registers_may_be_absent(file: str) -> None:
    assert load_with(file, None).faults == ()


def test_without_participants_nobody_takes_part() -> None:
    found = load_with("rules/participants.yaml", None).faults
    assert ("rules/participants.yaml", "the file is missing") in {(fault.file, fault.what) for fault in found}


@pytest.mark.parametrize(
    ("file", "old", "new", "marker"),
    [
        ("rules/agreements.yaml", "limit: 2", 'limit: "2"', "limit"),
        ("rules/agreements.yaml", "limit: 2", "limit: true", "limit"),
        ("rules/agreements.yaml", "from: 2026-01-01", "from: 0", "from: 0"),
        ("rules/agreements.yaml", "from: 2026-01-01", "from: 2026-01-01T00:00", "from: 2026"),
        ("rules/participants.yaml", "name: Bron,", "name: Bron, government: yes,", "yes"),
        ("rules/participants.yaml", "name: Bron,", "name: Bron, government: 1,", "government"),
        ("rules/participants.yaml", 'oin: "00000099000000010000"', "oin: 12", "oin: 12"),
        (FLOW_FILE, "  - name: te veel\n", '  - name: te veel\n    repeat: "3"\n', "repeat"),
    ],
)
def test_a_value_of_another_type_is_a_fault_and_never_converted_in_silence(file: str, old: str, new: str, marker: str) -> None:
    text = changed(FILES[file], old, new)
    assert (file, line_of(text, marker)) in {(fault.file, fault.line) for fault in load_with(file, text).faults}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("rules/agreements.yaml", "until: 2026-12-31", "until: 2025-12-31"), (FLOW_FILE, "until: 2026-11-30", "until: 2026-01-31")],
)
def test_what_ends_before_it_begins_is_a_fault(file: str, old: str, new: str) -> None:
    assert [fault.file for fault in load_with(file, changed(FILES[file], old, new)).faults] == [file]


# --- all faults together ---


def test_faults_in_many_files_are_reported_together_in_order() -> None:
    files = FILES | {
        FLOW_FILE: flow_with("to: doel\n", "to: deol\n"),
        "rules/grounds.yaml": changed(GROUNDS, "id: wet-2", "id: wet-1"),
        ANSWER_FILE: changed(ANSWER_SCHEMA, '"retention": "P6M"', '"retention": "lang"'),
        "rules/agreements.yaml": changed(AGREEMENTS, "[bron]", "[brn]"),
    }
    found = load(files).faults
    assert {fault.file for fault in found} == {FLOW_FILE, "rules/grounds.yaml", ANSWER_FILE, "rules/agreements.yaml"}
    assert list(found) == sorted(found)


def test_a_fault_of_form_in_one_grant_does_not_hide_a_fault_in_another() -> None:
    text = flow_with("    when: e.role == 'bron'\n", "    prioriteit: 1\n")
    text = changed(text, "    to: loket\n", "    to: lokket\n")
    text = changed(text, "    when: s.aantal > 100\n", "    when: s.antal > 100\n")
    text = changed(text, "    as: bron\n    data: {", "    as: bronn\n    data: {")
    assert [fault.line for fault in load_with(FLOW_FILE, text).faults] == [
        line_of(text, marker) for marker in ("prioriteit", "lokket", "s.antal", "bronn")
    ]


def test_a_flow_without_purpose_still_has_its_grants_checked() -> None:
    text = changed(flow_with("purpose: Een doel\n", ""), "    to: loket\n", "    to: lokket\n")
    assert [fault.line for fault in load_with(FLOW_FILE, text).faults] == [1, line_of(text, "lokket")]


def test_a_broken_contract_does_not_hide_the_faults_of_the_rules_on_it() -> None:
    schema = changed(SCHEMA, '"privacy": "sanction"', '"privacy": "geheim"')
    flow = changed(flow_with("when: e.role == 'bron'", "when: s.antal == 1"), "    fields: [aantal]\n", "    fields: [aantl]\n")
    found = load(FILES | {FILE: schema, FLOW_FILE: flow}).faults
    where = {(fault.file, fault.line) for fault in found}
    assert where >= {(FLOW_FILE, line_of(flow, "s.antal")), (FLOW_FILE, line_of(flow, "[aantl]"))}
    assert {file for file, _ in where} == {FILE, FLOW_FILE}
    assert not any("does not exist" in fault.what for fault in found)


def test_faults_within_one_grant_come_together() -> None:
    text = flow_with("    to: doel\n", "    to: deol\n")
    text = changed(text, "when: e.role == 'bron'", "when: s.antal == 1")
    text = changed(text, "fields: [gemeentecode, soort, aantal]", "fields: [gemeente, {soort: jaar}]")
    text = changed(text, "    legal_basis: [wet-1]\n", "    legal_basis: [wet-3]\n")
    lines = [line_of(text, marker) for marker in ("deol", "wet-3", "s.antal", "{soort: jaar}", "gemeente, ")]
    assert [fault.line for fault in load_with(FLOW_FILE, text).faults] == sorted(lines)


# --- examples ---


def run(text: str, **files: str) -> tuple[int, list[Fault], list[Fault]]:
    """Run the examples. Returns how many, the faults and the warnings."""
    total, found = examples.run(load(FILES | {FLOW_FILE: text, **files}).unwrap())
    return total, [fault for fault in found if not fault.warning], [fault for fault in found if fault.warning]


ALL_SHOWN: Final = f"""{FLOW}  - name: geen afspraak in deze gemeente
    signal: {TYPE}
    as: bron
    data: {{gemeentecode: "0772", soort: HUUR, aantal: 3, datum: "2026-01-01", zorg: false, zaak: "123456789"}}
    expect: {{doel: none, loket.0772: {{outcome: deliver}}, '*': none}}
"""


def test_examples_that_hold_are_counted_and_nothing_more() -> None:
    assert run(ALL_SHOWN) == (3, [], [])


def test_a_grant_is_shown_to_deliver_and_to_hold_back_or_there_is_a_warning() -> None:
    without = FLOW[: FLOW.index("examples:")]
    total, faults, warnings = run(without)
    assert (total, faults) == (0, [])
    assert [(w.file, w.line, w.what) for w in warnings] == [
        (FLOW_FILE, line_of(FLOW, f"id: {grant}"), f"grant `{grant}` has no example that {does}")
        for grant in ("proef.een", "proef.twee")
        for does in ("delivers", "does not deliver")
    ]


def test_a_grant_that_only_delivers_lacks_an_example_that_does_not() -> None:
    only = ALL_SHOWN[: ALL_SHOWN.index("  - name: te veel")]
    assert [warning.what for warning in run(only)[2]] == [
        "grant `proef.een` has no example that does not deliver",
        "grant `proef.twee` has no example that does not deliver",
    ]


@pytest.mark.parametrize(
    ("old", "new", "example", "what"),
    [
        ("doel: {outcome: deliver, data", "doel: {outcome: withhold, data", "het gewone geval", r"doel: expected outcome withhold, found deliver"),
        ("{outcome: deliver, data: {aantal: 3}}", "none", "het gewone geval", r"loket\.0344 got it"),
        ("      loket.0344: {outcome: deliver, data: {aantal: 3}}\n", "", "het gewone geval", r"loket\.0344 got it too"),
        ("data: {aantal: 3}}", "data: {aantal: 4}}", "het gewone geval", r"loket\.0344: the delivered data is not what was expected"),
        ("data: {aantal: 3}}", 'data: {aantal: 3, soort: HUUR}}', "het gewone geval", r"the delivered data is not what was expected"),
        ("doel: {outcome: deliver,", "doel: {outcome: deliver, grant: proef.twee,", "het gewone geval", "doel: expected grant proef.twee"),
        ("doel: {outcome: deliver,", "doel: {outcome: deliver, reason: anders,", "het gewone geval", "doel: expected outcome deliver, reason anders"),
        ("{refused: [te-veel], '*': none}", "{refused: [te-weinig], '*': none}", "name: te veel", r"refused with \[te-veel\], expected \[te-weinig\]"),
        ("{refused: [te-veel], '*': none}", "{'*': none}", "name: te veel", r"refused with \[te-veel\], expected \[\]"),
        ("    expect: {refused: [te-veel], '*': none}\n", "", "name: te veel", "refused with te-veel, and nothing said so"),
        ("{refused: [te-veel], '*': none}", "{refused: [te-veel], doel: {outcome: deliver}}", "name: te veel", "doel: expected outcome deliver, found nothing"),
        ("loket.0344: {outcome: deliver,", "loket.0344: {otcome: deliver,", "het gewone geval", "what is expected for loket.0344 must be"),
        ("loket.0344: {outcome: deliver, data: {aantal: 3}}", "loket.0344: gekregen", "het gewone geval", "what is expected for loket.0344 must be"),
    ],
)  # fmt: skip
def test_a_wrong_expectation_is_reported_on_the_line_of_its_example(old: str, new: str, example: str, what: str) -> None:
    text = flow_with(old, new)
    total, faults, _ = run(text)
    assert total == 2
    assert {(fault.file, fault.line) for fault in faults} == {(FLOW_FILE, line_of(text, example))}
    assert any(re.search(what, fault.what) for fault in faults), [fault.what for fault in faults]


def test_an_example_that_expects_what_does_not_happen_says_which_example_it_is() -> None:
    assert run(flow_with("{refused: [te-veel], '*': none}", "{'*': none}"))[1][0].what == (
        "example `te veel`: refused with [te-veel], expected []"
    )


STEPS: Final = f"""  - name: vraag en antwoord
    at: 2026-03-02T10:00
    steps:
      - {{name: eerste, as: bron, signal: {TYPE}, data: *data, expect: {{doel: {{outcome: deliver}}}}}}
      - {{as: doel, cause: eerste, signal: {ANSWER}, data: {{aantal: 1}}, expect: {{bron: {{outcome: deliver, data: {{aantal: 1}}}}, '*': none}}}}
      - {{as: doel, signal: {ANSWER}, data: {{aantal: 1}}, expect: {{refused: [oorzaak-ontbreekt]}}}}
      - {{at: 2026-12-01T10:00, as: bron, signal: {TYPE}, data: *data, expect: {{doel: none}}}}
"""
ANSWER_GRANT: Final = f"""  - id: proef.antwoord
    signal: {ANSWER}
    to: $publisher
    legal_basis: [wet-1]
    fields: [aantal]
    retention: P6M
    explain: U krijgt dit omdat u iets vroeg.
refuse:
"""


def test_an_example_may_have_steps_that_follow_from_each_other() -> None:
    assert run(flow_with("refuse:\n", ANSWER_GRANT) + STEPS)[1] == []


def test_a_step_that_goes_otherwise_is_told_by_its_number() -> None:
    text = flow_with("refuse:\n", ANSWER_GRANT) + changed(STEPS, "data: {aantal: 1}}, '*': none}", "data: {aantal: 2}}}")
    found = run(text)[1]
    assert [(fault.line, fault.what) for fault in found] == [
        (line_of(text, "vraag en antwoord"), "example `vraag en antwoord`: step 2: bron: the delivered data is not what was expected")
    ]


def test_a_cause_that_is_no_earlier_step_is_told() -> None:
    text = flow_with("refuse:\n", ANSWER_GRANT) + changed(STEPS, "cause: eerste", "cause: tweede")
    assert [fault.what for fault in run(text)[1]] == ["example `vraag en antwoord`: there is no earlier step called `tweede`"]


def test_a_moment_that_is_none_is_told() -> None:
    found = run(f"{FLOW}  - {{name: wanneer, at: morgen, signal: {TYPE}, as: bron, data: *data}}\n")[1]
    assert [fault.what for fault in found] == ["example `wanneer`: a moment is not ISO 8601"]


def test_a_quota_is_shown_in_an_example_up_to_its_edge_and_over() -> None:
    quota = (
        "    quota: {name: q, limit: cfg.agreement.limit, per: month, key: [agreement, recipient], overflow: defer}\n    retention: P6M\n"
    )
    steps = f"""  - name: de derde wacht tot de volgende maand
    at: 2026-03-31T23:00
    steps:
      - {{repeat: 2, as: bron, signal: {TYPE}, data: *data, expect: {{doel: {{outcome: deliver}}}}}}
      - {{as: bron, signal: {TYPE}, data: *data, expect: {{doel: {{outcome: defer, reason: wacht-op-ruimte}}}}}}
      - {{tick: 2026-03-31T23:59, expect: {{'*': none}}}}
      - {{tick: 2026-04-01T00:00, expect: {{doel: {{outcome: released}}, '*': none}}}}
"""
    assert run(flow_with("    retention: P6M\n", quota) + steps)[1] == []
    assert [f.what for f in run(flow_with("    retention: P6M\n", quota) + changed(steps, "repeat: 2", "repeat: 3"))[1]] != []


# --- deciding: registers by day and place ---


def verdict(ruleset: RuleSet, by: str = "bron", today: date = date(2026, 3, 2), **changes: Any) -> Verdict:
    rules = ruleset.types[TYPE]
    data, issues = rules.check_json(DATA | changes)
    assert not issues
    publisher = ruleset.participants.find(by)
    assert publisher is not None
    signal = Signal(rules, publisher, "1", bytes(16), 0, data, b"", municipality=data["gemeentecode"])
    return decide(ruleset, signal, Circumstances(now_ms=0, today=today))


def outcomes(found: Verdict) -> dict[str, tuple[str, str]]:
    return {decision.recipient: (decision.outcome, decision.reason) for decision in found.decisions}


def test_each_grant_gives_a_decision_for_its_recipient_in_the_municipality_of_the_signal(ruleset: RuleSet) -> None:
    assert outcomes(verdict(ruleset)) == {"doel": ("deliver", "volgens-regel"), "loket.0344": ("deliver", "volgens-regel")}
    assert outcomes(verdict(ruleset, gemeentecode="0855")).keys() == {"doel", "loket.0855"}


@pytest.mark.parametrize(
    ("today", "gemeentecode", "covered"),
    [
        (date(2026, 2, 1), "0344", True),
        (date(2026, 11, 30), "0855", True),
        (date(2026, 3, 2), "0772", False),
    ],
)
def test_outside_its_dates_and_places_an_agreement_covers_nothing(
    ruleset: RuleSet, today: date, gemeentecode: str, *, covered: bool
) -> None:
    expected = ("deliver", "volgens-regel") if covered else ("withhold", "geen-afspraak")
    assert outcomes(verdict(ruleset, today=today, gemeentecode=gemeentecode))["doel"] == expected


@pytest.mark.parametrize(
    ("day", "party", "municipality", "covers"),
    [
        (date(2025, 12, 31), "bron", "0344", False),
        (date(2026, 1, 1), "bron", "0344", True),
        (date(2026, 12, 31), "bron", "0855", True),
        (date(2027, 1, 1), "bron", "0855", False),
        (date(2026, 6, 1), "doel", "0344", False),
        (date(2026, 6, 1), "bron", "0772", False),
        (date(2026, 6, 1), "bron", None, False),
    ],
)
def test_an_agreement_covers_its_parties_in_its_municipalities_on_its_days(
    ruleset: RuleSet, day: date, party: str, municipality: str | None, *, covers: bool
) -> None:
    participant = ruleset.participants.find(party)
    assert participant is not None
    assert (covering(ruleset.agreements.values(), participant, municipality, day) is not None) is covers


@pytest.mark.parametrize(
    ("municipality", "day", "value"),
    [
        ("0855", date(2025, 12, 31), None),
        ("0855", date(2026, 1, 1), 5),
        ("0855", date(2026, 6, 30), 5),
        ("0855", date(2026, 7, 1), 7),
        ("0344", date(2026, 2, 28), 5),
        ("0344", date(2026, 3, 1), 3),
        (None, date(2026, 7, 1), 7),
    ],
)
def test_a_setting_is_that_of_the_municipality_on_that_day_or_the_general_one(
    ruleset: RuleSet, municipality: str | None, day: date, value: int | None
) -> None:
    assert ruleset.settings.value("dagen", municipality, day) == value


def test_when_every_grant_fails_on_its_preconditions_the_signal_is_refused_with_all_of_them() -> None:
    alone = load_with(FLOW_FILE, FLOW[: FLOW.index("  - id: proef.twee")]).unwrap()
    found = verdict(alone, aantal=1, datum="2019-12-31")
    assert [(fault.code, fault.text) for fault in found.faults] == [
        ("te-weinig", "Het zijn er te weinig."),
        ("te-oud", "Aan de voorwaarde 'te-oud' is niet voldaan."),
    ]
    assert [fault.code for fault in verdict(alone, gemeentecode="0772", aantal=1).faults] == ["geen-afspraak", "te-weinig"]


def test_when_one_grant_holds_the_signal_is_not_refused(ruleset: RuleSet) -> None:
    found = verdict(ruleset, aantal=1)
    assert found.faults == ()
    assert outcomes(found) == {"doel": ("withhold", "te-weinig"), "loket.0344": ("deliver", "volgens-regel")}


def test_without_a_grant_that_applies_there_is_one_decision_and_nobody_gets_it() -> None:
    alone = load_with(FLOW_FILE, FLOW[: FLOW.index("  - id: proef.twee")]).unwrap()
    assert outcomes(verdict(alone, by="loket.0344")) == {"*": ("withhold", "geen-regel")}
    assert outcomes(verdict(alone, today=date(2026, 12, 1))) == {"*": ("withhold", "geen-regel")}


def test_a_signal_is_never_delivered_to_its_own_publisher(ruleset: RuleSet) -> None:
    assert outcomes(verdict(ruleset, by="loket.0344"))["loket.0344"] == ("withhold", "eigen-signaal")


@pytest.mark.parametrize("real", ["00000099000000010000", "0000009900000003{gemeentecode}"])
def test_a_ground_that_is_not_sure_works_among_test_participants_only(real: str) -> None:
    participants = changed(PARTICIPANTS, real, real.replace("00000099", "00000001"))
    found = outcomes(verdict(load_with("rules/participants.yaml", participants).unwrap()))
    assert found["loket.0344"] == ("withhold", "grondslag-te-toetsen")
    assert found["doel"] == ("deliver", "volgens-regel")


def test_the_same_rule_set_signal_and_circumstances_give_the_same_verdict(ruleset: RuleSet) -> None:
    assert verdict(ruleset) == verdict(ruleset)
    assert verdict(load(FILES).unwrap()).faults == verdict(ruleset).faults
