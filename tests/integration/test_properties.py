"""Properties that hold for any rule set, signal and order of events (a few examples each).

`tests/proof/test_properties.py` runs the same properties with many more. The checks ask nothing of
`hub/domain/view.py` and its like: what should be visible is worked out here, from the data as it
was drawn and the grants as they were written.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from unittest import mock
from zoneinfo import ZoneInfo

import avro.io
import avro.schema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from hub.admission import admit
from hub.app import Hub, MovingClock, open_for_examples, open_hub
from hub.carryover import CarryOver
from hub.client import NewSignal
from hub.codec import Received, UnreadableError, frame, open_envelope, unframe
from hub.domain import terms
from hub.domain.decide import Circumstances, Verdict, decide
from hub.domain.loading import load
from hub.domain.ruleset import RuleSet
from hub.domain.signal import Refused, Signal
from hub.quotas import stands
from hub.rulebook import Rulebooks
from hub.settings import HubSettings
from hub.storage.tables import State, deliveries, quota_usage, refusal_counts, rejections, signals
from hub.work import Outcome
from tests.strategies import (
    FLOWS,
    INFORMED,
    LOCAL,
    MOMENTS,
    PUBLISHER,
    QUESTION,
    RECIPIENTS,
    RECORDS,
    REPORT,
    TYPE,
    Binary,
    Entries,
    GrantSpec,
    Node,
    Transform,
    World,
    data_of,
    decided,
    missing,
    oin,
    own_files,
    send_all,
    stream_content,
    wired_hub,
    worlds,
)

AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
NOW: Final = int(datetime(2026, 11, 2, 8, tzinfo=UTC).timestamp()) * 1000
QUICK: Final = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[phase for phase in Phase if phase is not Phase.explain],  # of worlds this size, explaining takes minutes
)
searched: Counter[str] = Counter()
"""What the properties looked at so far in this process, for the proof to print."""


# --- no field that was not granted ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """Stands for whatever the hub makes of a value."""

    of: str


def visible(nodes: Iterable[Node], grant: GrantSpec, data: Mapping[str, Any], today: date, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a grant should show of a record: the whole model of a view."""
    shown: dict[str, Any] = {}
    for node in nodes:
        here = (*path, node.name)
        value = data[node.name] if node.name in data else missing(node)
        if node.is_record:
            if any(granted[: len(here)] == here for granted in grant.entries):
                shown[node.name] = _each(value, partial(visible, node.children, grant, today=today, path=here), many=node.array)
            continue
        for how in grant.entries.get(here, ()):
            if how is None:
                shown[node.name] = _each(value, partial(_plain, node), many=node.array)
            elif how.name == "aanwezig":
                shown[f"{node.name}_aanwezig"] = value is not None
            else:
                shown[node.name + how.suffix] = _each(value, partial(_transformed, node, how, today), many=node.array)
    return shown


def _each(value: Any, show: Callable[[Any], Any], *, many: bool) -> Any:
    if value is None:
        return None
    return [show(item) for item in value] if many else show(value)


def _plain(node: Node, value: Any) -> Any:
    if node.shape != "timestamp":
        return value
    return datetime.fromisoformat(value).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _transformed(node: Node, how: Transform, today: date, value: Any) -> Any:
    match how.name:
        case "pseudoniem":
            return Pseudonym(value)
        case "pc4":
            return value[:4]
        case "klasse":
            return _class_of([int(edge) for edge in how.args], value)
        case "waarden":
            return value if value in how.args else how.args[-1].removeprefix("anders:")
    year, month, day = (value[:4], value[4:6], value[6:]) if node.shape == "gba-datum" else value.split("-")
    if how.name == "jaar":
        return None if year == "0000" else int(year)
    if how.name == "maand":
        return None if month == "00" else f"{year}-{month}"
    if "00" in (month, day):
        return "ONBEKEND"
    age = today.year - int(year) - (f"{today:%m%d}" < month + day)
    return "ONDER_18" if age < 18 else "VAN_18_TOT_27" if age < 27 else "VAN_27_TOT_67" if age < 67 else "VANAF_67"


def _class_of(edges: list[int], value: int) -> str:
    names = [str(edge).replace("-", "MIN_") for edge in edges]
    if value < edges[0]:
        return f"ONDER_{names[0]}"
    last = max(i for i, edge in enumerate(edges) if value >= edge)
    return f"VANAF_{names[last]}" if last == len(edges) - 1 else f"VAN_{names[last]}_TOT_{names[last + 1]}"


def strings(value: Any) -> set[str]:
    """Return every text in a JSON value."""
    if isinstance(value, str):
        return {value}
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for item in inside for text in strings(item)}


