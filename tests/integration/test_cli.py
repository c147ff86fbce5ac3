"""The command line as other programs use it: forms of JSON, exit codes, what is said and what never is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hub import rejections
from hub.app import Hub, MovingClock
from hub.domain import terms
from hub.telemetry import EVENTS
from tests.integration.support import (
    EINDHOVEN,
    LANDLORD,
    ROOT,
    TAX,
    TILBURG,
    Cli,
    Ran,
    add_grant,
    copied,
    edit,
    opened,
    without_examples,
)
from tests.sample import ADDRESS, ANSWER, DEBT, address, address_data, debt_data
from tests.unit.test_drawing import FILES

ANSWERED = {"resultaat": "VERWERKT", "verwerkt_op": "2026-11-02"}
PERSONS = """\
;01.01.20;07.67.10;07.70.10;08.09.10;08.10.10;08.11.80;08.83.10;08.83.20;08.83.30;
P_1;999990007;;0;0855;W;0855010000000017;;;;
P_2;999990019;;0;0855;W;0855010000000025;089999;20260914;;
P_3;999990020;;0;0344;W;0344010000000033;089999;20260901;;
P_4;999990056;;0;0855;B;;089999;20260818;;
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "home", monkeypatch)


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.said
    assert ran.err == ""
    return ran


def wrong_use(ran: Ran) -> None:
    assert ran.code == 2, ran.said
    assert ran.out == ""
    assert ran.err
    assert "Traceback" not in ran.err


def publish(cli: Cli, data: Any, *more: str, participant: str = TILBURG, type_: str = ADDRESS) -> dict[str, Any]:
    """Publish one signal that must be accepted, and return what was printed of it."""
    (result,) = ok(cli.publish(data, *more, participant=participant, type_=type_)).json
    assert result["status"] == "accepted"
    return dict(result)


def deliveries(cli: Cli, recipient: str) -> list[dict[str, Any]]:
    ok(cli("run", "--once"))
    return ok(cli("deliveries", recipient, "--json")).lines


# --- publish ------------------------------------------------------------------------------


def test_publish_prints_an_array_with_one_result_a_signal(cli: Cli) -> None:
    ran = ok(cli.publish(address_data(), "--id", "a-1", "--correlation", "dossier-1"))
    (result,) = ran.json
    assert list(result) == ["id", "signal_id", "correlation", "status", "errors"]
    assert result == result | {"id": "a-1", "correlation": "dossier-1", "status": "accepted", "errors": []}
    assert len(ran.out.splitlines()) == 1


def test_publish_prints_duplicates_and_refusals_in_the_same_form(cli: Cli) -> None:
    first = publish(cli, address_data(), "--id", "a-1")
    (again,) = ok(cli.publish(address_data(), "--id", "a-1")).json
    assert again == first | {"status": "duplicate"}
    ran = cli.publish(address_data(bsn="1"), "--id", "a-2")
    assert ran.code == 1
    (refused,) = ran.json
    assert list(refused) == ["id", "signal_id", "correlation", "status", "errors"]
    assert refused["id"] == "a-2"
    assert refused["signal_id"] not in {None, first["signal_id"]}
    assert refused["errors"] == [{"code": "bsn-ongeldig", "field": "bsn", "message": "Dit is geen geldig BSN (9 cijfers, 11-proef)."}]


def test_an_array_publishes_each_bare_or_with_its_own_attributes(cli: Cli) -> None:
    cause = publish(cli, address_data(), "--correlation", "dossier-1")["signal_id"]
    elements = [
        address_data(bag_id=None),
        {"id": "e-1", "data": address_data()},
        {"id": "e-2", "time": "2026-11-01T12:00:00Z", "correlation": "dossier-1", "cause": cause, "data": address_data()},
        {"id": None, "time": None, "correlation": None, "cause": None, "replaces": None, "data": address_data(bsn="123456782")},
        {"data": address_data(bsn="1")},
    ]
    ran = cli.publish(elements)
    assert ran.code == 1
    assert [result["status"] for result in ran.json] == ["accepted"] * 4 + ["rejected"]
    assert [result["id"] for result in ran.json][1:3] == ["e-1", "e-2"]
    assert ran.json[2]["correlation"] == "dossier-1"
    assert [delivery["data"]["bsn"] for delivery in deliveries(cli, TAX)] == ["999990019"] * 4 + ["123456782"]


def test_options_count_for_every_element_that_has_none_of_its_own(cli: Cli) -> None:
    ran = ok(cli.publish([address_data(), {"correlation": "eigen", "data": address_data()}], "--correlation", "dossier-1"))
    assert [result["correlation"] for result in ran.json] == ["dossier-1", "eigen"]


def test_an_empty_array_publishes_nothing(cli: Cli) -> None:
    assert ok(cli.publish([])).json == []


def test_an_id_for_an_array_is_wrong_use(cli: Cli) -> None:
    wrong_use(cli.publish([address_data()], "--id", "a-1"))


def test_data_may_come_from_a_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "melding.json"
    file.write_text(json.dumps(address_data()))
    ran = ok(cli("publish", "--as", TILBURG, "--type", ADDRESS, "--data", str(file)))
    assert ran.out.startswith("accepted  ")
    assert "999990019" not in ran.said


