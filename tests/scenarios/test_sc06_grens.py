"""SC-06: arrears reported in time, and the 51st of the month (docs/scenarios.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.scenarios.world import (
    ARREARS,
    DEFERRED,
    EINDHOVEN,
    OFFERED,
    TILBURG,
    UTRECHT,
    Message,
    Sent,
    World,
    confirmed,
    taken_back,
    town,
)

HUB: Final = Path(sys.executable).parent / "hub"
LANDLORD, INSURER, ENERGY, WATER = "wonen-voorbeeld", "zorgzaam-voorbeeld", "stroom-voorbeeld", "bron-voorbeeld"
GRANTS = {LANDLORD: "vaste-lasten.huur", INSURER: "vaste-lasten.zorg", ENERGY: "vaste-lasten.energie", WATER: "vaste-lasten.water"}
KINDS = {LANDLORD: "HUUR", INSURER: "ZORG", ENERGY: "ENERGIE", WATER: "WATER"}
TESTED = {  # what only serves to test whether this may be reported, and reaches nobody
    "achterstand_maanden", "natuurlijk_persoon", "persoonlijk_contact_gezocht", "gewezen_op_schuldhulp", "herinneringen",
    "doorgeven_aangeboden", "doorgeven_geweigerd",
}  # fmt: skip
BSN: Final = "999990019"


def arrears(by: str, number: int, town_: str = EINDHOVEN, **changed: Any) -> dict[str, Any]:
    """Return an arrear of one of many invented people; the amount counts them."""
    return {
        "gemeentecode": town_, "achternaam": f"Verzonnen-{number:03d}", "voorletters": "A.", "geboortedatum": "1980-02-29",
        "postcode": "5611 AB", "huisnummer": number, "huisletter": None, "huisnummertoevoeging": None, "telefoon": None, "email": None,
        "klantnummer": f"K-{number}", "partnersoort": KINDS[by], "bedrag_cent": 10_000 + number, "achterstand_maanden": 3,
        "crisissignaal": False, "natuurlijk_persoon": True, "persoonlijk_contact_gezocht": True, "gewezen_op_schuldhulp": True,
        "herinneringen": 1, "doorgeven_aangeboden": True, "doorgeven_geweigerd": False, "betrokkene_geinformeerd": "JA",
        "contactrol": "incasso",
    } | changed  # fmt: skip


def reported(by: str, data: dict[str, Any]) -> Message:
    """What schuldhulp sees of it; the customer number of energy and water only."""
    left_out = TESTED if by in {ENERGY, WATER} else TESTED | {"klantnummer"}
    return ARREARS, GRANTS[by], {name: value for name, value in data.items() if name not in left_out}


def waits(by: str, sent: Sent, waiting: int) -> Message:
    return DEFERRED, "signaalhub.uitgesteld", {"signaal_id": sent.signal_id, "regel": GRANTS[by], "wachtend": waiting}


def queue(by: str, waiting: int) -> Message:
    """What the town hears of a queue: how long it is, and of no signal in particular."""
    return DEFERRED, "signaalhub.uitgesteld", {"signaal_id": None, "regel": GRANTS[by], "wachtend": waiting}


def stand(world: World) -> tuple[int, int | None, int]:
    """Return how many were used, the limit, and how many wait."""
    [row] = world.run("quota", "show", "--json").json
    return row["used"], row["limit"], row["waiting"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with town(tmp_path / "home", monkeypatch, EINDHOVEN, UTRECHT) as found:
        found.hide("Verzonnen-", f"schuldhulp.{EINDHOVEN}", f"schuldhulp.{UTRECHT}")
        found.hide(BSN)
        for firm in KINDS:
            found.blind(firm, "bereikt", "geaccepteerd", "schulden")
        yield found


DEBT_AID = f"schuldhulp.{EINDHOVEN}"


def fill(world: World, upto: int = 50) -> list[Sent]:
    """Let three partners report so many together; all are forwarded, in the order in which they came."""
    shares = {LANDLORD: range(1, 21), INSURER: range(21, 36), ENERGY: range(36, upto + 1)}
    sent: list[Sent] = []
    told: list[Message] = []
    for by, numbers in shares.items():
        data = [arrears(by, number) for number in numbers]
        sent += world.publish_all(by, ARREARS, data)
        told += [reported(by, one) for one in data]
    new = world.receive()
    assert list(new) == [DEBT_AID]
    assert [(one["type"], one["grant"], one["data"]) for one in new[DEBT_AID]] == told
    return sent


def amounts(deliveries: list[dict[str, Any]]) -> list[int]:
    return [one["data"]["bedrag_cent"] - 10_000 for one in deliveries if one["type"] == ARREARS]


def test_sc06_the_fifty_first_waits(world: World) -> None:
    """The chain in Eindhoven.

    1. Its sample agreement forwards 50 a calendar month. Correction: that number was an intention; no text of an agreement was found.
    2. A landlord, a health insurer and an energy supplier report 50 in November: all are forwarded, to schuldhulp alone.
    3. The 51st waits. The partner is told, and schuldhulp how many wait; nothing is deleted. A house that will be lost (a
       crisis) does not wait and does not count.
    4. On 1 December at 0.00 the oldest goes first, and counts in the new month.
    10. Werk en Inkomen, Handhaving and everyone else got nothing in all of this.
    """
    fill(world)
    assert stand(world) == (50, 50, 0)
    late = {LANDLORD: arrears(LANDLORD, 51), ENERGY: arrears(ENERGY, 52)}
    first = world.publish(LANDLORD, ARREARS, late[LANDLORD])
    world.arrived({LANDLORD: waits(LANDLORD, first, 1), DEBT_AID: queue(LANDLORD, 1)})
    assert world.why(first.signal_id) == [(DEBT_AID, "vaste-lasten.huur", "defer", "wacht-op-ruimte")]
    world.at("2026-11-20T09:00")
    second = world.publish(ENERGY, ARREARS, late[ENERGY])
    world.arrived({ENERGY: waits(ENERGY, second, 2), DEBT_AID: queue(ENERGY, 2)})
    crisis = arrears(LANDLORD, 53, crisissignaal=True)
    world.publish(LANDLORD, ARREARS, crisis)
    world.arrived({DEBT_AID: reported(LANDLORD, crisis)})
    assert stand(world) == (50, 50, 2)

    world.at("2026-11-30T23:59")
    world.arrived({})
    world.at("2026-12-01T00:00")
    new = world.receive()
    assert list(new) == [DEBT_AID]
    assert [(one["grant"], one["data"]) for one in new[DEBT_AID]] == [reported(by, late[by])[1:] for by in (LANDLORD, ENERGY)]
    assert stand(world) == (2, 50, 0)
    assert world.why(first.signal_id) == [
        (DEBT_AID, "vaste-lasten.huur", "defer", "wacht-op-ruimte"),
        (DEBT_AID, "vaste-lasten.huur", "released", "ruimte-vrij"),
    ]


def test_sc06_what_waits_goes_first_and_fills_the_month(world: World) -> None:
    """Step 4, at length: 53 wait. December forwards the oldest 50 of them; three wait on, and what comes new joins behind them."""
    fill(world)
    waiting = [arrears(LANDLORD, number) for number in range(51, 104)]
    world.publish_all(LANDLORD, ARREARS, waiting)
    assert set(world.receive()) == {LANDLORD, DEBT_AID}
    assert stand(world) == (50, 50, 53)

    world.at("2026-12-01T00:00")
    new = world.receive()
    assert list(new) == [DEBT_AID]
    assert amounts(new[DEBT_AID]) == list(range(51, 101))
    assert stand(world) == (50, 50, 3)
    world.at("2026-12-01T09:00")
    newest = world.publish(LANDLORD, ARREARS, arrears(LANDLORD, 104))
    world.arrived({LANDLORD: waits(LANDLORD, newest, 4), DEBT_AID: queue(LANDLORD, 4)})
    world.at("2027-01-01T00:00")
    new = world.receive()
    assert list(new) == [DEBT_AID]
    assert amounts(new[DEBT_AID]) == [101, 102, 103, 104]
    assert stand(world) == (4, 50, 0)


def test_sc06_two_at_the_same_instant_at_forty_nine(world: World, tmp_path: Path) -> None:
    """Step 5: with 49 forwarded, two partners report at once, each from a process of its own. One is forwarded, the other waits."""
    fill(world, 49)
    assert stand(world) == (49, 50, 0)
    running = []
    for by, number in ((LANDLORD, 50), (ENERGY, 51)):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(arrears(by, number)), encoding="utf-8")
        command = [str(HUB), *world.cli.options(), "publish", "--as", by, "--type", ARREARS, "--data", str(file), "--json"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path))
    answers = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], answers
    assert [json.loads(out)[0]["status"] for out, _ in answers] == ["accepted", "accepted"]

    new = world.receive()
    [other] = set(new) - {DEBT_AID}
    chosen = {LANDLORD: ENERGY, ENERGY: LANDLORD}[other]
    assert amounts(new[DEBT_AID]) == [{LANDLORD: 50, ENERGY: 51}[chosen]]
    assert [one["data"]["wachtend"] for one in new[other]] == [1]
    assert stand(world) == (50, 50, 1)


def test_sc06_a_withdrawn_signal_frees_no_slot(world: World) -> None:
    """Step 6: one that waits is withdrawn. Schuldhulp never had it and hears nothing; the month is as full as it was.

    One that was forwarded is withdrawn: schuldhulp hears it and confirms. Its slot was used, and stays so.
    """
    sent = fill(world)
    waiting = world.publish(LANDLORD, ARREARS, arrears(LANDLORD, 51))
    world.arrived({LANDLORD: waits(LANDLORD, waiting, 1), DEBT_AID: queue(LANDLORD, 1)})
    world.withdraw(waiting, "OPGELOST")
    world.arrived({})
    assert stand(world) == (50, 50, 0)
    assert (DEBT_AID, "vaste-lasten.huur", "recalled", "ingetrokken") in world.why(waiting.signal_id)

    world.withdraw(sent[0], "OPGELOST")
    world.arrived({DEBT_AID: taken_back("OPGELOST")})
    world.confirm(DEBT_AID)
    world.arrived({LANDLORD: confirmed()})
    assert stand(world) == (50, 50, 0)

    newest = world.publish(LANDLORD, ARREARS, arrears(LANDLORD, 52))
    world.arrived({LANDLORD: waits(LANDLORD, newest, 1), DEBT_AID: queue(LANDLORD, 1)})
    world.at("2026-12-01T00:00")
    world.arrived({DEBT_AID: reported(LANDLORD, arrears(LANDLORD, 52))})
    assert stand(world) == (1, 50, 0)


def test_sc06_a_wrong_amount_is_corrected(world: World) -> None:
    """A variant of step 6: a correction of what waits keeps its place, one of what was forwarded takes no slot."""
    sent = fill(world)
    waiting = [world.publish(LANDLORD, ARREARS, arrears(LANDLORD, number)) for number in (51, 52)]
    world.receive()
    world.publish(LANDLORD, ARREARS, arrears(LANDLORD, 51, bedrag_cent=10_151), replaces=waiting[0].signal_id)
    world.arrived({})
    right = arrears(LANDLORD, 1, bedrag_cent=10_201)
    world.publish(LANDLORD, ARREARS, right, replaces=sent[0].signal_id)
    world.arrived({DEBT_AID: reported(LANDLORD, right)})
    assert world.last(DEBT_AID)["replaces"] == world.seen[DEBT_AID][0]["delivery_id"]
    assert stand(world) == (50, 50, 2)
    world.at("2026-12-01T00:00")
    assert amounts(world.receive()[DEBT_AID]) == [151, 52]


def test_sc06_utrecht_has_no_cap(world: World) -> None:
    """Step 7: three partners report 60 in one month in Utrecht, and all go through.

    Correction: the SVB is in the story a party to the agreement. It is none of the four kinds of partner that may report
    arrears, so it takes no part in this flow (see the next test).
    """
    told: list[Message] = []
    for by, numbers in ((LANDLORD, range(1, 21)), (INSURER, range(21, 41)), (ENERGY, range(41, 61))):
        data = [arrears(by, number, UTRECHT) for number in numbers]
        world.publish_all(by, ARREARS, data)
        told += [reported(by, one) for one in data]
    new = world.receive()
    assert list(new) == [f"schuldhulp.{UTRECHT}"]
    assert [(one["type"], one["grant"], one["data"]) for one in new[f"schuldhulp.{UTRECHT}"]] == told
    assert [row["waiting"] for row in world.run("quota", "show", "--json").json if row["waiting"]] == []


def test_sc06_outside_the_agreement(world: World) -> None:
    """Step 8: who is not party to an agreement is refused, and so is who must still do something first.

    A stranger leaves nothing but a count.
    """
    world.refused(WATER, ARREARS, arrears(WATER, 1, UTRECHT), "geen-afspraak")
    world.refused("woonbelang-zonder-afspraak", ARREARS, arrears(LANDLORD, 1, TILBURG), "geen-afspraak")
    world.refused("woonhuis-verzonnen", ARREARS, arrears(LANDLORD, 1), "gemeente-niet-toegestaan")
    early = arrears(LANDLORD, 1, persoonlijk_contact_gezocht=False, herinneringen=0)
    world.refused(LANDLORD, ARREARS, early, "geen-persoonlijk-contact", "geen-herinnering")
    world.refused(LANDLORD, ARREARS, arrears(LANDLORD, 1, partnersoort="ZORG"), "partnersoort-past-niet")
    world.refused(LANDLORD, ARREARS, arrears(LANDLORD, 1) | {"bsn": BSN}, "veld-onbekend")
    kept = len(world.run("rejections", "list", "--json").lines)
    ran = world.cli.publish(arrears(LANDLORD, 1), participant="svb", type_=ARREARS)
    assert (ran.code, [error["code"] for error in ran.json[0]["errors"]]) == (1, ["deelnemer-onbekend"])
    assert len(world.run("rejections", "list", "--json").lines) == kept
    assert "1 keer deelnemer-onbekend" in world.run("rejections", "list").out


def test_sc06_the_partner_hears_that_help_was_offered_and_no_more(world: World) -> None:
    """Step 9: schuldhulp reached nobody. There is no code for that; the landlord hears AFGESLOTEN, as it would for any other reason."""
    sent = world.publish_all(LANDLORD, ARREARS, [arrears(LANDLORD, 1), arrears(LANDLORD, 2)])
    world.arrived({DEBT_AID: [reported(LANDLORD, arrears(LANDLORD, number)) for number in (1, 2)]})
    first, second = (one["delivery_id"] for one in world.seen[DEBT_AID])
    result = {"resultaat": "AFGESLOTEN", "resultaat_op": "2026-11-02"}
    world.refused(DEBT_AID, OFFERED, result | {"resultaat": "NIET_BEREIKT"}, "waarde-onbekend", cause=first)
    world.refused(DEBT_AID, OFFERED, result | {"hulp_geaccepteerd": False}, "veld-onbekend", cause=first)
    world.refused("werk-en-inkomen.0772", OFFERED, result, "geen-publicatierecht", cause=first)
    for delivery, signal, outcome in ((first, sent[0], "AFGESLOTEN"), (second, sent[1], "AANBOD_GEDAAN")):
        world.publish(DEBT_AID, OFFERED, result | {"resultaat": outcome}, cause=delivery)
        world.arrived({LANDLORD: (OFFERED, "vaste-lasten.resultaat", result | {"resultaat": outcome})})
        assert world.last(LANDLORD)["cause"] == signal.signal_id


def test_sc06_nobody_else_can_have_it(world: World) -> None:
    """Step 10, corrected: nobody "subscribes" in this hub.

    A rule gives, or nothing is given. Arrears have rules for schuldhulp only, answers for the partner.
    """
    rows = world.run("rules", "matrix", "--json").json
    assert {row["recipient"] for row in rows if row["signal"] == ARREARS} == {"schuldhulp"}
    assert {row["recipient"] for row in rows if row["signal"] == OFFERED} == {"$publisher"}
