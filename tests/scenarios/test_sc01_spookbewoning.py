"""SC-01: someone who no longer lives at an address costs the new tenant an allowance (docs/scenarios.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import ROOT
from tests.scenarios.world import (
    ADDRESS,
    CONFIRMED,
    INVESTIGATED,
    PROCESSED,
    TILBURG,
    UTRECHT,
    WITHDRAWN,
    Message,
    Sent,
    World,
    confirmed,
    reminder,
    taken_back,
    town,
)

TENANT, TENANT_BSN = "Khan", "999993653"
GHOST_BSN, HOUSE = "999990019", "0855010000000025"
REPORT: dict[str, Any] = {
    "gemeentecode": TILBURG, "bag_id": HOUSE, "bsn": GHOST_BSN, "signaalsoort": "DUBBELE_BEWONING", "niet_woonachtig_sinds": "20260900",
    "adresonderzoek": "LOOPT", "adresonderzoek_start": "20261026", "geheimhouding": False,
    "betrokkene_geinformeerd": "NEE_NIET_BEREIKBAAR", "contactrol": "kcc-adresonderzoek",
}  # fmt: skip
TAX, KCC = "toeslagen", "burgerzaken.0855"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, TILBURG, UTRECHT) as found:
        found.hide(TENANT)
        found.hide(TENANT_BSN)
        found.hide(GHOST_BSN, TAX)
        found.hide(HOUSE, TAX)
        yield found


def reported(data: dict[str, Any]) -> Message:
    return ADDRESS, "spookbewoning.melding", data


def answered(result: str, day: str) -> Message:
    return PROCESSED, "spookbewoning.verwerkt", {"resultaat": result, "verwerkt_op": day}


def outcome(result: str, day: str) -> Message:
    return INVESTIGATED, "spookbewoning.uitkomst", {"gemeentecode": TILBURG, "uitkomst": result, "afgerond_op": day}


def investigated(world: World, report: Sent, result: str, day: str) -> Sent:
    data = {"gemeentecode": TILBURG, "uitkomst": result, "afgerond_op": day}
    return world.publish(KCC, INVESTIGATED, data, cause=report.signal_id)


def reply(world: World, result: str, day: str) -> Sent:
    """Let Toeslagen answer what it received last."""
    return world.publish(TAX, PROCESSED, {"resultaat": result, "verwerkt_op": day}, cause=world.last(TAX)["delivery_id"])


def test_sc01_the_report_its_answer_and_the_outcome(world: World) -> None:
    """The whole chain.

    1, 2. Khan rents in Tilburg; a stranger is still registered there, and Khan's allowance is less for it.
    3. The KCC sees it and burgerzaken reports at once, while the investigation still runs.
    4. Toeslagen gets it; the landlord, Handhaving, Werk en Inkomen and everyone else get nothing.
    5. Nothing in it is of Khan or of who reported it; a signal with a field too many is refused whole.
    6. Toeslagen answers. Correction: only ONTVANGEN, VERWERKT or NIET_HERKEND. The answer "advance adapted" of the
       story would be an effect on an allowance: that is a decision of Toeslagen, and it is not known whether it follows.
    7. The investigation ends; Toeslagen hears in the same keten that the person does not live there, not where he went.
    10. `hub why` names rule and version for what was delivered, and the reason for what was refused.
    """
    for extra in ({"nieuwe_bewoner": TENANT}, {"melder": "nieuwe huurder"}, {"inkomen_cent": 145_000}, {"toelichting": f"{TENANT} belde"}):
        world.refused(KCC, ADDRESS, REPORT | extra, "veld-onbekend")

    report = world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    assert world.why(report.signal_id) == [(TAX, "spookbewoning.melding", "deliver", "volgens-regel")]
    assert "adresonderzoek: begonnen in loopt" in world.run("why", report.signal_id).out
    first = world.last(TAX)

    for result, extra in (("VOORSCHOT_AANGEPAST", {}), ("VERWERKT", {"bedrag_cent": 18_000})):
        codes = ["veld-onbekend"] if extra else ["waarde-onbekend"]
        data = {"resultaat": result, "verwerkt_op": "2026-11-02"} | extra
        world.refused(TAX, PROCESSED, data, *codes, cause=first["delivery_id"])

    reply(world, "ONTVANGEN", "2026-11-02")
    world.arrived({KCC: answered("ONTVANGEN", "2026-11-02")})
    world.at("2026-11-05T11:00")
    answer = world.publish(TAX, PROCESSED, {"resultaat": "VERWERKT", "verwerkt_op": "2026-11-05"}, cause=first["delivery_id"])
    world.arrived({KCC: answered("VERWERKT", "2026-11-05")})
    assert world.last(KCC)["cause"] == report.signal_id
    assert world.last(KCC)["correlation"] == report.correlation
    assert world.why(answer.signal_id) == [(KCC, "spookbewoning.verwerkt", "deliver", "volgens-regel")]

    world.at("2026-12-14T10:00")
    ended = investigated(world, report, "VERHUISD_ANDERE_GEMEENTE", "2026-12-14")
    world.arrived({TAX: outcome("WOONT_NIET_OP_ADRES", "2026-12-14")})
    second = world.last(TAX)
    assert (second["correlation"], second["subject"]) == (first["correlation"], first["subject"])
    assert world.why(ended.signal_id) == [(TAX, "spookbewoning.uitkomst", "deliver", "volgens-regel")]
    assert world.state(report) == "afgerond"

    reply(world, "VERWERKT", "2026-12-14")
    world.arrived({KCC: answered("VERWERKT", "2026-12-14")})
    world.at("2027-01-12T00:00")  # ten weeks have passed, but the outcome is there
    world.arrived({})


def test_sc01_nothing_but_toeslagen_can_be_told(world: World) -> None:
    """Step 4 for every report to come: the rules have no other recipient, and no field of the tenant, a reporter or an income."""
    rows = [row for row in world.run("rules", "matrix", "--json").json if row["signal"] in {ADDRESS, INVESTIGATED}]
    assert {row["recipient"] for row in rows} == {TAX}
    view = json.loads(world.run("schemas", "view", "spookbewoning.melding").out)
    assert [one["name"] for one in view["fields"]] == list(REPORT)


def test_sc01_the_person_lives_there_after_all(world: World) -> None:
    """Step 8: the report is withdrawn with proof of receipt.

    - The outcome is WOONT_OP_ADRES; Toeslagen hears that, and burgerzaken withdraws its report.
    - Toeslagen gets the withdrawal; until it confirms, `hub recalls list` names it.
    - The receipt reaches burgerzaken, without an effect; a confirmation that names nothing is refused.
    - What comes later in this keten no longer reaches Toeslagen: `volgt-niet`, under a named rule.
    """
    report = world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    original = world.last(TAX)

    world.at("2026-12-14T10:00")
    investigated(world, report, "WOONT_OP_ADRES", "2026-12-14")
    world.arrived({TAX: outcome("WOONT_OP_ADRES", "2026-12-14")})
    assert world.run("recalls", "list", "--json").lines == []

    withdrawal = world.withdraw(report, "ONTERECHT")
    world.arrived({TAX: taken_back("ONTERECHT")})
    assert world.last(TAX)["cause"] == original["delivery_id"]
    assert world.state(report) == "ingetrokken"
    assert (TAX, "spookbewoning.melding", "recalled", "ingetrokken") in world.why(report.signal_id)
    [recall] = world.run("recalls", "list", "--json").lines
    assert recall["signal"] == report.signal_id
    assert (recall["kind"], recall["unconfirmed"], recall["recipients"]) == ("withdrawn", 1, [{"recipient": TAX, "confirmed": None}])

    world.refused(TAX, CONFIRMED, {"resultaat": "VERWERKT"}, "niets-te-bevestigen", cause=original["delivery_id"])
    world.at("2026-12-15T09:30")
    world.confirm(TAX)
    world.arrived({KCC: confirmed()})
    assert world.last(KCC)["cause"] == withdrawal.signal_id
    assert world.run("recalls", "list", "--json").lines == []
    [recall] = world.run("recalls", "list", "--all", "--json").lines
    assert recall["recipients"] == [{"recipient": TAX, "confirmed": "2026-12-15T08:30:00.000Z"}]

    late = investigated(world, report, "ADRES_ONBEKEND", "2026-12-15")
    world.arrived({})
    assert world.why(late.signal_id) == [(TAX, "spookbewoning.uitkomst", "withhold", "volgt-niet")]


def test_sc01_only_the_publisher_can_take_back(world: World) -> None:
    """Step 8, what must not be: Toeslagen cannot withdraw what burgerzaken reported, nor can another town."""
    report = world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    world.refused(TAX, WITHDRAWN, {"redencode": "ONTERECHT"}, "niet-uw-signaal", cause=world.last(TAX)["delivery_id"])
    world.refused("burgerzaken.0344", WITHDRAWN, {"redencode": "ONTERECHT"}, "keten-onbekend", cause=report.signal_id)
    assert world.state(report) == "loopt"


def test_sc01_a_wrong_date_is_corrected(world: World) -> None:
    """A variant of step 8: only a date was wrong.

    The correction reaches Toeslagen, names the delivery that it replaces and is confirmed.
    """
    report = world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    original = world.last(TAX)
    right = REPORT | {"niet_woonachtig_sinds": "20260815"}
    correction = world.publish(KCC, ADDRESS, right, replaces=report.signal_id)
    world.arrived({TAX: reported(right)})
    assert world.last(TAX)["replaces"] == original["delivery_id"]
    world.confirm(TAX)
    world.arrived({KCC: confirmed()})
    assert world.last(KCC)["cause"] == correction.signal_id
    assert world.run("recalls", "list", "--json").lines == []


def test_sc01_toeslagen_does_not_know_the_person(world: World) -> None:
    """A variant of step 6: the town hears NIET_HERKEND and no more; its report stands, and nobody else hears either."""
    report = world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    reply(world, "NIET_HERKEND", "2026-11-02")
    world.arrived({KCC: answered("NIET_HERKEND", "2026-11-02")})
    assert world.state(report) == "loopt"


def test_sc01_a_date_before_2022_and_another_town_are_no_reason_to_refuse(world: World) -> None:
    """Step 9, corrected: the story refuses a date before 1-1-2022 outside Tilburg. No source confirms such a date, so there is no limit.

    What is refused: a town that reports about another one, and a date that says more than there is.
    """
    data = REPORT | {"gemeentecode": UTRECHT, "bag_id": None, "niet_woonachtig_sinds": "20211231", "adresonderzoek_start": "20211201"}
    report = world.publish("burgerzaken.0344", ADDRESS, data)
    world.arrived({TAX: reported(data)})
    assert world.why(report.signal_id) == [(TAX, "spookbewoning.melding", "deliver", "volgens-regel")]
    world.refused(KCC, ADDRESS, data, "gemeente-niet-toegestaan")
    world.refused(KCC, ADDRESS, REPORT | {"adresonderzoek": "NIET_GESTART"}, "onderzoek-tegenstrijdig")


def test_sc01_an_outcome_about_someone_else_goes_to_nobody(world: World) -> None:
    """A variant of step 7: two outcomes say nothing about this person. They are accepted and kept from everyone, and `why` says so."""
    report = world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    for result in ("GEVESTIGD_UIT_BUITENLAND", "ONBEKEND"):
        about = investigated(world, report, result, "2026-11-02")
        world.arrived({})
        assert world.why(about.signal_id) == [("*", None, "withhold", "geen-regel")]
        assert world.state(report) == "loopt"


def test_every_scenario_is_told_in_the_docs_with_the_file_that_plays_it() -> None:
    """The docs tell each scenario once, within what a policy officer reads, and name its file."""
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    told = text.split("\n## ")[1:]
    files = sorted(path.name for path in Path(__file__).parent.glob("test_sc0*.py"))
    assert [story[:5] for story in told] == [f"SC-{file[7:9]}" for file in files]
    for story, file in zip(told, files, strict=True):
        assert f"`{file}`" in story
        assert len(story.splitlines()) <= 32


def test_sc01_an_investigation_that_takes_long_reminds_the_town_only(world: World) -> None:
    """A variant of step 2: after ten weeks without an outcome burgerzaken is reminded. The report stands, and Toeslagen hears nothing."""
    world.publish(KCC, ADDRESS, REPORT)
    world.arrived({TAX: reported(REPORT)})
    world.at("2027-01-11T23:59")
    world.arrived({})
    world.at("2027-01-12T00:00")
    world.arrived({KCC: reminder("adresonderzoek.onderzoek-duurt-lang.burgerzaken", TILBURG, "loopt", "2027-01-11")})
    world.at("2027-06-01T00:00")
    world.arrived({})
