"""The canary through all flows that are shipped, and any that is added: every example of every rule file, with marked people.

What each delivery may hold is read from the rule files: the fields of its grant as they were sent, and nothing else.
Everything that is not a delivery, or stands outside its payload, may hold no marker at all.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import generate_latest

from hub import cases, explain, recalls, rejections
from hub.app import Hub
from hub.client import NewSignal
from hub.codec import Received
from hub.domain import terms
from hub.domain.grants import PUBLISHER, STARTER
from hub.domain.registers import HUB, Participant
from hub.domain.ruleset import RuleSet
from hub.quotas import stands
from hub.transport.base import OUT
from tests.integration.canary import NUMBER_WAYS, TEXT_WAYS, Aviary, heavy_codes
from tests.integration.flight import ROOT, Flight, flying, measured, mute_sql
from tests.integration.playback import (
    HEAVY,
    Arrived,
    Fields,
    Playback,
    Published,
    granted,
    quick_disk,
    values_at,
)
from tests.integration.support import without_examples

LOOKS: Final = 24
"""Everything is looked at and searched each time that the clock has moved so often."""
LONG_AFTER: Final = ("2032-01-01T00:00", "2034-01-01T00:00")
"""At the first everything falls due that still can; by the second all of that has been erased too."""


# --- what is said on the way ----------------------------------------------------------------------


class Tour:
    """A playback, and everything that is asked while it goes on."""

    def __init__(self, flight: Flight, hub: Hub) -> None:
        self.flight, self.surfaces, self.hub = flight, flight.surfaces, hub
        self.metrics = measured(hub)
        self.playback = Playback(hub, flight.clock, flight.aviary, after=self.after, at_moments=self.at_moments)
        self.guards = {guard.name: guard.code for machine in self.playback.ruleset.machines.values() for guard in machine.guards}
        self.answers: set[str | None] = set()
        self.rows_with_variables = 0
        self._moves = 0
        self._tried: set[str] = set()
        self._shown: set[int] = set()

    def after(self, published: Published) -> None:
        """Keep what the publisher hears but for its own names, and ask every guard."""
        receipt = published.receipt
        self.flight.codes.update(error.code for error in receipt.errors)
        self.surfaces.add("receipt", repr((receipt.status, receipt.errors)))
        for guard in self.guards if receipt.correlation else ():
            for participant in {published.participant, published.participant if published.signal.type in self._tried else "politie"}:
                answer = cases.may(self.hub, guard, participant, receipt.correlation or "")
                self.answers.add(answer.code)
                self.surfaces.add("guard", repr(answer))
        if receipt.status == "accepted" and published.signal.type not in self._tried:
            self._tried.add(published.signal.type)
            self._fails(published)

    def _fails(self, published: Published) -> None:
        """Try the same again without recording it, and let the hub fail on it with all of it in the text of its exception."""
        event = self.hub.encode(published.participant, _without_id(published.signal))
        self.surfaces.add("dry run", repr(self.hub.router.process([event], dry_run=True)[0].decisions), of_rules=True)

        def breaks(*_: object) -> Any:
            raise ValueError(published.signal.data)

        with self.flight.patch.context() as patch:
            patch.setattr("hub.work.decide", breaks)
            patch.setattr("hub.domain.process.step", breaks)
            (outcome,) = self.flight.process(self.hub, Received(event.participant, event.body, event.headers))
            self.hub.clock.some_terms()
        assert outcome.status == "rejected"

    def at_moments(self) -> None:
        """Look at everything now and then."""
        self._moves += 1
        if self._moves % LOOKS == 0:
            self.look(whole=self._moves == LOOKS)
        if self._moves == LOOKS:
            ask_everything(self.flight, self.playback)

    def look(self, *, whole: bool = False) -> None:
        """Ask for everything there is, and search what is on disk; the files as they are too if `whole`."""
        hub, add = self.hub, self.surfaces.add
        for row in cases.listing(hub, everything=True):
            add("case", json.dumps([row, cases.show(hub, row["case"])], ensure_ascii=False))
        add("recalls", json.dumps(recalls.listing(hub, everything=True)))
        add("quota", json.dumps(stands(hub)))
        add("/metrics", generate_latest(self.metrics.registry))
        refused = rejections.listing(hub, only_open=False)
        add("rejections", json.dumps(refused))
        for number in {row["rejection"] for row in refused} - self._shown:
            self._shown.add(number)
            add("rejection", json.dumps(rejections.show(hub, number), ensure_ascii=False))
        self.rows_with_variables += check_case_rows(hub, self.flight.home)
        self.flight.at_rest(terms.iso_utc(self.flight.clock.now), whole=whole)

    def explain(self) -> None:
        """Ask why: for a signal of each type and each way in which it fared, and for a delivery under each grant."""
        asked = {(p.signal.type, tuple(error.code for error in p.receipt.errors)): p.receipt.signal_id for p in self.playback.published}
        received = {one.headers["ce_grantid"]: one.headers["ce_id"] for one in self.playback.arrived}
        for id_ in (*asked.values(), *received.values()):
            found = explain.find(self.hub, id_ or "")
            if found is not None:
                self.surfaces.add("why", f"{json.dumps(found.as_json(), ensure_ascii=False)}\n{found.as_prose()}")


def _without_id(signal: NewSignal) -> NewSignal:
    return NewSignal(type=signal.type, data=signal.data, correlation=signal.correlation, cause=signal.cause, replaces=signal.replaces)


def check_case_rows(hub: Hub, home: Path) -> int:
    """Hold every row of a case against its variables: none may stand in it as it is. Returns how many rows hold any.

    `next_due` is left out: by it a clock finds what is due, and the day of a term can be that of a variable (ADR 0012).
    """
    variables = {row["case"]: cases.show(hub, row["case"])["variables"].values() for row in cases.listing(hub, everything=True)}
    with sqlite3.connect(f"file:{home / 'hub.db'}?mode=ro", uri=True) as reader:
        for table, number in (("cases", "id"), ("case_steps", "case")):
            cursor = reader.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                values = {name: value for name, value in zip(columns, row, strict=True) if name != "next_due"}
                assert not _stands_in(variables[values[number]], values.values()), f"{table} {values}"
    reader.close()
    return sum(bool(_texts(held)) for held in variables.values())


def _texts(variables: Iterable[Any]) -> set[str]:
    """Return what can be recognised of variables; truths, small numbers and short words could be anything."""
    return {value for value in variables if isinstance(value, str) and len(value) > 5}


def _stands_in(variables: Iterable[Any], row: Iterable[Any]) -> bool:
    """Say whether a variable can be read in a row: as text, or a day as digits or as a number of days."""
    texts, values = _texts(variables), list(row)
    dates = [date.fromisoformat(text) for text in texts if re.fullmatch(r"\d{4}-\d\d-\d\d", text)]
    raw = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
    forms = [*texts, *(day.strftime("%Y%m%d") for day in dates)]
    return any(form.encode() in raw for form in forms) or any((day - terms.EPOCH).days in values for day in dates)


# --- what arrives ---------------------------------------------------------------------------------


def wrong_deliveries(playback: Playback, fields: dict[str, Fields]) -> Iterator[str]:
    """Yield every delivery that holds something else than its grant names of what was sent."""
    sent = {published.receipt.signal_id: published for published in playback.published if published.receipt.status == "accepted"}
    origins = playback.origins(playback.arrived)
    markers = Markers(playback.aviary)
    for one in playback.arrived:
        grant, published = one.headers["ce_grantid"], sent.get(origins[one.headers["ce_id"]])
        if not is_for(playback, one, published):
            yield f"{grant}: not for {one.recipient}"
        yield from (f"{grant}: {what}" for what in _differs(one, published, fields.get(grant), markers))


def is_for(playback: Playback, one: Arrived, published: Published | None) -> bool:
    """Say whether a delivery went to whom its grant names."""
    grant = playback.ruleset.grants[one.headers["ce_grantid"]]
    own = [earlier for earlier in playback.published if earlier.participant == one.recipient and earlier.receipt.status == "accepted"]
    if grant.flow == HUB or published is None:  # messages of the hub, and its reminders to who is in the case
        return grant.to.startswith("$") or _found(playback, one.recipient).role == grant.to
    if grant.to == PUBLISHER:
        return one.headers.get("ce_causationid") in {earlier.receipt.signal_id for earlier in own}
    if grant.to == STARTER:
        return any(earlier.example == published.example for earlier in own)
    here, at = published.signal.data.get("gemeentecode"), _found(playback, one.recipient).municipality
    return _found(playback, one.recipient).role == grant.to and (here is None or at in {None, here})


def _found(playback: Playback, participant: str) -> Participant:
    found = playback.ruleset.participants.find(participant)
    assert found is not None
    return found


class Markers:
    """Finds markers in the content of deliveries, quicker than one by one."""

    def __init__(self, aviary: Aviary) -> None:
        markers = sorted({marker.removeprefix("+") for marker in aviary.markers}, key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, markers)))

    def within(self, content: object) -> set[str]:
        """Return the markers in something."""
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False)
        return set(self._any.findall(text))


def _differs(one: Arrived, published: Published | None, fields: Fields | None, markers: Markers) -> Iterator[str]:
    found = markers.within(one.data) | markers.within(one.value)
    if fields is None or published is None:  # a reminder or a message of the hub
        yield from (f"the hub itself says {marker}" for marker in found)
        return
    data = published.signal.data
    wanted = {name: list(values_at(data, name.split("."))) for name in fields.plain if name != "uitgever"}
    allowed = markers.within(list(wanted.values()))
    if found != allowed:
        yield f"holds {sorted(found - allowed)}, lacks {sorted(allowed - found)}"
    if set(one.data) != fields.names():
        yield f"has the fields {sorted(one.data)}"
    for name, values in wanted.items():
        if [value for value in values_at(one.data, name.split(".")) if value is not None] != [
            value for value in values if value is not None
        ]:
            yield f"{name} is not what was sent"


def own_names(playback: Playback, recipient: str) -> set[str]:
    """Return the names that a participant gave to ketens itself; it gets them back."""
    return {p.signal.correlation for p in playback.published if p.participant == recipient and p.signal.correlation}


def take_in_the_wire(tour: Tour) -> None:
    """Search topic names and headers."""
    names: dict[str, set[str]] = {}
    for one in tour.playback.arrived:
        own = names.setdefault(one.recipient, own_names(tour.playback, one.recipient))
        tour.surfaces.add("topic name", OUT + one.recipient)
        headers = "\n".join(f"{name}: {'its own' if value in own else value}" for name, value in one.headers.items())
        tour.surfaces.add("headers of a delivery", headers)


# --- the command line -----------------------------------------------------------------------------


def ask_everything(flight: Flight, playback: Playback) -> None:
    """Give every command that shows something, as an operator would."""
    hub, ruleset = playback.hub, playback.ruleset
    numbers = [row["case"] for row in cases.listing(hub, everything=True)][:2]
    refused = [row["rejection"] for row in rejections.listing(hub) if row["errors"][0]["code"] in own_codes(ruleset)][:2]
    opened = next(p for p in playback.published if p.signal.correlation and p.receipt.status == "accepted")
    keten = f"--as {opened.participant} --correlation {opened.signal.correlation}"
    commands = ["cases list", "cases list --all --json", "recalls list", "recalls list --all --json", "quota show", "quota show --json", "unsent list --all", "unsent list --all --json",
                "rejections list --all", "rejections list --json", "schemas check", "clock --once", "run --once",
                f"cases show {opened.signal.correlation} --as {opened.participant}",
                *(f"cases show {number}{how}" for number in numbers for how in ("", " --json")),
                *(f"cases may {guard} {keten}{how}" for guard in [g.name for m in ruleset.machines.values() for g in m.guards][:2] for how in ("", " --json")),
                *(f"why {opened.receipt.signal_id}{how}" for how in ("", " --json")),
                *(f"rejections show {number}{how}" for number in refused for how in ("", " --json")),
                *(f"rejections replay {number} --json" for number in refused[:1]),
                *(f"rejections discard {number} --reason gezien" for number in refused[1:])]  # fmt: skip
    assert refused and numbers
    for command in commands:
        flight.run(*command.split())
    for recipient in sorted({one.recipient for one in playback.arrived})[:3]:
        flight.run("deliveries", recipient)


def try_one_of_each_flow(flight: Flight, playback: Playback) -> None:
    """Publish without recording, one signal of each flow."""
    for flow in sorted({grant.flow for grant in playback.ruleset.grants.values()}):
        types = {grant.signal for grant in playback.ruleset.grants.values() if grant.flow == flow}
        for published in [p for p in playback.published if p.signal.type in types and p.receipt.status == "accepted"][:1]:
            raw = json.dumps(published.signal.data, ensure_ascii=False).encode()
            for how in ((), ("--json",)):
                publish = ("publish", "--as", published.participant, "--type", published.signal.type, "--data", "-", "--dry-run", *how)
                flight.run(*publish, stdin=raw)


def draw_the_rules(flight: Flight, ruleset: RuleSet) -> None:
    """Show the rules in every form: text, JSON, a page, and a drawing of each process."""
    for number, flow in enumerate(sorted({machine.flow for machine in ruleset.machines.values()})):
        drawing = flight.folder / f"{number}.svg"
        for how in ((), ("--json",), ("--svg", str(drawing))):
            flight.run("rules", "show", flow, *how, of_rules=True)
        flight.surfaces.add("drawing", drawing.read_bytes(), of_rules=True)
    page = flight.folder / "matrix.html"
    for how in ((), ("--json",), ("--html", str(page))):
        flight.run("rules", "matrix", *how, of_rules=True)
    flight.surfaces.add("matrix.html", page.read_bytes(), of_rules=True)
    flight.run("schemas", "view", sorted(ruleset.grants)[0], of_rules=True)


# --- the canary -----------------------------------------------------------------------------------


@pytest.fixture
def flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flight]:
    """A flight that begins before the first example."""
    quick_disk(monkeypatch)
    with flying(tmp_path, monkeypatch, partial(Flight, aviary=Aviary(), begin="2020-01-01T00:00")) as made:
        for path in (made.folder / "rules").iterdir():
            without_examples(made.folder / "rules", path.name)
        yield made


def own_codes(ruleset: RuleSet) -> set[str]:
    """Return every reason to refuse that the rule files give, beside those of the hub."""
    found = {rule.code for rules in ruleset.types.values() for rule in rules.refusals}
    found |= {required.code for grant in ruleset.grants.values() for required in grant.requires}
    for machine in ruleset.machines.values():
        steps = [step for steps in machine.steps.values() for step in steps]
        found |= {step.unmet.code for step in (*steps, machine.start) if step.unmet}
    return found


def unmarked(playback: Playback) -> list[str]:
    """Return the heavy fields that never held a marker in an accepted signal: their form, or the rules, leave no room for one."""
    markers = playback.aviary.markers
    heavy: set[str] = set()
    marked: set[str] = set()
    for published in playback.published:
        leaves = playback.ruleset.types[published.signal.type].contract.leaves if published.receipt.status == "accepted" else {}
        for leaf in leaves.values():
            if leaf.privacy in HEAVY and leaf.kind not in {"enum", "boolean"}:
                heavy.add(leaf.dotted)
                marked.update(leaf.dotted for value in values_at(published.signal.data, leaf.path) if str(value) in markers)
    return sorted(heavy - marked)


def test_in_every_flow_markers_appear_where_their_field_is_granted_and_nowhere_else(
    flight: Flight, capsys: pytest.CaptureFixture[str]
) -> None:
    with flight.opened() as hub:
        tour = Tour(flight, hub)
        playback, ruleset = tour.playback, tour.playback.ruleset
        with mute_sql():
            playback.play()
            tour.look()
        tour.explain()
        try_one_of_each_flow(flight, playback)
        draw_the_rules(flight, ruleset)
        for moment in LONG_AFTER:
            playback.advance(terms.moment(moment))
        tour.look(whole=True)
        assert playback.unexpected == []
        assert list(wrong_deliveries(playback, granted(flight.folder / "rules", ROOT / "hub" / "own"))) == []
        check_erased(flight.home)
    take_in_the_wire(tour)
    flight.printed(capsys)
    check_the_search(tour)
    with capsys.disabled():
        report(tour)


_LEFT: Final = (
    "signals WHERE payload IS NOT NULL", "signals WHERE sealed_key IS NOT NULL", "signals WHERE fingerprint IS NOT NULL",
    "deliveries WHERE payload IS NOT NULL", "rejections WHERE body IS NOT NULL OR sealed_key IS NOT NULL OR fingerprint IS NOT NULL",
    "cases WHERE closed_at IS NOT NULL AND (sealed IS NOT NULL OR subject IS NOT NULL OR next_due IS NOT NULL)",
    """case_steps WHERE sealed IS NOT NULL AND "case" IN (SELECT id FROM cases WHERE closed_at IS NOT NULL)""",
    # while a case is open its keten keeps its name and its person's pseudonym
    "signals WHERE subject IS NOT NULL AND id NOT IN (SELECT keten FROM cases WHERE closed_at IS NULL)",
    "keten_names WHERE keten NOT IN (SELECT keten FROM cases WHERE closed_at IS NULL)",
)  # fmt: skip
"""What must be gone when its time is up; decisions, states and moments stay."""


def check_erased(home: Path) -> None:
    """See to it that of what closed nothing is left but what was decided."""
    with sqlite3.connect(f"file:{home / 'hub.db'}?mode=ro", uri=True) as reader:
        left = {what: reader.execute(f"SELECT count(*) FROM {what}").fetchone()[0] for what in _LEFT}  # noqa: S608
    reader.close()
    assert not {what: count for what, count in left.items() if count}


def check_the_search(tour: Tour) -> None:
    """Search everything that was said, and see to it that everything was gone through."""
    ruleset = tour.playback.ruleset
    leaks = tour.surfaces.leaks(tour.flight.aviary)
    assert not leaks, "\n".join(leaks[:40])
    assert tour.surfaces.codes(heavy_codes(ruleset)) == []
    assert sorted(ruleset.grants.keys() - {one.headers["ce_grantid"] for one in tour.playback.arrived}) == [], (
        "grants under which nothing came"
    )
    assert sorted(own_codes(ruleset) - tour.flight.codes) == [], "refusals that the canary does not go through"
    assert sorted(set(tour.guards.values()) - tour.answers) == [], "answers that no guard gave"
    assert tour.rows_with_variables > 0


def report(tour: Tour) -> None:
    """Print what was gone through and searched."""
    playback, surfaces, aviary = tour.playback, tour.surfaces, tour.flight.aviary
    status = [published.receipt.status for published in playback.published]
    kinds = {re.sub("[0-9TZ:.-]+", "#", name) for name, _ in surfaces.found}
    notes = sum(one.headers["ce_type"].startswith("nl.signaalhub.") for one in playback.arrived)
    print(f"\ncanary through all flows: {len(aviary.markers)} markers of {len(aviary.kinds)} kinds in {len(TEXT_WAYS) + len(NUMBER_WAYS)} encodings, "
          f"{len(heavy_codes(playback.ruleset))} heavy codes; {status.count('accepted')} signals accepted and {status.count('rejected')} refused, "
          f"{len({published.signal.type for published in playback.published})} types, {len(tour.flight.codes)} reasons; "
          f"{len(playback.arrived)} deliveries ({notes} of the hub's own types) under {len(playback.ruleset.grants)} grants to "
          f"{len({one.recipient for one in playback.arrived})} recipients, each held against its rule file; {tour.rows_with_variables} rows of "
          f"cases held against their variables; searched {len(surfaces.found)} surfaces of {len(kinds)} kinds, {surfaces.size:,} bytes; "
          f"no marker fits: {', '.join(unmarked(playback)) or 'none'}")  # fmt: skip


def test_the_demonstration_prints_nothing_of_the_people_in_it(flight: Flight) -> None:
    encode, told = Hub.encode, dict[str, str]()

    def listening(hub: Hub, participant: str, signal: NewSignal) -> Received:
        for leaf in hub.rulebooks.current.ruleset.types[signal.type].contract.leaves.values():
            if leaf.privacy in HEAVY | {"code"} and leaf.kind not in {"enum", "boolean", "date"}:
                told.update({str(value): leaf.dotted for value in values_at(signal.data, leaf.path) if len(str(value)) > 5})
        return encode(hub, participant, signal)

    flight.patch.setattr(Hub, "encode", listening)
    for how in ((), ("--json",)):
        flight.run("demo", *how)
    assert len(told) > 30
    said = b"\n".join(content for _, content in flight.surfaces.found).decode()
    assert len(said) > 2_000
    assert {value: name for value, name in told.items() if value in said} == {}
