"""From a benefit system's outbox to what the buurtteam gets, and from its pause to a payment that is not stopped; on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from connectors.kit.memory import MemoryGateway
from connectors.kit.testing import conformance
from connectors.werk_en_inkomen import CONNECTOR
from connectors.werk_en_inkomen.benefit import may, post
from connectors.werk_en_inkomen.rig import WITHDRAWAL, plan
from connectors.werk_en_inkomen.settings import WerkEnInkomenSettings
from connectors.werk_en_inkomen.translate import REASONS, Message
from hub.app import Hub, MovingClock
from hub.client import GuardAnswer, Item, NewSignal, Receipt, RunReport
from hub.domain.terms import moment
from hub.errors import RetryLaterError, StopError
from hub.gateway import HubGateway
from hub.telemetry import configure
from tests.counterparts.benefit import BenefitSystem, MayNotError, benefit_system
from tests.integration.support import ROOT, SPAWN, at_once, opened, received

JAN, AN, BO = "999990019", "999990020", "999990056"
TEAM, OFFICE = "buurtteam.0344", "werk-en-inkomen.0344"
PLANNED = date(2026, 11, 16)
TOWN = ROOT / "connectors" / "werk_en_inkomen"

TestSuite = conformance(WITHDRAWAL)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the benefit system."""
    return f"sqlite:///{tmp_path}/uitkering.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres").url)


class Town:
    """Utrecht: its benefit system, the connector and the hub, all by one clock."""

    def __init__(self, hub: Hub, clock: MovingClock, benefits: BenefitSystem, url: str) -> None:
        self.hub = hub
        self.clock = clock
        self.benefits = benefits
        self.url = url

    def run(self, gateway: HubGateway | None = None) -> RunReport:
        return run(self.url, gateway or HubGateway(self.hub))

    def at(self, when: str) -> None:
        """Move the clock, and let the hub do what is due."""
        self.clock.now = moment(when)
        self.hub.run_once()

    def pause(self) -> Receipt:
        """The buurtteam presses the button."""
        alert = next(found for found in received(self.hub, TEAM) if found["type"].endswith("maatregel-voorgenomen.v1"))
        data = {"reden": "CONTACT_LOOPT", "gevraagd_op": self.benefits.now().date().isoformat(), "contactrol": "buurtteam-zuid"}
        pressed = NewSignal(type="nl.participatiewet.pauze-gevraagd.v1", data=data, cause=alert["delivery_id"])
        receipt = self.hub.publish(TEAM, [pressed])[0]
        assert receipt.status == "accepted"
        return receipt


def run(url: str, gateway: Any) -> RunReport:
    return CONNECTOR.run(WerkEnInkomenSettings(database_url=SecretStr(url)), gateway, no_bar)


