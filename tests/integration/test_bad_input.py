"""Bad input, whatever it is: a reason code of its own, every fault at once, nothing of the content in the answer."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.app import Hub, MovingClock, load_files, open_for_examples
from hub.codec import Received, frame, structured, write_avro
from hub.domain import terms
from hub.domain.reasons import ADMISSION
from hub.domain.signal import LARGEST_SIGNAL
from hub.domain.view import parse_wire
from hub.work import Outcome
from tests.conftest import NOW
from tests.integration.support import LANDLORD, REFUSED, ROOT, TAX, TILBURG, Cli, Ran, received
from tests.integration.support import settings as own_settings
from tests.sample import ADDRESS, ANSWER, DEBT, INVESTIGATED, OFFER, address, address_data, debt_data

MARK = "Merkteken"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all that is refused: nothing in it depends on what came before."""
    return tmp_path_factory.mktemp("bad") / "home"


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(home, monkeypatch)


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def values(data: Any) -> Iterator[str]:
    """Yield every value in the data that could be recognised in a message."""
    if isinstance(data, dict):
        for value in data.values():
            yield from values(value)
    elif isinstance(data, list):
        for value in data:
            yield from values(value)
    elif not isinstance(data, bool) and data is not None and len(str(data)) > 3:
        yield str(data)


def check(ran: Ran, expected: list[tuple[str, str | None]], *secrets: str) -> None:
    """Hold one refusal against what it must say and what it must not."""
    assert ran.code == 1
    (result,) = ran.json
    assert result.keys() == {"id", "signal_id", "correlation", "status", "errors"}
    assert result["status"] == "rejected"
    assert result["correlation"] is None
    assert [(error["code"], error["field"]) for error in result["errors"]] == expected
    assert all(error.keys() == {"code", "field", "message"} and error["message"] for error in result["errors"])
    assert ran.err == ""
    said = ran.said.replace(result["id"] or "", "").replace(result["signal_id"] or "", "")  # random digits
    for secret in (*secrets, MARK):
        assert secret not in said


# --- one fault, one code ------------------------------------------------------------------

ADDRESSES = [
    pytest.param({"bsn": "999990018"}, "bsn-ongeldig", "bsn", id="a failing 11-proef"),
    pytest.param({"bsn": "000000000"}, "bsn-ongeldig", "bsn", id="nine zeros"),
    pytest.param({"bsn": "99999001"}, "bsn-ongeldig", "bsn", id="a BSN of eight digits"),
    pytest.param({"bsn": "9999.90.019"}, "bsn-ongeldig", "bsn", id="a BSN with dots"),
    pytest.param({"bsn": "٩٩٩٩٩٠٠١٩"}, "bsn-ongeldig", "bsn", id="a BSN in other digits"),
    pytest.param({"bsn": "999990019\n"}, "tekst-ongeldig", "bsn", id="a BSN with a line break"),
    pytest.param({"bsn": 999990019}, "verkeerd-type", "bsn", id="a BSN as a number"),
    pytest.param({"bsn": None}, "verkeerd-type", "bsn", id="a null that may not be"),
    pytest.param({"bsn": ["999990019"]}, "verkeerd-type", "bsn", id="an array for a text"),
    pytest.param({"bsn": {"nummer": "999990019"}}, "verkeerd-type", "bsn", id="an object for a text"),
    pytest.param({"bag_id": "85501000000017"}, "bag-id-ongeldig", "bag_id", id="a BAG id that lost its zeros"),
    pytest.param({"bag_id": 8550100000000017}, "verkeerd-type", "bag_id", id="a BAG id as a number"),
    pytest.param({"gemeentecode": "855"}, "gemeentecode-ongeldig", "gemeentecode", id="a gemeentecode without its zero"),
    pytest.param({"gemeentecode": "1999"}, "gemeentecode-ongeldig", "gemeentecode", id="the RNI"),
    pytest.param({"gemeentecode": "0344"}, "gemeente-niet-toegestaan", "gemeentecode", id="another municipality"),
    pytest.param({"signaalsoort": "MERKTEKEN"}, "waarde-onbekend", "signaalsoort", id="an unknown symbol"),
    pytest.param({"signaalsoort": "dubbele_bewoning"}, "waarde-onbekend", "signaalsoort", id="a symbol in small letters"),
    pytest.param({"signaalsoort": 0}, "verkeerd-type", "signaalsoort", id="the number of a symbol"),
    pytest.param({"niet_woonachtig_sinds": "20261301"}, "gba-datum-ongeldig", "niet_woonachtig_sinds", id="a thirteenth month"),
    pytest.param({"niet_woonachtig_sinds": "20260230"}, "gba-datum-ongeldig", "niet_woonachtig_sinds", id="30 February"),
    pytest.param({"niet_woonachtig_sinds": "20260012"}, "gba-datum-ongeldig", "niet_woonachtig_sinds", id="a day without a month"),
    pytest.param({"niet_woonachtig_sinds": "2026-09-14"}, "gba-datum-ongeldig", "niet_woonachtig_sinds", id="a date with dashes"),
    pytest.param({"geheimhouding": "true"}, "verkeerd-type", "geheimhouding", id="a text for a boolean"),
    pytest.param({"geheimhouding": 1}, "verkeerd-type", "geheimhouding", id="one for a boolean"),
    pytest.param({"contactrol": "Jan de Boer"}, "patroon-klopt-niet", "contactrol", id="a name for a desk"),
    pytest.param({"contactrol": "x" * 201}, "tekst-ongeldig", "contactrol", id="a text of 201 characters"),
    pytest.param({"contactrol": "loket\ud800"}, "tekst-ongeldig", "contactrol", id="half a surrogate pair"),
    pytest.param({"contactrol": "loket\u2028"}, "tekst-ongeldig", "contactrol", id="a line separator"),
    pytest.param({"contactrol": "loket\x00"}, "tekst-ongeldig", "contactrol", id="a zero character"),
    pytest.param({"toelichting": MARK}, "veld-onbekend", None, id="an extra field"),
    pytest.param({MARK: None}, "veld-onbekend", None, id="an extra field whose name is the content"),
]  # fmt: skip

