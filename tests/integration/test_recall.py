"""Taking back and correcting: who had it hears it, each under its own delivery, and nobody else hears anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub import recalls as listed
from hub.app import Hub, MovingClock
from hub.client import NewSignal
from hub.domain import terms
from hub.placing import CONFIRMED, WITHDRAWN
from hub.quotas import stands
from hub.storage.tables import State, receipts, signals
from hub.transport.base import OUT
from tests.integration.memory import (
    ANNA,
    BALIE,
    BEA,
    BERICHT,
    BESLUIT,
    DOSSIER,
    ELSEWHERE,
    FONDS,
    MELDING,
    OPGEPAKT,
    RECHTER,
    TOEZICHT,
    UITKOMST,
    VERZOEK,
    VRAAG,
    WIJK,
    Wire,
    World,
    books,
    confirmation,
    new,
    only,
    rows,
    signal_id,
    states,
    through_topics,
    together,
    withdrawal,
    world,
)
from tests.integration.support import DEFERRED, Cli, accepted, at_once, codes, decisions, one, received, tick

NOWHERE = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.fixture
def proef(tmp_path: Path, clock: MovingClock) -> World:
    return world(tmp_path, clock)


@pytest.fixture
def hub(proef: World) -> Iterator[Hub]:
    with proef.open() as opened:
        yield opened


@pytest.fixture
def wire(hub: Hub) -> Wire:
    return Wire(hub)


def bericht(nummer: int = 1, **changed: Any) -> NewSignal:
    return new(BERICHT, nummer=nummer, **changed)


def berichten(hub: Hub, *numbers: int, **changed: Any) -> list[str]:
    """Publish reports that only the wijkteam gets, at most two a month, and return their signal_ids."""
    return [accepted(hub, BALIE, bericht(number, **({"aan": "WIJK"} | changed))).signal_id or "" for number in numbers]


def queue(hub: Hub) -> tuple[int, int]:
    """Return how many places of the wijkteam are used this month, and how many wait."""
    row = next(row for row in stands(hub) if row["key"] == WIJK)
    return row["used"], row["waiting"]


def pairs(deliveries: list[dict[str, Any]], field: str) -> list[tuple[str, Any]]:
    return sorted((delivery["recipient"], delivery[field]) for delivery in deliveries)


# --- withdrawals --------------------------------------------------------------------------


def test_a_withdrawal_reaches_everyone_who_got_it_once_a_delivery_under_its_own_delivery_id(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, bericht(extra=True))
    accepted(hub, BALIE, bericht(2))
    got = sorted(wire(), key=lambda delivery: int(delivery["data"]["nummer"]))
    first, other = got[:3], got[3:]
    accepted(hub, BALIE, withdrawal(receipt.signal_id, "DUBBEL"))
    back = wire()
    assert pairs(back, "cause") == pairs(first, "delivery_id")
    assert [one["recipient"] for one in first].count(TOEZICHT) == 2
    assert {json.dumps(delivery["data"]) for delivery in back} == {'{"redencode": "DUBBEL"}'}
    assert {delivery["type"] for delivery in back} == {WITHDRAWN}
    assert {delivery["replaces"] for delivery in back} == {None}
    assert set(pairs(back, "correlation")) == set(pairs(first, "correlation"))
    assert len({delivery["delivery_id"] for delivery in back + first + other}) == 8


@pytest.mark.parametrize(("to", "hear"), [
    ("WIJK", [WIJK]), ("TOEZICHT", [TOEZICHT]), ("BEIDE", [TOEZICHT, WIJK]), ("NIEMAND", []),
])  # fmt: skip
def test_who_did_not_get_it_hears_nothing_of_its_withdrawal(hub: Hub, wire: Wire, to: str, hear: list[str]) -> None:
    receipt = accepted(hub, BALIE, bericht(aan=to))
    assert sorted(delivery["recipient"] for delivery in wire()) == hear
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    assert wire.told() == [(recipient, "signaalhub.ingetrokken", "ONTERECHT") for recipient in hear]


def test_what_was_taken_back_before_it_was_sent_arrives_and_then_its_withdrawal(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, bericht(aan="WIJK"))
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    first, second = sorted(wire(), key=lambda delivery: int(delivery["sequence"]))
    assert (first["type"], second["type"]) == (BERICHT, WITHDRAWN)
    assert second["cause"] == first["delivery_id"]


def test_every_earlier_delivery_has_its_decision_that_it_was_taken_back(hub: Hub) -> None:
    receipt = accepted(hub, BALIE, bericht())
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    assert decisions(hub, receipt.signal_id)[2:] == [
        (WIJK, "bericht.wijk", "recalled", "ingetrokken"), (TOEZICHT, "bericht.toezicht", "recalled", "ingetrokken"),
    ]  # fmt: skip


def test_a_withdrawal_goes_through_the_ingress_topic_like_any_signal(hub: Hub, wire: Wire) -> None:
    through_topics(hub, (BALIE, bericht(id_="b-1")), (BALIE, withdrawal(signal_id(hub, BALIE, "b-1"))))
    got = wire()
    assert pairs([one for one in got if one["type"] == WITHDRAWN], "cause") == pairs(
        [one for one in got if one["type"] == BERICHT], "delivery_id"
    )
    assert len(got) == 4


def test_a_withdrawal_again_under_its_own_id_is_a_duplicate_and_reaches_nobody_twice(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, bericht())
    again = withdrawal(receipt.signal_id, id="w-1")
    accepted(hub, BALIE, again)
    assert len(wire()) == 4
    before = books(hub)
    assert one(hub, BALIE, again).status == "duplicate"
    assert wire() == []
    assert books(hub) == before


def test_two_withdrawals_at_once_are_one(proef: World) -> None:
    with proef.open() as hub, proef.open() as other:
        receipt = accepted(hub, BALIE, bericht())
        found: list[list[str]] = []
        at_once(*(lambda which=which: found.append(codes(one(which, BALIE, withdrawal(receipt.signal_id)))) for which in (hub, other)))
        assert sorted(found) == [[], ["al-ingetrokken"]]
        assert len(Wire(hub)()) == 4


def test_the_payload_of_what_was_taken_back_may_be_erased_and_it_is_still_taken_back(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    receipt = accepted(hub, BALIE, bericht())
    first = wire()
    tick(hub, clock, "2027-06-01T00:00")
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    assert pairs(wire(), "cause") == pairs(first, "delivery_id")


# --- withdrawals and the queue ------------------------------------------------------------


def test_a_waiting_signal_that_is_withdrawn_leaves_the_queue_and_uses_no_place(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    _, _, _, fourth, _ = berichten(hub, 1, 2, 3, 4, 5)
    assert queue(hub) == (2, 3)
    assert [said for _, _, said in wire.told()] == [1, 2]
    accepted(hub, BALIE, withdrawal(fourth))
    assert queue(hub) == (2, 2)
    assert wire.told() == []  # who never had it hears nothing
    tick(hub, clock, "2026-12-01T00:00")
    assert [said for _, _, said in wire.told()] == [3, 5]
    assert queue(hub) == (2, 0)
    assert decisions(hub, fourth)[-1] == (WIJK, "bericht.wijk", "recalled", "ingetrokken")


def test_a_used_place_is_not_given_back(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    first, *_ = berichten(hub, 1, 2, 3)
    wire()
    accepted(hub, BALIE, withdrawal(first))
    berichten(hub, 4)
    assert wire.told() == [(WIJK, "signaalhub.ingetrokken", "ONTERECHT")]
    assert queue(hub) == (2, 2)
    tick(hub, clock, "2026-12-01T00:00")
    assert [said for _, _, said in wire.told()] == [3, 4]


ORIGINAL, TAKEN_BACK, LATER = "original", "taken back", "later"
BATCHES = [
    pytest.param("2026-11-02T09:00", [1, 2], [ORIGINAL, TAKEN_BACK], (2, 0), [], id="with its original"),
    pytest.param("2026-11-02T09:00", [1, 2], [ORIGINAL, TAKEN_BACK, LATER], (2, 1), [], id="with its original, and the queue grows again"),
    pytest.param("2026-11-02T09:00", [1, 2], [ORIGINAL, LATER, TAKEN_BACK, LATER], (2, 2), [], id="between two that wait"),
    pytest.param("2026-11-02T09:00", [1], [LATER, ORIGINAL, TAKEN_BACK, LATER], (2, 1), [20], id="the place is not given to a later one"),
    pytest.param("2026-11-02T09:00", [], [LATER, ORIGINAL, TAKEN_BACK, LATER], (2, 1), [10, 20], id="a place that it used stays used"),
]


@pytest.mark.parametrize(("moment", "before", "batch", "after", "arrives"), BATCHES)
def test_withdrawing_in_the_batch_of_the_original_keeps_the_count_right(
    hub: Hub, wire: Wire, clock: MovingClock, moment: str, before: list[int], batch: list[str], after: tuple[int, int], arrives: list[int]
) -> None:
    clock.now = terms.moment(moment)
    berichten(hub, *before)
    wire()
    later = iter((20, 21))
    events = {
        ORIGINAL: lambda: bericht(10, aan="WIJK", id_="b-10"),
        TAKEN_BACK: lambda: withdrawal(signal_id(hub, BALIE, "b-10")),
        LATER: lambda: bericht(next(later), aan="WIJK"),
    }
    assert {receipt.status for receipt in together(hub, *((BALIE, events[name]()) for name in batch))} == {"accepted"}
    assert queue(hub) == after
    assert sorted(one["data"]["nummer"] for one in wire() if one["type"] == BERICHT) == sorted(arrives)
    tick(hub, clock, "2026-12-01T00:00")
    assert len(wire()) == after[1]
    assert queue(hub) == (after[1], 0)


@pytest.mark.parametrize(("batch", "outcome", "after"), [
    pytest.param([TAKEN_BACK, LATER], "deliver", (1, 0), id="the queue is empty again"),
    pytest.param([LATER, TAKEN_BACK, LATER], "defer", (0, 2), id="another waits already"),
])  # fmt: skip
def test_a_queue_that_a_withdrawal_empties_is_counted_so_by_the_same_batch(
    hub: Hub, clock: MovingClock, batch: list[str], outcome: str, after: tuple[int, int]
) -> None:
    *_, waiting = berichten(hub, 1, 2, 3)
    clock.now = terms.moment("2026-12-01T00:00")  # a new month with room, in which no clock has run yet
    events = {TAKEN_BACK: lambda: withdrawal(waiting), LATER: lambda: bericht(9, aan="WIJK")}
    *_, last = together(hub, *((BALIE, events[name]()) for name in batch))
    assert decisions(hub, last.signal_id)[0][2] == outcome
    assert queue(hub) == after


def test_a_signal_that_waited_and_was_withdrawn_within_one_batch_is_no_news_for_who_was_to_wait(hub: Hub) -> None:
    berichten(hub, 1, 2)
    together(hub, (BALIE, bericht(3, aan="WIJK", id_="b-3")), (BALIE, withdrawal(signal_id(hub, BALIE, "b-3"))))
    assert [told["data"]["wachtend"] for told in received(hub, WIJK, DEFERRED)] == []


# --- withdrawals and what is held back ----------------------------------------------------


HELD = [("dossier.wijk", State.SENT), ("dossier.toezicht", State.SENT), ("dossier.wie", State.HELD), ("dossier.wie-toezicht", State.HELD)]


def test_what_was_held_back_is_never_released_after_a_withdrawal(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, new(DOSSIER))
    got = wire()
    assert states(hub, receipt.signal_id) == HELD
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    assert pairs(wire(), "cause") == pairs(got, "delivery_id")
    accepted(hub, WIJK, new(OPGEPAKT, correlation=only(got, WIJK)["correlation"]))
    assert wire.told() == [(BALIE, "dossier.opgepakt", 1)]
    assert dict(states(hub, receipt.signal_id))["dossier.wie"] == State.DROPPED
    assert (WIJK, "dossier.wie", "recalled", "ingetrokken") in decisions(hub, receipt.signal_id)


@pytest.mark.parametrize(("order", "arrives"), [
    pytest.param(("withdrawal", "pick-up"), [(BALIE, "dossier.opgepakt", 1), (TOEZICHT, "signaalhub.ingetrokken", "ONTERECHT"),
                                             (WIJK, "signaalhub.ingetrokken", "ONTERECHT")], id="withdrawn first"),
    pytest.param(("pick-up", "withdrawal"), [(BALIE, "dossier.opgepakt", 1), (TOEZICHT, "signaalhub.ingetrokken", "ONTERECHT"),
                                             (WIJK, "dossier.wie", 1), (WIJK, "signaalhub.ingetrokken", "ONTERECHT"),
                                             (WIJK, "signaalhub.ingetrokken", "ONTERECHT")], id="picked up first"),
])  # fmt: skip
def test_within_one_batch_the_order_says_whether_what_was_held_back_still_goes_out(
    hub: Hub, wire: Wire, order: tuple[str, str], arrives: list[tuple[str, str, Any]]
) -> None:
    receipt = accepted(hub, BALIE, new(DOSSIER))
    events = {
        "withdrawal": (BALIE, withdrawal(receipt.signal_id)),
        "pick-up": (WIJK, new(OPGEPAKT, correlation=only(wire(), WIJK)["correlation"])),
    }
    together(hub, *(events[name] for name in order))
    assert wire.told() == arrives


# --- corrections --------------------------------------------------------------------------

GOES_TO = {"WIJK": {WIJK}, "TOEZICHT": {TOEZICHT}, "BEIDE": {WIJK, TOEZICHT}, "NIEMAND": set[str]()}


@pytest.mark.parametrize(("before", "after"), list(product(GOES_TO, repeat=2)))
def test_a_correction_reaches_each_by_what_it_had_and_what_it_is_granted_now(hub: Hub, wire: Wire, before: str, after: str) -> None:
    original = accepted(hub, BALIE, bericht(1, aan=before))
    had = {delivery["recipient"]: delivery["delivery_id"] for delivery in wire()}
    assert had.keys() == GOES_TO[before]
    accepted(hub, BALIE, bericht(2, aan=after, replaces=original.signal_id))
    found = {one["recipient"]: (one["type"], one["replaces"], one["cause"], next(reversed(one["data"].values()))) for one in wire()}
    expected = {}
    for recipient in GOES_TO[before] | GOES_TO[after]:
        if recipient in GOES_TO[after]:
            expected[recipient] = (BERICHT, had.get(recipient), None)
        else:
            expected[recipient] = (WITHDRAWN, None, had[recipient])
    assert {recipient: said[:3] for recipient, said in found.items()} == expected
    assert {said[3] for said in found.values() if said[0] == WITHDRAWN} <= {"ANDERS"}


def test_a_correction_to_who_has_the_original_is_not_metered(hub: Hub, wire: Wire) -> None:
    first, second = berichten(hub, 1, 2)
    had = {one["data"]["nummer"]: one["delivery_id"] for one in wire()}
    accepted(hub, BALIE, bericht(11, aan="WIJK", replaces=first))
    accepted(hub, BALIE, bericht(12, aan="WIJK", replaces=second))
    assert sorted((one["data"]["nummer"], one["replaces"]) for one in wire()) == [(11, had[1]), (12, had[2])]
    assert queue(hub) == (2, 0)
    berichten(hub, 3)
    assert queue(hub) == (2, 1)


def test_a_correction_to_who_is_new_is_metered_like_any_signal(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    original = accepted(hub, BALIE, bericht(1, aan="TOEZICHT"))
    berichten(hub, 2, 3)
    wire()
    accepted(hub, BALIE, bericht(11, aan="BEIDE", replaces=original.signal_id))
    assert wire.told() == [(TOEZICHT, "bericht.toezicht", 11)]
    assert queue(hub) == (2, 1)
    tick(hub, clock, "2026-12-01T00:00")
    (late,) = wire()
    assert (late["recipient"], late["data"]["nummer"], late["replaces"]) == (WIJK, 11, None)


def test_a_correction_of_a_waiting_signal_takes_its_place_in_the_queue(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    _, _, third, *_ = berichten(hub, 1, 2, 3, 4, 5)
    wire(notices=True)
    correction = accepted(hub, BALIE, bericht(33, aan="WIJK", replaces=third))
    assert wire(notices=True) == []  # as many wait as before
    assert queue(hub) == (2, 3)
    assert decisions(hub, correction.signal_id) == [(WIJK, "bericht.wijk", "defer", "vervangt-wachtend")]
    arrived = []
    for month in ("2026-12-01T00:00", "2027-01-01T00:00"):
        tick(hub, clock, month)
        arrived.append([(one["data"]["nummer"], one["replaces"]) for one in wire()])
    assert arrived == [[(33, None), (4, None)], [(5, None)]]
    assert decisions(hub, third)[-1][2:] == ("recalled", "gecorrigeerd")


def test_a_correction_of_a_waiting_signal_and_a_new_one_in_one_batch_are_counted_as_one_more_that_waits(hub: Hub, wire: Wire) -> None:
    *_, third = berichten(hub, 1, 2, 3)
    wire(notices=True)
    together(hub, (BALIE, bericht(33, aan="WIJK", replaces=third)), (BALIE, bericht(4, aan="WIJK")))
    told = [(found["recipient"], found["data"]["wachtend"]) for found in wire(notices=True)]
    assert sorted(told) == [(BALIE, 2), (WIJK, 2)]
    assert queue(hub) == (2, 2)


def test_an_exempt_correction_of_a_waiting_signal_goes_at_once_and_empties_its_place(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    _, _, _, fourth, _ = berichten(hub, 1, 2, 3, 4, 5)
    wire()
    accepted(hub, BALIE, bericht(44, aan="WIJK", spoed=True, replaces=fourth))
    (urgent,) = wire()
    assert (urgent["recipient"], urgent["data"]["nummer"], urgent["replaces"]) == (WIJK, 44, None)
    assert queue(hub) == (2, 2)
    tick(hub, clock, "2026-12-01T00:00")
    assert [said for _, _, said in wire.told()] == [3, 5]


def test_a_correction_of_a_waiting_signal_that_is_no_longer_granted_leaves_the_queue_in_silence(
    hub: Hub, wire: Wire, clock: MovingClock
) -> None:
    *_, third, _ = berichten(hub, 1, 2, 3, 4)
    wire()
    accepted(hub, BALIE, bericht(33, aan="NIEMAND", replaces=third))
    assert wire() == []
    assert queue(hub) == (2, 1)
    tick(hub, clock, "2026-12-01T00:00")
    assert [said for _, _, said in wire.told()] == [4]


def test_a_correction_of_a_correction_that_waits_keeps_the_same_place(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    berichten(hub, 1, 2)
    together(
        hub,
        (BALIE, bericht(3, aan="WIJK", id_="b-3")),
        (BALIE, bericht(4, aan="WIJK")),
        (BALIE, bericht(33, aan="WIJK", id_="b-33", replaces=signal_id(hub, BALIE, "b-3"))),
        (BALIE, bericht(333, aan="WIJK", id_="b-333", replaces=signal_id(hub, BALIE, "b-33"))),
    )
    wire()
    assert queue(hub) == (2, 2)
    tick(hub, clock, "2026-12-01T00:00")
    assert [one["data"]["nummer"] for one in wire()] == [333, 4]


def test_two_rules_for_one_recipient_are_matched_each_with_its_own_earlier_delivery(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, bericht(1, aan="TOEZICHT", extra=True))
    had = {one["grant"]: one["delivery_id"] for one in wire()}
    accepted(hub, BALIE, bericht(2, aan="TOEZICHT", extra=True, replaces=original.signal_id))
    assert {one["grant"]: one["replaces"] for one in wire()} == had
    assert had.keys() == {"bericht.toezicht", "bericht.extra"}


@pytest.mark.parametrize(("now", "corrected", "taken_back"), [
    pytest.param({"aan": "TOEZICHT", "extra": False}, "bericht.toezicht", "bericht.extra", id="the other rule no longer grants"),
    pytest.param({"aan": "NIEMAND", "extra": True}, "bericht.extra", "bericht.toezicht", id="the one rule no longer grants"),
])  # fmt: skip
def test_of_two_deliveries_to_one_recipient_the_one_that_is_not_granted_again_is_withdrawn(
    hub: Hub, wire: Wire, now: dict[str, Any], corrected: str, taken_back: str
) -> None:
    original = accepted(hub, BALIE, bericht(1, aan="TOEZICHT", extra=True))
    had = {one["grant"]: one["delivery_id"] for one in wire()}
    accepted(hub, BALIE, bericht(2, replaces=original.signal_id, **now))
    got = wire()
    assert {one["grant"]: one["replaces"] for one in got if one["type"] == BERICHT} == {corrected: had[corrected]}
    assert [one["cause"] for one in got if one["type"] == WITHDRAWN] == [had[taken_back]]


def test_who_is_granted_the_correction_by_another_rule_still_learns_what_it_replaces(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, bericht(1, aan="TOEZICHT"))
    (had,) = wire()
    accepted(hub, BALIE, bericht(2, aan="NIEMAND", extra=True, replaces=original.signal_id))
    (got,) = wire()
    assert (got["recipient"], got["grant"], got["replaces"]) == (TOEZICHT, "bericht.extra", had["delivery_id"])


def test_a_second_rule_that_grants_the_correction_only_is_new_beside_the_corrected_one(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, bericht(1, aan="TOEZICHT"))
    (had,) = wire()
    accepted(hub, BALIE, bericht(2, aan="TOEZICHT", extra=True, replaces=original.signal_id))
    assert {one["grant"]: one["replaces"] for one in wire()} == {"bericht.toezicht": had["delivery_id"], "bericht.extra": None}


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_chain_of_original_correction_and_withdrawal_tells_each_only_of_what_it_has(hub: Hub, wire: Wire, *, in_one_batch: bool) -> None:
    first = bericht(1, aan="BEIDE", id_="b-1")
    second = bericht(2, aan="WIJK", id_="b-2", replaces=signal_id(hub, BALIE, "b-1"))
    third = withdrawal(signal_id(hub, BALIE, "b-2"), "OPGELOST")
    if in_one_batch:
        together(hub, *((BALIE, signal) for signal in (first, second, third)))
        got = wire()
    else:
        got = []
        for signal in (first, second, third):
            accepted(hub, BALIE, signal)
            got += wire()
    wijk, toezicht = ([one for one in got if one["recipient"] == who] for who in (WIJK, TOEZICHT))
    assert [one["data"].get("nummer", one["data"].get("redencode")) for one in wijk] == [1, 2, "OPGELOST"]
    assert [(one["replaces"], one["cause"]) for one in wijk] == [
        (None, None), (wijk[0]["delivery_id"], None), (None, wijk[1]["delivery_id"])]  # fmt: skip
    assert [one["data"].get("nummer", one["data"].get("redencode")) for one in toezicht] == [1, "ANDERS"]
    assert toezicht[1]["cause"] == toezicht[0]["delivery_id"]


def test_a_correction_of_what_is_held_back_is_held_back_instead(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, new(DOSSIER, nummer=1))
    had = wire()
    accepted(hub, BALIE, new(DOSSIER, nummer=2, replaces=original.signal_id))
    assert wire.told() == [(TOEZICHT, "dossier.toezicht", 2), (WIJK, "dossier.wijk", 2)]
    accepted(hub, WIJK, new(OPGEPAKT, correlation=only(had, WIJK)["correlation"]))
    got = wire()
    assert sorted((one["recipient"], one["grant"], one["data"]["nummer"], one["replaces"]) for one in got) == [
        (BALIE, "dossier.opgepakt", 1, None), (WIJK, "dossier.wie", 2, None),
    ]  # fmt: skip


def test_a_correction_of_what_was_picked_up_goes_at_once_to_who_has_it(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, new(DOSSIER, nummer=1))
    accepted(hub, WIJK, new(OPGEPAKT, correlation=only(wire(), WIJK)["correlation"]))
    who = only(wire(), WIJK)
    accepted(hub, BALIE, new(DOSSIER, nummer=2, naam="Anna de Vries", replaces=original.signal_id))
    corrected = only(wire(), WIJK, "dossier.wie")
    assert (corrected["replaces"], corrected["data"]["naam"]) == (who["delivery_id"], "Anna de Vries")


def test_a_correction_stays_in_the_keten_of_the_original(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, bericht(1, correlation="dossier-1"))
    had = wire()
    correction = accepted(hub, BALIE, bericht(2, replaces=original.signal_id))
    assert set(pairs(wire(), "correlation")) == set(pairs(had, "correlation"))
    accepted(hub, BALIE, bericht(3, correlation="dossier-1", replaces=correction.signal_id))
    assert set(pairs(wire(), "correlation")) == set(pairs(had, "correlation"))
    with hub.database.read() as connection:
        assert len(set(connection.execute(select(signals.c.keten)).scalars())) == 1


def test_a_correction_of_an_answer_answers_what_the_original_answered(hub: Hub, wire: Wire) -> None:
    report = accepted(hub, BALIE, bericht(1))
    had = only(wire(), WIJK)
    answer = accepted(hub, WIJK, new("nl.proef.antwoord.v1", nummer=7, cause=had["delivery_id"]))
    first = only(wire(), BALIE)
    accepted(hub, WIJK, new("nl.proef.antwoord.v1", nummer=8, replaces=answer.signal_id))
    second = only(wire(), BALIE)
    assert (second["data"], second["replaces"], second["cause"]) == ({"nummer": 8}, first["delivery_id"], report.signal_id)


# --- corrections of what moved a case -----------------------------------------------------


def test_a_correction_of_a_reaction_is_decided_with_the_case_as_it_stands(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(MELDING))
    keten = only(wire(), WIJK)["correlation"]
    accepted(hub, WIJK, new(VERZOEK, correlation=keten))
    contact = accepted(hub, WIJK, new("nl.proef.contact.v1", nummer=5, correlation=keten))
    had = only(wire(), RECHTER, "traject.contact")
    accepted(hub, WIJK, new("nl.proef.contact.v1", nummer=6, replaces=contact.signal_id))
    got = only(wire(), RECHTER)
    assert (got["type"], got["replaces"], got["data"]) == (had["type"], had["delivery_id"], {"nummer": 6})


# --- receipts -----------------------------------------------------------------------------


def unconfirmed(hub: Hub) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Return what `hub recalls list` shows: each recall with who was told, and whether it confirmed."""
    found = listed.listing(hub, everything=False)
    return [(row["kind"], [(entry["recipient"], entry["confirmed"] is not None) for entry in row["recipients"]]) for row in found]


