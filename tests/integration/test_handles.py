"""What leaves the hub to name a keten, a cause or a delivery: per participant, of no use to another, always the same."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from hub.app import Hub, MovingClock
from hub.client import NewSignal, Receipt
from hub.domain import terms
from hub.errors import HubError, RetryLaterError, StopError
from hub.relay import Relay
from hub.storage.tables import State, deliveries, keten_names, sequences, signals
from hub.transport.base import OUT, Consumer, Message, Transport
from tests.integration.support import (
    DEFERRED,
    EINDHOVEN,
    LANDLORD,
    REFUSED,
    TAX,
    TILBURG,
    accepted,
    add_grant,
    at_once,
    at_rest,
    codes,
    copied,
    debts,
    one,
    opened,
    received,
    some_address,
    tick,
)
from tests.sample import ADDRESS, ANSWER, INVESTIGATED, OFFER, address, address_data, debt

NOWHERE = "01234567-89ab-4cde-8f01-23456789abcd"


def answer(cause: str | None = None, correlation: str | None = None) -> NewSignal:
    data = {"resultaat": "ONTVANGEN", "verwerkt_op": "2026-11-02"}
    return NewSignal(type=ANSWER, data=data, cause=cause, correlation=correlation)


def outcome(cause: str | None = None, correlation: str | None = None, gemeentecode: str = "0855") -> NewSignal:
    data = {"gemeentecode": gemeentecode, "uitkomst": "ADRES_ONBEKEND", "afgerond_op": "2026-11-02"}
    return NewSignal(type=INVESTIGATED, data=data, cause=cause, correlation=correlation)


def ketens(hub: Hub) -> list[int | None]:
    with hub.database.read() as connection:
        return list(connection.execute(select(signals.c.keten).order_by(signals.c.id)).scalars())


# --- correlation --------------------------------------------------------------------------


def test_the_opener_gets_its_own_name_back_everywhere(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), correlation="dossier-7"))
    assert receipt.correlation == "dossier-7"
    (delivery,) = received(hub, TAX)
    answered = accepted(hub, TAX, answer(delivery["delivery_id"]))
    (back,) = received(hub, TILBURG)
    assert back["correlation"] == "dossier-7"
    assert "dossier-7" not in {delivery["correlation"], answered.correlation}
    assert accepted(hub, TILBURG, outcome(correlation="dossier-7")).correlation == "dossier-7"
    assert len(set(ketens(hub))) == 1


def test_who_chose_no_name_gets_a_handle_that_works(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, address())
    assert uuid.UUID(receipt.correlation or "")
    accepted(hub, TILBURG, outcome(correlation=receipt.correlation))
    assert len(set(ketens(hub))) == 1


def test_each_recipient_has_a_handle_of_its_own_for_one_keten(tmp_path: Path, clock: MovingClock) -> None:
    rules = copied("rules", tmp_path / "rules")
    for to in ("handhaving", "buurtteam", "cjib"):
        add_grant(rules, f"proef.{to}", ADDRESS, to, "gemeentecode")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipt = accepted(hub, TILBURG, address())
        got = [received(hub, to)[0] for to in ("handhaving.0855", "buurtteam.0855", "cjib", TAX)]
        assert len({delivery["correlation"] for delivery in got} | {receipt.correlation}) == 5
        assert len({delivery["subject"] for delivery in got}) == 4
        assert len({delivery["delivery_id"] for delivery in got} | {receipt.signal_id}) == 5


def test_a_recipient_sees_one_handle_and_one_subject_for_all_signals_of_a_keten(hub: Hub) -> None:
    cause = accepted(hub, TILBURG, address()).signal_id
    accepted(hub, TILBURG, outcome(cause))
    accepted(hub, TILBURG, address(bsn="123456782"))
    first, second, other = received(hub, TAX)
    assert first["correlation"] == second["correlation"] != other["correlation"]
    assert first["subject"] == second["subject"] != other["subject"]


def test_the_subject_is_the_same_person_however_the_address_is_spelled(hub: Hub) -> None:
    for postcode in ("5611 AB", "5611AB", "5611ab"):
        accepted(hub, LANDLORD, debt(postcode=postcode))
    accepted(hub, LANDLORD, debt(huisnummer=13))
    subjects = [delivery["subject"] for delivery in received(hub, EINDHOVEN)]
    assert len(set(subjects[:3])) == 1
    assert subjects[3] != subjects[0]


def test_a_recipient_may_use_its_handle_to_speak_in_the_keten(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    (delivery,) = received(hub, TAX)
    receipt = accepted(hub, TAX, answer(delivery["delivery_id"], delivery["correlation"]))
    assert receipt.correlation == delivery["correlation"]
    assert len(set(ketens(hub))) == 1


def test_the_same_name_at_two_openers_is_two_ketens(hub: Hub) -> None:
    accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), correlation="dossier-1"))
    data = address_data(gemeentecode="0344")
    accepted(hub, "burgerzaken.0344", NewSignal(type=ADDRESS, data=data, correlation="dossier-1"))
    assert len(set(ketens(hub))) == 2
    accepted(hub, "burgerzaken.0344", outcome(correlation="dossier-1", gemeentecode="0344"))
    assert ketens(hub)[2] == ketens(hub)[1]


def test_the_name_that_an_opener_chose_is_sealed_at_rest(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), correlation="merkteken-dossier"))
        received(hub, TAX)
        assert b"merkteken-dossier" not in at_rest(tmp_path / "home")


def test_names_and_handles_still_work_after_a_restart(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), correlation="dossier-7"))
        (before,) = received(hub, TAX)
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, outcome(correlation="dossier-7"))
        accepted(hub, TAX, answer(before["delivery_id"]))
        assert len(set(ketens(hub))) == 1
        assert {delivery["correlation"] for delivery in received(hub, TAX)} == {before["correlation"]}


# --- what is not yours, or does not exist -------------------------------------------------


def refusal(receipt: Receipt) -> list[tuple[str, str | None, str]]:
    assert receipt.status == "rejected"
    return [(error.code, error.field, error.message) for error in receipt.errors]


def test_a_handle_of_another_is_answered_like_one_that_does_not_exist(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, address())
    (delivery,) = received(hub, TAX)
    stolen = [refusal(one(hub, "burgerzaken.0344", outcome(correlation=handle, gemeentecode="0344")))
              for handle in (receipt.correlation, delivery["correlation"])]  # fmt: skip
    missing = refusal(one(hub, "burgerzaken.0344", outcome(correlation=NOWHERE, gemeentecode="0344")))
    assert stolen == [missing, missing]
    assert [code for code, _, _ in missing] == ["keten-onbekend"]
    assert [code for code, _, _ in refusal(one(hub, TILBURG, outcome(correlation=delivery["correlation"])))] == ["keten-onbekend"]


def test_a_name_of_another_opens_no_door_to_its_keten(hub: Hub) -> None:
    accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), correlation="dossier-1"))
    missing = refusal(one(hub, "burgerzaken.0344", outcome(correlation="dossier-2", gemeentecode="0344")))
    assert refusal(one(hub, "burgerzaken.0344", outcome(correlation="dossier-1", gemeentecode="0344"))) == missing
    assert missing[0][0] == "keten-onbekend"


def test_a_handle_of_another_given_as_a_name_begins_a_keten_of_ones_own(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, address())
    data = address_data(gemeentecode="0344")
    accepted(hub, "burgerzaken.0344", NewSignal(type=ADDRESS, data=data, correlation=receipt.correlation))
    assert len(set(ketens(hub))) == 2


@pytest.mark.parametrize("whose", ["another's signal", "another's delivery", "nothing", "no id", "an own delivery's keten"])
def test_a_cause_that_is_not_known_to_the_publisher_is_answered_like_one_that_does_not_exist(hub: Hub, whose: str) -> None:
    receipt = accepted(hub, TILBURG, address())
    accepted(hub, LANDLORD, debt())
    (mine,) = received(hub, TAX)
    (theirs,) = received(hub, EINDHOVEN)
    cause = {
        "another's signal": receipt.signal_id, "another's delivery": theirs["delivery_id"], "nothing": NOWHERE, "no id": "dossier",
        "an own delivery's keten": mine["correlation"],
    }[whose]  # fmt: skip
    assert refusal(one(hub, TAX, answer(cause))) == [
        ("keten-onbekend", "causationid", "Deze keten of dit eerdere signaal is niet van u, of bestaat niet.")
    ]


def test_an_answer_to_something_else_is_refused(hub: Hub) -> None:
    accepted(hub, LANDLORD, debt())
    (arrear,) = received(hub, EINDHOVEN)
    one(hub, TAX, answer())
    (notice,) = received(hub, TAX, REFUSED)
    assert codes(one(hub, TAX, answer(notice["delivery_id"]))) == ["oorzaak-past-niet"]
    offer = NewSignal(type=OFFER, data={"resultaat": "AANBOD_GEDAAN", "resultaat_op": "2026-11-02"}, cause=arrear["delivery_id"])
    receipt = accepted(hub, EINDHOVEN, offer)
    own = NewSignal(type=OFFER, data={"resultaat": "AFGESLOTEN", "resultaat_op": "2026-11-02"}, cause=receipt.signal_id)
    assert codes(one(hub, EINDHOVEN, own)) == ["oorzaak-past-niet"]


def test_an_answer_without_a_cause_is_refused(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    (delivery,) = received(hub, TAX)
    assert codes(one(hub, TAX, answer())) == ["oorzaak-ontbreekt"]
    assert codes(one(hub, TAX, answer(correlation=delivery["correlation"]))) == ["oorzaak-ontbreekt"]


def test_a_cause_and_a_keten_that_do_not_belong_together_are_refused(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    accepted(hub, TILBURG, address(bsn="123456782"))
    first, second = received(hub, TAX)
    assert codes(one(hub, TAX, answer(first["delivery_id"], second["correlation"]))) == ["keten-onbekend"]


def test_a_signal_that_inherits_its_subject_must_name_a_keten(hub: Hub) -> None:
    assert codes(one(hub, TILBURG, outcome())) == ["keten-onbekend"]


def test_a_delivery_that_waits_cannot_be_answered(hub: Hub) -> None:
    receipts = debts(hub, range(1, 52))
    with hub.database.read() as connection:
        waiting = connection.execute(select(deliveries.c.delivery_id).where(deliveries.c.state == State.WAITING)).scalar_one()
    offer = NewSignal(type=OFFER, data={"resultaat": "AFGESLOTEN", "resultaat_op": "2026-11-02"}, cause=str(uuid.UUID(bytes=waiting)))
    assert codes(one(hub, EINDHOVEN, offer)) == ["keten-onbekend"]
    (notice,) = received(hub, LANDLORD, DEFERRED)
    assert notice["cause"] == receipts[50].signal_id


# --- deliveries on the wire ---------------------------------------------------------------


def test_no_delivery_id_is_ever_a_signal_id(hub: Hub) -> None:
    receipts = hub.publish(TILBURG, [some_address(n) for n in range(200)])
    ids = {delivery["delivery_id"] for delivery in received(hub, TAX)}
    assert len(ids) == 200
    assert not ids & {receipt.signal_id for receipt in receipts}


def test_the_wire_says_nothing_but_what_the_design_lists(hub: Hub) -> None:
    receipt = accepted(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(), id="zaak-eigen"))
    received(hub, TAX)
    (record,) = hub.received_by(TAX)
    headers = {name: value.decode() for name, value in record.message.headers.items()}
    assert headers.keys() == {
        "ce_id", "ce_source", "ce_specversion", "ce_type", "ce_time", "ce_dataschema", "content-type", "ce_purpose", "ce_grantid",
        "ce_sequence", "ce_traceparent", "ce_subject", "ce_correlationid",
    }  # fmt: skip
    assert headers["ce_source"] == "urn:nld:oin:00000099000000000000:systeem:signaalhub"
    assert headers["content-type"] == "application/avro"
    assert record.message.value[0] == 0
    said = " ".join(headers.values())
    for secret in ("999990019", "0855010000000017", "zaak-eigen", receipt.signal_id or "", receipt.correlation or "", "burgerzaken"):
        assert secret not in said


def test_the_trace_context_joins_no_two_deliveries(hub: Hub) -> None:
    hub.publish(TILBURG, [some_address(n) for n in range(50)])
    received(hub, TAX)
    traces = [record.message.headers["ce_traceparent"].decode().split("-") for record in hub.received_by(TAX)]
    assert len({trace for _, trace, _, _ in traces}) == len({span for _, _, span, _ in traces}) == 50
    assert all(set(trace) != {"0"} and len(trace) == 32 and len(span) == 16 for _, trace, span, _ in traces)


def test_sequences_have_no_gaps_per_recipient_across_restarts(tmp_path: Path, clock: MovingClock) -> None:
    for start in range(0, 30, 10):
        with opened(tmp_path / "home", clock) as hub:
            hub.publish(TILBURG, [some_address(n) for n in range(start, start + 10)])
            debts(hub, range(start + 1, start + 4))
            hub.run_once()
    with opened(tmp_path / "home", clock) as hub:
        assert [delivery["sequence"] for delivery in received(hub, TAX)] == list(range(1, 31))
        assert [delivery["sequence"] for delivery in received(hub, EINDHOVEN)] == list(range(1, 10))


class Failing:
    """A transport that sends, or does not, and then fails: a crash as the relay sees it."""

    def __init__(self, inner: Transport, *, after: bool) -> None:
        self.inner = inner
        self.after = after

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        self.send_all({topic: messages})

    def send_all(self, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        if self.after:
            self.inner.send_all(messages)
        msg = "the broker did not answer"
        raise RetryLaterError(msg)

    def lag(self, group: str, prefix: str) -> int:
        return self.inner.lag(group, prefix)

    def check(self) -> None:
        self.inner.check()

    def close(self) -> None:
        self.inner.close()

    def consumer(self, group: str | None, prefix: str, *, exact: bool = False) -> Consumer:
        return self.inner.consumer(group, prefix, exact=exact)

    def expire(self) -> int:
        return self.inner.expire()

    def alone(self, names: Collection[str]) -> AbstractContextManager[frozenset[str]]:
        return self.inner.alone(names)


def failing(hub: Hub, *, after: bool) -> Relay:
    """Return a relay of this hub whose transport fails, before or after it sent."""
    return replace(hub.relay, transport=Failing(hub.transport, after=after))


def wire(hub: Hub, recipient: str) -> list[tuple[bytes, dict[str, bytes]]]:
    """Return everything on the topic of a recipient, repeats included."""
    consumer = hub.transport.consumer(None, f"signals.out.{recipient}")
    return [(record.message.value, dict(record.message.headers)) for record in consumer.poll(100_000)]


def test_what_was_sent_and_not_noted_is_sent_again_byte_for_byte(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        hub.publish(TILBURG, [some_address(n) for n in range(3)])
        with pytest.raises(RetryLaterError):
            failing(hub, after=True).run_once()
        assert states(hub) == [State.READY] * 3
        first = wire(hub, TAX)
        assert len(first) == 3
    clock.now += 3_600_000
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, some_address(3))
        hub.run_once()
        everything = wire(hub, TAX)
        assert everything[:6] == first + first
        assert [headers["ce_sequence"] for _, headers in everything] == [b"1", b"2", b"3", b"1", b"2", b"3", b"4"]
        assert states(hub) == [State.SENT] * 4


@pytest.mark.parametrize(
    ("opener", "signal", "answerer", "erased"),
    [
        (LANDLORD, debt(), EINDHOVEN, ["2027-06-01T09:00"]),
        (TILBURG, address(), TAX, ["2027-12-01T09:00", "2028-06-02T09:00"]),  # its case ends first, and is erased half a year later
    ],
    ids=["with its signal", "with its case"],
)
def test_a_repeat_names_the_keten_as_the_first_copy_did_when_its_opener_was_erased_in_between(
    hub: Hub, clock: MovingClock, opener: str, signal: NewSignal, answerer: str, erased: list[str]
) -> None:
    accepted(hub, opener, replace(signal, correlation="dossier-7"))
    (delivery,) = received(hub, answerer)
    for moment in erased[:-1]:
        tick(hub, clock, moment)
    clock.now = terms.moment(erased[-1]) - 3_600_000
    data = {"resultaat": "AANBOD_GEDAAN", "resultaat_op": "2027-05-01"}
    reply = answer() if answerer == TAX else NewSignal(type=OFFER, data=data)
    accepted(hub, answerer, replace(reply, cause=delivery["delivery_id"]))
    before = len(wire(hub, opener))
    with pytest.raises(RetryLaterError):
        failing(hub, after=True).run_once()
    clock.now = terms.moment(erased[-1])
    hub.clock.run_once()
    assert len(named(hub)) == 1
    hub.relay.run_once()
    first, repeat = wire(hub, opener)[before:]
    assert first == repeat
    assert first[1]["ce_correlationid"] == b"dossier-7"
    tick(hub, clock, "2029-01-01T09:00")
    assert named(hub) == [], "the name is forgotten once nothing of the keten is left to be sent"


def named(hub: Hub) -> list[int]:
    """Return the ketens of which the opener's own name is still kept."""
    with hub.database.read() as connection:
        return list(connection.execute(select(keten_names.c.keten)).scalars())