DEBTS = [
    pytest.param({"huisnummer": 1.9}, "verkeerd-type", "huisnummer", id="1.9 for an int"),
    pytest.param({"huisnummer": 12.0}, "verkeerd-type", "huisnummer", id="12.0 for an int"),
    pytest.param({"huisnummer": True}, "verkeerd-type", "huisnummer", id="true for an int"),
    pytest.param({"huisnummer": "12"}, "verkeerd-type", "huisnummer", id="a text for an int"),
    pytest.param({"huisnummer": 2**40}, "getal-te-groot", "huisnummer", id="2^40 for an int"),
    pytest.param({"huisnummer": 2**31}, "getal-te-groot", "huisnummer", id="2^31 for an int"),
    pytest.param({"huisnummer": -(2**31) - 1}, "getal-te-groot", "huisnummer", id="just under the least int"),
    pytest.param({"bedrag_cent": 2**63}, "getal-te-groot", "bedrag_cent", id="2^63 for a long"),
    pytest.param({"bedrag_cent": 10**400}, "getal-te-groot", "bedrag_cent", id="a number of 400 digits"),
    pytest.param({"bedrag_cent": 1284.5}, "verkeerd-type", "bedrag_cent", id="euros for cents"),
    pytest.param({"geboortedatum": "1985-02-30"}, "datum-ongeldig", "geboortedatum", id="an impossible date"),
    pytest.param({"geboortedatum": "1985-02-29"}, "datum-ongeldig", "geboortedatum", id="29 February of a common year"),
    pytest.param({"geboortedatum": "19850228"}, "datum-ongeldig", "geboortedatum", id="a date without dashes"),
    pytest.param({"geboortedatum": "1985-W09-4"}, "datum-ongeldig", "geboortedatum", id="a week date"),
    pytest.param({"geboortedatum": "1985-03-14T00:00:00"}, "datum-ongeldig", "geboortedatum", id="a time for a date"),
    pytest.param({"geboortedatum": "0000-03-14"}, "datum-ongeldig", "geboortedatum", id="the year zero"),
    pytest.param({"geboortedatum": 5551}, "verkeerd-type", "geboortedatum", id="days for a date"),
    pytest.param({"postcode": "0611 AB"}, "postcode-ongeldig", "postcode", id="a postcode that begins with zero"),
    pytest.param({"email": f"{MARK}@nergens"}, "email-ongeldig", "email", id="no e-mail address"),
    pytest.param({"telefoon": "06-12345678"}, "telefoon-ongeldig", "telefoon", id="no phone number"),
    pytest.param({"achternaam": "Jan\nsen"}, "tekst-ongeldig", "achternaam", id="a line break in a name"),
    pytest.param({"achternaam": "x" * 101}, "tekst-ongeldig", "achternaam", id="a name of 101 characters"),
    pytest.param({"huisletter": "AB"}, "patroon-klopt-niet", "huisletter", id="two letters for one"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "code", "field"), ADDRESSES)
