"""What could leave and does not: counted, listed and said in the log until it has left, and never given up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from hub.app import Hub, MovingClock, open_hub
from hub.domain import terms
from hub.errors import RetryLaterError
from hub.metrics import Metrics
from hub.relay import Relay
from hub.settings import HubSettings
from hub.telemetry import configure
from tests.integration.memory import DOSSIER, WIJK, new, world
from tests.integration.support import EINDHOVEN, LANDLORD, ROOT, TAX, TILBURG, Cli, accepted, debts, opened, received, some_address
from tests.sample import ADDRESS, DEBT, address, debt

LIMIT_MS = 300_000


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Gives the alarms that were logged since the last call."""

    def read() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [
            {name: value for name, value in line.items() if name not in {"event", "timestamp"}}
            for line in found
            if line["event"] == "deliveries_unsent"
        ]

    configure("error")
    yield read
    configure("critical")


def counted(hub: Hub) -> float:
    """Return what `/metrics` says."""
    metrics = Metrics()
    metrics.watch(hub.database, hub.now_ms, lambda: 0, hub.unsent)
    (line,) = [line for line in generate_latest(metrics.registry).decode().splitlines() if line.startswith("hub_unsent_overdue ")]
    return float(line.split()[1])


def test_what_is_ready_for_too_long_is_counted_listed_and_logged_until_it_has_left(
    hub: Hub, clock: MovingClock, said: Callable[[], list[dict[str, Any]]]
) -> None:
    first = clock.now
    accepted(hub, TILBURG, address())
    accepted(hub, TILBURG, address())
    clock.now += 60_000
    accepted(hub, LANDLORD, debt())
    clock.now = first + LIMIT_MS - 1
    hub.clock_once()
    assert (said(), hub.unsent.listing(hub.names), counted(hub)) == ([], [], 0)
    assert [row["recipient"] for row in hub.unsent.listing(hub.names, everything=True)] == [TAX, TAX, EINDHOVEN]
    clock.now = first + LIMIT_MS
    hub.clock_once()
    assert said() == [], "one look a minute"
    clock.now = first + LIMIT_MS + 60_000
    hub.clock_once()
    hub.clock_once()
    assert said() == [{"level": "error", "count": 3, "recipients": 2, "oldest_seconds": 360}]
    assert counted(hub) == 3
    rows = hub.unsent.listing(hub.names)
    assert [(row["recipient"], row["type"], row["seconds"]) for row in rows] == [
        (TAX, ADDRESS, 360),
        (TAX, ADDRESS, 360),
        (EINDHOVEN, DEBT, 300),
    ]
    hub.relay.run_once()
    assert {row["delivery_id"] for row in rows[:2]} == {delivery["delivery_id"] for delivery in received(hub, TAX)}
    clock.now += 60_000
    hub.clock_once()
    assert (said(), hub.unsent.listing(hub.names, everything=True), counted(hub)) == ([], [], 0)


def test_another_process_looks_on_its_own(tmp_path: Path, clock: MovingClock, said: Callable[[], list[dict[str, Any]]]) -> None:
    with opened(tmp_path / "home", clock) as hub:
        accepted(hub, TILBURG, address())
    clock.now += LIMIT_MS
    for _ in range(2):
        with opened(tmp_path / "home", clock) as hub:
            hub.clock_once()
        assert [alarm["count"] for alarm in said()] == [1]


def test_one_process_that_does_everything_says_what_is_left_after_it_sent(
    hub: Hub, clock: MovingClock, said: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(hub, TILBURG, address())
    clock.now += LIMIT_MS
    hub.run_once()
    assert said() == [], "it had not been running, and now it has left"
    accepted(hub, TILBURG, address())
    clock.now += LIMIT_MS
    with monkeypatch.context() as patch, pytest.raises(RetryLaterError):
        patch.setattr(Relay, "_send_batch", down)
        hub.run_once()
    assert [alarm["count"] for alarm in said()] == [1]


def down(_relay: Relay, _recipient: int) -> int:
    """Send nothing, as when the brokers do not answer."""
    raise RetryLaterError("Kafka does not answer")


def test_what_waits_for_room_or_is_held_back_is_no_alarm(hub: Hub, tmp_path: Path, clock: MovingClock) -> None:
    debts(hub, range(1, 52))
    hub.run_once()
    clock.now += 10 * LIMIT_MS
    assert hub.unsent.overdue() == (0, 0, 0.0)
    with world(tmp_path / "world", clock).open() as other:
        accepted(other, "balie.0855", new(DOSSIER))
        other.run_once()
        clock.now += 10 * LIMIT_MS
        assert len(received(other, WIJK)) == 1
        assert other.unsent.overdue() == (0, 0, 0.0)


def test_a_released_delivery_is_as_old_as_its_release(hub: Hub, clock: MovingClock) -> None:
    debts(hub, range(1, 52))
    hub.run_once()
    clock.now = terms.moment("2026-12-01T09:00")
    hub.clock.run_once()
    assert hub.unsent.overdue()[0] == 0
    clock.now += LIMIT_MS
    assert hub.unsent.overdue() == (1, 1, LIMIT_MS / 1000)


def test_the_limit_is_a_setting(tmp_path: Path, clock: MovingClock) -> None:
    settings = HubSettings(home=tmp_path / "home", rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas", unsent_alarm_seconds=2)
    hub = open_hub(settings, clock=clock)
    accepted(hub, TILBURG, address())
    clock.now += 1_999
    assert hub.unsent.overdue()[0] == 0
    clock.now += 1
    assert hub.unsent.overdue()[0] == 1
    hub.close()


def test_nothing_is_given_up_whatever_its_age(hub: Hub, clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Years after its signal was to be erased a delivery still leaves, whole, and its signal goes only then."""
    hub.publish(TILBURG, [some_address(number) for number in range(3)])

    with monkeypatch.context() as patch:
        patch.setattr(Relay, "_send_batch", down)
        for moment in ("2026-11-02T10:00", "2027-05-03T09:00", "2028-06-02T09:00", "2032-01-01T09:00"):
            clock.now = terms.moment(moment)
            with pytest.raises(RetryLaterError):
                hub.run_once()
            assert hub.unsent.overdue()[0] >= 3
    found = received(hub, TAX, ADDRESS)
    assert [delivery["data"]["bag_id"] for delivery in found] == [f"0855010000{number:06d}" for number in range(3)]
    assert hub.unsent.overdue() == (0, 0, 0.0)


def test_the_command_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    cli.publish({**address().data})
    assert cli("unsent", "list", "--json").out == ""
    (early,) = cli("unsent", "list", "--all", "--json").lines
    cli.now = "2026-11-02T09:10:00+01:00"
    (row,) = cli("unsent", "list", "--json").lines
    assert row == early | {"seconds": 600}
    assert row.keys() == {"delivery_id", "recipient", "type", "grant", "since", "seconds"}
    assert (row["recipient"], row["since"]) == (TAX, "2026-11-02T08:00:00.000Z")
    assert TAX in cli("unsent", "list").out
    cli("run", "--once")
    assert cli("unsent", "list", "--all", "--json").out == ""