def test_a_file_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    ran = cli("publish", "--as", TILBURG, "--type", ADDRESS, "--data", str(tmp_path / "weg.json"))
    assert ran.code in {1, 2}
    assert "weg.json" in ran.err


def test_a_thousand_signals_in_one_go_are_all_answered_in_order(cli: Cli) -> None:
    elements = [{"id": f"n-{n}", "data": address_data(bag_id=f"{n:016d}")} for n in range(1_001)]
    assert [result["id"] for result in ok(cli.publish(elements)).json] == [f"n-{n}" for n in range(1_001)]


def test_people_see_each_fault_with_its_field_and_no_value(cli: Cli) -> None:
    ran = cli("publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-",
              stdin=json.dumps(address_data(bsn="999990018", contactrol="Jan de Boer")).encode())  # fmt: skip
    assert ran.code == 1
    assert "rejected" in ran.out
    assert "bsn-ongeldig (bsn): Dit is geen geldig BSN" in ran.out
    assert "patroon-klopt-niet (contactrol)" in ran.out
    assert "999990018" not in ran.said
    assert "Boer" not in ran.said


# --- dry run ------------------------------------------------------------------------------


def test_a_dry_run_says_who_would_get_what_and_records_nothing(cli: Cli) -> None:
    (result,) = ok(cli.publish(address_data(), "--id", "a-1", "--dry-run")).json
    assert result["status"] == "accepted"
    (decision,) = result["decisions"]
    assert decision == decision | {"recipient": TAX, "grant": "spookbewoning.melding", "outcome": "deliver", "reason": "volgens-regel"}
    assert decision["fields"][:3] == ["gemeentecode", "bag_id", "bsn"]
    assert deliveries(cli, TAX) == []
    assert cli("why", result["signal_id"]).code == 1
    publish(cli, address_data(), "--id", "a-1")