def test_an_address_signal_with_one_fault_is_refused_with_its_code(cli: Cli, changed: dict[str, Any], code: str, field: str | None) -> None:
    data = address_data(**changed)
    check(cli.publish(data), [(code, field)], *values(data), *changed.keys() & {MARK, "toelichting"})


@pytest.mark.parametrize(("changed", "code", "field"), DEBTS)
def test_an_arrear_signal_with_one_fault_is_refused_with_its_code(cli: Cli, changed: dict[str, Any], code: str, field: str | None) -> None:
    data = debt_data(**changed)
    check(cli.publish(data, participant=LANDLORD, type_=DEBT), [(code, field)], *values(data))


@pytest.mark.parametrize("name", [name for name in address_data() if name not in {"bag_id", "adresonderzoek_start"}])
def test_every_field_that_is_missing_is_named(cli: Cli, name: str) -> None:
    check(cli.publish(without(address_data(), name)), [("veld-ontbreekt", name)])


@pytest.mark.parametrize("data", [5, "Merkteken", True, None, 1.5, {}, [[]], [5], [None], ["Merkteken"]])
def test_data_that_is_no_object_is_refused(cli: Cli, data: Any) -> None:
    ran = cli.publish(data)
    wanted = "veld-ontbreekt" if data == {} else "verkeerd-type"
    assert ran.code == 1
    assert {error["code"] for error in ran.json[0]["errors"]} == {wanted}
    assert MARK not in ran.said


@pytest.mark.parametrize("raw", [
    b"", b"{", b"{'a': 1}", b'{"bsn": "Merkteken"', b'{"bsn": Merkteken}', b"\xff\xfe\xfa", b'"\xc3("', b'{"huisnummer": 1e}', b"nul",
    b'{"bedrag": NaN}', b'{"bedrag": Infinity}', b'{"bedrag": -Infinity}', b'{"bedrag": 1e999}', b"[" * 60_000, b'{"a":' * 12_000,
    b"[" * 5_000 + b"]" * 5_000, b'{"bedrag": ' + b"9" * 5_000 + b"}", b"\x00" * 100,
], ids=range(18))  # fmt: skip
def test_malformed_json_is_unreadable_and_nothing_else(cli: Cli, raw: bytes) -> None:
    check(cli.publish(raw), [("onleesbaar", None)])


@pytest.mark.parametrize("depth", [50, 500, 900, 970, 980, 985, 990, 995, 1_200])
@pytest.mark.parametrize("where", ["a field", "everything"])
def test_json_nested_to_any_depth_is_refused_with_a_code(cli: Cli, depth: int, where: str) -> None:
    nested = "[" * depth + f'"{MARK}"' + "]" * depth
    text = nested if where == "everything" else json.dumps(address_data(bsn="?")).replace('"?"', nested)
    ran = cli.publish(text.encode())
    assert ran.code == 1
    (result,) = ran.json
    assert {error["code"] for error in result["errors"]} <= {"verkeerd-type", "onleesbaar"}
    assert result["errors"]
    assert MARK not in ran.said


# --- all faults at once -------------------------------------------------------------------


def test_all_faults_of_a_signal_come_at_once(cli: Cli) -> None:
    data = without(address_data(bsn="1", bag_id="2", signaalsoort="X", geheimhouding="nee", naam=MARK), "contactrol")
    ran = cli.publish(data, "--id", "zaak 999990019", "--time", "2026-11-02T09:00:00", "--correlation", "dossier 1")
    check(ran, [
        ("id-ongeldig", "id"), ("envelop-ongeldig", "correlationid"), ("tijd-ongeldig", "time"), ("bag-id-ongeldig", "bag_id"),
        ("bsn-ongeldig", "bsn"), ("waarde-onbekend", "signaalsoort"), ("verkeerd-type", "geheimhouding"), ("veld-ontbreekt", "contactrol"),
        ("veld-onbekend", None),
    ], "999990019", "dossier 1")  # fmt: skip


def test_a_publisher_without_the_right_hears_its_other_faults_too(cli: Cli) -> None:
    data = address_data(bsn="1")
    check(cli.publish(data, participant=TAX), [("geen-publicatierecht", "type"), ("bsn-ongeldig", "bsn")])


def test_one_bad_element_of_an_array_leaves_the_others_alone(cli: Cli) -> None:
    ran = cli.publish([address_data(), address_data(bsn="999990018"), address_data(bag_id=None)])
    assert ran.code == 1
    assert [result["status"] for result in ran.json] == ["accepted", "rejected", "accepted"]
    assert "999990018" not in ran.said


