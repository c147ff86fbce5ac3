"""What must balance after any number of kills: everything that was sent, and all that follows from it, exactly once."""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, select

from hub.app import Hub
from hub.casebook import Casebook
from hub.cases import ask
from hub.client import NewSignal
from hub.domain import terms
from hub.domain.processfile import REMINDER
from hub.domain.registers import HUB
from hub.placing import CONFIRMED, WITHDRAWN
from hub.recall import OWN_GRANT
from hub.refusing import REFUSED
from hub.storage.tables import (
    Outcome,
    Recall,
    State,
    case_steps,
    cases,
    decisions,
    deliveries,
    quota_usage,
    recalls,
    receipts,
    rejections,
    signals,
)
from hub.transport.base import OUT
from tests import reference as ref
from tests.integration.pauses import heard
from tests.reference import Reference, Told

GUARDS: Final = {
    ref.PAUZE: ("maatregel-uitvoeren",),
    ref.CJIB: ("inning-voortzetten", "gijzeling-uitvoeren", "verhoging-innen", "verhoging-laten-vervallen"),
}
CAP: Final = 50
"""What goes out a month in Eindhoven."""
ENDS: Final = {
    "deliver": State.SENT, "defer": State.WAITING, "defer released": State.SENT, "defer recalled": State.DROPPED,
    "defer expired": State.DROPPED, "held": State.HELD, "held released": State.SENT, "held recalled": State.DROPPED,
    "held expired": State.DROPPED, "deliver recalled": State.SENT, "defer released recalled": State.SENT,
    "held released recalled": State.SENT, "withhold": None,
}  # fmt: skip
"""Every way that the decisions on one grant, recipient and signal can go, and where it leaves the delivery."""


class Published(NamedTuple):
    """What a participant sent, and the earlier signal that it takes back, replaces or answers."""

    participant: str
    signal: NewSignal
    original: bytes | None = None


@dataclass(slots=True)
class Sent:
    """What was put on the ingress topics, all of it acknowledged."""

    good: set[bytes] = field(default_factory=set)
    """The signal_ids of what nothing can be against."""
    all: dict[bytes, Published] = field(default_factory=dict)
    bad: int = 0
    repeated: set[bytes] = field(default_factory=set)


Key = tuple[int, str | None, str]
"""Signal, grant, recipient."""


