"""Killing the hub at random moments under load, and the books that must balance afterwards."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from hub.app import IN, Hub, MovingClock, open_hub
from hub.client import NewSignal
from hub.codec import Received
from hub.domain import terms
from hub.relay import OUT
from hub.settings import HubSettings
from hub.storage.tables import Outcome, State, decisions, deliveries, quota_usage, rejections, signals
from hub.transport.base import Message
from tests.sample import address, address_data, debt_data

ROOT: Final = Path(__file__).parents[2]
START: Final = terms.moment("2026-11-02T09:00")
LATEST: Final = terms.moment("2027-03-01T00:00")
"""No later: after six months data is erased, and the books could not be checked against the wire."""
PER_ROUND: Final = 120
LONGEST_LIFE: Final = 0.35
"""Seconds; the work of a round takes about as long, so a kill falls anywhere in it."""


@dataclass(slots=True)
class Sent:
    """What was put on the ingress topics, all of it acknowledged."""

    good: set[str] = field(default_factory=set)
    bad: int = 0
    debts: int = 0
    repeats: int = 0


class Killing:
    """A home, a load on it, and children that work on it until they are killed."""

    def __init__(self, home: Path, seed: int) -> None:
        self.settings = HubSettings(home=home, rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas")
        self.random = random.Random(seed)
        self.sent = Sent()
        self.kills = 0
        self.finished = 0
        self.now = START

    def open(self) -> Hub:
        """Open the hub; never across a fork."""
        return open_hub(self.settings, clock=MovingClock(self.now))

    def load(self) -> None:
        """Put a round of work on the ingress topics: good, repeated, capped and wrong."""
        hub = self.open()
        events: dict[str, list[Received]] = defaultdict(list)
        for _ in range(PER_ROUND):
            events_of, event = self.one(hub)
            events[events_of].append(event)
            if self.random.random() < 0.05:
                self.sent.repeats += 1
                events[events_of].append(event)
        for participant, received in events.items():
            hub.transport.send(IN + participant, [Message(event.body, event.headers) for event in received])
        hub.close()

    def one(self, hub: Hub) -> tuple[str, Received]:
        """Return one event and its publisher."""
        id_ = f"k-{len(self.sent.good) + self.sent.bad}"
        kind = self.random.random()
        if kind < 0.15:
            self.sent.bad += 1
            return "burgerzaken.0855", Received("burgerzaken.0855", b'{"id": "' + id_.encode() + b'", broken')
        self.sent.good.add(id_)
        if kind < 0.5:
            self.sent.debts += 1
            data = debt_data(huisnummer=1 + len(self.sent.good) % 99_999)
            return "wonen-voorbeeld", hub.encode("wonen-voorbeeld", NewSignal(type="nl.wgs.achterstand-gesignaleerd.v1", data=data, id=id_))
        data = address_data(bag_id=f"{len(self.sent.good):016d}")
        return "burgerzaken.0855", hub.encode("burgerzaken.0855", NewSignal(type=address().type, data=data, id=id_))

    def round(self) -> None:
        """Load, let one or two children work, and kill each at a random moment."""
        self.load()
        if self.random.random() < 0.03 and self.now < LATEST:
            self.now = max(self.now, terms.midnight_ms(terms.next_period("month", terms.amsterdam_date(self.now))))
        children = [self.child() for _ in range(2 if self.random.random() < 0.3 else 1)]
        for child in children:
            time.sleep(self.random.random() * LONGEST_LIFE)
            os.kill(child, signal.SIGKILL)
        for child in children:
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                self.kills += 1
            else:
                assert os.WEXITSTATUS(status) == 0, "a child failed by itself"
                self.finished += 1

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

    # --- the books ------------------------------------------------------------------------

    def balance(self) -> Counter[str]:
        """Finish what is pending, and hold everything against what was sent. Returns the figures."""
        hub = self.open()
        left = hub.run_once()
        with hub.database.read() as connection:
            types = {
                number: hub.names.name(connection, number) for number in connection.execute(select(signals.c.type).distinct()).scalars()
            }
            own = [number for number, name in types.items() if name.startswith("nl.signaalhub.")]
            stored = connection.execute(select(func.count()).where(signals.c.type.not_in(own))).scalar_one()
            refused = connection.execute(select(func.count()).select_from(rejections)).scalar_one()
            decided = connection.execute(
                select(decisions.c.signal, decisions.c.grant, decisions.c.recipient).where(
                    decisions.c.outcome.in_((int(Outcome.DELIVER), int(Outcome.RELEASED)))
                )
            ).all()
            deferred = connection.execute(select(func.count()).where(decisions.c.outcome == int(Outcome.DEFER))).scalar_one()
            released = connection.execute(select(func.count()).where(decisions.c.outcome == int(Outcome.RELEASED))).scalar_one()
            expired = connection.execute(select(func.count()).where(decisions.c.outcome == int(Outcome.EXPIRED))).scalar_one()
            waiting = connection.execute(select(func.count()).where(deliveries.c.state == int(State.WAITING))).scalar_one()
            unsent = connection.execute(select(func.count()).where(deliveries.c.state == int(State.READY))).scalar_one()
            used = connection.execute(select(quota_usage.c.period, quota_usage.c.used)).all()
            orphans = connection.execute(
                select(func.count())
                .select_from(deliveries)
                .where(~select(decisions.c.id).where(decisions.c.signal == deliveries.c.signal).exists())
            ).scalar_one()
            told = [number for number, name in types.items() if name.endswith("signaal-geweigerd.v1")]
            refusals_told = connection.execute(select(func.count()).where(signals.c.type.in_(told))).scalar_one()
        assert stored == len(self.sent.good), "a signal was lost or counted twice"
        assert refused == refusals_told == self.sent.bad, "a refusal was lost, or told twice"
        assert len(set(decided)) == len(decided), "one delivery was decided twice"
        assert orphans == 0, "a delivery exists without a decision"
        assert unsent == 0
        assert deferred == released + waiting + expired
        assert all(count <= 50 for _, count in used), "more than the cap went out"
        if waiting:
            assert max(used)[1] == 50, "someone waits while there is room"
        found = self.wire(hub, len(decided))
        hub.close()
        return found + Counter(
            signals=stored,
            refused=refused,
            deferred=deferred,
            released=released,
            expired=expired,
            waiting=waiting,
            left_for_the_last_run=left,
        )

    def wire(self, hub: Hub, decided: int) -> Counter[str]:
        """Read every out topic: each decision once, copies identical, sequences without gap and in order."""
        consumer = hub.transport.consumer(None, OUT)
        copies: dict[str, tuple[bytes, dict[str, bytes]]] = {}
        sequences: dict[str, list[int]] = defaultdict(list)
        records = 0
        while batch := consumer.poll(5_000):
            for record in batch:
                records += 1
                headers = dict(record.message.headers)
                seen = copies.setdefault(headers["ce_id"].decode(), (record.message.value, headers))
                assert seen == (record.message.value, headers), "a copy of a delivery differs"
                number = int(headers["ce_sequence"])
                if number not in sequences[record.topic]:
                    sequences[record.topic].append(number)
        for topic, numbers in sequences.items():
            assert numbers == list(range(1, len(numbers) + 1)), f"{topic}: a gap, or out of order"
        assert len(copies) == decided, "deliveries on the wire are not the decisions to deliver"
        return Counter(delivered=len(copies), sent_again=records - len(copies))
