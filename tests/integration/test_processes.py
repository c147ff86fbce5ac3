"""The shipped pauzeknop and CJIB process through a real hub, held against `tests/reference.py` (a few examples).

For any sequence of signals, repeats, corrections, withdrawals, receipts and ticks of two clocks: a
closed guard says no, also for a second announcement about the same person; a fact is never
refused; each term fires once and people hear of it once; what is refused changes no case; every
case stands as the rule text says, and ends. `tests/proof/test_processes.py` runs many more.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import func, select

from hub import files
from hub.app import Hub, MovingClock, open_for_examples
from hub.casebook import Casebook
from hub.cases import ask
from hub.client import NewSignal
from hub.codec import Received
from hub.domain import terms
from hub.domain.loading import load
from hub.domain.registers import HUB
from hub.domain.ruleset import RuleSet
from hub.placing import CONFIRMED, WITHDRAWN
from hub.storage.tables import State, case_steps, cases, decisions, deliveries, recalls, receipts, rejections, signals
from hub.work import Outcome, Work
from tests import reference as ref
from tests.integration.pauses import (
    DECISIONS,
    PLACES,
    announcement,
    decision_data,
    fact_data,
    heard,
    plain_data,
    plan_data,
    request_data,
    review_data,
)
from tests.reference import CJIB, PAUZE, Reference, Reminder, Told
from tests.strategies import Wire, send_all

ROOT: Final = Path(__file__).parents[2]
QUICK: Final = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    phases=[phase for phase in Phase if phase is not Phase.explain],
    report_multiple_bugs=False,
)
searched: Counter[str] = Counter()
"""What the machine came upon in this process, for the proof to print."""

BSNS: Final = ("999990019", "123456782")
MARKS: Final = ("6f1d2c3b-8a47-4e1f-9c20-5b7e0d9a4c11", "0a3c9e57-1d42-4b6a-8f05-c7e2d1b4a690")
LOCAL: Final = ("werk-en-inkomen", "handhaving", "buurtteam", "schuldhulp", "begeleid-wonen")
EVERYONE: Final = (*(f"{role}.{place}" for role in LOCAL for place in PLACES), "cjib", "politie", "toeslagen")
GUARDS: Final = ("maatregel-uitvoeren", "inning-voortzetten", "gijzeling-uitvoeren", "verhoging-innen", "verhoging-laten-vervallen")
NOWHERE: Final = "01234567-89ab-4cde-8f01-23456789abcd"
STARTS: Final = (
    "2026-11-02T09:00", "2026-10-23T17:30", "2027-03-25T23:59", "2026-12-23T12:00", "2027-04-22T08:00", "2026-04-30T00:00", "2027-01-29T10:00",
)  # fmt: skip
"""Around the change of clocks, Christmas, Easter, King's Day with the days that a decree equates, the end of a month."""
RECENT_MS: Final = 150 * 86_400_000
"""Signals are kept for half a year at least; what is corrected or repeated is younger."""