class Books:
    """Everything that the database and the topics of a hub hold, against what was sent to it."""

    def __init__(self, hub: Hub, sent: Sent) -> None:
        self.hub = hub
        self.sent = sent
        with hub.database.read() as connection:

            def rows(table: Table) -> list[Any]:
                return list(connection.execute(select(table).order_by(*table.primary_key.columns)).all())

            self.signals = rows(signals)
            self.decisions = rows(decisions)
            self.deliveries = rows(deliveries)
            self.recalls = rows(recalls)
            self.receipts = rows(receipts)
            self.rejections = rows(rejections)
            self.cases = rows(cases)
            self.steps = rows(case_steps)
            self.used = rows(quota_usage)
            book = Casebook(connection, hub.names, hub.keys)
            self.stored = {row.id: book.by_id(row.id) for row in self.cases}
        self.reference = Reference()
        self.figures: Counter[str] = Counter()

    def name(self, number: int | None) -> str:
        """Return the name behind a number."""
        if number is None:
            return ""
        if number not in self._names:
            with self.hub.database.read() as connection:
                self._names[number] = self.hub.names.name(connection, number)
        return self._names[number]

    @cached_property
    def _names(self) -> dict[int, str]:
        return {}

    @cached_property
    def by_id(self) -> dict[int, Any]:
        """Every signal by its number."""
        return {row.id: row for row in self.signals}

    @cached_property
    def said(self) -> dict[Key, list[str]]:
        """What was decided for each signal, grant and recipient, in order."""
        found: dict[Key, list[str]] = defaultdict(list)
        for row in self.decisions:
            outcome = Outcome(row.outcome).name.lower()
            found[row.signal, row.grant, row.recipient].append("held" if row.reason == "wacht-op-oppakken" else outcome)
        return found

    def check(self) -> Counter[str]:
        """Hold everything against everything. Returns the figures."""
        self.every_signal_once()
        self.every_decision_once()
        self.the_cap()
        self.every_recall_once()
        self.every_receipt_once()
        self.every_case_follows_from_its_steps()
        self.every_reminder_once()
        self.as_the_rule_text_says()
        self.no_recall_before_its_original()
        self.on_the_wire()
        return self.figures

    # --- signals --------------------------------------------------------------------------

    def every_signal_once(self) -> None:
        """What was sent is stored or refused, once; refusals are told, once."""
        stored = [row.signal_id for row in self.signals if self.name(row.publisher) != HUB]
        refused = [row.signal_id for row in self.rejections]
        unreadable = refused.count(None)
        known = Counter(stored) + Counter(signal_id for signal_id in refused if signal_id)
        told = sum(self.name(row.type) == REFUSED for row in self.signals)
        assert len(set(stored)) == len(stored), "a signal is stored twice"
        assert known.keys() == self.sent.all.keys(), "a signal was lost, or is of nobody"
        assert self.sent.good <= set(stored), "a good signal was refused"
        assert unreadable == self.sent.bad, "a refusal was lost, or is kept twice"
        twice = {signal_id for signal_id, count in known.items() if count > 1} - self.sent.repeated
        first = {row.signal_id: row.received_at for row in self.rejections if row.signal_id in twice}
        then = {row.signal_id: row.received_at for row in self.signals if row.signal_id in twice}
        assert all(first.get(one, 0) <= then.get(one, -1) for one in twice), "a signal was refused after it was stored"
        assert len(set(refused)) == len(refused) - max(unreadable - 1, 0), "a refusal is kept twice"
        assert told == len(refused), "a refusal was not told, or told twice"
        self.figures.update(signals=len(stored), refused=len(refused), repeated=len(self.sent.repeated))

    # --- decisions and deliveries -----------------------------------------------------------

    def every_decision_once(self) -> None:
        """Each delivery is where the decisions on it left it, and there is none without."""
        found: dict[Key, list[int]] = defaultdict(list)
        for row in self.deliveries:
            found[row.signal, row.grant, row.recipient].append(row.state)
        assert found.keys() <= self.said.keys(), "a delivery exists without a decision"
        for key, outcomes in self.said.items():
            way = " ".join(outcomes)
            assert way in ENDS, f"decided as {way}"
            self.figures[way.replace(" ", " then ")] += 1
            if way == "defer recalled" and not found[key]:
                continue  # a correction took its place in the queue
            expected = [] if ENDS[way] is None else [ENDS[way]] * self.times(key)
            assert found[key] == expected, f"decided as {way}, and left in {found[key]}"

    def times(self, key: Key) -> int:
        """Return how many deliveries one decision makes: a withdrawal answers every one that its recipient has."""
        signal, grant, recipient = key
        if self.name(grant) != OWN_GRANT:  # type: ignore[arg-type]
            return 1
        original = self.by_id[signal].cause
        mine = [row for row in self.answerable(original) if row.recipient == recipient]
        return sum(self.answers[row.id].signal == signal for row in mine if row.id in self.answers)

    def the_cap(self) -> None:
        """The quota counts what went out under it, place by place, and nobody waits while there is room."""
        counted: dict[int, list[int]] = defaultdict(list)
        for row in self.decisions:
            if row.counted is not None and row.outcome in {Outcome.DELIVER, Outcome.RELEASED}:
                counted[int(terms.amsterdam_date(row.at).strftime("%Y%m"))].append(row.counted)
        used = [row.used for row in sorted(self.used, key=lambda row: row.period)]
        assert [sorted(places) for _, places in sorted(counted.items())] == [list(range(count)) for count in used], "the quota is not exact"
        assert all(count <= CAP for count in used), "more than the cap went out"
        waiting = sum(row.state == State.WAITING for row in self.deliveries)
        if waiting:
            assert used[-1] == CAP, "someone waits while there is room"
        assert not any(row.state == State.READY for row in self.deliveries), "something was not sent"
        self.figures.update(waiting=waiting, months=len(used))

    # --- recalls --------------------------------------------------------------------------

    @cached_property
    def answers(self) -> dict[int, Any]:
        """Delivery -> the one that takes it back or replaces it."""
        found: dict[int, Any] = {}
        for row in self.deliveries:
            if row.about is not None:
                assert row.about not in found, "a delivery was taken back twice"
                found[row.about] = row
        return found

    def answerable(self, original: int) -> list[Any]:
        """Return every delivery of a signal that was sent."""
        return [row for row in self.of_signal[original] if row.state == State.SENT]

    @cached_property
    def of_signal(self) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for row in self.deliveries:
            found[row.signal].append(row)
        return found

    def every_recall_once(self) -> None:
        """Whoever got what was taken back got one withdrawal or correction of it, and the original says so."""
        taken_back = {row.original: row for row in self.recalls}
        sent = {row.id: row for row in self.deliveries}
        for about, answer in self.answers.items():
            original, by = sent[about], self.by_id[answer.signal]
            assert original.signal in taken_back, "a recall was lost"
            recall = taken_back[original.signal]
            by_the_hub = self.name(by.publisher) == HUB and self.name(by.type) == WITHDRAWN and by.cause == original.signal
            assert answer.recipient == original.recipient, "somebody else was told"
            assert answer.signal == recall.by or (by_the_hub and recall.kind == Recall.CORRECTED)
            self.figures["withdrawn" if self.name(by.type) == WITHDRAWN else "corrected"] += 1
        for row in self.recalls:
            original = self.by_id[row.original]
            published = self.sent.all[self.by_id[row.by].signal_id]
            assert published.original == original.signal_id, "another signal was taken back"
            assert {one.id for one in self.answerable(row.original)} <= self.answers.keys(), "somebody was not told"
        for (signal, _, _), outcomes in self.said.items():
            standing = outcomes[0] in {"deliver", "defer", "held"} and "expired" not in outcomes
            own = self.name(self.by_id[signal].publisher) == HUB
            assert ("recalled" in outcomes) == (signal in taken_back and standing and not own), "decided otherwise on the original"
        asked = [self.sent.all[row.signal_id] for row in self.signals if row.signal_id in self.sent.all]
        recalling = sum(one.signal.type == WITHDRAWN or one.signal.replaces is not None for one in asked)
        assert recalling == len(self.recalls), "a recall was lost"
        self.figures["recalls"] = len(self.recalls)

    def every_receipt_once(self) -> None:
        """A receipt is open for each who was told of a recall, and closed for each who confirmed it."""
        told = {(row.signal, row.recipient) for row in self.answers.values()}
        assert {(row.signal, row.recipient) for row in self.receipts} == told, "receipts are not of who was told"
        confirming = [(row.cause, row.publisher) for row in self.signals if self.name(row.type) == CONFIRMED]
        assert len(set(confirming)) == len(confirming), "a receipt was taken twice"
        assert {(row.signal, row.recipient) for row in self.receipts if row.confirmed_at is not None} == set(confirming)
        self.figures.update(receipts=len(self.receipts), confirmed=len(confirming))

    # --- cases ----------------------------------------------------------------------------

    def every_case_follows_from_its_steps(self) -> None:
        """Each case stands where its steps left it, and nothing of it is overdue."""
        steps: dict[int, list[Any]] = defaultdict(list)
        for row in self.steps:
            steps[row.case].append(row)
        for row in self.cases:
            case = self.stored[row.id]
            assert case is not None
            before: int | None = None
            variables: dict[str, Any] = {}
            for step in steps.pop(row.id):
                assert step.from_state == before, "a step is missing"
                after = json.loads(self.hub.keys.open_log(step.sealed))
                differs = (step.to_state, after) != (before, variables)
                assert step.moved >= differs, "a step that moved the case says that it did not"
                before, variables = step.to_state, after
            assert (row.state, dict(case.case.variables)) == (before, variables), "the case is not where its steps left it"
            assert row.next_due is None or row.next_due > self.hub.now_ms(), "a term is overdue"
            assert row.next_due == case.case.next_due
            machine = self.hub.rulebooks.current.ruleset.machines[case.process]
            assert (row.closed_at is not None) == (self.name(row.state) in machine.final)
        assert not steps, "a step is of no case"
        self.figures.update(cases=len(self.cases), steps=len(self.steps))

    def every_reminder_once(self) -> None:
        """Each term that fell due is one step, and one reminder if it tells anyone."""
        machines = self.hub.rulebooks.current.ruleset.machines
        fell_due: Counter[tuple[int, str, str]] = Counter()
        by_steps: Counter[tuple[int, str, str]] = Counter()
        for case in self.stored.values():
            assert case is not None
            fell_due.update((case.keten, case.process, code) for code, _ in case.case.fired)
        for row in self.steps:
            case = self.stored[row.case]
            if case is not None and row.signal is None:
                by_steps[case.keten, case.process, self.name(row.trigger)] += 1
        assert fell_due == by_steps, "a term fell due twice, or without a step"
        self.heard, _ = heard(self.hub)
        told = Counter(dict.fromkeys(fell_due, 0))
        for reminder, count in self.heard.items():
            if reminder.code in machines[reminder.process].term:
                told[reminder.keten, reminder.process, reminder.code] += count
        tells = {(name, term.code) for name, machine in machines.items() for term in machine.terms if term.step.notice is not None}
        assert told == Counter({key: count if key[1:] in tells else 0 for key, count in fell_due.items()}), (
            "a reminder is missing, or came twice"
        )
        assert self.heard.total() == sum(self.name(row.type) == REMINDER for row in self.signals)
        self.figures.update(terms=fell_due.total(), reminders=self.heard.total())

    def as_the_rule_text_says(self) -> None:
        """The reference, given what was accepted in the order in which it was, has the same cases, guards and reminders."""
        numbers = {row.signal_id: row.id for row in self.signals}
        for row in self.signals:
            published = self.sent.all.get(row.signal_id)
            if published is not None:
                self.reference.advance(row.received_at)
                self.play(row, published, numbers)
        now = self.hub.now_ms()
        self.reference.advance(now)
        found = {(self.name(row.process), row.keten): self.name(row.state) for row in self.cases}
        mine = {at: state for at, state in found.items() if at[0] in GUARDS}
        assert mine == {at: case.state for at, case in self.reference.cases.items()}
        expected = Counter({reminder: count for reminder, count in self.heard.items() if reminder.process in GUARDS})
        assert expected == self.reference.reminders, "somebody heard what the rule text does not say, or did not hear it"
        for process, keten in list(mine)[-400:]:
            for guard in GUARDS[process]:
                assert ask(self.hub, guard, keten).code == self.reference.may(guard, keten)
        self.figures.update(played=len(self.reference.sent), pauses=len(mine))

    def play(self, row: Any, published: Published, numbers: dict[bytes, int]) -> None:
        """Let the reference take in one signal that was accepted."""
        new, at = published.signal, row.received_at
        original = numbers[published.original] if published.original else None
        if new.type == WITHDRAWN and original in self.reference.sent:
            code, move = self.reference.judge_withdrawal(published.participant, original, at)
            assert code is None, f"accepted, though {code}"
            self.reference.withdraw(original, move, at)
        elif new.type in ref.PUBLISHERS:
            told = Told(new.type, published.participant, new.data, None if row.keten == row.id else row.keten, replaces=original)
            told.cause = self.name(self.by_id[row.cause].type) if row.cause else None
            codes, move = self.reference.judge(told, at)
            assert not codes, f"accepted, though {codes}"
            self.reference.accept(told, row.id, row.keten, move, at)

    def no_recall_before_its_original(self) -> None:
        """What takes back or replaces a delivery comes after it in the recipient's sequence."""
        place = {row.id: row.sequence for row in self.deliveries if row.state == State.SENT}
        told = [row for row in self.deliveries if row.about is not None and row.state == State.SENT]
        assert all(place[row.about] < row.sequence for row in told), "a recall came before its original"
        self.figures.update(taken_back=len(told))

    # --- the wire -------------------------------------------------------------------------

    def on_the_wire(self) -> None:
        """Read every out topic: each delivery once, copies identical, sequences without gap and in order."""
        consumer = self.hub.transport.consumer(None, OUT)
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
        sent = {str(uuid.UUID(bytes=row.delivery_id)) for row in self.deliveries if row.state == State.SENT}
        assert copies.keys() == sent, "deliveries on the wire are not the decisions to deliver"
        self.figures.update(delivered=len(copies), sent_again=records - len(copies))