# --- who and what -------------------------------------------------------------------------


@pytest.mark.parametrize(("participant", "type_", "data"), [
    (TAX, ADDRESS, address_data()), (LANDLORD, ADDRESS, address_data(gemeentecode="0772")), (TILBURG, DEBT, debt_data(gemeentecode="0855")),
    ("politie", ADDRESS, address_data()), (TILBURG, REFUSED, {"signaal_id": None, "signaaltype": None, "redenen": []}),
])  # fmt: skip
def test_who_may_not_publish_a_type_is_told_so(cli: Cli, participant: str, type_: str, data: dict[str, Any]) -> None:
    check(cli.publish(data, participant=participant, type_=type_), [("geen-publicatierecht", "type")])


@pytest.mark.parametrize(
    "type_", ["nl.brp.bestaat-niet.v1", "nl.brp.spookbewoning-gesignaleerd.v2", "spookbewoning", "", "NL.BRP", "nl\ud800"]
)
def test_an_unknown_type_is_refused(cli: Cli, type_: str) -> None:
    check(cli.publish(address_data(), type_=type_), [("type-onbekend", "type")])


@pytest.mark.parametrize("type_", ["nl.jeugd.uithuisplaatsing.v1", "nl.zorg.diagnose-gesteld.v3"])
def test_a_forbidden_type_is_refused_with_the_reason(cli: Cli, type_: str) -> None:
    ran = cli.publish({"naam": MARK}, type_=type_)
    check(ran, [("verboden-type", None)])
    assert len(ran.json[0]["errors"][0]["message"].split(". ")) > 1


@pytest.mark.parametrize(
    "participant", ["niemand", "burgerzaken", "burgerzaken.0000", "burgerzaken.08555", "burgerzaken.0855.x", "", "x" * 300]
)
def test_an_unknown_participant_is_refused(cli: Cli, participant: str) -> None:
    ran = cli.publish(address_data(), participant=participant)
    check(ran, [("deelnemer-onbekend", None)])
    assert ran.json[0]["signal_id"] is None


@pytest.mark.parametrize("participant", [LANDLORD, "zorgzaam-voorbeeld"])
def test_a_company_publishes_where_it_works_only(cli: Cli, participant: str) -> None:
    data = debt_data(gemeentecode="0363", partnersoort="HUUR" if participant == LANDLORD else "ZORG")
    check(cli.publish(data, participant=participant, type_=DEBT), [("gemeente-niet-toegestaan", "gemeentecode")])


# --- id, time, links ----------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["", " ", "a b", "a/b", "é", "x" * 65, "a\n", "{}", "a\u0000b", "\ud800"])
def test_an_id_with_other_characters_is_refused_and_not_repeated(cli: Cli, id_: str) -> None:
    ran = cli.publish([{"id": id_, "data": address_data()}])
    check(ran, [("id-ongeldig", "id")])
    assert ran.json[0]["id"] is None
    assert ran.json[0]["signal_id"] is None


@pytest.mark.parametrize("id_", ["999990019", "zaak-999990019", "1999990019", "999990019.2", "20261102999990019", "x999990019x"])
def test_an_id_that_holds_a_bsn_is_refused_and_not_repeated(cli: Cli, id_: str) -> None:
    ran = cli.publish(address_data(bsn="123456782"), "--id", id_)
    check(ran, [("id-bevat-bsn", "id")], "999990019")
    assert ran.json[0]["signal_id"] is None


@pytest.mark.parametrize("id_", ["a", "x" * 64, "A.b_c-9", "20261102-000123", "8d4b1c1e-99b6-4a52-9c3e-999990019aaa", "000000000"])
def test_a_good_id_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id_: str) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    ran = cli.publish(address_data(), "--id", id_)
    assert ran.code == 0
    assert ran.json[0]["id"] == id_


def test_an_id_that_was_used_for_something_else_is_refused(cli: Cli) -> None:
    assert cli.publish(address_data(), "--id", "used-1").code == 0
    ran = cli.publish(address_data(bsn="123456782"), "--id", "used-1")
    check(ran, [("id-hergebruikt", "id")], "123456782", "999990019")
    assert ran.json[0]["id"] == "used-1"


@pytest.mark.parametrize(("option", "field"), [("--correlation", "correlationid"), ("--cause", "causationid"), ("--replaces", "vervangt")])
@pytest.mark.parametrize(("value", "code"), [("zaak-999990019", "id-bevat-bsn"), ("x" * 65, "envelop-ongeldig"), ("a b", "envelop-ongeldig"),
                                             ("", "envelop-ongeldig")])  # fmt: skip
