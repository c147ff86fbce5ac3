"""What the CJIB gets of a delivery, what its messages mean, and that nothing else passes either way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.cjib import connector, translate
from connectors.cjib.rig import decision, plan
from connectors.cjib.translate import (
    CONFIRMATIONS,
    CONFIRMED,
    DECIDED,
    GUARDS,
    PARTICIPANT,
    PLANNED,
    REQUESTED,
    TO_CJIB,
    WITHDRAWN,
    Question,
    confirmation,
    message,
    number_of,
    signal,
)
from connectors.kit.flow import Skipped
from connectors.kit.rigs import delivery
from hub.client import NewSignal
from hub.domain.formats import holds_bsn

CANARY = "merkteken-7041"
ROOT = Path(__file__).parents[2]
README = ROOT / "connectors" / "cjib" / "README.md"
WITHDRAWAL = {"nummer": 7, "soort": "INTREKKING", "betreft": 1, "reden": "ONTERECHT"}
CONFIRMATION = {"nummer": 8, "soort": "BEVESTIGING", "bericht": "delivery-5", "uitkomst": "VERWERKT"}
QUESTION = {"nummer": 9, "soort": "VRAAG", "keten": "keten-1", "stap": "GIJZELING"}
MESSAGES = [decision(1, "delivery-1"), plan(2, "delivery-1"), WITHDRAWAL, CONFIRMATION, QUESTION]


def sent(number: int) -> str | None:
    return "signaal-1" if number == 1 else None


def read(said: Mapping[str, Any]) -> NewSignal | Question | Skipped:
    return signal(said, sent)


def data_of(said: Mapping[str, Any]) -> Mapping[str, Any]:
    found = read(said)
    assert isinstance(found, NewSignal), found
    return found.data


# --- to the CJIB --------------------------------------------------------------------------


@pytest.mark.parametrize("type_", sorted(TO_CJIB))
def test_no_field_of_a_delivery_goes_along_that_is_not_on_the_list(type_: str) -> None:
    route, kind, fields = TO_CJIB[type_]
    data = dict.fromkeys(fields, "x") | {"zorg": CANARY, "hulp": {"feit": CANARY}, CANARY: [CANARY]}
    found = message(delivery(1, PARTICIPANT, type_, data, subject=CANARY, correlation="keten-1", cause="delivery-0"))
    assert not isinstance(found, Skipped)
    assert CANARY not in repr(found)
    assert found == (
        route,
        {
            "kenmerk": "delivery-1", "soort": kind, "keten": "keten-1", "betreft": "delivery-0", "vervangt": False,
            "gegevens": dict.fromkeys(fields, "x"),
        },
    )  # fmt: skip


def test_the_fields_are_those_of_the_grants() -> None:
    grants = yaml.safe_load((ROOT / "rules" / "cjib.yaml").read_text(encoding="utf-8"))["grants"]
    grants += yaml.safe_load((ROOT / "hub" / "own" / "signaalhub.yaml").read_text(encoding="utf-8"))["grants"]
    granted = {grant["signal"]: grant["fields"] for grant in grants if grant["to"] in {PARTICIPANT, "$recipients"}}
    reminder = json.loads((ROOT / "hub" / "own" / "nl.signaalhub.herinnering.v1.avsc").read_text(encoding="utf-8"))
    granted["nl.signaalhub.herinnering.v1"] = [field["name"] for field in reminder["fields"]]
    assert {type_: list(fields) for type_, (_, _, fields) in TO_CJIB.items()} == granted


def test_a_correction_says_what_it_replaces() -> None:
    found = message(delivery(2, PARTICIPANT, REQUESTED, {}, replaces="delivery-1"))
    assert not isinstance(found, Skipped)
    assert (found[1]["betreft"], found[1]["vervangt"]) == ("delivery-1", True)


@pytest.mark.parametrize("type_", [DECIDED, CONFIRMED, "nl.signaalhub.signaal-geweigerd.v1"])
def test_of_another_type_the_cjib_is_told_nothing(type_: str) -> None:
    assert message(delivery(1, PARTICIPANT, type_, {})) == Skipped("ander-type")


@pytest.mark.parametrize(
    ("type_", "replaces", "status", "result"),
    [
        (WITHDRAWN, None, "VERWERKT", "VERWERKT"),
        (WITHDRAWN, None, "NIET_GEVONDEN", "NIET_GEVONDEN"),
        (REQUESTED, "delivery-0", "VERWERKT", "VERWERKT"),
        (WITHDRAWN, None, "ONTVANGEN", None),
        (REQUESTED, "delivery-0", "ONTVANGEN", None),
        (REQUESTED, None, "VERWERKT", None),
    ],
)
def test_only_a_withdrawal_or_correction_is_confirmed_and_only_when_acted_on(
    type_: str, replaces: str | None, status: str, result: str | None
) -> None:
    found = confirmation(delivery(1, PARTICIPANT, type_, {}, replaces=replaces), status)
    assert not isinstance(found, Skipped)
    assert [(one.type, one.cause, one.data["resultaat"]) for one in found] == ([(CONFIRMED, "delivery-1", result)] if result else [])


@pytest.mark.parametrize("status", ["AFGEHANDELD", "verwerkt", "", None, 3, ["VERWERKT"]])
def test_a_status_that_is_not_in_the_table_is_no_guess(status: Any) -> None:
    assert confirmation(delivery(1, PARTICIPANT, WITHDRAWN, {}), status) == Skipped("antwoord-onbekend")


# --- from the CJIB ------------------------------------------------------------------------


@pytest.mark.parametrize("said", MESSAGES, ids=lambda said: said["soort"])
def test_nothing_of_a_message_passes_that_is_not_on_the_list(said: dict[str, Any]) -> None:
    plain = read(said)
    assert not isinstance(plain, Skipped)
    for spoilt in everywhere(said):
        found = read(spoilt)
        assert found == plain
        assert CANARY not in repr(found)
        assert CANARY not in json.dumps(dict(found.data) if isinstance(found, NewSignal) else {})


def everywhere(said: Any) -> Iterator[Any]:
    """Give a message with the canary as a further field, once in each object that it holds."""
    if isinstance(said, dict):
        yield said | {"feit": CANARY, "zorg": {"soort": CANARY}, CANARY: [CANARY]}
        for name, value in said.items():
            yield from (said | {name: spoilt} for spoilt in everywhere(value))
    elif isinstance(said, list):
        for place, value in enumerate(said):
            yield from ([*said[:place], spoilt, *said[place + 1 :]] for spoilt in everywhere(value))


def test_the_data_have_exactly_the_fields_of_the_contracts() -> None:
    for type_, said in ((DECIDED, MESSAGES[0]), (PLANNED, MESSAGES[1])):
        contract = json.loads((ROOT / "schemas" / f"{type_}.avsc").read_text(encoding="utf-8"))
        assert set(data_of(said)) == {field["name"] for field in contract["fields"]}


def test_the_case_numbers_go_along_only_when_a_detention_is_put_off() -> None:
    for held, numbers in ((False, []), (True, ["412345678"])):
        assert data_of(decision(1, "delivery-1", gijzeling_opgeschort=held))["cjib_zaaknummers"] == numbers
    assert data_of(decision(1, "delivery-1", gijzeling_opgeschort="ja"))["cjib_zaaknummers"] == []


def test_which_means_of_force_it_is_nobody_hears() -> None:
    found = {step: data_of(plan(1, None, stap=step))["maatregelsoort"] for step in ("INNAME_RIJBEWIJS", "BUITENGEBRUIKSTELLING", "VERHAAL")}
    assert set(found.values()) == {"DWANG"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (decision(1, "delivery-1", uitkomst="SEPOT"), "code-onbekend"),
        (decision(1, "delivery-1", uitkomst=["TOEGEWEZEN"]), "code-onbekend"),
        (decision(1, "delivery-1", delen=[{"deel": "BOETE", "maatregel": "WEG"}]), "code-onbekend"),
        (decision(1, "delivery-1", delen=[{"deel": "RENTE", "maatregel": "UITSTEL"}]), "code-onbekend"),
        (decision(1, "delivery-1", delen=["BOETE"]), "bericht-onvolledig"),
        (decision(1, "delivery-1", delen="BOETE"), "bericht-onvolledig"),
        (decision(1, "delivery-1", reden="Woont begeleid"), "code-onbekend"),
        (decision(1, "delivery-1", verzoek=None), "bericht-onvolledig"),
        ({name: value for name, value in decision(1, "delivery-1").items() if name != "na_taak"}, "bericht-onvolledig"),
        ({name: value for name, value in plan(1, None).items() if name != "persoonskenmerk"}, "bericht-onvolledig"),
        (plan(1, None, stap="INNING"), "code-onbekend"),
        (plan(1, None, inwoner_geinformeerd="MISSCHIEN"), "code-onbekend"),
        (WITHDRAWAL | {"betreft": 2}, "bericht-niet-bekend"),
        (WITHDRAWAL | {"betreft": "1"}, "bericht-niet-bekend"),
        (WITHDRAWAL | {"reden": "SPIJT"}, "code-onbekend"),
        (CONFIRMATION | {"uitkomst": "ONTVANGEN"}, "code-onbekend"),
        (QUESTION | {"stap": "AANHOUDING"}, "code-onbekend"),
        (QUESTION | {"keten": 7}, "bericht-onvolledig"),
        ({"nummer": 1, "soort": "NIEUWS"}, "soort-onbekend"),
        ({"nummer": 1}, "soort-onbekend"),
    ],
)
def test_what_cannot_be_read_is_a_reason_and_no_guess(said: dict[str, Any], reason: str) -> None:
    assert read(said) == Skipped(reason)


def test_a_withdrawal_names_the_signal_that_came_of_the_earlier_message() -> None:
    found = read(WITHDRAWAL)
    assert isinstance(found, NewSignal)
    assert (found.type, found.cause, found.data) == (WITHDRAWN, "signaal-1", {"redencode": "ONTERECHT"})


def test_every_code_is_one_of_the_contract() -> None:
    for type_, name, table in (
        (DECIDED, "besluit", translate._DECISIONS),
        (DECIDED, "redencode", translate._REASONS),
        (PLANNED, "maatregelsoort", translate._STEPS),
        (PLANNED, "betrokkene_geinformeerd", translate._INFORMED),
    ):
        fields = json.loads((ROOT / "schemas" / f"{type_}.avsc").read_text(encoding="utf-8"))["fields"]
        symbols = next(field["type"]["symbols"] for field in fields if field["name"] == name)
        assert set(table.values()) == set(symbols) - {"ONBEKEND", "NVT"}


def test_every_guard_is_one_of_the_process() -> None:
    (process,) = yaml.safe_load((ROOT / "rules" / "cjib.yaml").read_text(encoding="utf-8"))["processes"]
    assert set(GUARDS.values()) == {guard["name"] for guard in process["guards"]}


def test_ids_follow_from_the_number_and_hold_no_digits_that_could_be_those_of_a_person() -> None:
    ids = []
    for said in (decision(999_990_019, "delivery-1"), decision(999_990_020, "delivery-1"), CONFIRMATION | {"bericht": "8c1e-a999990019bf"}):
        found = read(said)
        assert isinstance(found, NewSignal)
        ids.append(found.id or "")
    assert len(set(ids)) == 3
    assert not any(holds_bsn(id_) for id_ in ids)


@pytest.mark.parametrize("said", [None, [], "7", {}, {"nummer": "7"}, {"nummer": 0}, {"nummer": -1}, {"nummer": True}, {"nummer": 1.5}])
def test_a_number_is_a_whole_number_from_one(said: Any) -> None:
    assert number_of(said) is None
    assert number_of({"nummer": 7}) == 7


def test_the_readme_tells_of_every_reason_and_code() -> None:
    text = README.read_text(encoding="utf-8")
    reasons = {"ander-type", "antwoord-onbekend", "bericht-niet-bekend", "bericht-onvolledig", "code-onbekend", "soort-onbekend"}
    tables = (translate._DECISIONS, translate._PARTS, translate._ACTIONS, translate._REASONS, translate._STEPS, GUARDS, CONFIRMATIONS)
    words = {word for table in tables for word in table} | {kind for _, kind, _ in TO_CJIB.values()} | {said["soort"] for said in MESSAGES}
    assert not {word for word in words | reasons | {connector._NOT_TAKEN} | set(translate._WITHDRAWALS) if f"`{word}`" not in text}
