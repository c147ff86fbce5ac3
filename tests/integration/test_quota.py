"""The cap: exactly so many a period, the rest in order in the next ones, nothing lost, under any interleaving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import func, select

from hub import app
from hub.app import Hub, MovingClock, load_files, open_for_examples, open_hub
from hub.client import NewSignal
from hub.domain import terms
from hub.domain.ruleset import RuleSet
from hub.quotas import stands
from hub.storage.tables import Outcome, State, deliveries, quota_usage, signals
from hub.storage.tables import decisions as decisions_table
from tests.integration import support
from tests.integration.support import (
    DEFERRED,
    EINDHOVEN,
    EXPIRED,
    LANDLORD,
    amounts,
    at_once,
    at_rest,
    copied,
    debts,
    decisions,
    edit,
    in_processes,
    limit,
    one,
    opened,
    outcomes,
    received,
    tick,
    without_examples,
)
from tests.sample import DEBT, debt, debt_data
from tests.services import EmptyDatabase


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return copied("rules", tmp_path / "rules")


def used(hub: Hub) -> int:
    with hub.database.read() as connection:
        return connection.execute(select(func.sum(quota_usage.c.used))).scalar() or 0


def count(hub: Hub, outcome: Outcome) -> int:
    """Return how many decisions of participants' signals have this outcome."""
    with hub.database.read() as connection:
        return connection.execute(
            select(func.count())
            .select_from(decisions_table.join(signals, signals.c.id == decisions_table.c.signal))
            .where(decisions_table.c.outcome == outcome, signals.c.type == hub.names.find(connection, DEBT))
        ).scalar_one()


# --- the cap and the queue ----------------------------------------------------------------


def test_a_receipt_says_what_waits_as_the_notice_does_and_says_it_again_of_the_same_signal(hub: Hub) -> None:
    new = [replace(debt(bedrag_cent=number), id=f"d-{number}") for number in range(1, 53)]
    first, again = hub.publish(LANDLORD, new), hub.publish(LANDLORD, new)
    assert [receipt.deferred for receipt in first] == [False] * 50 + [True] * 2
    assert [(receipt.status, receipt.deferred) for receipt in again[49:]] == [
        ("duplicate", False),
        ("duplicate", True),
        ("duplicate", True),
    ]
    told = [notice["data"]["signaal_id"] for notice in received(hub, LANDLORD, DEFERRED)]
    assert told == [receipt.signal_id for receipt in first if receipt.deferred]
    other = one(hub, LANDLORD, replace(debt(bedrag_cent=1_000), id="d-52"))
    assert (other.status, other.deferred) == ("rejected", False), "another signal under the same id"


def test_fifty_go_through_and_the_next_one_waits(hub: Hub) -> None:
    receipts = debts(hub, range(1, 52))
    assert outcomes(hub, receipts) == ["deliver"] * 50 + ["defer"]
    assert decisions(hub, receipts[50].signal_id) == [(EINDHOVEN, "vaste-lasten.huur", "defer", "wacht-op-ruimte")]
    assert amounts(hub) == list(range(1, 51))


@pytest.mark.parametrize("size", [1, 7, 120])
def test_batches_of_any_size_give_the_same_fifty(hub: Hub, size: int) -> None:
    numbers = list(range(1, 121))
    for start in range(0, 120, size):
        hub.publish(LANDLORD, [debt(bedrag_cent=number) for number in numbers[start : start + size]])
    assert amounts(hub) == numbers[:50]
    assert count(hub, Outcome.DEFER) == 70
    assert used(hub) == 50


def test_a_hundred_and_twenty_signals_go_through_as_fifty_fifty_and_twenty(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 121))
    sizes, moments = [], ["2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00"]
    for moment in moments:
        sizes.append(len(amounts(hub)))
        tick(hub, clock, moment)
    assert sizes == [50, 100, 120]
    assert amounts(hub) == list(range(1, 121))
    assert count(hub, Outcome.RELEASED) == 70


