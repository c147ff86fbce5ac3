"""SC-02: a woman who never comes to appointments; an anonymous question, a pause, an outcome (docs/scenarios.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import (
    ADVICE,
    ANNOUNCED,
    CONCLUDED,
    DONE,
    QUESTION,
    SET,
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

NAME, BSN, BORN = "Van Voorbeeld", "999990019", "19570300"
ILLNESS = "pleinvrees"
WENI, ENFORCERS, TEAM = "werk-en-inkomen.0344", "handhaving.0344", "buurtteam.0344"
GUARD = "maatregel-uitvoeren"
STOP: dict[str, Any] = {
    "gemeentecode": UTRECHT, "bsn": BSN, "achternaam": NAME, "geboortedatum": BORN, "maatregelsoort": "BEEINDIGING",
    "aanleiding": "NIET_VERSCHENEN", "aantal_contactpogingen": 3, "gepland_op": "2026-11-16", "bezwaar_tot": None,
    "extra_contact_nodig": False, "lopend_hulptraject": "JA", "betrokkene_geinformeerd": "NEE_NIET_BEREIKBAAR",
    "contactrol": "loket-inkomen-zuid",
}  # fmt: skip
ASKING: dict[str, Any] = {
    "gemeentecode": UTRECHT, "teamcode": "overvecht", "thema": "BEEINDIGING", "situaties": ["GEEN_REACTIE", "KWETSBAAR"],
    "vraag": "WACHTEN_MOGELIJK", "urgentie": "DEZE_WEEK",
}  # fmt: skip
WAIT: dict[str, Any] = {"advies": "WACHT_EN_ONDERZOEK", "ruimte_in_wet": "pw-18-1", "geldig_tot": "2026-12-31"}
PAUSE: dict[str, Any] = {
    "ingangsdatum": "2026-11-04", "herzien_op": "2026-11-30", "beslisser": "CONSULENT_WENI", "voorwaarden": ["GESPREK", "WIJKTEAM"],
    "huisarts_aangeboden": None, "onderzoek_door": "BUURTTEAM",
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, UTRECHT, TILBURG) as found:
        found.hide(NAME, TEAM)
        found.hide(BORN, TEAM)
        found.hide(BSN)
        found.hide(ILLNESS)
        yield found


def to_enforcers(data: dict[str, Any] = STOP) -> Message:
    return ANNOUNCED, "pauzeknop.melding.handhaving", {"maatregelsoort": data["maatregelsoort"], "gepland_op": data["gepland_op"]}


def to_team(data: dict[str, Any] = STOP) -> Message:
    return ANNOUNCED, "pauzeknop.melding.buurtteam-bekend", {name: data[name] for name in data if name not in {"gemeentecode", "bsn"}}


def announced(world: World, data: dict[str, Any] = STOP) -> Sent:
    sent = world.publish(WENI, ANNOUNCED, data)
    world.arrived({ENFORCERS: to_enforcers(data), TEAM: to_team(data)})
    return sent


def paused(world: World, case: Sent) -> Sent:
    """Let Werk en Inkomen set the pause on 4 November; each team sees until when, and the team that helps also what was agreed."""
    world.at("2026-11-04T14:00")
    sent = world.publish(WENI, SET, PAUSE, cause=case.signal_id)
    for_team = {name: PAUSE[name] for name in PAUSE if name != "beslisser"}
    world.arrived({
        ENFORCERS: (SET, "pauzeknop.ingesteld.handhaving", {name: PAUSE[name] for name in ("ingangsdatum", "herzien_op", "beslisser")}),
        TEAM: (SET, "pauzeknop.ingesteld.buurtteam-bekend", for_team),
    })  # fmt: skip
    return sent


def reminded(code: str, *roles: str, state: str, until: str | None) -> dict[str, Message]:
    return {f"{role}.{UTRECHT}": reminder(f"uitkering-pauze.{code}.{role}", UTRECHT, state, until) for role in roles}


def test_sc02_question_pause_and_outcome(world: World) -> None:
    """The whole chain.

    1, 2. An older woman on bijstand never appears. Werk en Inkomen must announce a stop beforehand, and not at short notice.
       The team that knows her sees who it is, without her BSN; Handhaving sees kind and day, not who.
    3, 4. A buurtteam asks Handhaving for advice without saying about whom, and is advised to wait and find out. Nothing
       joins question and person: no field, no subject, no keten, no case, nothing in `why`.
    5, 6. Werk en Inkomen sets a pause with a review date. Handhaving sees status and date; the team also what was agreed.
       Correction: the story alerts "the buurtteam" of the pause; it goes only to who had the announcement.
    7. While the pause runs the answer to "may this be done now?" is no, for whoever asks. Correction: the hub holds no
       payment back; it says no, and raises the alarm when it was done all the same (see the variant).
    8. The benefit goes on. The word for what she has is refused wherever it is tried, and stands in no message.
    """
    world.refused(WENI, ANNOUNCED, STOP | {"gepland_op": "2026-11-02"}, "niet-vooraf", "te-kort-tevoren")
    world.refused(WENI, ANNOUNCED, STOP | {"gepland_op": "2026-11-04"}, "te-kort-tevoren")
    world.refused(WENI, ANNOUNCED, STOP | {"toelichting": f"vermoedelijk {ILLNESS}"}, "veld-onbekend")
    world.refused(WENI, ANNOUNCED, STOP | {"aanleiding": ILLNESS.upper()}, "waarde-onbekend")
    case = announced(world)
    assert world.why(case.signal_id) == [
        (TEAM, "pauzeknop.melding.buurtteam-bekend", "deliver", "volgens-regel"),
        (ENFORCERS, "pauzeknop.melding.handhaving", "deliver", "volgens-regel"),
        (WENI, "pauzeknop.melding.werk-en-inkomen", "withhold", "eigen-signaal"),
    ]
    assert world.state(case) == "aangekondigd"
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"

    world.at("2026-11-03T10:00")
    question = world.publish(TEAM, QUESTION, ASKING)
    asked = {name: ASKING[name] for name in ASKING if name != "gemeentecode"}
    world.arrived({ENFORCERS: (QUESTION, "hulplijn.vraag.handhaving", asked)})
    nameless(world.last(ENFORCERS))
    answer = world.publish(ENFORCERS, ADVICE, WAIT, cause=world.last(ENFORCERS)["delivery_id"])
    world.arrived({TEAM: (ADVICE, "hulplijn.antwoord", WAIT)})
    nameless(world.last(TEAM), cause=question.signal_id)
    for sent in (question, answer):
        assert sent.correlation is None
        assert "zaak " not in world.run("why", sent.signal_id).out
    assert [step["trigger"] for step in world.case(case)["steps"]] == [ANNOUNCED]

    pause = paused(world, case)
    assert world.state(case) == "ingesteld"
    keten = {who: world.last(who, SET)["correlation"] for who in (ENFORCERS, TEAM)}
    for who in (ENFORCERS, TEAM):
        assert keten[who] == world.last(who, ANNOUNCED)["correlation"]
        assert world.may(GUARD, who, keten[who]) == "pauze-loopt"
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"
    assert world.may(GUARD, "handhaving.0855", case.correlation) == "keten-onbekend"

    world.at("2026-11-20T11:00")
    ended = {"uitkomst": "VOORTGEZET", "ingangsdatum": "2026-11-20", "vervolg_aangeboden": True}
    world.refused(WENI, CONCLUDED, ended | {"oorzaak": ILLNESS}, "veld-onbekend", cause=pause.signal_id)
    world.refused(WENI, CONCLUDED, ended | {"uitkomst": ILLNESS.upper()}, "waarde-onbekend", cause=pause.signal_id)
    world.publish(WENI, CONCLUDED, ended, cause=pause.signal_id)
    world.arrived({
        ENFORCERS: (CONCLUDED, "pauzeknop.afgerond.handhaving", {"uitkomst": "VOORTGEZET", "ingangsdatum": "2026-11-20"}),
        TEAM: (CONCLUDED, "pauzeknop.afgerond.buurtteam-bekend", ended),
    })  # fmt: skip
    assert world.state(case) == "afgerond"
    assert world.may(GUARD, WENI, case.correlation) == "melding-gesloten"
    world.at("2027-06-01T00:00")
    world.arrived({})


def nameless(delivery: dict[str, Any], cause: str | None = None) -> None:
    """A message without a name has no person, no keten, and no cause but an own question."""
    assert (delivery["subject"], delivery["correlation"], delivery["replaces"], delivery["cause"]) == (None, None, None, cause)


def test_sc02_a_question_names_nobody_whatever_is_tried(world: World) -> None:
    """Step 4, what must not be: a name, BSN, day or keten in a question is refused.

    So are more codes than the setting allows: together they could point at someone. The other way round, Handhaving asks
    the buurtteam; nobody but that team hears it.
    """
    case = announced(world)
    world.refused(TEAM, QUESTION, ASKING | {"bsn": BSN}, "veld-onbekend")
    world.refused(TEAM, QUESTION, ASKING | {"toelichting": f"mevrouw {NAME}"}, "veld-onbekend")
    world.refused(TEAM, QUESTION, ASKING | {"teamcode": "overvecht-12"}, "patroon-klopt-niet")
    world.refused(TEAM, QUESTION, ASKING, "keten-niet-toegestaan", correlation="dossier-7")
    world.refused(TEAM, QUESTION, ASKING, "keten-niet-toegestaan", cause=world.last(TEAM)["delivery_id"])
    codes = ["GEEN_REACTIE", "SCHULDEN", "VEILIGHEID", "KWETSBAAR"]
    world.refused(TEAM, QUESTION, ASKING | {"situaties": codes}, "te-veel-codes")
    world.refused(WENI, QUESTION, ASKING, "geen-publicatierecht")
    assert world.state(case) == "aangekondigd"

    world.publish(ENFORCERS, QUESTION, ASKING | {"situaties": codes[:3], "vraag": "SAMEN_OP_BEZOEK"})
    asked = {name: ASKING[name] for name in ASKING if name != "gemeentecode"} | {"situaties": codes[:3], "vraag": "SAMEN_OP_BEZOEK"}
    world.arrived({TEAM: (QUESTION, "hulplijn.vraag.buurtteam", asked)})
    world.refused("buurtteam.0855", ADVICE, WAIT, "keten-onbekend", cause=world.last(TEAM)["delivery_id"])


def test_sc02_the_log_says_nothing_of_who_asked_what(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 4, the log: at its most talkative it holds types, codes and counts; no person, no id, no keten, and not who asked."""
    case = announced(world)
    with monkeypatch.context() as patch:
        patch.setenv("HUB_LOG_LEVEL", "debug")
        sent = world.cli.publish(ASKING, participant=TEAM, type_=QUESTION)
        ran = world.cli("run", "--once")
    assert (sent.code, ran.code) == (0, 0)
    log = sent.err + ran.err
    assert "deliveries_sent" in log
    asked = {name: ASKING[name] for name in ASKING if name != "gemeentecode"}
    world.arrived({ENFORCERS: (QUESTION, "hulplijn.vraag.handhaving", asked)})
    ids = [case.signal_id, case.correlation, sent.json[0]["signal_id"], sent.json[0]["id"], world.last(ENFORCERS)["delivery_id"]]
    for secret in [NAME, BSN, BORN, "overvecht", "KWETSBAAR", TEAM, ENFORCERS, *ids]:
        assert str(secret) not in log