def test_a_link_is_checked_like_an_id(cli: Cli, option: str, field: str, value: str, code: str) -> None:
    check(cli.publish(address_data(bsn="123456782"), option, value), [(code, field)], "999990019")


@pytest.mark.parametrize("time", [
    "2026-11-02T09:00:00", "2026-11-02", "09:00", "gisteren", "", "2026-02-30T09:00:00Z", "2026-11-02T25:00:00Z", "2026-11-02T09:00:00+25:00",
    "1793606400", "2026-W45-1T09:00Z", "20261102T090000Z", "2026-11-02T09:00:00 Z", "٢٠٢٦-11-02T09:00:00Z", "2026-11-02T09:00:00Zmerk",
])  # fmt: skip
def test_a_time_that_is_naive_or_none_is_refused(cli: Cli, time: str) -> None:
    check(cli.publish(address_data(), "--time", time), [("tijd-ongeldig", "time")])


@pytest.mark.parametrize("element", [{"time": 5}, {"time": ["2026"]}, {"time": True}, {"time": {"op": "2026"}}, {"time": 1.5}])
def test_a_time_that_is_no_text_is_refused_and_harms_no_other(cli: Cli, element: dict[str, Any]) -> None:
    ran = cli.publish([{**element, "data": address_data()}, address_data()])
    assert [result["status"] for result in ran.json] == ["rejected", "accepted"]
    assert [error["code"] for error in ran.json[0]["errors"]] == ["tijd-ongeldig"]


@pytest.mark.parametrize("element", [{"id": 5}, {"id": ["a"]}, {"correlation": 5}, {"cause": {}}, {"replaces": True}])
def test_an_attribute_that_is_no_text_is_refused_and_harms_no_other(cli: Cli, element: dict[str, Any]) -> None:
    ran = cli.publish([{**element, "data": address_data()}, address_data()])
    assert [result["status"] for result in ran.json] == ["rejected", "accepted"]
    assert ran.json[0]["errors"][0]["code"] in {"id-ongeldig", "envelop-ongeldig"}


def test_five_minutes_ahead_is_allowed_and_a_millisecond_more_is_not(cli: Cli) -> None:
    assert cli.publish(address_data(), "--time", "2026-11-02T09:05:00.000+01:00").code == 0
    check(cli.publish(address_data(), "--time", "2026-11-02T09:05:00.001+01:00"), [("tijd-in-toekomst", "time")])
    assert cli.publish(address_data(), "--time", "2020-01-01T00:00:00Z").code == 0


# --- size ---------------------------------------------------------------------------------


def padded(hub: Hub, size: int) -> Received:
    body = hub.encode(TILBURG, address()).body
    return Received(TILBURG, body + b" " * (size - len(body)))


def test_64_kib_is_the_largest_signal(hub: Hub) -> None:
    outcomes = hub.router.process([padded(hub, LARGEST_SIGNAL), padded(hub, LARGEST_SIGNAL + 1)])
    assert [outcome.status for outcome in outcomes] == ["accepted", "rejected"]
    assert [fault.code for fault in outcomes[1].faults] == ["te-groot"]


def test_a_signal_over_64_kib_is_refused_on_the_command_line(cli: Cli) -> None:
    check(cli.publish(address_data(contactrol=MARK * 8_000)), [("te-groot", None)])


# --- the envelope as others send it -------------------------------------------------------


def event(hub: Hub, **changed: Any) -> Received:
    found = hub.rulebooks.current.ruleset.participants.find(TILBURG)
    assert found is not None
    attributes: dict[str, Any] = {"id": "a-1", "source": found.source, "type": ADDRESS, "time": "2026-11-02T08:00:00Z"} | changed
    return Received(TILBURG, structured({name: value for name, value in attributes.items() if value is not None}, address_data()))


