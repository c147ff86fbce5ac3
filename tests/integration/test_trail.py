"""The trail of a signal in the log: one trace id from receipt to each delivery, across processes, that nobody else can join on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub import explain, rejections
from hub.app import Hub, MovingClock
from hub.client import NewSignal
from hub.codec import Received
from hub.domain import terms
from hub.errors import RetryLaterError
from hub.keys import Keys
from hub.telemetry import configure
from hub.transport.base import IN, ROUTERS
from hub.work import Work
from tests.integration.canary import everything_on
from tests.integration.support import LANDLORD, TILBURG, accepted, copied, limit, one, opened, without_examples
from tests.sample import ADDRESS, DEBT, address, address_data, debt, debt_data

Line = dict[str, Any]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[Line]]]:
    """Gives the lines that were logged since the last call, at level debug."""
    configure("debug")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    configure("critical")


def of(trace: str, found: list[Line]) -> list[Line]:
    """Return the lines of one trace without what they all have."""
    return [
        {name: value for name, value in line.items() if name not in {"trace", "timestamp", "level"}}
        for line in found
        if line.get("trace") == trace
    ]


def spoor(hub: Hub, id_: str | None) -> str:
    """Return the trace of a signal as `hub why` says it."""
    told = explain.find(hub, id_ or "")
    assert told is not None
    assert f"spoor       {told.trace}" in told.as_prose()
    return told.trace


def test_router_relay_and_clock_log_one_signal_under_one_trace(tmp_path: Path, clock: MovingClock, lines: Callable[[], list[Line]]) -> None:
    rules = copied("rules", tmp_path / "rules")
    limit(rules, 1)
    without_examples(rules)
    home = tmp_path / "home"
    with opened(home, clock, rules) as hub:
        hub.send(LANDLORD, [debt(bedrag_cent=1), NewSignal(type=DEBT, data=debt_data(bedrag_cent=2), id="d-2")])
    lines()
    with opened(home, clock, rules) as router:
        router.route_once(router.transport.consumer(ROUTERS, IN))
    routed = lines()
    clock.now = terms.moment("2026-12-01T09:00")
    with opened(home, clock, rules) as clock_process:
        assert clock_process.clock.run_once() > 0
    ticked = lines()
    with opened(home, clock, rules) as relay:
        relay.relay_once()
    sent = lines()
    with opened(home, clock, rules) as hub:
        outcome = one(hub, LANDLORD, NewSignal(type=DEBT, data=debt_data(bedrag_cent=2), id="d-2"))
        trace = spoor(hub, outcome.signal_id)
    grant = "vaste-lasten.huur"
    assert of(trace, routed) == [
        {"event": "signal_received", "type": DEBT},
        {"event": "signal_recorded", "type": DEBT, "status": "accepted", "reasons": []},
        {"event": "signal_decided", "grant": grant, "outcome": "defer", "reason": "wacht-op-ruimte"},
    ]
    assert of(trace, ticked) == [{"event": "signal_decided", "grant": grant, "outcome": "released", "reason": "ruimte-vrij"}]
    assert of(trace, sent) == [{"event": "delivery_sent", "type": DEBT, "grant": grant}]
    assert [line["status"] for line in of(trace, lines()) if line["event"] == "signal_recorded"] == ["duplicate"]
    assert {line["level"] for line in routed if "trace" in line} == {"debug"}


def test_a_delivery_leads_to_the_trace_of_its_signal(hub: Hub, lines: Callable[[], list[Line]]) -> None:
    receipt = accepted(hub, TILBURG, address())
    hub.run_once()
    (record,) = hub.received_by("toeslagen")
    trace = spoor(hub, record.message.headers["ce_id"].decode())
    assert trace == spoor(hub, receipt.signal_id)
    assert [line["event"] for line in of(trace, lines())] == ["signal_received", "signal_recorded", "signal_decided", "delivery_sent"]


def test_a_refusal_has_its_reasons_and_a_replay_has_the_trace_that_it_had(hub: Hub, lines: Callable[[], list[Line]]) -> None:
    receipt = one(hub, TILBURG, NewSignal(type=ADDRESS, data=address_data(bsn="1"), id="a-1"))
    hub.router.process([Received(TILBURG, b"no json", {"x": b"\x00\xff"})])
    first = lines()
    traces = [rejections.show(hub, number)["trace"] for number in (1, 2)]
    assert traces[0] == spoor(hub, receipt.signal_id)
    refused = [
        {"event": "signal_received", "type": ADDRESS},
        {"event": "signal_recorded", "type": ADDRESS, "status": "rejected", "reasons": ["bsn-ongeldig"]},
    ]
    unread = [
        {"event": "signal_received", "type": "unknown"},
        {"event": "signal_recorded", "type": "unknown", "status": "rejected", "reasons": ["onleesbaar"]},
    ]
    assert [of(trace, first) for trace in traces] == [refused, unread]
    rejections.replay(hub, [1, 2])
    assert [of(trace, lines_) for trace, lines_ in zip(traces, [lines()] * 2, strict=True)] == [refused, unread]


def test_what_is_undone_was_never_decided(hub: Hub, lines: Callable[[], list[Line]], monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Work.finish

    def fails(work: Work) -> None:
        finish(work)
        raise RetryLaterError("the database does not answer")

    with monkeypatch.context() as patch, pytest.raises(RetryLaterError):
        patch.setattr(Work, "finish", fails)
        hub.publish(TILBURG, [address()])
    assert {line["event"] for line in lines() if "trace" in line} == {"signal_received"}
    hub.router.process([hub.encode(TILBURG, address())], dry_run=True)
    assert [line for line in lines() if "trace" in line] == []


def test_of_strangers_and_forbidden_types_there_is_no_line(hub: Hub, lines: Callable[[], list[Line]]) -> None:
    hub.router.process([Received("niemand", hub.encode(TILBURG, address()).body)])
    one(hub, TILBURG, NewSignal(type="nl.zorg.diagnose.v1", data={}))
    assert lines() == []


def test_without_a_reader_no_trace_is_made(hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def made(*_: object) -> str:
        raise AssertionError

    configure("info")
    monkeypatch.setattr(Keys, "trace", made)
    hub.send(TILBURG, [address(), address(bsn="1")])
    hub.run_once()
    configure("critical")
    said = capsys.readouterr().err
    assert "deliveries_sent" in said
    assert "trace" not in said


def test_a_trace_is_nowhere_but_in_the_log(hub: Hub, lines: Callable[[], list[Line]], tmp_path: Path) -> None:
    for number in range(3):
        accepted(hub, TILBURG, address(bag_id=f"{number:016d}"))
        accepted(hub, LANDLORD, debt())
    one(hub, TILBURG, address(bsn="1"))
    hub.run_once()
    traces = {line["trace"] for line in lines() if "trace" in line}
    assert len(traces) == 3 + 3 + 1 + 1, "one a signal; the refusal is told by a signal of the hub"
    records = everything_on(hub)
    assert len(records) == 7
    said = b"\n".join(
        value for record in records for value in (record.topic.encode(), record.message.value, *record.message.headers.values())
    )
    kept = b"".join(path.read_bytes() for path in sorted((tmp_path / "home").rglob("*")) if path.is_file())
    for trace in traces:
        for part in (trace[:16], trace[16:]):
            for form in (part.encode(), bytes.fromhex(part)):
                assert form not in said
                assert form not in kept


def test_a_trace_stays_when_a_key_is_added_and_is_of_one_hub_only() -> None:
    first, other = bytes(32), bytes(range(32))
    about = b"a signal"
    assert Keys({1: first}).trace(about) == Keys({1: first, 2: other}).trace(about)
    assert Keys({1: first}).trace(about) != Keys({1: other}).trace(about)
    assert Keys({1: first}).trace(about) != Keys({1: first}).fingerprint(about).hex()