def test_sc02_the_review_date_passes_without_an_outcome(world: World) -> None:
    """Step 9: two working days before the date Werk en Inkomen is reminded; on the day itself it can still act.

    The day after, with no outcome, the benefit still goes on. Correction: not the consulent alone hears it, but all
    three teams, and the pause does not end by itself: it waits for a decision (silence never triggers a measure).
    """
    case = announced(world)
    paused(world, case)
    world.at("2026-11-25T23:59")
    world.arrived({})
    world.at("2026-11-26T00:00")
    world.arrived(reminded("herziening-nadert", "werk-en-inkomen", state="ingesteld", until="2026-11-30"))
    world.at("2026-11-30T23:59")
    world.arrived({})
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"
    world.at("2026-12-01T00:00")
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"  # before any clock ran
    teams = ("werk-en-inkomen", "handhaving", "buurtteam")
    world.arrived(reminded("herziening-verlopen", *teams, state="geescaleerd", until="2026-11-30"))
    world.at("2027-03-01T00:00")
    world.arrived({})
    assert world.may(GUARD, WENI, case.correlation) == "pauze-loopt"


def test_sc02_stopped_all_the_same(world: World) -> None:
    """Step 7, the other way: a fact is never refused.

    The measure is reported although the pause runs, and all three teams hear it at once.
    """
    case = announced(world)
    paused(world, case)
    world.at("2026-11-16T09:00")
    fact = {"gemeentecode": UTRECHT, "bsn": BSN, "maatregelsoort": "BEEINDIGING", "uitgevoerd_op": "2026-11-16",
            "betrokkene_geinformeerd": "NEE_NIET_BEREIKBAAR", "contactrol": "loket-inkomen-zuid"}  # fmt: skip
    world.publish(WENI, DONE, fact, cause=case.signal_id)
    told = {"maatregelsoort": "BEEINDIGING", "uitgevoerd_op": "2026-11-16"}
    alarm = reminded("pauze-doorbroken", "werk-en-inkomen", "handhaving", "buurtteam", state="ingesteld", until=None)  # what it broke
    world.arrived({
        WENI: alarm[WENI],
        ENFORCERS: [(DONE, "pauzeknop.uitgevoerd.handhaving", told), alarm[ENFORCERS]],
        TEAM: [(DONE, "pauzeknop.uitgevoerd.buurtteam", told | {"contactrol": "loket-inkomen-zuid"}), alarm[TEAM]],
    })  # fmt: skip


