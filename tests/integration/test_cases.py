"""Cases through the whole pipeline: steps, terms, guards, alarms, and that whatever is refused leaves a case as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub import cases as asking
from hub.app import Hub, MovingClock
from hub.client import NewSignal, Receipt
from hub.domain import terms
from hub.domain.processfile import REMINDER
from hub.storage.tables import Outcome, case_steps, cases, decisions, rejections, signals
from tests.integration.memory import (
    AFGEROND,
    ANNA,
    BALIE,
    BEA,
    BERICHT,
    BESLUIT,
    CONTACT,
    ELSEWHERE,
    MELDING,
    RECHTER,
    TOEZICHT,
    UITGEVOERD,
    VERZOEK,
    WIJK,
    Wire,
    World,
    books,
    new,
    only,
    rows,
    signal_id,
    through_topics,
    together,
    withdrawal,
    world,
)
from tests.integration.support import Cli, accepted, at_once, at_rest, codes, one, tick

NOWHERE = "01234567-89ab-4cde-8f01-23456789abcd"
BEGUN = "2026-11-02T08:00:00.000Z"


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


@dataclass(slots=True)
class Traject:
    """One case as its participants know it."""

    hub: Hub
    wire: Wire
    keten: dict[str, str]
    """Participant -> its name for the keten."""
    ids: dict[str, str] = field(default_factory=dict)
    """Signal type -> the signal_id of the last one."""
    asked: str = ""
    """The delivery_id of the last request, at who decides."""

    def send(self, who: str, type_: str, **changed: Any) -> Receipt:
        """Publish in the keten, in the name of a participant."""
        if type_ == BESLUIT:
            changed.setdefault("cause", self.asked)
        elif "replaces" not in changed:
            changed.setdefault("correlation", self.keten[who])
        return one(self.hub, who, new(type_, **changed))

    def step(self, who: str, type_: str, **changed: Any) -> list[tuple[str, str, Any]]:
        """Publish what must be accepted, and return who got what."""
        receipt = self.send(who, type_, **changed)
        assert receipt.status == "accepted", receipt.errors
        self.ids[type_] = receipt.signal_id or ""
        got = self.wire()
        self.asked = next((found["delivery_id"] for found in got if found["type"] == VERZOEK), self.asked)
        return said(got)

    def withdraw(self, who: str, type_: str) -> list[tuple[str, str, Any]]:
        """Take back the last signal of a type."""
        accepted(self.hub, who, withdrawal(self.ids[type_]))
        return said(self.wire())

    def may(self, who: str = WIJK) -> str:
        """Return what the guard answers: open, or a code."""
        return asking.may(self.hub, "uitvoeren", who, self.keten[who]).code or "open"


def said(deliveries: list[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    """Return recipient, rule and number or code, without the flow that every rule here begins with."""
    found = ((one["recipient"], one["grant"].removeprefix("traject."), one["data"]) for one in deliveries)
    return sorted((who, rule, data.get("nummer", data.get("code", data.get("redencode")))) for who, rule, data in found)


def begin(hub: Hub, wire: Wire, opener: str = BALIE, **changed: Any) -> Traject:
    """Open a case."""
    receipt = accepted(hub, opener, new(MELDING, **changed))
    got = {delivery["recipient"]: delivery["correlation"] for delivery in wire() if delivery["type"] == MELDING}
    return Traject(hub, wire, {opener: receipt.correlation or ""} | got, {MELDING: receipt.signal_id or ""})


@pytest.fixture
def traject(hub: Hub, wire: Wire) -> Traject:
    return begin(hub, wire)


def stand(hub: Hub) -> list[str]:
    """Return the state of every case, in order of their beginning."""
    return [row["state"] for row in asking.listing(hub, everything=True)]


def shown(hub: Hub, number: int = 1) -> dict[str, Any]:
    return asking.show(hub, number)


def at(moment: str) -> str:
    """Return a Dutch moment as the command line shows it."""
    return terms.iso_utc(terms.moment(moment))


def gets(*names: str) -> list[tuple[str, str, Any]]:
    """Return reminders, each written as `recipient code role`."""
    found = []
    for name in names:
        who, code, role = name.split()
        found.append((who, f"{code}.{role}", code))
    return sorted(found)


# --- a whole way --------------------------------------------------------------------------


def test_a_case_goes_its_way_and_at_each_step_everyone_hears_what_it_may_and_no_more(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    accepted(hub, BALIE, new(MELDING))
    got = wire()
    assert said(got) == [(RECHTER, "melding-beoordelaar", 1), (TOEZICHT, "melding-toezicht", 1), (WIJK, "melding", 1)]
    case = Traject(hub, wire, {delivery["recipient"]: delivery["correlation"] for delivery in got})
    where: list[tuple[str, ...]] = []

    def stands() -> None:
        where.append((*stand(hub), case.may()))

    stands()
    tick(hub, clock, "2026-11-09T23:59:59.999")
    assert wire() == []
    tick(hub, clock, "2026-11-10T00:00")
    assert said(wire()) == gets(f"{BALIE} geen-reactie starter", f"{RECHTER} geen-reactie beoordelaar")
    stands()
    tick(hub, clock, "2026-11-12T09:00")
    assert case.step(WIJK, VERZOEK, nummer=2) == [(RECHTER, "verzoek", 2)]
    stands()
    assert case.step(TOEZICHT, CONTACT, nummer=3) == [(RECHTER, "contact", 3)]
    tick(hub, clock, "2026-11-17T09:00")
    assert wire() == []  # the day nears, and that is for who may still ask
    assert case.step(RECHTER, BESLUIT, nummer=4) == [(WIJK, "besluit", 4)]
    stands()
    tick(hub, clock, "2026-12-04T00:00")
    assert said(wire()) == gets(f"{RECHTER} herziening-nadert beoordelaar")
    stands()
    tick(hub, clock, "2026-12-08T23:59:59.999")
    assert wire() == []
    tick(hub, clock, "2026-12-09T00:00")
    assert said(wire()) == gets(f"{RECHTER} herziening-verlopen beoordelaar", f"{WIJK} herziening-verlopen wijkteam")
    stands()
    assert case.step(RECHTER, AFGEROND, nummer=5) == sorted(
        [(WIJK, "afgerond", 5), *gets(f"{TOEZICHT} zaak-klaar toezicht", f"{BALIE} zaak-klaar starter")]
    )
    stands()
    assert where == [
        ("aangekondigd", "pauze-loopt"), ("doorgang", "open"), ("gepauzeerd", "pauze-loopt"), ("ingesteld", "pauze-loopt"),
        ("ingesteld", "pauze-loopt"), ("geescaleerd", "pauze-loopt"), ("afgerond", "open"),
    ]  # fmt: skip
    tick(hub, clock, "2027-03-01T00:00")
    assert wire() == []  # a closed case has no terms


def test_a_reminder_says_what_the_rules_say_and_nothing_of_whom_it_is_about(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    accepted(hub, BALIE, new(MELDING, correlation="dossier-1"))
    first = only(wire(), RECHTER)
    tick(hub, clock, "2026-11-10T00:00")
    got = wire()
    for who, role, keten in ((RECHTER, "beoordelaar", first["correlation"]), (BALIE, "starter", "dossier-1")):
        found = only(got, who)
        assert (found["type"], found["grant"], found["purpose"]) == (REMINDER, f"traject.geen-reactie.{role}", "Proef traject")
        assert (found["time"], found["correlation"], found["cause"], found["replaces"]) == (at("2026-11-10T00:00"), keten, None, None)
        assert found["data"] == {
            "gemeentecode": "0855", "proces": "traject", "code": "geen-reactie", "staat": "doorgang", "uiterlijk": "2026-11-09",
        }  # fmt: skip
    assert only(got, RECHTER)["subject"] == first["subject"]


REMINDERS = [
    pytest.param([], "2026-11-17T00:00", (WIJK, "dag-nadert"), "doorgang", "2026-12-08", id="before a day: the day itself"),
    pytest.param(["ask"], "2026-11-17T00:00", (WIJK, "geen-besluit"), "geescaleerd", "2026-11-16", id="after a span: its last day"),
    pytest.param(["ask", "pause"], "2026-12-04T00:00", (RECHTER, "herziening-nadert"), "ingesteld", "2026-12-08", id="before: no step"),
    pytest.param(["ask", "pause"], "2026-12-09T00:00", (WIJK, "herziening-verlopen"), "geescaleerd", "2026-12-08", id="at a day: that day"),
    pytest.param(["close"], "2026-11-02T09:00", (TOEZICHT, "zaak-klaar"), "afgerond", None, id="a step: no day"),
    pytest.param(
        ["ask", "do"], "2026-11-02T09:00", (WIJK, "toch-uitgevoerd"), "gepauzeerd", None, id="an alarm: the state that was broken"
    ),
]


@pytest.mark.parametrize(("steps", "moment", "reminds", "state", "until"), REMINDERS)
def test_each_kind_of_reminder_names_the_state_and_the_last_day(
    traject: Traject, clock: MovingClock, steps: list[str], moment: str, reminds: tuple[str, str], state: str, until: str | None
) -> None:
    for step in steps:
        traject.step(*STEPS[step])
    tick(traject.hub, clock, moment)
    who, code = reminds
    (found,) = [one_ for one_ in sent(traject.hub, REMINDER) if (one_["recipient"], one_["data"]["code"]) == (who, code)]
    assert (found["data"]["staat"], found["data"]["uiterlijk"]) == (state, until)
    assert found["correlation"] == traject.keten[who]


STEPS = {"ask": (WIJK, VERZOEK), "pause": (RECHTER, BESLUIT), "close": (RECHTER, AFGEROND), "do": (BALIE, UITGEVOERD)}


def sent(hub: Hub, type_: str) -> list[dict[str, Any]]:
    """Return every delivery of a type that was ever sent."""
    return [delivery for delivery in Wire(hub)() if delivery["type"] == type_]


def one_by_one(hub: Hub, *events: tuple[str, NewSignal]) -> None:
    for participant, signal in events:
        accepted(hub, participant, signal)


def in_one_batch(hub: Hub, *events: tuple[str, NewSignal]) -> None:
    assert {receipt.status for receipt in together(hub, *events)} == {"accepted"}


WAYS = [pytest.param(way, id=way.__name__) for way in (one_by_one, in_one_batch, through_topics)]
Way = Callable[..., None]


@pytest.mark.parametrize("way", WAYS)
def test_a_case_begins_moves_and_ends_alike_in_one_batch_and_in_many(hub: Hub, wire: Wire, way: Way) -> None:
    cause = signal_id(hub, BALIE, "m-1")
    way(
        hub,
        (BALIE, new(MELDING, id_="m-1")),
        (BALIE, new(MELDING, nummer=2, bsn=BEA, correlation="dossier-2")),
        (BALIE, new(AFGEROND, nummer=3, cause=cause)),
        (BALIE, new(UITGEVOERD, nummer=4, bsn=BEA, correlation="dossier-2")),
    )
    assert stand(hub) == ["afgerond", "uitgevoerd"]
    assert [found for found in said(wire()) if found[1] not in {"melding", "melding-toezicht", "melding-beoordelaar"}] == sorted(
        [(WIJK, "afgerond", 3), (WIJK, "uitgevoerd", 4), *gets(f"{TOEZICHT} zaak-klaar toezicht", f"{BALIE} zaak-klaar starter")]
    )
    steps = [[(step["trigger"], step["by"], step["from"], step["to"]) for step in shown(hub, number)["steps"]] for number in (1, 2)]
    assert steps == [
        [(MELDING, BALIE, None, "aangekondigd"), (AFGEROND, BALIE, "aangekondigd", "afgerond")],
        [(MELDING, BALIE, None, "aangekondigd"), (UITGEVOERD, BALIE, "aangekondigd", "uitgevoerd")],
    ]


# --- what a withdrawal or a correction does to a case -------------------------------------


def test_withdrawing_a_request_takes_the_case_back_and_the_term_counts_anew(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    clock.now = terms.moment("2026-11-05T09:00")
    assert traject.withdraw(WIJK, VERZOEK) == [(RECHTER, "signaalhub.ingetrokken", "ONTERECHT")]
    assert stand(traject.hub) == ["aangekondigd"]
    assert due(traject.hub) == {"geen-reactie": at("2026-11-13T00:00"), "dag-nadert": at("2026-11-17T00:00")}


def test_withdrawing_the_announcement_ends_the_case_and_no_term_fires_any_more(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    assert traject.withdraw(BALIE, MELDING) == [(who, "signaalhub.ingetrokken", "ONTERECHT") for who in (RECHTER, TOEZICHT, WIJK)]
    assert (stand(traject.hub), traject.may()) == (["vervallen"], "open")
    tick(traject.hub, clock, "2027-01-05T00:00")
    assert traject.wire() == []


def test_withdrawing_a_reaction_that_moved_nothing_leaves_the_case_as_it_is(traject: Traject) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(WIJK, CONTACT)
    before = rows(traject.hub, cases)
    assert traject.withdraw(WIJK, CONTACT) == [(RECHTER, "signaalhub.ingetrokken", "ONTERECHT")]
    assert rows(traject.hub, cases) == before


@pytest.mark.parametrize("who", [WIJK, TOEZICHT])
def test_withdrawing_an_older_request_does_not_lift_the_pause_that_was_asked_for_since(traject: Traject, who: str) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(RECHTER, BESLUIT, besluit="GEEN_PAUZE")
    older = traject.ids[VERZOEK]
    traject.step(who, VERZOEK)
    before = books(traject.hub)
    assert codes(one(traject.hub, WIJK, withdrawal(older))) == ["stap-al-gezet"]
    assert (stand(traject.hub), traject.may()) == (["gepauzeerd"], "pauze-loopt")
    assert books(traject.hub) == before
    traject.withdraw(who, VERZOEK)
    assert stand(traject.hub) == ["aangekondigd"]


@pytest.mark.parametrize(("where", "code"), [("own", ["stap-al-gezet"]), ("new", [])])
def test_a_fact_that_moved_a_case_cannot_be_taken_back_and_one_that_only_alarmed_can(traject: Traject, where: str, code: list[str]) -> None:
    traject.step(WIJK, VERZOEK)
    fact = accepted(traject.hub, BALIE, new(UITGEVOERD, correlation=traject.keten[BALIE] if where == "own" else None))
    traject.wire()
    was = rows(traject.hub, cases)
    assert codes(one(traject.hub, BALIE, withdrawal(fact.signal_id))) == code
    assert [told for told in said(traject.wire()) if told[1] != "verzoek"] == [(WIJK, "signaalhub.ingetrokken", "ONTERECHT")] * (not code)
    assert rows(traject.hub, cases) == was or code


def test_a_decision_on_a_request_that_was_withdrawn_is_refused(traject: Traject) -> None:
    traject.step(WIJK, VERZOEK)
    traject.withdraw(WIJK, VERZOEK)
    was = books(traject.hub)
    assert codes(traject.send(RECHTER, BESLUIT)) == ["staat-past-niet"]
    assert books(traject.hub) == was


@pytest.mark.parametrize("way", WAYS)
def test_a_chain_of_start_corrections_and_withdrawal_moves_one_case_alike_in_one_batch_and_in_many(
    hub: Hub, wire: Wire, clock: MovingClock, way: Way
) -> None:
    first, second, third = (signal_id(hub, BALIE, f"m-{number}") for number in (1, 2, 3))
    way(
        hub,
        (BALIE, new(MELDING, id_="m-1")),
        (BALIE, new(MELDING, nummer=2, id_="m-2", replaces=first)),
        (BALIE, new(MELDING, nummer=3, dag="2026-12-31", id_="m-3", replaces=second)),
    )
    assert stand(hub) == ["aangekondigd"]
    assert shown(hub)["variables"] == {"dag": "2026-12-31", "keren": 0}
    way(hub, (BALIE, withdrawal(third)))
    assert stand(hub) == ["vervallen"]
    assert [told for told in said(wire()) if told[0] == TOEZICHT] == [
        (TOEZICHT, "melding-toezicht", 1), (TOEZICHT, "melding-toezicht", 2), (TOEZICHT, "melding-toezicht", 3),
        (TOEZICHT, "signaalhub.ingetrokken", "ONTERECHT"),
    ]  # fmt: skip
    tick(hub, clock, "2027-01-05T00:00")
    assert wire() == []


def due(hub: Hub, number: int = 1) -> dict[str, str]:
    return {term["code"]: term["due"] for term in shown(hub, number)["terms"]}


def test_a_correction_of_the_announcement_sets_its_variables_again_and_the_terms_follow(traject: Traject, clock: MovingClock) -> None:
    assert due(traject.hub) == {"geen-reactie": at("2026-11-10T00:00"), "dag-nadert": at("2026-11-17T00:00")}
    clock.now = terms.moment("2026-11-04T09:00")
    accepted(traject.hub, BALIE, new(MELDING, dag="2026-12-31", replaces=traject.ids[MELDING]))
    assert stand(traject.hub) == ["aangekondigd"]
    assert shown(traject.hub)["variables"] == {"dag": "2026-12-31", "keren": 0}
    assert due(traject.hub) == {"geen-reactie": at("2026-11-10T00:00"), "dag-nadert": at("2026-12-10T00:00")}
    assert len(stand(traject.hub)) == 1


def test_a_correction_of_a_request_does_not_count_as_a_second_one(traject: Traject) -> None:
    traject.step(WIJK, VERZOEK, nummer=2)
    assert traject.step(WIJK, VERZOEK, nummer=3, replaces=traject.ids[VERZOEK]) == [(RECHTER, "verzoek", 3)]
    assert stand(traject.hub) == ["gepauzeerd"]
    assert shown(traject.hub)["variables"]["keren"] == 1
    assert traject.withdraw(WIJK, VERZOEK) == [(RECHTER, "signaalhub.ingetrokken", "ONTERECHT")]
    assert stand(traject.hub) == ["aangekondigd"]


def test_a_correction_of_a_date_moves_the_terms_that_follow_it(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(RECHTER, BESLUIT)
    traject.step(RECHTER, BESLUIT, dag="2026-12-22", replaces=traject.ids[BESLUIT])
    assert due(traject.hub) == {"herziening-nadert": at("2026-12-18T00:00"), "herziening-verlopen": at("2026-12-23T00:00")}
    tick(traject.hub, clock, "2026-12-09T00:00")
    assert traject.wire() == []


def test_a_reminder_for_a_day_that_was_corrected_comes_for_the_new_day_too(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(RECHTER, BESLUIT)
    tick(traject.hub, clock, "2026-12-04T00:00")
    traject.wire()
    traject.step(RECHTER, BESLUIT, dag="2026-12-22", replaces=traject.ids[BESLUIT])
    tick(traject.hub, clock, "2026-12-18T00:00")
    assert [one_["data"]["uiterlijk"] for one_ in traject.wire()] == ["2026-12-22"]


def test_a_correction_that_would_lead_to_another_state_is_refused(traject: Traject) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(RECHTER, BESLUIT)
    before = books(traject.hub)
    assert codes(traject.send(RECHTER, BESLUIT, besluit="GEEN_PAUZE", replaces=traject.ids[BESLUIT])) == ["stap-voorwaarde"]
    assert books(traject.hub) == before


# --- what is refused ----------------------------------------------------------------------


Attempt = tuple[str, str, dict[str, Any]]
ASK: Attempt = (WIJK, VERZOEK, {})
PAUSE: Attempt = (RECHTER, BESLUIT, {})
NO_PAUSE: Attempt = (RECHTER, BESLUIT, {"besluit": "GEEN_PAUZE"})
CLOSE: Attempt = (RECHTER, AFGEROND, {})
DO: Attempt = (BALIE, UITGEVOERD, {})
REFUSALS: list[tuple[str, list[Attempt], Attempt, list[str]]] = [
    ("a request in the wrong state", [ASK, PAUSE], ASK, ["staat-past-niet"]),
    ("a decision twice", [ASK, PAUSE], PAUSE, ["al-gedaan"]),
    ("a request in a closed case", [CLOSE], ASK, ["staat-past-niet"]),
    ("a request after the fact", [DO], ASK, ["staat-past-niet"]),
    ("a reaction in a closed case", [CLOSE], (WIJK, CONTACT, {}), ["staat-past-niet"]),
    ("a request twice by one", [ASK], ASK, ["al-gedaan"]),
    ("a request twice by two", [ASK], (TOEZICHT, VERZOEK, {}), ["ander-was-voor"]),
    ("a request twice with a reaction in between", [ASK, (TOEZICHT, CONTACT, {})], (TOEZICHT, VERZOEK, {}), ["ander-was-voor"]),
    ("a closing twice by one", [CLOSE], CLOSE, ["al-gedaan"]),
    ("a closing twice by two", [CLOSE], (BALIE, AFGEROND, {}), ["ander-was-voor"]),
    ("a second start", [], (BALIE, MELDING, {}), ["zaak-bestaat-al"]),
    ("a second start in a case that moved", [ASK], (BALIE, MELDING, {}), ["zaak-bestaat-al"]),
    ("a start in a closed case", [CLOSE], (BALIE, MELDING, {}), ["zaak-bestaat-al"]),
    ("a start about another person", [], (BALIE, MELDING, {"bsn": BEA}), ["keten-andere-persoon"]),
    ("a request by a role that may not", [], (BALIE, VERZOEK, {}), ["geen-publicatierecht"]),
    ("a decision by a role that may not", [ASK], (WIJK, BESLUIT, {}), ["geen-publicatierecht"]),
    ("a request once too often", [ASK, NO_PAUSE, ASK, NO_PAUSE], ASK, ["te-vaak-gevraagd"]),
    ("a request in another's keten", [], (WIJK, VERZOEK, {"correlation": "of toezicht"}), ["keten-onbekend"]),
    ("a request in no keten", [], (WIJK, VERZOEK, {"correlation": None}), ["keten-onbekend"]),
    ("a request in a keten that does not exist", [], (WIJK, VERZOEK, {"correlation": NOWHERE}), ["keten-onbekend"]),
    ("a step that a content rule refuses", [], (WIJK, VERZOEK, {"nummer": 0}), ["proef-nul"]),
    ("a step that a content rule on the case after it refuses", [ASK, NO_PAUSE], (WIJK, VERZOEK, {"nummer": 13}), ["proef-dertien"]),
    ("a step that both case and content refuse", [ASK, PAUSE], (WIJK, VERZOEK, {"nummer": 0}), ["staat-past-niet", "proef-nul"]),
    ("a closing that would remind and is refused", [], (RECHTER, AFGEROND, {"nummer": 0}), ["proef-nul"]),
    ("a fact that a content rule refuses", [ASK], (BALIE, UITGEVOERD, {"nummer": 0}), ["proef-nul"]),
]


@pytest.mark.parametrize(("before", "attempt", "expected"), [pytest.param(*case[1:], id=case[0]) for case in REFUSALS])
def test_what_does_not_fit_is_refused_by_its_code_and_the_case_stays_as_it_was(
    traject: Traject, before: list[Attempt], attempt: Attempt, expected: list[str]
) -> None:
    for who, type_, changed in before:
        traject.step(who, type_, **changed)
    who, type_, changed = attempt
    if changed.get("correlation") == "of toezicht":
        changed = {"correlation": traject.keten[TOEZICHT]}
    state, guard, was = stand(traject.hub), traject.may(), books(traject.hub)
    receipt = traject.send(who, type_, **changed)
    assert (receipt.status, codes(receipt)) == ("rejected", expected)
    assert all(error.message.endswith(".") for error in receipt.errors)
    assert books(traject.hub) == was
    assert (stand(traject.hub), traject.may(), traject.wire()) == (state, guard, [])


def test_a_request_in_a_keten_without_a_case_is_refused(hub: Hub, wire: Wire) -> None:
    accepted(hub, BALIE, new(BERICHT))
    keten = only(wire(), WIJK)["correlation"]
    was = books(hub)
    assert codes(one(hub, WIJK, new(VERZOEK, correlation=keten))) == ["zaak-onbekend"]
    assert books(hub) == was


def test_what_is_refused_through_the_ingress_topic_leaves_the_case_too(traject: Traject) -> None:
    traject.step(WIJK, VERZOEK)
    was = books(traject.hub)
    through_topics(traject.hub, (TOEZICHT, new(VERZOEK, correlation=traject.keten[TOEZICHT])))
    assert books(traject.hub) == was
    (refused,) = [found for found in traject.wire(notices=True) if found["type"].endswith("signaal-geweigerd.v1")]
    assert [reason["code"] for reason in refused["data"]["redenen"]] == ["ander-was-voor"]
    assert refused["recipient"] == TOEZICHT


def test_the_same_request_again_under_its_own_id_is_a_duplicate_and_no_second_step(traject: Traject) -> None:
    traject.step(WIJK, VERZOEK, id_="v-1")
    was = books(traject.hub)
    assert traject.send(WIJK, VERZOEK, id_="v-1").status == "duplicate"
    assert books(traject.hub) == was


def test_a_refused_step_in_a_batch_takes_nothing_of_the_others_with_it(traject: Traject) -> None:
    keten = traject.keten
    found = together(
        traject.hub,
        (WIJK, new(VERZOEK, nummer=0, correlation=keten[WIJK])),
        (TOEZICHT, new(VERZOEK, nummer=2, correlation=keten[TOEZICHT])),
        (WIJK, new(VERZOEK, nummer=3, correlation=keten[WIJK])),
        (RECHTER, new(AFGEROND, nummer=0, correlation=keten[RECHTER])),
        (WIJK, new(CONTACT, nummer=4, correlation=keten[WIJK])),
        (BALIE, new(MELDING, nummer=0, bsn=BEA, correlation="dossier-2")),
        (BALIE, new(MELDING, nummer=5, bsn=BEA, correlation="dossier-2")),
    )
    assert [codes(receipt) for receipt in found] == [["proef-nul"], [], ["ander-was-voor"], ["proef-nul"], [], ["proef-nul"], []]
    assert stand(traject.hub) == ["gepauzeerd", "aangekondigd"]
    assert [step["trigger"] for step in shown(traject.hub)["steps"]] == [MELDING, VERZOEK, CONTACT]
    assert [told for told in said(traject.wire()) if told[2] != 5] == [(RECHTER, "contact", 4), (RECHTER, "verzoek", 2)]


def test_trying_a_step_out_changes_nothing(proef: World, monkeypatch: pytest.MonkeyPatch, clock: MovingClock) -> None:
    with proef.open() as hub:
        case = begin(hub, Wire(hub))
        was, refused = books(hub), rows(hub, rejections)
    clock.now = terms.moment("2026-11-10T09:00")  # a term is due, and no clock has run
    ran = command_line(proef, monkeypatch, "2026-11-10T09:00")(
        "publish", "--as", WIJK, "--type", VERZOEK, "--correlation", case.keten[WIJK], "--data", "-", "--dry-run", "--json",
        stdin=b'{"nummer": 2}',
    )  # fmt: skip
    assert (ran.code, ran.json[0]["status"]) == (0, "accepted")
    with proef.open() as hub:
        assert (books(hub), rows(hub, rejections)) == (was, refused)


# --- at once ------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "expected"), [
    pytest.param((WIJK, TOEZICHT), ["ander-was-voor"], id="two teams"), pytest.param((WIJK, WIJK), ["al-gedaan"], id="two of one team"),
])  # fmt: skip
def test_of_two_people_at_once_exactly_one_is_first(proef: World, who: tuple[str, str], expected: list[str]) -> None:
    with proef.open() as hub, proef.open() as other:
        wire = Wire(hub)
        for number in range(5):
            case = begin(hub, wire, nummer=number + 1, bsn=ANNA if number % 2 else BEA)
            found: list[Receipt] = []

            def press(which: Hub, team: str, keten: str, found: list[Receipt] = found) -> None:
                found.append(one(which, team, new(VERZOEK, correlation=keten)))

            at_once(*(partial(press, which, team, case.keten[team]) for which, team in zip((hub, other), who, strict=True)))
            assert sorted(receipt.status for receipt in found) == ["accepted", "rejected"]
            assert [codes(receipt) for receipt in found if receipt.errors] == [expected]
            assert said(wire()) == [(RECHTER, "verzoek", 1)]
        assert stand(hub) == ["gepauzeerd"] * 5


def test_two_clocks_at_once_let_each_term_fall_due_once(proef: World, clock: MovingClock) -> None:
    with ExitStack() as stack:
        hubs = [stack.enter_context(proef.open()) for _ in range(3)]
        wire = Wire(hubs[0])
        hubs[0].publish(BALIE, [new(MELDING, nummer=number + 1) for number in range(40)])
        wire()
        for moment, told in (("2026-11-10T00:00", 80), ("2026-11-17T00:00", 40)):
            clock.now = terms.moment(moment)
            at_once(*(hub.clock.run_once for hub in hubs))
            got = wire()
            assert len(got) == told
            assert set(Counter((one_["recipient"], one_["correlation"], one_["data"]["code"]) for one_ in got).values()) == {1}
        assert stand(hubs[0]) == ["doorgang"] * 40
        with hubs[0].database.read() as connection:
            by_term = connection.execute(select(case_steps.c.case, case_steps.c.trigger).where(case_steps.c.signal.is_(None))).all()
        assert len(by_term) == len(set(by_term)) == 80


def test_a_clock_and_a_signal_at_once_let_a_term_fall_due_once_and_before_the_signal(proef: World, clock: MovingClock) -> None:
    with proef.open() as hub, proef.open() as other:
        wire = Wire(hub)
        case = begin(hub, wire)
        clock.now = terms.moment("2026-11-10T00:00")
        at_once(hub.clock.run_once, lambda: case_step(other, case))
        assert [(step["trigger"], step["from"], step["to"]) for step in shown(hub)["steps"]][1:] == [
            ("geen-reactie", "aangekondigd", "doorgang"), (VERZOEK, "doorgang", "gepauzeerd"),
        ]  # fmt: skip
        assert said(wire()) == sorted(
            [(RECHTER, "verzoek", 1), *gets(f"{BALIE} geen-reactie starter", f"{RECHTER} geen-reactie beoordelaar")]
        )


def case_step(hub: Hub, case: Traject) -> None:
    accepted(hub, WIJK, new(VERZOEK, correlation=case.keten[WIJK]))


# --- terms and signals --------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("moment", "steps", "reminded"), [
    ("2026-11-09T23:59:59.999", [(VERZOEK, "aangekondigd", "gepauzeerd")], []),
    ("2026-11-10T00:00", [("geen-reactie", "aangekondigd", "doorgang"), (VERZOEK, "doorgang", "gepauzeerd")], ["geen-reactie"] * 2),
    ("2026-11-20T12:00", [("geen-reactie", "aangekondigd", "doorgang"), ("dag-nadert", "doorgang", "doorgang"),
                          (VERZOEK, "doorgang", "gepauzeerd")], ["geen-reactie"] * 2 + ["dag-nadert"]),
])  # fmt: skip
def test_a_term_that_is_due_fires_before_a_signal_that_comes_later_although_no_clock_ran(
    traject: Traject, clock: MovingClock, way: Way, moment: str, steps: list[tuple[str, str, str]], reminded: list[str]
) -> None:
    clock.now = terms.moment(moment)
    way(traject.hub, (WIJK, new(VERZOEK, correlation=traject.keten[WIJK])))
    assert [(step["trigger"], step["from"], step["to"]) for step in shown(traject.hub)["steps"]][1:] == steps
    got = traject.wire()
    assert sorted(one_["data"]["code"] for one_ in got if one_["type"] == REMINDER) == sorted(reminded)
    judge = [one_["type"] for one_ in sorted(got, key=lambda one_: int(one_["sequence"])) if one_["recipient"] == RECHTER]
    assert judge[-1] == VERZOEK  # what fell due first arrives first
    tick(traject.hub, clock, moment)
    assert traject.wire() == []


def test_what_a_late_term_leads_to_is_entered_when_it_fell_due(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    tick(traject.hub, clock, "2027-01-05T00:00")
    assert stand(traject.hub) == ["geescaleerd"]
    assert {one_["data"]["uiterlijk"] for one_ in traject.wire()} == {"2026-11-16"}


@pytest.mark.parametrize(("attempt", "code"), [
    pytest.param("withdraw", "stap-al-gezet", id="a withdrawal comes too late"),
    pytest.param("correct", "stap-al-gezet", id="so does a correction"),
    pytest.param("ask", "staat-past-niet", id="so does a request"),
])  # fmt: skip
def test_what_is_refused_because_a_term_is_due_leaves_the_term_to_the_clock(
    traject: Traject, clock: MovingClock, attempt: str, code: str
) -> None:
    traject.step(WIJK, VERZOEK)
    was = books(traject.hub)
    clock.now = terms.moment("2026-11-17T00:00")
    who, signal = {
        "withdraw": (WIJK, withdrawal(traject.ids[VERZOEK])), "correct": (WIJK, new(VERZOEK, replaces=traject.ids[VERZOEK])),
        "ask": (TOEZICHT, new(VERZOEK, correlation=traject.keten[TOEZICHT])),
    }[attempt]  # fmt: skip
    assert codes(one(traject.hub, who, signal)) == [code]
    assert books(traject.hub) == was
    assert said(traject.wire()) == gets(*(f"{who}.0855 geen-besluit {who}" for who in ("beoordelaar", "toezicht", "wijkteam")))


def test_a_decision_after_the_term_finds_the_case_escalated(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    clock.now = terms.moment("2026-11-17T00:00")
    accepted(traject.hub, RECHTER, new(BESLUIT, cause=traject.asked, dag="2027-01-05"))
    assert [(step["from"], step["to"]) for step in shown(traject.hub)["steps"]][2:] == [
        ("gepauzeerd", "geescaleerd"), ("geescaleerd", "ingesteld"),
    ]  # fmt: skip


def test_a_day_that_is_past_already_is_told_at_once_and_once(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    assert traject.step(RECHTER, BESLUIT, dag="2026-11-03") == sorted(
        [(WIJK, "besluit", 1), *gets(f"{RECHTER} herziening-nadert beoordelaar")]
    )
    tick(traject.hub, clock, "2026-11-03T12:00")
    assert traject.wire() == []
    tick(traject.hub, clock, "2026-11-04T00:00")
    assert said(traject.wire()) == gets(f"{RECHTER} herziening-verlopen beoordelaar", f"{WIJK} herziening-verlopen wijkteam")


# --- undoing ------------------------------------------------------------------------------

OVERDUE: list[Any] = [
    pytest.param([], "2026-11-10T00:00", (WIJK, VERZOEK, {"nummer": 0}), 2, id="a step, when a term with a step is due"),
    pytest.param([], "2026-11-17T00:00", (RECHTER, AFGEROND, {"nummer": 0}), 3, id="a closing, when two terms are due"),
    pytest.param([ASK, PAUSE], "2026-12-04T00:00", (RECHTER, BESLUIT, {"nummer": 0, "replaces": BESLUIT}), 1,
                 id="a correction, when a reminder is due"),
    pytest.param([ASK], "2026-11-17T00:00", (BALIE, UITGEVOERD, {"nummer": 0}), 3, id="a fact that would alarm"),
    pytest.param([ASK], "2026-11-17T00:00", (BALIE, UITGEVOERD, {"nummer": 0, "correlation": None}), 3,
                 id="a fact elsewhere that would alarm"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "moment", "attempt", "reminders"), OVERDUE)
def test_a_signal_that_a_content_rule_refuses_after_its_step_leaves_case_terms_and_reminders_to_the_clock(
    traject: Traject, clock: MovingClock, before: list[Attempt], moment: str, attempt: Attempt, reminders: int
) -> None:
    for who, type_, changed in before:
        traject.step(who, type_, **changed)
    was = books(traject.hub)
    clock.now = terms.moment(moment)
    who, type_, changed = attempt
    changed = changed | ({"replaces": traject.ids[changed["replaces"]]} if "replaces" in changed else {})
    assert codes(traject.send(who, type_, **changed)) == ["proef-nul"]
    assert books(traject.hub) == was
    assert len(traject.wire()) == reminders
    tick(traject.hub, clock, moment)
    assert traject.wire() == []


def test_a_correction_that_is_refused_while_a_reminder_is_due_holds_up_nobody(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(RECHTER, BESLUIT)
    clock.now = terms.moment("2026-12-04T00:00")
    traject.hub.send(RECHTER, [new(BESLUIT, nummer=0, replaces=traject.ids[BESLUIT])])
    traject.hub.send(BALIE, [new(MELDING, nummer=7, bsn=BEA, dag="2027-12-31")])
    assert said(traject.wire()) == sorted(
        [(RECHTER, "herziening-nadert.beoordelaar", "herziening-nadert"), (RECHTER, "melding-beoordelaar", 7),
         (TOEZICHT, "melding-toezicht", 7), (WIJK, "melding", 7)]
    )  # fmt: skip


# --- the same person in two ketens --------------------------------------------------------


def test_a_guard_looks_at_every_open_case_about_the_same_person(hub: Hub, wire: Wire, clock: MovingClock) -> None:
    first = begin(hub, wire)
    tick(hub, clock, "2026-11-10T00:00")
    second, other = begin(hub, wire), begin(hub, wire, bsn=BEA)
    tick(hub, clock, "2026-11-18T00:00")
    wire()
    assert stand(hub) == ["doorgang"] * 3
    assert (first.may(), second.may(), other.may()) == ("open", "open", "open")
    first.step(WIJK, VERZOEK)
    assert (first.may(), second.may(), other.may()) == ("pauze-loopt", "pauze-loopt", "open")
    first.step(RECHTER, AFGEROND)
    assert (first.may(), second.may(), other.may()) == ("open", "open", "open")


def test_without_that_scope_a_guard_looks_at_its_own_case_only(proef: World, clock: MovingClock) -> None:
    proef.edit("proef-traject.yaml", "    scope: subject\n", "")
    with proef.open() as hub:
        wire = Wire(hub)
        first, second = begin(hub, wire), begin(hub, wire)
        tick(hub, clock, "2026-11-10T00:00")
        first.step(WIJK, VERZOEK)
        assert (first.may(), second.may()) == ("pauze-loopt", "open")
        wire()
        assert second.step(BALIE, UITGEVOERD) == [(WIJK, "uitgevoerd", 1)]


def test_an_alarm_is_raised_in_every_open_case_about_the_same_person_each_in_its_own_keten(
    hub: Hub, wire: Wire, clock: MovingClock
) -> None:
    first, second, closed, other = begin(hub, wire), begin(hub, wire), begin(hub, wire), begin(hub, wire, bsn=BEA)
    tick(hub, clock, "2026-11-04T00:00")
    for case in (first, closed, other):
        case.step(WIJK, VERZOEK)
    closed.step(RECHTER, AFGEROND)
    accepted(hub, BALIE, new(UITGEVOERD, nummer=7, correlation=second.keten[BALIE]))
    got = wire()
    assert said(got) == sorted(
        [(WIJK, "uitgevoerd", 7), *gets(f"{RECHTER} toch-uitgevoerd beoordelaar", f"{WIJK} toch-uitgevoerd wijkteam")]
    )
    assert {one_["correlation"] for one_ in got if one_["type"] == REMINDER} == {first.keten[RECHTER], first.keten[WIJK]}
    assert stand(hub) == ["gepauzeerd", "uitgevoerd", "afgerond", "gepauzeerd"]


def test_a_case_in_another_municipality_is_a_matter_of_its_own(hub: Hub, wire: Wire) -> None:
    there, here = begin(hub, wire, ELSEWHERE, gemeentecode="0344"), begin(hub, wire)
    accepted(hub, "wijkteam.0344", new(VERZOEK, correlation=there.keten["wijkteam.0344"]))
    wire()
    here.step(BALIE, UITGEVOERD)
    assert (here.may(), there.may("wijkteam.0344")) == ("open", "pauze-loopt")
    assert sent(hub, REMINDER) == []
    accepted(hub, ELSEWHERE, new(UITGEVOERD, gemeentecode="0344"))
    told = sent(hub, REMINDER)
    assert sorted((one_["recipient"], one_["data"]["gemeentecode"]) for one_ in told) == [
        ("beoordelaar.0344", "0344"), ("wijkteam.0344", "0344"),
    ]  # fmt: skip


# --- facts --------------------------------------------------------------------------------

FACTS: list[Any] = [
    pytest.param([], "own", "uitgevoerd", [], id="in a case that it ends"),
    pytest.param([ASK], "own", "uitgevoerd", ["toch-uitgevoerd"] * 2, id="in a case that it breaks"),
    pytest.param([CLOSE], "own", "afgerond", [], id="in a closed case"),
    pytest.param([DO], "own", "uitgevoerd", [], id="a second time"),
    pytest.param([ASK], "new", "gepauzeerd", ["toch-uitgevoerd"] * 2, id="in a keten of its own"),
    pytest.param([ASK], "no case", "gepauzeerd", ["toch-uitgevoerd"] * 2, id="in a keten without a case"),
    pytest.param([ASK], "stranger", "gepauzeerd", [], id="about a person that nobody announced"),
    pytest.param([ASK], "other person", "gepauzeerd", [], id="about another person than its keten"),
    pytest.param([ASK], "another's", "gepauzeerd", ["toch-uitgevoerd"] * 2, id="in a keten that only another knows by that name"),
    pytest.param([ASK], "no cause", "gepauzeerd", ["toch-uitgevoerd"] * 2, id="with a cause that does not exist"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("before", "where", "state", "alarms"), FACTS)
def test_a_fact_is_never_refused(traject: Traject, way: Way, before: list[Attempt], where: str, state: str, alarms: list[str]) -> None:
    for who, type_, changed in before:
        traject.step(who, type_, **changed)
    hub = traject.hub
    bsn = BEA if where in {"stranger", "other person"} else ANNA
    if where == "no case":
        accepted(hub, BALIE, new(BERICHT, aan="NIEMAND", correlation="dossier-9"))
    keten = {"own": traject.keten[BALIE], "other person": traject.keten[BALIE], "no case": "dossier-9", "another's": traject.keten[WIJK]}
    cause = NOWHERE if where == "no cause" else None
    traject.wire()
    way(hub, (BALIE, new(UITGEVOERD, nummer=7, bsn=bsn, correlation=keten.get(where), cause=cause)))
    assert stand(hub) == [state]
    got = traject.wire()
    assert [one_["data"]["code"] for one_ in got if one_["type"] == REMINDER] == alarms
    assert [said([one_]) for one_ in got if one_["type"] != REMINDER] == [[(WIJK, "uitgevoerd", 7)]]


def test_a_fact_opens_no_case(hub: Hub) -> None:
    accepted(hub, BALIE, new(UITGEVOERD))
    assert rows(hub, cases) == []
    assert rows(hub, case_steps) == []


# --- guards, on the command line ----------------------------------------------------------


def command_line(proef: World, patch: pytest.MonkeyPatch, now: str = "2026-11-02T09:00") -> Cli:
    cli = Cli(proef.home, patch)
    cli.rules, cli.schemas, cli.now = proef.rules, proef.schemas, now
    return cli


@pytest.fixture
def cli(proef: World, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return command_line(proef, monkeypatch)


def publish(cli: Cli, who: str, signal: NewSignal) -> dict[str, Any]:
    """Publish on the command line what must be accepted."""
    given = {"--correlation": signal.correlation, "--cause": signal.cause, "--replaces": signal.replaces}
    ran = cli.publish(dict(signal.data), *(part for name, value in given.items() if value for part in (name, value)),
                      type_=signal.type, participant=who)  # fmt: skip
    assert ran.code == 0, ran.said
    result: dict[str, Any] = ran.json[0]
    return result


def deliveries(cli: Cli, who: str) -> list[dict[str, Any]]:
    assert cli("run", "--once").code == 0
    found: list[dict[str, Any]] = cli("deliveries", who, "--json").lines
    return found


def test_the_command_line_lists_and_shows_cases_and_answers_guards_exactly(cli: Cli) -> None:
    publish(cli, BALIE, new(MELDING, correlation="dossier-1"))
    (announced,) = deliveries(cli, WIJK)
    row = {
        "case": 1, "process": "traject", "state": "aangekondigd", "municipality": "0855", "opened": BEGUN, "changed": BEGUN, "closed": None,
        "next_due": at("2026-11-10T00:00"),
    }  # fmt: skip
    ran = cli("cases", "list", "--json")
    assert (ran.code, ran.lines, ran.err) == (0, [row], "")
    ran = cli("cases", "show", "1", "--json")
    assert (ran.code, ran.json) == (0, row | {
        "variables": {"dag": "2026-12-08", "keren": 0},
        "terms": [{"code": "geen-reactie", "due": at("2026-11-10T00:00")}, {"code": "dag-nadert", "due": at("2026-11-17T00:00")}],
        "steps": [{"time": BEGUN, "trigger": MELDING, "by": BALIE, "from": None, "to": "aangekondigd"}],
    })  # fmt: skip
    nameless = ran.json | {"steps": [step | {"by": None} for step in ran.json["steps"]]}  # who did what is not for every participant
    for who, keten in ((BALIE, "dossier-1"), (WIJK, announced["correlation"])):
        assert cli("cases", "show", keten, "--as", who, "--json").json == nameless

    asked = ("cases", "may", "uitvoeren", "--as", WIJK, "--correlation", announced["correlation"], "--json")
    ran = cli(*asked)
    assert (ran.code, ran.out) == (1, '{"allowed": false, "code": "pauze-loopt"}\n')
    assert "Er loopt een pauze." in cli(*asked[:-1]).out
    cli.now = "2026-11-10T00:00"
    ran = cli(*asked)
    assert (ran.code, ran.out) == (0, '{"allowed": true, "code": null}\n')  # what is due counts, also when no clock has run
    assert cli("cases", "list", "--json").lines[0]["state"] == "aangekondigd"
    assert cli("clock", "--once").code == 0
    assert cli("cases", "list", "--json").lines[0]["state"] == "doorgang"
    assert [one_["data"].get("code") for one_ in deliveries(cli, BALIE)] == ["geen-reactie"]
    assert cli("clock", "--once").code == 0
    assert len(deliveries(cli, BALIE)) == 1

    publish(cli, BALIE, new(AFGEROND, correlation="dossier-1"))
    assert cli("cases", "list", "--json").lines == []
    (closed,) = cli("cases", "list", "--all", "--json").lines
    assert (closed["state"], closed["closed"], closed["next_due"]) == ("afgerond", at("2026-11-10T00:00"), None)
    assert cli(*asked).code == 0
    assert [step["trigger"] for step in cli("cases", "show", "1", "--json").json["steps"]] == [MELDING, "geen-reactie", AFGEROND]
    for way in (("cases", "list", "--all"), ("cases", "show", "1")):
        assert ANNA not in cli(*way).out


@pytest.mark.parametrize(("arguments", "code", "says"), [
    (("may", "uitvoeren", "--as", WIJK, "--correlation", NOWHERE, "--json"), 1, '{"allowed": false, "code": "keten-onbekend"}\n'),
    (("may", "uitvoeren", "--as", TOEZICHT, "--correlation", "of the wijkteam", "--json"), 1,
     '{"allowed": false, "code": "keten-onbekend"}\n'),
    (("may", "uitvoeren", "--as", WIJK, "--correlation", "dossier-1", "--json"), 1, '{"allowed": false, "code": "keten-onbekend"}\n'),
    (("may", "uitvoeren", "--as", BALIE, "--correlation", "dossier-2", "--json"), 1, '{"allowed": false, "code": "zaak-onbekend"}\n'),
    (("may", "uitvoeren", "--as", BALIE, "--correlation", "dossier-1", "--json"), 1, '{"allowed": false, "code": "pauze-loopt"}\n'),
    (("may", "anders", "--as", BALIE, "--correlation", "dossier-1"), 2, "uitvoeren"),
    (("may", "uitvoeren", "--as", "niemand", "--correlation", "dossier-1"), 2, "participant"),
    (("may", "uitvoeren", "--as", WIJK), 2, "--correlation"),
    (("show", "99"), 2, "no such case"),
    (("show", "dossier-1"), 2, "--as"),
    (("show", "dossier-1", "--as", WIJK), 2, "knows no case"),
    (("show", "dossier-2", "--as", BALIE), 2, "knows no case"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value)[:20])  # fmt: skip
def test_a_question_about_a_case_that_is_not_yours_or_is_not_there_exits_with_its_code(
    cli: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    publish(cli, BALIE, new(MELDING, correlation="dossier-1"))
    publish(cli, BALIE, new(BERICHT, bsn=BEA, correlation="dossier-2"))
    (handle, _) = (one_["correlation"] for one_ in deliveries(cli, WIJK))
    given = tuple(handle if part == "of the wijkteam" else part for part in arguments)
    ran = cli("cases", *given)
    assert ran.code == code
    assert says == ran.out if says.startswith("{") else says in ran.err
    assert "Traceback" not in ran.said


def test_a_refused_step_exits_with_1_and_names_its_code(cli: Cli) -> None:
    publish(cli, BALIE, new(MELDING))
    keten = {who: deliveries(cli, who)[0]["correlation"] for who in (WIJK, TOEZICHT)}
    publish(cli, WIJK, new(VERZOEK, correlation=keten[WIJK]))
    before = cli("cases", "show", "1", "--json").json
    ran = cli.publish({"nummer": 2}, "--correlation", keten[TOEZICHT], type_=VERZOEK, participant=TOEZICHT)
    assert (ran.code, [error["code"] for error in ran.json[0]["errors"]]) == (1, ["ander-was-voor"])
    assert cli("cases", "show", "1", "--json").json == before


# --- erasing, and what is readable at rest ------------------------------------------------


def test_a_closed_case_is_erased_when_its_retention_ends_and_still_stands_as_closed(traject: Traject, clock: MovingClock) -> None:
    hub = traject.hub
    still_open = begin(hub, traject.wire, bsn=BEA)
    clock.now = terms.moment("2026-11-05T09:00")
    traject.step(RECHTER, AFGEROND)
    tick(hub, clock, "2027-05-05T08:59:59.999")
    assert row_of(hub, 1).sealed is not None
    assert row_of(hub, 1).subject is not None
    tick(hub, clock, "2027-05-05T09:00")
    erased = row_of(hub, 1)
    assert (erased.sealed, erased.subject, erased.next_due, erased.erase_at) == (None, None, None, None)
    assert row_of(hub, 2).sealed is not None
    assert shown(hub, 1) | {"steps": []} == {
        "case": 1, "process": "traject", "state": "afgerond", "municipality": "0855", "opened": BEGUN, "changed": at("2026-11-05T09:00"),
        "closed": at("2026-11-05T09:00"), "next_due": None, "variables": {}, "terms": [], "steps": [],
    }  # fmt: skip
    assert [step["to"] for step in shown(hub, 1)["steps"]] == ["aangekondigd", "afgerond"]
    assert (traject.may(), still_open.may()) == ("open", "open")
    traject.wire()
    accepted(hub, BALIE, new(UITGEVOERD, nummer=7, correlation=traject.keten[BALIE]))
    assert said(traject.wire()) == [(WIJK, "uitgevoerd", 7)]
    assert codes(traject.send(BALIE, MELDING)) == ["zaak-bestaat-al"]
    assert codes(traject.send(WIJK, VERZOEK)) == ["staat-past-niet"]
    tick(hub, clock, "2027-05-06T09:00")
    assert stand(hub) == ["afgerond", "doorgang"]


def row_of(hub: Hub, number: int) -> Any:
    with hub.database.read() as connection:
        return connection.execute(select(cases).where(cases.c.id == number)).one()


def test_an_open_case_outlives_the_signals_that_made_it(traject: Traject, clock: MovingClock) -> None:
    traject.step(WIJK, VERZOEK)
    traject.step(RECHTER, BESLUIT, dag="2027-10-01")
    tick(traject.hub, clock, "2027-09-01T00:00")
    traject.wire()
    with traject.hub.database.read() as connection:
        assert set(connection.execute(select(signals.c.sealed_key)).scalars()) == {None}
    assert traject.may() == "pauze-loopt"
    tick(traject.hub, clock, "2027-10-02T00:00")
    got = traject.wire()
    assert {one_["data"]["code"] for one_ in got} == {"herziening-nadert", "herziening-verlopen"}
    assert {one_["correlation"] for one_ in got} == {traject.keten[RECHTER], traject.keten[WIJK]}
    second = begin(traject.hub, traject.wire)  # the case itself still knows about whom it is
    tick(traject.hub, clock, "2027-10-12T00:00")
    assert (stand(traject.hub), second.may()) == (["geescaleerd", "doorgang"], "pauze-loopt")


def test_nothing_of_a_case_can_be_read_in_the_database(proef: World, clock: MovingClock) -> None:
    with proef.open() as hub:
        case = begin(hub, Wire(hub), correlation="merkteken-dossier", contactrol="merkteken-balie")
        case.step(WIJK, VERZOEK)
        case.step(RECHTER, BESLUIT)
        tick(hub, clock, "2026-12-09T00:00")
        stored = at_rest(proef.home)
        column = b"".join(value for row in rows(hub, cases) for value in row if isinstance(value, bytes))
    assert b"traject.geen-reactie.starter" in stored  # the search looks in the right place
    for secret in (ANNA, "Merkteken", "merkteken", "2026-12-08", *case.keten.values()):
        assert secret.encode() not in stored
    assert b"herzien_op" not in column
    assert b"keren" not in column


# --- what the registers say ---------------------------------------------------------------


@pytest.mark.parametrize(("opener", "begins", "fires"), [
    (BALIE, "2026-11-09T23:59", "2026-11-17T00:00"), (BALIE, "2026-11-10T00:00", "2026-11-18T00:00"),
    (ELSEWHERE, "2026-11-09T23:59", "2026-11-17T00:00"), (ELSEWHERE, "2026-11-10T00:00", "2026-11-14T00:00"),
])  # fmt: skip
def test_a_setting_counts_from_its_day_in_its_municipality(
    hub: Hub, wire: Wire, clock: MovingClock, opener: str, begins: str, fires: str
) -> None:
    clock.now = terms.moment(begins)
    begin(hub, wire, opener, gemeentecode=opener.partition(".")[2], dag="2027-12-31")
    assert asking.listing(hub, everything=False)[0]["next_due"] == at(fires)
    clock.now = terms.moment(fires) - 1
    assert wire() == []
    tick(hub, clock, fires)
    assert {one_["data"]["code"] for one_ in wire()} == {"geen-reactie"}


def outcomes(hub: Hub, type_: str) -> list[tuple[str, str | None, str, str]]:
    """Return recipient, rule, outcome and reason of every decision on signals of a type."""
    name = hub.names.name
    with hub.database.read() as connection:
        found = connection.execute(
            select(decisions).join(signals, signals.c.id == decisions.c.signal)
            .where(signals.c.type == hub.names.find(connection, type_)).order_by(decisions.c.id)
        ).all()  # fmt: skip
        return [
            (
                name(connection, row.recipient),
                name(connection, row.grant) if row.grant else None,
                Outcome(row.outcome).name.lower(),
                row.reason,
            )
            for row in found
        ]


def test_on_an_unsettled_ground_no_reminder_goes_to_a_real_organisation(proef: World, clock: MovingClock) -> None:
    proef.edit("proef-traject.yaml", "    legal_basis: [proef-vast]\n", "    legal_basis: [proef-vast, proef-toets]\n")
    proef.edit("participants.yaml", '"00000099000000940855"', '"00000001000000940855"')
    with proef.open() as hub:
        wire = Wire(hub)
        begin(hub, wire)
        tick(hub, clock, "2026-11-10T00:00")
        assert said(wire()) == gets(f"{BALIE} geen-reactie starter")
        assert sorted(outcomes(hub, REMINDER)) == [
            (BALIE, "traject.geen-reactie.starter", "deliver", "volgens-regel"),
            (RECHTER, "traject.geen-reactie.beoordelaar", "withhold", "grondslag-te-toetsen"),
        ]
        assert stand(hub) == ["doorgang"]


@pytest.mark.parametrize(("file", "old", "changed"), [
    pytest.param("participants.yaml", '{"0855": {oin: "00000099000000940855"}, ', "{", id="who left the hub"),
])  # fmt: skip
def test_a_reminder_for_who_is_not_connected_is_withheld_and_the_case_goes_on(
    proef: World, clock: MovingClock, file: str, old: str, changed: str
) -> None:
    proef.edit(file, old, changed)
    with proef.open() as hub:
        wire = Wire(hub)
        begin(hub, wire)
        tick(hub, clock, "2026-11-10T00:00")
        assert said(wire()) == gets(f"{BALIE} geen-reactie starter")
        assert (RECHTER, "traject.geen-reactie.beoordelaar", "withhold", "ontvanger-onbekend") in outcomes(hub, REMINDER)
        assert stand(hub) == ["doorgang"]