@pytest.mark.parametrize(("changed", "expected"), [
    ({}, []),
    ({"time": None}, []),
    ({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, []),
    ({"specversion": "0.3"}, [("envelop-ongeldig", "specversion")]),
    ({"specversion": 1.0}, [("envelop-ongeldig", "specversion")]),
    ({"id": None}, [("id-ongeldig", "id")]),
    ({"id": 7}, [("id-ongeldig", "id")]),
    ({"source": None}, [("afzender-klopt-niet", "source")]),
    ({"source": "urn:nld:oin:00000099000000010344:systeem:burgerzaken.0344"}, [("afzender-klopt-niet", "source")]),
    ({"source": ["x"]}, [("afzender-klopt-niet", "source")]),
    ({"type": None}, [("type-onbekend", "type")]),
    ({"type": 5}, [("type-onbekend", "type")]),
    ({"type": {"a": 1}}, [("type-onbekend", "type")]),
    ({"datacontenttype": "application/xml"}, [("envelop-ongeldig", "datacontenttype")]),
    ({"datacontenttype": "application/avro"}, [("envelop-ongeldig", "datacontenttype")]),
    ({"subject": "999990019"}, [("envelop-ongeldig", None)]),
    ({"data_base64": "AAAA"}, [("envelop-ongeldig", None)]),
    ({"Merkteken": "999990019"}, [("envelop-ongeldig", None)]),
    ({"time": 5}, [("tijd-ongeldig", "time")]),
    ({"correlationid": 5}, [("envelop-ongeldig", "correlationid")]),
    ({"correlationid": ["a"]}, [("envelop-ongeldig", "correlationid")]),
    ({"causationid": {}}, [("envelop-ongeldig", "causationid")]),
], ids=str)  # fmt: skip
def test_the_envelope_is_checked_attribute_by_attribute(hub: Hub, changed: dict[str, Any], expected: list[tuple[str, str | None]]) -> None:
    (outcome,) = hub.router.process([event(hub, **changed)])
    assert [(fault.code, fault.field) for fault in outcome.faults] == expected
    assert outcome.status == ("rejected" if expected else "accepted")


def test_an_event_without_data_is_refused(hub: Hub) -> None:
    for data in (b"", b',"data":null'):
        body = event(hub).body
        body = body[: body.index(b',"data"')] + data + b"}"
        (outcome,) = hub.router.process([Received(TILBURG, body)])
        assert [fault.code for fault in outcome.faults] == ["verkeerd-type"]


# --- Avro in Kafka binary mode ------------------------------------------------------------


Changes = dict[str, bytes | None]


def headers(hub: Hub, changed: Changes | None = None, type_: str = ADDRESS, participant: str = TILBURG) -> dict[str, bytes]:
    found = hub.rulebooks.current.ruleset.participants.find(participant)
    assert found is not None
    given: Changes = {
        "ce_specversion": b"1.0", "ce_id": b"a-1", "ce_source": found.source.encode(), "ce_type": type_.encode(),
        "ce_time": b"2026-11-02T08:00:00Z", "content-type": b"application/avro",
    }  # fmt: skip
    return {name: value for name, value in (given | (changed or {})).items() if value is not None}


def avro(hub: Hub, **changed: Any) -> bytes:
    return write_avro(hub.rulebooks.current.ruleset.types[ADDRESS].wire, address_data(**changed))


def ids(hub: Hub) -> dict[str, int]:
    book = hub.rulebooks.current
    return {**book.contract_ids, **book.view_ids}


def binary(hub: Hub, body: bytes, changed: Changes | None = None) -> Outcome:
    (outcome,) = hub.router.process([Received(TILBURG, body, headers(hub, changed))])
    return outcome


def faults(outcome: Outcome) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in outcome.faults]


def test_a_good_avro_signal_is_accepted_and_delivered(hub: Hub) -> None:
    assert binary(hub, frame(ids(hub)[ADDRESS], avro(hub))).status == "accepted"
    assert received(hub, TAX)[0]["data"] == {name: address_data()[name] for name in received(hub, TAX)[0]["data"]}


def test_every_truncation_of_a_good_avro_signal_is_refused(hub: Hub) -> None:
    good = frame(ids(hub)[ADDRESS], avro(hub))
    events = [Received(TILBURG, good[:length], headers(hub, {"ce_id": f"t-{length}".encode()})) for length in range(len(good))]
    outcomes = hub.router.process(events)
    assert {tuple(faults(outcome)) for outcome in outcomes} == {(("onleesbaar", None),)}


@pytest.mark.parametrize("extra", [b"\x00", b"x", b"\xff" * 40])
def test_bytes_behind_an_avro_signal_are_refused(hub: Hub, extra: bytes) -> None:
    assert faults(binary(hub, frame(ids(hub)[ADDRESS], avro(hub)) + extra)) == [("onleesbaar", None)]


@pytest.mark.parametrize("magic", [1, 2, 255])
def test_a_wrong_magic_byte_is_refused(hub: Hub, magic: int) -> None:
    assert faults(binary(hub, bytes([magic]) + frame(ids(hub)[ADDRESS], avro(hub))[1:])) == [("onleesbaar", None)]


