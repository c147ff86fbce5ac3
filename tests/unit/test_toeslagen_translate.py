"""What Toeslagen gets of a delivery, what its answer means, and that nothing else passes either way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from connectors.kit.flow import Skipped
from connectors.kit.rigs import delivery
from connectors.toeslagen import connector
from connectors.toeslagen.translate import (
    CONFIRMATIONS,
    CONFIRMED,
    FIELDS,
    INVESTIGATED,
    OPEN,
    PROCESSED,
    RECIPIENT,
    REPORTED,
    RESULTS,
    WITHDRAWN,
    Kind,
    Reply,
    kind_of,
    message,
    reply,
)
from hub.domain.formats import holds_bsn

CANARY = "merkteken-7041"
ROOT = Path(__file__).parents[2]
README = ROOT / "connectors" / "toeslagen" / "README.md"
KINDS: tuple[Kind, ...] = get_args(Kind)


def said(status: Any, since: Any = "2026-11-02", **more: Any) -> dict[str, Any]:
    return {"kenmerk": "delivery-1", "status": status, "sinds": since, **more}


def results(kind: Kind, status: str) -> list[tuple[str, str]]:
    found = reply(kind, said(status))
    assert isinstance(found, Reply)
    assert found.final == (status not in OPEN)
    return [(signal.type, signal.data["resultaat"]) for signal in found.signals]


@pytest.mark.parametrize(
    ("type_", "more", "kind"),
    [
        (REPORTED, {}, "MELDING"),
        (REPORTED, {"replaces": "delivery-0"}, "CORRECTIE"),
        (INVESTIGATED, {"cause": "delivery-0"}, "UITKOMST"),
        (WITHDRAWN, {"cause": "delivery-0"}, "INTREKKING"),
        (CONFIRMED, {}, None),
        ("nl.signaalhub.herinnering.v1", {}, None),
    ],
)
def test_what_a_delivery_is_called(type_: str, more: dict[str, Any], kind: Kind | None) -> None:
    assert kind_of(delivery(1, RECIPIENT, type_, {}, **more)) == kind


@pytest.mark.parametrize("type_", sorted(FIELDS))
def test_no_field_goes_along_that_is_not_on_the_list(type_: str) -> None:
    data = dict.fromkeys(FIELDS[type_], "x") | {"naam": CANARY, "nieuwe_bewoner": {"bsn": CANARY}, CANARY: [CANARY]}
    sent = delivery(1, RECIPIENT, type_, data, subject=CANARY, correlation="keten", cause="delivery-0")
    kind = kind_of(sent)
    assert kind is not None
    found = message(sent, kind)
    assert CANARY not in repr(found)
    assert set(found["gegevens"]) == set(FIELDS[type_])
    assert (found["kenmerk"], found["betreft"]) == ("delivery-1", "delivery-0")


def test_the_fields_are_those_of_the_grants() -> None:
    grants = yaml.safe_load((ROOT / "rules" / "spookbewoning.yaml").read_text(encoding="utf-8"))["grants"]
    grants += yaml.safe_load((ROOT / "hub" / "own" / "signaalhub.yaml").read_text(encoding="utf-8"))["grants"]
    for type_, fields in FIELDS.items():
        (granted,) = (grant["fields"] for grant in grants if grant["signal"] == type_)
        assert {next(iter(field)) if isinstance(field, dict) else field for field in granted} == set(fields)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", sorted({*RESULTS["UITKOMST"], *CONFIRMATIONS["INTREKKING"]}))
def test_nothing_of_an_answer_passes_but_its_result_and_day(kind: Kind, status: str) -> None:
    found = reply(kind, said(status, bedrag_cent=CANARY, toelichting=CANARY, **{CANARY: [CANARY]}))
    assert CANARY not in repr([(signal, signal.data) for signal in found.signals] if isinstance(found, Reply) else found)


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("MELDING", "ONTVANGEN", [(PROCESSED, "ONTVANGEN")]),
        ("MELDING", "IN_BEHANDELING", [(PROCESSED, "ONTVANGEN")]),
        ("MELDING", "AANGEPAST", [(PROCESSED, "VERWERKT")]),
        ("MELDING", "ONGEWIJZIGD", [(PROCESSED, "VERWERKT")]),
        ("MELDING", "PERSOON_ONBEKEND", [(PROCESSED, "NIET_HERKEND")]),
        ("MELDING", "ADRES_ONBEKEND", [(PROCESSED, "NIET_HERKEND")]),
        ("UITKOMST", "MELDING_ONBEKEND", [(PROCESSED, "NIET_HERKEND")]),
        ("CORRECTIE", "ONTVANGEN", [(PROCESSED, "ONTVANGEN")]),
        ("CORRECTIE", "AANGEPAST", [(PROCESSED, "VERWERKT"), (CONFIRMED, "VERWERKT")]),
        ("CORRECTIE", "PERSOON_ONBEKEND", [(PROCESSED, "NIET_HERKEND"), (CONFIRMED, "NIET_GEVONDEN")]),
        ("CORRECTIE", "MELDING_ONBEKEND", [(CONFIRMED, "NIET_GEVONDEN")]),
        ("INTREKKING", "IN_BEHANDELING", []),
        ("INTREKKING", "ONGEWIJZIGD", [(CONFIRMED, "VERWERKT")]),
        ("INTREKKING", "MELDING_ONBEKEND", [(CONFIRMED, "NIET_GEVONDEN")]),
    ],
)
def test_what_a_status_means(kind: Kind, status: str, expected: list[tuple[str, str]]) -> None:
    assert results(kind, status) == expected


@pytest.mark.parametrize("status", ["TERUGVORDERING", "aangepast", "VERWERKT", "", None, 7, ["AANGEPAST"]])
def test_a_status_that_is_not_in_the_table_is_no_guess(status: Any) -> None:
    assert {reply(kind, said(status)) for kind in KINDS} == {Skipped("antwoord-onbekend")}


def test_a_report_itself_cannot_be_an_unknown_report() -> None:
    assert reply("MELDING", said("MELDING_ONBEKEND")) == Skipped("antwoord-onbekend")


@pytest.mark.parametrize("since", [None, "gisteren", "20261102", "2026-11-31", 20261102, CANARY])
def test_a_day_that_is_none_is_a_reason(since: Any) -> None:
    assert reply("MELDING", said("AANGEPAST", since)) == Skipped("datum-onleesbaar")


def test_the_same_answer_has_the_same_ids_and_another_one_others() -> None:
    first, again, other = (reply("CORRECTIE", said(status)) for status in ("AANGEPAST", "ONGEWIJZIGD", "ONTVANGEN"))
    assert isinstance(first, Reply)
    assert isinstance(again, Reply)
    assert isinstance(other, Reply)
    assert first == again
    assert len({signal.id for found in (first, other) for signal in found.signals}) == 3


def test_no_id_holds_digits_that_could_be_those_of_a_person() -> None:
    found = reply("CORRECTIE", said("AANGEPAST") | {"kenmerk": "0b6e3c52-91d4-4f3a-8c1e-a999990019bf"})
    assert isinstance(found, Reply)
    assert not any(holds_bsn(signal.id or "") for signal in found.signals)
    assert max(len(signal.id or "") for signal in found.signals) <= 64


def test_every_result_is_one_of_the_contract() -> None:
    schemas = {PROCESSED: (ROOT / "schemas", RESULTS), CONFIRMED: (ROOT / "hub" / "own", CONFIRMATIONS)}
    for type_, (folder, table) in schemas.items():
        fields = json.loads((folder / f"{type_}.avsc").read_text(encoding="utf-8"))["fields"]
        symbols = next(field["type"]["symbols"] for field in fields if field["name"] == "resultaat")
        assert {result for by_status in table.values() for result in by_status.values()} == set(symbols) - {"ONBEKEND"}


def test_the_readme_tells_of_every_reason_and_status() -> None:
    text = README.read_text(encoding="utf-8")
    reasons = {"ander-type", "antwoord-onbekend", "datum-onleesbaar", "kenmerk-onbekend", "nog-in-behandeling", "nooit-beantwoord"}
    statuses = {*RESULTS["UITKOMST"], *CONFIRMATIONS["INTREKKING"]}
    assert all(f"`{word}`" in text for word in {*reasons, *statuses, connector._NOT_TAKEN})
