"""From a report of the municipality to Toeslagen and back: answers now and later, corrections, withdrawals, all that goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.kit.http import HttpClient
from connectors.kit.rig import Fault
from connectors.kit.state import State
from connectors.toeslagen import CONNECTOR
from connectors.toeslagen.connector import WAITING
from connectors.toeslagen.settings import ToeslagenSettings
from connectors.toeslagen.translate import CONFIRMED, PROCESSED, WITHDRAWN
from hub.app import Hub, MovingClock
from hub.client import Item, NewSignal, Receipt, RunReport
from hub.errors import RefusedError, RetryLaterError, StopError
from hub.gateway import HubGateway, HubMailbox
from tests.counterparts.toeslagen import Toeslagen
from tests.integration.support import TILBURG, Cli, accepted, received, tick
from tests.sample import INVESTIGATED, address, address_data

TOKEN = "verzonnen-geheim"  # noqa: S105
BSN = "999990019"


class Hurried(HubGateway):
    """Waits for nothing."""

    def pause(self, seconds: float) -> None:
        assert seconds >= 0


class Desk:
    """Tilburg, the hub and Toeslagen."""

    def __init__(self, hub: Hub, clock: MovingClock, other: Toeslagen, folder: Path) -> None:
        self.hub = hub
        self.clock = clock
        self.other = other
        self.folder = folder

    def run(self, at: str | None = None, **changed: Any) -> RunReport:
        if at is not None:
            tick(self.hub, self.clock, at)
        given = {"url": self.other.url, "token": SecretStr(TOKEN), "state_dir": self.folder / "state"}
        report = CONNECTOR.run(ToeslagenSettings.model_validate(given | changed), Hurried(self.hub), track)
        assert report.balanced
        return report

    def report(self, **changed: Any) -> Receipt:
        return accepted(self.hub, TILBURG, address(**changed))

    def heard(self) -> list[tuple[str, str]]:
        """What Tilburg hears from Toeslagen: type and result, in order."""
        found = received(self.hub, TILBURG)
        return [(item["type"], item["data"]["resultaat"]) for item in found if item["type"] in {PROCESSED, CONFIRMED}]

    def waiting(self) -> dict[str, str]:
        with State(self.folder / "state") as state:
            return {name: kind for name, (kind, _) in state.entries(WAITING).items()}


def track(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
    assert total is not None
    assert label
    return items


@pytest.fixture
def desk(hub: Hub, clock: MovingClock, tmp_path: Path) -> Iterator[Desk]:
    with Toeslagen(TOKEN) as other:
        yield Desk(hub, clock, other, tmp_path / "toeslagen")


def test_a_report_is_handed_over_and_its_answer_reaches_the_municipality(desk: Desk) -> None:
    sent = desk.report()
    report = desk.run()
    assert (report.delivered, report.answers) == (1, {"accepted": 1})
    (taken,) = desk.other.taken
    (delivery,) = received(desk.hub, "toeslagen")
    assert taken == {
        "kenmerk": delivery["delivery_id"], "soort": "MELDING", "keten": delivery["correlation"], "betreft": None,
        "gegevens": address_data(),
    }  # fmt: skip
    (answer,) = received(desk.hub, TILBURG, PROCESSED)
    assert (answer["cause"], answer["data"]) == (sent.signal_id, {"resultaat": "VERWERKT", "verwerkt_op": "2026-11-02"})
    assert desk.run().read == 0


def test_an_answer_that_comes_later_is_asked_for_until_it_is_there(desk: Desk) -> None:
    desk.other.first["MELDING"] = "IN_BEHANDELING"
    desk.report()
    report = desk.run()
    assert (report.delivered, report.answers, report.skipped) == (1, {"accepted": 1}, {"nog-in-behandeling": 1})
    assert desk.run().skipped == {"nog-in-behandeling": 1}
    desk.other.later = "ONGEWIJZIGD"
    assert desk.run("2026-11-09T09:00").accepted == 1
    assert desk.run().read == 0
    assert desk.heard() == [(PROCESSED, "ONTVANGEN"), (PROCESSED, "VERWERKT")]
    assert len(desk.other.taken) == 1


def test_that_toeslagen_does_not_know_the_person_is_heard_and_no_more(desk: Desk) -> None:
    desk.other.first["MELDING"] = "PERSOON_ONBEKEND"
    desk.report()
    desk.run()
    assert desk.heard() == [(PROCESSED, "NIET_HERKEND")]


def test_a_correction_replaces_what_toeslagen_has_and_is_confirmed(desk: Desk) -> None:
    sent = desk.report()
    desk.run()
    correction = address(niet_woonachtig_sinds="20260801")
    accepted(desk.hub, TILBURG, NewSignal(type=correction.type, data=correction.data, replaces=sent.signal_id))
    report = desk.run("2026-11-03T09:00")
    assert (report.delivered, report.answers) == (1, {"accepted": 2})
    first, second = desk.other.taken
    assert (second["soort"], second["betreft"], second["keten"]) == ("CORRECTIE", first["kenmerk"], first["keten"])
    assert second["gegevens"]["niet_woonachtig_sinds"] == "20260801"
    assert desk.heard() == [(PROCESSED, "VERWERKT"), (PROCESSED, "VERWERKT"), (CONFIRMED, "VERWERKT")]


def test_a_correction_that_takes_long_is_confirmed_when_it_is_done(desk: Desk) -> None:
    sent = desk.report()
    desk.run()
    desk.other.first["CORRECTIE"] = "ONTVANGEN"
    accepted(desk.hub, TILBURG, NewSignal(type=address().type, data=address_data(bag_id=None), replaces=sent.signal_id))
    desk.run("2026-11-03T09:00")
    assert desk.heard()[1:] == [(PROCESSED, "ONTVANGEN")]
    desk.other.later = "AANGEPAST"
    report = desk.run()
    assert (report.accepted, report.answers) == (1, {"accepted": 1})
    assert desk.heard()[2:] == [(PROCESSED, "VERWERKT"), (CONFIRMED, "VERWERKT")]


@pytest.mark.parametrize(("status", "result"), [("AANGEPAST", "VERWERKT"), ("MELDING_ONBEKEND", "NIET_GEVONDEN")])
def test_a_withdrawal_lets_toeslagen_undo_and_is_confirmed(desk: Desk, status: str, result: str) -> None:
    sent = desk.report()
    desk.run()
    withdraw(desk, sent)
    desk.other.first["INTREKKING"] = status
    desk.run("2026-11-03T09:00")
    first, second = desk.other.taken
    assert (second["soort"], second["betreft"], second["gegevens"]) == ("INTREKKING", first["kenmerk"], {"redencode": "ONTERECHT"})
    assert desk.heard() == [(PROCESSED, "VERWERKT"), (CONFIRMED, result)]


def test_a_withdrawal_is_not_confirmed_before_toeslagen_acted_on_it(desk: Desk) -> None:
    desk.other.first |= {"MELDING": "IN_BEHANDELING", "INTREKKING": "IN_BEHANDELING"}
    withdraw(desk, desk.report())
    desk.run()
    assert desk.heard() == [(PROCESSED, "ONTVANGEN")]
    desk.other.later = "AANGEPAST"
    assert desk.run("2026-11-03T09:00").accepted == 2
    assert sorted(desk.heard()[1:]) == [(PROCESSED, "VERWERKT"), (CONFIRMED, "VERWERKT")]
    assert desk.waiting() == {}


def withdraw(desk: Desk, sent: Receipt) -> None:
    accepted(desk.hub, TILBURG, NewSignal(type=WITHDRAWN, data={"redencode": "ONTERECHT"}, cause=sent.signal_id))


def test_the_outcome_of_the_investigation_goes_without_a_new_address(desk: Desk) -> None:
    sent = desk.report()
    data = {"gemeentecode": "0855", "uitkomst": "VERHUISD_ANDERE_GEMEENTE", "afgerond_op": "2026-11-02"}
    accepted(desk.hub, TILBURG, NewSignal(type=INVESTIGATED, data=data, cause=sent.signal_id))
    desk.run()
    first, second = desk.other.taken
    assert (second["soort"], second["betreft"]) == ("UITKOMST", first["kenmerk"])
    assert second["gegevens"] == data | {"uitkomst": "WOONT_NIET_OP_ADRES"}
    assert desk.heard() == [(PROCESSED, "VERWERKT")] * 2


def test_a_status_that_nobody_described_is_counted_and_guessed_by_nobody(desk: Desk) -> None:
    desk.other.first["MELDING"] = desk.other.later = "TERUGVORDERING"
    desk.report()
    assert desk.run().skipped == {"antwoord-onbekend": 2}
    assert desk.heard() == []
    desk.other.later = "AANGEPAST"
    assert desk.run().accepted == 1
    assert desk.heard() == [(PROCESSED, "VERWERKT")]


def test_what_toeslagen_no_longer_knows_is_waited_for_half_a_year(desk: Desk, clock: MovingClock) -> None:
    desk.other.first["MELDING"] = "IN_BEHANDELING"
    desk.other.later = None
    desk.report()
    assert desk.run().skipped == {"kenmerk-onbekend": 1}
    clock.now += int(timedelta(days=184).total_seconds() * 1000)
    assert desk.run().skipped == {"kenmerk-onbekend": 1}
    clock.now += 1
    assert desk.run().skipped == {"nooit-beantwoord": 1}
    assert desk.waiting() == {}


def test_what_the_hub_refuses_is_counted_and_asked_about_again(desk: Desk) -> None:
    desk.other.first["MELDING"] = "IN_BEHANDELING"
    desk.report()
    desk.run()
    with Toeslagen(TOKEN, day="2026-11-03") as ahead:
        ahead.later = "AANGEPAST"
        assert desk.run(url=ahead.url).refused == {"datum-in-de-toekomst": 1}
        assert desk.run("2026-11-03T09:00", url=ahead.url).accepted == 1
    assert desk.heard() == [(PROCESSED, "ONTVANGEN"), (PROCESSED, "VERWERKT")]


def test_nothing_that_is_remembered_points_at_a_person(desk: Desk) -> None:
    desk.other.first["MELDING"] = "IN_BEHANDELING"
    desk.report()
    desk.run()
    (taken,) = desk.other.taken
    assert desk.waiting() == {taken["kenmerk"]: "MELDING"}
    kept = b"".join(file.read_bytes() for file in (desk.folder / "state").iterdir())
    assert not any(str(value).encode() in kept for value in address_data().values() if isinstance(value, str))


# --- what goes wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "variant", "error"),
    [
        (Fault.CLIENT_ERROR, 1, StopError),
        (Fault.CLIENT_ERROR, 2, RefusedError),
        (Fault.SERVER_ERROR, 0, RetryLaterError),
        (Fault.RATE_LIMIT, 0, RetryLaterError),
        (Fault.TRUNCATED, 0, RetryLaterError),
        (Fault.ENCODING, 0, StopError),
        (Fault.TIMEOUT, 0, RetryLaterError),
    ],
)
def test_a_toeslagen_that_fails_ends_the_run_and_the_next_one_makes_it_good(
    desk: Desk, fault: Fault, variant: int, error: type[Exception]
) -> None:
    desk.report()
    desk.other.spoil(fault, variant)
    with pytest.raises(error) as raised:
        desk.run(timeout_seconds=0.1)
    assert BSN not in f"{raised.value} {raised.value.hint}"  # type: ignore[attr-defined]
    desk.other.mend()
    assert desk.run().delivered == 1
    assert len(desk.other.taken) == 1
    assert desk.heard() == [(PROCESSED, "VERWERKT")]


def test_what_toeslagen_will_never_take_is_counted_and_does_not_hold_up_the_rest(desk: Desk) -> None:
    desk.report()
    desk.other.spoil(Fault.CLIENT_ERROR, 0)
    assert desk.run().refused == {"http-422": 1}
    desk.other.mend()
    desk.report(bag_id=None)
    assert desk.run().delivered == 1


def test_another_address_takes_nothing_and_loses_nothing(desk: Desk) -> None:
    desk.report()
    with pytest.raises(RefusedError, match="404"):
        desk.run(url=f"{desk.other.url}/elders")
    assert desk.run().delivered == 1


class KilledError(BaseException):
    """Stands for the end of the process."""


def test_a_kill_at_any_step_loses_nothing_and_repeats_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round reports anew and dies one step later, before or after the step, until a run gets to its end."""
    desk.other.first["MELDING"] = "IN_BEHANDELING"
    desk.other.later = "AANGEPAST"
    rounds = 0
    for rounds in range(1, 100):
        step = partial(next, iter(range(rounds)), None)
        desk.report(bag_id=f"0855010000{rounds:06d}")
        with monkeypatch.context() as patch:
            for owner, name in ((HttpClient, "post"), (State, "put"), (State, "remove"), (Hurried, "publish"), (HubMailbox, "done")):
                patch.setattr(owner, name, dying(getattr(owner, name), step))
            try:
                desk.run()
            except KilledError:
                pass
            else:
                break
        desk.run()
    assert rounds > 10
    places = [message["gegevens"]["bag_id"] for message in desk.other.taken]
    assert sorted(places) == [f"0855010000{number:06d}" for number in range(1, rounds + 1)]
    assert sorted(desk.heard()) == [(PROCESSED, "ONTVANGEN")] * rounds + [(PROCESSED, "VERWERKT")] * rounds
    assert desk.waiting() == {}


def dying(work: Callable[..., Any], step: Callable[[], int | None]) -> Callable[..., Any]:
    """Return the work with a step before it and one after it; at the step that is none the process ends."""

    def done(*given: Any, **named: Any) -> Any:
        look(step)
        found = work(*given, **named)
        look(step)
        return found

    return done


def look(step: Callable[[], int | None]) -> None:
    if step() is None:
        raise KilledError


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    with Toeslagen(TOKEN) as other:
        sent = cli.publish(address_data())
        monkeypatch.setenv("HUB_TOESLAGEN_TOKEN", TOKEN)
        ran = cli("connector", "run", "toeslagen", "--url", other.url, "--json")
    assert (sent.code, ran.code, ran.json["delivered"], ran.json["answers"]) == (0, 0, 1, {"accepted": 1})
    assert not any(secret in ran.said for secret in (BSN, TOKEN))