def test_what_is_released_counts_for_the_new_period(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 81))
    tick(hub, clock, "2026-12-01T00:00")
    later = debts(hub, range(81, 111))
    assert outcomes(hub, later) == ["deliver"] * 20 + ["defer"] * 10


def test_who_comes_while_others_wait_joins_the_queue_although_the_new_period_has_room(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 53))
    clock.now = terms.moment("2026-12-01T08:00")  # a new month, and the clock has not run yet
    (late,) = debts(hub, [53])
    assert decisions(hub, late.signal_id)[-1][2] == "defer"
    assert amounts(hub) == list(range(1, 54))
    assert decisions(hub, late.signal_id)[-1][2:] == ("released", "ruimte-vrij")


def test_the_queue_is_released_oldest_first_whoever_sent_it_and_under_whichever_rule(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 51))
    for number in range(51, 71):
        if number % 2:
            debts(hub, [number])
        else:
            debts(hub, [number], "stroom-voorbeeld", partnersoort="ENERGIE")
    tick(hub, clock, "2026-12-01T00:00")
    found = received(hub, EINDHOVEN, DEBT)
    assert [delivery["data"]["bedrag_cent"] for delivery in found] == list(range(1, 71))
    assert [delivery["sequence"] for delivery in received(hub, EINDHOVEN)] == list(range(1, len(received(hub, EINDHOVEN)) + 1))
    assert {delivery["grant"] for delivery in found[50:]} == {"vaste-lasten.huur", "vaste-lasten.energie"}


def test_the_clock_releases_nothing_within_the_period_however_often_it_runs(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 56))
    for day in ("2026-11-03", "2026-11-17", "2026-11-30"):
        tick(hub, clock, f"{day}T12:00")
        assert len(amounts(hub)) == 50


def test_a_waiting_delivery_is_not_projected_before_it_leaves(hub: Hub) -> None:
    debts(hub, range(1, 52))
    with hub.database.read() as connection:
        waiting = connection.execute(select(deliveries).where(deliveries.c.state == State.WAITING)).one()
    assert waiting.payload is None
    assert waiting.sequence is None


def test_the_books_say_how_each_cap_stands(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 61))
    key = {"quota": "tijdig-in-zicht", "key": f"tijdig-in-zicht {EINDHOVEN}", "limit": 50}
    assert stands(hub) == [{**key, "period": "2026-11-01", "used": 50, "waiting": 10}]
    tick(hub, clock, "2026-12-01T00:00")
    assert stands(hub) == [{**key, "period": "2026-12-01", "used": 10, "waiting": 0}]


# --- period edges in Dutch time -----------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "first", "last"),
    [
        pytest.param("month", "2026-11-01T00:00+01:00", "2026-11-30T23:59:59.999+01:00", id="a month in winter"),
        pytest.param("month", "2026-10-01T00:00+02:00", "2026-10-31T23:59:59.999+01:00", id="the month in which winter time begins"),
        pytest.param("month", "2026-03-01T00:00+01:00", "2026-03-31T23:59:59.999+02:00", id="the month in which summer time begins"),
        pytest.param("month", "2028-02-01T00:00+01:00", "2028-02-29T23:59:59.999+01:00", id="February of a leap year"),
        pytest.param("month", "2026-12-01T00:00+01:00", "2026-12-31T23:59:59.999+01:00", id="December"),
        pytest.param("day", "2026-10-25T00:00+02:00", "2026-10-25T23:59:59.999+01:00", id="the day of 25 hours"),
        pytest.param("day", "2026-03-29T00:00+01:00", "2026-03-29T23:59:59.999+02:00", id="the day of 23 hours"),
        pytest.param("day", "2026-07-01T00:00+02:00", "2026-07-01T23:59:59.999+02:00", id="a day in summer"),
        pytest.param("year", "2026-01-01T00:00+01:00", "2026-12-31T23:59:59.999+01:00", id="a year"),
    ],
)
def test_a_period_lasts_to_its_last_millisecond_and_ends_at_dutch_midnight(
    tmp_path: Path, rules: Path, per: str, first: str, last: str
) -> None:
    limit(rules, 1, per)
    clock = MovingClock(terms.moment(first))
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = debts(hub, [1])
        clock.now = terms.moment(last)
        receipts += debts(hub, [2, 3])
        hub.run_once()
        assert outcomes(hub, receipts) == ["deliver", "defer", "defer"]
        clock.now += 1
        hub.run_once()
        assert outcomes(hub, receipts) == ["deliver", "released", "defer"]
        (fresh,) = stands(hub)
        assert fresh["period"] == terms.amsterdam_date(clock.now).isoformat()


