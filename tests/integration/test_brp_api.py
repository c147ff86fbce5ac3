"""From an answer of the BRP personen API to what lies at Toeslagen: beginning, change and end, and all that goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.brp import CONNECTOR
from connectors.brp.personen import ENDED, FIELDS, WITHDRAWN
from connectors.brp.polling import OPEN, OVER
from connectors.brp.rig import API, person
from connectors.brp.settings import BrpSettings
from connectors.kit.http import HttpClient
from connectors.kit.rig import Fault
from connectors.kit.state import State
from connectors.kit.testing import conformance
from hub.app import Hub, MovingClock
from hub.client import Item, NewSignal, Receipt, RunReport
from hub.errors import RefusedError, RetryLaterError, StopError
from hub.gateway import HubGateway
from tests.counterparts.brp import Brp
from tests.integration.support import TAX, Cli, received, tick
from tests.sample import ADDRESS

JAN, AN = "999990019", "999993653"

TestSuite = conformance(API)


class Hurried(HubGateway):
    """Waits for nothing."""

    def pause(self, seconds: float) -> None:
        assert seconds >= 0


class Town:
    """Tilburg, its list, a BRP and the hub."""

    def __init__(self, hub: Hub, clock: MovingClock, brp: Brp, people: dict[str, Any], folder: Path) -> None:
        self.hub = hub
        self.clock = clock
        self.brp = brp
        self.people = people
        self.folder = folder
        self.gateway = Hurried(hub)
        self.lists(JAN)

    def lists(self, *bsns: str, name: str = "lijst.txt") -> Path:
        file = self.folder / name
        file.write_text("".join(f"{bsn}\n" for bsn in bsns), encoding="utf-8")
        return file

    def settings(self, **changed: Any) -> BrpSettings:
        given = {"api_url": self.brp.url, "municipality": "0855", "persons": self.folder / "lijst.txt", "state_dir": self.folder / "state"}
        return BrpSettings.model_validate(given | changed)

    def poll(self, at: str | None = None, **changed: Any) -> RunReport:
        if at is not None:
            tick(self.hub, self.clock, at)
        report = CONNECTOR.run(self.settings(**changed), self.gateway, track)
        assert report.balanced
        return report

    def says(self, bsn: str, since: str | None = None, place: dict[str, Any] | None = None, **more: Any) -> None:
        found = person(bsn, since, **more)
        self.people[bsn] = found | {"verblijfplaats": found["verblijfplaats"] | (place or {})}

    def arrived(self, type_: str | None = None) -> list[dict[str, Any]]:
        return received(self.hub, TAX, type_)

    def remembers(self, space: str) -> dict[str, Any]:
        with State(self.folder / "state") as state:
            return {name: json.loads(text) for name, (text, _) in state.entries(space).items()}


def track(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
    assert total is not None
    assert label
    return items


@pytest.fixture
def town(hub: Hub, clock: MovingClock, tmp_path: Path) -> Iterator[Town]:
    people: dict[str, Any] = {}
    folder = tmp_path / "brp"
    folder.mkdir()
    with Brp(people) as brp:
        yield Town(hub, clock, brp, people, folder)


def test_what_is_established_reaches_toeslagen_once(town: Town) -> None:
    town.says(JAN, "2026-10-26", geheimhoudingPersoonsgegevens=True)
    assert town.poll().accepted == 1
    assert town.poll().skipped == {"ongewijzigd": 1}
    (delivery,) = town.arrived()
    assert delivery["data"] == {
        "gemeentecode": "0855", "bag_id": "0855010000000025", "bsn": JAN, "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        "niet_woonachtig_sinds": "20261026", "adresonderzoek": "LOOPT", "adresonderzoek_start": "20261026", "geheimhouding": True,
        "betrokkene_geinformeerd": "NVT", "contactrol": "burgerzaken-adresonderzoek",
    }  # fmt: skip
    assert town.brp.questions[0] == {"type": "RaadpleegMetBurgerservicenummer", "burgerservicenummer": [JAN], "fields": list(FIELDS)}


def test_another_day_reaches_toeslagen_as_a_correction_and_back_again_too(town: Town) -> None:
    for day, at in (("2026-10-26", None), ("2026-10-01", "2026-11-03T09:00"), ("2026-10-26", "2026-11-04T09:00")):
        town.says(JAN, day)
        assert town.poll(at).accepted == 1
    first, second, third = town.arrived(ADDRESS)
    assert [delivery["data"]["niet_woonachtig_sinds"] for delivery in (first, second, third)] == ["20261026", "20261001", "20261026"]
    assert (second["replaces"], third["replaces"]) == (first["delivery_id"], second["delivery_id"])
    assert len({first["correlation"], second["correlation"], third["correlation"]}) == 1


def test_who_moved_is_reported_as_not_living_there_and_the_new_address_is_not_told(town: Town) -> None:
    town.says(JAN, "2026-10-26")
    town.poll()
    town.says(JAN, None, municipality="0344", place={"adresseerbaarObjectIdentificatie": "0344010000000033"})
    assert town.poll("2026-11-10T00:30").accepted == 1
    first, last = town.arrived()
    assert (last["type"], last["cause"]) == (ENDED, first["delivery_id"])
    assert last["data"] == {"gemeentecode": "0855", "uitkomst": "WOONT_NIET_OP_ADRES", "afgerond_op": "2026-11-10"}
    assert town.poll().skipped == {"geen-adresvaststelling": 1}


def test_what_is_no_longer_established_is_taken_back_and_may_begin_again(town: Town) -> None:
    town.says(JAN, "2026-10-26")
    town.poll()
    town.says(JAN)
    assert town.poll("2026-11-05T09:00").accepted == 1
    assert [delivery["type"] for delivery in town.arrived()] == [ADDRESS, WITHDRAWN]
    town.says(JAN, "2026-10-26")
    for at in ("2026-11-06T09:00", "2026-11-07T09:00"):
        town.poll(at)
    assert [delivery["type"] for delivery in town.arrived()] == [ADDRESS, WITHDRAWN, ADDRESS]


def test_what_ended_is_forgotten_after_ten_weeks_and_what_stands_is_not(town: Town, clock: MovingClock) -> None:
    town.lists(JAN, AN)
    town.says(JAN, "2026-10-26")
    town.says(AN, "2026-10-27")
    town.poll()
    town.says(JAN)
    town.poll("2026-11-05T09:00")
    assert list(town.remembers(OVER).values()) == [{"onderzoek": "20261026", "einde": "2026-11-05"}]
    clock.now += int(timedelta(weeks=10).total_seconds() * 1000)
    town.poll()
    assert len(town.remembers(OVER)) == 1, "on the last day it is still there"
    clock.now += 1
    town.poll()
    assert (town.remembers(OVER), [entry["onderzoek"] for entry in town.remembers(OPEN).values()]) == ({}, ["20261027"])


def test_nothing_that_is_remembered_points_at_a_person(town: Town) -> None:
    town.says(JAN, "2026-10-26")
    town.poll()
    kept = b"".join(file.read_bytes() for file in (town.folder / "state").iterdir())
    assert not any(value.encode() in kept for value in (JAN, "0855010000000025"))
    assert b"20261026" in kept


def test_only_who_is_under_investigation_is_asked_for_at_most_twenty_at_a_time(town: Town) -> None:
    bsns = [bsn for number in range(300) if is_test_bsn(bsn := str(999_990_000 + number))][:25]
    for bsn in bsns:
        town.says(bsn)
    town.lists(*bsns, "niet-een-nummer", bsns[0])
    report = town.poll()
    assert [len(question["burgerservicenummer"]) for question in town.brp.questions] == [20, 5]
    assert report.skipped == {"geen-adresvaststelling": 25, "bsn-ongeldig": 1, "dubbel-op-de-lijst": 1}


def is_test_bsn(text: str) -> bool:
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(weight * int(digit) for weight, digit in zip(weights, text, strict=True)) % 11 == 0


def test_of_who_was_notified_only_who_is_on_the_list_is_asked_for(town: Town) -> None:
    town.says(JAN, "2026-10-26")
    town.says(AN, "2026-10-26")
    report = town.poll(notified=town.lists(AN, JAN, name="gemeld.txt"))
    assert [question["burgerservicenummer"] for question in town.brp.questions] == [[JAN]]
    assert (report.accepted, report.skipped) == (1, {"geen-open-onderzoek": 1})


def test_someone_of_whom_the_brp_says_nothing_ends_nothing(town: Town) -> None:
    town.says(JAN, "2026-10-26")
    town.poll()
    del town.people[JAN]
    assert town.poll().skipped == {"persoon-niet-gevonden": 1}
    town.people[JAN] = person(JAN) | {"verblijfplaats": {"inOnderzoek": {"datumIngangOnderzoek": "gisteren"}}}
    assert town.poll().skipped == {"antwoord-onleesbaar": 1}
    assert len(town.arrived()) == 1


def test_what_the_hub_refuses_is_counted_and_tried_again(town: Town) -> None:
    town.says(JAN, "2026-13-45")
    assert town.poll().refused == {"gba-datum-ongeldig": 1}
    town.says(JAN, "2026-10-26")
    assert town.poll().accepted == 1


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("meanwhile", ["nothing", "ended"])
def test_after_a_crash_nothing_is_lost_and_nothing_told_twice(
    town: Town, monkeypatch: pytest.MonkeyPatch, meanwhile: str, *, after: bool
) -> None:
    town.says(JAN, "2026-10-26")

    def dies(participant: str, signals: list[NewSignal]) -> list[Receipt]:
        if after:
            HubGateway.publish(town.gateway, participant, signals)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(town.gateway, "publish", dies)
        with pytest.raises(KilledError):
            town.poll()
    if meanwhile == "ended":
        town.says(JAN)
    town.poll("2026-11-03T09:00")
    town.poll("2026-11-04T09:00")
    told = {("nothing", False): [ADDRESS], ("nothing", True): [ADDRESS], ("ended", False): [], ("ended", True): [ADDRESS, WITHDRAWN]}
    assert [delivery["type"] for delivery in town.arrived()] == told[meanwhile, after]


def test_a_crash_while_telling_of_an_end_tells_it_once_with_the_day_on_which_it_was_seen(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.says(JAN, "2026-10-26")
    town.poll()
    town.says(JAN, municipality="0344")

    def dies(participant: str, signals: list[NewSignal]) -> list[Receipt]:
        HubGateway.publish(town.gateway, participant, signals)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(town.gateway, "publish", dies)
        with pytest.raises(KilledError):
            town.poll("2026-11-03T09:00")
    assert town.poll("2026-11-09T09:00").duplicate == 1
    (ended,) = town.arrived(ENDED)
    assert ended["data"]["afgerond_op"] == "2026-11-03"


@pytest.mark.parametrize(
    ("fault", "variant", "error"),
    [
        (Fault.CLIENT_ERROR, 0, RefusedError),
        (Fault.CLIENT_ERROR, 1, StopError),
        (Fault.SERVER_ERROR, 0, RetryLaterError),
        (Fault.RATE_LIMIT, 0, RetryLaterError),
        (Fault.TRUNCATED, 0, RetryLaterError),
        (Fault.ENCODING, 0, StopError),
        (Fault.TIMEOUT, 0, RetryLaterError),
    ],
)
def test_a_brp_that_fails_ends_the_run_and_the_next_one_makes_it_good(
    town: Town, fault: Fault, variant: int, error: type[Exception]
) -> None:
    town.says(JAN, "2026-10-26")
    town.brp.spoil(fault, variant)
    with pytest.raises(error) as raised:
        town.poll(timeout_seconds=0.1)
    assert JAN not in f"{raised.value} {raised.value.hint}"  # type: ignore[attr-defined]
    town.brp.mend()
    assert town.poll().accepted == 1
    assert len(town.arrived()) == 1


def test_an_answer_that_is_not_of_the_personen_api_stops_the_run(town: Town, hub: Hub) -> None:
    town.says(JAN, "2026-10-26")
    with pytest.raises(RefusedError, match="404"):
        town.poll(api_url=f"{town.brp.url}/elders")
    assert received(hub, TAX) == []


def test_the_counterpart_refuses_what_the_brp_refuses(town: Town) -> None:
    good = {"type": "RaadpleegMetBurgerservicenummer", "burgerservicenummer": [JAN], "fields": list(FIELDS)}
    wrong: list[dict[str, Any]] = [
        good | {"burgerservicenummer": [JAN] * 21}, good | {"burgerservicenummer": []}, good | {"fields": [*FIELDS, "naam"]},
        good | {"fields": [*FIELDS, "verblijfplaats.indicatieVastgesteldVerblijftNietOpAdres"]}, good | {"fields": []}, good | {"type": "ZoekMetPostcode"},
    ]  # fmt: skip
    with HttpClient(town.brp.url, town.gateway) as client:
        assert client.post("/personen", good).json()["personen"] == []
        for question in wrong:
            with pytest.raises(RefusedError, match="400"):
                client.post("/personen", question)


def test_either_a_file_or_the_api(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    town.says(JAN, "2026-10-26")
    lijst = str(town.folder / "lijst.txt")
    ran = cli("connector", "run", "brp", "--api-url", town.brp.url, "--municipality", "0855", "--persons", lijst, "--json")
    assert (ran.code, ran.json["accepted"], JAN in ran.said) == (0, 1, False)
    for wrong in (["--api-url", town.brp.url], ["--file", lijst, "--api-url", town.brp.url], []):
        assert cli("connector", "run", "brp", *wrong).code == 2
