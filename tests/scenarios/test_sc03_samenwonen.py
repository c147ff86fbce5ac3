"""SC-03: she lives with a man who pays nothing and hurts her.

A pause with conditions, and no letter to that address (docs/scenarios.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import (
    ANNOUNCED,
    CONCLUDED,
    LIFTED,
    PROLONGED,
    REACTED,
    SET,
    TILBURG,
    UTRECHT,
    Message,
    Sent,
    World,
    reminder,
    town,
)

NAME, BSN, BORN = "Testpersoon", "123456782", "19881107"
PARTNER, PARTNER_BSN, STREET = "De Vries-Verzonnen", "999993653", "3561 AB"
WENI, ENFORCERS, TEAM = "werk-en-inkomen.0344", "handhaving.0344", "buurtteam.0344"
GUARD = "maatregel-uitvoeren"
CUT: dict[str, Any] = {
    "gemeentecode": UTRECHT, "bsn": BSN, "achternaam": NAME, "geboortedatum": BORN, "maatregelsoort": "KORTING",
    "aanleiding": "VERMOEDEN_SAMENWONEN", "aantal_contactpogingen": None, "gepland_op": "2026-11-23", "bezwaar_tot": None,
    "extra_contact_nodig": False, "lopend_hulptraject": "JA", "betrokkene_geinformeerd": "NEE_VEILIGHEID",
    "contactrol": "handhaving-utrecht",
}  # fmt: skip
PAUSE: dict[str, Any] = {
    "ingangsdatum": "2026-11-05", "herzien_op": "2027-02-26", "beslisser": "MDT", "voorwaarden": ["GESPREK", "WIJKTEAM", "HUISVESTING"],
    "huisarts_aangeboden": True, "onderzoek_door": "SAMEN",
}  # fmt: skip
ENDED: dict[str, Any] = {"uitkomst": "VOORTGEZET_MET_VOORWAARDEN", "ingangsdatum": "2027-02-15", "vervolg_aangeboden": True}
FOR_ENFORCERS = ("ingangsdatum", "herzien_op", "beslisser")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, UTRECHT, TILBURG) as found:
        found.hide(NAME, WENI, TEAM)
        found.hide(BORN, WENI, TEAM)
        found.hide(BSN, WENI)
        for nobody_sees in ("geweld", PARTNER, PARTNER_BSN, STREET):
            found.hide(nobody_sees)
        found.blind(ENFORCERS, "huisarts", "gesprek", "wijkteam", "huisvesting", "vervolg", "buurtteam")
        for participant in set(found.everyone) - {WENI}:
            found.blind(participant, "vermoeden")
        yield found


def announced(world: World, data: dict[str, Any] = CUT) -> Sent:
    """Let Handhaving announce; Werk en Inkomen sees all of it, the team that knows her no BSN and ONDERZOEK for the suspicion."""
    sent = world.publish(ENFORCERS, ANNOUNCED, data)
    for_team = {name: data[name] for name in data if name not in {"gemeentecode", "bsn"}} | {"aanleiding": "ONDERZOEK"}
    world.arrived({
        WENI: (ANNOUNCED, "pauzeknop.melding.werk-en-inkomen", data),
        TEAM: (ANNOUNCED, "pauzeknop.melding.buurtteam-bekend", for_team),
    })  # fmt: skip
    return sent


def reacted(world: World, by: str, reaction: str) -> None:
    """Let a team react; Werk en Inkomen alone hears it, and from which desk."""
    desk = {TEAM: "buurtteam-west", ENFORCERS: "handhaving-utrecht"}[by]
    cause = world.last(by)["delivery_id"] if by == TEAM else None
    links = {"cause": cause} if cause else {"correlation": "zaak-77"}
    world.publish(by, REACTED, {"reactie": reaction, "contactrol": desk}, **links)
    world.arrived({WENI: (REACTED, "pauzeknop.reactie", {"reactie": reaction, "contactrol": desk, "uitgever": by})})


def decided(world: World, type_: str, data: dict[str, Any], own_case: Message, team: Message) -> Sent:
    sent = world.publish(WENI, type_, data, cause=world.last(WENI, ANNOUNCED)["delivery_id"])
    world.arrived({ENFORCERS: own_case, TEAM: team})
    return sent


def paused(world: World) -> Sent:
    world.at("2026-11-05T15:00")
    for_enforcers = {name: PAUSE[name] for name in FOR_ENFORCERS}
    for_team = {name: PAUSE[name] for name in PAUSE if name != "beslisser"}
    return decided(
        world, SET, PAUSE, (SET, "pauzeknop.ingesteld.eigen-zaak", for_enforcers), (SET, "pauzeknop.ingesteld.buurtteam-bekend", for_team)
    )


def test_sc03_a_pause_with_conditions(world: World) -> None:
    """The whole chain.

    1, 2. On paper she breaks the rules. Handhaving announces a cut; Werk en Inkomen sees the suspicion, the team sees ONDERZOEK.
    3. The teams agree: the reactions reach Werk en Inkomen only, which sets a pause with conditions and a date some months later.
    4. NEE_VEILIGHEID tells who may know that nobody writes to her. No message holds an address, nor goes to a citizen: the hub
       has no post, app or portal, and no participant of that kind (checked in the test below).
    5. The word for what he does, his name and his number are refused as fields and stand nowhere.
    6. The conditions are met; the benefit goes on with them. Handhaving announced, so it hears of its own case.
    7. That she was offered company to the doctor and further help: Werk en Inkomen knows it, for it says so; of the others
       only the team that helps her sees it.
    """
    for extra in ({"reden": "geweld"}, {"partner": PARTNER}, {"bsn_partner": PARTNER_BSN}, {"postcode": STREET}):
        world.refused(ENFORCERS, ANNOUNCED, CUT | extra, "veld-onbekend")
    case = world.publish(ENFORCERS, ANNOUNCED, CUT, correlation="zaak-77")
    for_team = {name: CUT[name] for name in CUT if name not in {"gemeentecode", "bsn"}} | {"aanleiding": "ONDERZOEK"}
    world.arrived({
        WENI: (ANNOUNCED, "pauzeknop.melding.werk-en-inkomen", CUT),
        TEAM: (ANNOUNCED, "pauzeknop.melding.buurtteam-bekend", for_team),
    })  # fmt: skip
    assert world.last(TEAM)["data"]["betrokkene_geinformeerd"] == "NEE_VEILIGHEID"

    world.at("2026-11-04T10:00")
    reacted(world, TEAM, "BEL_MIJ")
    reacted(world, ENFORCERS, "GEEN_BEZWAAR")
    reacted(world, TEAM, "VOORWAARDEN_AFGESPROKEN")
    world.refused(WENI, SET, PAUSE | {"herzien_op": "2027-03-05"}, "herziening-te-ver", cause=world.last(WENI)["delivery_id"])
    world.refused(TEAM, SET, PAUSE, "geen-publicatierecht", cause=world.last(TEAM)["delivery_id"])
    paused(world)
    assert world.state(case) == "ingesteld"
    assert world.may(GUARD, ENFORCERS, "zaak-77") == "pauze-loopt"

    world.at("2027-02-15T10:00")
    for_enforcers = {"uitkomst": "VOORTGEZET_MET_VOORWAARDEN", "ingangsdatum": "2027-02-15"}
    decided(
        world,
        CONCLUDED,
        ENDED,
        (CONCLUDED, "pauzeknop.afgerond.eigen-zaak", for_enforcers),
        (CONCLUDED, "pauzeknop.afgerond.buurtteam-bekend", ENDED),
    )
    assert world.state(case) == "afgerond"
    assert world.may(GUARD, WENI, world.last(WENI)["correlation"]) == "melding-gesloten"
    world.at("2027-08-01T00:00")
    world.arrived({})


def test_sc03_no_grant_of_this_flow_has_an_address_or_a_citizen(world: World) -> None:
    """Step 4 for every message to come: its recipients are three teams, and no field of any of its views is an address."""
    rows = [row for row in world.run("rules", "matrix", "--json").json if row["flow"] == "pauzeknop"]
    assert {row["recipient"] for row in rows} == {"werk-en-inkomen", "handhaving", "buurtteam", "$starter"}
    assert {field["privacy"] for row in rows for field in row["fields"]} == {"organisation", "code", "identifier", "sensitive", "sanction"}
    assert not [row["grant"] for row in rows if row["recipient"] in {"handhaving", "$starter"} and any(
        field["privacy"] in {"identifier", "sensitive", "sanction"} for field in row["fields"])]  # fmt: skip


def test_sc03_a_team_that_does_not_know_her(world: World) -> None:
    """Step 7, what must not be: a team without a relation sees kind and day, later only whether the benefit goes on.

    Nothing of conditions or help.
    """
    data = CUT | {"lopend_hulptraject": "NEE"}
    world.hide(NAME, WENI)
    world.hide(BORN, WENI)
    world.publish(ENFORCERS, ANNOUNCED, data)
    world.arrived({
        WENI: (ANNOUNCED, "pauzeknop.melding.werk-en-inkomen", data),
        TEAM: (ANNOUNCED, "pauzeknop.melding.buurtteam-intake", {"maatregelsoort": "KORTING", "gepland_op": "2026-11-23"}),
    })  # fmt: skip
    world.at("2026-11-05T15:00")
    for_enforcers = {name: PAUSE[name] for name in FOR_ENFORCERS}
    for_team = {"ingangsdatum": "2026-11-05", "herzien_op": "2027-02-26"}
    decided(
        world, SET, PAUSE, (SET, "pauzeknop.ingesteld.eigen-zaak", for_enforcers), (SET, "pauzeknop.ingesteld.buurtteam-intake", for_team)
    )
    world.at("2027-02-15T10:00")
    decided(
        world,
        CONCLUDED,
        ENDED,
        (CONCLUDED, "pauzeknop.afgerond.eigen-zaak", {"uitkomst": ENDED["uitkomst"], "ingangsdatum": "2027-02-15"}),
        (CONCLUDED, "pauzeknop.afgerond.buurtteam-intake", {"uitkomst": "LOOPT_DOOR", "ingangsdatum": "2027-02-15"}),
    )


def test_sc03_more_time_is_needed(world: World) -> None:
    """A variant of step 6: before the review date Werk en Inkomen is reminded, and prolongs.

    Both teams hear the new date, and it counts from then on.
    """
    case = announced(world)
    paused(world)
    world.at("2027-02-24T00:00")
    world.arrived({WENI: reminder("uitkering-pauze.herziening-nadert.werk-en-inkomen", UTRECHT, "ingesteld", "2027-02-26")})
    later = {"herzien_op": "2027-04-30"}
    decided(
        world, PROLONGED, later, (PROLONGED, "pauzeknop.verlengd.eigen-zaak", later), (PROLONGED, "pauzeknop.verlengd.buurtteam", later)
    )
    world.at("2027-02-27T00:00")
    world.arrived({})
    assert world.state(case) == "ingesteld"


def test_sc03_the_conditions_are_not_met(world: World) -> None:
    """A variant of step 6: Werk en Inkomen lifts the pause.

    That an appointment failed is for the team that helps her; Handhaving reads ANDERS.
    """
    case = announced(world)
    paused(world)
    world.at("2027-01-11T10:00")
    lifted = {"redencode": "AFSPRAAK_NIET_NAGEKOMEN", "ingangsdatum": "2027-01-11"}
    decided(
        world,
        LIFTED,
        lifted,
        (LIFTED, "pauzeknop.afgewezen.eigen-zaak", lifted | {"redencode": "ANDERS"}),
        (LIFTED, "pauzeknop.afgewezen.buurtteam-bekend", lifted),
    )
    assert world.state(case) == "doorgang"
    assert world.may(GUARD, ENFORCERS, case.correlation) is None