def test_the_hour_that_comes_twice_belongs_to_one_day(tmp_path: Path, rules: Path) -> None:
    limit(rules, 2, "day")
    clock = MovingClock(terms.moment("2026-10-25T02:30+02:00"))
    with opened(tmp_path / "home", clock, rules) as hub:
        debts(hub, [1])
        clock.now = terms.moment("2026-10-25T02:30+01:00")
        debts(hub, [2, 3])
        assert amounts(hub) == [1, 2]


def test_the_last_millisecond_of_october_is_october_and_the_next_is_november(tmp_path: Path) -> None:
    clock = MovingClock(terms.moment("2026-10-31T23:59:59.999"))
    with opened(tmp_path / "home", clock) as hub:
        october = debts(hub, range(1, 52))
        clock.now = terms.moment("2026-11-01T00:00")
        hub.run_once()
        november = debts(hub, range(52, 102))
        assert outcomes(hub, october) == ["deliver"] * 50 + ["released"]
        assert outcomes(hub, november) == ["deliver"] * 49 + ["defer"]


def test_the_moment_of_forwarding_counts_and_not_the_time_in_the_signal(hub: Hub) -> None:
    old = [NewSignal(type=DEBT, data=debt_data(bedrag_cent=n), time="2026-10-15T12:00:00Z") for n in range(1, 31)]
    hub.publish(LANDLORD, old)
    assert outcomes(hub, debts(hub, range(31, 52))) == ["deliver"] * 20 + ["defer"]


def test_several_periods_without_a_tick_release_one_period_at_most(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 121))
    tick(hub, clock, "2027-03-15T12:00")
    assert len(amounts(hub)) == 100


# --- what is not metered ------------------------------------------------------------------


def test_a_crisis_is_neither_deferred_nor_counted(hub: Hub, clock: MovingClock) -> None:
    assert outcomes(hub, debts(hub, range(1, 6), crisissignaal=True)) == ["deliver"] * 5
    assert used(hub) == 0
    assert outcomes(hub, debts(hub, range(6, 57))) == ["deliver"] * 50 + ["defer"]
    assert outcomes(hub, debts(hub, [57], crisissignaal=True)) == ["deliver"]
    assert amounts(hub) == [*range(1, 56), 57]
    tick(hub, clock, "2026-12-01T00:00")
    assert outcomes(hub, debts(hub, range(58, 108))) == ["deliver"] * 49 + ["defer"]


def test_a_duplicate_takes_no_place_and_waits_no_second_time(hub: Hub) -> None:
    signals_ = [NewSignal(type=DEBT, data=debt_data(bedrag_cent=n), id=f"s-{n}") for n in range(1, 61)]
    hub.publish(LANDLORD, signals_)
    again = hub.publish(LANDLORD, signals_)
    assert {receipt.status for receipt in again} == {"duplicate"}
    assert used(hub) == 50
    assert stands(hub)[0]["waiting"] == 10
    assert count(hub, Outcome.DEFER) == 10