class Pseudonyms:
    """Holds pseudonyms against what they must be: one for each (recipient, flow, value), and no two alike."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], str] = {}

    def match(self, expected: Any, found: Any, recipient: str, flow: str) -> Any:
        """Return `found` with each pseudonym that is right replaced by what it stands for."""
        if isinstance(expected, Pseudonym):
            assert re.fullmatch("[0-9a-f]{32}", found), "a pseudonym has one form"
            assert self.known.setdefault((recipient, flow, expected.of), found) == found, "one value has one pseudonym"
            assert Counter(self.known.values())[found] == 1, "two pseudonyms are alike"
            return expected
        if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
            return {name: self.match(expected[name], found[name], recipient, flow) for name in expected}
        if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
            return [self.match(one, other, recipient, flow) for one, other in zip(expected, found, strict=True)]
        return found


@dataclass(slots=True)
class Delivered:
    """One message as it went over the wire."""

    recipient: str
    headers: Mapping[str, bytes]
    value: bytes


def by_apache_avro(view: dict[str, Any], value: bytes) -> Any:
    """Decode a delivery with another library than the hub's."""
    stream = io.BytesIO(unframe(value)[1])
    record = avro.io.DatumReader(avro.schema.parse(json.dumps(view))).read(avro.io.BinaryDecoder(stream))
    assert stream.read() == b""
    return _as_json(record)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def check_view(world: World, records: Sequence[Mapping[str, Any]], now: int, *, real_topics: bool) -> None:
    """Hold everything that is delivered against the model, as value and as bytes."""
    content = world.content()
    if real_topics:
        with tempfile.TemporaryDirectory() as folder:
            hub = on_disk(Path(folder), content, now)
            try:
                sent = _published(hub, world, records)
                hub.run_once()
                found = [
                    Delivered(recipient, record.message.headers, record.message.value)
                    for recipient in _everyone(records) for record in hub.received_by(recipient)
                ]  # fmt: skip
                _compare(hub, world, sent, found, now)
            finally:
                hub.close()
        searched["through topics on disk"] += 1
        return
    hub, wire = wired_hub(load(content).unwrap(), now)
    sent = _published(hub, world, records)
    send_all(hub)
    _compare(hub, world, sent, [Delivered(to, message.headers, message.value) for to, message in wire.delivered()], now)
    hub.close()


def on_disk(folder: Path, content: Mapping[str, str], now: int) -> Hub:
    """Write the files and open a hub on them, with topics."""
    for name, text in content.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return open_hub(HubSettings(home=folder / "home", rules_dir=folder / "rules", schemas_dir=folder / "schemas"), clock=MovingClock(now))


def _everyone(records: Iterable[Mapping[str, Any]]) -> list[str]:
    return [*RECIPIENTS, *{f"{LOCAL}.{data['gemeente']}" for data in records if "gemeente" in data}, PUBLISHER]


