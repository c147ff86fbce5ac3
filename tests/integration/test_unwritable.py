"""What a database has no form for: refused before it gets there, and if it gets there, no harm to anything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from hub import rejections
from hub.app import Hub, MovingClock
from hub.casework import Casework
from hub.client import NewSignal
from hub.codec import Received, frame, write_avro
from hub.domain import terms
from hub.domain.reasons import ADMISSION
from hub.errors import StatementError
from hub.record import Recorder
from hub.storage.tables import cases, names
from hub.storage.tables import rejections as refused
from tests.integration.memory import BALIE, MELDING, new, world
from tests.integration.support import LANDLORD, TAX, TILBURG, Cli, accepted, opened, received
from tests.sample import ADDRESS, DEBT, address, address_data, debt_data
from tests.strategies import make_bsn

HUGE = (2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 10**30, 1e300)
TEXTS = ("\x00", "a\x00b", "999\x00990019", "\ud800", "\U0010ffff" * 200)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where every hub of the test keeps its rows."""
    if request.param == "postgresql":
        monkeypatch.setenv("HUB_DATABASE_URL", request.getfixturevalue("postgres").url)
    return str(request.param)


@pytest.fixture
def hub(tmp_path: Path, clock: MovingClock, kind: str) -> Iterator[Hub]:
    """A hub with the rules of the repository on either database."""
    with opened(tmp_path / "home", clock) as made:
        assert made.database.dialect.name == kind
        yield made


# --- no such value comes through ----------------------------------------------------------


def envelopes(hub: Hub) -> Iterator[Received]:
    """Yield a good signal with each attribute and each name of an attribute replaced by what a database may not take."""
    good = json.loads(hub.encode(TILBURG, address()).body)
    attributes = {"correlationid", "causationid", "vervangt", "datacontenttype", "dataschema", "traceparent", *good} - {"data"}
    for text in TEXTS:
        for name in sorted(attributes):
            yield Received(TILBURG, json.dumps(good | {name: text}).encode())
        yield Received(TILBURG, json.dumps(good | {text: "x"}).encode())
        yield Received(f"{TILBURG}{text}", json.dumps(good).encode())
        yield Received(
            TILBURG, b"no json" + text.encode("utf-8", "surrogatepass"), {text: text.encode("utf-8", "surrogatepass"), "x": b"\x00\xff"}
        )
    for number in HUGE:
        for name in ("id", "time", "correlationid", "causationid", "vervangt"):
            yield Received(TILBURG, json.dumps(good | {name: number}).encode())
    for time in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"):
        yield Received(TILBURG, json.dumps(good | {"time": time}).encode())


def contents(hub: Hub) -> Iterator[Received]:
    """Yield good signals with each field replaced by what a database may not take, and a name of one as well."""
    for participant, type_, data in ((TILBURG, ADDRESS, address_data()), (LANDLORD, DEBT, debt_data())):
        for value in (*TEXTS, *HUGE):
            for name in data:
                yield hub.encode(participant, NewSignal(type=type_, data=data | {name: value}))
            yield hub.encode(participant, NewSignal(type=type_, data=data | {str(value): value}))


def in_avro(hub: Hub) -> Iterator[Received]:
    """Yield records in binary mode with such texts in data and headers."""
    book = hub.rulebooks.current
    source = book.ruleset.participants.find(TILBURG)
    assert source is not None
    good = {"ce_specversion": b"1.0", "ce_source": source.source.encode(), "ce_type": ADDRESS.encode()}
    wire = book.ruleset.types[ADDRESS].wire
    right = frame(book.contract_ids[ADDRESS], write_avro(wire, address_data()))
    for number, text in enumerate(TEXTS[:3]):
        for name in ("bsn", "bag_id", "gemeentecode", "contactrol"):
            body = frame(book.contract_ids[ADDRESS], write_avro(wire, address_data(**{name: text})))
            yield Received(TILBURG, body, good | {"ce_id": f"avro-{name}-{number}".encode()})
        for name in ("ce_id", "ce_type", "ce_source", "ce_time", "ce_correlationid", "ce_traceparent", f"ce_{text}"):
            yield Received(TILBURG, right, {"ce_id": b"avro-%d" % number} | good | {name: text.encode()})


