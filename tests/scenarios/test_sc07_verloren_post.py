"""SC-07: letters that were never answered; a visit shows that she lives there (docs/scenarios.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import (
    ADVICE,
    ANNOUNCED,
    ASKED,
    CONCLUDED,
    DONE,
    EINDHOVEN,
    PICKED_UP,
    QUESTION,
    SET,
    UTRECHT,
    VISITED,
    Message,
    Sent,
    World,
    confirmed,
    reminder,
    taken_back,
    town,
)

NAME, BSN, BORN = "Zomaar Iemand", "999990044", "19990000"
WENI, ENFORCERS, TEAM = "werk-en-inkomen.0772", "handhaving.0772", "buurtteam.0772"
GUARD = "maatregel-uitvoeren"
SUSPEND: dict[str, Any] = {
    "gemeentecode": EINDHOVEN, "bsn": BSN, "achternaam": NAME, "geboortedatum": BORN, "maatregelsoort": "OPSCHORTING",
    "aanleiding": "GEEN_REACTIE", "aantal_contactpogingen": 2, "gepland_op": "2026-11-16", "bezwaar_tot": None,
    "extra_contact_nodig": True, "lopend_hulptraject": "JA", "betrokkene_geinformeerd": "NEE_NIET_BEREIKBAAR",
    "contactrol": "loket-inkomen",
}  # fmt: skip
SUSPENDED: dict[str, Any] = {
    "gemeentecode": EINDHOVEN, "bsn": BSN, "maatregelsoort": "OPSCHORTING", "uitgevoerd_op": "2026-11-16",
    "betrokkene_geinformeerd": "NEE_NIET_BEREIKBAAR", "contactrol": "loket-inkomen",
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, EINDHOVEN, UTRECHT) as found:
        found.hide(NAME, TEAM)
        found.hide(BORN, TEAM)
        found.hide(BSN)
        for nobody_sees in ("lvb", "beperking", "huisgenoten"):
            found.hide(nobody_sees)
        found.blind(ENFORCERS, "extra_contact", "contactpogingen", "vervolg", "buurtteam")
        found.blind(TEAM, "handhaving")
        yield found


def announced(world: World) -> Sent:
    """Let Werk en Inkomen announce on 2 November.

    The team that knows her sees that she must be called first, Handhaving only kind and day.
    """
    sent = world.publish(WENI, ANNOUNCED, SUSPEND)
    for_team = {name: SUSPEND[name] for name in SUSPEND if name not in {"gemeentecode", "bsn"}}
    world.arrived({
        TEAM: (ANNOUNCED, "pauzeknop.melding.buurtteam-bekend", for_team),
        ENFORCERS: (ANNOUNCED, "pauzeknop.melding.handhaving", {"maatregelsoort": "OPSCHORTING", "gepland_op": "2026-11-16"}),
    })  # fmt: skip
    return sent


def visited(by: str, day: str) -> Message:
    return VISITED, "pauzeknop.huisbezoek", {"woont_op_adres": "JA", "bezocht_op": day, "uitgever": by}


def restored(world: World, case: Sent, day: str, state: str = "afgerond") -> None:
    """Let Werk en Inkomen report that the benefit runs again; the team also hears that help was offered."""
    ended = {"uitkomst": "HERSTELD", "ingangsdatum": "2026-11-01", "vervolg_aangeboden": True}
    world.at(f"{day}T15:00")
    world.publish(WENI, CONCLUDED, ended, cause=case.signal_id)
    world.arrived({
        ENFORCERS: (CONCLUDED, "pauzeknop.afgerond.handhaving", {"uitkomst": "HERSTELD", "ingangsdatum": "2026-11-01"}),
        TEAM: (CONCLUDED, "pauzeknop.afgerond.buurtteam-bekend", ended),
    })  # fmt: skip
    assert world.state(case) == state
    assert world.may(GUARD, WENI, case.correlation) == "melding-gesloten"


def executed(world: World, case: Sent) -> Sent:
    """Let five working days pass without a reaction, and Werk en Inkomen suspend on the day that it announced."""
    world.at("2026-11-10T00:00")
    world.arrived({WENI: reminder("uitkering-pauze.geen-reactie.werk-en-inkomen", EINDHOVEN, "doorgang", "2026-11-09")})
    assert world.may(GUARD, WENI, case.correlation) is None
    world.at("2026-11-16T09:00")
    sent = world.publish(WENI, DONE, SUSPENDED, cause=case.signal_id)
    told = {"maatregelsoort": "OPSCHORTING", "uitgevoerd_op": "2026-11-16"}
    world.arrived({
        ENFORCERS: (DONE, "pauzeknop.uitgevoerd.handhaving", told),
        TEAM: (DONE, "pauzeknop.uitgevoerd.buurtteam", told | {"contactrol": "loket-inkomen"}),
    })  # fmt: skip
    return sent


def test_sc07_a_visit_shows_that_she_lives_there(world: World) -> None:
    """The whole chain.

    1, 2. A check of addresses by letter is not answered. Werk en Inkomen prepares a suspension after two attempts; the team
       that knows her is told.
    3. `extra_contact_nodig` tells the team to call first; it picks the announcement up, and Werk en Inkomen hears it.
    4. Nobody sees why. Handhaving does not see the flag at all; a field with the reason is refused.
    5. The team visits: she lives there. Werk en Inkomen alone hears it, and no more than that.
    6. Two days later the benefit is restored: no new application of weeks. Correction: "within three days" was the practice of
       that town, not a term that the rules know; the hub counts the time to react, and says no until the case is closed.
    """
    world.refused(WENI, ANNOUNCED, SUSPEND | {"aantal_contactpogingen": None}, "geen-contactpoging")
    for extra in ({"reden_extra_contact": "LVB"}, {"toelichting": "licht verstandelijke beperking"}):
        world.refused(WENI, ANNOUNCED, SUSPEND | extra, "veld-onbekend")
    case = announced(world)
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"

    picked_up = {"reden": "CONTACT_ZOEKEN", "contactrol": "wijteam-noord"}
    world.at("2026-11-03T09:30")
    world.publish(TEAM, PICKED_UP, picked_up, cause=world.last(TEAM)["delivery_id"])
    world.arrived({WENI: (PICKED_UP, "pauzeknop.opgepakt", picked_up | {"uitgever": TEAM})})

    world.at("2026-11-04T16:00")
    visit = {"woont_op_adres": "JA", "bezocht_op": "2026-11-04"}
    world.refused(
        TEAM, VISITED, visit | {"bevinding": "huisgenoten maken post kwijt"}, "veld-onbekend", cause=world.last(TEAM)["delivery_id"]
    )
    world.refused(TEAM, VISITED, visit | {"bezocht_op": "2026-11-05"}, "datum-in-de-toekomst", cause=world.last(TEAM)["delivery_id"])
    world.publish(TEAM, VISITED, visit, cause=world.last(TEAM)["delivery_id"])
    world.arrived({WENI: visited(TEAM, "2026-11-04")})
    assert world.last(WENI)["correlation"] == case.correlation

    restored(world, case, "2026-11-06")
    world.at("2027-05-01T00:00")
    world.arrived({})


def test_sc07_handhaving_goes_along(world: World) -> None:
    """Step 7: the team asks Handhaving, without saying about whom, whether they can go together, and they do.

    Each reports its own visit to Werk en Inkomen; neither hears from the hub what the other reported.
    """
    case = announced(world)
    question = {"gemeentecode": EINDHOVEN, "teamcode": "noord", "thema": "ADRES", "situaties": ["GEEN_REACTIE"], "vraag": "SAMEN_OP_BEZOEK",
                "urgentie": "DEZE_WEEK"}  # fmt: skip
    world.publish(TEAM, QUESTION, question)
    world.arrived(
        {ENFORCERS: (QUESTION, "hulplijn.vraag.handhaving", {name: question[name] for name in question if name != "gemeentecode"})}
    )
    together = {"advies": "SAMEN_HUISBEZOEK", "ruimte_in_wet": None, "geldig_tot": "2026-11-30"}
    world.publish(ENFORCERS, ADVICE, together, cause=world.last(ENFORCERS)["delivery_id"])
    world.arrived({TEAM: (ADVICE, "hulplijn.antwoord", together)})

    world.at("2026-11-05T16:00")
    for who in (TEAM, ENFORCERS):
        world.publish(who, VISITED, {"woont_op_adres": "JA", "bezocht_op": "2026-11-05"}, cause=world.last(who, ANNOUNCED)["delivery_id"])
        world.arrived({WENI: visited(who, "2026-11-05")})
    restored(world, case, "2026-11-06")


def test_sc07_housemates_lose_the_letters(world: World) -> None:
    """Step 8: nobody reacted, and the suspension may go on; on the day itself she learns of it.

    The team asks for a pause at once, which still can be done as long as the measure was not carried out: Werk en Inkomen sees
    who asks and why, Handhaving only that it was asked. Werk en Inkomen sets a pause for a talk at short notice and her post,
    and restores after it.
    """
    case = announced(world)
    world.at("2026-11-10T00:00")
    world.arrived({WENI: reminder("uitkering-pauze.geen-reactie.werk-en-inkomen", EINDHOVEN, "doorgang", "2026-11-09")})
    assert world.may(GUARD, WENI, case.correlation) is None

    world.at("2026-11-16T08:30")
    asked = {"reden": "CONTACT_LOOPT", "gevraagd_op": "2026-11-16", "contactrol": "wijteam-noord"}
    world.publish(TEAM, ASKED, asked, cause=world.last(TEAM)["delivery_id"])
    world.arrived({
        WENI: (ASKED, "pauzeknop.gevraagd.werk-en-inkomen", asked | {"uitgever": TEAM}),
        ENFORCERS: (ASKED, "pauzeknop.gevraagd.handhaving", {"gevraagd_op": "2026-11-16"}),
    })  # fmt: skip
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"

    pause = {"ingangsdatum": "2026-11-16", "herzien_op": "2026-11-20", "beslisser": "CONSULENT_WENI",
             "voorwaarden": ["GESPREK", "POST_OP_ORDE"], "huisarts_aangeboden": None, "onderzoek_door": "WENI"}  # fmt: skip
    world.at("2026-11-16T11:00")
    world.publish(WENI, SET, pause, cause=case.signal_id)
    world.arrived({
        ENFORCERS: (SET, "pauzeknop.ingesteld.handhaving", {name: pause[name] for name in ("ingangsdatum", "herzien_op", "beslisser")}),
        TEAM: (SET, "pauzeknop.ingesteld.buurtteam-bekend", {name: pause[name] for name in pause if name != "beslisser"}),
    })  # fmt: skip
    world.at("2026-11-18T00:00")
    world.arrived({WENI: reminder("uitkering-pauze.herziening-nadert.werk-en-inkomen", EINDHOVEN, "ingesteld", "2026-11-20")})
    restored(world, case, "2026-11-18")


def test_sc07_the_suspension_was_carried_out_already(world: World) -> None:
    """Step 8, when it is too late: the suspension was reported as carried out. It is a fact, and closes the case.

    Werk en Inkomen restores the benefit at once, and who heard that it was stopped hears that it runs again. No other outcome
    fits any more: whoever still wants a measure announces it anew, with the full time to react.
    """
    case = announced(world)
    executed(world, case)
    assert world.state(case) == "uitgevoerd"
    going_on = {"uitkomst": "VOORTGEZET", "ingangsdatum": "2026-11-16", "vervolg_aangeboden": True}
    world.refused(WENI, CONCLUDED, going_on, "al-uitgevoerd", cause=case.signal_id)
    restored(world, case, "2026-11-16", "uitgevoerd")


def test_sc07_the_suspension_was_reported_by_mistake(world: World) -> None:
    """Step 8, when it did not happen at all: Werk en Inkomen takes the report back.

    The team and Handhaving hear at once that it no longer holds, and confirm it.
    """
    case = announced(world)
    done = executed(world, case)
    withdrawal = world.withdraw(done, "ONTERECHT")
    world.arrived({ENFORCERS: taken_back("ONTERECHT"), TEAM: taken_back("ONTERECHT")})
    for who in (TEAM, ENFORCERS):
        assert world.last(who)["cause"] == world.last(who, DONE)["delivery_id"]
        world.confirm(who)
        world.arrived({WENI: confirmed()})
        assert world.last(WENI)["cause"] == withdrawal.signal_id
    assert world.run("recalls", "list", "--json").lines == []
    assert world.may(GUARD, WENI, case.correlation) == "melding-gesloten"
