"""SC-05: the surcharges on a fine lapse in exchange for a task (docs/scenarios.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import (
    DECISION,
    EINDHOVEN,
    REQUEST,
    TASK_DONE,
    ZAANSTAD,
    Message,
    Sent,
    World,
    confirmed,
    reminder,
    taken_back,
    town,
)

NAME, BSN, PERSON, FINE = "Verzonnen-Jansen", "999990019", "3d5b7f91-2e64-4a0c-b8d1-9f06e3c5a724", "412345679"
CJIB, TEAM = "cjib", "buurtteam.0772"
ASKED: dict[str, Any] = {
    "gemeentecode": EINDHOVEN, "persoonskenmerk": PERSON, "cjib_zaaknummers": [FINE], "zaaksoort": "WAHV",
    "verzoeksoort": "MAATSCHAPPELIJKE_TAAK", "onderdeel": "VERHOGING", "gevraagd_tot": "2027-01-31", "verlenging": False,
    "machtiging_ref": "MACHT-2026-12", "betaalcapaciteit_cent_per_maand": None, "betrokkene_geinformeerd": "JA", "contactrol": "loket-1",
}  # fmt: skip
AGREED: dict[str, Any] = {
    "besluit": "DEELS",
    "onderdelen": [{"onderdeel": "INITIELE_BOETE", "actie": "REGELING"}, {"onderdeel": "VERHOGING", "actie": "LATEN_VERVALLEN"}],
    "na_taak": True, "gijzeling_aangehouden": False, "bedrag_cent_per_maand": 2_500, "tot": "2027-02-28", "redencode": "ANDERS",
}  # fmt: skip
LAPSED: dict[str, Any] = AGREED | {"besluit": "TOEGEWEZEN", "na_taak": False, "tot": "2027-06-30", "redencode": "GEEN"}
FINISHED: dict[str, Any] = {"volbracht_op": "2026-12-18", "uren": 24}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, EINDHOVEN, ZAANSTAD) as found:
        for nobody_sees in (NAME, BSN, PERSON, "plantsoen", "verzorgingshuis"):
            found.hide(nobody_sees)
        found.hide(FINE, CJIB)
        found.blind(CJIB, "buurtteam", "wijteam", "zaaksoort")
        yield found


def asked(data: dict[str, Any] = ASKED) -> Message:
    left_out = {"persoonskenmerk", "zaaksoort", "betrokkene_geinformeerd"}
    return REQUEST, "cjib.verzoek", {"gemeentebesluit_op": None, "bewijs_ref": None} | {n: data[n] for n in data if n not in left_out}


def agreed(world: World) -> tuple[Sent, Sent]:
    """Let the team ask on 2 November and CJIB agree to a task on the 5th; the team alone hears it, the police do not."""
    case = world.publish(TEAM, REQUEST, ASKED)
    world.arrived({CJIB: asked()})
    world.at("2026-11-05T10:00")
    decision = world.publish(CJIB, DECISION, AGREED, cause=world.last(CJIB)["delivery_id"])
    world.arrived({TEAM: (DECISION, "cjib.besluit", AGREED)})
    assert world.state(case) == "taak-afgesproken"
    return case, decision


def finished(world: World, case: Sent) -> Sent:
    world.at("2026-12-18T16:00")
    sent = world.publish(TEAM, TASK_DONE, FINISHED, cause=case.signal_id)
    world.arrived({CJIB: (TASK_DONE, "cjib.taak-volbracht", FINISHED)})
    assert world.state(case) == "taak-volbracht"
    return sent


def answers(world: World, case: Sent) -> dict[str, str | None]:
    """Return what the hub answers to each question about the fine; it answers the team and CJIB alike."""
    guards = ("inning-voortzetten", "gijzeling-uitvoeren", "verhoging-innen", "verhoging-laten-vervallen")
    told = {guard: world.may(guard, TEAM, case.correlation) for guard in guards}
    assert told == {guard: world.may(guard, CJIB, world.seen[CJIB][0]["correlation"]) for guard in guards}
    return told


FREE: dict[str, str | None] = dict.fromkeys(("inning-voortzetten", "gijzeling-uitvoeren", "verhoging-innen", "verhoging-laten-vervallen"))
DURING_THE_TASK = FREE | {
    "gijzeling-uitvoeren": "taak-loopt",
    "verhoging-innen": "taak-loopt",
    "verhoging-laten-vervallen": "taak-niet-volbracht",
}


def test_sc05_the_surcharge_lapses_after_a_task(world: World) -> None:
    """The whole chain.

    1. A fine is unpaid and has grown by surcharges (verhogingen).
    2. The WIJteam asks for a task in exchange. Correction: the task is the kind of request, about the surcharge; asking for
       the fine itself is refused, whatever the task.
    3. CJIB decides: the fine is paid in a plan, the surcharge lapses after the task. Until it is done CJIB may not collect the
       surcharge and cannot let it lapse either.
    4. The task is done; CJIB hears day and hours, and decides that the surcharge lapses. The hub lets nothing lapse by itself.
    5. What the task was and where is refused as a field and stands nowhere. Nobody but CJIB and the team hears anything.
    """
    world.refused(TEAM, REQUEST, ASKED | {"onderdeel": "INITIELE_BOETE"}, "boete-vervalt-nooit")
    world.refused(TEAM, REQUEST, ASKED | {"onderdeel": None}, "onderdeel-past-niet")
    world.refused(TEAM, REQUEST, ASKED | {"taaksoort": "PLANTSOEN"}, "veld-onbekend")
    case, _ = agreed(world)
    assert answers(world, case) == DURING_THE_TASK
    world.refused(CJIB, DECISION, LAPSED, "taak-niet-volbracht", cause=world.last(CJIB, REQUEST)["delivery_id"])
    assert world.state(case) == "taak-afgesproken"

    world.at("2026-12-18T16:00")
    for extra in ({"taaksoort": "plantsoen"}, {"plaats": "verzorgingshuis"}):
        world.refused(TEAM, TASK_DONE, FINISHED | extra, "veld-onbekend", cause=case.signal_id)
    world.refused(TEAM, TASK_DONE, FINISHED | {"volbracht_op": "2026-12-19"}, "datum-in-de-toekomst", cause=case.signal_id)
    finished(world, case)
    assert answers(world, case) == DURING_THE_TASK | {"verhoging-laten-vervallen": None}

    world.at("2026-12-21T10:00")
    world.publish(CJIB, DECISION, LAPSED, cause=world.last(CJIB, REQUEST)["delivery_id"])
    world.arrived({TEAM: (DECISION, "cjib.besluit", LAPSED)})
    assert world.state(case) == "geregeld"
    assert answers(world, case) == FREE


def test_sc05_the_helper_withdraws_the_request(world: World) -> None:
    """Step 6: the task does not come off and the team withdraws.

    CJIB hears it, confirms it, and takes the normal path: nothing is held any more.
    """
    case, _ = agreed(world)
    withdrawal = world.withdraw(case, "ANDERS")
    world.arrived({CJIB: taken_back("ANDERS")})
    assert world.last(CJIB)["cause"] == world.last(CJIB, REQUEST)["delivery_id"]
    assert world.state(case) == "beeindigd"
    assert answers(world, case) == FREE
    [recall] = world.run("recalls", "list", "--json").lines
    assert recall["recipients"] == [{"recipient": CJIB, "confirmed": None}]
    world.confirm(CJIB)
    world.arrived({TEAM: confirmed()})
    assert world.last(TEAM)["cause"] == withdrawal.signal_id
    assert world.run("recalls", "list", "--json").lines == []
    world.refused(TEAM, TASK_DONE, FINISHED | {"volbracht_op": "2026-11-05"}, "staat-past-niet", cause=case.signal_id)


def test_sc05_the_task_turns_out_not_to_be_done(world: World) -> None:
    """Step 6, the other reading: that the task was done is withdrawn. CJIB hears it; the surcharge cannot lapse again until it is done."""
    case, _ = agreed(world)
    done = finished(world, case)
    world.withdraw(done, "ONTERECHT")
    world.arrived({CJIB: taken_back("ONTERECHT")})
    assert world.state(case) == "taak-afgesproken"
    assert answers(world, case) == DURING_THE_TASK


def test_sc05_the_task_is_not_done_in_time(world: World) -> None:
    """Step 4, when time runs out: two weeks before the last day the team is reminded.

    The day after both hear it and nothing is held any more.
    """
    case, _ = agreed(world)
    world.at("2027-02-14T00:00")
    world.arrived({TEAM: reminder("cjib-pauze.einde-nadert.starter", EINDHOVEN, "taak-afgesproken", "2027-02-28")})
    world.at("2027-02-28T23:59")
    world.arrived({})
    assert answers(world, case) == DURING_THE_TASK
    world.at("2027-03-01T00:00")
    over = {
        who: reminder(f"cjib-pauze.taak-niet-op-tijd.{role}", EINDHOVEN, "beeindigd", "2027-02-28")
        for who, role in ((TEAM, "starter"), (CJIB, CJIB))
    }
    world.arrived(over)
    assert answers(world, case) == FREE


def test_sc05_a_town_without_a_contact_at_cjib(world: World) -> None:
    """Step 7: nobody at CJIB reads a request from Zaanstad, so it is refused at once: `geen-afspraak`.

    A team does not ask for another town either.
    """
    world.refused("buurtteam.0479", REQUEST, ASKED | {"gemeentecode": ZAANSTAD}, "geen-afspraak")
    world.refused("buurtteam.0479", REQUEST, ASKED, "gemeente-niet-toegestaan")