def test_sc02_abuse_shows_later(world: World) -> None:
    """Step 10: the benefit went on, and later abuse is shown. The old pause does not stand in the way of a new announcement.

    It is a keten of its own with its own time to react; the teams recognise the same person by their own pseudonym.
    When nobody asks for a pause the measure may be carried out.
    """
    case = announced(world)
    pause = paused(world, case)
    world.publish(
        WENI, CONCLUDED, {"uitkomst": "VOORTGEZET", "ingangsdatum": "2026-11-04", "vervolg_aangeboden": False}, cause=pause.signal_id
    )
    new = world.receive()
    assert sorted(new) == [TEAM, ENFORCERS]
    before = {who: world.last(who) for who in (ENFORCERS, TEAM)}

    world.at("2027-02-01T09:00")
    world.refused(WENI, ANNOUNCED, STOP | {"gepland_op": "2027-02-15"}, "zaak-bestaat-al", cause=case.signal_id)
    proven = STOP | {"aanleiding": "VERMOEDEN_INKOMSTEN", "aantal_contactpogingen": None, "gepland_op": "2027-02-15"}
    second = world.publish(WENI, ANNOUNCED, proven)
    world.arrived({ENFORCERS: to_enforcers(proven), TEAM: to_team(proven | {"aanleiding": "ONDERZOEK"})})
    for who, old in before.items():
        assert world.last(who)["subject"] == old["subject"]
        assert world.last(who)["correlation"] != old["correlation"]
    assert world.may(GUARD, WENI, second.correlation) == "pauze-loopt"
    assert world.state(case) == "afgerond"

    world.at("2027-02-04T23:59")
    world.arrived({})
    world.at("2027-02-05T00:00")
    world.arrived(reminded("geen-reactie", "werk-en-inkomen", state="doorgang", until="2027-02-04"))
    assert world.may(GUARD, WENI, second.correlation) is None
    assert world.may(GUARD, WENI, case.correlation) == "melding-gesloten"


