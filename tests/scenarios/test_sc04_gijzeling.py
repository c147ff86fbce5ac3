"""SC-04: Gerard's fines and the police at the door; what the helper, CJIB and the police hear (docs/scenarios.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import (
    CAPACITY,
    DECISION,
    INTENT,
    REQUEST,
    TILBURG,
    UTRECHT,
    Message,
    Sent,
    World,
    confirmed,
    reminder,
    taken_back,
    town,
)

NAME, BSN = "Gerard Verzonnen", "999990019"
PERSON, PERSON_AT_CJIB = "0a3c9e57-1d42-4b6a-8f05-c7e2d1b4a690", "7c1e5b20-93ad-4f68-b2d7-1a0c4e86f3b9"
FINE = "555123400"
CJIB, POLICE, RIBW, DEBT_AID = "cjib", "politie", "begeleid-wonen.0344", "schuldhulp.0344"
HOLD: dict[str, Any] = {
    "gemeentecode": UTRECHT, "persoonskenmerk": PERSON, "cjib_zaaknummers": [FINE], "zaaksoort": "WAHV",
    "verzoeksoort": "GIJZELING_AANHOUDEN", "gevraagd_tot": "2027-01-31", "verlenging": False, "machtiging_ref": "MACHT-2026-90",
    "betaalcapaciteit_cent_per_maand": 7_500, "betrokkene_geinformeerd": "JA", "contactrol": "loket-7",
}  # fmt: skip
PLAN: dict[str, Any] = HOLD | {"verzoeksoort": "BETALINGSREGELING", "machtiging_ref": "MACHT-2026-91", "contactrol": "loket-3"}
HELD: dict[str, Any] = {
    "besluit": "TOEGEWEZEN", "onderdelen": [], "na_taak": False, "gijzeling_aangehouden": True, "cjib_zaaknummers": [FINE],
    "tot": "2027-03-03", "redencode": "GEEN",
}  # fmt: skip
PLANNED: dict[str, Any] = {
    "besluit": "TOEGEWEZEN",
    "onderdelen": [{"onderdeel": "INITIELE_BOETE", "actie": "REGELING"}, {"onderdeel": "VERHOGING", "actie": "REGELING"}],
    "na_taak": False, "gijzeling_aangehouden": False, "bedrag_cent_per_maand": 7_500, "tot": "2028-11-01", "redencode": "GEEN",
}  # fmt: skip
JAIL: dict[str, Any] = {
    "persoonskenmerk": PERSON_AT_CJIB, "cjib_zaaknummer": FINE, "maatregelsoort": "GIJZELING", "gepland_op": "2026-11-23",
    "betrokkene_geinformeerd": "JA", "contactrol": "inning-noord",
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, UTRECHT, TILBURG) as found:
        for nobody_sees in (NAME, BSN, PERSON, PERSON_AT_CJIB, "verslaving", "dakloos", "scooter"):
            found.hide(nobody_sees)
        found.hide(FINE, CJIB, POLICE, RIBW)
        found.blind(CJIB, "ribw", "begeleid", "wonen", "schuldhulp", "buurtteam", 'wahv"', "zaaksoort")
        found.blind(POLICE, "ribw", "begeleid", "schuldhulp", "buurtteam", "loket", "macht-", "regeling", "7500", UTRECHT)
        yield found


def asked(data: dict[str, Any]) -> Message:
    """What CJIB sees of a request: not who the person is to the helper, what sort of case, or whether the person knows."""
    empty = {"onderdeel": None, "gemeentebesluit_op": None, "bewijs_ref": None}
    left_out = {"persoonskenmerk", "zaaksoort", "betrokkene_geinformeerd"}
    return REQUEST, "cjib.verzoek", empty | {name: data[name] for name in data if name not in left_out}


def decision(data: dict[str, Any]) -> Message:
    """What the helper sees of a decision: everything but the case numbers, which it knows."""
    return DECISION, "cjib.besluit", {"bedrag_cent_per_maand": None} | {name: data[name] for name in data if name != "cjib_zaaknummers"}


def to_police(until: str) -> Message:
    return DECISION, "cjib.gijzeling-aangehouden", {"cjib_zaaknummers": [FINE], "tot": until}


def told(code: str, state: str, until: str | None, helper: str) -> dict[str, Message]:
    return {
        helper: reminder(f"cjib-pauze.{code}.starter", UTRECHT, state, until),
        CJIB: reminder(f"cjib-pauze.{code}.cjib", UTRECHT, state, until),
    }


def request(world: World, by: str = RIBW, data: dict[str, Any] = HOLD) -> Sent:
    sent = world.publish(by, REQUEST, data)
    world.arrived({CJIB: asked(data)})
    return sent


def held(world: World) -> Sent:
    """Let CJIB hold the gijzeling on 3 November, for four months; the helper hears the decision, the police case and date."""
    world.at("2026-11-03T11:00")
    sent = world.publish(CJIB, DECISION, HELD, cause=world.last(CJIB, REQUEST)["delivery_id"])
    world.arrived({RIBW: decision(HELD), POLICE: to_police("2027-03-03")})
    return sent


def jailable(world: World) -> str | None:
    return world.may("gijzeling-uitvoeren", CJIB, world.last(CJIB, REQUEST)["correlation"])


def test_sc04_the_gijzeling_is_held(world: World) -> None:
    """The chain of the helper.

    1. Gerard lives in a RIBW (sheltered housing), works, and has stacked fines.
    2. CJIB means to have him detained. Correction: nobody gets this announcement, for nobody has asked CJIB anything yet. It
       goes to the client's own helper only; CJIB is no party that may report arrears to a town. It is accepted, and kept from all.
    3. The RIBW asks CJIB to hold it. CJIB sees case numbers, what is asked and a desk number; not a name or BSN, and not that it
       comes from a RIBW. A request holds nothing back: until CJIB decides, the answer to "may it be done" is yes. Now CJIB
       announces again, in this keten, and the RIBW hears it.
    4, 7. CJIB grants it until a date. The RIBW hears the decision, the police case number and date, and nothing of help or money.
    8. Fourteen days before the end the RIBW alone is alerted; the day after the end it and CJIB are. The hub takes no step.
    """
    intent = world.publish(CJIB, INTENT, JAIL)
    world.arrived({})
    assert world.why(intent.signal_id) == [(CJIB, "cjib.voornemen", "withhold", "eigen-signaal")]

    for extra in ({"naam": NAME}, {"bsn": BSN}, {"omstandigheden": "verslaving"}, {"woonvorm": "dakloos"}, {"feit": "scooter"}):
        world.refused(RIBW, REQUEST, HOLD | extra, "veld-onbekend")
    world.refused(RIBW, REQUEST, HOLD | {"contactrol": "ribw-noord"}, "patroon-klopt-niet")
    world.refused("handhaving.0344", REQUEST, HOLD, "geen-publicatierecht")
    case = request(world)
    assert world.state(case) == "verzocht"
    assert jailable(world) is None
    world.publish(CJIB, INTENT, JAIL, cause=world.last(CJIB, REQUEST)["delivery_id"])
    world.arrived({RIBW: (INTENT, "cjib.voornemen", {name: JAIL[name] for name in JAIL if name != "persoonskenmerk"})})

    too_long = HELD | {"tot": "2027-03-04"}
    world.at("2026-11-03T11:00")
    world.refused(CJIB, DECISION, too_long, "pauze-te-lang", cause=world.last(CJIB, REQUEST)["delivery_id"])
    granted = held(world)
    assert world.why(granted.signal_id) == [
        (RIBW, "cjib.besluit", "deliver", "volgens-regel"),
        (POLICE, "cjib.gijzeling-aangehouden", "deliver", "volgens-regel"),
    ]
    assert world.state(case) == "gijzeling-aangehouden"
    assert jailable(world) == "gijzeling-is-aangehouden"
    assert world.may("gijzeling-uitvoeren", RIBW, case.correlation) == "gijzeling-is-aangehouden"
    assert world.may("inning-voortzetten", RIBW, case.correlation) is None

    world.at("2027-02-16T23:59")
    world.arrived({})
    world.at("2027-02-17T00:00")
    world.arrived({RIBW: reminder("cjib-pauze.einde-nadert.starter", UTRECHT, "gijzeling-aangehouden", "2027-03-03")})
    world.at("2027-03-03T23:59")
    world.arrived({})
    assert jailable(world) == "gijzeling-is-aangehouden"
    world.at("2027-03-04T00:00")
    world.arrived(told("pauze-verlopen", "beeindigd", "2027-03-03", RIBW))
    assert jailable(world) is None


def test_sc04_a_plan_above_what_he_can_pay(world: World) -> None:
    """The chain of the plan.

    3. Who asks two things sends two requests. Correction: the plan is asked by schuldhulp, for what someone can pay is theirs
       (or a buurtteam's) to pass on, in a keten of their own; a RIBW cannot.
    4. CJIB grants the plan, 75 euro a month. The police hear nothing: no gijzeling is held here. The RIBW hears nothing either.
    5. An independent budget bureau finds that he can pay less; schuldhulp passes the amount on. CJIB gets the amount and no reason.
    6. The plan lies above it: CJIB and schuldhulp are alerted. Nothing changes by itself; a cent at the edge makes the difference.
    """
    world.hide(FINE, CJIB)
    case = request(world, DEBT_AID, PLAN)
    world.at("2026-11-05T10:00")
    world.publish(CJIB, DECISION, PLANNED, cause=world.last(CJIB, REQUEST)["delivery_id"])
    world.arrived({DEBT_AID: decision(PLANNED)})
    assert world.state(case) == "geregeld"

    world.at("2026-11-12T10:00")
    found = {"betaalcapaciteit_cent_per_maand": 7_500, "vastgesteld_op": "2026-11-12", "regeling_cent_per_maand": 7_500}
    for extra in ({"woonsituatie": "dakloos"}, {"inkomen_cent": 120_000}):
        world.refused(DEBT_AID, CAPACITY, found | extra, "veld-onbekend", cause=case.signal_id)
    world.publish(DEBT_AID, CAPACITY, found, cause=case.signal_id)
    world.arrived({CJIB: capacity(7_500)})
    world.publish(DEBT_AID, CAPACITY, found | {"betaalcapaciteit_cent_per_maand": 7_499}, cause=case.signal_id)
    alert = told("regeling-boven-capaciteit", "geregeld", None, DEBT_AID)
    world.arrived({DEBT_AID: alert[DEBT_AID], CJIB: [capacity(7_499), alert[CJIB]]})
    assert world.state(case) == "geregeld"
    assert world.may("inning-voortzetten", DEBT_AID, case.correlation) is None
    world.refused(RIBW, CAPACITY, found, "geen-publicatierecht", cause=case.signal_id)


def capacity(amount: int) -> Message:
    return CAPACITY, "cjib.betaalcapaciteit", {"betaalcapaciteit_cent_per_maand": amount, "vastgesteld_op": "2026-11-12"}


def test_sc04_the_fine_itself_is_never_waived(world: World) -> None:
    """Step 9: nobody can ask for it and CJIB cannot grant it here. Nor is there a pause where a victim waits for the money."""
    waive = HOLD | {"onderdeel": "INITIELE_BOETE"}
    for kind in ("VERHOGING_LATEN_VERVALLEN", "INCASSOKOSTEN_LATEN_VERVALLEN", "MAATSCHAPPELIJKE_TAAK"):
        world.refused(RIBW, REQUEST, waive | {"verzoeksoort": kind}, "boete-vervalt-nooit")
    world.refused(RIBW, REQUEST, HOLD | {"zaaksoort": "SCHADEVERGOEDINGSMAATREGEL"}, "schadevergoeding-geen-pauze")
    world.refused(RIBW, REQUEST, HOLD | {"betrokkene_geinformeerd": "NEE_SPOED"}, "inwoner-weet-het-niet")
    case = request(world)
    gift = PLANNED | {"onderdelen": [{"onderdeel": "INITIELE_BOETE", "actie": "LATEN_VERVALLEN"}], "bedrag_cent_per_maand": None}
    world.refused(CJIB, DECISION, gift, "boete-vervalt-nooit", cause=world.last(CJIB, REQUEST)["delivery_id"])
    assert world.state(case) == "verzocht"


def test_sc04_no_decision_comes(world: World) -> None:
    """Step 4, when CJIB is silent: after five working days both are reminded.

    Nothing stands still by silence, and nothing goes on by it.
    """
    request(world)
    world.at("2026-11-09T23:59")
    world.arrived({})
    world.at("2026-11-10T00:00")
    world.arrived(told("geen-besluit", "verzocht", "2026-11-09", RIBW))
    assert jailable(world) is None


def test_sc04_four_months_and_once_eight_more(world: World) -> None:
    """Step 8, in time: with a decision of the town and proof of it the hold may be asked once more, eight months from its end.

    The police hear the new date.
    """
    world.refused(RIBW, REQUEST, HOLD | {"gevraagd_tot": "2027-03-03"}, "langer-dan-vier-maanden")
    case = request(world)
    held(world)
    world.at("2027-02-08T10:00")
    longer = HOLD | {"verlenging": True, "gevraagd_tot": "2027-11-03", "gemeentebesluit_op": "2027-02-01", "bewijs_ref": "BEWIJS-2027-9"}
    world.refused(RIBW, REQUEST, longer | {"bewijs_ref": None}, "bewijs-ontbreekt", cause=case.signal_id)
    world.refused(RIBW, REQUEST, longer | {"gevraagd_tot": "2027-11-04"}, "langer-dan-acht-maanden", cause=case.signal_id)
    extension = world.publish(RIBW, REQUEST, longer, cause=case.signal_id)
    world.arrived({CJIB: asked(longer)})
    assert world.last(CJIB)["correlation"] == world.seen[CJIB][0]["correlation"]
    world.publish(CJIB, DECISION, HELD | {"tot": "2027-11-03"}, cause=world.last(CJIB)["delivery_id"])
    world.arrived({RIBW: decision(HELD | {"tot": "2027-11-03"}), POLICE: to_police("2027-11-03")})
    world.at("2027-03-04T00:00")
    world.arrived({})
    assert jailable(world) == "gijzeling-is-aangehouden"
    world.refused(RIBW, REQUEST, longer, "verlengen-kan-niet", cause=extension.signal_id)


def test_sc04_cjib_takes_its_decision_back(world: World) -> None:
    """A variant of steps 4 and 7: the decision is withdrawn.

    The helper and the police both hear it and confirm, so that nobody acts on it any more.
    """
    case = request(world)
    granted = held(world)
    withdrawal = world.withdraw(granted, "ONTERECHT")
    world.arrived({RIBW: taken_back("ONTERECHT"), POLICE: taken_back("ONTERECHT")})
    assert world.state(case) == "verzocht"
    assert jailable(world) is None
    for who in (POLICE, RIBW):
        world.confirm(who)
        world.arrived({CJIB: confirmed()})
        assert world.last(CJIB)["cause"] == withdrawal.signal_id
    assert world.run("recalls", "list", "--json").lines == []


def test_sc04_cjib_announces_while_it_holds(world: World) -> None:
    """A variant of step 8: CJIB plans a step inside its own hold. The helper gets it, both get a warning, and the hold stands."""
    case = request(world)
    held(world)
    world.publish(CJIB, INTENT, JAIL, cause=world.last(CJIB, REQUEST)["delivery_id"])
    alarm = told("maatregel-tijdens-pauze", "gijzeling-aangehouden", None, RIBW)
    planned = (INTENT, "cjib.voornemen", {name: JAIL[name] for name in JAIL if name != "persoonskenmerk"})
    world.arrived({RIBW: [planned, alarm[RIBW]], CJIB: alarm[CJIB]})
    assert world.state(case) == "gijzeling-aangehouden"
    assert jailable(world) == "gijzeling-is-aangehouden"