def test_each_recipient_confirms_for_itself_and_the_publisher_is_not_told_who(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    receipt = accepted(hub, BALIE, bericht())
    wire()
    taken_back = accepted(hub, BALIE, withdrawal(receipt.signal_id))
    told = wire()
    assert unconfirmed(hub) == [("withdrawn", [(WIJK, False), (TOEZICHT, False)])]
    clock.now += 60_000
    accepted(hub, WIJK, confirmation(only(told, WIJK)["delivery_id"]))
    (heard,) = wire()
    assert (heard["recipient"], heard["type"], heard["data"]) == (BALIE, CONFIRMED, {"resultaat": "VERWERKT"})
    assert heard["cause"] == taken_back.signal_id
    assert "wijkteam" not in json.dumps(heard)
    assert unconfirmed(hub) == [("withdrawn", [(WIJK, True), (TOEZICHT, False)])]
    accepted(hub, TOEZICHT, confirmation(only(told, TOEZICHT)["delivery_id"], "NIET_GEVONDEN"))
    assert wire.told() == [(BALIE, "signaalhub.bevestigd", "NIET_GEVONDEN")]
    assert unconfirmed(hub) == []
    (whole,) = listed.listing(hub, everything=True)
    assert whole["unconfirmed"] == 0
    assert [entry["confirmed"] for entry in whole["recipients"]] == ["2026-11-02T08:01:00.000Z"] * 2


def test_two_confirmations_of_two_recipients_cannot_be_told_apart_by_the_publisher(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, bericht())
    wire()
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    told = wire()
    for recipient in (TOEZICHT, WIJK):
        accepted(hub, recipient, confirmation(only(told, recipient)["delivery_id"]))
    one_, other = wire()
    for random in ("delivery_id", "sequence", "time"):
        del one_[random], other[random]
    assert one_ == other


def test_one_confirmation_covers_every_delivery_of_a_recall_to_one_recipient(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, bericht(aan="TOEZICHT", extra=True))
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    first, second = (one["delivery_id"] for one in wire() if one["type"] == WITHDRAWN)
    accepted(hub, TOEZICHT, confirmation(second))
    assert unconfirmed(hub) == []
    assert codes(one(hub, TOEZICHT, confirmation(first))) == ["al-bevestigd"]


def test_a_correction_is_confirmed_too_and_so_is_the_withdrawal_that_the_hub_made_of_it(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, bericht(1, aan="BEIDE"))
    wire()
    accepted(hub, BALIE, bericht(2, aan="WIJK", replaces=original.signal_id))
    told = wire()
    assert unconfirmed(hub) == [("corrected", [(WIJK, False), (TOEZICHT, False)])]
    accepted(hub, TOEZICHT, confirmation(only(told, TOEZICHT)["delivery_id"]))
    (heard,) = wire()
    assert (heard["recipient"], heard["data"]) == (BALIE, {"resultaat": "VERWERKT"})
    assert unconfirmed(hub) == [("corrected", [(WIJK, False), (TOEZICHT, True)])]
    accepted(hub, WIJK, confirmation(only(told, WIJK)["delivery_id"]))
    assert wire.told() == [(BALIE, "signaalhub.bevestigd", "VERWERKT")]
    assert unconfirmed(hub) == []


@pytest.mark.parametrize("what", ["waited", "was held back", "was never sent", "is new"])
def test_who_was_not_told_has_nothing_to_confirm(hub: Hub, wire: Wire, what: str) -> None:
    if what == "waited":
        *_, signal = berichten(hub, 1, 2, 3)
        accepted(hub, BALIE, withdrawal(signal))
    elif what == "was held back":
        accepted(hub, BALIE, withdrawal(accepted(hub, BALIE, new(DOSSIER)).signal_id))
        assert unconfirmed(hub) == [("withdrawn", [(WIJK, False), (TOEZICHT, False)])]
        return
    elif what == "was never sent":
        accepted(hub, BALIE, withdrawal(accepted(hub, BALIE, bericht(aan="NIEMAND")).signal_id))
    else:
        original = accepted(hub, BALIE, bericht(1, aan="NIEMAND"))
        accepted(hub, BALIE, bericht(2, aan="BEIDE", replaces=original.signal_id))
        assert codes(one(hub, WIJK, confirmation(only(wire(), WIJK)["delivery_id"]))) == ["niets-te-bevestigen"]
    assert rows(hub, receipts) == []
    assert unconfirmed(hub) == []
    assert [row["unconfirmed"] for row in listed.listing(hub, everything=True)] == [0]


def test_a_receipt_through_the_ingress_topic_counts_once(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, bericht(aan="WIJK"))
    wire()
    accepted(hub, BALIE, withdrawal(receipt.signal_id))
    told = only(wire(), WIJK)
    through_topics(hub, (WIJK, confirmation(told["delivery_id"])), (WIJK, confirmation(told["delivery_id"])))
    assert wire.told() == [(BALIE, "signaalhub.bevestigd", "VERWERKT")]
    assert len(hub.received_by(WIJK)) == 3  # the report, its withdrawal, and that the second receipt was refused


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_confirming_twice_is_refused_also_within_one_batch(hub: Hub, wire: Wire, *, in_one_batch: bool) -> None:
    accepted(hub, BALIE, withdrawal(accepted(hub, BALIE, bericht(aan="WIJK")).signal_id))
    delivery_id = next(one["delivery_id"] for one in wire() if one["type"] == WITHDRAWN)
    twice = [(WIJK, confirmation(delivery_id))] * 2
    found = together(hub, *twice) if in_one_batch else [receipt for event in twice for receipt in together(hub, event)]
    assert [codes(receipt) for receipt in found] == [[], ["al-bevestigd"]]


# --- anonymous signals --------------------------------------------------------------------


def anonymous(hub: Hub) -> set[str]:
    """Return the headers of everything sent so far that would join an anonymous signal to something."""
    reader = hub.transport.consumer(None, OUT)
    found = [record.message.headers for record in reader.poll(1_000)]
    return {name for headers in found for name in headers if name in {"ce_subject", "ce_correlationid"}}


def test_a_recall_of_an_anonymous_signal_stays_anonymous(hub: Hub, wire: Wire) -> None:
    asked = accepted(hub, WIJK, new(VRAAG, nummer=1))
    assert asked.correlation is None
    (question,) = wire()
    corrected = accepted(hub, WIJK, new(VRAAG, nummer=2, replaces=asked.signal_id))
    (again,) = wire()
    assert (again["recipient"], again["replaces"], again["cause"]) == (TOEZICHT, question["delivery_id"], None)
    taken_back = accepted(hub, WIJK, withdrawal(corrected.signal_id))
    (told,) = wire()
    assert (told["recipient"], told["cause"], told["replaces"]) == (TOEZICHT, again["delivery_id"], None)
    confirmed = accepted(hub, TOEZICHT, confirmation(told["delivery_id"]))
    (heard,) = wire()
    assert (heard["recipient"], heard["cause"]) == (WIJK, taken_back.signal_id)
    assert {receipt.correlation for receipt in (asked, corrected, taken_back, confirmed)} == {None}
    assert anonymous(hub) == set()
    with hub.database.read() as connection:
        assert {tuple(row) for row in connection.execute(select(signals.c.keten, signals.c.subject))} == {(None, None)}


@pytest.mark.parametrize("correlation", ["dossier-1", "dossier-2", NOWHERE])
@pytest.mark.parametrize("what", ["withdrawal", "receipt"])
def test_a_recall_of_an_anonymous_signal_cannot_be_given_a_keten(hub: Hub, wire: Wire, what: str, correlation: str) -> None:
    accepted(hub, BALIE, bericht(aan="NIEMAND", correlation="dossier-1"))
    asked = accepted(hub, WIJK, new(VRAAG))
    if what == "withdrawal":
        receipt = one(hub, WIJK, withdrawal(asked.signal_id, correlation=correlation))
    else:
        accepted(hub, WIJK, withdrawal(asked.signal_id))
        told = next(found for found in wire() if found["type"] == WITHDRAWN)
        receipt = one(hub, TOEZICHT, confirmation(told["delivery_id"], correlation=correlation))
    assert codes(receipt) == ["keten-niet-toegestaan"]


# --- what is refused ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What there is before something that must be refused is tried."""

    report: str
    """A report of the balie that both recipients have."""
    at: dict[str, str]
    """Recipient -> the delivery_id of that report."""
    withdrawn: str
    corrected: str
    correction: str
    withdrawal: str
    told: dict[str, str]
    """Recipient -> the delivery_id of the withdrawal."""
    receipt: str
    keten: str
    """The handle of the wijkteam for the keten of a case."""
    announced: str
    asked: str
    decided: str


@pytest.fixture
def known(hub: Hub, wire: Wire) -> Known:
    def send(participant: str, signal: NewSignal) -> str:
        return accepted(hub, participant, signal).signal_id or ""

    report = send(BALIE, bericht(1))
    at = {delivery["recipient"]: delivery["delivery_id"] for delivery in wire()}
    withdrawn, corrected = send(BALIE, bericht(2)), send(BALIE, bericht(3, aan="TOEZICHT"))
    correction = send(BALIE, bericht(4, aan="TOEZICHT", replaces=corrected))
    wire()
    taken_back = send(BALIE, withdrawal(withdrawn))
    told = {delivery["recipient"]: delivery["delivery_id"] for delivery in wire()}
    receipt = send(WIJK, confirmation(told[WIJK]))
    announced = send(BALIE, new(MELDING, bsn=BEA))
    wijk = only([found for found in wire() if found["type"] == MELDING], WIJK)
    asked = send(WIJK, new(VERZOEK, correlation=wijk["correlation"]))
    decided = send(RECHTER, new(BESLUIT, cause=only(wire(), RECHTER)["delivery_id"]))
    return Known(report, at, withdrawn, corrected, correction, taken_back, told, receipt, wijk["correlation"], announced, asked, decided)


Try = Callable[[Known], tuple[str, NewSignal]]
REFUSALS: list[tuple[str, Try, str, str | None]] = [
    ("a withdrawal by who received it", lambda k: (WIJK, withdrawal(k.at[WIJK])), "niet-uw-signaal", "causationid"),
    ("a withdrawal by a stranger", lambda k: (FONDS, withdrawal(k.report)), "keten-onbekend", "causationid"),
    ("a withdrawal by a stranger with another's delivery", lambda k: (FONDS, withdrawal(k.at[WIJK])), "keten-onbekend", "causationid"),
    ("a withdrawal by the same role elsewhere", lambda k: (ELSEWHERE, withdrawal(k.report)), "keten-onbekend", "causationid"),
    ("a withdrawal of what does not exist", lambda _: (BALIE, withdrawal(NOWHERE)), "keten-onbekend", "causationid"),
    ("a withdrawal of nothing", lambda _: (BALIE, withdrawal(None)), "oorzaak-ontbreekt", "causationid"),
    ("a withdrawal of what was withdrawn", lambda k: (BALIE, withdrawal(k.withdrawn)), "al-ingetrokken", "causationid"),
    ("a withdrawal of what was corrected", lambda k: (BALIE, withdrawal(k.corrected)), "al-gecorrigeerd", "causationid"),
    ("a withdrawal of a withdrawal", lambda k: (BALIE, withdrawal(k.withdrawal)), "niet-intrekbaar", "causationid"),
    ("a withdrawal of a receipt", lambda k: (WIJK, withdrawal(k.receipt)), "niet-intrekbaar", "causationid"),
    ("a withdrawal of what moved a case and is not declared", lambda k: (RECHTER, withdrawal(k.decided)), "stap-al-gezet", None),
    ("a withdrawal of a step after which the case moved on", lambda k: (WIJK, withdrawal(k.asked)), "stap-al-gezet", None),
    ("a withdrawal into another keten", lambda k: (WIJK, withdrawal(k.asked, correlation=NOWHERE)), "keten-onbekend", "correlationid"),
    ("a correction by who received it", lambda k: (FONDS, bericht(replaces=k.at[WIJK])), "keten-onbekend", "vervangt"),
    ("a correction of another's signal by a recipient", lambda k: (TOEZICHT, new("nl.proef.antwoord.v1", replaces=k.at[TOEZICHT])),
     "niet-uw-signaal", "vervangt"),
    ("a correction of what does not exist", lambda _: (BALIE, bericht(replaces=NOWHERE)), "keten-onbekend", "vervangt"),
    ("a correction of what was withdrawn", lambda k: (BALIE, bericht(replaces=k.withdrawn)), "al-ingetrokken", "vervangt"),
    ("a correction of what was corrected", lambda k: (BALIE, bericht(replaces=k.corrected)), "al-gecorrigeerd", "vervangt"),
    ("a correction of a withdrawal", lambda k: (BALIE, bericht(replaces=k.withdrawal)), "niet-intrekbaar", "vervangt"),
    ("a correction of a withdrawal by a withdrawal", lambda k: (BALIE, replace(withdrawal(k.report), replaces=k.withdrawal)),
     "niet-intrekbaar", "vervangt"),
    ("a correction by a withdrawal", lambda k: (BALIE, replace(withdrawal(k.report), replaces=k.report)), "correctie-ander-type", "vervangt"),
    ("a correction that changes the type", lambda k: (BALIE, new(DOSSIER, replaces=k.report)), "correctie-ander-type", "vervangt"),
    ("a correction that changes the person", lambda k: (BALIE, bericht(bsn=BEA, replaces=k.report)), "correctie-andere-persoon", None),
    ("a correction into another keten", lambda k: (BALIE, bericht(replaces=k.report, correlation=NOWHERE)), "keten-onbekend", "correlationid"),
    ("a correction of a step after which the case moved on", lambda k: (BALIE, new(MELDING, bsn=BEA, replaces=k.announced)),
     "stap-al-gezet", None),
    ("a correction that a content rule refuses", lambda k: (BALIE, bericht(0, replaces=k.report)), "proef-nul", None),
    ("a receipt for what is no recall", lambda k: (WIJK, confirmation(k.at[WIJK])), "niets-te-bevestigen", "causationid"),
    ("a receipt for one's own recall", lambda k: (BALIE, confirmation(k.withdrawal)), "niets-te-bevestigen", "causationid"),
    ("a receipt for another's delivery", lambda k: (WIJK, confirmation(k.told[TOEZICHT])), "keten-onbekend", "causationid"),
    ("a receipt for nothing", lambda _: (WIJK, confirmation(None)), "oorzaak-ontbreekt", "causationid"),
    ("a second receipt", lambda k: (WIJK, confirmation(k.told[WIJK], "NIET_GEVONDEN")), "al-bevestigd", "causationid"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "code", "field"), [pytest.param(*case[1:], id=case[0]) for case in REFUSALS])
def test_what_may_not_be_taken_back_is_refused_by_a_code_of_its_own_and_changes_nothing(
    hub: Hub, wire: Wire, known: Known, attempt: Try, code: str, field: str | None
) -> None:
    wire()
    before = books(hub)
    receipt = one(hub, *attempt(known))
    assert [(error.code, error.field) for error in receipt.errors] == [(code, field)]
    assert receipt.status == "rejected"
    assert books(hub) == before
    assert wire() == []


@pytest.mark.parametrize("code", ["correctie-andere-gemeente", "gemeente-niet-toegestaan"])
def test_a_correction_that_changes_the_municipality_is_refused(hub: Hub, wire: Wire, code: str) -> None:
    publisher = FONDS if code == "correctie-andere-gemeente" else BALIE  # who works everywhere gets past admission
    original = accepted(hub, publisher, bericht(1))
    wire()
    before = books(hub)
    receipt = one(hub, publisher, bericht(2, gemeentecode="0344", replaces=original.signal_id))
    assert [(error.code, error.field) for error in receipt.errors] == [(code, "gemeentecode")]
    assert books(hub) == before
    assert wire() == []


@pytest.mark.parametrize(("who", "type_"), [(BALIE, BERICHT), (WIJK, VRAAG)])
def test_a_correction_of_what_was_erased_is_refused(hub: Hub, wire: Wire, clock: MovingClock, who: str, type_: str) -> None:
    original = accepted(hub, who, new(type_))
    tick(hub, clock, "2027-06-01T00:00")
    wire()
    before = books(hub)
    receipt = one(hub, who, new(type_, nummer=2, replaces=original.signal_id))
    assert [(error.code, error.field) for error in receipt.errors] == [("origineel-gewist", "vervangt")]
    assert books(hub) == before
    assert wire() == []


def test_what_is_said_late_in_a_keten_whose_first_signal_was_erased_can_still_be_corrected(
    hub: Hub, wire: Wire, clock: MovingClock
) -> None:
    begun = accepted(hub, BALIE, bericht(1))
    tick(hub, clock, "2027-06-01T00:00")
    begun = accepted(hub, BALIE, bericht(1))
    tick(hub, clock, "2027-06-01T00:00")
    late = accepted(hub, BALIE, new(UITKOMST, nummer=2, cause=begun.signal_id))
    had = {found["recipient"]: found["delivery_id"] for found in wire() if found["type"] == UITKOMST}
    assert had.keys() == {WIJK, TOEZICHT}
    assert codes(one(hub, BALIE, new(UITKOMST, nummer=3, replaces=late.signal_id))) == []
    assert {found["recipient"]: found["replaces"] for found in wire()} == had


def test_of_two_recalls_of_one_signal_in_one_batch_the_first_counts(hub: Hub, wire: Wire) -> None:
    original = accepted(hub, BALIE, bericht(1))
    wire()
    found = together(hub, *((BALIE, signal) for signal in (
        bericht(2, replaces=original.signal_id), withdrawal(original.signal_id), bericht(3, replaces=original.signal_id))))  # fmt: skip
    assert [codes(receipt) for receipt in found] == [[], ["al-gecorrigeerd"], ["al-gecorrigeerd"]]
    assert wire.told() == [(TOEZICHT, "bericht.toezicht", 2), (WIJK, "bericht.wijk", 2)]


def test_a_refused_recall_in_a_batch_takes_nothing_of_the_others_with_it(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    *_, third, _ = berichten(hub, 1, 2, 3, 4)
    wire()
    found = together(hub, *((BALIE, signal) for signal in (
        bericht(0, aan="WIJK", replaces=third), withdrawal(third), bericht(0, aan="WIJK"), bericht(5, aan="WIJK"))))  # fmt: skip
    assert [codes(receipt) for receipt in found] == [["proef-nul"], [], ["proef-nul"], []]
    assert queue(hub) == (2, 2)
    tick(hub, clock, "2026-12-01T00:00")
    assert [said for _, _, said in wire.told()] == [4, 5]


# --- on the command line ------------------------------------------------------------------


@pytest.fixture
def cli(proef: World, monkeypatch: pytest.MonkeyPatch) -> Cli:
    found = Cli(proef.home, monkeypatch)
    found.rules, found.schemas = proef.rules, proef.schemas
    return found


def test_the_command_line_withdraws_corrects_confirms_and_lists(cli: Cli) -> None:
    def published(*more: str, type_: str, data: Any, participant: str = BALIE) -> dict[str, Any]:
        ran = cli.publish(data, *more, type_=type_, participant=participant)
        assert ran.code == 0, ran.said
        result: dict[str, Any] = ran.json[0]
        return result

    report = dict(bericht(1).data)
    first = published(type_=BERICHT, data=report)
    second = published("--replaces", first["signal_id"], type_=BERICHT, data=report | {"nummer": 2, "aan": "WIJK"})
    published("--cause", second["signal_id"], type_=WITHDRAWN, data={"redencode": "VERHUISD"})
    assert cli("run", "--once").code == 0
    wijk = cli("deliveries", WIJK, "--json").lines
    assert [(one["type"], one["replaces"], one["cause"]) for one in wijk] == [
        (BERICHT, None, None), (BERICHT, wijk[0]["delivery_id"], None), (WITHDRAWN, None, wijk[1]["delivery_id"]),
    ]  # fmt: skip
    toezicht = cli("deliveries", TOEZICHT, "--json").lines
    assert [(one["type"], one["cause"], one["data"]) for one in toezicht][1:] == [
        (WITHDRAWN, toezicht[0]["delivery_id"], {"redencode": "ANDERS"})
    ]
    published("--cause", wijk[2]["delivery_id"], type_=CONFIRMED, data={"resultaat": "VERWERKT"}, participant=WIJK)
    moment = "2026-11-02T08:00:00.000Z"
    ran = cli("recalls", "list", "--json")
    assert (ran.code, ran.lines) == (0, [{
        "signal": first["signal_id"], "type": BERICHT, "publisher": BALIE, "kind": "corrected", "time": moment,
        "recipients": [{"recipient": WIJK, "confirmed": None}, {"recipient": TOEZICHT, "confirmed": None}], "unconfirmed": 2,
    }])  # fmt: skip
    everything = cli("recalls", "list", "--all", "--json").lines
    assert everything[1:] == [{
        "signal": second["signal_id"], "type": BERICHT, "publisher": BALIE, "kind": "withdrawn", "time": moment,
        "recipients": [{"recipient": WIJK, "confirmed": moment}], "unconfirmed": 0,
    }]  # fmt: skip
    table = cli("recalls", "list").out
    assert "gecorrigeerd" in table
    assert ANNA not in table + json.dumps(everything)


@pytest.mark.parametrize("option", ["--cause", "--replaces"])
def test_a_recall_that_is_refused_exits_with_1_and_its_code(cli: Cli, option: str) -> None:
    ran = cli.publish(dict(bericht(2).data), option, NOWHERE, type_=BERICHT, participant=BALIE)
    assert ran.code == 1
    assert [error["code"] for error in ran.json[0]["errors"]] == ["keten-onbekend"]


# --- a later rule set ---------------------------------------------------------------------


def test_a_correction_is_decided_under_the_rules_of_today(proef: World) -> None:
    with proef.open() as hub:
        original = accepted(hub, BALIE, bericht(1))
        had = Wire(hub)()
    proef.edit("proef-bericht.yaml", "when: s.aan == 'TOEZICHT' || s.aan == 'BEIDE'", "when: s.aan == 'TOEZICHT'")
    with proef.open() as hub:
        wire = Wire(hub)
        wire()
        accepted(hub, BALIE, bericht(2, replaces=original.signal_id))
        got = wire()
        assert only(got, TOEZICHT)["type"] == WITHDRAWN
        assert only(got, TOEZICHT)["cause"] == only(had, TOEZICHT)["delivery_id"]
        assert only(got, WIJK)["replaces"] == only(had, WIJK)["delivery_id"]


def test_a_rule_that_is_gone_does_not_keep_a_withdrawal_from_who_has_the_signal(proef: World) -> None:
    with proef.open() as hub:
        original = accepted(hub, BALIE, bericht(1, aan="TOEZICHT"))
        (had,) = Wire(hub)()
    proef.edit("proef-bericht.yaml", "when: s.aan == 'TOEZICHT' || s.aan == 'BEIDE'", "valid: {until: 2026-11-01}")
    with proef.open() as hub:
        wire = Wire(hub)
        wire()
        accepted(hub, BALIE, withdrawal(original.signal_id))
        (told,) = wire()
        assert (told["recipient"], told["cause"]) == (TOEZICHT, had["delivery_id"])