@pytest.mark.parametrize("events", [envelopes, contents, in_avro])
def test_zero_characters_and_huge_numbers_are_refused_by_a_code_and_take_no_other_signal_with_them(
    hub: Hub, events: Callable[[Hub], Iterator[Received]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.router.__class__, "_by_itself", None)  # nothing may be left for it to do
    batch = [hub.encode(TILBURG, address(bag_id=f"{0:016d}")), *events(hub), hub.encode(TILBURG, address(bag_id=f"{1:016d}"))]
    outcomes = hub.router.process(batch)
    assert (outcomes[0].status, outcomes[-1].status) == ("accepted", "accepted")
    codes = {fault.code for outcome in outcomes for fault in outcome.faults}
    assert "interne-fout" not in codes
    assert codes & ADMISSION.keys()
    assert sum(outcome.status == "rejected" for outcome in outcomes) > len(batch) * 0.7
    assert {row["state"] for row in rejections.listing(hub)} == {"open"}
    for row in rejections.listing(hub):
        rejections.show(hub, row["rejection"])
    assert [delivery["data"]["bag_id"] for delivery in received(hub, TAX, ADDRESS)][:1] == [f"{0:016d}"]


@pytest.mark.parametrize("number", ["0", str(2**31), str(2**63), "9" * 40])
@pytest.mark.usefixtures("kind")
def test_a_number_that_was_never_given_is_wrong_use_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    for command in (("rejections", "show"), ("rejections", "replay"), ("rejections", "discard", "--reason", "x"), ("cases", "show")):
        ran = cli(*command, "--", number)
        assert ran.code in {1, 2}, ran.said
        assert ran.err.startswith("hub: there is no"), ran.said


# --- and if one did -----------------------------------------------------------------------


def break_off(work: Recorder) -> None:
    """Let the database refuse a statement, as it refuses a value that it has no form for."""
    row = {"id": 1, "name": "twice"}
    work.batch.connection.execute(insert(names), [row, row])


def break_at_the_end(work: Recorder) -> None:
    """Let the database refuse what the whole batch writes at its end."""
    work.batch.rows.add("decisions", (1, 1, None, 1, 1, "x", 1, 1, None))
    work.batch.rows.add("decisions", (1, 1, None, 1, 1, "x", 1, 1, None))


@pytest.fixture(params=[break_off, break_at_the_end])
def poison(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes signals with this `bag_id` ones that the database does not take."""

    def switch(bag_id: str) -> None:
        record = Recorder.record

        def breaks(work: Recorder, signal: Any, *rest: Any) -> Any:
            if signal.data.get("bag_id") == bag_id:
                request.param(work)
            return record(work, signal, *rest)

        monkeypatch.setattr(Recorder, "record", breaks)

    return switch


def numbered(hub: Hub, count: int) -> list[Received]:
    return [hub.encode(TILBURG, replace(address(bag_id=f"{n:016d}"), id=f"p-{n}")) for n in range(count)]


def test_a_signal_that_the_database_does_not_take_is_kept_as_refused_and_the_others_go_on(
    hub: Hub, poison: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context():
        poison(f"{2:016d}")
        outcomes = hub.router.process(numbered(hub, 5))
        assert [outcome.status for outcome in outcomes] == ["accepted", "accepted", "rejected", "accepted", "accepted"]
        assert [fault.code for fault in outcomes[2].faults] == ["interne-fout"]
        assert [outcome.status for outcome in hub.router.process(numbered(hub, 5))] == [
            "duplicate", "duplicate", "rejected", "duplicate", "duplicate",
        ]  # fmt: skip
    assert [delivery["data"]["bag_id"] for delivery in received(hub, TAX, ADDRESS)] == [f"{n:016d}" for n in (0, 1, 3, 4)]
    (kept,) = rejections.listing(hub)
    assert (kept["type"], kept["errors"]) == (ADDRESS, [{"code": "interne-fout", "field": None}])
    monkeypatch.undo()
    (replayed,) = rejections.replay(hub, [kept["rejection"]])
    assert replayed.status == "accepted"


def test_a_dry_run_of_such_a_signal_records_nothing(hub: Hub, poison: Callable[[str], None]) -> None:
    poison(f"{1:016d}")
    outcomes = hub.router.process(numbered(hub, 3), dry_run=True)
    assert [outcome.status for outcome in outcomes] == ["accepted", "rejected", "accepted"]
    with hub.database.read() as connection:
        assert connection.execute(select(refused.c.id)).all() == []
    assert received(hub, TAX) == []


def test_when_not_even_the_refusal_can_be_written_nothing_is_acknowledged(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Recorder.record

    def breaks(work: Recorder, *given: Any) -> Any:
        break_off(work)
        return record(work, *given)

    monkeypatch.setattr(Recorder, "record", breaks)
    with pytest.raises(StatementError, match="refused a statement"):
        hub.router.process(numbered(hub, 2))
    monkeypatch.undo()
    assert {outcome.status for outcome in hub.router.process(numbered(hub, 2))} == {"accepted"}


# --- terms --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [ValueError, StatementError])
@pytest.mark.usefixtures("kind")
def test_a_case_that_cannot_move_holds_up_no_other_and_counts_as_no_work(
    tmp_path: Path, clock: MovingClock, how: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, clock).open() as hub:
        for number in range(4):
            accepted(hub, BALIE, new(MELDING, correlation=f"zaak-{number}", bsn=make_bsn(99_999_001 + number)))
        hub.run_once()
        clock.now = terms.moment("2026-11-10T09:00")
        overdue = Casework.overdue

        def breaks(work: Casework, stored: Any) -> Any:
            if stored.id == 2:
                if how is ValueError:
                    raise how
                break_off(work.recorder)
            return overdue(work, stored)

        monkeypatch.setattr(Casework, "overdue", breaks)
        assert hub.clock.run_once() == 3
        assert hub.clock.run_once() == 0, "a case that cannot move is no work that was done: the clock would never rest"
        monkeypatch.undo()
        assert hub.clock.run_once() == 1
        with hub.database.read() as connection:
            states = {hub.names.name(connection, row) for row in connection.execute(select(cases.c.state)).scalars()}
        assert states == {"doorgang"}