def test_what_was_numbered_and_not_sent_keeps_its_number(hub: Hub) -> None:
    hub.publish(TILBURG, [some_address(n) for n in range(3)])
    with pytest.raises(RetryLaterError):
        failing(hub, after=False).run_once()
    hub.publish(TILBURG, [some_address(n) for n in range(3, 5)])
    found = received(hub, TAX)
    assert [delivery["sequence"] for delivery in found] == [1, 2, 3, 4, 5]
    assert [delivery["data"]["bag_id"] for delivery in found] == [f"0855010000{n:06d}" for n in range(5)]


def test_a_broker_that_fails_for_one_recipient_has_not_lost_the_others(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    accepted(hub, LANDLORD, debt())
    with pytest.raises(RetryLaterError):
        failing(hub, after=False).run_once()
    assert len(received(hub, TAX)) == len(received(hub, EINDHOVEN)) == 1


class OneTopicAway(Failing):
    """A transport on which one topic is not there."""

    def send_all(self, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        gone = f"signals.out.{EINDHOVEN}"
        self.inner.send_all({topic: ones for topic, ones in messages.items() if topic != gone})
        return {gone: StopError("there is no such topic")} if gone in messages else {}


def test_a_recipient_who_cannot_be_served_waits_alone(hub: Hub) -> None:
    relay = replace(hub.relay, transport=OneTopicAway(hub.transport, after=False))
    debts(hub, range(1, 4))
    for number in range(3):
        accepted(hub, TILBURG, some_address(number))
        assert relay.run_once() == 1
    assert [why.message for why in relay.failing.values()] == ["there is no such topic"]
    assert [int(headers["ce_sequence"]) for _, headers in wire(hub, TAX)] == [1, 2, 3]
    assert wire(hub, EINDHOVEN) == []
    assert hub.relay.run_once() == 3
    assert [int(headers["ce_sequence"]) for _, headers in wire(hub, EINDHOVEN)] == [1, 2, 3]


def test_a_key_that_is_added_changes_nothing_of_a_repeat(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, address())
        with pytest.raises(RetryLaterError):
            failing(hub, after=True).run_once()
        (first,) = wire(hub, TAX)
    (tmp_path / "home" / "keys" / "2.key").write_text(base64.b64encode(bytes(range(32))).decode())
    with opened(tmp_path / "home", clock) as hub:
        hub.run_once()
        assert wire(hub, TAX) == [first, first]


def states(hub: Hub) -> list[int]:
    with hub.database.read() as connection:
        return list(connection.execute(select(deliveries.c.state).order_by(deliveries.c.id)).scalars())


def test_two_relays_at_once_repeat_perhaps_and_never_differ_or_change_the_order(tmp_path: Path, clock: MovingClock) -> None:
    with ExitStack() as stack:
        hubs = [stack.enter_context(opened(tmp_path / "home", clock)) for _ in range(3)]
        hubs[0].publish(TILBURG, [some_address(n) for n in range(1_200)])
        debts(hubs[0], range(1, 41))
        at_once(*(hub.relay.run_once for hub in hubs))
        hubs[0].run_once()
        for recipient, count in ((TAX, 1_200), (EINDHOVEN, 40)):
            everything = wire(hubs[0], recipient)
            first: dict[bytes, Any] = {}
            for value, headers in everything:
                assert first.setdefault(headers["ce_id"], (value, headers)) == (value, headers)
            assert [int(headers["ce_sequence"]) for _, headers in first.values()] == list(range(1, count + 1))
        assert set(states(hubs[0])) == {State.SENT}


def test_a_relay_that_fell_behind_sends_what_was_ready_before_what_came_later(hub: Hub) -> None:
    """A crash left the newest delivery without a number and the older ones numbered but not noted."""
    hub.publish(TILBURG, [some_address(n) for n in range(4)])
    received(hub, TAX)
    with hub.database.write() as connection:
        connection.execute(update(deliveries).where(deliveries.c.id.in_([2, 3])).values(state=int(State.READY), sent_at=None))
        connection.execute(update(sequences).values(sent=1))
    accepted(hub, TILBURG, some_address(4))
    hub.run_once()
    assert [int(headers["ce_sequence"]) for _, headers in wire(hub, TAX)] == [1, 2, 3, 4, 2, 3, 5]


def test_nobody_can_name_a_delivery_of_another_by_guessing(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    (delivery,) = received(hub, TAX)
    near = uuid.UUID(int=uuid.UUID(delivery["delivery_id"]).int ^ 1)
    assert codes(one(hub, TAX, answer(str(near)))) == ["keten-onbekend"]


def test_the_topic_names_hold_participants_only(hub: Hub) -> None:
    accepted(hub, TILBURG, address())
    hub.run_once()
    records = hub.transport.consumer(None, "").poll(10)
    assert {record.topic for record in records} == {OUT + TAX}
