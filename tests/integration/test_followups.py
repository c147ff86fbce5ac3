"""What depends on what came before in a keten: following, answering, holding back, and staying anonymous."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.app import Hub, MovingClock
from hub.client import NewSignal
from hub.domain import terms
from hub.domain.signal import Signal
from hub.placing import WITHDRAWN
from hub.record import Recorder
from hub.storage.tables import State, signals
from hub.transport.base import OUT
from tests.integration.memory import (
    ADVIES,
    ANNA,
    ANTWOORD,
    BALIE,
    BEA,
    BERICHT,
    DOSSIER,
    ELSEWHERE,
    FONDS,
    OPGEPAKT,
    REACTIE,
    TOEZICHT,
    UITGEVOERD,
    UITKOMST,
    VRAAG,
    WIJK,
    Wire,
    World,
    books,
    new,
    only,
    signal_id,
    states,
    through_topics,
    together,
    withdrawal,
    world,
)
from tests.integration.support import accepted, codes, decisions, one, tick

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


def one_by_one(hub: Hub, *events: tuple[str, NewSignal]) -> None:
    for participant, signal in events:
        accepted(hub, participant, signal)


def in_one_batch(hub: Hub, *events: tuple[str, NewSignal]) -> None:
    assert {receipt.status for receipt in together(hub, *events)} == {"accepted"}


WAYS = [pytest.param(way, id=way.__name__) for way in (one_by_one, in_one_batch, through_topics)]
Way = Callable[..., None]


# --- following ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("aan", "follows"), [
    ("WIJK", [(WIJK, "bericht.uitkomst", 7)]),
    ("TOEZICHT", [(TOEZICHT, "bericht.uitkomst-toezicht", 7)]),
    ("BEIDE", [(TOEZICHT, "bericht.uitkomst-toezicht", 7), (WIJK, "bericht.uitkomst", 7)]),
    ("NIEMAND", []),
])  # fmt: skip
def test_what_follows_goes_only_to_who_received_what_it_follows(
    hub: Hub, wire: Wire, way: Way, aan: str, follows: list[tuple[str, str, Any]]
) -> None:
    cause = signal_id(hub, BALIE, "b-1")
    way(hub, (BALIE, new(BERICHT, aan=aan, id_="b-1")), (BALIE, new(UITKOMST, nummer=7, cause=cause, id_="u-1")))
    assert [told for told in wire.told() if told[2] == 7] == follows
    withheld = {(who, reason) for who, _, outcome, reason in decisions(hub, signal_id(hub, BALIE, "u-1")) if outcome == "withhold"}
    assert withheld == {(who, "volgt-niet") for who in {WIJK, TOEZICHT} - {who for who, _, _ in follows}}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_follows_what_was_taken_back(hub: Hub, wire: Wire, way: Way) -> None:
    cause = signal_id(hub, BALIE, "b-1")
    way(hub, (BALIE, new(BERICHT, id_="b-1")), (BALIE, withdrawal(cause)), (BALIE, new(UITKOMST, nummer=7, cause=cause)))
    got = wire()
    assert sorted((delivery["recipient"], delivery["type"]) for delivery in got) == [
        (TOEZICHT, BERICHT), (TOEZICHT, WITHDRAWN), (WIJK, BERICHT), (WIJK, WITHDRAWN),
    ]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_what_follows_a_correction_goes_to_who_has_the_correction(hub: Hub, wire: Wire, way: Way) -> None:
    first, second = signal_id(hub, BALIE, "b-1"), signal_id(hub, BALIE, "b-2")
    way(
        hub,
        (BALIE, new(BERICHT, aan="WIJK", id_="b-1")),
        (BALIE, new(BERICHT, aan="TOEZICHT", nummer=2, id_="b-2", replaces=first)),
        (BALIE, new(UITKOMST, nummer=7, cause=second)),
    )
    assert [told for told in wire.told() if told[2] == 7] == [(TOEZICHT, "bericht.uitkomst-toezicht", 7)]


def test_who_still_waits_for_it_has_not_received_it(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    _, _, third = (accepted(hub, BALIE, new(BERICHT, nummer=n, aan="WIJK")).signal_id for n in (1, 2, 3))
    wire()
    early = accepted(hub, BALIE, new(UITKOMST, nummer=7, cause=third))
    assert wire() == []
    assert (WIJK, "bericht.uitkomst", "withhold", "volgt-niet") in decisions(hub, early.signal_id)
    tick(hub, clock, "2026-12-01T00:00")
    accepted(hub, BALIE, new(UITKOMST, nummer=8, cause=third))
    assert wire.told() == [(WIJK, "bericht.uitkomst", 8), (WIJK, "bericht.wijk", 3)]


def test_what_was_received_in_another_keten_about_the_same_person_does_not_count(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(BERICHT))
    other = accepted(hub, BALIE, new(BERICHT, nummer=2, aan="NIEMAND"))
    wire()
    accepted(hub, BALIE, new(UITKOMST, nummer=7, cause=other.signal_id))
    assert wire() == []


# --- publisher and starter ----------------------------------------------------------------


def test_an_answer_goes_to_who_published_what_it_answers_and_not_to_who_began(hub: Hub, wire: Wire) -> None:
    begun = accepted(hub, FONDS, new(BERICHT))
    report = wire()
    outcome = accepted(hub, TOEZICHT, new(UITKOMST, nummer=7, cause=only(report, TOEZICHT)["delivery_id"]))
    (followed,) = wire()
    assert followed["recipient"] == WIJK
    accepted(hub, WIJK, new(ANTWOORD, nummer=8, cause=followed["delivery_id"]))
    (answer,) = wire()
    assert (answer["recipient"], answer["cause"]) == (TOEZICHT, outcome.signal_id)
    accepted(hub, WIJK, new(ANTWOORD, nummer=9, cause=only(report, WIJK)["delivery_id"]))
    (answer,) = wire()
    assert (answer["recipient"], answer["cause"], answer["correlation"]) == (FONDS, begun.signal_id, begun.correlation)


@pytest.mark.parametrize(("opener", "municipality"), [(FONDS, "0855"), (BALIE, "0855"), (FONDS, "0344"), (ELSEWHERE, "0344")])
def test_what_is_for_the_starter_goes_to_who_opened_the_keten_and_to_nobody_else(
    hub: Hub, wire: Wire, opener: str, municipality: str
) -> None:
    team = f"wijkteam.{municipality}"
    begun = accepted(hub, opener, new(BERICHT, gemeentecode=municipality, correlation="dossier-1"))
    accepted(hub, team, new(REACTIE, nummer=7, correlation=only(wire(), team)["correlation"]))
    (reaction,) = wire()
    assert (reaction["recipient"], reaction["data"], reaction["correlation"]) == (opener, {"nummer": 7}, "dossier-1")
    assert begun.correlation == "dossier-1"


def test_the_starter_does_not_get_its_own_signal_back(hub: Hub, wire: Wire) -> None:
    begun = accepted(hub, BALIE, new(BERICHT))
    wire()
    receipt = accepted(hub, BALIE, new(REACTIE, nummer=7, cause=begun.signal_id))
    assert wire() == []
    assert decisions(hub, receipt.signal_id) == [(BALIE, "bericht.reactie", "withhold", "eigen-signaal")]


@pytest.mark.parametrize("way", WAYS)
def test_once_the_first_signal_of_a_keten_was_withdrawn_nothing_is_for_its_starter_and_after_a_correction_it_is(
    hub: Hub, wire: Wire, way: Way
) -> None:
    ketens = []
    for number in (1, 2):
        accepted(hub, BALIE, new(BERICHT, nummer=number, id_=f"b-{number}", correlation=f"dossier-{number}"))
        ketens.append(only(wire(), TOEZICHT)["correlation"])
    way(
        hub,
        (BALIE, withdrawal(signal_id(hub, BALIE, "b-1"))),
        (TOEZICHT, new(REACTIE, nummer=7, correlation=ketens[0])),
        (BALIE, new(BERICHT, nummer=3, replaces=signal_id(hub, BALIE, "b-2"))),
        (TOEZICHT, new(REACTIE, nummer=8, correlation=ketens[1])),
    )
    assert [told for told in wire.told() if told[1] == "bericht.reactie"] == [(BALIE, "bericht.reactie", 8)]


# --- answers and ketens -------------------------------------------------------------------


@pytest.mark.parametrize(("signal", "code", "field"), [
    pytest.param(lambda _: new(ANTWOORD), "oorzaak-ontbreekt", "causationid", id="an answer to nothing"),
    pytest.param(lambda d: new(ANTWOORD, correlation=d["correlation"]), "oorzaak-ontbreekt", "causationid", id="an answer to a keten"),
    pytest.param(lambda _: new(ANTWOORD, cause=NOWHERE), "keten-onbekend", "causationid", id="an answer to what does not exist"),
    pytest.param(lambda d: new(ANTWOORD, cause=d["delivery_id"], correlation=NOWHERE), "keten-onbekend", "correlationid",
                 id="an answer in another keten"),
    pytest.param(lambda _: new(REACTIE), "keten-onbekend", "correlationid", id="no keten to inherit a person from"),
    pytest.param(lambda _: new(REACTIE, correlation=NOWHERE), "keten-onbekend", "correlationid", id="a keten that does not exist"),
    pytest.param(lambda _: new(REACTIE, correlation="dossier-1"), "keten-onbekend", "correlationid", id="the name that another chose"),
])  # fmt: skip
def test_what_belongs_nowhere_is_refused_and_changes_nothing(
    hub: Hub, wire: Wire, signal: Callable[[dict[str, Any]], NewSignal], code: str, field: str
) -> None:
    accepted(hub, BALIE, new(BERICHT, correlation="dossier-1"))
    delivery = only(wire(), WIJK)
    before = books(hub)
    receipt = one(hub, WIJK, signal(delivery))
    assert [(error.code, error.field) for error in receipt.errors] == [(code, field)]
    assert books(hub) == before
    assert wire() == []


def test_an_answer_to_another_type_is_refused(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(DOSSIER))
    receipt = one(hub, WIJK, new(ANTWOORD, cause=only(wire(), WIJK)["delivery_id"]))
    assert [(error.code, error.field) for error in receipt.errors] == [("oorzaak-past-niet", "causationid")]
    assert wire() == []


def test_a_signal_inherits_the_person_of_its_keten(hub: Hub, wire: Wire) -> None:
    for bsn, numbers in ((ANNA, (1, 2)), (BEA, (3, 4))):
        begun = accepted(hub, BALIE, new(BERICHT, nummer=numbers[0], bsn=bsn))
        accepted(hub, BALIE, new(UITKOMST, nummer=numbers[1], cause=begun.signal_id))
    got = {delivery["data"]["nummer"]: delivery for delivery in wire() if delivery["recipient"] == TOEZICHT}
    assert got[1]["subject"] == got[2]["subject"] != got[3]["subject"] == got[4]["subject"]
    assert got[1]["correlation"] == got[2]["correlation"] != got[3]["correlation"] == got[4]["correlation"]


# --- holding back until pick-up -----------------------------------------------------------


def picked_up(hub: Hub, who: str, delivery: dict[str, Any], nummer: int = 7) -> None:
    accepted(hub, who, new(OPGEPAKT, nummer=nummer, correlation=delivery["correlation"]))


def test_before_pick_up_nothing_of_it_is_on_the_wire(hub: Hub, wire: Wire) -> None:
    receipt = accepted(hub, BALIE, new(DOSSIER))
    assert wire.told() == [(TOEZICHT, "dossier.toezicht", 1), (WIJK, "dossier.wijk", 1)]
    reader = hub.transport.consumer(None, OUT)
    everything = b"".join(record.message.value for record in reader.poll(100))
    assert ANNA.encode() not in everything
    assert b"Merkteken" not in everything
    assert decisions(hub, receipt.signal_id)[2:] == [
        (WIJK, "dossier.wie", "withhold", "wacht-op-oppakken"), (TOEZICHT, "dossier.wie-toezicht", "withhold", "wacht-op-oppakken"),
    ]  # fmt: skip


def test_after_pick_up_it_goes_to_who_picked_up_and_to_nobody_else(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    receipt = accepted(hub, BALIE, new(DOSSIER))
    got = wire()
    clock.now += 3_600_000
    picked_up(hub, WIJK, only(got, WIJK))
    after = wire()
    who = only(after, WIJK)
    assert (who["grant"], who["data"]) == ("dossier.wie", {"nummer": 1, "bsn": ANNA, "naam": "Anna Merkteken"})
    assert who["time"] == "2026-11-02T09:00:00.000Z"
    assert (who["correlation"], who["subject"]) == (only(got, WIJK)["correlation"], only(got, WIJK)["subject"])
    assert len(after) == 2  # and the balie hears that it was picked up
    assert decisions(hub, receipt.signal_id)[-1] == (WIJK, "dossier.wie", "released", "opgepakt")
    picked_up(hub, WIJK, only(got, WIJK), 8)
    assert wire.told() == [(BALIE, "dossier.opgepakt", 8)]  # a second time releases nothing again
    picked_up(hub, TOEZICHT, only(got, TOEZICHT))
    assert wire.told() == [(BALIE, "dossier.opgepakt", 7), (TOEZICHT, "dossier.wie-toezicht", 1)]


def test_what_comes_after_pick_up_goes_at_once(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(DOSSIER, correlation="dossier-1"))
    picked_up(hub, WIJK, only(wire(), WIJK))
    wire()
    receipt = accepted(hub, BALIE, new(DOSSIER, nummer=2, correlation="dossier-1"))
    assert wire.told() == [(TOEZICHT, "dossier.toezicht", 2), (WIJK, "dossier.wie", 2), (WIJK, "dossier.wijk", 2)]
    assert (WIJK, "dossier.wie", "deliver", "volgens-regel") in decisions(hub, receipt.signal_id)
    assert (TOEZICHT, "dossier.wie-toezicht", "withhold", "wacht-op-oppakken") in decisions(hub, receipt.signal_id)


@pytest.mark.parametrize("way", WAYS)
def test_within_one_batch_what_comes_before_pick_up_is_released_and_what_comes_after_goes_at_once(hub: Hub, wire: Wire, way: Way) -> None:
    accepted(hub, BALIE, new(DOSSIER, correlation="dossier-1"))
    keten = only(wire(), WIJK)["correlation"]
    way(
        hub,
        (BALIE, new(DOSSIER, nummer=2, correlation="dossier-1", id_="d-2")),
        (WIJK, new(OPGEPAKT, nummer=7, correlation=keten)),
        (BALIE, new(DOSSIER, nummer=3, correlation="dossier-1", id_="d-3")),
    )
    got = [delivery for delivery in wire() if delivery["grant"] == "dossier.wie"]
    assert [(delivery["recipient"], delivery["data"]["nummer"]) for delivery in got] == [(WIJK, 1), (WIJK, 2), (WIJK, 3)]
    assert all(one["sequence"] < other["sequence"] for one, other in pairwise(got))
    found = [decisions(hub, signal_id(hub, BALIE, name)) for name in ("d-2", "d-3")]
    assert [[outcome for _, grant, outcome, _ in told if grant == "dossier.wie"] for told in found] == [
        ["withhold", "released"],
        ["deliver"],
    ]


def test_picking_up_in_another_keten_about_the_same_person_releases_nothing(hub: Hub, wire: Wire) -> None:
    first = accepted(hub, BALIE, new(DOSSIER, nummer=1))
    wire()
    accepted(hub, BALIE, new(DOSSIER, nummer=2))
    picked_up(hub, WIJK, only(wire(), WIJK))
    assert wire.told() == [(BALIE, "dossier.opgepakt", 7), (WIJK, "dossier.wie", 2)]
    assert dict(states(hub, first.signal_id))["dossier.wie"] == State.HELD


def test_each_rule_waits_for_its_own_type(proef: World) -> None:
    proef.edit("proef-dossier.yaml", f"release_on: {OPGEPAKT}, agreements", f"release_on: {REACTIE}, agreements")
    with proef.open() as hub:
        wire = Wire(hub)
        receipt = accepted(hub, BALIE, new(DOSSIER))
        got = only(wire(), WIJK)
        picked_up(hub, WIJK, got)
        assert wire.told() == [(BALIE, "dossier.opgepakt", 7)]
        assert dict(states(hub, receipt.signal_id))["dossier.wie"] == State.HELD
        accepted(hub, WIJK, new(REACTIE, nummer=8, correlation=got["correlation"]))
        assert wire.told() == [(BALIE, "bericht.reactie", 8), (WIJK, "dossier.wie", 1)]


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_fault_of_the_hub_in_the_middle_of_a_pick_up_releases_nothing_by_half(
    hub: Hub, wire: Wire, monkeypatch: pytest.MonkeyPatch, *, in_one_batch: bool
) -> None:
    receipts = [accepted(hub, BALIE, new(DOSSIER, nummer=number, correlation="dossier-1")) for number in (1, 2)]
    keten = next(found["correlation"] for found in wire() if found["recipient"] == WIJK)
    before = books(hub)
    project = Recorder.project

    def fails(recorder: Recorder, signal: Signal, *rest: Any) -> tuple[int, bytes]:
        if signal.data.get("nummer") == 2:
            raise LookupError
        return project(recorder, signal, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "project", fails)
        events = [(WIJK, new(OPGEPAKT, nummer=7, correlation=keten)), (WIJK, new(REACTIE, nummer=8, correlation=keten))]
        found = together(hub, *events) if in_one_batch else [receipt for event in events[:1] for receipt in together(hub, event)]
    assert codes(found[0]) == ["interne-fout"]
    assert [dict(states(hub, receipt.signal_id))["dossier.wie"] for receipt in receipts] == [State.HELD] * 2
    if in_one_batch:
        assert wire.told() == [(BALIE, "bericht.reactie", 8)]
    else:
        assert books(hub) == before
    accepted(hub, WIJK, new(OPGEPAKT, nummer=9, correlation=keten))
    assert wire.told() == [(BALIE, "dossier.opgepakt", 9), (WIJK, "dossier.wie", 1), (WIJK, "dossier.wie", 2)]


@pytest.mark.parametrize("correlation", ["dossier-1", NOWHERE, None])
def test_a_pick_up_that_is_refused_releases_nothing(hub: Hub, wire: Wire, correlation: str | None) -> None:
    accepted(hub, BALIE, new(DOSSIER, correlation="dossier-1"))
    wire()
    assert codes(one(hub, WIJK, new(OPGEPAKT, correlation=correlation))) == ["keten-onbekend"]
    assert wire() == []


def test_after_a_pick_up_was_taken_back_what_comes_next_is_held_back_again(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(DOSSIER, correlation="dossier-1"))
    receipt = accepted(hub, WIJK, new(OPGEPAKT, correlation=only(wire(), WIJK)["correlation"]))
    accepted(hub, WIJK, withdrawal(receipt.signal_id))
    wire()
    accepted(hub, BALIE, new(DOSSIER, nummer=2, correlation="dossier-1"))
    assert wire.told() == [(TOEZICHT, "dossier.toezicht", 2), (WIJK, "dossier.wijk", 2)]


def test_what_was_held_back_answers_like_any_delivery_and_not_before(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(DOSSIER))
    got = only(wire(), WIJK)
    picked_up(hub, WIJK, got)
    who = only(wire(), WIJK)
    receipt = accepted(hub, WIJK, new(REACTIE, nummer=9, cause=who["delivery_id"]))
    assert receipt.correlation == got["correlation"]
    assert wire.told() == [(BALIE, "bericht.reactie", 9)]


# --- what no longer holds at pick-up ------------------------------------------------------


GONE: list[Any] = [
    pytest.param("proef-dossier.yaml", "id: dossier.wie,", "id: dossier.anders,", id="the rule is gone"),
    pytest.param("proef-dossier.yaml", "agreements: [proef-altijd]}", "agreements: [proef-altijd], valid: {until: 2026-11-02}}",
                 id="the rule no longer holds"),
    pytest.param("agreements.yaml", "municipalities: all, from: 2020-01-01", "municipalities: all, from: 2020-01-01, until: 2026-11-02",
                 id="the agreement ended"),
    pytest.param("agreements.yaml", "municipalities: all,", 'municipalities: ["0344"],', id="the agreement left the municipality"),
    pytest.param("agreements.yaml", "parties: [balie, fonds]", "parties: [fonds]", id="the publisher left the agreement"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "changed"), GONE)
def test_what_is_no_longer_granted_at_pick_up_expires_and_never_goes_out(
    proef: World, clock: MovingClock, file: str, old: str, changed: str
) -> None:
    with proef.open() as hub:
        receipt = accepted(hub, BALIE, new(DOSSIER))
        got = only(Wire(hub)(), WIJK)
    proef.edit(file, old, changed)
    clock.now = terms.moment("2026-11-03T09:00")
    with proef.open() as hub:
        wire = Wire(hub)
        wire()
        picked_up(hub, WIJK, got)
        assert wire.told() == [(BALIE, "dossier.opgepakt", 7)]
        assert decisions(hub, receipt.signal_id)[-1] == (WIJK, "dossier.wie", "expired", "regel-vervallen")
        assert dict(states(hub, receipt.signal_id))["dossier.wie"] == State.DROPPED
        picked_up(hub, WIJK, got, 8)
        assert wire.told() == [(BALIE, "dossier.opgepakt", 8)]
        assert len(decisions(hub, receipt.signal_id)) == 5


def test_who_left_the_hub_gets_nothing_of_what_was_held_back(proef: World) -> None:
    with proef.open() as hub:
        receipt = accepted(hub, BALIE, new(DOSSIER))
        got = only(Wire(hub)(), WIJK)
    proef.edit("participants.yaml", '{"0855": {oin: "00000099000000920855"}, ', "{")
    with proef.open() as hub:
        wire = Wire(hub)
        wire()
        assert codes(one(hub, WIJK, new(OPGEPAKT, correlation=got["correlation"]))) == ["deelnemer-onbekend"]
        assert wire() == []
        assert dict(states(hub, receipt.signal_id))["dossier.wie"] == State.HELD


def test_what_nobody_picked_up_expires_with_its_retention(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    receipt = accepted(hub, BALIE, new(DOSSIER))
    got = only(wire(), WIJK)
    tick(hub, clock, "2027-05-02T08:59:59.999")
    assert decisions(hub, receipt.signal_id)[-1][2] == "withhold"
    tick(hub, clock, "2027-05-02T09:00")
    assert decisions(hub, receipt.signal_id)[4:] == [
        (WIJK, "dossier.wie", "expired", "bewaartermijn-verstreken"), (TOEZICHT, "dossier.wie-toezicht", "expired", "bewaartermijn-verstreken"),
    ]  # fmt: skip
    picked_up(hub, WIJK, got)
    assert wire.told() == [(BALIE, "dossier.opgepakt", 7)]
    with hub.database.read() as connection:
        assert connection.execute(select(signals.c.sealed_key).order_by(signals.c.id)).scalars().first() is None


@pytest.mark.parametrize("way", WAYS)
def test_a_pick_up_after_the_retention_releases_nothing_although_no_clock_ran_in_between(
    hub: Hub, wire: Wire, clock: MovingClock, way: Way
) -> None:
    receipt = accepted(hub, BALIE, new(DOSSIER))
    got = only(wire(), WIJK)
    clock.now = terms.moment("2027-05-02T09:00")
    way(hub, (WIJK, new(OPGEPAKT, nummer=7, correlation=got["correlation"])))
    assert wire.told() == [(BALIE, "dossier.opgepakt", 7)]
    assert (WIJK, "dossier.wie", "expired", "bewaartermijn-verstreken") in decisions(hub, receipt.signal_id)


# --- anonymous signals --------------------------------------------------------------------


def test_an_anonymous_question_and_its_answer_carry_nothing_that_joins_them_to_anything(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(BERICHT))
    wire()
    asked = accepted(hub, WIJK, new(VRAAG, nummer=5))
    (question,) = wire()
    assert (question["recipient"], question["data"]) == (TOEZICHT, {"gemeentecode": "0855", "nummer": 5})
    advised = accepted(hub, TOEZICHT, new(ADVIES, nummer=6, cause=question["delivery_id"]))
    (advice,) = wire()
    assert (advice["recipient"], advice["data"], advice["cause"]) == (WIJK, {"nummer": 6}, asked.signal_id)
    assert {found[name] for found in (question, advice) for name in ("subject", "correlation", "replaces")} == {None}
    assert (asked.correlation, advised.correlation, question["cause"]) == (None, None, None)
    reader = hub.transport.consumer(None, OUT)
    headers = [
        record.message.headers for record in reader.poll(100) if record.message.headers["ce_type"] in {VRAAG.encode(), ADVIES.encode()}
    ]
    assert len(headers) == 2
    assert not {"ce_subject", "ce_correlationid"} & {name for found in headers for name in found}
    with hub.database.read() as connection:
        number = hub.names.find(connection, BERICHT)
        stored = connection.execute(select(signals.c.keten, signals.c.subject).where(signals.c.type != number)).all()
    assert {tuple(row) for row in stored} == {(None, None)}


@pytest.mark.parametrize(("who", "signal", "code"), [
    pytest.param(WIJK, lambda d, _v: new(VRAAG, correlation=d["correlation"]), "keten-niet-toegestaan", id="a question in a keten"),
    pytest.param(WIJK, lambda _d, _v: new(VRAAG, correlation="dossier-9"), "keten-niet-toegestaan", id="a question that begins a keten"),
    pytest.param(WIJK, lambda d, _v: new(VRAAG, cause=d["delivery_id"]), "keten-niet-toegestaan", id="a question with a cause"),
    pytest.param(WIJK, lambda _d, _v: new(VRAAG, cause=NOWHERE), "keten-niet-toegestaan", id="a question with a cause that is none"),
    pytest.param(TOEZICHT, lambda _d, v: new(ADVIES, cause=v["delivery_id"], correlation="x"), "keten-niet-toegestaan",
                 id="an answer in a keten"),
    pytest.param(TOEZICHT, lambda _d, _v: new(ADVIES), "oorzaak-ontbreekt", id="an answer to nothing"),
    pytest.param(TOEZICHT, lambda _d, v: new(REACTIE, cause=v["delivery_id"]), "keten-niet-toegestaan", id="a reaction about a person to a question"),
    pytest.param(TOEZICHT, lambda _d, v: new(ANTWOORD, cause=v["delivery_id"]), "oorzaak-past-niet", id="an answer about a person to it"),
])  # fmt: skip
def test_an_anonymous_signal_is_given_no_keten_and_no_cause(
    hub: Hub, wire: Wire, who: str, signal: Callable[[dict[str, Any], dict[str, Any]], NewSignal], code: str
) -> None:
    accepted(hub, BALIE, new(BERICHT))
    report = only(wire(), WIJK)
    accepted(hub, WIJK, new(VRAAG))
    (question,) = wire()
    before = books(hub)
    assert codes(one(hub, who, signal(report, question))) == [code]
    assert books(hub) == before
    assert wire() == []


@pytest.mark.parametrize("joins", ["the question", "the advice"])
@pytest.mark.parametrize("type_", [DOSSIER, UITGEVOERD])
def test_a_signal_about_a_person_is_never_joined_to_an_anonymous_one(hub: Hub, wire: Wire, type_: str, joins: str) -> None:
    accepted(hub, WIJK, new(VRAAG))
    cause = only(wire(), TOEZICHT)["delivery_id"]
    if joins == "the advice":  # who answers may join no more than who asks
        cause = accepted(hub, TOEZICHT, new(ADVIES, cause=cause)).signal_id
        wire()
    receipt = one(hub, TOEZICHT, new(type_, nummer=9, cause=cause))
    if type_ == UITGEVOERD:  # a fact is never refused, so it loses the link
        assert [(told["recipient"], told["cause"]) for told in wire()] == [(WIJK, None)]
    else:
        assert codes(receipt) == ["keten-niet-toegestaan"]
        assert wire() == []
    with hub.database.read() as connection:
        numbers = [hub.names.find(connection, name) for name in (DOSSIER, UITGEVOERD)]
        assert set(connection.execute(select(signals.c.cause).where(signals.c.type.in_(numbers))).scalars()) <= {None}


def test_two_questions_of_one_team_cannot_be_told_to_be_of_one_case(hub: Hub, wire: Wire) -> None:
    for number in (1, 2):
        accepted(hub, WIJK, new(VRAAG, nummer=number))
    first, second = wire()
    same = {name for name in first if first[name] == second[name]}
    assert same == {"type", "grant", "purpose", "recipient", "time", "subject", "correlation", "cause", "replaces"}
    assert {first[name] for name in ("subject", "correlation", "cause", "replaces")} == {None}


# --- what the registers say ---------------------------------------------------------------


@pytest.mark.parametrize(("moment", "arrives"), [
    ("2026-10-31T23:59:59.999", False), ("2026-11-01T00:00", True), ("2026-11-30T23:59:59.999", True), ("2026-12-01T00:00", False),
])  # fmt: skip
def test_a_grant_holds_from_its_first_day_to_its_last(proef: World, clock: MovingClock, moment: str, *, arrives: bool) -> None:
    proef.edit("proef-overleg.yaml", "explain: Proef.}\n  - {id: overleg.advies",
               "explain: Proef., valid: {from: 2026-11-01, until: 2026-11-30}}\n  - {id: overleg.advies")  # fmt: skip
    clock.now = terms.moment(moment)
    with proef.open() as hub:
        receipt = accepted(hub, WIJK, new(VRAAG))
        assert [told[0] for told in Wire(hub).told()] == ([TOEZICHT] if arrives else [])
        if not arrives:
            assert decisions(hub, receipt.signal_id) == [("*", None, "withhold", "geen-regel")]


AGREED = 'parties: [fonds], municipalities: ["0855"], from: 2026-11-02, until: 2026-11-03'


@pytest.mark.parametrize(("who", "municipality", "moment", "covered"), [
    (FONDS, "0855", "2026-11-01T23:59:59.999", False), (FONDS, "0855", "2026-11-02T00:00", True),
    (FONDS, "0855", "2026-11-03T23:59:59.999", True), (FONDS, "0855", "2026-11-04T00:00", False),
    (FONDS, "0344", "2026-11-02T00:00", False), (BALIE, "0855", "2026-11-02T00:00", False),
])  # fmt: skip
def test_an_agreement_covers_its_parties_in_its_municipalities_on_its_days(
    proef: World, clock: MovingClock, who: str, municipality: str, moment: str, *, covered: bool
) -> None:
    proef.edit("agreements.yaml", "parties: [balie, fonds], municipalities: all, from: 2020-01-01", AGREED)
    clock.now = terms.moment(moment)
    with proef.open() as hub:
        receipt = one(hub, who, new(BERICHT, aan="WIJK", gemeentecode=municipality))
        assert codes(receipt) == ([] if covered else ["geen-afspraak"])
        assert [told[0] for told in Wire(hub).told()] == ([f"wijkteam.{municipality}"] if covered else [])


def test_where_the_agreement_fails_for_one_recipient_the_other_still_gets_it(proef: World) -> None:
    proef.edit("agreements.yaml", "parties: [balie, fonds], municipalities: all, from: 2020-01-01", AGREED)
    with proef.open() as hub:
        receipt = accepted(hub, BALIE, new(BERICHT, aan="BEIDE"))
        assert Wire(hub).told() == [(TOEZICHT, "bericht.toezicht", 1)]
        assert (WIJK, "bericht.wijk", "withhold", "geen-afspraak") in decisions(hub, receipt.signal_id)


REAL = [
    pytest.param('"00000099000000920855"', '"00000001000000920855"', id="a real recipient"),
    pytest.param('"00000099000000910855"', '"00000001000000910855"', id="a real publisher"),
]


def unsettle(proef: World, rule: str) -> None:
    """Give one grant of the dossier a ground that has not been confirmed."""
    proef.edit("proef-dossier.yaml", f"id: {rule}, signal: {DOSSIER}, to: wijkteam, legal_basis: [proef-vast]",
               f"id: {rule}, signal: {DOSSIER}, to: wijkteam, legal_basis: [proef-vast, proef-toets]")  # fmt: skip


@pytest.mark.parametrize(("old", "real"), REAL)
def test_on_an_unsettled_ground_nothing_is_even_held_back_for_a_real_organisation(proef: World, old: str, real: str) -> None:
    unsettle(proef, "dossier.wie")
    proef.edit("participants.yaml", old, real)
    with proef.open() as hub:
        wire = Wire(hub)
        receipt = accepted(hub, BALIE, new(DOSSIER))
        got = wire()
        assert sorted(one["grant"] for one in got) == ["dossier.toezicht", "dossier.wijk"]
        assert (WIJK, "dossier.wie", "withhold", "grondslag-te-toetsen") in decisions(hub, receipt.signal_id)
        assert "dossier.wie" not in dict(states(hub, receipt.signal_id))
        picked_up(hub, WIJK, only(got, WIJK))
        assert wire.told() == [(BALIE, "dossier.opgepakt", 7)]


@pytest.mark.parametrize(("old", "real"), REAL)
def test_what_is_held_back_on_an_unsettled_ground_does_not_go_to_who_became_real(proef: World, old: str, real: str) -> None:
    unsettle(proef, "dossier.wie")
    with proef.open() as hub:
        receipt = accepted(hub, BALIE, new(DOSSIER))
        got = only(Wire(hub)(), WIJK)
    proef.edit("participants.yaml", old, real)
    with proef.open() as hub:
        wire = Wire(hub)
        wire()
        picked_up(hub, WIJK, got)
        assert wire.told() == [(BALIE, "dossier.opgepakt", 7)]
        assert decisions(hub, receipt.signal_id)[-1][:3] == (WIJK, "dossier.wie", "expired")


def test_among_test_participants_an_unsettled_ground_holds_back_and_releases_as_usual(proef: World) -> None:
    unsettle(proef, "dossier.wie")
    with proef.open() as hub:
        wire = Wire(hub)
        accepted(hub, BALIE, new(DOSSIER))
        picked_up(hub, WIJK, only(wire(), WIJK))
        assert wire.told() == [(BALIE, "dossier.opgepakt", 7), (WIJK, "dossier.wie", 1)]