def test_records_that_come_again_from_the_topic_count_once(hub: Hub) -> None:
    hub.send(LANDLORD, [debt(bedrag_cent=n) for n in range(1, 61)])
    consumer = hub.transport.consumer("routers", "signals.in.")
    records = consumer.poll(100)
    hub.router.process([app.received(record) for record in records])
    consumer.close()  # killed before the commit: everything comes again
    assert amounts(hub) == list(range(1, 51))
    assert used(hub) == 50
    assert count(hub, Outcome.DELIVER) + count(hub, Outcome.DEFER) == 60


def test_a_refused_signal_takes_no_place(hub: Hub) -> None:
    for _ in range(3):
        assert one(hub, LANDLORD, debt(herinneringen=0)).status == "rejected"
    assert outcomes(hub, debts(hub, range(1, 51))) == ["deliver"] * 50


# --- limits from the agreement ------------------------------------------------------------


def test_each_agreement_has_a_cap_of_its_own(hub: Hub) -> None:
    company = "woonhuis-verzonnen"
    tilburg = debts(hub, range(1, 52), company, gemeentecode="0855")
    zaanstad = debts(hub, range(1, 52), company, gemeentecode="0479")
    assert outcomes(hub, tilburg) == outcomes(hub, zaanstad) == ["deliver"] * 50 + ["defer"]
    assert {row["key"] for row in stands(hub)} == {
        "vroegsignalering-tilburg schuldhulp.0855", "vroegsignalering-zaanstad schuldhulp.0479",
    }  # fmt: skip


def test_partners_under_one_agreement_share_its_cap(hub: Hub) -> None:
    debts(hub, range(1, 31))
    assert outcomes(hub, debts(hub, range(31, 52), "bron-voorbeeld", partnersoort="WATER")) == ["deliver"] * 20 + ["defer"]


def test_an_agreement_without_a_limit_has_no_cap(hub: Hub) -> None:
    assert set(outcomes(hub, debts(hub, range(1, 121), gemeentecode="0344"))) == {"deliver"}
    assert stands(hub)[0]["limit"] is None