@pytest.mark.parametrize("schema_id", [0, 999, 2**31 - 1, 2**31, 2**32 - 1])
def test_an_unknown_schema_id_is_refused(hub: Hub, schema_id: int) -> None:
    assert faults(binary(hub, struct.pack(">bI", 0, schema_id) + avro(hub))) == [("onleesbaar", None)]


def test_the_schema_of_another_type_or_of_a_view_is_never_an_exception(hub: Hub) -> None:
    events, names = [], [name for name in ids(hub) if name != ADDRESS]
    for number, name in enumerate(names):
        for type_, participant in ((ADDRESS, TILBURG), (DEBT, LANDLORD), (ANSWER, TAX), (REFUSED, TILBURG)):
            given = headers(hub, {"ce_id": f"s-{number}-{type_[-9:]}".encode()}, type_, participant)
            if type_ != name:
                events.append(Received(participant, frame(ids(hub)[name], avro(hub)), given))
    outcomes = hub.router.process(events)
    assert {outcome.status for outcome in outcomes} == {"rejected"}
    assert {code for outcome in outcomes for code, _ in faults(outcome)} <= ADMISSION.keys()


@pytest.mark.parametrize(("changed", "expected"), [
    ({"bsn": "999990018"}, ("bsn-ongeldig", "bsn")), ({"gemeentecode": "0344"}, ("gemeente-niet-toegestaan", "gemeentecode")),
    ({"contactrol": "Jan de Boer"}, ("patroon-klopt-niet", "contactrol")), ({"bag_id": ""}, ("bag-id-ongeldig", "bag_id")),
])  # fmt: skip
def test_avro_values_are_checked_like_json(hub: Hub, changed: dict[str, Any], expected: tuple[str, str]) -> None:
    assert faults(binary(hub, frame(ids(hub)[ADDRESS], avro(hub, **changed)))) == [expected]


@pytest.mark.parametrize(("field", "value", "code"), [
    ("huisnummer", 2**40, "getal-te-groot"), ("huisnummer", -(2**31) - 1, "getal-te-groot"), ("achterstand_maanden", 2**62, "getal-te-groot"),
    ("geboortedatum", 2**31, "getal-te-groot"), ("geboortedatum", -(10**9), "getal-te-groot"),
])  # fmt: skip
def test_an_avro_int_out_of_its_range_is_refused(hub: Hub, field: str, value: int, code: str) -> None:
    raw = json.loads(json.dumps(hub.rulebooks.current.ruleset.types[DEBT].contract.raw))
    for entry in raw["fields"]:
        if entry["name"] == field:  # the same bytes, as a sloppy writer would make them
            entry["type"] = ["null", "long"] if field == "geboortedatum" else "long"
    data = debt_data(geboortedatum=None) | {field: value}
    body = frame(ids(hub)[DEBT], write_avro(parse_wire(raw), data))
    (outcome,) = hub.router.process([Received(LANDLORD, body, headers(hub, None, DEBT, LANDLORD))])
    assert faults(outcome) == [(code, field)]


@pytest.mark.parametrize(("changed", "expected"), [
    ({"ce_id": b"\xff"}, [("onleesbaar", None)]),
    ({"content-type": b"application/json"}, [("envelop-ongeldig", "datacontenttype")]),
    ({"content-type": None}, []),
    ({"ce_specversion": b"0.3"}, [("envelop-ongeldig", "specversion")]),
    ({"ce_id": None}, [("id-ongeldig", "id")]),
    ({"ce_type": None}, [("type-onbekend", "type")]),
    ({"ce_subject": b"999990019"}, [("envelop-ongeldig", None)]),
    ({"ce_time": b"2030-01-01T00:00:00Z"}, [("tijd-in-toekomst", "time")]),
    ({"x-own": b"\xff"}, []),
], ids=str)  # fmt: skip
def test_the_headers_are_checked_like_an_envelope(
    hub: Hub, changed: dict[str, bytes | None], expected: list[tuple[str, str | None]]
) -> None:
    assert faults(binary(hub, frame(ids(hub)[ADDRESS], avro(hub)), changed)) == expected


