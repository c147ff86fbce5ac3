"""Killing the hub at random moments under load: flows without memory, cases with terms, recalls and receipts.

What must be so afterwards is in `tests/proof/books.py`.
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from unittest import mock

from sqlalchemy import select

from hub import app
from hub.app import Hub, MovingClock, open_hub
from hub.client import NewSignal
from hub.codec import Received
from hub.domain import signal as signals_of
from hub.domain import terms
from hub.domain.registers import HUB
from hub.placing import CONFIRMED, WITHDRAWN
from hub.settings import HubSettings
from hub.storage.tables import State, cases, deliveries, recalls, receipts, signals
from hub.transport.base import IN, Message
from tests import reference as ref
from tests.integration.pauses import (
    DECISIONS,
    PLACES,
    announcement,
    decision_data,
    fact_data,
    plain_data,
    plan_data,
    request_data,
    review_data,
)
from tests.proof.books import Books, Published, Sent
from tests.sample import ADDRESS, DEBT, address_data, debt_data
from tests.strategies import make_bsn

ROOT: Final = Path(__file__).parents[2]
START: Final = terms.moment("2026-11-02T09:00")
LATEST: Final = terms.moment("2027-03-01T00:00")
"""No later: after six months data is erased, and the books could not be checked against the wire."""
PER_ROUND: Final = 40
BAD: Final = 0.1
"""The share of what is sent that nobody can read."""
LIFE: Final = 0.35
"""Seconds that a child lives at most at first; from then on about as long as the work of a round takes, so a kill falls anywhere in it."""
LANDLORD: Final = "wonen-voorbeeld"
REGISTRY: Final = "burgerzaken.0855"
BSNS: Final = tuple(make_bsn(99_990_000 + 7 * i) for i in range(40))
MARKS: Final = tuple(str(uuid.UUID(int=i, version=4)) for i in range(1, 41))
Item = TypeVar("Item")


class OpenCase(NamedTuple):
    """A case that someone may act on."""

    process: str
    state: str
    keten: int
    place: str | None
    starter: str


class Own(NamedTuple):
    """A signal that its publisher may take back, or a recall that its recipient may confirm."""

    participant: str
    signal_id: bytes
    delivery_id: bytes = b""


class Known(NamedTuple):
    """What participants know of what was handled so far."""

    cases: list[OpenCase]
    standing: list[Own]
    """The latest signals that were not taken back."""
    requests: dict[int, bytes]
    """Keten -> the delivery of a request to the CJIB."""
    unconfirmed: list[Own]


class Killing:
    """A home, a load on it, and children that work on it until they are killed."""

    def __init__(self, home: Path, seed: int, *, bad: float = BAD) -> None:
        self.settings = HubSettings(home=home, rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas")
        self.loaded = app.load_files(self.settings)
        self.random = random.Random(seed)
        self.sent = Sent()
        self.bad = bad
        self.life = LIFE
        self.kills = 0
        self.finished = 0
        self.now = START

    def open(self) -> Hub:
        """Open the hub; never across a fork. The rules are read once: a child spends its life on signals."""
        with mock.patch.object(app, "load_files", lambda _settings: self.loaded):
            return open_hub(self.settings, clock=MovingClock(self.now))

    # --- the load -------------------------------------------------------------------------

    def load(self) -> None:
        """Put a round of work on the ingress topics."""
        hub = self.open()
        known = self.look(hub)
        events: dict[str, list[Received]] = defaultdict(list)
        for number in range(PER_ROUND):
            id_ = f"k-{len(self.sent.all) + self.sent.bad}-{number}"
            if self.random.random() < self.bad:
                self.sent.bad += 1
                events[REGISTRY].append(Received(REGISTRY, b'{"id": "' + id_.encode() + b'", broken'))
                continue
            published = self.one(hub, known)
            if published is not None:
                self.put(hub, events, published, id_)
        for participant, received in events.items():
            hub.transport.send(IN + participant, [Message(event.body, event.headers) for event in received])
        hub.close()

    def put(self, hub: Hub, events: dict[str, list[Received]], published: Published, id_: str) -> None:
        """Add an event under an id, now and then twice."""
        found = hub.rulebooks.current.ruleset.participants.find(published.participant)
        assert found is not None
        signal_id = signals_of.signal_id(found.source, id_)
        published = published._replace(signal=replace(published.signal, id=id_))
        self.sent.all[signal_id] = published
        if published.signal.type in {DEBT, ADDRESS} and published.signal.replaces is None:
            self.sent.good.add(signal_id)
        event = hub.encode(published.participant, published.signal)
        events[published.participant].append(event)
        if self.random.random() < 0.05:
            self.sent.repeated.add(signal_id)
            events[published.participant].append(event)

    def look(self, hub: Hub) -> Known:
        """Read what has happened so far, as far as participants could know it."""
        find, name = hub.names.find, hub.names.name
        with hub.database.read() as connection:
            processes = [find(connection, process) or 0 for process in (ref.PAUZE, ref.CJIB)]
            running = connection.execute(
                select(cases, signals.c.publisher).join(signals, signals.c.id == cases.c.keten)
                .where(cases.c.closed_at.is_(None), cases.c.process.in_(processes))
            ).all()  # fmt: skip
            latest = connection.execute(
                select(signals.c.signal_id, signals.c.publisher)
                .where(signals.c.publisher != (find(connection, HUB) or 0), signals.c.id.not_in(select(recalls.c.original)))
                .order_by(signals.c.id.desc()).limit(400)
            ).all()  # fmt: skip
            asked = connection.execute(
                select(signals.c.keten, deliveries.c.delivery_id).join(deliveries, deliveries.c.signal == signals.c.id)
                .where(signals.c.type == (find(connection, ref.VERZOCHT) or 0), deliveries.c.state == State.SENT)
            ).all()  # fmt: skip
            recalled = connection.execute(
                select(deliveries.c.delivery_id, deliveries.c.recipient, signals.c.signal_id).join(signals, signals.c.id == deliveries.c.signal)
                .join(receipts, (receipts.c.signal == deliveries.c.signal) & (receipts.c.recipient == deliveries.c.recipient))
                .where(receipts.c.confirmed_at.is_(None), deliveries.c.state == State.SENT)
            ).all()  # fmt: skip
            return Known(
                [OpenCase(name(connection, row.process), name(connection, row.state), row.keten, row.municipality,
                          name(connection, row.publisher)) for row in running],
                [Own(name(connection, row.publisher), row.signal_id) for row in latest if row.signal_id in self.sent.all],
                {row.keten: row.delivery_id for row in asked},
                [Own(name(connection, row.recipient), row.signal_id, row.delivery_id) for row in recalled],
            )  # fmt: skip

    # --- one event ------------------------------------------------------------------------

    def one(self, hub: Hub, known: Known) -> Published | None:
        """Return something that a participant sends, or None if there is nothing to send it about yet."""
        kind = self.random.random()
        if kind < 0.3:
            return self.debt()
        if kind < 0.45:
            bag = f"{len(self.sent.all):016d}"
            return Published(REGISTRY, NewSignal(type=ADDRESS, data=address_data(bag_id=bag)))
        if kind < 0.55:
            return self.announce()
        if kind < 0.72:
            return self.act(hub, self.some([case for case in known.cases if case.process == ref.PAUZE]))
        if kind < 0.76:
            return self.request()
        if kind < 0.86:
            return self.at_the_cjib(hub, known, self.some([case for case in known.cases if case.process == ref.CJIB]))
        if kind < 0.96:
            found = self.some(known.standing)
            return found and (self.take_back(found) if self.random.random() < 0.5 else self.correct(found))
        return self.confirm(self.some(known.unconfirmed))

    def some(self, known: list[Item]) -> Item | None:
        return self.random.choice(known) if known else None

    @property
    def today(self) -> str:
        return ref.day_of(self.now)

    def debt(self) -> Published:
        data = debt_data(huisnummer=1 + len(self.sent.all) % 99_999)
        return Published(LANDLORD, NewSignal(type=DEBT, data=data))

    def announce(self) -> Published:
        place, person = self.random.choice(PLACES), self.random.choice(BSNS)
        role = self.random.choice(ref.PUBLISHERS[ref.MELDING])
        data = announcement(place, person, "STUKKEN_ONTBREKEN", ref.days(self.today, 60), self.random.choice(["JA", "NEE"]))
        name = f"zaak-{len(self.sent.all)}" if self.random.random() < 0.3 else None
        return Published(f"{role}.{place}", NewSignal(type=ref.MELDING, data=data, correlation=name))

    def act(self, hub: Hub, case: OpenCase | None) -> Published | None:
        """Press, decide, react or carry out, mostly what the state of the case asks for."""
        if case is None:
            return None
        weni = [ref.INGESTELD, ref.AFGEWEZEN, ref.AFGEROND]
        fits = {"aangekondigd": [ref.GEVRAAGD, ref.GEVRAAGD, *ref.REACTIONS], "doorgang": [ref.GEVRAAGD, ref.UITGEVOERD], "gepauzeerd": weni,
                "geescaleerd": weni, "ingesteld": [ref.VERLENGD, ref.AFGEWEZEN, ref.AFGEROND]}[case.state]  # fmt: skip
        type_ = self.random.choice(fits if self.random.random() < 0.8 else [t for t, p in ref.PROCESS.items() if p == ref.PAUZE])
        sender = f"{self.random.choice(ref.PUBLISHERS[type_])}.{case.place}"
        until = ref.days(self.today, self.random.randrange(25))
        if type_ == ref.UITGEVOERD:
            data = fact_data(case.place or "", self.random.choice(BSNS), self.today)
        elif type_ == ref.MELDING:
            data = announcement(case.place or "", BSNS[0], "STUKKEN_ONTBREKEN", ref.days(self.today, 60), "JA")
        elif type_ == ref.INGESTELD:
            data = review_data(self.today, until)
        else:
            data = plain_data(
                type_, until if type_ == ref.VERLENGD else self.today, self.random.choice(["BEEINDIGD_NA_OVERLEG", "HERSTELD"])
            )
        return Published(sender, NewSignal(type=type_, data=data, correlation=_handle(hub, sender, case.keten)))

    def request(self) -> Published:
        place, role = self.random.choice(PLACES), self.random.choice(ref.PUBLISHERS[ref.VERZOCHT])
        data = request_data(place, self.random.choice(MARKS), ref.days(self.today, self.random.randrange(60)), self.today, 0, "JA")
        return Published(f"{role}.{place}", NewSignal(type=ref.VERZOCHT, data=data))

    def at_the_cjib(self, hub: Hub, known: Known, case: OpenCase | None) -> Published | None:
        """Decide on a request, ask for longer, or go on."""
        if case is None or case.keten not in known.requests:
            return None
        kind = self.random.random()
        if kind < 0.6:
            data = decision_data(self.random.choice(list(DECISIONS)), ref.days(self.today, self.random.randrange(40)))
            return Published("cjib", NewSignal(type=ref.BESLUIT, data=data, cause=str(uuid.UUID(bytes=known.requests[case.keten]))))
        if kind < 0.8:
            data = request_data(case.place or "", MARKS[0], ref.days(self.today, 90), self.today, 1, "JA")
            return Published(case.starter, NewSignal(type=ref.VERZOCHT, data=data, correlation=_handle(hub, case.starter, case.keten)))
        if kind < 0.9:
            data = plan_data(MARKS[0], self.today)
            return Published("cjib", NewSignal(type=ref.VOORNEMEN, data=data, correlation=_handle(hub, "cjib", case.keten)))
        sender = f"schuldhulp.{case.place}"
        data = plain_data(ref.TAAK, self.today, "")
        return Published(sender, NewSignal(type=ref.TAAK, data=data, correlation=_handle(hub, sender, case.keten)))

    def take_back(self, found: Own) -> Published:
        cause = str(uuid.UUID(bytes=found.signal_id))
        return Published(found.participant, NewSignal(type=WITHDRAWN, data={"redencode": "ONTERECHT"}, cause=cause), found.signal_id)

    def correct(self, found: Own) -> Published | None:
        original = self.sent.all[found.signal_id].signal
        if original.type in {WITHDRAWN, CONFIRMED}:
            return None
        day = ref.days(self.today, self.random.randrange(20))
        changed: dict[str, dict[str, Any]] = {
            DEBT: {"bedrag_cent": 1 + self.random.randrange(10**6), "crisissignaal": self.random.random() < 0.1},
            ADDRESS: {"niet_woonachtig_sinds": "20261001"},
            ref.MELDING: {"gepland_op": ref.days(self.today, 40), "lopend_hulptraject": self.random.choice(["JA", "NEE"])},
            ref.INGESTELD: {"herzien_op": day}, ref.VERLENGD: {"herzien_op": day}, ref.BESLUIT: {"tot": day},
            ref.VERZOCHT: {"gevraagd_tot": day},
        }  # fmt: skip
        replaces = str(uuid.UUID(bytes=found.signal_id))
        new = NewSignal(type=original.type, data={**original.data, **changed.get(original.type, {})}, replaces=replaces)
        return Published(found.participant, new, found.signal_id)

    def confirm(self, found: Own | None) -> Published | None:
        if found is None:
            return None
        cause = str(uuid.UUID(bytes=found.delivery_id))
        return Published(found.participant, NewSignal(type=CONFIRMED, data={"resultaat": "VERWERKT"}, cause=cause), found.signal_id)

    # --- killing --------------------------------------------------------------------------

    def round(self) -> None:
        """Load, let time pass, let one or two children work, and kill each at a random moment."""
        self.load()
        self.let_time_pass()
        children = [self.child() for _ in range(2 if self.random.random() < 0.3 else 1)]
        for child in children:
            time.sleep(self.random.random() * self.life)
            os.kill(child, signal.SIGKILL)
        for child in children:
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                self.kills += 1
                self.life = min(self.life * 1.08, 4.0)
            else:
                assert os.WEXITSTATUS(status) == 0, "a child failed by itself"
                self.finished += 1
                self.life = max(self.life * 0.85, 0.05)

    def let_time_pass(self) -> None:
        """Go to the next day now and then, and seldom to the next month: then terms fall due while children work."""
        chance, today = self.random.random(), terms.amsterdam_date(self.now)
        if chance < 0.02:
            self.now = terms.midnight_ms(terms.next_period("month", today))
        elif chance < 0.3:
            self.now = terms.midnight_ms(terms.next_period("day", today)) + self.random.randrange(2) * 36_000_000
        self.now = min(self.now, LATEST)

    def child(self) -> int:
        """Fork a process that works until nothing is pending."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                hub = self.open()
                hub.run_once()
                code = 0
            finally:
                os._exit(code)
        return pid

    def balance(self) -> Counter[str]:
        """Finish what is pending, and hold everything against what was sent. Returns the figures."""
        hub = self.open()
        left = hub.run_once()
        found = Books(hub, self.sent).check()
        hub.close()
        return found + Counter(left_for_the_last_run=left)


def _handle(hub: Hub, participant: str, keten: int) -> str:
    """Return the keten as a participant that takes part in it knows it."""
    return str(uuid.UUID(bytes=hub.keys.keten_handle(participant, keten)))