@pytest.mark.parametrize(("number", "through"), [(1, 6), (20, 25), (50, 55), (60, 60), (None, 60)])
def test_a_release_goes_by_the_limit_of_the_rules_in_force_by_then(
    tmp_path: Path, rules: Path, clock: MovingClock, number: int | None, through: int
) -> None:
    limit(rules, 5)
    with opened(tmp_path / "home", clock, rules) as hub:
        debts(hub, range(1, 61))
    edit(rules, "agreements.yaml", "    limit: 5\n", f"    limit: {number}\n" if number else "", 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        tick(hub, clock, "2026-12-01T00:00")
        assert amounts(hub) == list(range(1, through + 1))


def test_a_limit_that_is_raised_makes_room_at_once(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    limit(rules, 5)
    with opened(tmp_path / "home", clock, rules) as hub:
        debts(hub, range(1, 13))
        assert amounts(hub) == [1, 2, 3, 4, 5]
    edit(rules, "agreements.yaml", "    limit: 5\n", "    limit: 8\n", 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        assert amounts(hub) == list(range(1, 9))
        assert stands(hub)[0] == stands(hub)[0] | {"used": 8, "limit": 8, "waiting": 4}


def test_a_limit_that_is_lowered_takes_nothing_back(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock, rules) as hub:
        debts(hub, range(1, 52))
    limit(rules, 3)
    with opened(tmp_path / "home", clock, rules) as hub:
        assert len(amounts(hub)) == 50
        tick(hub, clock, "2026-12-01T00:00")
        assert outcomes(hub, debts(hub, range(52, 55))) == ["deliver", "deliver", "defer"]


def test_a_limit_of_nothing_lets_nothing_through_and_loses_nothing(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    limit(rules, 0)
    with opened(tmp_path / "home", clock, rules) as hub:
        debts(hub, range(1, 4))
        tick(hub, clock, "2026-12-01T00:00")
        assert amounts(hub) == []
        assert stands(hub)[0]["waiting"] == 3


# --- what waits no longer holds -----------------------------------------------------------


def test_an_agreement_that_ends_while_a_signal_waits_ends_the_waiting_and_both_are_told(
    tmp_path: Path, rules: Path, clock: MovingClock
) -> None:
    limit(rules, 2)
    edit(rules, "agreements.yaml", "    from: 2018-07-01\n", "    from: 2018-07-01\n    until: 2026-11-30\n")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = debts(hub, [1, 2, 3])
        tick(hub, clock, "2026-12-01T00:00")
        assert decisions(hub, receipts[2].signal_id)[-1] == (EINDHOVEN, "vaste-lasten.huur", "expired", "regel-vervallen")
        assert amounts(hub) == [1, 2]
        for participant in (LANDLORD, EINDHOVEN):
            (told,) = received(hub, participant, EXPIRED)
            assert told["data"]["regel"] == "vaste-lasten.huur"
            assert told["data"]["reden"] == "regel-vervallen"
        tick(hub, clock, "2027-01-01T00:00")
        assert len(received(hub, LANDLORD, EXPIRED)) == 1


def test_the_last_day_of_an_agreement_still_counts(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    limit(rules, 2)
    edit(rules, "agreements.yaml", "    from: 2018-07-01\n", "    from: 2018-07-01\n    until: 2026-12-01\n")
    with opened(tmp_path / "home", clock, rules) as hub:
        debts(hub, [1, 2, 3])
        tick(hub, clock, "2026-12-01T23:59")
        assert amounts(hub) == [1, 2, 3]


def test_a_rule_that_is_gone_ends_the_waiting(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    limit(rules, 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = debts(hub, [1, 2])
    edit(rules, "vaste-lasten.yaml", "    valid: {from: 2021-01-01}\n    when: e.role == 'woningcorporatie'",
         "    valid: {from: 2021-01-01, until: 2026-11-01}\n    when: e.role == 'woningcorporatie'")  # fmt: skip
    with opened(tmp_path / "home", clock, rules) as hub:
        hub.run_once()
        assert decisions(hub, receipts[1].signal_id)[-1][2:] == ("expired", "regel-vervallen")


def test_who_was_to_receive_it_and_left_the_hub_does_not_get_it(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    limit(rules, 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = debts(hub, [1, 2])
    for file in ("vaste-lasten.yaml", "cjib.yaml"):
        without_examples(rules, file)
    edit(rules, "participants.yaml", 'name: Schuldhulpverlening, government: true, per_municipality: all, oin: "0000009900000011{gemeentecode}"',
         'name: Schuldhulpverlening, government: true, per_municipality: {"0344": {oin: "00000099000000110344"}}')  # fmt: skip
    with opened(tmp_path / "home", clock, rules) as hub:
        tick(hub, clock, "2026-12-01T00:00")
        assert decisions(hub, receipts[1].signal_id)[-1][2] == "expired"
        assert amounts(hub) == [1]


def test_a_waiting_signal_on_an_unsettled_ground_does_not_go_to_a_participant_that_became_real(
    tmp_path: Path, rules: Path, clock: MovingClock
) -> None:
    limit(rules, 1)
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = debts(hub, [1, 2])
    edit(rules, "participants.yaml", '"0000009900000011{gemeentecode}"', '"0000000100000011{gemeentecode}"')
    with opened(tmp_path / "home", clock, rules) as hub:
        tick(hub, clock, "2026-12-01T00:00")
        assert decisions(hub, receipts[1].signal_id)[-1][2] == "expired"
        assert amounts(hub) == [1]


def test_a_retention_that_passes_while_a_signal_waits_ends_the_waiting_and_erases_it(hub: Hub, clock: MovingClock) -> None:
    receipts = debts(hub, range(1, 52))
    tick(hub, clock, "2027-06-01T00:00")
    assert decisions(hub, receipts[50].signal_id)[-1][2:] == ("expired", "bewaartermijn-verstreken")
    assert [told["data"]["reden"] for told in received(hub, LANDLORD, EXPIRED)] == ["bewaartermijn-verstreken"]
    assert [told["data"]["reden"] for told in received(hub, EINDHOVEN, EXPIRED)] == ["bewaartermijn-verstreken"]
    with hub.database.read() as connection:
        number = hub.names.find(connection, DEBT)
        rows = connection.execute(select(signals.c.sealed_key, signals.c.payload).where(signals.c.type == number)).all()
    assert {tuple(row) for row in rows} == {(None, None)}
    assert used(hub) == 50


def test_who_never_received_a_signal_is_not_told_its_signal_id(tmp_path: Path, rules: Path, clock: MovingClock) -> None:
    limit(rules, 1)
    edit(rules, "agreements.yaml", "    from: 2018-07-01\n", "    from: 2018-07-01\n    until: 2026-11-30\n")
    with opened(tmp_path / "home", clock, rules) as hub:
        receipts = debts(hub, [1, 2])
        tick(hub, clock, "2026-12-01T00:00")
        (publisher,) = received(hub, LANDLORD, EXPIRED)
        assert publisher["data"]["signaal_id"] == publisher["cause"] == receipts[1].signal_id
        shown = str(received(hub, EINDHOVEN))
        assert all(receipt.signal_id not in shown for receipt in receipts if receipt.signal_id)


# --- who is told --------------------------------------------------------------------------


def test_publisher_and_municipality_hear_how_many_wait_and_nothing_else(hub: Hub) -> None:
    receipts = debts(hub, range(1, 51))
    for number in (51, 52, 53):
        receipts += debts(hub, [number], achternaam="Merkteken")
    told = received(hub, LANDLORD, DEFERRED)
    assert [notice["data"] for notice in told] == [
        {"signaal_id": receipts[50 + i].signal_id, "regel": "vaste-lasten.huur", "wachtend": i + 1} for i in range(3)
    ]
    heard = received(hub, EINDHOVEN, DEFERRED)
    assert [notice["data"] for notice in heard] == [
        {"signaal_id": None, "regel": "vaste-lasten.huur", "wachtend": i + 1} for i in range(3)
    ]  # fmt: skip
    assert {notice["subject"] for notice in told + heard} == {None}
    assert "Merkteken" not in str(told + heard)


def test_a_batch_tells_the_municipality_once(hub: Hub) -> None:
    hub.publish(LANDLORD, [debt(bedrag_cent=n) for n in range(1, 61)])
    assert [notice["data"]["wachtend"] for notice in received(hub, EINDHOVEN, DEFERRED)] == [10]
    assert [notice["data"]["wachtend"] for notice in received(hub, LANDLORD, DEFERRED)] == list(range(1, 11))


def test_nobody_else_is_told(hub: Hub) -> None:
    debts(hub, range(1, 52))
    hub.run_once()
    with hub.database.read() as connection:
        recipients = {hub.names.name(connection, n) for n in connection.execute(select(deliveries.c.recipient).distinct()).scalars()}
    assert recipients == {LANDLORD, EINDHOVEN}


# --- at once ------------------------------------------------------------------------------


def test_eight_threads_that_publish_at_once_get_exactly_fifty_through(hub: Hub) -> None:
    def publish(number: int) -> None:
        for i in range(6):
            hub.publish(LANDLORD, [debt(bedrag_cent=1_000 * number + 2 * i + j + 1) for j in range(2)])

    at_once(*(partial(publish, number) for number in range(8)))
    balance(hub, 96)


def publish_twelve(home: Path, number: int, ready: Callable[[], object]) -> None:
    with opened(home, MovingClock(terms.moment("2026-11-02T09:00"))) as hub:
        ready()
        for i in range(1, 13):
            debts(hub, [1_000 * number + i])


def test_eight_processes_on_one_file_get_exactly_fifty_through(tmp_path: Path, clock: MovingClock) -> None:
    in_processes(publish_twelve, tmp_path / "home", 8)
    with opened(tmp_path / "home", clock) as hub:
        balance(hub, 96)


def publish_and_turn_months(home: Path, number: int, ready: Callable[[], object]) -> None:
    """Publish in the last minute of November, then let the clock run at the first moment of three months, all at once."""
    url = SecretStr((home.parent / "url").read_text(encoding="utf-8"))
    clock = MovingClock(terms.moment("2026-11-30T23:59"))
    hub = open_hub(support.settings(home).model_copy(update={"database_url": url}), clock=clock)
    ready()
    for i in range(21):
        debts(hub, [1 + 3 * number + 24 * i + j for j in range(3)])
    for moment in ("2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00"):
        ready()
        clock.now = terms.moment(moment)
        hub.clock.run_once()
    hub.close()


def test_eight_processes_on_postgresql_get_exactly_fifty_a_month_through(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """504 signals for one municipality at once, and three edges of a month: fifty each, in the order of arrival."""
    (tmp_path / "url").write_text(postgres.url, encoding="utf-8")
    in_processes(publish_and_turn_months, tmp_path / "home", 8)
    ours = support.settings(tmp_path / "home").model_copy(update={"database_url": SecretStr(postgres.url)})
    hub = open_hub(ours, clock=MovingClock(terms.moment("2027-02-01T00:00")))
    with hub.database.read() as connection:
        used = connection.execute(select(quota_usage.c.used).order_by(quota_usage.c.period)).scalars().all()
        metered = deliveries.c.grant == hub.names.find(connection, "vaste-lasten.huur")
        states = connection.execute(select(deliveries.c.state).where(metered).order_by(deliveries.c.signal)).scalars().all()
    hub.close()
    assert list(used) == [50] * 4
    assert list(states) == [State.READY] * 200 + [State.WAITING] * 304, "not in the order of arrival"


def balance(hub: Hub, published: int) -> None:
    """Hold the books against each other: fifty delivered, the rest waiting, none lost or doubled."""
    assert count(hub, Outcome.DELIVER) == used(hub) == 50
    assert count(hub, Outcome.DEFER) == published - 50
    assert stands(hub)[0]["waiting"] == published - 50
    got = amounts(hub)
    assert len(got) == len(set(got)) == 50
    with hub.database.read() as connection:
        states = Counter(connection.execute(select(deliveries.c.state).where(deliveries.c.grant == hub.names.find(
            connection, "vaste-lasten.huur"))).scalars())  # fmt: skip
        waiting = connection.execute(select(deliveries.c.signal).where(deliveries.c.state == State.WAITING).order_by(deliveries.c.id)).all()
    assert states == {State.SENT: 50, State.WAITING: published - 50}
    assert waiting == sorted(waiting)


def test_clocks_in_threads_release_once(tmp_path: Path, clock: MovingClock) -> None:
    with ExitStack() as stack:
        hubs = [stack.enter_context(opened(tmp_path / "home", clock)) for _ in range(3)]
        debts(hubs[0], range(1, 81))
        clock.now = terms.moment("2026-12-01T00:00")
        at_once(*(hub.clock.run_once for hub in hubs))
        assert count(hubs[0], Outcome.RELEASED) == 30
        assert amounts(hubs[0]) == list(range(1, 81))


def run_the_clock(home: Path, _number: int, ready: Callable[[], object]) -> None:
    with opened(home, MovingClock(terms.moment("2026-12-01T00:00"))) as hub:
        ready()
        hub.clock.run_once()


def test_two_clocks_in_processes_release_once(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        debts(hub, range(1, 121))
    in_processes(run_the_clock, tmp_path / "home", 2)
    clock.now = terms.moment("2026-12-01T00:00")
    with opened(tmp_path / "home", clock) as hub:
        assert count(hub, Outcome.RELEASED) == 50
        assert amounts(hub) == list(range(1, 101))


def test_publishing_while_the_clock_releases_never_passes_the_cap_or_the_queue(tmp_path: Path, clock: MovingClock) -> None:
    with ExitStack() as stack:
        releasing, publishing = (stack.enter_context(opened(tmp_path / "home", clock)) for _ in range(2))
        debts(publishing, range(1, 71))
        clock.now = terms.moment("2026-12-01T00:00")
        at_once(releasing.clock.run_once, lambda: [debts(publishing, [n]) for n in range(71, 131)], releasing.clock.run_once)
        assert amounts(publishing) == list(range(1, 101))


# --- any interleaving ---------------------------------------------------------------------


@dataclass(slots=True)
class Books:
    """What should have happened, kept beside the hub."""

    waiting: list[int] = field(default_factory=list)
    through: list[tuple[date, int]] = field(default_factory=list)
    room: int = 3
    published: int = 0

    def publish(self, day: date, *, crisis: bool) -> None:
        self.published += 1
        if crisis:
            self.through.append((day, self.published))
        elif self.waiting or not self.room:
            self.waiting.append(self.published)
        else:
            self.room -= 1
            self.through.append((day, self.published))

    def release(self, day: date) -> None:
        while self.room and self.waiting:
            self.room -= 1
            self.through.append((day, self.waiting.pop(0)))


@pytest.fixture(scope="module")
def three_a_day(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    folder = copied("rules", tmp_path_factory.mktemp("quota") / "rules")
    limit(folder, 3, "day")
    return load_files(support.settings(folder.parent / "home", folder)).unwrap()


STEPS = st.lists(st.sampled_from(["publish", "publish", "crisis", "publish three", "next day", "tick"]), max_size=30)


@settings(deadline=None, max_examples=40)
@given(steps=STEPS)
def test_no_interleaving_of_signals_days_and_ticks_passes_the_cap_or_the_order(three_a_day: RuleSet, steps: list[str]) -> None:
    clock = MovingClock(terms.moment("2026-10-23T12:00"))  # the day of 25 hours is two days off
    hub, books = open_for_examples(three_a_day, clock), Books()
    for step in steps:
        today = terms.amsterdam_date(clock.now)
        if step == "next day":
            clock.now += 86_400_000
            books.room = 3
        elif step == "tick":
            hub.clock.run_once()
            books.release(today)
        else:
            number = 3 if step == "publish three" else 1
            numbers = range(books.published + 1, books.published + number + 1)
            hub.publish(LANDLORD, [debt(bedrag_cent=n, crisissignaal=step == "crisis") for n in numbers])
            for _ in range(number):
                books.publish(today, crisis=step == "crisis")
    assert went_through(hub) == books.through
    assert sum(row["waiting"] for row in stands(hub)) == len(books.waiting)
    hub.close()


def went_through(hub: Hub) -> list[tuple[date, int]]:
    """Return the Dutch day and the number of every arrear that was delivered or released, in order of decision."""
    with hub.database.read() as connection:
        kind = hub.names.find(connection, DEBT)
        numbers = {row.id: i for i, row in enumerate(connection.execute(
            select(signals.c.id).where(signals.c.type == kind).order_by(signals.c.id)), 1)}  # fmt: skip
        rows = connection.execute(
            select(decisions_table).where(decisions_table.c.outcome.in_([Outcome.DELIVER, Outcome.RELEASED])).order_by(decisions_table.c.id)
        ).all()
    return [(terms.amsterdam_date(row.at), numbers[row.signal]) for row in rows if row.signal in numbers]


def test_nothing_of_a_waiting_signal_is_readable_at_rest(tmp_path: Path, clock: MovingClock) -> None:
    with opened(tmp_path / "home", clock) as hub:
        debts(hub, range(1, 52), achternaam="Merkteken")
        stored = at_rest(tmp_path / "home")
    assert b"vaste-lasten.huur" in stored  # the search looks in the right place
    assert b"Merkteken" not in stored