def _published(hub: Hub, world: World, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    receipts = hub.publish(PUBLISHER, [NewSignal(type=TYPE, data=data) for data in records])
    assert [(receipt.status, receipt.errors) for receipt in receipts] == [("accepted", ())] * len(records), world
    return list(records)


def _compare(hub: Hub, world: World, records: list[Mapping[str, Any]], found: list[Delivered], now: int) -> None:
    today = datetime.fromtimestamp(now / 1000, AMSTERDAM).date()
    expected: dict[tuple[str, str], list[tuple[dict[str, Any], Mapping[str, Any]]]] = {}
    for data in records:
        for grant in world.grants:
            recipient = grant.recipient(data.get("gemeente"))
            secret = world.secrecy and data["geheim"] and not RECIPIENTS.get(recipient or "", True)
            if recipient is None or secret:
                continue
            shown = visible(world.nodes, grant, data, today)
            if grant.publisher:
                shown["uitgever"] = PUBLISHER
            expected.setdefault((recipient, grant.id), []).append((shown, data))
    flows = {grant.id: grant.flow for grant in world.grants}
    pseudonyms = Pseudonyms()
    for delivery in found:
        key = (delivery.recipient, delivery.headers["ce_grantid"].decode())
        assert expected.get(key), "something was delivered that no grant gives"
        shown, data = expected[key].pop(0)
        _one(hub, delivery, shown, data, flows[key[1]], pseudonyms)
    assert not any(expected.values()), "something that a grant gives was not delivered"


def _one(hub: Hub, delivery: Delivered, shown: dict[str, Any], data: Mapping[str, Any], flow: str, pseudonyms: Pseudonyms) -> None:
    decoded = hub.decoder.data(delivery.value)
    assert pseudonyms.match(shown, decoded, delivery.recipient, flow) == shown
    view = hub.rulebooks.view(unframe(delivery.value)[0])
    assert by_apache_avro(view, delivery.value) == decoded
    may_be_seen = strings(decoded)
    for text in strings(data):
        if len(text) >= 6 and len(set(text)) >= 4 and not any(text in seen for seen in may_be_seen):
            assert text.encode() not in delivery.value, "a value that was not granted is in the bytes"
            assert text.encode() not in b"\n".join(delivery.headers.values()), "a value is in the headers"
            searched["ungranted values"] += 1
    searched["deliveries"] += 1
    searched["bytes"] += len(delivery.value)


@st.composite
def published(draw: st.DrawFn) -> tuple[World, list[dict[str, Any]], int]:
    """Return a world, one to three signals of it, and a moment."""
    world = draw(worlds())
    return world, draw(st.lists(data_of(world.nodes), min_size=1, max_size=3)), draw(MOMENTS)


@settings(QUICK, max_examples=80)
@given(published(), st.integers(0, 29))
def test_no_delivered_byte_says_what_was_not_granted(case: tuple[World, list[dict[str, Any]], int], draw: int) -> None:
    check_view(*case, real_topics=draw == 0)


# --- the same inputs, the same decision -----------------------------------------------------------


def told(verdict: Verdict) -> tuple[Any, ...]:
    """Return what a verdict says, without the objects that it points at."""
    decisions = [(d.recipient, d.grant.id if d.grant else None, d.outcome, d.reason) for d in verdict.decisions]
    return [(f.code, f.field) for f in verdict.faults], decisions, list(verdict.alarms)


def check_same_decision(world: World, records: Sequence[Mapping[str, Any]], now: int) -> None:
    """Decide twice, decide by the rule set as it was stored, decide in another hub: all the same."""
    ruleset = load(world.content()).unwrap()
    one, _ = wired_hub(ruleset, now)
    other, _ = wired_hub(load(world.content()).unwrap(), now, key=7)
    other.publish(PUBLISHER, [NewSignal(type=TYPE, data=data) for data in records])  # its ids run ahead
    other.now_ms = lambda: now
    stored = Rulebooks(one.database, lambda: now, CarryOver(one.names, one.keys, lambda: now)).stored(one.rulebooks.current.id)
    assert stored.version == ruleset.version
    by = Circumstances(now, datetime.fromtimestamp(now / 1000, AMSTERDAM).date())
    for number, data in enumerate(records):
        received = Received(PUBLISHER, _event_body(one, data, number))
        signal, again = _admitted(received, ruleset, now), _admitted(received, stored, now)
        assert told(decide(ruleset, signal, by)) == told(decide(ruleset, signal, by)) == told(decide(stored, again, by))
        outcomes = [hub.router.process([received])[0] for hub in (one, other)]
        assert _said(outcomes[0]) == _said(outcomes[1])
        searched["decisions"] += max(1, len(outcomes[0].decisions))
    one.close()
    other.close()


def _event_body(hub: Hub, data: Mapping[str, Any], number: int) -> bytes:
    return hub.encode(PUBLISHER, NewSignal(type=TYPE, data=data, id=f"nr-{number}")).body


def _admitted(received: Received, ruleset: RuleSet, now: int) -> Signal:
    def no_avro(_rules: object, _schema: int, _data: bytes) -> tuple[Any, bool]:
        raise UnreadableError

    found = admit(received, ruleset, now, no_avro)
    assert not isinstance(found, Refused), found.faults
    return found


def _said(outcome: Outcome) -> tuple[Any, ...]:
    decisions = [(d.recipient, d.grant.id if d.grant else None, d.reason, after) for d, after in outcome.decisions]
    return outcome.status, outcome.signal_id, [(f.code, f.field) for f in outcome.faults], decisions


@st.composite
def judged(draw: st.DrawFn) -> tuple[World, list[dict[str, Any]], int]:
    """Return a world with conditions, signals of it, and a moment."""
    world = draw(worlds(conditional=True))
    return world, draw(st.lists(data_of(world.nodes), min_size=1, max_size=3)), draw(MOMENTS)


@settings(QUICK, max_examples=50)
@given(judged())
def test_the_same_inputs_give_the_same_decision(case: tuple[World, list[dict[str, Any]], int]) -> None:
    check_same_decision(*case)


# --- every record has one outcome -----------------------------------------------------------------


@cache
def stream_rules(limit: int | None = 3) -> RuleSet:
    """Return the fixed rule set of the streams."""
    return load(stream_content(limit)).unwrap()


def _on_the_wire(hub: Hub, record: Received | Binary) -> Received:
    if isinstance(record, Received):
        return record
    book = hub.rulebooks.current
    schema = {**book.contract_ids, **book.view_ids}.get(record.schema, 9_999)
    return Received(record.participant, frame(schema, record.avro), record.headers)


def check_books(records: Sequence[Received | Binary], cuts: Sequence[int]) -> None:
    """Handle a stream one by one, and in batches: the books balance, and both say the same."""
    singly = _handled(records, range(len(records)))
    together = _handled(records, cuts)
    assert singly == together
    searched["records"] += len(records)


def _handled(records: Sequence[Received | Binary], cuts: Iterable[int]) -> tuple[Any, ...]:
    hub = open_for_examples(stream_rules(), MovingClock(NOW))
    received = [_on_the_wire(hub, record) for record in records]
    outcomes: list[Outcome] = []
    edges = sorted({0, len(received), *(cut % (len(received) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        outcomes += hub.router.process(received[start:end])
    count = Counter(outcome.status for outcome in outcomes)
    assert count["accepted"] + count["rejected"] + count["duplicate"] == len(received)
    accepted = [outcome.signal_id or b"" for outcome in outcomes if outcome.status == "accepted"]
    assert len(accepted) == len(set(accepted)), "a signal is accepted once"
    assert all(outcome.faults for outcome in outcomes if outcome.status == "rejected"), "a refusal has reasons"
    books = _books(hub)
    assert books["signals"] == sorted(accepted), "what is accepted is stored, and nothing else is"
    assert {signal for _, signal, *_ in decided(hub)} == set(accepted), "every accepted signal has a decision"
    refused = [(event, outcome) for event, outcome in zip(received, outcomes, strict=True) if outcome.status == "rejected"]
    strange = [event for event, outcome in refused if outcome.faults[0].code in {"deelnemer-onbekend", "verboden-type"}]
    assert books["counted"] == len(strange), "of strangers and forbidden types only a count is kept"
    strangers = {_bytes(event) for event in strange}
    kept = _kept((event, outcome) for event, outcome in refused if _bytes(event) not in strangers)
    assert books["kept"] == kept, "all else that is refused is kept, once"
    hub.close()
    searched.update(f"{outcome.status}: {outcome.faults[0].code if outcome.faults else '-'}" for outcome in outcomes)
    return [_said(outcome) for outcome in outcomes], books


def _bytes(event: Received) -> tuple[Any, ...]:
    return event.participant, event.body, *sorted(event.headers.items())


def _kept(refused: Iterable[tuple[Received, Outcome]]) -> int:
    """Count what is kept of these: not the same bytes again, nor what has the same id, content and reasons at another time."""
    seen: set[Any] = set()
    count = 0
    for event, outcome in refused:
        names: set[Any] = {_bytes(event)}
        if outcome.signal_id is not None:
            envelope = open_envelope(event)
            attributes = {name: value for name, value in envelope.attributes.items() if name not in {"time", "traceparent"}}
            content = envelope.data if not envelope.wire else envelope.data.hex()
            names.add(json.dumps([event.participant, attributes, content, [(f.code, f.field) for f in outcome.faults]], sort_keys=True))
        if not seen & names:
            count += 1
            seen |= names
    return count


def _books(hub: Hub) -> dict[str, Any]:
    name, own = hub.names.name, signals_of_participants(hub)
    with hub.database.read() as connection:
        joined = deliveries.join(signals, signals.c.id == deliveries.c.signal)
        rows = connection.execute(
            select(deliveries.c.recipient, deliveries.c.state, deliveries.c.grant, signals.c.signal_id)
            .select_from(joined).order_by(deliveries.c.id)
        ).all()  # fmt: skip
        queue = [(name(connection, r.recipient), r.state, name(connection, r.grant), r.signal_id) for r in rows if r.signal_id in own]
        usage = {name(connection, row.key): row.used for row in connection.execute(select(quota_usage))}
        return {
            "signals": sorted(own),
            "deliveries": queue,
            "usage": usage,
            "kept": connection.execute(select(func.count()).select_from(rejections)).scalar_one(),
            "reasons": sorted(connection.execute(select(rejections.c.reasons)).scalars()),
            "counted": connection.execute(select(func.coalesce(func.sum(refusal_counts.c.count), 0))).scalar_one(),
        }


@settings(QUICK, max_examples=60)
@given(RECORDS, st.lists(st.integers(1, 30), max_size=6))
def test_accepted_refused_and_duplicate_make_up_what_was_received_however_it_was_cut_in_batches(
    records: list[Received | Binary], cuts: list[int]
) -> None:
    check_books(records, cuts)


# --- a cap is never passed ------------------------------------------------------------------------

GRANT: Final = "proef.melding"
STARTS: Final = ("2026-10-24T23:30", "2026-11-02T09:00", "2026-12-31T23:59", "2027-02-27T12:00", "2027-03-28T01:30")
"""Dutch moments; the clock changes on 25 October 2026 and 28 March 2027."""
RETENTION_DAYS: Final = 45
PLACES: Final = ("0772", "0855")


@cache
def metered_rules(limit: int | None, per: str, granted: bool) -> RuleSet:  # noqa: FBT001
    """Return a version of the rules of the stream."""
    return load(stream_content(limit, per=per, retention=f"P{RETENTION_DAYS}D", metered=granted)).unwrap()


def signals_of_participants(hub: Hub) -> set[bytes]:
    """Return the signal_id of every stored signal that is not the hub's own."""
    with hub.database.read() as connection:
        rows = connection.execute(select(signals.c.signal_id, signals.c.type)).all()
        return {row.signal_id for row in rows if not hub.names.name(connection, row.type).startswith("nl.signaalhub.")}


class QuotaMachine(RuleBasedStateMachine):
    """Publishes, waits, changes the rules, restarts and fails, in any order, and keeps books of its own."""

    @initialize(per=st.sampled_from(["day", "month", "year"]), limit=st.integers(0, 4), start=st.sampled_from(STARTS))
    def open(self, per: str, limit: int, start: str) -> None:
        self.per, self.granted = per, True
        self.limit: int | None = limit
        self.clock = MovingClock(int(datetime.fromisoformat(start).replace(tzinfo=AMSTERDAM).timestamp() * 1000))
        self.hub, self.wire = wired_hub(metered_rules(limit, per, True), self.clock.now)  # noqa: FBT003
        self.hub.now_ms = self.clock
        self.restart()
        self.urgent: dict[bytes, bool] = {}
        self.place: dict[bytes, str] = {}
        self.arrived: dict[bytes, int] = {}
        self.since: dict[bytes, int] = {}
        """When each came in."""
        self.queue: dict[str, list[bytes]] = {place: [] for place in PLACES}
        self.taken: Counter[tuple[str, str]] = Counter()
        self.gone: dict[str, list[int]] = {place: [] for place in PLACES}
        self.outcomes: Counter[str] = Counter()
        self.number = self.seen = 0

    # --- what happens ---------------------------------------------------------------------

    def events(self, wanted: Sequence[tuple[str, bool]]) -> list[Received]:
        found = []
        for place, urgent in wanted:
            self.number += 1
            data = {"gemeentecode": place, "nummer": self.number, "postcode": "5611AB", "dringend": urgent}
            found.append(self.hub.encode("bron-a", NewSignal(type=REPORT, data=data, id=f"nr-{self.number}")))
        return found

    @rule(wanted=st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 3).map(lambda n: n == 0)), min_size=1, max_size=6))
    def publish(self, wanted: list[tuple[str, bool]]) -> None:
        self.accepted(wanted, self.hub.router.process(self.events(wanted)))

    def accepted(self, wanted: Sequence[tuple[str, bool]], outcomes: Sequence[Outcome], *, may_fail: int = 0) -> None:
        first = self.number - len(wanted) + 1
        for number, (place, urgent), outcome in zip(range(first, self.number + 1), wanted, outcomes, strict=True):
            if outcome.status == "rejected" and may_fail:
                assert [fault.code for fault in outcome.faults] == ["interne-fout"]
                may_fail -= 1
                continue
            assert outcome.status == "accepted"
            assert outcome.signal_id is not None
            self.place[outcome.signal_id], self.urgent[outcome.signal_id] = place, urgent
            self.arrived[outcome.signal_id], self.since[outcome.signal_id] = number, self.clock.now
            self.outcomes["accepted"] += self.granted
        self.observe()

    @rule(wanted=st.lists(st.tuples(st.sampled_from(PLACES), st.booleans()), max_size=3), place=st.sampled_from(PLACES))
    def publish_after_one_that_fails_inside(self, wanted: list[tuple[str, bool]], place: str) -> None:
        right, calls = self.hub.keys.delivery_id, iter([True])

        def fails_once(delivery: int) -> bytes:
            if next(calls, False):
                raise ValueError
            return right(delivery)

        wanted = [(place, False), *wanted]
        with mock.patch.object(self.hub.keys, "delivery_id", fails_once):
            outcomes = self.hub.router.process(self.events(wanted))
        self.accepted(wanted, outcomes, may_fail=1)

    @rule(wanted=st.lists(st.tuples(st.sampled_from(PLACES), st.booleans()), min_size=1, max_size=6))
    def try_out(self, wanted: list[tuple[str, bool]]) -> None:
        self.hub.router.process(self.events(wanted), dry_run=True)
        self.observe()

    @rule(step=st.sampled_from(["minute", "hour", "midnight", "month", "weeks"]), early=st.booleans())
    def wait(self, step: str, early: bool) -> None:  # noqa: FBT001
        here = datetime.fromtimestamp(self.clock.now / 1000, AMSTERDAM)
        day = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        then = {
            "minute": here + timedelta(minutes=1), "hour": (here.astimezone(UTC) + timedelta(hours=1)), "midnight": day + timedelta(days=1),
            "month": (day.replace(day=1) + timedelta(days=32)).replace(day=1), "weeks": here + timedelta(days=RETENTION_DAYS - 10),
        }[step]  # fmt: skip
        self.clock.now = max(self.clock.now, int(then.timestamp() * 1000) - early)

    @rule()
    def tick(self) -> None:
        self.hub.clock.run_once()
        self.observe()
        for place, waiting in self.queue.items():
            full = self.granted and self.limit is not None and self.taken[place, self.period] >= self.limit
            assert full or not waiting, "nobody waits while there is room"

    @rule(limit=st.none() | st.integers(0, 4), granted=st.integers(0, 5).map(bool))
    def change_the_rules(self, limit: int | None, granted: bool) -> None:  # noqa: FBT001
        self.limit, self.granted = limit, granted
        self.hub.rulebooks.adopt(metered_rules(limit, self.per, granted))

    @rule()
    def restart(self) -> None:
        again = Hub(self.hub.database, self.hub.keys, None, self.clock).with_transport(lambda _: self.wire)
        again.rulebooks.adopt(metered_rules(self.limit, self.per, self.granted))
        self.hub = again

    @rule()
    def send(self) -> None:
        send_all(self.hub)

    # --- what must hold -------------------------------------------------------------------

    @property
    def period(self) -> str:
        here = datetime.fromtimestamp(self.clock.now / 1000, AMSTERDAM)
        return here.strftime({"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[self.per])

    def observe(self) -> None:
        """Follow each new decision in the machine's own books."""
        for id_, signal, _, _, grant, outcome, reason in decided(self.hub, self.seen):
            self.seen = id_
            if grant == GRANT:
                self.outcomes[outcome] += 1
                self.follow(signal, outcome, reason)

    def follow(self, signal: bytes, outcome: str, reason: str) -> None:
        place = self.place[signal]
        waiting = self.queue[place]
        searched[f"quota: {outcome}"] += 1
        if self.urgent[signal]:
            assert outcome == "deliver", "what is exempt never waits"
            return
        full = self.limit is not None and self.taken[place, self.period] >= self.limit
        if outcome == "defer":
            assert full or waiting, "something waits although there is room"
            waiting.append(signal)
            return
        if outcome in {"released", "expired"}:
            assert waiting.pop(0) == signal, "not the oldest left the queue"
        if outcome == "expired":
            too_old = self.clock.now >= terms.duration_ms(f"P{RETENTION_DAYS}D", self.since[signal])
            assert too_old or not self.granted, "what may still go was dropped"
            assert reason == ("bewaartermijn-verstreken" if too_old else "regel-vervallen")
            return
        assert self.granted and not full, "the cap is passed"
        assert outcome == "released" or not waiting, "one who came later went first"
        self.taken[place, self.period] += 1
        self.gone[place].append(self.arrived[signal])

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "hub"):
            return
        with self.hub.database.read() as connection:
            grant = self.hub.names.find(connection, GRANT)
            rows = connection.execute(
                select(deliveries.c.state, func.count()).where(deliveries.c.grant == grant).group_by(deliveries.c.state)
            )
            states: Counter[int] = Counter({row[0]: row[1] for row in rows})
        assert signals_of_participants(self.hub) == set(self.place), "a signal is stored that was not accepted, or the other way round"
        waiting = sum(map(len, self.queue.values()))
        went = self.outcomes["deliver"] + self.outcomes["released"]
        assert states[State.WAITING] == waiting
        assert states[State.READY] + states[State.SENT] == went
        assert states[State.DROPPED] == self.outcomes["expired"]
        assert went + waiting + self.outcomes["expired"] == self.outcomes["accepted"]
        assert all(numbers == sorted(numbers) for numbers in self.gone.values()), "the order of leaving is that of arriving"

    @invariant()
    def what_is_shown_is_so(self) -> None:
        if not hasattr(self, "hub") or not self.granted:
            return
        shown = {row["key"].split()[-1]: row for row in stands(self.hub)}
        for place in PLACES:
            row = shown.get(f"hulp.{place}", {"used": 0, "waiting": 0, "limit": self.limit})
            assert (row["used"], row["waiting"], row["limit"]) == (self.taken[place, self.period], len(self.queue[place]), self.limit)

    def teardown(self) -> None:
        if not hasattr(self, "hub"):
            return
        send_all(self.hub)
        for place in PLACES:
            messages = [m for to, m in self.wire.delivered() if to == f"hulp.{place}"]
            assert [int(m.headers["ce_sequence"]) for m in messages] == list(range(1, len(messages) + 1))
            sent = [self.hub.decoder.data(m.value)["nummer"] for m in messages if m.headers["ce_grantid"].decode() == GRANT]
            metered = [number for number in sent if number in self.gone[place]]
            assert metered == self.gone[place], "the wire has the order of the decisions"
        self.hub.close()


TestAQuotaIsNeverPassed = QuotaMachine.TestCase
TestAQuotaIsNeverPassed.settings = settings(QUICK, max_examples=25, stateful_step_count=25)


# --- one person, one pseudonym --------------------------------------------------------------------

PERSON: Final = "nl.proef.persoon.v1"


@cache
def person_rules() -> RuleSet:
    """Return rules under which two recipients get one type in each of two flows."""
    text = {"type": ["null", "string"], "default": None, "privacy": "address"}
    schema = {
        "type": "record", "name": "Persoon", "namespace": "nl.proef.v1",
        "signal": {"type": PERSON, "publishers": ["bron-a"], "retention": "P6M",
                   "subject": ["postcode", "huisnummer", "huisletter", "huisnummertoevoeging", "geboortedatum"]},
        "fields": [
            {"name": "postcode", "type": "string", "format": "postcode", "privacy": "address"},
            {"name": "huisnummer", "type": "int", "privacy": "address"},
            {"name": "huisletter", "pattern": "^[A-Za-z]$", **text},
            {"name": "huisnummertoevoeging", "pattern": "^[A-Za-z0-9 -]{1,4}$", **text},
            {"name": "geboortedatum", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None, "privacy": "identifier"},
            {"name": "betrokkene_geinformeerd", "privacy": "code", "default": "NVT",
             "type": {"type": "enum", "name": "Geinformeerd", "symbols": list(INFORMED), "default": "NVT"}},
            {"name": "contactrol", "type": "string", "privacy": "organisation", "default": "loket"},
        ],
    }  # fmt: skip
    people = [{"id": name, "name": name, "oin": oin(i)} for i, name in enumerate(("bron-a", "bron-b", "teller"), 1)]
    content = {
        **own_files(), f"schemas/{PERSON}.avsc": json.dumps(schema), "rules/participants.yaml": json.dumps({"participants": people}),
        "rules/grounds.yaml": json.dumps({"grounds": [{"id": "grond", "text": "Grond", "status": "vastgesteld", "source": "proef"}]}),
    }  # fmt: skip
    for flow in FLOWS:
        grants = [
            {"id": f"{flow}.{to}", "signal": PERSON, "to": to, "legal_basis": ["grond"], "retention": "P6M",
             "fields": ["contactrol"], "explain": "U krijgt dit."}
            for to in ("teller", "bron-b")
        ]  # fmt: skip
        content[f"rules/{flow}.yaml"] = json.dumps(
            {"flow": flow, "purpose": "Proef", "activity": "https://voorbeeld.example", "grants": grants}
        )
    return load(content).unwrap()


@dataclass(frozen=True, slots=True)
class Person:
    """A person at an address, in one spelling."""

    digits: int
    letters: str
    number: int
    letter: str | None
    addition: str | None
    born: date | None

    def spelled(self, *, gap: bool, low: bool, wide: bool) -> dict[str, Any]:
        """Return the same person as some register would write it."""
        letters = self.letters.lower() if low else self.letters
        addition = self.addition if self.addition is None or not wide else f" {self.addition}"[:4].ljust(len(self.addition))
        return {
            "postcode": f"{self.digits}{' ' if gap else ''}{letters}", "huisnummer": self.number,
            "huisletter": self.letter and (self.letter.lower() if low else self.letter),
            "huisnummertoevoeging": addition and (addition.lower() if low else addition),
            "geboortedatum": self.born and self.born.isoformat(),
        }  # fmt: skip


PERSONS: Final = st.builds(
    Person, st.integers(1000, 1003), st.sampled_from(["AB", "AC", "ZZ"]), st.integers(1, 12), st.sampled_from([None, "A", "B"]),
    st.sampled_from([None, "BIS", "2", "1 A"]), st.none() | st.dates(date(1930, 1, 1), date(1930, 1, 3)),
)  # fmt: skip
SPELLINGS: Final = st.fixed_dictionaries({name: st.booleans() for name in ("gap", "low", "wide")})
Spelling = dict[str, bool]


def check_pseudonyms(one: Person, other: Person, first: Spelling, second: Spelling) -> None:
    """Publish one person in two spellings and another person: who can tell whom apart?"""
    hub, wire = wired_hub(person_rules(), NOW)
    wanted = [one.spelled(**first), one.spelled(**second), other.spelled(**first)]
    receipts = hub.publish("bron-a", [NewSignal(type=PERSON, data=data) for data in wanted])
    assert [receipt.status for receipt in receipts] == ["accepted"] * 3
    send_all(hub)
    seen: dict[tuple[str, str], list[str]] = {}
    for recipient, message in wire.delivered():
        flow = message.headers["ce_grantid"].decode().split(".")[0]
        seen.setdefault((recipient, flow), []).append(message.headers["ce_subject"].decode())
    assert len(seen) == 4
    for same, again, someone_else in seen.values():
        assert same == again, "one person has one pseudonym, however it is spelled"
        assert (same == someone_else) == (one == other), "two persons have two"
    assert len({subject for subjects in seen.values() for subject in subjects}) == 4 * (1 + (one != other)), (
        "no two recipients or flows share one"
    )
    hub.close()
    searched["persons"] += 2


@settings(QUICK, max_examples=60)
@given(PERSONS, PERSONS, SPELLINGS, SPELLINGS)
def test_a_person_has_one_pseudonym_per_recipient_and_flow_however_the_address_is_spelled(
    one: Person, other: Person, first: Spelling, second: Spelling
) -> None:
    check_pseudonyms(one, other, first, second)


# --- single cases that the searches came upon -----------------------------------------------------


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Hub]:
    """A hub on disk with the small rule set."""
    hub = on_disk(tmp_path, stream_content(1), NOW)
    yield hub
    hub.close()


def report(number: int, place: str = "0772", **more: Any) -> NewSignal:
    """Return a report that meets every condition."""
    return NewSignal(type=REPORT, data={"gemeentecode": place, "nummer": number, "postcode": "5611AB", "dringend": False}, **more)


def changed(content: Mapping[str, str], change: Callable[[dict[str, Any]], None]) -> RuleSet:
    """Return a version of the small rule set in which the grant of the report is changed."""
    flow = json.loads(content["rules/proef.yaml"])
    change(flow["grants"][0])
    return load({**content, "rules/proef.yaml": json.dumps(flow)}).unwrap()


def test_what_a_dry_run_says_opens_no_door_to_a_keten_of_another(opened: Hub) -> None:
    tried = opened.router.process([opened.encode("bron-a", report(1))], dry_run=True)[0]
    handle = opened.receipt(tried).correlation
    assert opened.publish("bron-b", [report(1)])[0].status == "accepted"
    joined = opened.publish("bron-a", [report(2, correlation=handle)])[0]
    with opened.database.read() as connection:
        ketens = connection.execute(select(signals.c.keten).where(signals.c.subject.is_not(None))).scalars().all()
    assert len(set(ketens)) == len(ketens), f"two publishers are in one keten; the second was {joined.status}"


def test_what_a_dry_run_says_stops_no_batch_when_it_is_used_later(opened: Hub) -> None:
    tried = opened.router.process([opened.encode("bron-a", report(1))], dry_run=True)[0]
    handle = opened.receipt(tried).correlation
    found = opened.publish("bron-a", [report(2, correlation=handle), report(3)])
    assert found[1].status == "accepted"


def test_a_waiting_delivery_does_not_leave_for_whom_the_rule_no_longer_names(opened: Hub) -> None:
    opened.publish("bron-a", [report(1), report(2)])
    opened.rulebooks.adopt(changed(stream_content(9), lambda grant: grant.update(to="teller")))
    opened.clock.run_once()
    outcomes = [outcome for *_, recipient, grant, outcome, _ in decided(opened) if (recipient, grant) == ("hulp.0772", GRANT)]
    assert outcomes == ["deliver", "defer", "expired"]


def test_a_waiting_delivery_of_a_rule_that_is_now_about_another_type_expires(opened: Hub) -> None:
    opened.publish("bron-a", [report(1), report(2)])

    def moved(grant: dict[str, Any]) -> None:
        del grant["requires"], grant["quota"]
        grant.update(signal=QUESTION, fields=["nummer"])

    opened.rulebooks.adopt(changed(stream_content(9), moved))
    opened.clock.run_once()
    outcomes = [outcome for *_, recipient, grant, outcome, _ in decided(opened) if (recipient, grant) == ("hulp.0772", GRANT)]
    assert outcomes == ["deliver", "defer", "expired"]


def test_a_cap_that_cannot_be_worked_out_holds_up_no_other_queue(tmp_path: Path) -> None:
    divisors = {
        "0772": [{"value": 1, "from": "2026-01-01", "source": "proef"}],
        "*": [{"value": 1, "from": "2026-01-01", "source": "proef"}],
    }
    content = {**stream_content(1), "rules/settings.yaml": json.dumps({"noemer": divisors})}
    metered = changed(content, lambda grant: grant["quota"].update(limit="1 / cfg.noemer"))
    hub = on_disk(tmp_path, metered.content, NOW)
    hub.publish("bron-a", [report(1), report(2), report(3, "0855"), report(4, "0855")])
    divisors["0772"][0]["value"] = 0
    hub.rulebooks.adopt(load({**metered.content, "rules/settings.yaml": json.dumps({"noemer": divisors})}).unwrap())
    hub.now_ms.now += 31 * 86_400_000  # type: ignore[attr-defined]
    hub.clock.run_once()
    with hub.database.read() as connection:
        queues = connection.execute(select(deliveries.c.queue).where(deliveries.c.state == State.WAITING)).scalars().all()
        waiting = {hub.names.name(connection, queue) for queue in queues}
    hub.close()
    assert "grens|afspraak|hulp.0855" not in waiting


def test_a_condition_on_the_keten_does_not_depend_on_what_else_the_hub_stored() -> None:
    content = stream_content(9)
    rules = changed(content, lambda grant: grant.update(when="size(e.correlationid) < 2"))
    said = []
    for stored_before in (1, 12):
        hub = open_for_examples(rules, MovingClock(NOW))
        hub.publish("bron-b", [NewSignal(type=QUESTION, data={"gemeentecode": "0772", "nummer": 1})] * stored_before)
        hub.publish("bron-a", [report(1, correlation="zaak-1", id="een"), report(2, correlation="zaak-1", id="twee")])
        said.append([row[3:] for row in decided(hub) if row[2] == REPORT])
        hub.close()
    assert said[0] == said[1]


_PART: Final = (Node("b", "int", privacy="code"),)


@pytest.mark.parametrize(
    ("nodes", "entries", "publisher"),
    [
        ((Node("a", "date", privacy="code"), Node("a_jaar", "record", type_name="Deel", children=_PART)),
         {("a",): (Transform("jaar"),), ("a_jaar", "b"): (None,)}, False),
        ((Node("uitgever", "record", type_name="Deel", children=_PART),), {("uitgever", "b"): (None,)}, True),
    ],
    ids=["a year beside a record", "who published beside a record"],
)  # fmt: skip
def test_two_things_that_would_have_one_name_in_a_view_are_a_fault_in_the_rules(
    nodes: tuple[Node, ...],
    entries: Entries,
    publisher: bool,  # noqa: FBT001
) -> None:
    world = World(nodes, None, municipality=False, secrecy=False, grants=(GrantSpec("regel", FLOWS[0], "o0", entries, publisher),))
    assert load(world.content()).ruleset is None


def test_a_class_may_have_the_name_that_a_record_of_the_contract_has() -> None:
    nodes = (Node("k", "record", type_name="AKlasse", children=_PART), Node("a", "int", privacy="code"))
    entries: Entries = {("k", "b"): (None,), ("a",): (Transform("klasse", ("1",)),)}
    world = World(nodes, None, municipality=False, secrecy=False, grants=(GrantSpec("regel", FLOWS[0], "o0", entries, publisher=False),))
    check_view(world, [{"k": {"b": 1}, "a": 1}], NOW, real_topics=False)