def test_a_dry_run_of_a_bad_signal_keeps_nothing_and_tells_nobody(cli: Cli) -> None:
    assert cli.publish(address_data(bsn="1"), "--dry-run").code == 1
    assert cli.publish(address_data(), "--dry-run", participant="niemand").code == 1
    assert ok(cli("rejections", "list", "--json")).out == ""
    assert deliveries(cli, TILBURG) == []
    with opened(cli.home, MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        assert rejections.counts(hub) == {}


def test_a_dry_run_sees_the_cap_and_takes_no_place(cli: Cli) -> None:
    arrears = [debt_data(bedrag_cent=n) for n in range(1, 52)]
    results = ok(cli.publish(arrears, "--dry-run", participant=LANDLORD, type_=DEBT)).json
    assert [result["decisions"][0]["outcome"] for result in results] == ["deliver"] * 50 + ["defer"]
    assert ok(cli("quota", "show", "--json")).json == []


def test_people_are_told_that_a_dry_run_recorded_nothing(cli: Cli) -> None:
    ran = ok(cli("publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-", "--dry-run", stdin=json.dumps(address_data()).encode()))
    assert "Nothing was recorded." in ran.out
    assert TAX in ran.out
    assert "999990019" not in ran.out


# --- run, deliveries ----------------------------------------------------------------------


def test_deliveries_are_printed_one_a_line_as_the_recipient_decodes_them(cli: Cli) -> None:
    publish(cli, address_data(), "--correlation", "dossier-1")
    assert ok(cli("deliveries", TAX, "--json")).out == ""  # decided, not sent yet
    (delivery,) = deliveries(cli, TAX)
    assert list(delivery) == [
        "delivery_id", "type", "grant", "purpose", "recipient", "sequence", "time", "subject", "correlation", "cause", "replaces", "data",
    ]  # fmt: skip
    assert delivery == delivery | {
        "type": ADDRESS, "grant": "spookbewoning.melding", "recipient": TAX, "sequence": 1, "time": "2026-11-02T08:00:00.000Z",
        "purpose": "Toeslagen berekenen zonder iemand mee te tellen die er niet meer woont", "cause": None, "replaces": None,
        "data": address_data(),
    }  # fmt: skip
    assert delivery["correlation"] not in {None, "dossier-1"}
    assert delivery["subject"]


def test_dates_are_iso_8601_and_absent_values_null(cli: Cli) -> None:
    publish(cli, debt_data(), participant=LANDLORD, type_=DEBT)
    (delivery,) = deliveries(cli, EINDHOVEN)
    assert delivery["data"]["geboortedatum"] == "1980-02-29"
    assert delivery["data"]["huisletter"] is None
    assert delivery["data"]["partnersoort"] == "HUUR"
    assert datetime.fromisoformat(delivery["time"]).utcoffset() is not None


def test_an_answer_names_a_delivery_as_its_cause_and_arrives_with_the_own_signal_as_cause(cli: Cli) -> None:
    sent = publish(cli, address_data())
    (delivery,) = deliveries(cli, TAX)
    publish(cli, ANSWERED, "--cause", delivery["delivery_id"], participant=TAX, type_=ANSWER)
    (answer,) = deliveries(cli, TILBURG)
    assert answer["cause"] == sent["signal_id"]
    assert answer["correlation"] == sent["correlation"]
    assert answer["data"] == ANSWERED


def test_people_see_which_fields_a_recipient_got_and_no_value(cli: Cli) -> None:
    publish(cli, address_data())
    ok(cli("run", "--once"))
    ran = ok(cli("deliveries", TAX))
    assert "spookbewoning.melding" in ran.out
    assert "bsn" in ran.out
    assert "999990019" not in ran.out


def test_running_once_with_nothing_to_do_does_nothing(cli: Cli) -> None:
    assert ok(cli("run", "--once")).out == ""
    assert ok(cli("run", "--once")).out == ""


def test_run_once_handles_topics_terms_and_deliveries_to_the_end(cli: Cli) -> None:
    with opened(cli.home, MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        hub.send(TILBURG, [address() for _ in range(3)])
    assert len(deliveries(cli, TAX)) == 3


def test_an_unknown_recipient_is_wrong_use(cli: Cli) -> None:
    wrong_use(cli("deliveries", "niemand"))


# --- why ----------------------------------------------------------------------------------


def test_why_prints_the_signal_the_rule_set_and_its_decisions(cli: Cli) -> None:
    sent = publish(cli, address_data())
    ran = ok(cli("why", sent["signal_id"], "--json"))
    assert ran.json.keys() == {"signal", "rule_set", "decisions"}
    assert ran.json["signal"] == sent["signal_id"]
    (decision,) = ran.json["decisions"]
    assert list(decision) == ["recipient", "grant", "outcome", "reason", "text", "time"]
    assert decision == decision | {"recipient": TAX, "grant": "spookbewoning.melding", "outcome": "deliver", "reason": "volgens-regel",
                                   "time": "2026-11-02T08:00:00.000Z"}  # fmt: skip
    assert len(ran.json["rule_set"]) == 64


def test_why_tells_people_in_dutch_and_names_no_person(cli: Cli) -> None:
    sent = publish(cli, address_data())
    ok(cli("run", "--once"))
    ran = ok(cli("why", sent["signal_id"]))
    for words in ("Geleverd aan toeslagen (2-11-2026 09.00 uur)", "Doel:", "Grondslag:", "Regel: spookbewoning.melding", "Velden:"):
        assert words in ran.out
    for value in ("999990019", "0855010000000017", "20260914"):
        assert value not in ran.out


def test_why_knows_a_delivery_by_its_id(cli: Cli) -> None:
    sent = publish(cli, address_data())
    (delivery,) = deliveries(cli, TAX)
    assert ok(cli("why", delivery["delivery_id"], "--json")).json["signal"] == sent["signal_id"]


def test_why_tells_what_waited_and_was_released(cli: Cli) -> None:
    results = ok(cli.publish([debt_data(bedrag_cent=n) for n in range(1, 52)], participant=LANDLORD, type_=DEBT)).json
    cli.now = "2026-12-01T00:00:00+01:00"
    ok(cli("run", "--once"))
    told = ok(cli("why", results[50]["signal_id"], "--json")).json["decisions"]
    assert [(d["recipient"], d["outcome"], d["reason"]) for d in told] == [
        (EINDHOVEN, "defer", "wacht-op-ruimte"), (EINDHOVEN, "released", "ruimte-vrij"),
    ]  # fmt: skip
    assert "Geteld op dat moment: 50 in deze periode." in told[0]["text"]
    prose = ok(cli("why", results[50]["signal_id"])).out
    assert "Wacht op ruimte voor schuldhulp.0772 (2-11-2026 09.00 uur)" in prose
    assert "Alsnog geleverd aan schuldhulp.0772 (1-12-2026 00.00 uur)" in prose


def test_why_tells_the_reasons_of_a_refusal(cli: Cli) -> None:
    (refused,) = cli.publish(address_data(bsn="999990018")).json
    ran = ok(cli("why", refused["signal_id"]))
    assert "Geweigerd:" in ran.out
    assert "(veld bsn)" in ran.out
    assert "999990018" not in ran.out


def test_why_of_something_unknown_is_refused(cli: Cli) -> None:
    for unknown in ("00000000-0000-0000-0000-000000000000", "iets"):
        ran = cli("why", unknown, "--json")
        assert ran.code == 1
        assert ran.out == ""
        assert ran.err.startswith("hub: ")


# --- quota, rejections --------------------------------------------------------------------


def test_quota_show_prints_how_each_cap_stands(cli: Cli) -> None:
    ok(cli.publish([debt_data(bedrag_cent=n) for n in range(1, 53)], participant=LANDLORD, type_=DEBT))
    assert ok(cli("quota", "show", "--json")).json == [
        {"quota": "tijdig-in-zicht", "key": f"tijdig-in-zicht {EINDHOVEN}", "period": "2026-11-01", "used": 50, "limit": 50, "waiting": 2}
    ]  # fmt: skip
    assert "tijdig-in-zicht" in ok(cli("quota", "show")).out


def test_rejections_are_listed_shown_replayed_and_discarded(cli: Cli, tmp_path: Path) -> None:
    cli.rules = copied("rules", tmp_path / "rules")
    data = debt_data(gemeentecode="0855", achternaam="Merkteken")
    assert cli.publish(data, "--id", "d-1", participant="woonbelang-zonder-afspraak", type_=DEBT).code == 1
    assert cli.publish(address_data(bsn="999990018")).code == 1
    listed = ok(cli("rejections", "list", "--json")).lines
    assert [(row["rejection"], row["publisher"], row["errors"][0]["code"]) for row in listed] == [
        (1, "woonbelang-zonder-afspraak", "geen-afspraak"), (2, TILBURG, "bsn-ongeldig"),
    ]  # fmt: skip
    shown = ok(cli("rejections", "show", "1", "--json"))
    assert shown.json["data"]["gemeentecode"] == "0855"
    assert "Merkteken" not in shown.out + ok(cli("rejections", "show", "1")).out + ok(cli("rejections", "list")).out
    edit(
        cli.rules,
        "agreements.yaml",
        "parties: [woonhuis-verzonnen, zorgzaam",
        "parties: [woonbelang-zonder-afspraak, woonhuis-verzonnen, zorgzaam",
    )
    ran = cli("rejections", "replay", "--all", "--json")
    assert ran.code == 1
    assert ran.lines == [
        {"rejection": 1, "status": "accepted", "errors": []}, {"rejection": 2, "status": "rejected", "errors": ["bsn-ongeldig"]},
    ]  # fmt: skip
    assert deliveries(cli, "schuldhulp.0855")[0]["data"]["achternaam"] == "Merkteken"
    ok(cli("rejections", "discard", "2", "--reason", "vergissing"))
    assert ok(cli("rejections", "list", "--json")).out == ""
    assert [row["state"] for row in ok(cli("rejections", "list", "--all", "--json")).lines] == ["replayed", "discarded"]


def test_rejections_that_are_not_there_are_wrong_use(cli: Cli) -> None:
    for command in (("show", "9"), ("replay", "9"), ("discard", "9", "--reason", "x"), ("replay",), ("discard", "--reason", "x"),
                    ("replay", "1", "--all"), ("discard", "1"), ("show", "een")):  # fmt: skip
        wrong_use(cli("rejections", *command))


def test_a_closed_rejection_is_refused(cli: Cli) -> None:
    cli.publish(address_data(bsn="1"))
    ok(cli("rejections", "discard", "--all", "--reason", "opruimen"))
    assert cli("rejections", "replay", "1").code == 1


def test_people_see_how_many_strangers_knocked(cli: Cli) -> None:
    for _ in range(2):
        assert cli.publish(address_data(), participant="niemand").code == 1
    assert "2 keer deelnemer-onbekend" in ok(cli("rejections", "list")).out


# --- rules and schemas --------------------------------------------------------------------


def test_the_types_and_the_fields_of_one_are_listed(cli: Cli) -> None:
    types = {row["type"]: row for row in ok(cli("schemas", "list", "--json")).json}
    assert types[DEBT]["publishers"] == ["woningcorporatie", "zorgverzekeraar", "energieleverancier", "drinkwaterbedrijf"]
    assert all(name in ok(cli("schemas", "list")).out for name in types)
    one = ok(cli("schemas", "list", DEBT, "--json")).json
    assert (one["type"], one["publishers"]) == (DEBT, types[DEBT]["publishers"])
    fields = {row["field"]: row for row in one["fields"]}
    assert list(fields["postcode"].items())[1:5] == [
        ("form", "text: postcode"), ("required", True), ("nullable", False), ("privacy", "address"),
    ]  # fmt: skip
    birth = fields["geboortedatum"]
    assert (birth["form"], birth["required"], birth["nullable"]) == ("date, ISO 8601 text", False, True)
    assert fields["partnersoort"]["form"] == "one of HUUR, ZORG, ENERGIE, WATER, ONBEKEND"
    assert all(row["meaning"] for row in fields.values())
    assert all(name in ok(cli("schemas", "list", DEBT)).out for name in fields)
    nested = {row["field"]: row["form"] for row in ok(cli("schemas", "list", "nl.wahv.pauze-besluit.v1", "--json")).json["fields"]}
    assert nested["cjib_zaaknummers"].startswith("list of text")
    assert nested["onderdelen[].actie"].startswith("one of AANHOUDEN, ")
    wrong_use(cli("schemas", "list", "nl.bestaat.niet.v1"))


def test_a_folder_without_schemas_is_told(cli: Cli, tmp_path: Path) -> None:
    assert "no schema" not in ok(cli("schemas", "check")).out
    cli.rules = cli.schemas = tmp_path / "leeg"
    cli.rules.mkdir()
    assert "there is no schema in the folder of schemas" in cli("schemas", "check").out


def test_the_rules_of_the_repository_have_no_fault(cli: Cli) -> None:
    assert "no faults" in ok(cli("rules", "check", "--strict")).out
    assert "no faults" in ok(cli("schemas", "check")).out
    assert not cli.home.exists()  # looking makes no home


def test_every_fault_is_printed_on_a_line_with_its_place(cli: Cli, tmp_path: Path) -> None:
    cli.rules = copied("rules", tmp_path / "rules")
    cli.schemas = copied("schemas", tmp_path / "schemas")
    edit(cli.rules, "spookbewoning.yaml", "to: toeslagen", "to: belastingdienst", 1)
    edit(cli.rules, "vaste-lasten.yaml", "s.herinneringen >= 1", "s.herinering >= 1", 1)
    edit(cli.schemas, f"{ANSWER}.avsc", '"privacy": "code",\n   "doc": "De dag', '"doc": "De dag')
    ran = cli("rules", "check")
    assert ran.code == 1
    for file, words in ((cli.rules / "spookbewoning.yaml", "belastingdienst"), (cli.rules / "vaste-lasten.yaml", "herinering"),
                        (cli.schemas / f"{ANSWER}.avsc", "verwerkt_op")):  # fmt: skip
        (line,) = [line for line in ran.out.splitlines() if line.startswith(f"{file}:") and words in line]
        assert line.removeprefix(f"{file}:").split(":")[0].isdigit()
    found = cli("rules", "check", "--json").json
    assert {row["file"] for row in found} >= {str(cli.rules / "spookbewoning.yaml"), str(cli.rules / "vaste-lasten.yaml")}
    assert all(row.keys() == {"file", "line", "what", "fix", "warning"} for row in found)
    assert cli("schemas", "check").code == 1


def test_a_grant_without_examples_is_a_warning_and_a_fault_when_strict(cli: Cli, tmp_path: Path) -> None:
    cli.rules = copied("rules", tmp_path / "rules")
    without_examples(cli.rules)
    add_grant(cli.rules, "proef.nieuw", ADDRESS, "handhaving", "gemeentecode", "    when: s.gemeentecode == '0363'")
    ran = ok(cli("rules", "check"))
    assert "warning: " in ran.out
    assert "proef.nieuw" in ran.out
    assert cli("rules", "check", "--strict").code == 1


def test_a_failing_example_is_a_fault(cli: Cli, tmp_path: Path) -> None:
    cli.rules = copied("rules", tmp_path / "rules")
    without_examples(cli.rules)
    edit(
        cli.rules,
        "spookbewoning.yaml",
        "expect: {refused: [onderzoek-tegenstrijdig], '*': none}",
        "expect: {toeslagen: {outcome: deliver}}",
        1,
    )
    for command in (("rules", "check"), ("rules", "test")):
        ran = cli(*command)
        assert ran.code == 1
        assert "een onderzoek dat niet is begonnen heeft geen begindatum" in ran.out


def test_the_examples_run_and_are_counted(cli: Cli) -> None:
    words = ok(cli("rules", "test")).out.split()
    assert words[0] == words[2]
    assert int(words[0]) > 20


def test_check_holds_contracts_against_what_the_home_has_stored(cli: Cli, tmp_path: Path) -> None:
    cli.schemas = copied("schemas", tmp_path / "schemas")
    cli.rules = copied("rules", tmp_path / "rules")
    without_examples(cli.rules)
    publish(cli, debt_data(), participant=LANDLORD, type_=DEBT)
    edit(cli.schemas, f"{DEBT}.avsc", '{"name": "bedrag_cent", "type": "long"', '{"name": "bedrag_cent", "type": "int"')
    ran = cli("rules", "check")
    assert ran.code == 1
    assert f"{cli.schemas / DEBT}.avsc:" in ran.out
    assert cli.publish(debt_data(), participant=LANDLORD, type_=DEBT).code == 0  # the hub goes on with what it has


def test_the_matrix_is_printed_for_programs_and_people(cli: Cli, tmp_path: Path) -> None:
    rows = ok(cli("rules", "matrix", "--json")).json
    assert {row["grant"] for row in rows} >= {"spookbewoning.melding", "vaste-lasten.huur"}
    assert "spookbewoning" in ok(cli("rules", "matrix")).out
    ok(cli("rules", "matrix", "--html", str(tmp_path / "matrix.html")))
    assert (tmp_path / "matrix.html").read_text(encoding="utf-8").lstrip().startswith("<!")


@pytest.fixture
def paused(cli: Cli, tmp_path: Path) -> Cli:
    """Return a command line whose rules have two flows, one of them with a process."""
    for name, text in FILES.items():
        if not name.startswith("own/"):
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
    cli.rules, cli.schemas = tmp_path / "rules", tmp_path / "schemas"
    return cli


def test_a_process_is_shown_for_programs_and_people(paused: Cli) -> None:
    (found,) = ok(paused("rules", "show", "pauze", "--json")).json
    assert (found["process"], found["flow"], found["states"][0]["name"]) == ("wachten", "pauze", "gemeld")
    shown = ok(paused("rules", "show", "pauze")).out
    assert shown.startswith("PROCES wachten\n")
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert not paused.home.exists()  # looking makes no home


def test_a_process_is_drawn_in_a_file(paused: Cli, tmp_path: Path) -> None:
    file = tmp_path / "pauze.svg"
    assert ok(paused("rules", "show", "pauze", "--svg", str(file))).out == f"written: {file}\n"
    drawn = file.read_text(encoding="utf-8")
    assert drawn.startswith("<svg ")
    ok(paused("rules", "show", "pauze", "--svg", str(file)))
    assert file.read_text(encoding="utf-8") == drawn
    elsewhere = paused("rules", "show", "pauze", "--svg", str(tmp_path / "nergens" / "pauze.svg"))
    assert elsewhere.code == 1
    assert "cannot be written" in elsewhere.err
    ok(paused("rules", "matrix", "--html", str(tmp_path / "matrix.html")))
    assert "<svg " in (tmp_path / "matrix.html").read_text(encoding="utf-8")


def test_a_flow_that_has_no_process_or_is_not_there_cannot_be_shown(paused: Cli) -> None:
    for flow, words in (("niets", "there is no such flow"), ("los", "this flow has no process")):
        ran = paused("rules", "show", flow)
        wrong_use(ran)
        assert words in ran.err
        assert "flows with a process: pauze" in ran.err
    (paused.rules / "pauze.yaml").unlink()
    ran = paused("rules", "show", "los")
    wrong_use(ran)
    assert "no flow of these rules has a process" in ran.err


def test_the_view_of_a_grant_is_an_avro_schema(cli: Cli) -> None:
    view = ok(cli("schemas", "view", "vaste-lasten.resultaat")).json
    assert view["type"] == "record"
    assert [field["name"] for field in view["fields"]] == ["resultaat", "resultaat_op"]
    wrong_use(cli("schemas", "view", "bestaat.niet"))


# --- connectors ---------------------------------------------------------------------------


def test_connectors_are_listed(cli: Cli) -> None:
    (brp,) = [row for row in ok(cli("connector", "list", "--json")).json if row["name"] == "brp"]
    assert brp.keys() == {"name", "summary"}
    assert "brp" in ok(cli("connector", "list")).out


def test_a_file_read_twice_changes_nothing_the_second_time(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "persoonslijsten.csv"
    file.write_text(PERSONS, encoding="utf-8")
    skipped = {"briefadres": 1, "geen-adresvaststelling": 1}
    first = ok(cli("connector", "run", "brp", "--file", str(file), "--json"))
    assert first.json == {"read": 4, "accepted": 2, "duplicate": 0, "skipped": skipped, "refused": {}}
    cli.now = "2026-11-03T09:00:00+01:00"
    second = ok(cli("connector", "run", "brp", f"--file={file}", "--json"))
    assert second.json == {"read": 4, "accepted": 0, "duplicate": 2, "skipped": skipped, "refused": {}}
    assert [delivery["data"]["bsn"] for delivery in deliveries(cli, TAX)] == ["999990019", "999990020"]
    assert "999990" not in first.said + second.said


def test_people_see_the_counts_of_a_run_by_reason(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "persoonslijsten.csv"
    file.write_text(PERSONS, encoding="utf-8")
    ran = ok(cli("connector", "run", "brp", "--file", str(file)))
    assert "overgeslagen: briefadres" in ran.out
    assert "\x1b" not in ran.said


def test_the_settings_of_a_connector_may_come_from_the_environment(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "persoonslijsten.csv"
    file.write_text(PERSONS, encoding="utf-8")
    monkeypatch.setenv("HUB_BRP_FILE", str(file))
    assert ok(cli("connector", "run", "brp", "--json")).json["accepted"] == 2


def test_a_connector_run_ends_well_whatever_the_hub_refused(cli: Cli, tmp_path: Path) -> None:
    cli.rules = copied("rules", tmp_path / "rules")
    edit(cli.rules, "spookbewoning.yaml", "refuse:\n", f"refuse:\n  - {{signal: {ADDRESS}, when: s.gemeentecode == '0344', "
         "code: proef-weigering, text: Proef.}\n", 1)  # fmt: skip
    file = tmp_path / "persoonslijsten.csv"
    file.write_text(PERSONS, encoding="utf-8")
    assert ok(cli("connector", "run", "brp", "--file", str(file), "--json")).json["refused"] == {"proef-weigering": 1}


@pytest.mark.parametrize("arguments", [("niets",), ("brp",), ("brp", "--bestand", "x"), ("brp", "--file"), ("brp", "x")])
def test_a_connector_that_is_called_wrongly_is_wrong_use(cli: Cli, arguments: tuple[str, ...]) -> None:
    wrong_use(cli("connector", "run", *arguments))


def test_a_file_that_a_connector_cannot_read_is_named(cli: Cli, tmp_path: Path) -> None:
    ran = cli("connector", "run", "brp", "--file", str(tmp_path / "weg.csv"))
    assert ran.code == 1
    assert "weg.csv" in ran.err
    assert ran.out == ""


# --- demo ---------------------------------------------------------------------------------


def test_the_demo_prints_one_document_that_adds_up(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = ok(cli.bare("demo", "--json"))
    found = ran.json
    assert found.keys() == {"signals", "accepted", "rejected", "deliveries", "deferred", "cases", "seconds"}
    assert found["signals"] == found["accepted"] + found["rejected"]
    assert found["rejected"] > 0
    assert found["deliveries"]["schuldhulp.0772"] > 50
    assert found["deferred"] == {"schuldhulp.0772": 10}
    assert list(tmp_path.iterdir()) == []


def test_the_demo_tells_people_a_story_without_a_terminal(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = ok(cli.bare("demo"))
    assert "\x1b" not in ran.said
    assert "Waarom?" in ran.out
    assert all(len(line) <= 100 for line in ran.out.splitlines())


def test_the_demo_goes_from_agency_format_to_agency_format_and_shows_what_was_refused(cli: Cli) -> None:
    told = {line.strip(): number for number, line in enumerate(ok(cli.bare("demo")).out.splitlines())}
    said = [
        "D_2;▇▇;;▇▇;0855;▇▇;▇▇;089999;▇▇;;",
        "uit  burgerzaken.0855     2 keer VERWERKT terug: geen gevolg, geen bedrag",
        "K-2042;1.284,50;ja;ja;▇▇;▇▇;▇▇;▇▇;▇▇;▇▇;▇▇;▇▇;▇▇",
        "uit  ontvangstbewijs      aangenomen: K-2041, K-2044",
        "niet ontvangstbewijs      geweigerd: K-2042 niet-aangeboden-door-te-geven",
        "geweigerd: K-2043 voorwaarde-ontbreekt:persoonlijk_contact_gezocht",
        "PW-2041;VOORGENOMEN;KORTING;2026-12-14;▇▇",
        "uit  signaalhub_guard     Mag PW-2041 nu? Net gemeld: nee (pauze-loopt)",
        "Reactietijd voorbij: ja",
        "Het buurtteam drukt op pauze: nee (pauze-loopt)",
        "Werk en Inkomen heft de pauze op: ja",
        "niet signaalhub_outbox    geweigerd: PW-2042 niet-vooraf",
    ]
    assert [line for line in said if line not in told] == []
    assert [told[line] for line in said] == sorted(told[line] for line in said)


# --- the clock ----------------------------------------------------------------------------


def test_the_clock_stands_where_it_is_put(cli: Cli) -> None:
    cli.now = "2026-11-02T09:00"  # without a zone: Dutch time
    publish(cli, address_data())
    assert deliveries(cli, TAX)[0]["time"] == "2026-11-02T08:00:00.000Z"


def test_the_clock_never_goes_back(cli: Cli) -> None:
    publish(cli, address_data())
    cli.now = "2026-11-02T09:00:00+01:00"
    publish(cli, address_data())
    cli.now = "2026-11-02T08:59:59.999+01:00"
    ran = cli.publish(address_data())
    wrong_use(ran)
    assert "2026-11-02T08:00:00.000Z" in ran.err


def test_a_refusal_was_seen_too(cli: Cli) -> None:
    assert cli.publish(address_data(bsn="1")).code == 1
    cli.now = "2026-11-01T09:00:00+01:00"
    wrong_use(cli.publish(address_data()))


def test_what_was_released_or_erased_was_seen_too(cli: Cli) -> None:
    publish(cli, address_data())
    ok(cli("run", "--once"))
    cli.now = "2027-05-10T09:00:00+02:00"
    ok(cli("run", "--once"))
    cli.now = "2026-11-03T09:00:00+01:00"
    wrong_use(cli.publish(address_data()))


def test_a_dry_run_was_not_seen(cli: Cli) -> None:
    cli.now = "2027-01-01T09:00:00+01:00"
    ok(cli.publish(address_data(), "--dry-run"))
    cli.now = "2026-11-02T09:00:00+01:00"
    publish(cli, address_data())


def test_without_a_clock_of_its_own_the_hub_goes_by_the_systems_and_never_back(cli: Cli) -> None:
    cli.now = "2099-01-01T00:00:00Z"
    publish(cli, address_data())
    cli.now = None
    publish(cli, address_data())
    assert [delivery["time"] for delivery in deliveries(cli, TAX)] == ["2099-01-01T00:00:00.000Z"] * 2


@pytest.mark.parametrize("now", ["gisteren", "2026-13-01", "", "1793606400", "2026-11-02T09:00:00+99:00"])
def test_a_clock_that_is_put_nowhere_is_wrong_use(cli: Cli, now: str) -> None:
    wrong_use(cli.bare("--home", str(cli.home), "--now", now, "run", "--once"))


# --- options ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    ("bestaat-niet",), ("publish",), ("publish", "--as", TILBURG), ("why",), ("deliveries",), ("--bestaat-niet",), ("run", "--twice"),
    ("rules", "niets"), ("publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-", "--bestaat", "niet"), ("why", "a", "b"),
], ids=" ".join)  # fmt: skip
def test_wrong_use_ends_with_exit_code_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.said


def test_help_is_help(cli: Cli) -> None:
    for arguments in (("--help",), ("publish", "--help"), ("rules", "--help")):
        assert "Usage" in ok(cli.bare(*arguments)).out


def test_the_environment_gives_the_global_options(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rules = copied("rules", tmp_path / "eigen-regels")
    add_grant(rules, "proef.eigen", ADDRESS, "handhaving", "gemeentecode")
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "thuis"))
    monkeypatch.setenv("HUB_RULES_DIR", str(rules))
    monkeypatch.setenv("HUB_SCHEMAS_DIR", str(ROOT / "schemas"))
    arguments = ("publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-", "--json")
    ok(cli.bare(*arguments, stdin=json.dumps(address_data()).encode()))
    assert (tmp_path / "thuis" / "hub.db").is_file()
    ok(cli.bare("run", "--once"))
    assert len(ok(cli.bare("deliveries", "handhaving.0855", "--json")).lines) == 1


def test_without_options_the_home_is_here_and_the_rules_are_the_packages(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ok(cli.bare("run", "--once"))
    assert (tmp_path / ".hub" / "hub.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [".hub"]


def test_rules_in_the_current_folder_come_before_the_packages(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rules = copied("rules", tmp_path / "rules")
    add_grant(rules, "proef.hier", ADDRESS, "handhaving", "gemeentecode")
    assert "proef.hier" in {row["grant"] for row in ok(cli.bare("rules", "matrix", "--json")).json}


def test_a_log_level_that_does_not_exist_is_wrong_use(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_LOG_LEVEL", "luid")
    wrong_use(cli("run", "--once"))


def test_logs_are_json_lines_of_listed_events_and_name_nobody(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_LOG_LEVEL", "debug")
    with opened(cli.home, MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        hub.send(TILBURG, [address(), address(bsn="999990018")])
    ran = cli("run", "--once")
    logged = [json.loads(line) for line in ran.err.splitlines()]
    assert {line["event"] for line in logged} >= {"batch_recorded", "deliveries_sent"}
    assert {line["event"] for line in logged} <= EVENTS.keys()
    assert "99999" not in ran.said


def test_nothing_is_coloured_or_drawn_in_a_pipe(cli: Cli) -> None:
    publish(cli, address_data())
    for command in (("deliveries", TAX), ("quota", "show"), ("rejections", "list"), ("rules", "matrix"), ("connector", "list")):
        assert "\x1b" not in ok(cli(*command)).said


# --- hub up -------------------------------------------------------------------------------


class Up:
    """`hub up` as a program of its own. Waits for what it logs, never for time to pass."""

    def __init__(self, home: Path, rules: Path) -> None:
        command = [str(Path(sys.executable).parent / "hub"), "--home", str(home), "--rules", str(rules), "--schemas", str(ROOT / "schemas"),
                   "--now", "2026-11-02T09:00:00+01:00", "up"]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "HUB_LOG_LEVEL": "info"})  # fmt: skip
        self.watchdog = threading.Timer(60, self.process.kill)
        self.watchdog.start()
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to this event."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if f'"event": "{event}"' in line:
                return dict(json.loads(line))
        raise AssertionError(seen)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()
        self.watchdog.cancel()
        return self.process.returncode


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return copied("rules", tmp_path / "rules")


@pytest.fixture
def running(tmp_path: Path, rules: Path) -> Iterator[Up]:
    up = Up(tmp_path / "home", rules)
    yield up
    up.stop()


@pytest.fixture
def beside(tmp_path: Path, rules: Path, running: Up, clock: MovingClock) -> Iterator[Hub]:
    """The same home, opened by another process while it is up."""
    assert running.greeting
    with opened(tmp_path / "home", clock, rules) as hub:
        yield hub


def test_a_hub_that_is_up_handles_what_comes_in_and_stops_when_asked(running: Up, beside: Hub) -> None:
    assert "hub up in" in running.greeting
    beside.send(TILBURG, [address()])
    assert running.until("batch_recorded")["accepted"] == 1
    assert running.until("deliveries_sent")["count"] == 1
    assert len(beside.received_by(TAX)) == 1
    assert running.stop() == 0


def test_a_hub_that_is_up_takes_up_new_rules_and_refuses_broken_ones(running: Up, beside: Hub, rules: Path) -> None:
    add_grant(rules, "proef.erbij", ADDRESS, "handhaving", "gemeentecode")
    running.until("rules_adopted")
    for content in (b"flow: [broken", b"\xff\xfe"):
        (rules / "stuk.yaml").write_bytes(content)
        assert running.until("rules_refused")["faults"] >= 1
    beside.send(TILBURG, [address()])
    assert running.until("batch_recorded")["accepted"] == 1
    running.until("deliveries_sent")
    assert len(beside.received_by("handhaving.0855")) == 1
    assert running.stop() == 0


def test_a_hub_that_is_up_survives_an_editor_and_a_folder_that_is_swapped(running: Up, beside: Hub, rules: Path) -> None:
    (rules / ".#vaste-lasten.yaml").symlink_to("jan@werkplek.4711:1730000000")
    rules.rename(rules.with_name("elders"))
    for _ in range(3):
        beside.send(TILBURG, [address()])
        running.until("deliveries_sent")
    rules.with_name("elders").rename(rules)
    (rules / ".#vaste-lasten.yaml").unlink()
    add_grant(rules, "proef.erbij", ADDRESS, "handhaving", "gemeentecode")
    running.until("rules_adopted")
    assert running.stop() == 0
