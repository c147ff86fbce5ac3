"""Refused signals: the publisher hears every reason, the bytes are kept sealed for a while, and can come again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub import explain, rejections
from hub.app import Hub, MovingClock
from hub.client import NewSignal
from hub.codec import Received, frame, structured, write_avro
from hub.domain import terms
from hub.errors import RefusedError, UsageError
from hub.rejections import MASK
from hub.storage.tables import deliveries, signals
from hub.storage.tables import rejections as table
from tests.integration.support import (
    EINDHOVEN,
    LANDLORD,
    REFUSED,
    TAX,
    TILBURG,
    Cli,
    accepted,
    at_rest,
    codes,
    copied,
    edit,
    one,
    opened,
    received,
    tick,
)
from tests.sample import ADDRESS, DEBT, address, address_data, debt, debt_data

STRANGER = "woonbelang-zonder-afspraak"


def rows(hub: Hub) -> list[Any]:
    with hub.database.read() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


def refuse(hub: Hub, participant: str, signal: NewSignal) -> int:
    """Publish a signal that must be refused, and return the number under which it is kept."""
    receipt = one(hub, participant, signal)
    assert receipt.status == "rejected"
    return int(rows(hub)[-1].id)


def source(hub: Hub, participant: str) -> str:
    found = hub.rulebooks.current.ruleset.participants.find(participant)
    assert found is not None
    return found.source


# --- who is told what ---------------------------------------------------------------------


def test_the_publisher_is_told_once_with_every_reason_and_no_payload(hub: Hub) -> None:
    data = address_data(bsn="999990018", gemeentecode="0344", contactrol="Piet Merkteken")
    receipt = one(hub, TILBURG, NewSignal(type=ADDRESS, data=data, id="a-1"))
    (told,) = received(hub, TILBURG)
    assert told["type"] == REFUSED
    assert told["data"] == {
        "signaal_id": receipt.signal_id,
        "signaaltype": ADDRESS,
        "redenen": [{"code": error.code, "veld": error.field} for error in receipt.errors],
    }
    assert told["data"]["redenen"] == [
        {"code": "bsn-ongeldig", "veld": "bsn"}, {"code": "patroon-klopt-niet", "veld": "contactrol"},
    ]  # fmt: skip
    for value in ("999990018", "0855010000000017", "Merkteken", "20260914"):
        assert value not in json.dumps(told)
    assert received(hub, TAX) == []


def test_reasons_of_rules_and_of_admission_are_told_alike(hub: Hub) -> None:
    receipt = one(hub, LANDLORD, debt(herinneringen=0, gewezen_op_schuldhulp=False))
    (told,) = received(hub, LANDLORD)
    assert [reason["code"] for reason in told["data"]["redenen"]] == codes(receipt) == ["niet-gewezen-op-schuldhulp", "geen-herinnering"]


@pytest.mark.parametrize("body", [b"no json at all", b"", b"[]", b'"text"', b"\xff\xff"])
def test_what_cannot_be_read_is_told_without_an_id(hub: Hub, body: bytes) -> None:
    hub.router.process([Received(TILBURG, body)])
    (told,) = received(hub, TILBURG)
    assert told["data"] == {"signaal_id": None, "signaaltype": None, "redenen": [{"code": "onleesbaar", "veld": None}]}


def test_an_id_that_may_not_be_repeated_is_not_repeated(hub: Hub) -> None:
    one(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="zaak-999990019"))
    (told,) = received(hub, TILBURG)
    assert told["data"]["signaal_id"] is None
    assert told["data"]["redenen"] == [{"code": "id-bevat-bsn", "veld": "id"}]


def test_the_same_bytes_refused_again_are_told_and_kept_once(hub: Hub) -> None:
    event = hub.encode(TILBURG, NewSignal(type=ADDRESS, data=address_data(bsn="1"), id="a-1"))
    outcomes = hub.router.process([event, event]) + hub.router.process([event])
    assert [outcome.status for outcome in outcomes] == ["rejected"] * 3
    assert len({outcome.faults for outcome in outcomes}) == 1
    assert len(received(hub, TILBURG)) == len(rows(hub)) == 1


def test_the_same_signal_refused_every_night_is_one_open_entry(hub: Hub) -> None:
    def night(day: int, **own: Any) -> None:
        data = address_data(**{"bsn": "1", **own})
        one(hub, TILBURG, NewSignal(type=ADDRESS, data=data, id="a-1", time=datetime(2026, 10, day, tzinfo=UTC)))

    night(1)
    night(2)
    assert len(received(hub, TILBURG)) == len(rows(hub)) == 1
    night(3, contactrol="ander-loket")  # the same reasons, but what would be replayed is something else
    night(4, contactrol="Piet Merkteken")  # other reasons
    assert len(received(hub, TILBURG)) == len(rows(hub)) == 3
    rejections.discard(hub, [row.id for row in rows(hub)], "proef")
    night(5)
    assert len(received(hub, TILBURG)) == len(rows(hub)) == 4


def test_the_same_bytes_of_two_publishers_are_two_refusals(hub: Hub) -> None:
    hub.router.process([Received(TILBURG, b"no json"), Received(LANDLORD, b"no json")])
    assert len(rows(hub)) == 2
    assert len(received(hub, TILBURG)) == len(received(hub, LANDLORD)) == 1


# --- of whom nothing is kept --------------------------------------------------------------


def test_of_strangers_nothing_is_kept_but_a_count(hub: Hub, tmp_path: Path) -> None:
    for name in ("niemand", "merkteken-vreemde", "burgerzaken", "burgerzaken.merk", "toeslagen.0855", "handhaving.0363", ""):
        (outcome,) = hub.router.process([Received(name, structured({"id": "merkteken-id"}, address_data()))])
        assert [fault.code for fault in outcome.faults] == ["deelnemer-onbekend"]
        assert outcome.signal_id is None
    hub.run_once()
    assert rejections.counts(hub) == {"deelnemer-onbekend": 7}
    assert rows(hub) == []
    assert b"merkteken" not in at_rest(tmp_path / "home")
    with hub.database.read() as connection:
        assert connection.execute(select(deliveries.c.id)).all() == []
        assert connection.execute(select(signals.c.id)).all() == []


@pytest.mark.parametrize("type_", [
    "nl.jeugd.uithuisplaatsing-gemeld.v1", "nl.zorg.diagnose.v1", "nl.fraude.score.v1", "nl.jeugd.Uithuisplaatsing-Gemeld.v1", "FRAUDE",
])  # fmt: skip
def test_of_a_forbidden_type_nothing_is_kept_but_a_count(hub: Hub, type_: str) -> None:
    receipt = one(hub, TILBURG, NewSignal(type=type_, data={"merkteken": "999990019"}))
    assert codes(receipt) == ["verboden-type"]
    assert list(rejections.counts(hub).values()) == [1]
    assert rows(hub) == []
    assert received(hub, TILBURG) == []


def test_a_forbidden_type_in_avro_is_counted_only_too(hub: Hub) -> None:
    headers = {"ce_specversion": b"1.0", "ce_id": b"a-1", "ce_source": source(hub, TILBURG).encode(), "ce_type": b"nl.zorg.diagnose.v1"}
    for body in (b"\x00\x00\x00\x00\x01merkteken", b"merkteken", b""):
        (outcome,) = hub.router.process([Received(TILBURG, body, headers)])
        assert [fault.code for fault in outcome.faults] == ["verboden-type"]
    assert rows(hub) == []


# --- kept, sealed, erased -----------------------------------------------------------------


def test_the_bytes_are_kept_sealed(hub: Hub, tmp_path: Path) -> None:
    refuse(hub, TILBURG, address(bsn="123456789", contactrol="Merkteken"))
    hub.router.process([Received(TILBURG, b"merkteken, geen json", {"merkteken": b"merkteken"})])
    hub.run_once()
    while_open = at_rest(tmp_path / "home")
    hub.close()
    for found in (while_open, at_rest(tmp_path / "home")):
        assert b"patroon-klopt-niet" in found  # the search looks in the right place
        for secret in (b"erkteken", b"123456789", b"0855010000000017", b"merkteken".hex().encode()):
            assert secret not in found


def test_the_bytes_are_erased_after_fourteen_days_and_the_reasons_stay(hub: Hub, clock: MovingClock) -> None:
    number = refuse(hub, TILBURG, address(bsn="1"))
    tick(hub, clock, "2026-11-16T08:59:59.999")
    assert rejections.show(hub, number)["data"] is not None
    tick(hub, clock, "2026-11-16T09:00")
    (row,) = rows(hub)
    assert row.sealed_key is None
    assert row.body is None
    assert rejections.listing(hub) == []
    (entry,) = rejections.listing(hub, only_open=False)
    assert entry["state"] == "erased"
    assert entry["errors"] == [{"code": "bsn-ongeldig", "field": "bsn"}]
    assert rejections.show(hub, number)["data"] is None
    with pytest.raises(RefusedError, match="erased"):
        rejections.replay(hub, [number])


def test_bytes_that_come_again_after_they_were_erased_are_told_and_kept_again(hub: Hub, clock: MovingClock) -> None:
    event = hub.encode(TILBURG, NewSignal(type=ADDRESS, data=address_data(bsn="1"), id="a-1"))
    hub.router.process([event])
    tick(hub, clock, "2026-11-17T09:00")
    hub.router.process([event])
    assert len(received(hub, TILBURG, REFUSED)) == 2
    assert len(rejections.listing(hub)) == 1


def test_bytes_that_come_again_after_they_were_discarded_are_told_and_kept_again(hub: Hub) -> None:
    event = hub.encode(TILBURG, NewSignal(type=ADDRESS, data=address_data(bsn="1"), id="a-1"))
    hub.router.process([event])
    rejections.discard(hub, [1], "dubbel")
    hub.router.process([event])
    assert len(received(hub, TILBURG, REFUSED)) == 2
    assert len(rejections.listing(hub)) == 1


def test_why_tells_the_reasons_of_a_refused_signal(hub: Hub) -> None:
    receipt = one(hub, TILBURG, address(bsn="1"))
    found = explain.find(hub, receipt.signal_id or "")
    assert found is not None
    assert found.refused == (("bsn-ongeldig", "bsn"),)
    assert found.decisions == ()
    assert "geen geldig BSN" in found.as_prose()


# --- list and show ------------------------------------------------------------------------


def test_the_list_has_no_content(hub: Hub) -> None:
    refuse(hub, TILBURG, address(bsn="123456789", contactrol="Merkteken"))
    assert rejections.listing(hub) == [{
        "rejection": 1, "received": "2026-11-02T08:00:00.000Z", "publisher": TILBURG, "type": ADDRESS,
        "errors": [{"code": "bsn-ongeldig", "field": "bsn"}, {"code": "patroon-klopt-niet", "field": "contactrol"}],
        "state": "open", "erased_at": "2026-11-16T08:00:00.000Z",
    }]  # fmt: skip


def test_what_is_shown_is_masked_but_for_right_codes(hub: Hub) -> None:
    number = refuse(hub, LANDLORD, debt(herinneringen=0, achternaam="Merkteken", telefoon="+31612345678", email="m@merk.example"))
    shown = rejections.show(hub, number)["data"]
    right = debt_data(herinneringen=0)
    plain = {"gemeentecode", "crisissignaal", "natuurlijk_persoon", "persoonlijk_contact_gezocht", "gewezen_op_schuldhulp", "herinneringen",
             "doorgeven_aangeboden", "doorgeven_geweigerd", "betrokkene_geinformeerd", "contactrol"}  # fmt: skip
    assert {name: shown[name] for name in plain} == {name: right[name] for name in plain}
    assert {shown[name] for name in shown.keys() - plain} == {MASK}
    assert "Merkteken" not in json.dumps(shown)


def test_a_wrong_value_is_masked_whatever_its_class(hub: Hub) -> None:
    number = refuse(
        hub, TILBURG, address(gemeentecode="Jan de Boer", signaalsoort="Merkteken", contactrol="Piet Merkteken", geheimhouding="ja")
    )
    shown = rejections.show(hub, number)["data"]
    assert {shown[name] for name in ("gemeentecode", "signaalsoort", "contactrol", "geheimhouding", "bsn", "bag_id")} == {MASK}
    assert shown["adresonderzoek"] == "LOOPT"


def test_an_unknown_field_is_not_shown_at_all_nor_its_name(hub: Hub) -> None:
    number = refuse(hub, TILBURG, address(**{"naam_van_merkteken": "Merkteken"}))
    assert "erkteken" not in json.dumps(rejections.show(hub, number))


@pytest.mark.parametrize(
    "body", [b"merkteken", b"[]", b'{"type": 5, "data": "merkteken"}', b'{"type": "nl.x.v1", "data": {"merk": "teken"}}']
)
def test_what_cannot_be_taken_apart_is_not_shown(hub: Hub, body: bytes) -> None:
    hub.router.process([Received(TILBURG, body)])
    shown = rejections.show(hub, 1)
    assert shown["data"] is None
    assert shown["bytes"] == len(body)


def nested(depth: int) -> Any:
    value: Any = "merkteken"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    ["merkteken", 5, ["merkteken"], None, {"bsn": {"merk": ["teken"]}}, {"bsn": ["teken"]}, {"bsn": nested(400)}, {"bsn": nested(900)}],
    ids=["text", "number", "array", "nothing", "object in a field", "array in a field", "deep in a field", "very deep in a field"],
)
def test_data_of_the_wrong_shape_shows_nothing(hub: Hub, data: Any) -> None:
    number = refuse(hub, TILBURG, NewSignal(type=ADDRESS, data=data))
    assert "teken" not in json.dumps(rejections.show(hub, number))


def test_a_refused_avro_signal_is_shown_masked_too(hub: Hub) -> None:
    book = hub.rulebooks.current
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "a-1",
        "ce_source": source(hub, TILBURG),
        "ce_type": ADDRESS,
        "ce_time": "2030-01-01T00:00Z",
    }
    body = frame(book.contract_ids[ADDRESS], write_avro(book.ruleset.types[ADDRESS].wire, address_data()))
    hub.router.process([Received(TILBURG, body, {name: value.encode() for name, value in headers.items()})])
    shown = rejections.show(hub, 1)
    assert shown["errors"] == [{"code": "tijd-in-toekomst", "field": "time"}]
    assert shown["data"]["bsn"] == MASK
    assert shown["data"]["signaalsoort"] == "PERSOON_WOONT_HIER_NIET_MEER"


def test_there_is_nothing_under_a_number_that_was_never_given(hub: Hub) -> None:
    with pytest.raises(UsageError):
        rejections.show(hub, 99)
    with pytest.raises(UsageError):
        rejections.replay(hub, [99])
    with pytest.raises(UsageError):
        rejections.discard(hub, [99], "vergissing")


# --- replay and discard -------------------------------------------------------------------


def test_a_replay_gives_the_router_the_very_bytes_that_came(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [
        Received(TILBURG, b"\x00\xff no json \r\n", {"ce_specversion": b"1.0", "x": b"\x00\xff", "ce_id": "é".encode()}),
        Received(TILBURG, b'{ "id" : "a-1", "id" : "a-1" }'),
        hub.encode(TILBURG, address(bsn="1")),
        Received(TILBURG, b""),
    ]
    hub.router.process(given)
    seen: list[Received] = []
    admit = hub.router._admit

    def watch(event: Received, *rest: Any) -> Any:
        seen.append(event)
        return admit(event, *rest)

    monkeypatch.setattr(type(hub.router), "_admit", lambda _router, *arguments: watch(*arguments))
    outcomes = rejections.replay(hub, [1, 2, 3, 4])
    assert seen == given
    assert [outcome.status for outcome in outcomes] == ["rejected"] * 4


def test_a_replay_that_is_refused_again_stays_as_it_was_and_tells_nobody_twice(hub: Hub) -> None:
    number = refuse(hub, LANDLORD, debt(herinneringen=0))
    before = rows(hub)
    (outcome,) = rejections.replay(hub, [number])
    assert [fault.code for fault in outcome.faults] == ["geen-herinnering"]
    assert rows(hub) == before
    assert len(received(hub, LANDLORD)) == 1


def test_after_the_rules_changed_a_replay_is_accepted_and_delivered(tmp_path: Path, clock: MovingClock) -> None:
    rules = copied("rules", tmp_path / "rules")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = one(hub, STRANGER, NewSignal(type=DEBT, data=debt_data(gemeentecode="0855"), id="d-1"))
        assert codes(receipt) == ["geen-afspraak"]
    edit(rules, "agreements.yaml", "parties: [woonhuis-verzonnen, zorgzaam", f"parties: [{STRANGER}, woonhuis-verzonnen, zorgzaam")
    clock.now = terms.moment("2026-11-05T09:00")
    with opened(tmp_path / "home", clock, rules) as hub:
        (outcome,) = rejections.replay(hub, [1])
        assert outcome.status == "accepted"
        assert hub.receipt(outcome).signal_id == receipt.signal_id
        (delivery,) = received(hub, "schuldhulp.0855")
        assert delivery["time"] == "2026-11-05T08:00:00.000Z"
        assert [(entry["state"], entry["rejection"]) for entry in rejections.listing(hub, only_open=False)] == [("replayed", 1)]
        (row,) = rows(hub)
        assert row.sealed_key is None
        assert row.body is None
        with pytest.raises(RefusedError, match="replayed"):
            rejections.replay(hub, [1])
        assert len(received(hub, "schuldhulp.0855")) == 1


def test_a_replay_of_what_was_sent_right_in_the_meantime_changes_nothing(tmp_path: Path, clock: MovingClock) -> None:
    rules = copied("rules", tmp_path / "rules")
    signal = NewSignal(type=DEBT, data=debt_data(gemeentecode="0855"), id="d-1")
    with opened(tmp_path / "home", clock, rules) as hub:
        assert one(hub, STRANGER, signal).status == "rejected"
    edit(rules, "agreements.yaml", "parties: [woonhuis-verzonnen, zorgzaam", f"parties: [{STRANGER}, woonhuis-verzonnen, zorgzaam")
    with opened(tmp_path / "home", clock, rules) as hub:
        accepted(hub, STRANGER, signal)
        (outcome,) = rejections.replay(hub, [1])
        assert outcome.status == "duplicate"
        assert len(received(hub, "schuldhulp.0855", DEBT)) == 1
        assert rejections.listing(hub) == []


def test_a_replay_of_several_closes_those_that_pass(tmp_path: Path, clock: MovingClock) -> None:
    rules = copied("rules", tmp_path / "rules")
    edit(rules, "vaste-lasten.yaml", "geen-herinnering:\n        condition: s.herinneringen >= 1",
         "geen-herinnering:\n        condition: s.herinneringen >= 3", 1)  # fmt: skip
    with opened(tmp_path / "home", clock, rules) as hub:
        for number in range(4):
            refuse(hub, LANDLORD, debt(herinneringen=number % 2, bedrag_cent=number + 1))
    edit(rules, "vaste-lasten.yaml", "s.herinneringen >= 3", "s.herinneringen >= 1", 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        outcomes = rejections.replay(hub, [4, 3, 2, 1])
        assert [outcome.status for outcome in outcomes] == ["accepted", "rejected", "accepted", "rejected"]
        assert [entry["rejection"] for entry in rejections.listing(hub)] == [1, 3]
        assert len(received(hub, EINDHOVEN, DEBT)) == 2


def test_what_is_discarded_is_erased_at_once_with_a_reason(hub: Hub) -> None:
    number = refuse(hub, TILBURG, address(bsn="1"))
    rejections.discard(hub, [number], "dubbel gemeld")
    (row,) = rows(hub)
    assert (row.sealed_key, row.body, row.note) == (None, None, "dubbel gemeld")
    assert rejections.listing(hub) == []
    assert rejections.listing(hub, only_open=False)[0]["state"] == "discarded"
    with pytest.raises(RefusedError, match="discarded"):
        rejections.discard(hub, [number], "nog eens")


def test_discarding_is_all_or_nothing(hub: Hub) -> None:
    number = refuse(hub, TILBURG, address(bsn="1"))
    with pytest.raises(UsageError):
        rejections.discard(hub, [number, 99], "vergissing")
    assert len(rejections.listing(hub)) == 1


# --- many at once -------------------------------------------------------------------------


def test_what_was_refused_for_one_reason_of_one_type_by_one_publisher_is_chosen_together(hub: Hub) -> None:
    refuse(hub, TILBURG, address(bsn="1"))
    refuse(hub, TILBURG, address(bsn="1", gemeentecode="855"))
    refuse(hub, LANDLORD, debt(herinneringen=0))
    refuse(hub, TILBURG, NewSignal(type="nl.x.y.v1", data={}))

    def chosen(**which: str) -> list[int]:
        return [entry["rejection"] for entry in rejections.listing(hub, rejections.Which(**which))]

    assert chosen(code="bsn-ongeldig") == [1, 2]
    assert chosen(code="gemeentecode-ongeldig") == [2]
    assert chosen(type=DEBT) == chosen(publisher=LANDLORD) == [3]
    assert chosen(publisher=TILBURG, type=ADDRESS) == [1, 2]
    assert chosen(code="type-onbekend", publisher=LANDLORD) == chosen(type="nl.x.y.v1") == []
    assert chosen() == [1, 2, 3, 4]


def test_many_are_replayed_in_order_and_discarded_all_or_none_whatever_their_number(
    tmp_path: Path, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "_CHUNK", 3)
    rules = copied("rules", tmp_path / "rules")
    edit(rules, "vaste-lasten.yaml", "geen-herinnering:\n        condition: s.herinneringen >= 1",
         "geen-herinnering:\n        condition: s.herinneringen >= 3", 1)  # fmt: skip
    with opened(tmp_path / "home", clock, rules) as hub:
        for number in range(10):
            refuse(hub, LANDLORD, debt(herinneringen=1, bedrag_cent=number + 1))
        refuse(hub, TILBURG, address(bsn="1"))
    edit(rules, "vaste-lasten.yaml", "s.herinneringen >= 3", "s.herinneringen >= 1", 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        chosen = rejections.replayable(hub, rejections.Which(code="geen-herinnering"))
        assert [outcome.status for outcome in rejections.replay(hub, chosen)] == ["accepted"] * 10
        assert [delivery["data"]["bedrag_cent"] for delivery in received(hub, EINDHOVEN, DEBT)] == list(range(1, 11))
        for _ in range(6):
            refuse(hub, TILBURG, address(bsn="1", bag_id="0855010000000018"))
        numbers = [entry["rejection"] for entry in rejections.listing(hub)]
        assert len(numbers) == 7
        for wrong, error in (([*numbers, 99], UsageError), ([*numbers, 1], RefusedError)):
            with pytest.raises(error):
                rejections.discard(hub, wrong, "vergissing")
            with pytest.raises(error):
                rejections.replay(hub, wrong)
        assert len(rejections.listing(hub)) == 7
        rejections.discard(hub, numbers, "fout van de leverancier")
        assert rejections.listing(hub) == []
        assert {row.note for row in rows(hub)[10:]} == {"fout van de leverancier"}


def test_a_signal_that_was_too_large_to_keep_stands_in_the_way_of_no_other(hub: Hub) -> None:
    hub.router.process([Received(TILBURG, b"x" * 70_000), Received(TILBURG, b"no json")])
    assert [entry["rejection"] for entry in rejections.listing(hub)] == [1, 2]
    assert rejections.replayable(hub) == [2]
    with pytest.raises(RefusedError, match="no bytes were kept"):
        rejections.replay(hub, [1])
    assert [outcome.status for outcome in rejections.replay(hub, rejections.replayable(hub))] == ["rejected"]
    rejections.discard(hub, [1, 2], "gezien")
    assert [entry["state"] for entry in rejections.listing(hub, only_open=False)] == ["discarded"] * 2


def test_the_command_replays_and_discards_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    for bsn in ("1", "2"):
        cli.publish(address_data(bsn=bsn))
    cli.publish(address_data(gemeentecode="855"))
    assert [row["rejection"] for row in cli("rejections", "list", "--code", "bsn-ongeldig", "--json").lines] == [1, 2]
    ran = cli("rejections", "replay", "--type", ADDRESS, "--from", TILBURG, "--code", "gemeentecode-ongeldig", "--json")
    assert (ran.code, ran.lines) == (1, [{"rejection": 3, "status": "rejected", "errors": ["gemeentecode-ongeldig"]}])
    assert cli("rejections", "replay", "--code", "te-groot").out == ""
    assert cli("rejections", "discard", "--code", "bsn-ongeldig", "--reason", "dubbel").out == "2 discarded\n"
    assert [row["rejection"] for row in cli("rejections", "list", "--json").lines] == [3]
    for command in (("replay",), ("discard", "--reason", "x")):
        for which in ((), ("3", "--all"), ("3", "--code", "bsn-ongeldig")):
            ran = cli("rejections", *command, *which)
            assert (ran.code, ran.err.startswith("hub: name the refused signals")) == (2, True)
