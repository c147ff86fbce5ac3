"""SC-08: Handhaving wants to stop a benefit while someone is on his way to work (docs/scenarios.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import (
    ANNOUNCED,
    ASKED,
    CONCLUDED,
    DONE,
    EINDHOVEN,
    KNOWN_BEFORE,
    LIFTED,
    SET,
    ZAANSTAD,
    Message,
    Sent,
    World,
    reminder,
    taken_back,
    town,
)

NAME, BSN, BORN = "De Verzonnen", "999993653", "19640512"
WENI, ENFORCERS, TEAM = "werk-en-inkomen.0479", "handhaving.0479", "buurtteam.0479"
GUARD = "maatregel-uitvoeren"
STOP: dict[str, Any] = {
    "gemeentecode": ZAANSTAD, "bsn": BSN, "achternaam": NAME, "geboortedatum": BORN, "maatregelsoort": "BEEINDIGING",
    "aanleiding": "VERMOEDEN_INKOMSTEN", "aantal_contactpogingen": None, "gepland_op": "2026-11-23", "bezwaar_tot": None,
    "extra_contact_nodig": False, "lopend_hulptraject": "JA", "betrokkene_geinformeerd": "NVT", "contactrol": "toezicht-zaanstad",
}  # fmt: skip
REQUEST: dict[str, Any] = {"reden": "OVERLEG_GEWENST", "gevraagd_op": "2026-11-04", "contactrol": "swt-west"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, ZAANSTAD, EINDHOVEN) as found:
        found.hide(NAME, WENI, TEAM)
        found.hide(BORN, WENI, TEAM)
        found.hide(BSN, WENI)
        found.hide("zwart werk")
        for participant in set(found.everyone) - {WENI}:
            found.blind(participant, "vermoeden", "inkomsten")
        found.blind(ENFORCERS, "buurtteam", "swt", "overleg_gewenst")
        yield found


def announced(world: World) -> Sent:
    sent = world.publish(ENFORCERS, ANNOUNCED, STOP)
    for_team = {name: STOP[name] for name in STOP if name not in {"gemeentecode", "bsn"}} | {"aanleiding": "ONDERZOEK"}
    world.arrived({
        WENI: (ANNOUNCED, "pauzeknop.melding.werk-en-inkomen", STOP),
        TEAM: (ANNOUNCED, "pauzeknop.melding.buurtteam-bekend", for_team),
    })  # fmt: skip
    return sent


def tuning_asked(world: World) -> Sent:
    """Let the team ask to wait; Werk en Inkomen sees who and why, Handhaving that it was asked in its own case, and when."""
    world.at("2026-11-04T10:00")
    sent = world.publish(TEAM, ASKED, REQUEST, cause=world.last(TEAM)["delivery_id"])
    world.arrived({
        WENI: (ASKED, "pauzeknop.gevraagd.werk-en-inkomen", REQUEST | {"uitgever": TEAM}),
        ENFORCERS: (ASKED, "pauzeknop.gevraagd.handhaving", {"gevraagd_op": "2026-11-04"}),
    })  # fmt: skip
    return sent


def of_weni(world: World) -> str:
    return str(world.last(WENI, ANNOUNCED)["delivery_id"])


def ended(type_: str, grant: str, data: dict[str, Any]) -> Message:
    return type_, f"pauzeknop.{grant}", data


def test_sc08_tuning_and_a_pause(world: World) -> None:
    """The chain, with a pause.

    1, 2. An older man on bijstand is in a motivation path of the SWT (the buurtteam of Zaanstad). Handhaving announces a stop.
       Correction: Handhaving may name its suspicion, for Werk en Inkomen decides on it; the hub shows it to the team as ONDERZOEK.
    3. The SWT sees that it helps him, the planned date and the desk to call, and no suspicion.
    4. The SWT asks to wait. Correction: not Handhaving but Werk en Inkomen decides. The hub blocks nothing; it answers no while
       somebody must still decide.
    5. Paused: Handhaving hears until when in its own case, the SWT also what was agreed. After it the benefit stops all the same or
       goes on: Werk en Inkomen lifts the pause, and then the measure may be carried out.
    """
    world.refused(ENFORCERS, ANNOUNCED, STOP | {"toelichting": "zwart werk gezien"}, "veld-onbekend")
    case = announced(world)
    tuning_asked(world)
    assert world.state(case) == "gepauzeerd"
    for who in (WENI, TEAM):
        assert world.may(GUARD, who, world.last(who, ANNOUNCED)["correlation"]) == "pauze-loopt"
    assert world.may(GUARD, ENFORCERS, case.correlation) == "pauze-loopt"
    world.refused(ENFORCERS, ASKED, REQUEST, "ander-was-voor", correlation=str(case.correlation))
    world.refused(TEAM, ASKED, REQUEST, "al-gedaan", cause=world.last(TEAM)["delivery_id"])

    world.at("2026-11-06T10:00")
    pause = {"ingangsdatum": "2026-11-06", "herzien_op": "2026-12-18", "beslisser": "TEAMLEIDER_HANDHAVING", "voorwaarden": ["GESPREK"],
             "huisarts_aangeboden": None, "onderzoek_door": "SAMEN"}  # fmt: skip
    world.refused(ENFORCERS, SET, pause, "geen-publicatierecht", correlation=str(case.correlation))
    world.publish(WENI, SET, pause, cause=of_weni(world))
    world.arrived({
        ENFORCERS: ended(SET, "ingesteld.eigen-zaak", {name: pause[name] for name in ("ingangsdatum", "herzien_op", "beslisser")}),
        TEAM: ended(SET, "ingesteld.buurtteam-bekend", {name: pause[name] for name in pause if name != "beslisser"}),
    })  # fmt: skip
    assert world.last(ENFORCERS)["correlation"] == case.correlation

    world.at("2026-12-16T00:00")
    world.arrived({WENI: reminder("uitkering-pauze.herziening-nadert.werk-en-inkomen", ZAANSTAD, "ingesteld", "2026-12-18")})
    world.at("2026-12-17T10:00")
    lifted = {"redencode": "AL_OVERLEGD", "ingangsdatum": "2026-12-17"}
    world.publish(WENI, LIFTED, lifted, cause=of_weni(world))
    world.arrived({ENFORCERS: ended(LIFTED, "afgewezen.eigen-zaak", lifted), TEAM: ended(LIFTED, "afgewezen.buurtteam-bekend", lifted)})
    assert world.may(GUARD, ENFORCERS, case.correlation) is None


def test_sc08_tuning_and_the_benefit_stops(world: World) -> None:
    """Step 5, without a pause: the teams have talked and the benefit stops. Both hear that outcome, then that it was carried out.

    Correction: there is no reference to a reason (`redenRef`); the outcome is a code, and the story stays with the teams. Another
    pause cannot be asked after it.
    """
    case = announced(world)
    tuning_asked(world)
    world.at("2026-11-10T10:00")
    outcome = {"uitkomst": "BEEINDIGD_NA_OVERLEG", "ingangsdatum": "2026-12-01", "vervolg_aangeboden": True}
    world.refused(WENI, CONCLUDED, outcome | {"reden_ref": "DOSSIER-1"}, "veld-onbekend", cause=of_weni(world))
    world.publish(WENI, CONCLUDED, outcome, cause=of_weni(world))
    short = {"uitkomst": "BEEINDIGD_NA_OVERLEG", "ingangsdatum": "2026-12-01"}
    world.arrived({ENFORCERS: ended(CONCLUDED, "afgerond.eigen-zaak", short), TEAM: ended(CONCLUDED, "afgerond.buurtteam-bekend", outcome)})
    assert world.may(GUARD, WENI, world.last(WENI)["correlation"]) is None
    world.refused(TEAM, ASKED, REQUEST | {"gevraagd_op": "2026-11-10"}, "pauze-al-gevraagd", cause=world.last(TEAM)["delivery_id"])

    world.at("2026-12-01T09:00")
    done = {"gemeentecode": ZAANSTAD, "bsn": BSN, "maatregelsoort": "BEEINDIGING", "uitgevoerd_op": "2026-12-01",
            "betrokkene_geinformeerd": "JA", "contactrol": "loket-inkomen"}  # fmt: skip
    world.publish(WENI, DONE, done, cause=of_weni(world))
    told = {"maatregelsoort": "BEEINDIGING", "uitgevoerd_op": "2026-12-01"}
    world.arrived({
        ENFORCERS: ended(DONE, "uitgevoerd.eigen-zaak", told),
        TEAM: ended(DONE, "uitgevoerd.buurtteam", told | {"contactrol": "loket-inkomen"}),
    })  # fmt: skip
    assert world.state(case) == "uitgevoerd"


def test_sc08_nobody_decides_on_the_request(world: World) -> None:
    """Step 4, when time passes: after ten working days all three teams hear that a decision is due.

    The hub neither blocks nor allows by itself.
    """
    case = announced(world)
    tuning_asked(world)
    world.at("2026-11-18T23:59")
    world.arrived({})
    world.at("2026-11-19T00:00")
    world.arrived({
        f"{role}.{ZAANSTAD}": reminder(f"uitkering-pauze.geen-besluit.{role}", ZAANSTAD, "geescaleerd", "2026-11-18")
        for role in ("werk-en-inkomen", "handhaving", "buurtteam")
    })  # fmt: skip
    assert world.may(GUARD, ENFORCERS, case.correlation) == "pauze-loopt"


def test_sc08_the_team_takes_its_request_back(world: World) -> None:
    """A variant of step 4: the SWT pressed by mistake.

    Both who heard of it hear that it does not hold; Handhaving still does not know who it was.
    """
    case = announced(world)
    world.withdraw(tuning_asked(world), "ONTERECHT")
    world.arrived({WENI: taken_back("ONTERECHT"), ENFORCERS: taken_back("ONTERECHT")})
    assert world.state(case) == "aangekondigd"
    for who in (WENI, ENFORCERS):
        assert world.last(who)["cause"] == world.last(who, ASKED)["delivery_id"]


def test_sc08_an_earlier_melding_is_known(world: World) -> None:
    """Step 6: she has no home, and told the town so before. The SWT lets it be known, with a reference and a day and not what was told.

    Handhaving sees it in its own case before it checks a second time; Werk en Inkomen also sees who says so.
    """
    case = announced(world)
    known = {"eerdere_melding": "KCC-2026-0417", "gemeld_op": "2026-09-21"}
    world.refused(
        TEAM, KNOWN_BEFORE, known | {"eerdere_melding": "zonder huis"}, "patroon-klopt-niet", cause=world.last(TEAM)["delivery_id"]
    )
    world.refused(TEAM, KNOWN_BEFORE, known | {"gemeld_op": "2026-11-03"}, "datum-in-de-toekomst", cause=world.last(TEAM)["delivery_id"])
    world.publish(TEAM, KNOWN_BEFORE, known, cause=world.last(TEAM)["delivery_id"])
    world.arrived({
        WENI: ended(KNOWN_BEFORE, "bekend.werk-en-inkomen", known | {"uitgever": TEAM}),
        ENFORCERS: ended(KNOWN_BEFORE, "bekend.eigen-zaak", known),
    })  # fmt: skip
    assert world.last(ENFORCERS)["correlation"] == case.correlation
    assert world.state(case) == "aangekondigd"


def test_sc08_an_earlier_melding_in_a_case_of_werk_en_inkomen(world: World) -> None:
    """Step 6, what must not be: in a case that Handhaving did not announce it does not hear of an earlier melding, nor whose it is."""
    world.hide(NAME, TEAM)
    world.hide(BORN, TEAM)
    world.hide(BSN)
    own = STOP | {"aanleiding": "STUKKEN_ONTBREKEN", "contactrol": "loket-inkomen"}
    world.publish(WENI, ANNOUNCED, own)
    world.arrived({
        TEAM: ended(ANNOUNCED, "melding.buurtteam-bekend", {name: own[name] for name in own if name not in {"gemeentecode", "bsn"}}),
        ENFORCERS: ended(ANNOUNCED, "melding.handhaving", {"maatregelsoort": "BEEINDIGING", "gepland_op": "2026-11-23"}),
    })  # fmt: skip
    known = {"eerdere_melding": "KCC-2026-0417", "gemeld_op": "2026-09-21"}
    sent = world.publish(TEAM, KNOWN_BEFORE, known, cause=world.last(TEAM)["delivery_id"])
    world.arrived({WENI: ended(KNOWN_BEFORE, "bekend.werk-en-inkomen", known | {"uitgever": TEAM})})
    assert {(who, outcome) for who, _, outcome, _ in world.why(sent.signal_id)} == {(WENI, "deliver")}