def no_bar(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:  # noqa: ARG001
    return items


@pytest.fixture
def town(hub: Hub, clock: MovingClock, url: str) -> Iterator[Town]:
    with benefit_system(url, lambda: datetime.fromtimestamp(clock.now / 1000, UTC)) as benefits:
        yield Town(hub, clock, benefits, url)


# --- the story ----------------------------------------------------------------------------


def test_a_payment_stops_only_when_the_guard_says_so_and_not_after_the_button_is_pressed(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    assert not town.benefits.may("PW-1")
    report = town.run()
    assert (report.read, report.accepted, report.balanced) == (1, 1, True)
    assert town.benefits.outbox() == [("VOORGENOMEN", "PW-1", "AANGENOMEN", None)]
    assert town.benefits.answer("PW-1") == (False, "pauze-loopt")

    town.at("2026-11-06T09:00")  # nobody reacted within three working days
    assert not town.benefits.may("PW-1")
    town.run()
    assert town.benefits.may("PW-1")

    town.pause()
    town.clock.now += 60_000
    town.run()
    assert town.benefits.answer("PW-1") == (False, "pauze-loopt")
    with pytest.raises(MayNotError):
        town.benefits.stop("PW-1")
    assert town.benefits.pays("PW-1")


def test_what_was_carried_out_is_told_and_closes_the_measure(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")
    town.run()
    town.benefits.stop("PW-1")
    assert not town.benefits.may("PW-1")
    assert town.run().accepted == 1
    assert town.benefits.answer("PW-1") == (False, "uitgevoerd")
    assert not town.benefits.pays("PW-1")
    assert not [found for found in received(town.hub, TEAM) if found["type"] == "nl.signaalhub.herinnering.v1"]


def test_a_fact_is_told_whatever_the_guard_said_and_everyone_hears_it(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.pause()
    town.benefits.stop("PW-1", whatever=True)
    assert town.run().accepted == 1
    alarms = [found["data"]["code"] for found in received(town.hub, TEAM) if found["type"] == "nl.signaalhub.herinnering.v1"]
    assert alarms == ["pauze-doorbroken"]


def test_another_day_is_a_correction_and_gives_the_reaction_time_anew(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-05T09:00")
    town.benefits.correct("PW-1", JAN, date(2026, 11, 23))
    assert town.run().accepted == 1
    first, second = [found for found in received(town.hub, TEAM) if found["type"].endswith("maatregel-voorgenomen.v1")]
    assert (second["replaces"], second["data"]["gepland_op"]) == (first["delivery_id"], "2026-11-23")
    town.at("2026-11-06T09:00")
    town.run()
    assert not town.benefits.may("PW-1")
    town.at("2026-11-11T09:00")
    town.run()
    assert town.benefits.may("PW-1")


def test_a_message_that_waits_means_no_at_once(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")
    town.run()
    assert town.benefits.may("PW-1")
    town.benefits.withdraw("PW-1")
    assert not town.benefits.may("PW-1")
    assert town.run().accepted == 1
    assert town.benefits.answer("PW-1") == (False, "ingetrokken")
    told = received(town.hub, TEAM)[-1]
    assert (told["type"], told["data"]) == ("nl.signaalhub.signaal-ingetrokken.v1", {"redencode": "ONTERECHT"})
    town.benefits.correct("PW-1", JAN, PLANNED)
    assert town.run().skipped == {"maatregel-gesloten": 1}


def test_a_transaction_that_is_taken_back_announces_nothing(town: Town) -> None:
    with pytest.raises(ZeroDivisionError), town.benefits.engine.begin() as connection:
        post(connection, Message.ANNOUNCED, "PW-1", "0344", **plan(JAN, PLANNED))
        raise ZeroDivisionError
    assert town.run().read == 0


# --- no, unless ---------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "allowed"), [(-2, False), (0, True), (14, True), (15, False), (60, False)])
def test_an_answer_counts_for_fifteen_minutes_and_not_before_it_was_given(town: Town, minutes: int, allowed: bool) -> None:  # noqa: FBT001
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")
    town.run()
    later = town.benefits.now() + timedelta(minutes=minutes)
    with town.benefits.engine.connect() as connection:
        assert may(connection, "PW-1", later) is allowed
        assert not may(connection, "PW-2", later)


def test_the_answers_of_all_open_measures_are_kept_fresh_also_when_nothing_waits(town: Town) -> None:
    for number, bsn in enumerate((JAN, AN, BO)):
        town.benefits.announce(f"PW-{number}", bsn, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")
    for _ in range(3):
        town.clock.now += 20 * 60_000
        assert not any(town.benefits.may(f"PW-{number}") for number in range(3))
        assert town.run().read == 0
        assert all(town.benefits.may(f"PW-{number}") for number in range(3))


def test_a_hub_that_is_away_leaves_answers_that_grow_old(town: Town) -> None:
    class Away(HubGateway):
        def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:  # noqa: ARG002
            raise RetryLaterError("the hub does not answer")

    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")
    town.run()
    town.clock.now += 10 * 60_000
    with pytest.raises(RetryLaterError):
        town.run(Away(town.hub))
    assert town.benefits.may("PW-1")
    town.clock.now += 10 * 60_000
    assert not town.benefits.may("PW-1")


class Meanwhile(HubGateway):
    """Does something between the answer of the guard and the moment at which the connector has it."""

    def __init__(self, hub: Hub, work: Callable[[], object]) -> None:
        super().__init__(hub)
        self._work = work

    def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:
        said = super().may(participant, correlation, guard)
        self._work()
        return said


def test_an_older_answer_never_replaces_a_newer_one(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")

    def pressed_and_asked_by_another_run() -> None:
        town.pause()
        town.run()  # in the same millisecond: then a no stands

    town.run(Meanwhile(town.hub, pressed_and_asked_by_another_run))
    assert town.benefits.answer("PW-1") == (False, "pauze-loopt")


def test_an_answer_that_was_asked_before_a_correction_is_not_written(town: Town) -> None:
    def corrected_by_a_run_that_did_not_live_to_ask() -> None:
        town.benefits.correct("PW-1", JAN, date(2026, 11, 23))
        with pytest.raises(RetryLaterError):
            run(town.url, MemoryGateway(step=away))

    def away(step: str) -> None:
        if step == "may":
            raise RetryLaterError("the hub does not answer")

    class Slow(MemoryGateway):
        def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:  # noqa: ARG002
            corrected_by_a_run_that_did_not_live_to_ask()
            return GuardAnswer(open=True)

    town.benefits.announce("PW-1", JAN, PLANNED)
    run(town.url, Slow())
    assert town.benefits.answer("PW-1") == (False, "nog-niet-gevraagd")


def test_nothing_is_asked_about_a_measure_that_is_closed(town: Town) -> None:
    asked: list[str] = []
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.benefits.announce("PW-2", AN, PLANNED)
    town.benefits.withdraw("PW-1")
    run(town.url, MemoryGateway(step=asked.append))
    assert asked.count("may") == 1


# --- refused ------------------------------------------------------------------------------


def test_a_refused_announcement_comes_back_with_every_reason_and_no_value(town: Town) -> None:
    town.benefits.announce("PW-1", "123456789", date(2026, 11, 2), maatregelsoort="STOPPEN")
    assert town.run().refused.total() == 1
    assert town.benefits.outbox() == [("VOORGENOMEN", "PW-1", "GEWEIGERD", "bsn-ongeldig:bsn waarde-onbekend:maatregelsoort")]
    assert town.benefits.answer("PW-1") is None
    town.benefits.correct("PW-1", JAN, date(2026, 11, 2))
    assert town.run().refused == {"niet-vooraf": 1}
    town.benefits.correct("PW-1", JAN, PLANNED)
    assert town.run().accepted == 1


def test_after_a_refused_correction_the_answer_is_no_until_the_hub_knows_what_is_meant(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.run()
    town.at("2026-11-06T09:00")
    town.benefits.correct("PW-1", JAN, date(2026, 11, 30))
    assert town.run().refused == {"stap-al-gezet": 1}
    assert town.benefits.answer("PW-1") == (False, "laatste-rij-geweigerd")
    town.run()
    assert not town.benefits.may("PW-1")
    town.benefits.withdraw("PW-1")
    town.benefits.announce("PW-2", JAN, date(2026, 11, 30))
    assert town.run().accepted == 2


def test_rows_that_the_connector_refuses(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    with town.benefits.engine.begin() as connection:
        post(connection, Message.ANNOUNCED, "PW-1", "0855", **plan(JAN, PLANNED))
        post(connection, Message.WITHDRAWN, "PW-9", "0344", redencode="DUBBEL")
        post(connection, Message.ANNOUNCED, "PW-8", "9999", **plan(JAN, PLANNED))
        post(connection, Message.ANNOUNCED, "PW-7", "0344", **plan(JAN, PLANNED) | {"achternaam": None, "gepland_op": None})
    report = town.run()
    assert report.balanced
    assert [reasons for *_, reasons in town.benefits.outbox()] == [
        None, "andere-gemeente", "maatregel-onbekend", "deelnemer-onbekend", "verkeerd-type:achternaam verkeerd-type:gepland_op",
    ]  # fmt: skip


def test_a_fact_of_another_municipality_than_was_announced_is_still_told(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.benefits.stop("PW-1", whatever=True)
    town.benefits.execute("UPDATE signaalhub_outbox SET gemeentecode = '0855' WHERE bericht = 'UITGEVOERD'")
    assert town.run().accepted == 2


def test_a_row_that_was_numbered_before_another_and_came_after_it_changes_nothing(town: Town) -> None:
    town.benefits.announce("PW-1", JAN, PLANNED)
    town.benefits.correct("PW-1", JAN, date(2026, 11, 23))
    town.benefits.execute("UPDATE signaalhub_outbox SET status = 'GEWEIGERD' WHERE nummer = 1")
    town.run()
    town.benefits.execute("UPDATE signaalhub_outbox SET status = NULL WHERE nummer = 1")
    assert town.run().skipped == {"rij-te-laat": 1}
    assert town.benefits.answer("PW-1") == (False, "laatste-rij-geweigerd")


def test_what_is_no_value_of_a_signal_is_refused_and_not_shown(tmp_path: Path) -> None:
    with benefit_system(f"sqlite:///{tmp_path}/uitkering.db", lambda: datetime(2026, 11, 2, tzinfo=UTC)) as benefits:
        benefits.announce("PW-1", JAN, PLANNED)
        benefits.execute("UPDATE signaalhub_outbox SET achternaam = x'ff00', gepland_op = 1.5")
        assert run(f"sqlite:///{tmp_path}/uitkering.db", MemoryGateway()).skipped == {"veld-onleesbaar": 1}


# --- several runs, and the end of one -------------------------------------------------------


def test_several_runs_at_once_tell_everything_once_and_in_order(url: str, hub: Hub, clock: MovingClock, tmp_path: Path) -> None:
    with benefit_system(url, lambda: datetime.fromtimestamp(clock.now / 1000, UTC)) as benefits:
        for number in range(30):
            benefits.announce(f"PW-{number}", JAN, PLANNED)
            benefits.correct(f"PW-{number}", JAN, date(2026, 11, 23))

        def work() -> None:
            with opened(tmp_path / "home", clock) as own:
                run(url, HubGateway(own))

        at_once(work, work, work)
        assert {status for _, _, status, _ in benefits.outbox()} == {"AANGENOMEN"}
        assert len(received(hub, TEAM)) == 60
        assert [found["data"]["gepland_op"] for found in received(hub, TEAM) if found["replaces"]] == ["2026-11-23"] * 30


def test_a_row_that_another_run_holds_is_passed_by_and_so_is_what_comes_after_it(postgres: Any, hub: Hub, clock: MovingClock) -> None:
    with benefit_system(postgres.url, lambda: datetime.fromtimestamp(clock.now / 1000, UTC)) as benefits:
        benefits.announce("PW-1", JAN, PLANNED)
        benefits.correct("PW-1", JAN, date(2026, 11, 23))
        benefits.announce("PW-2", AN, PLANNED)
        with create_engine(postgres.url, poolclass=NullPool).begin() as other:
            other.execute(text("SELECT 1 FROM signaalhub_outbox WHERE nummer = 1 FOR UPDATE"))
            assert run(postgres.url, HubGateway(hub)).accepted == 1
        assert run(postgres.url, HubGateway(hub)).accepted == 2


class Knife(HubGateway):
    """Ends the process before or after the n-th thing that it does for the connector."""

    def __init__(self, hub: Hub, steps: int) -> None:
        super().__init__(hub)
        self._left = steps

    def _cut(self) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        self._cut()
        receipts = super().publish(participant, signals)
        self._cut()
        return receipts

    def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:
        self._cut()
        return super().may(participant, correlation, guard)


def killed_at(step: int, url: str, home: Path, now: int) -> None:
    configure("critical")
    with opened(home, MovingClock(now)) as hub:
        run(url, Knife(hub, step))


def test_a_kill_at_any_point_loses_nothing_and_tells_nothing_twice(url: str, hub: Hub, clock: MovingClock, tmp_path: Path) -> None:
    with benefit_system(url, lambda: datetime.fromtimestamp(clock.now / 1000, UTC)) as benefits:
        for number, bsn in enumerate((JAN, AN, BO)):
            benefits.announce(f"PW-{number}", bsn, PLANNED)
        benefits.correct("PW-0", JAN, date(2026, 11, 23))
        benefits.withdraw("PW-1")
        benefits.stop("PW-2", whatever=True)
        ends = []
        for step in (0, 1, 2, 3, 1, 4, 99):
            process = SPAWN.Process(target=killed_at, args=(step, url, tmp_path / "home", clock.now))
            process.start()
            process.join()
            ends.append(process.exitcode)
        assert ends[0] == ends[1] == -signal.SIGKILL
        assert ends[-1] == 0
        assert {status for _, _, status, _ in benefits.outbox()} == {"AANGENOMEN"}
        assert [benefits.answer(f"PW-{number}") for number in range(3)] == [
            (False, "pauze-loopt"),
            (False, "ingetrokken"),
            (False, "uitgevoerd"),
        ]
        told = sorted(found["type"].split(".")[-2] for found in received(hub, TEAM))
        assert told == ["herinnering", "maatregel-uitgevoerd", *["maatregel-voorgenomen"] * 4, "signaal-ingetrokken"]


# --- the database -------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["geen url", "mysql://iemand:geheim-woord@elders/uitkering"])
def test_a_database_that_is_not_known_stops_the_run_and_shows_no_password(wrong: str) -> None:
    with pytest.raises(StopError) as stopped:
        run(wrong, MemoryGateway())
    assert "geheim-woord" not in str(stopped.value)


def test_a_server_that_is_away_is_tried_later_and_shows_no_password() -> None:
    with pytest.raises(RetryLaterError) as later:
        CONNECTOR.ping(WerkEnInkomenSettings(database_url=SecretStr("postgresql://iemand:geheim-woord@127.0.0.1:1/uitkering")))
    assert "geheim-woord" not in str(later.value)


def test_a_database_without_the_tables_stops_the_run(url: str) -> None:
    with pytest.raises(StopError, match="cannot be used"):
        run(url, MemoryGateway())


def test_ping_is_content_with_a_database_that_has_them(town: Town) -> None:
    CONNECTOR.ping(WerkEnInkomenSettings(database_url=SecretStr(town.url)))


# --- what is written ----------------------------------------------------------------------


def test_the_readme_has_the_one_select_and_every_reason() -> None:
    readme = (TOWN / "README.md").read_text(encoding="utf-8")
    assert (TOWN / "sql" / "may-postgresql.sql").read_text(encoding="utf-8") in readme
    for code, meaning in REASONS.items():
        assert f"| `{code}` | {meaning} |" in readme


def test_an_unknown_column_is_a_fault_of_the_caller(town: Town) -> None:
    with pytest.raises(TypeError, match="status"), town.benefits.engine.begin() as connection:
        post(connection, Message.WITHDRAWN, "PW-1", "0344", status="AANGENOMEN")