def test_sc02_a_second_announcement_is_no_way_round_the_pause(world: World) -> None:
    """Steps 7 and 10, what must not be: a second keten about the same person stays closed as long as the pause of the first runs."""
    case = announced(world)
    paused(world, case)
    second = world.publish(WENI, ANNOUNCED, STOP)
    world.arrived({ENFORCERS: to_enforcers(), TEAM: to_team()})
    world.at("2026-11-10T00:00")
    world.arrived(reminded("geen-reactie", "werk-en-inkomen", state="doorgang", until="2026-11-09"))
    assert world.state(second) == "doorgang"
    assert world.may(GUARD, WENI, second.correlation) == "pauze-loopt"


def test_sc02_the_announcement_was_a_mistake(world: World) -> None:
    """A variant of step 2: the announcement is withdrawn.

    Both teams hear it and confirm; the case is gone and the measure may not be carried out.
    """
    case = announced(world)
    withdrawal = world.withdraw(case, "ONTERECHT")
    world.arrived({ENFORCERS: taken_back("ONTERECHT"), TEAM: taken_back("ONTERECHT")})
    assert world.state(case) == "vervallen"
    assert world.may(GUARD, WENI, case.correlation) == "melding-gesloten"
    for number, who in enumerate((TEAM, ENFORCERS)):
        [recall] = world.run("recalls", "list", "--json").lines
        assert recall["unconfirmed"] == 2 - number
        world.confirm(who)
        world.arrived({WENI: confirmed()})
        assert world.last(WENI)["cause"] == withdrawal.signal_id
    assert world.run("recalls", "list", "--json").lines == []
    world.at("2026-11-12T00:00")
    world.arrived({})
