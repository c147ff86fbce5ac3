"""From a published signal to what each recipient finds: decided, recorded, sent, explained, erased."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from hub import app, explain
from hub.app import Hub, MovingClock, open_hub
from hub.client import NewSignal
from hub.codec import Received, frame, write_avro
from hub.domain import terms
from hub.domain.ruleset import Grant
from hub.errors import FaultsError, RetryLaterError
from hub.record import Recorder
from hub.storage.tables import State, counters, decisions, deliveries, keten_names, log_records, rejections, rule_sets, signals
from hub.transport.base import IN, OUT, ROUTERS, Message
from hub.work import Work
from tests.integration import support
from tests.integration.support import (
    EINDHOVEN,
    LANDLORD,
    REFUSED,
    TAX,
    TILBURG,
    accepted,
    add_grant,
    amounts,
    codes,
    copied,
    debts,
    edit,
    one,
    opened,
    received,
    some_address,
    tick,
)
from tests.sample import ADDRESS, ANSWER, DEBT, INVESTIGATED, address, address_data, debt, debt_data


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return copied("rules", tmp_path / "rules")


def rows(hub: Hub, table: Any) -> list[Any]:
    with hub.database.read() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


def stored(hub: Hub, signal_type: str) -> list[Any]:
    with hub.database.read() as connection:
        number = hub.names.find(connection, signal_type)
        return list(connection.execute(select(signals).where(signals.c.type == number).order_by(signals.c.id)))


def answer(cause: str | None, **changed: Any) -> NewSignal:
    return NewSignal(type=ANSWER, data={"resultaat": "VERWERKT", "verwerkt_op": "2026-11-02"} | changed, cause=cause)


def investigated(outcome: str, cause: str | None = None, correlation: str | None = None) -> NewSignal:
    data = {"gemeentecode": "0855", "uitkomst": outcome, "afgerond_op": "2026-11-02"}
    return NewSignal(type=INVESTIGATED, data=data, cause=cause, correlation=correlation)


# --- who gets what ------------------------------------------------------------------------


def test_a_recipient_gets_the_granted_fields_and_no_other(hub: Hub) -> None:
    accepted(hub, LANDLORD, debt(telefoon="+31612345678", klantnummer="KL-1"))
    (delivery,) = received(hub, EINDHOVEN)
    assert list(delivery["data"]) == [
        "gemeentecode", "achternaam", "voorletters", "geboortedatum", "postcode", "huisnummer", "huisletter", "huisnummertoevoeging",
        "telefoon", "email", "partnersoort", "bedrag_cent", "crisissignaal", "betrokkene_geinformeerd", "contactrol",
    ]  # fmt: skip
    granted = debt_data(telefoon="+31612345678")
    assert delivery["data"] == {name: granted[name] for name in delivery["data"]}
    assert delivery["type"] == DEBT
    assert delivery["grant"] == "vaste-lasten.huur"
    assert delivery["purpose"] == "Vroegtijdig hulp aanbieden bij betalingsachterstanden"
    assert delivery["time"] == "2026-11-02T08:00:00.000Z"


def test_nobody_else_gets_anything(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    accepted(hub, LANDLORD, debt())
    hub.run_once()
    reader = hub.transport.consumer(None, OUT)
    assert {record.topic for record in reader.poll(100)} == {OUT + TAX, OUT + EINDHOVEN}


def test_a_transform_shows_less(hub: Hub) -> None:
    cause = accepted(hub, TILBURG, address()).signal_id
    accepted(hub, TILBURG, investigated("VERHUISD_ANDERE_GEMEENTE", cause))
    assert received(hub, TAX, INVESTIGATED)[0]["data"] == {
        "gemeentecode": "0855", "uitkomst": "WOONT_NIET_OP_ADRES", "afgerond_op": "2026-11-02",
    }  # fmt: skip


def test_the_publisher_is_shown_to_who_may_see_it(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.uitgever", ADDRESS, "handhaving", "gemeentecode, uitgever")
    with opened(tmp_path / "home", clock, rules) as hub:
        accepted(hub, TILBURG, address())
        assert received(hub, "handhaving.0855")[0]["data"] == {"gemeentecode": "0855", "uitgever": TILBURG}
        assert "uitgever" not in received(hub, TAX)[0]["data"]


def test_two_grants_for_one_recipient_are_two_deliveries_each_with_its_purpose(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.telling", ADDRESS, "toeslagen", "gemeentecode, signaalsoort", "    purpose: Tellen per gemeente")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, TILBURG, address())
        first, second = sorted(received(hub, TAX), key=lambda delivery: str(delivery["grant"]))
        assert first["grant"] == "proef.telling"
        assert first["purpose"] == "Tellen per gemeente"
        assert first["data"] == {"gemeentecode": "0855", "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER"}
        assert second["grant"] == "spookbewoning.melding"
        assert first["delivery_id"] != second["delivery_id"]
        assert first["subject"] != second["subject"]  # one pseudonym a flow
        assert {first["sequence"], second["sequence"]} == {1, 2}
        assert len(support.decisions(hub, receipt.signal_id)) == 2


def test_a_signal_never_goes_back_to_its_own_publisher(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.terug", ADDRESS, "burgerzaken", "gemeentecode")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, TILBURG, address())
        assert (TILBURG, "proef.terug", "withhold", "eigen-signaal") in support.decisions(hub, receipt.signal_id)
        assert received(hub, TILBURG) == []


def test_under_brp_secrecy_only_government_bodies_get_it(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.buurt", ADDRESS, "buurtteam", "gemeentecode, signaalsoort")
    with opened(tmp_path / "home", clock, rules) as hub:
        secret, plain = accepted(hub, TILBURG, address(geheimhouding=True)), accepted(hub, TILBURG, address())
        assert sorted(support.decisions(hub, secret.signal_id)) == [
            ("buurtteam.0855", "proef.buurt", "withhold", "brp-geheimhouding"),
            (TAX, "spookbewoning.melding", "deliver", "volgens-regel"),
        ]
        assert ("buurtteam.0855", "proef.buurt", "deliver", "volgens-regel") in support.decisions(hub, plain.signal_id)
        assert len(received(hub, "buurtteam.0855")) == 1
        assert len(received(hub, TAX)) == 2


def test_a_recipient_that_is_not_connected_gets_nothing_and_the_decision_says_why(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.handhaving", ADDRESS, "handhaving", "gemeentecode")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, "burgerzaken.0363", address(gemeentecode="0363"))
        assert ("handhaving.0363", "proef.handhaving", "withhold", "ontvanger-onbekend") in support.decisions(hub, receipt.signal_id)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('oin: "00000099000000010000"', 'oin: "00000001000000010000"', id="a real recipient"),
        pytest.param('"0000009900000010{gemeentecode}"', '"0000000100000010{gemeentecode}"', id="a real publisher"),
    ],
)
def test_an_unsettled_ground_gives_nothing_to_or_of_a_real_organisation(
    tmp_path: Path, rules: Path, clock: MovingClock, old: str, new: str
) -> None:
    edit(rules, "participants.yaml", old, new)
    add_grant(rules, "proef.vast", ADDRESS, "toeslagen", "gemeentecode")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, TILBURG, address())
        assert sorted(support.decisions(hub, receipt.signal_id)) == [
            (TAX, "proef.vast", "deliver", "volgens-regel"),
            (TAX, "spookbewoning.melding", "withhold", "grondslag-te-toetsen"),
        ]
        assert [delivery["grant"] for delivery in received(hub, TAX)] == ["proef.vast"]


def test_a_grant_outside_its_validity_does_not_count(tmp_path: Path, rules: Path) -> None:
    add_grant(rules, "proef.november", ADDRESS, "handhaving", "gemeentecode", "    valid: {from: 2026-11-01, until: 2026-11-30}")
    clock = MovingClock(terms.moment("2026-10-31T23:59:59.999"))
    with opened(tmp_path / "home", clock, rules) as hub:
        for moment in ("2026-10-31T23:59:59.999", "2026-11-01T00:00", "2026-11-30T23:59:59.999", "2026-12-01T00:00"):
            clock.now = terms.moment(moment)
            accepted(hub, TILBURG, some_address(clock.now % 1_000_000))
        assert len(received(hub, "handhaving.0855")) == 2


def test_an_answer_reaches_the_publisher_of_the_signal_and_names_that_signal(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, address())
    (delivery,) = received(hub, TAX)
    accepted(hub, TAX, answer(delivery["delivery_id"]))
    (got,) = received(hub, TILBURG)
    assert got["data"] == {"resultaat": "VERWERKT", "verwerkt_op": "2026-11-02"}
    assert got["cause"] == receipt.signal_id
    assert got["correlation"] == receipt.correlation
    assert stored(hub, ANSWER)[0].municipality == "0855"
    assert received(hub, "burgerzaken.0344") == []


# --- nobody may have it -------------------------------------------------------------------


def test_a_signal_for_nobody_keeps_its_decision_and_not_its_payload(hub: Hub) -> None:
    cause = accepted(hub, TILBURG, address()).signal_id
    receipt = accepted(hub, TILBURG, investigated("GEVESTIGD_UIT_BUITENLAND", cause))
    assert support.decisions(hub, receipt.signal_id) == [("*", None, "withhold", "geen-regel")]
    (row,) = stored(hub, INVESTIGATED)
    assert row.sealed_key is None
    assert row.payload is None
    assert received(hub, TAX, INVESTIGATED) == []


def test_a_signal_that_is_only_withheld_keeps_no_payload_either(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    edit(rules, "participants.yaml", 'oin: "00000099000000010000"', 'oin: "00000001000000010000"')
    with opened(tmp_path / "home", clock, rules) as hub:
        accepted(hub, TILBURG, address())
        (row,) = stored(hub, ADDRESS)
        assert row.sealed_key is None
        assert row.payload is None
        assert rows(hub, deliveries) == []


# --- refusals -----------------------------------------------------------------------------


def test_every_precondition_that_fails_is_reported(hub: Hub) -> None:
    receipt = one(hub, LANDLORD, debt(persoonlijk_contact_gezocht=False, gewezen_op_schuldhulp=False, herinneringen=0,
                                      doorgeven_geweigerd=True))  # fmt: skip
    assert receipt.status == "rejected"
    assert codes(receipt) == ["geen-persoonlijk-contact", "niet-gewezen-op-schuldhulp", "geen-herinnering", "niet-aangeboden-door-te-geven"]
    assert all(error.message.endswith(".") for error in receipt.errors)
    assert stored(hub, DEBT) == []


def test_every_content_rule_that_matches_is_reported_with_the_preconditions(hub: Hub) -> None:
    receipt = one(hub, LANDLORD, debt(natuurlijk_persoon=False, partnersoort="ZORG", bedrag_cent=0, huisnummer=0, herinneringen=0))
    assert codes(receipt) == [
        "geen-natuurlijk-persoon", "partnersoort-past-niet", "geen-achterstand", "huisnummer-bestaat-niet", "geen-herinnering",
    ]  # fmt: skip


def test_without_an_agreement_a_signal_is_refused_with_its_other_faults(hub: Hub) -> None:
    receipt = one(hub, "woonbelang-zonder-afspraak", debt(gemeentecode="0855", herinneringen=0))
    assert codes(receipt) == ["geen-afspraak", "geen-herinnering"]


def test_an_agreement_counts_from_its_first_day(tmp_path: Path, rules: Path) -> None:
    edit(rules, "agreements.yaml", "    from: 2018-07-01", "    from: 2026-11-02")
    clock = MovingClock(terms.moment("2026-11-01T23:59:59.999"))
    with opened(tmp_path / "home", clock, rules) as hub:
        assert codes(one(hub, LANDLORD, debt())) == ["geen-afspraak"]
        clock.now += 1
        accepted(hub, LANDLORD, debt())


def test_one_grant_that_holds_is_enough_and_the_other_is_withheld_with_its_reason(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.melding", DEBT, "schuldhulp", "gemeentecode", ground="wgs-3-1-b")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, LANDLORD, debt(herinneringen=0))
        assert sorted(support.decisions(hub, receipt.signal_id)) == [
            (EINDHOVEN, "proef.melding", "deliver", "volgens-regel"),
            (EINDHOVEN, "vaste-lasten.huur", "withhold", "geen-herinnering"),
        ]


def test_a_condition_that_cannot_be_evaluated_gives_nothing_and_is_not_the_senders_fault(
    tmp_path: Path, rules: Path, clock: MovingClock
) -> None:
    add_grant(
        rules, "proef.deling", DEBT, "handhaving", "gemeentecode", "    when: s.bedrag_cent / s.herinneringen > 1", ground="wgs-3-1-b"
    )
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, "stroom-voorbeeld", debt(partnersoort="ENERGIE", herinneringen=0))
        assert ("handhaving.0772", "proef.deling", "withhold", "voorwaarde-fout") in support.decisions(hub, receipt.signal_id)
        assert received(hub, "handhaving.0772") == []
        assert len(received(hub, EINDHOVEN)) == 1


def test_a_content_rule_that_cannot_be_evaluated_refuses(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.weigering", DEBT, "handhaving", "gemeentecode", "refuse:", ground="wgs-3-1-b")
    edit(rules, "proef.weigering.yaml", "refuse:\n", f"refuse:\n  - {{signal: {DEBT}, when: s.bedrag_cent / s.herinneringen > 999999, "
         "code: proef-code, text: Proef.}\n")  # fmt: skip
    with opened(tmp_path / "home", clock, rules) as hub:
        assert codes(one(hub, "stroom-voorbeeld", debt(partnersoort="ENERGIE", herinneringen=0))) == ["regel-fout"]
        accepted(hub, "stroom-voorbeeld", debt(partnersoort="ENERGIE", herinneringen=1))


# --- the same signal again ----------------------------------------------------------------


def test_the_same_signal_again_is_a_duplicate_and_changes_nothing(hub: Hub) -> None:
    signal = NewSignal(type=ADDRESS, data=address_data(), id="a-1")
    first = accepted(hub, TILBURG, signal)
    before = [rows(hub, table) for table in (signals, decisions, deliveries, rejections)]
    again = one(hub, TILBURG, signal)
    assert again.status == "duplicate"
    assert (again.signal_id, again.correlation, again.errors) == (first.signal_id, first.correlation, ())
    assert [rows(hub, table) for table in (signals, decisions, deliveries, rejections)] == before
    assert len(received(hub, TAX)) == 1


def test_a_repeat_that_differs_in_its_time_only_is_a_duplicate(hub: Hub, clock: MovingClock) -> None:
    accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1", time="2026-11-01T12:00:00Z"))
    clock.now += 3_600_000
    assert one(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1")).status == "duplicate"


def test_a_field_left_out_and_the_same_field_with_its_default_are_the_same_content(hub: Hub) -> None:
    data = address_data(bag_id=None)
    accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=data, id="a-1"))
    del data["bag_id"]
    assert one(hub, TILBURG, NewSignal(type=ADDRESS, data=dict(reversed(data.items())), id="a-1")).status == "duplicate"


def test_the_same_signal_as_json_and_as_avro_is_a_duplicate(hub: Hub) -> None:
    accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1"))
    book = hub.rulebooks.current
    source = hub.rulebooks.current.ruleset.participants.find(TILBURG)
    assert source is not None
    headers = {"ce_specversion": "1.0", "ce_id": "a-1", "ce_source": source.source, "ce_type": ADDRESS, "content-type": "application/avro"}
    body = frame(book.contract_ids[ADDRESS], write_avro(book.ruleset.types[ADDRESS].wire, address_data()))
    (outcome,) = hub.router.process([Received(TILBURG, body, {name: value.encode() for name, value in headers.items()})])
    assert outcome.status == "duplicate"


@pytest.mark.parametrize("changed", [{"data": address_data(bsn="123456782")}, {"correlation": "ander"}, {"type": INVESTIGATED, "data": {
    "gemeentecode": "0855", "uitkomst": "BRIEFADRES", "afgerond_op": "2026-11-02"}, "correlation": "dossier"}])  # fmt: skip
def test_an_id_with_other_content_is_refused_and_the_first_stays(hub: Hub, changed: dict[str, Any]) -> None:
    base: dict[str, Any] = {"type": ADDRESS, "data": address_data(), "id": "a-1", "correlation": "dossier"}
    accepted(hub, TILBURG, NewSignal(**base))
    receipt = one(hub, TILBURG, NewSignal(**base | changed))
    assert receipt.status == "rejected"
    assert codes(receipt) == ["id-hergebruikt"]
    assert [delivery["data"]["bsn"] for delivery in received(hub, TAX)] == ["999990019"]


def test_two_publishers_may_use_the_same_id(hub: Hub) -> None:
    first = accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1"))
    second = accepted(hub, "burgerzaken.0344", NewSignal(type=ADDRESS, data=address_data(gemeentecode="0344"), id="a-1"))
    assert first.signal_id != second.signal_id


def test_repeats_within_one_batch_are_seen(hub: Hub) -> None:
    signal = NewSignal(type=ADDRESS, data=address_data(), id="a-1")
    other = NewSignal(type=ADDRESS, data=address_data(bsn="123456782"), id="a-1")
    assert [receipt.status for receipt in hub.publish(TILBURG, [signal, signal, other])] == ["accepted", "duplicate", "rejected"]


def test_a_refused_signal_may_come_again_put_right_under_its_id(hub: Hub) -> None:
    wrong = NewSignal(type=DEBT, data=debt_data(herinneringen=0), id="d-1")
    assert one(hub, LANDLORD, wrong).status == "rejected"
    accepted(hub, LANDLORD, NewSignal(type=DEBT, data=debt_data(), id="d-1"))


# --- batches ------------------------------------------------------------------------------


def test_bad_records_in_a_batch_harm_no_other(hub: Hub) -> None:
    good = [hub.encode(TILBURG, NewSignal(type=ADDRESS, data=address_data(bag_id=f"{n:016d}"), id=f"g-{n}")) for n in range(7)]
    bad = [
        Received(TILBURG, b"\xff\xfe no json"),
        Received(TILBURG, b"[" * 40_000),
        Received("niemand", good[0].body),
        hub.encode(TILBURG, NewSignal(type="nl.bestaat.niet.v1", data={})),
        hub.encode(TILBURG, address(bsn="999990018")),
        Received(TILBURG, b"\x00\x00\x00\x00\x01", {"ce_specversion": b"1.0"}),
    ]
    events = [event for pair in zip(good, [*bad, good[0]], strict=True) for event in pair]
    outcomes = hub.router.process(events)
    assert [outcome.status for outcome in outcomes[::2]] == ["accepted"] * 7
    assert [outcome.status for outcome in outcomes[1::2]] == ["rejected"] * 6 + ["duplicate"]
    assert [delivery["data"]["bag_id"] for delivery in received(hub, TAX)] == [f"{n:016d}" for n in range(7)]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """Return a switch: from now on the hub itself fails on signals whose field has this value."""

    def switch(field: str, value: object) -> None:
        project = Recorder.project

        def fails(work: Recorder, signal: Any, grant: Grant, recipient: str, key: Any) -> tuple[int, bytes]:
            if signal.data.get(field) == value:
                raise LookupError
            return project(work, signal, grant, recipient, key)

        monkeypatch.setattr(Recorder, "project", fails)

    return switch


def test_a_fault_of_the_hub_itself_harms_one_signal_only(hub: Hub, failing: Callable[[str, object], None]) -> None:
    failing("bag_id", f"{2:016d}")
    events = [hub.encode(TILBURG, NewSignal(type=ADDRESS, data=address_data(bag_id=f"{n:016d}"), id=f"g-{n}")) for n in range(4)]
    outcomes = hub.router.process(events)
    assert [outcome.status for outcome in outcomes] == ["accepted", "accepted", "rejected", "accepted"]
    assert [fault.code for fault in outcomes[2].faults] == ["interne-fout"]
    assert [delivery["data"]["bag_id"] for delivery in received(hub, TAX)] == [f"{n:016d}" for n in (0, 1, 3)]
    assert len(stored(hub, ADDRESS)) == 3
    (told,) = received(hub, TILBURG, REFUSED)
    assert told["data"]["redenen"] == [{"code": "interne-fout", "veld": None}]
    (kept,) = rows(hub, rejections)
    assert kept.body is not None
    seen = {row.id for row in rows(hub, signals)}
    assert {row.signal for row in rows(hub, decisions)} | {row.signal for row in rows(hub, deliveries)} <= seen


def test_a_fault_of_the_hub_itself_takes_no_place_under_a_cap(hub: Hub, failing: Callable[[str, object], None]) -> None:
    failing("bedrag_cent", 999)
    receipts = hub.publish(LANDLORD, [debt(bedrag_cent=999), *(debt(bedrag_cent=n) for n in range(1, 51))])
    assert receipts[0].status == "rejected"
    assert amounts(hub) == list(range(1, 51))


def test_a_fault_of_the_hub_itself_leaves_no_name_of_a_keten_behind(hub: Hub, failing: Callable[[str, object], None]) -> None:
    failing("bag_id", f"{0:016d}")
    batch = [NewSignal(type=ADDRESS, data=address_data(bag_id=f"{n:016d}"), correlation="dossier-1") for n in range(2)]
    assert [receipt.status for receipt in hub.publish(TILBURG, batch)] == ["rejected", "accepted"]
    (opener,) = stored(hub, ADDRESS)
    assert opener.keten == opener.id
    with hub.database.read() as connection:
        assert connection.execute(select(keten_names.c.keten)).scalars().all() == [opener.id]
    accepted(hub, TILBURG, investigated("BRIEFADRES", correlation="dossier-1"))


def test_what_cannot_be_recorded_is_not_acknowledged_and_leaves_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_work: Work) -> None:
        raise KeyboardInterrupt

    before = [rows(hub, table) for table in (signals, decisions, deliveries)]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Work, "finish", fails)
        one(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1"))
    assert [rows(hub, table) for table in (signals, decisions, deliveries)] == before
    accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1"))
    assert len(received(hub, TAX)) == 1


def test_an_empty_batch_is_fine(hub: Hub) -> None:
    assert hub.router.process([]) == []
    assert hub.publish(TILBURG, []) == []


def test_more_signals_than_fit_in_one_batch_all_arrive_in_order(hub: Hub) -> None:
    hub.publish(TILBURG, [some_address(n) for n in range(1_100)])
    assert [delivery["data"]["bag_id"] for delivery in received(hub, TAX)] == [f"0855010000{n:06d}" for n in range(1_100)]


def test_a_dry_run_decides_the_same_and_records_nothing(hub: Hub) -> None:
    before = [rows(hub, table) for table in (signals, decisions, deliveries, rejections)]
    events = [hub.encode(LANDLORD, debt(bedrag_cent=n)) for n in range(1, 53)] + [Received(LANDLORD, b"no json")]
    outcomes = hub.router.process(events, dry_run=True)
    assert [outcome.status for outcome in outcomes] == ["accepted"] * 52 + ["rejected"]
    assert [outcome.decisions[0][1] for outcome in outcomes[:52]] == ["deliver"] * 50 + ["defer"] * 2
    assert [rows(hub, table) for table in (signals, decisions, deliveries, rejections)] == before
    with hub.database.read() as connection:
        assert connection.execute(select(counters)).all() == []
    assert debts(hub, [1])[0].status == "accepted"


# --- by way of the topics -----------------------------------------------------------------


def test_signals_on_an_ingress_topic_are_handled_once_and_committed(hub: Hub) -> None:
    hub.send(TILBURG, [some_address(n) for n in range(3)])
    hub.transport.send(IN + TILBURG, [Message(b"no json"), Message(b"")])
    assert len(received(hub, TAX)) == 3
    assert len(rows(hub, rejections)) == 2
    assert hub.run_once() == 0
    consumer = hub.transport.consumer(ROUTERS, IN)
    assert consumer.poll(10) == []


def test_records_that_were_handled_and_not_committed_are_handled_to_the_same_end(hub: Hub) -> None:
    hub.send(TILBURG, [some_address(n) for n in range(3)])
    hub.transport.send(IN + TILBURG, [Message(b"no json")])
    consumer = hub.transport.consumer(ROUTERS, IN)
    outcomes = hub.router.process([app.received(record) for record in consumer.poll(10)])
    consumer.close()
    assert [outcome.status for outcome in outcomes] == ["accepted"] * 3 + ["rejected"]
    assert len(received(hub, TAX)) == 3
    assert len(received(hub, TILBURG, REFUSED)) == 1
    assert len(rows(hub, rejections)) == 1


def test_a_topic_speaks_for_its_own_participant_only(hub: Hub) -> None:
    event = hub.encode("burgerzaken.0344", address(gemeentecode="0344"))
    hub.transport.send(IN + TILBURG, [Message(event.body)])
    hub.run_once()
    (told,) = received(hub, TILBURG, REFUSED)
    assert told["data"]["redenen"] == [
        {"code": "afzender-klopt-niet", "veld": "source"}, {"code": "gemeente-niet-toegestaan", "veld": "gemeentecode"},
    ]  # fmt: skip
    assert received(hub, TAX) == []


def test_nobody_publishes_in_the_name_of_the_hub(hub: Hub) -> None:
    data: dict[str, Any] = {"signaal_id": None, "signaaltype": None, "redenen": []}
    receipt = one(hub, "signaalhub", NewSignal(type=REFUSED, data=data))
    assert receipt.status == "rejected"
    assert rows(hub, signals) == []


# --- new rules ----------------------------------------------------------------------------


def test_a_broken_set_on_a_new_home_names_every_fault(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    edit(rules, "spookbewoning.yaml", "to: toeslagen", "to: belastingdienst", 1)
    edit(rules, "vaste-lasten.yaml", "s.herinneringen >= 1", "s.herinering >= 1", 1)
    edit(rules, "agreements.yaml", "limit: 50", "limiet: 50", 1)
    with pytest.raises(FaultsError) as caught:
        open_hub(support.settings(tmp_path / "home", rules), clock=clock)
    files = {Path(fault.file).name for fault in caught.value.faults}
    assert files >= {"spookbewoning.yaml", "vaste-lasten.yaml", "agreements.yaml"}
    assert all(Path(fault.file).is_file() and fault.line > 0 and fault.what for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("spookbewoning.yaml", b"flow: [broken"),
        ("participants.yaml", b""),
        ("nieuw.yaml", b"flow: nieuw\ngrants: 5\n"),
        ("nieuw.yaml", b"\xff\xfe\x00"),
    ],
)
def test_a_broken_set_on_a_home_in_use_is_refused_and_the_old_one_stays(
    tmp_path: Path, rules: Path, clock: MovingClock, file: str, content: bytes
) -> None:
    with opened(tmp_path / "home", clock, rules) as hub:
        version = hub.rulebooks.current.ruleset.version
    (rules / file).write_bytes(content)
    with opened(tmp_path / "home", clock, rules) as hub:
        assert hub.rulebooks.current.ruleset.version == version
        accepted(hub, TILBURG, address())
        assert len(received(hub, TAX)) == 1


def test_the_set_that_stays_is_the_one_that_was_in_force_and_not_the_newest_one_seen(
    tmp_path: Path, rules: Path, clock: MovingClock
) -> None:
    versions = []
    for name in ("eerst", "daarna", "eerst"):
        edit(rules, "participants.yaml", "name: Politie", f"name: Politie {name}", 1)
        with opened(tmp_path / "home", clock, rules) as hub:
            versions.append(hub.rulebooks.current.ruleset.version)
        edit(rules, "participants.yaml", f"name: Politie {name}", "name: Politie", 1)
    assert versions[0] == versions[2] != versions[1]
    edit(rules, "spookbewoning.yaml", "to: toeslagen", "to: belastingdienst", 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        assert hub.rulebooks.current.ruleset.version == versions[2]


def test_a_contract_that_breaks_its_promise_is_refused_and_the_old_one_stays(tmp_path: Path, clock: MovingClock) -> None:
    schemas = copied("schemas", tmp_path / "schemas")
    with opened(tmp_path / "home", clock, schemas=schemas) as hub:
        version = hub.rulebooks.current.ruleset.version
    edit(schemas, f"{DEBT}.avsc", '{"name": "bedrag_cent", "type": "long"', '{"name": "bedrag_cent", "type": "int"')
    assert app.load_files(support.settings(tmp_path / "home", schemas=schemas)).ruleset is not None  # nothing wrong with it by itself
    with opened(tmp_path / "home", clock, schemas=schemas) as hub:
        assert hub.rulebooks.current.ruleset.version == version
        accepted(hub, LANDLORD, debt())
    with opened(tmp_path / "other", clock, schemas=schemas) as hub:
        assert hub.rulebooks.current.ruleset.version != version


def test_a_contract_may_gain_a_field_with_a_default_and_still_reads_what_waits(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    schemas = copied("schemas", tmp_path / "schemas")
    with opened(tmp_path / "home", clock, rules, schemas) as hub:
        debts(hub, range(1, 52))
    edit(schemas, f"{DEBT}.avsc", ' "fields": [', ' "fields": [{"name": "kanaal", "type": ["null", "string"], "default": null, '
         '"pattern": "^[a-z]{1,9}$", "privacy": "code", "doc": "Proef."},')  # fmt: skip
    edit(rules, "vaste-lasten.yaml", "    fields: [gemeentecode,", "    fields: [kanaal, gemeentecode,", 1)
    with opened(tmp_path / "home", clock, rules, schemas) as hub:
        tick(hub, clock, "2026-12-01T00:00")
        found = received(hub, EINDHOVEN, DEBT)
        assert len(found) == 51
        assert "kanaal" not in found[0]["data"]  # sent under the schema of its day
        assert found[50]["data"]["kanaal"] is None
        assert found[50]["data"]["achternaam"] == "Jansen"


def test_why_tells_a_decision_by_the_rules_under_which_it_was_taken(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock, rules) as hub:
        before = accepted(hub, TILBURG, address())
        old = explain.find(hub, before.signal_id or "")
    edit(rules, "spookbewoning.yaml", "explain: U krijgt dit signaal omdat", "explain: Nieuwe uitleg, want", 1)
    edit(rules, "spookbewoning.yaml", "bag_id, bsn, signaalsoort, niet_woonachtig_sinds, adresonderzoek,",
         "bsn, signaalsoort, niet_woonachtig_sinds, adresonderzoek,", 1)  # fmt: skip
    with opened(tmp_path / "home", clock, rules) as hub:
        after = accepted(hub, TILBURG, address())
        new = explain.find(hub, after.signal_id or "")
        assert explain.find(hub, before.signal_id or "") == old
        assert old is not None
        assert new is not None
        assert old.rule_set != new.rule_set
        assert "bag_id" in old.decisions[0].text
        assert "bag_id" not in new.decisions[0].text
        assert "Nieuwe uitleg" in new.decisions[0].text
        assert len(rows(hub, rule_sets)) == 2


def test_why_explains_a_rule_that_no_longer_exists(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    add_grant(rules, "proef.tijdelijk", ADDRESS, "handhaving", "gemeentecode")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, TILBURG, address())
    (rules / "proef.tijdelijk.yaml").unlink()
    with opened(tmp_path / "home", clock, rules) as hub:
        found = explain.find(hub, receipt.signal_id or "")
        assert found is not None
        assert any("Dit is een proef." in told.text and told.grant == "proef.tijdelijk" for told in found.decisions)
        assert len(received(hub, "handhaving.0855")) == 1  # decided before, sent after


def test_why_is_found_by_delivery_id_too_and_nothing_by_an_unknown_one(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, address())
    (delivery,) = received(hub, TAX)
    assert explain.find(hub, delivery["delivery_id"]) == explain.find(hub, receipt.signal_id or "")
    for unknown in ("", "x", "00000000-0000-0000-0000-000000000000", delivery["correlation"]):
        assert explain.find(hub, unknown) is None


# --- the end of the retention -------------------------------------------------------------


def test_after_its_retention_a_signal_is_gone_and_its_decision_stays(hub: Hub, clock: MovingClock) -> None:
    receipt = accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1"))
    told = explain.find(hub, receipt.signal_id or "")
    hub.run_once()
    tick(hub, clock, "2027-05-02T08:59:59.999")
    assert stored(hub, ADDRESS)[0].payload is not None
    tick(hub, clock, "2027-05-02T09:00")
    (row,) = stored(hub, ADDRESS)
    assert [row.sealed_key, row.payload, row.fingerprint] == [None] * 3
    assert row.subject is not None, "its case is still open, and what follows in it is about the same person"
    assert rows(hub, deliveries)[0].payload is None
    assert explain.find(hub, receipt.signal_id or "") == told
    again = one(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="a-1"))
    assert codes(again) == ["id-hergebruikt"], "what it said is forgotten, so it cannot be called the same"
    tick(hub, clock, "2027-12-01T09:00")  # its case ends
    tick(hub, clock, "2028-06-02T09:00")  # and is erased in its turn
    assert stored(hub, ADDRESS)[0].subject is None


def test_what_was_not_sent_yet_is_not_erased_before_it_is(hub: Hub, clock: MovingClock) -> None:
    accepted(hub, TILBURG, address())
    clock.now = terms.moment("2027-06-01T09:00")
    hub.clock.run_once()
    assert stored(hub, ADDRESS)[0].payload is not None
    hub.run_once()
    assert [record.message for record in hub.received_by(TAX)] != []
    hub.run_once()
    assert stored(hub, ADDRESS)[0].payload is None


def test_the_topic_of_a_recipient_keeps_a_delivery_no_longer_than_the_signal_may_be_kept(hub: Hub, clock: MovingClock) -> None:
    accepted(hub, TILBURG, address())
    hub.run_once()
    tick(hub, clock, "2027-05-02T08:59:59.999")
    assert len(hub.received_by(TAX)) == 1
    tick(hub, clock, "2027-05-02T09:00")
    assert hub.received_by(TAX) == []


def test_what_came_in_and_was_never_handled_is_kept_until_it_is(hub: Hub, clock: MovingClock) -> None:
    hub.send(TILBURG, [address()])
    clock.now = terms.moment("2028-01-01T09:00")
    hub.transport.expire()
    assert len(received(hub, TAX)) == 1


def test_no_topic_keeps_a_copy_of_an_erased_signal(hub: Hub, clock: MovingClock) -> None:
    hub.send(TILBURG, [address()])
    hub.run_once()
    tick(hub, clock, "2027-05-02T09:00")
    with hub.database.read() as connection:
        kept = topics(connection, hub)
    assert kept == {"topic signals.out.burgerzaken.0855": 1}, "the reminder that the investigation runs long, and nothing else"


def topics(connection: Connection, hub: Hub) -> dict[str, int]:
    """Return how many records each topic still holds."""
    found = connection.execute(select(log_records.c.topic, func.count()).group_by(log_records.c.topic)).all()
    return {hub.names.name(connection, row[0]): row[1] for row in found}


def test_many_signals_are_all_erased_when_their_time_comes(hub: Hub, clock: MovingClock) -> None:
    hub.publish(TILBURG, [some_address(n) for n in range(1_200)])
    hub.run_once()
    tick(hub, clock, "2027-05-02T09:00")
    assert {row.payload for row in stored(hub, ADDRESS)} == {None}
    assert {row.state for row in rows(hub, deliveries)} == {State.SENT}
    assert len(rows(hub, decisions)) == 2 * 1_200, "each case had its reminder too"


def test_a_batch_that_could_not_be_recorded_is_taken_up_again_by_the_same_process(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.send(TILBURG, [address(), address(bag_id="0855010000000025")])
    consumer = hub.transport.consumer("routers", "signals.in.")
    with monkeypatch.context() as patched:
        patched.setattr(type(hub.router), "process", busy)
        with pytest.raises(RetryLaterError):
            hub.route_once(consumer)
    hub.send(TILBURG, [address(bag_id="0855010000000033")])
    while hub.drain(consumer):
        pass
    consumer.close()
    assert len(received(hub, TAX)) == 3


def busy(*_arguments: object, **_options: object) -> None:
    """Fail as a database does that another process has locked."""
    msg = "the database is locked by another process"
    raise RetryLaterError(msg)


def test_a_waiting_delivery_does_not_go_to_whom_the_rule_no_longer_names(tmp_path: Path, clock: MovingClock) -> None:
    rules = support.copied("rules", tmp_path / "rules")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = [one(hub, LANDLORD, debt(huisnummer=n)) for n in range(1, 53)]
    flow = (rules / "vaste-lasten.yaml").read_text()
    changed = flow.replace("    to: schuldhulp\n", "    to: toeslagen\n", 1)
    (rules / "vaste-lasten.yaml").write_text(changed[: changed.index("examples:")])
    with opened(tmp_path / "home", clock, rules) as hub:
        tick(hub, clock, "2026-12-01T00:00")
        told = explain.find(hub, receipts[-1].signal_id or "")
        assert told is not None
        assert [decision.outcome for decision in told.decisions] == ["defer", "expired"]


def test_an_organisation_without_an_oin_is_no_test_organisation(tmp_path: Path, clock: MovingClock) -> None:
    rules = support.copied("rules", tmp_path / "rules")
    register = rules / "participants.yaml"
    register.write_text(re.sub(r'(id: toeslagen,.*?), oin: "[0-9]+"', r"\1", register.read_text()))
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, TILBURG, address())
        told = explain.find(hub, receipt.signal_id or "")
        assert told is not None
        assert [decision.reason for decision in told.decisions] == ["grondslag-te-toetsen"]


def test_a_desk_code_that_holds_a_bsn_is_refused(hub: Hub) -> None:
    assert "bevat-bsn" in codes(one(hub, TILBURG, address(contactrol="999990019")))