@pytest.fixture(scope="module")
def sturdy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One hub for all the random input, which it must survive; in memory, to be quick."""
    ruleset = load_files(own_settings(tmp_path_factory.mktemp("sturdy"))).unwrap()
    hub = open_for_examples(ruleset, MovingClock(NOW))
    yield hub
    hub.close()


BODIES = st.one_of(
    st.binary(max_size=200),
    st.tuples(st.sampled_from([0, 1, 2, 3, 5, 8, 13, 20, 10**6]), st.binary(max_size=200)).map(lambda pair: frame(*pair)),
)
FEWER = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
RANDOM = settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])


def coded(outcome: Outcome) -> bool:
    """Say whether an outcome is a refusal with codes, or something that happened to be right."""
    if outcome.status != "rejected":
        return not outcome.faults
    return bool(outcome.faults) and {fault.code for fault in outcome.faults} <= ADMISSION.keys()


@RANDOM
@given(body=BODIES, type_=st.sampled_from([ADDRESS, DEBT, ANSWER, INVESTIGATED, OFFER, REFUSED, "nl.x.y.v1"]))
def test_random_bytes_as_avro_are_always_a_coded_refusal(sturdy: Hub, body: bytes, type_: str) -> None:
    (outcome,) = sturdy.router.process([Received(TILBURG, body, headers(sturdy, None, type_))])
    assert outcome.status == "rejected"
    assert coded(outcome)


@RANDOM
@given(data=st.data())
def test_a_good_avro_signal_with_any_bytes_changed_is_a_coded_refusal_or_right(sturdy: Hub, data: st.DataObject) -> None:
    body = bytearray(frame(ids(sturdy)[ADDRESS], avro(sturdy)))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    (outcome,) = sturdy.router.process([Received(TILBURG, bytes(body), headers(sturdy))], dry_run=True)
    assert coded(outcome)


@FEWER
@given(body=st.binary(max_size=300))
def test_random_bytes_as_json_are_always_a_coded_refusal(sturdy: Hub, body: bytes) -> None:
    (outcome,) = sturdy.router.process([Received(TILBURG, body)])
    assert outcome.status == "rejected"
    assert coded(outcome)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = st.sampled_from(["id", "source", "type", "time", "specversion", "datacontenttype", "correlationid", "causationid", "vervangt", "data",
                              "traceparent", "dataschema", "ander"])  # fmt: skip


@FEWER
@given(changes=st.dictionaries(ATTRIBUTES, JSON, min_size=1, max_size=4))
def test_an_envelope_with_any_values_is_a_coded_refusal_or_right(sturdy: Hub, changes: dict[str, Any]) -> None:
    good = json.loads(event(sturdy).body)
    body = json.dumps(good | changes).encode()
    (outcome,) = sturdy.router.process([Received(TILBURG, body)], dry_run=True)
    assert coded(outcome)


@FEWER
@given(changes=st.dictionaries(st.sampled_from([*address_data(), "ander"]), JSON, min_size=1, max_size=4))
def test_data_with_any_values_is_a_coded_refusal_or_right(sturdy: Hub, changes: dict[str, Any]) -> None:
    good = json.loads(event(sturdy).body)
    body = json.dumps(good | {"data": address_data() | changes}).encode()
    (outcome,) = sturdy.router.process([Received(TILBURG, body)], dry_run=True)
    assert coded(outcome)


# --- as a program -------------------------------------------------------------------------


@pytest.mark.parametrize(("raw", "more", "code"), [
    (json.dumps(address_data(bsn="999990018")).encode(), [], "bsn-ongeldig"),
    (b"{ Merkteken", [], "onleesbaar"),
    (json.dumps(address_data(bsn="123456782")).encode(), ["--id", "999990019"], "id-bevat-bsn"),
    (b'{"bsn": "\\ud800"}', [], "tekst-ongeldig"),
])  # fmt: skip
def test_the_installed_program_refuses_with_exit_code_1_and_no_traceback(tmp_path: Path, raw: bytes, more: list[str], code: str) -> None:
    command = [str(Path(sys.executable).parent / "hub"), "--home", str(tmp_path / "home"), "--rules", str(ROOT / "rules"), "--schemas",
               str(ROOT / "schemas"), "publish", "--as", TILBURG, "--type", ADDRESS, "--data", "-", *more]  # fmt: skip
    done = subprocess.run(command, input=raw, capture_output=True, check=False, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 1
    assert code in said
    for secret in ("Traceback", "999990018", "999990019", "123456782", MARK, "Error"):
        assert secret not in said


def test_moments_are_taken_as_they_are_meant(hub: Hub) -> None:
    (outcome,) = hub.router.process([event(hub, time="2026-11-02T09:04:59.999+01:00")])
    assert outcome.status == "accepted"
    assert terms.to_moment(NOW).isoformat() == "2026-11-02T08:00:00+00:00"