@cache
def shipped() -> tuple[RuleSet, Hub]:
    """Return the rules of the repository, and a hub in memory with them in which nothing has happened."""
    ruleset = load(files.read(ROOT / "rules", ROOT / "schemas")).unwrap()
    return ruleset, open_for_examples(ruleset, MovingClock(terms.moment(STARTS[0])))


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The withdrawal of a signal, or of nothing."""

    publisher: str
    number: int | None
    known: bool
    """Whether the publisher has a name for that signal."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The receipt for a recall, or for what is none."""

    publisher: str
    number: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was published, and what it is."""

    received: Received
    what: Told | TakeBack | Confirm
    id: str
    at: int


# --- the machine ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """Every small choice that something to happen needs."""

    person: int
    place: str
    who: str | None
    """None: someone whose turn it is; else anyone, also who may not."""
    turn: int
    which: int
    """Which of what is known, the latest first."""
    into: int | str | None
    """A keten that something goes into which could as well begin one."""
    day: int | str
    odd: int
    """Nearly always nothing; else what is wrong with the data."""
    outcome: str
    kind: str
    more: bool
    """Whether what comes next goes in the same batch."""


DRAWN: Final = st.builds(
    Drawn, st.sampled_from([0, 0, 0, 1]), st.sampled_from([PLACES[0], PLACES[0], *PLACES]), st.sampled_from([*[None] * 90, *EVERYONE]), st.integers(0, 2),
    st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 6]), st.sampled_from([*[None] * 8, 0, 1, 2, "nowhere"]),
    st.sampled_from([0, 1, 2, 3, 5, 13, 14, 15, 16, 30, 45, 61, 75, -1, "edge", "edge", "edge", "edge+1"]),
    st.integers(0, 39), st.sampled_from(["BEEINDIGD_NA_OVERLEG", "VOORTGEZET"]), st.sampled_from(list(DECISIONS)),
    st.integers(0, 4).map(lambda n: n == 0),
)  # fmt: skip
PLANNED: Final = {0: 0, 1: 1, 2: 3, 3: 5, 4: 7}
"""How many days ahead a measure is announced, if not thirty, by what is odd."""
PAUZES: Final = st.sampled_from(
    ["announce"] * 3 + [ref.GEVRAAGD] * 6 + [ref.INGESTELD] * 4 + [ref.VERLENGD] * 2 + [ref.AFGEWEZEN] * 3 + [ref.AFGEROND, "carry_out", "carry_out"]
    + list(ref.REACTIONS)[:3]
)  # fmt: skip
CJIBS: Final = st.sampled_from(["request"] * 2 + ["longer"] * 5 + ["decide"] * 5 + [ref.TAAK, ref.TAAK, ref.CAPACITEIT, ref.VOORNEMEN])
AGAINS: Final = st.sampled_from(["take_back"] * 4 + ["correct"] * 4 + ["repeat"] * 2 + ["confirm"] * 2)
WAITS: Final = st.sampled_from(["term"] * 6 + ["hour", "midnight", "midnight", "days", "days", "weeks", "clocks", "month", "half-year"])


class PauseMachine(RuleBasedStateMachine):
    """Publishes, repeats, corrects, withdraws, confirms and waits in any order; two hubs work on one database."""

    @initialize(start=st.sampled_from(STARTS))
    def open(self, start: str) -> None:
        ruleset, fresh = shipped()
        self.clock = MovingClock(terms.moment(start))
        self.wire = Wire()
        hub = open_for_examples(ruleset, self.clock, like=fresh).with_transport(lambda _: self.wire)
        other = Hub(hub.database, hub.keys, None, self.clock).with_transport(lambda _: self.wire)
        other.rulebooks.adopt(ruleset)
        self.hubs = (hub, other)
        self.reference = Reference()
        self.pending: list[Event] = []
        self.past: list[Event] = []
        """Everything that was published once, the same again left out."""
        self.accepted: set[str] = set()
        """The ids of what was accepted."""
        self.names: dict[int, bytes] = {}
        """Number of each accepted signal -> its signal_id."""
        self.named: dict[tuple[str, str], tuple[int, int]] = {}
        """(participant, name that it gave) -> the keten that it began so, and when."""
        self.withdrawals: dict[int, str] = {}
        self.confirmed: dict[tuple[int, str], bool] = {}
        self.kept: dict[bytes, int] = {}
        """Bytes that were refused -> until when they are kept."""
        self.heard: Counter[Reminder] = Counter()
        self.counts: Counter[str] = Counter()
        self.refused = self.last = 0
        self.sound = True
        """False once something did not hold: then nothing is played to its end."""

    @property
    def hub(self) -> Hub:
        """One of the two."""
        return self.hubs[self.counts["published"] % 2]

    @property
    def today(self) -> str:
        return ref.day_of(self.clock.now)

    # --- publishing -----------------------------------------------------------------------

    def publish(self, told: Told, correlation: str | None, cause: str | None = None, replaces: str | None = None, *, more: bool) -> None:
        self.put(told, NewSignal(type=told.type, data=told.data, correlation=correlation, cause=cause, replaces=replaces), more=more)

    def put(self, what: Told | TakeBack | Confirm, new: NewSignal, *, more: bool) -> None:
        """Keep an event for the next batch, or handle the batch with it."""
        self.counts["made"] += 1
        id_ = f"nr-{self.counts['made']}"
        full = NewSignal(type=new.type, data=new.data, id=id_, correlation=new.correlation, cause=new.cause, replaces=new.replaces)
        self.queue(Event(self.hub.encode(what.publisher, full), what, id_, self.clock.now), more=more)

    def queue(self, event: Event, *, more: bool) -> None:
        self.pending.append(event)
        if not more or len(self.pending) > 3:
            self.flush()

    def flush(self, *, failing: int | None = None) -> None:
        """Handle one batch, and hold what became of each event against the reference."""
        events, self.pending = self.pending, []
        if not events:
            return
        self.sound = False
        self.reference.advance(self.clock.now)
        before = self.case_rows()
        broken = events[failing % len(events)].id if failing is not None else None
        with mock.patch.object(Work, "_decided", _failing_for(broken)):
            outcomes = self.hub.router.process([event.received for event in events])
        ids = self.numbers(outcomes)
        for event, outcome in zip(events, outcomes, strict=True):
            self.follow(event, outcome, ids, fails=event.id == broken)
        if all(outcome.status != "accepted" for outcome in outcomes):
            assert self.case_rows() == before, "what was refused changed a case"
        self.observe()
        self.sound = True

    def numbers(self, outcomes: Sequence[Outcome]) -> dict[bytes, int]:
        wanted = [outcome.signal_id for outcome in outcomes if outcome.signal_id]
        with self.hub.database.read() as connection:
            rows = connection.execute(select(signals.c.signal_id, signals.c.id).where(signals.c.signal_id.in_(wanted))).all()
        return {row.signal_id: row.id for row in rows}

    def case_rows(self) -> tuple[list[Any], int]:
        """Return every case as it is stored and opened, and how many steps there were."""
        with self.hub.database.read() as connection:
            book = Casebook(connection, self.hub.names, self.hub.keys)
            rows = connection.execute(select(cases.c.id, cases.c.next_due, cases.c.state).order_by(cases.c.id)).all()
            stored = [(*row, book.by_id(row.id)) for row in rows]
            return stored, connection.execute(select(func.count()).select_from(case_steps)).scalar_one()

    def follow(self, event: Event, outcome: Outcome, ids: Mapping[bytes, int], *, fails: bool) -> None:
        """Hold one outcome against what it should be, and take it in."""
        self.reference.advance(self.clock.now)  # what is due at once, such as a day that is past, comes before the next event
        self.counts["published"] += 1
        self.counts[outcome.status] += 1
        said = {fault.code for fault in outcome.faults}
        if event.id in self.accepted:
            assert outcome.status == "duplicate", (outcome.status, said)
            return
        name = _given_name(event.received)
        if isinstance(event.what, Told) and event.what.keten is None and name is not None:
            event.what.keten = self.named.get((event.what.publisher, name), (None, 0))[0]  # perhaps begun since, in this batch
        expected, move = self.judged(event.what)
        if not expected and fails:
            expected = {"interne-fout"}
        assert said == expected, (event.what, sorted(said), sorted(expected), outcome.status)
        assert (outcome.status == "accepted") == (not expected)
        if event not in self.past:
            self.past.append(event)
        if outcome.status == "accepted":
            self.accepted.add(event.id)
            self.take_in(event, outcome, ids, move)
        else:
            self.reference.seen.update(f"refused {code}" for code in expected)
            self.refuse(event)

    def refuse(self, event: Event) -> None:
        """The same bytes are kept, and told of, once."""
        key = event.received.participant.encode() + event.received.body
        if key not in self.kept:
            self.refused += 1
            self.kept[key] = self.clock.now + 14 * 86_400_000

    def judged(self, what: Told | TakeBack | Confirm) -> tuple[set[str], ref.Move | None]:
        if isinstance(what, Told):
            return self.reference.judge(what, self.clock.now)
        if isinstance(what, Confirm):
            done = self.confirmed.get((what.number, what.publisher))
            return ({"niets-te-bevestigen"} if done is None else {"al-bevestigd"} if done else set()), None
        if what.number is not None and not what.known:
            return {"keten-onbekend"}, None
        if what.number in self.withdrawals:
            return {"niet-intrekbaar" if self.withdrawals[what.number] == what.publisher else "niet-uw-signaal"}, None
        code, move = self.reference.judge_withdrawal(what.publisher, what.number, self.clock.now)
        return ({code} if code else set()), move

    def take_in(self, event: Event, outcome: Outcome, ids: Mapping[bytes, int], move: ref.Move | None) -> None:
        assert outcome.signal_id is not None
        number, what = ids[outcome.signal_id], event.what
        self.names[number] = outcome.signal_id
        if isinstance(what, Told):
            assert outcome.keten is not None
            self.reference.accept(what, number, outcome.keten, move, self.clock.now)
            name = _given_name(event.received)
            if what.keten is None and name is not None:
                self.named[what.publisher, name] = (number, self.clock.now)
        elif isinstance(what, TakeBack):
            assert what.number is not None
            self.withdrawals[number] = what.publisher
            self.reference.withdraw(what.number, move, self.clock.now)
        else:
            self.confirmed[what.number, what.publisher] = True

    # --- names ----------------------------------------------------------------------------

    def name_of(self, participant: str, number: int) -> tuple[str, bool]:
        """Return the name that a participant has for a signal, and whether it is a good one."""
        own = self.publisher_of(number) == participant
        with self.hub.database.read() as connection:
            who = self.hub.names.find(connection, participant)
            got = connection.execute(
                select(deliveries.c.delivery_id).where(
                    deliveries.c.signal == number, deliveries.c.recipient == who, deliveries.c.state.in_((State.READY, State.SENT))
                )
            ).scalar()
        found = self.names[number] if own else got
        return str(uuid.UUID(bytes=found or self.names[number])), found is not None

    def publisher_of(self, number: int) -> str:
        return self.withdrawals[number] if number in self.withdrawals else self.reference.sent[number].publisher

    def correlated(self, participant: str, keten: int | None) -> tuple[int | None, str | None]:
        """Return the keten that a participant ends up in when it means `keten`, and the name that it gives.

        Who takes no part in it only has what others call it: a name that means nothing, or a keten of its own.
        """
        if keten is None:
            return None, f"zaak-{self.counts['made']}" if self.counts["made"] % 3 == 0 else None
        own = next((name for (who, name), (k, at) in self.named.items() if (who, k) == (participant, keten) and self.recent(at)), None)
        if own is not None:
            return keten, own
        if self.takes_part(participant, keten):
            return keten, str(uuid.UUID(bytes=self.hub.keys.keten_handle(participant, keten)))
        name = str(uuid.UUID(bytes=self.hub.keys.keten_handle(self.reference.ketens[keten][0], keten)))
        begun, at = self.named.get((participant, name), (None, 0))
        return (None, None) if begun is not None and not self.recent(at) else (begun, name)

    def recent(self, at: int) -> bool:
        return self.clock.now - at < RECENT_MS

    def takes_part(self, participant: str, keten: int) -> bool:
        with self.hub.database.read() as connection:
            who = self.hub.names.find(connection, participant)
            inside = signals.c.keten == keten
            wrote = select(signals.c.id).where(inside, signals.c.publisher == who)
            got = (
                select(deliveries.c.id).join(signals, signals.c.id == deliveries.c.signal)
                .where(inside, deliveries.c.recipient == who, deliveries.c.state.in_((State.READY, State.SENT)))
            )  # fmt: skip
            return any(connection.execute(query.limit(1)).first() is not None for query in (wrote, got))

    def sender(self, type_: str, keten: int | None, d: Drawn) -> str:
        if d.who is not None:
            return d.who
        roles = ref.PUBLISHERS[type_]
        role = roles[d.turn % len(roles)]
        here = self.reference.ketens[keten][1] if keten is not None else d.place
        return role if role == "cjib" else f"{role}.{here or d.place}"

    def keten(self, process: str, which: int) -> int | None:
        found = [case.keten for case in self.reference.cases.values() if case.process == process]
        return found[-1 - which % len(found)] if found else None

    def into(self, process: str, into: int | str | None) -> int | None:
        """Return a keten that something may be put in which could as well begin one."""
        if into is None:
            return None
        known = list(self.reference.ketens) if into == "nowhere" else [k for p, k in self.reference.cases if p == process]
        return known[-1 - (0 if into == "nowhere" else int(into)) % len(known)] if known else None

    def day(self, day: int | str, edge: str) -> str:
        if isinstance(day, int):
            return ref.days(self.today, day)
        return ref.days(edge, 1) if day == "edge+1" else edge

    # --- what happens: the pauzeknop ------------------------------------------------------

    @rule(what=PAUZES, d=DRAWN)
    def pauze(self, what: str, d: Drawn) -> None:
        if what == "announce" or self.keten(PAUZE, 0) is None:
            self.announce(d)
        elif what == "carry_out":
            self.carry_out(d)
        else:
            self.act(what, d)

    def announce(self, d: Drawn) -> None:
        sender = self.sender(ref.MELDING, None, d)
        keten, name = self.correlated(sender, self.into(PAUZE, d.into))
        data = announcement(
            d.place, BSNS[d.person], "GEEN_REACTIE" if d.odd % 2 else "STUKKEN_ONTBREKEN",
            ref.days(self.today, PLANNED.get(d.odd, 30)), "JA" if d.turn else "NEE",
        )  # fmt: skip
        self.publish(Told(ref.MELDING, sender, data, keten), name, more=d.more)

    def carry_out(self, d: Drawn) -> None:
        meant = self.keten(PAUZE, d.which) if d.turn else self.into(PAUZE, d.into)
        case = self.reference.cases.get((PAUZE, meant)) if meant is not None else None
        bsn = case.person if case and d.odd else BSNS[d.person]
        sender = self.sender(ref.UITGEVOERD, meant, d)
        place = d.place if "." not in sender or d.who is not None else sender.partition(".")[2]
        keten, name = self.correlated(sender, meant)
        self.publish(Told(ref.UITGEVOERD, sender, fact_data(place, bsn, self.today), keten), name, more=d.more)

    def act(self, type_: str, d: Drawn) -> None:
        """Send what belongs in the keten of an announcement and names nobody itself."""
        meant = self.keten(PAUZE, d.which)
        sender = self.sender(type_, meant, d)
        keten, name = self.correlated(sender, meant)
        data = self.review(meant, d) if type_ == ref.INGESTELD else plain_data(type_, self.act_day(type_, meant, d), d.outcome)
        self.publish(Told(type_, sender, data, keten), name or NOWHERE, more=d.more)

    def act_day(self, type_: str, keten: int | None, d: Drawn) -> str:
        if type_ != ref.VERLENGD:
            return self.today if d.odd else ref.days(self.today, 1)
        case = self.reference.cases.get((PAUZE, keten)) if keten is not None else None
        if case is not None and d.odd < 4:
            return str(case.v.get("herzien_op", self.today))
        return self.day(d.day, self.furthest(keten))

    def furthest(self, keten: int | None) -> str:
        place = self.reference.ketens[keten][1] if keten is not None else None
        return ref.months(self.today, ref.numbers(place)["langst"])

    def review(self, keten: int | None, d: Drawn) -> dict[str, Any]:
        until = self.day(d.day, self.furthest(keten))
        return review_data(ref.days(until, 1) if d.odd == 0 else min(self.today, until), until)

    # --- what happens: the CJIB -----------------------------------------------------------

    @rule(what=CJIBS, d=DRAWN)
    def cjib(self, what: str, d: Drawn) -> None:
        if what == "request" or self.keten(CJIB, 0) is None:
            self.request(d)
        elif what == "longer":
            self.ask_for_longer(d)
        elif what == "decide":
            self.decide(d)
        else:
            self.go_on(what, d)

    def request(self, d: Drawn) -> None:
        sender = self.sender(ref.VERZOCHT, None, d)
        keten, name = self.correlated(sender, self.into(CJIB, d.into))
        until = self.day(d.day, ref.months(self.today, 4))
        data = request_data(d.place, MARKS[d.person], until, self.today, (d.odd + 1) % 3 if d.odd < 2 else 0, "NVT" if d.odd == 2 else "JA")
        self.publish(Told(ref.VERZOCHT, sender, data, keten), name, more=d.more)

    def ask_for_longer(self, d: Drawn) -> None:
        meant = self.keten(CJIB, d.which)
        assert meant is not None
        case, (starter, place) = self.reference.cases[CJIB, meant], self.reference.ketens[meant]
        sender = starter if d.turn and d.who is None else self.sender(ref.VERZOCHT, meant, d)
        keten, name = self.correlated(sender, meant)
        until = self.day(d.day, str(case.v["grens"]) if case.v["verlengd"] else ref.months(str(case.v["tot"]), 8))
        data = request_data(place or PLACES[0], case.person, until, self.today, d.odd if d.odd in {0, 2} else 1, "JA")
        self.publish(Told(ref.VERZOCHT, sender, data, keten), name, more=d.more)

    def decide(self, d: Drawn) -> None:
        meant = self.keten(CJIB, d.which)
        assert meant is not None
        sender, case = d.who or "cjib", self.reference.cases[CJIB, meant]
        cause = self.answered(meant, sender, d)
        name, known = self.name_of(sender, cause) if cause is not None else (None, True)
        if not known:
            return
        keten, correlation = (meant, None) if name else self.correlated(sender, meant)
        edge = ref.months(self.today, 4) if case.state == "verzocht" else str(case.v["grens"])
        told = Told(ref.BESLUIT, sender, decision_data(d.kind, self.today if d.kind == "afgewezen" else self.day(d.day, edge)), keten)
        told.cause = self.reference.sent[cause].type if cause is not None else None
        self.publish(told, correlation, name, more=d.more)

    def answered(self, keten: int, sender: str, d: Drawn) -> int | None:
        """Return the request that a decision names: one of this keten, or now and then nothing, or what is none."""
        known = [number for number, sent in self.reference.sent.items() if sent.keten == keten]
        asked = [number for number in known if self.reference.sent[number].type == ref.VERZOCHT]
        if d.odd == 0 or not asked:
            return None
        return known[-1 - d.which % len(known)] if d.odd == 1 and sender != "cjib" else asked[-1 - d.turn % len(asked)]

    def go_on(self, type_: str, d: Drawn) -> None:
        meant = self.keten(CJIB, d.which)
        starter = self.reference.ketens[meant][0] if meant is not None else ""
        can = d.who is None and d.odd > 4 and starter.partition(".")[0] in ref.PUBLISHERS[type_]
        sender = starter if can else self.sender(type_, meant, d)
        keten, name = self.correlated(sender, meant)
        data: dict[str, dict[str, Any]] = {
            ref.VOORNEMEN: plan_data(MARKS[d.person], self.today),
            ref.TAAK: plain_data(ref.TAAK, self.today, ""),
            ref.CAPACITEIT: {"betaalcapaciteit_cent_per_maand": 4999 + d.turn, "vastgesteld_op": self.today,
                             "regeling_cent_per_maand": 5000 if d.odd % 4 else None},
        }  # fmt: skip
        self.publish(Told(type_, sender, data[type_], keten), name or (None if type_ in ref.PERSON else NOWHERE), more=d.more)

    # --- what happens: taking back, correcting, repeating, confirming -------------------------

    @precondition(lambda self: self.reference.sent)
    @rule(what=AGAINS, d=DRAWN)
    def again(self, what: str, d: Drawn) -> None:
        {"take_back": self.take_back, "correct": self.correct, "repeat": self.repeat, "confirm": self.confirm}[what](d)

    def take_back(self, d: Drawn) -> None:
        every = [number for number in self.names if number in self.reference.sent or (number in self.withdrawals and not d.turn)]
        older = [number for number in every if self.is_superseded(number)]
        number = every[-1 - (d.which + d.turn) % len(every)] if d.turn < 2 or not older else older[-1]
        sender = d.who or (EVERYONE[d.which] if self.publisher_of(number) == HUB else self.publisher_of(number))
        name, known = self.name_of(sender, number)
        what = TakeBack(sender, number if d.odd else None, known)
        self.put(what, NewSignal(type=WITHDRAWN, data={"redencode": "ANDERS"}, cause=name if d.odd else None), more=d.more)

    def is_superseded(self, number: int) -> bool:
        """Say whether a signal moved a case and a later one of its type did so too."""
        sent = self.reference.sent.get(number)
        if sent is None or sent.moved is None or sent.recalled:
            return False
        return self.reference.cases[sent.moved, sent.keten].newest[sent.type] != number

    def correct(self, d: Drawn) -> None:
        original = list(self.reference.sent.values())[-1 - d.which % len(self.reference.sent)]
        sender = d.who or original.publisher
        name, known = self.name_of(sender, original.number)
        if not known or not self.recent(min(original.at, self.reference.sent[original.keten].at)):
            return
        data = {**original.data, **self.changed(original, d)}
        if d.odd < 3 and original.type in ref.PERSON:
            field, known_ones = ref.PERSON[original.type], BSNS if original.type in {ref.MELDING, ref.UITGEVOERD} else MARKS
            data[field] = known_ones[1 - known_ones.index(data[field])]
        self.publish(Told(original.type, sender, data, replaces=original.number), None, replaces=name, more=d.more)

    def changed(self, original: ref.Sent, d: Drawn) -> dict[str, Any]:
        """Return what a correction says anew: a day, an outcome, a decision, or nothing at all."""
        at = ref.days(self.today, d.day if isinstance(d.day, int) else 14)
        if d.turn == 1:
            return {}
        match original.type:
            case ref.MELDING:
                return {"gepland_op": ref.days(self.today, PLANNED.get(d.odd, 30)), "lopend_hulptraject": "NEE" if d.turn else "JA"}
            case ref.INGESTELD:
                return {"ingangsdatum": min(self.today, at), "herzien_op": at}
            case ref.VERLENGD:
                return {"herzien_op": at}
            case ref.AFGEROND:
                return {"uitkomst": d.outcome}
            case ref.VERZOCHT:
                return {"gevraagd_tot": at, "verlenging": bool(original.data["verlenging"]) != (d.odd == 3)}
            case ref.BESLUIT:
                return decision_data(d.kind, at) if d.turn == 0 else {"tot": at}
        return {}

    def repeat(self, d: Drawn) -> None:
        event = self.past[-1 - d.which % len(self.past)]
        if self.recent(event.at):
            self.counts["repeats"] += 1
            self.queue(event, more=d.more)

    def confirm(self, d: Drawn) -> None:
        known = list(self.confirmed)
        if known and d.odd > 5:
            number, sender = known[-1 - d.which % len(known)]
        else:
            number = list(self.reference.sent)[-1 - d.which % len(self.reference.sent)]
            sender = self.sender(ref.AFGEROND, self.reference.sent[number].keten, d)
        name, good = self.name_of(sender, number)
        if good and (number not in self.reference.sent or self.reference.sent[number].publisher != sender):
            self.put(Confirm(sender, number), NewSignal(type=CONFIRMED, data={"resultaat": "VERWERKT"}, cause=name), more=d.more)

    # --- what happens: trying out, failing, sending -------------------------------------------

    @precondition(lambda self: self.pending)
    @rule(failing=st.integers(-2, 3))
    def trouble(self, failing: int) -> None:
        """One event of a batch fails inside the hub after everything of it was recorded, or the batch is only tried out."""
        if failing >= 0:
            self.flush(failing=failing)
            return
        kept, before = copy.deepcopy(self.reference), self.case_rows()
        outcomes = self.hub.router.process([event.received for event in self.pending], dry_run=True)
        assert self.case_rows() == before, "trying out changed a case"
        self.reference.advance(self.clock.now)
        first, outcome = self.pending[0], outcomes[0]
        if first.id not in self.accepted and first not in self.past:
            assert {fault.code for fault in outcome.faults} == self.judged(first.what)[0]
        self.reference = kept
        self.counts["tried out"] += 1

    # --- what happens: time -------------------------------------------------------------------

    @rule(kind=WAITS, count=st.sampled_from([0, 0, 1, 1, 2, 4, 7, 10]), edge=st.sampled_from([-1, 0, 0, 0, 1]), clock=st.integers(0, 4))
    def wait(self, kind: str, count: int, edge: int, clock: int) -> None:
        """Let time pass, often to just before, at or just after the moment at which a term falls due; then a clock runs, or none."""
        self.flush()
        self.clock.now = max(self.clock.now, self.then(kind, count) + edge)
        self.guards()
        if clock < 2:
            self.tick(clock)
        elif clock == 2:
            send_all(self.hub)

    def then(self, kind: str, count: int) -> int:
        here = datetime.fromtimestamp(self.clock.now / 1000, ref.AMSTERDAM)
        if kind == "term":
            due = sorted(term.due for case in self.reference.cases.values() if (term := Reference.next_of(case)) is not None)
            return next((at for at in due[count:] if at > self.clock.now), self.clock.now + 60_000)
        if kind == "clocks":
            return int(_next_change(here.date()).timestamp() * 1000) + (count - 4) * 1_800_000
        if kind == "hour":
            return self.clock.now + 3_600_000
        ahead = {"midnight": 1, "days": count, "weeks": 7 * count, "month": 31, "half-year": 183}[kind]
        return ref.midnight(ref.days(self.today, ahead))

    def tick(self, clock: int) -> None:
        """One of two clocks runs, and then the other, which finds nothing left to do."""
        self.flush()
        self.sound = False
        self.hubs[clock].clock.run_once()
        assert self.hubs[1 - clock].clock.run_once() == 0
        self.kept = {key: until for key, until in self.kept.items() if until > self.clock.now}
        self.reference.advance(self.clock.now)
        self.observe()
        assert self.heard == self.reference.reminders, (self.heard - self.reference.reminders, self.reference.reminders - self.heard)
        self.states()
        self.forget()
        self.sound = True

    # --- what must hold -------------------------------------------------------------------

    def observe(self) -> None:
        """Take in what the hub told since, and hold the books against what was counted."""
        self.reference.advance(self.clock.now)
        more, self.last = heard(self.hub, self.last)
        self.heard.update(more)
        late = self.heard - self.reference.reminders
        assert not late, f"people heard what they should not, or twice: {late}"
        self.books()
        self.guards()

    def books(self) -> None:
        """Accepted, refused and duplicate make up what was published, and each is stored as often as it should."""
        with self.hub.database.read() as connection:
            own = self.hub.names.find(connection, HUB) or 0
            stored = connection.execute(select(func.count()).where(signals.c.publisher != own)).scalar_one()
            refused = connection.execute(select(func.count()).select_from(rejections)).scalar_one()
            rows = connection.execute(select(receipts.c.signal, receipts.c.recipient, receipts.c.confirmed_at)).all()
            asked = {(row.signal, self.hub.names.name(connection, row.recipient)): row.confirmed_at is not None for row in rows}
        counts = self.counts
        assert counts["accepted"] + counts["rejected"] + counts["duplicate"] == counts["published"]
        assert stored == counts["accepted"]
        assert refused == self.refused, "a refusal was lost, or kept twice"
        assert all(asked[pair] == done for pair, done in self.confirmed.items()), "a receipt was lost"
        self.confirmed = asked
        for number, name in self._recalls().items():
            self.names.setdefault(number, name)

    def _recalls(self) -> dict[int, bytes]:
        """Return the recalls that the hub itself sent, so that recipients can confirm them."""
        unknown = {number for number, _ in self.confirmed} - self.names.keys()
        if not unknown:
            return {}
        with self.hub.database.read() as connection:
            rows = connection.execute(select(signals.c.id, signals.c.signal_id).where(signals.c.id.in_(unknown))).all()
        self.withdrawals.update(dict.fromkeys(unknown, HUB))
        return {row.id: row.signal_id for row in rows}

    def guards(self) -> None:
        """Every guard of every keten answers as the rule text says, whether or not a clock has run."""
        self.reference.advance(self.clock.now)
        answers = {(guard, keten): ask(self.hub, guard, keten) for keten in self.reference.ketens for guard in GUARDS}
        for (guard, keten), answer in answers.items():
            expected = self.reference.may(guard, keten)
            assert answer.allowed == (expected is None), (guard, answer, expected)
            assert answer.code == expected or self.forgotten(keten), (guard, answer.code, expected)
            self.counts[f"guard {'open' if answer.allowed else 'closed'}"] += 1
        pauses = [case for case in self.reference.cases.values() if case.process == PAUZE]
        waiting = {(case.person, case.place) for case in pauses if case.state in ref.WAIT}
        for case in pauses:  # while one announcement about a person waits, no other is a way round it
            assert (case.person, case.place) not in waiting or not answers[GUARDS[0], case.keten].allowed

    def forgotten(self, keten: int) -> bool:
        """Say whether the hub no longer knows whom a closed case was about: it still says no, for a reason of its own."""
        with self.hub.database.read() as connection:
            found = select(cases.c.id).where(cases.c.keten == keten, cases.c.closed_at.is_not(None), cases.c.subject.is_(None))
            return connection.execute(found).first() is not None

    def forget(self) -> None:
        """Note which ketens have lost whom they are about: the signal that began them was kept long enough."""
        with self.hub.database.read() as connection:
            gone = select(signals.c.id).where(signals.c.id.in_(self.reference.ketens), signals.c.subject.is_(None))
            self.reference.forgotten = set(connection.execute(gone).scalars())

    def states(self) -> None:
        """After a clock ran, every case is stored as it should be, and nothing that is due is left."""
        with self.hub.database.read() as connection:
            name = self.hub.names.name
            rows = connection.execute(select(cases.c.process, cases.c.keten, cases.c.state, cases.c.next_due, cases.c.closed_at)).all()
            found = {(name(connection, row.process), row.keten): (name(connection, row.state), row.next_due) for row in rows}
            closed = {(name(connection, row.process), row.keten) for row in rows if row.closed_at is not None}
        expected = {}
        for at, case in self.reference.cases.items():
            term = Reference.next_of(case)
            expected[at] = (case.state, term.due if term else None)
        assert found == expected
        assert closed == {at for at, case in self.reference.cases.items() if case.state in ref.ENDED[at[0]]}

    def teardown(self) -> None:
        if not hasattr(self, "hubs"):
            return
        try:
            if self.sound:
                self.finish()
        finally:
            self.hubs[0].close()

    def finish(self) -> None:
        """Every case can be brought to its end, and everyone who got what was taken back has heard so."""
        self.tick(0)
        self.recalled()
        for case in list(self.reference.cases.values()):
            self.end(case)
        self.flush()
        while due := [term.due for case in self.reference.cases.values() if (term := Reference.next_of(case)) is not None]:
            self.clock.now = min(due)
            self.tick(0)
        assert all(case.state in ref.ENDED[case.process] for case in self.reference.cases.values()), "a case does not end"
        searched.update(self.reference.seen + self.counts + Counter(cases=len(self.reference.cases), reminders=self.heard.total()))

    def end(self, case: ref.Case) -> None:
        """Decide on a case that waits for people; every other ends by its terms."""
        if case.process == PAUZE and case.state in ref.WAIT:
            keten, weni = case.keten, f"werk-en-inkomen.{case.place}"
            handle = str(uuid.UUID(bytes=self.hub.keys.keten_handle(weni, keten)))
            self.publish(Told(ref.AFGEROND, weni, plain_data(ref.AFGEROND, self.today, "VOORTGEZET"), keten), handle, more=False)
            assert case.state == "afgerond"
        elif case.state == "taak-volbracht":
            asked = next(n for n, sent in self.reference.sent.items() if sent.keten == case.keten and sent.type == ref.VERZOCHT)
            told = Told(ref.BESLUIT, "cjib", decision_data("afgewezen", self.today), case.keten, cause=ref.VERZOCHT)
            self.publish(told, None, self.name_of("cjib", asked)[0], more=False)
            assert case.state == "afgewezen"

    def recalled(self) -> None:
        """Each delivery of what was taken back is answered by one withdrawal or correction to the same recipient."""
        with self.hub.database.read() as connection:
            gone = select(recalls.c.original)
            reached = deliveries.c.state.in_((State.READY, State.SENT))
            rows = connection.execute(select(deliveries.c.id, deliveries.c.recipient).where(deliveries.c.signal.in_(gone), reached)).all()
            about = connection.execute(
                select(deliveries.c.about, deliveries.c.recipient).where(deliveries.c.about.is_not(None), reached)
            ).all()
            decided = connection.execute(select(func.count()).where(decisions.c.outcome == 6)).scalar_one()
        assert Counter(tuple(row) for row in about) == Counter(tuple(row) for row in rows)
        assert decided >= len(rows)


def _given_name(received: Received) -> str | None:
    """Return the name of a keten that an event gives."""
    name: str | None = json.loads(received.body).get("correlationid")
    return name


def _failing_for(id_: str | None) -> Any:
    right = Work._decided

    def decided(self: Work, signal: Any, *rest: Any) -> Any:
        outcome = right(self, signal, *rest)
        if signal.id == id_ and isinstance(outcome, Outcome):
            raise ValueError
        return outcome

    return decided


def _next_change(day: date) -> datetime:
    """Return the moment at which the clocks are set forward or back next."""
    year = day.year
    for month in (3, 10, 15):
        last = date(year + month // 13, (month - 1) % 12 + 1, 31)
        sunday = last - timedelta((last.weekday() + 1) % 7)
        if sunday > day:
            return datetime(sunday.year, sunday.month, sunday.day, 3, tzinfo=ref.AMSTERDAM)
    raise AssertionError


TestThePauses = PauseMachine.TestCase
TestThePauses.settings = settings(QUICK, max_examples=25, stateful_step_count=30)


def test_the_reference_counts_working_days_as_the_hub_does() -> None:
    ruleset, _ = shipped()
    equated = ruleset.machines[PAUZE].equated
    assert equated == ref.EQUATED
    day = date(2026, 1, 1)
    while day < date(2033, 1, 1):
        assert ref.working_days(day.isoformat(), 1) == terms.working_days(day, 1, equated).isoformat()
        assert ref.midnight(day.isoformat()) == terms.midnight_ms(day)
        day += timedelta(1)
