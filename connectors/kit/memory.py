"""A hub in memory: what a connector meets in a test. A contract test holds it and the real one to the same promises."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hub.client import Delivery, Exchanged, GuardAnswer, Mailbox, NewSignal, Receipt, ReceiptError

START: Final = datetime(2026, 11, 2, 8, tzinfo=UTC)
"""A Monday morning; tests begin here unless they say so."""
_SPACE: Final = uuid.UUID("6f1d5f0a-54a5-5b0e-9a55-0a6f5a1c7d10")


class MemoryGateway:
    """Implements `hub.client.Gateway`: keeps what is published, gives what it was made with, and never waits.

    Args:
        deliveries: What lies in the mailboxes, in order; each goes to its recipient.
        guards: The answer to (participant, correlation, guard); any other question is `keten-onbekend`.
        refuse: Gives the reason code for which a signal is refused, or None.
        step: Called with the name of the step before each thing that it does, one signal at a time; a test that raises
            there crashes its connector at that very point.
    """

    def __init__(
        self,
        deliveries: Iterable[Delivery] = (),
        *,
        guards: Mapping[tuple[str, str, str], GuardAnswer] | None = None,
        refuse: Callable[[NewSignal], str | None] = lambda _: None,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.deliveries = list(deliveries)
        self.guards = dict(guards or {})
        self.published: list[tuple[str, NewSignal]] = []
        """What was accepted, with who published it, in order."""
        self.pauses: list[float] = []
        """How long connectors waited, in seconds."""
        self.places: dict[tuple[str, str], int] = {}
        """How many deliveries of a recipient a reader has done."""
        self.refuse = refuse
        self.step = step
        self._known: set[tuple[str, str]] = set()
        self._now = START
        self._made = 0

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Keep signals one by one; a known id is a duplicate."""
        receipts = [self._take(participant, signal) for signal in signals]
        self.step("published")
        return receipts

    def _take(self, participant: str, signal: NewSignal) -> Receipt:
        self.step("publish")
        self._made += 1
        id_ = signal.id or f"memory-{self._made}"
        signal_id = str(uuid.uuid5(_SPACE, f"{participant} {id_}"))
        correlation = signal.correlation or str(uuid.uuid5(_SPACE, signal_id))
        if (participant, id_) in self._known:
            return Receipt(id_, signal_id, correlation, "duplicate")
        if code := self.refuse(signal):
            return Receipt(id_, signal_id, None, "rejected", (ReceiptError(code, None, "geweigerd"),))
        self._known.add((participant, id_))
        self.published.append((participant, signal))
        return Receipt(id_, signal_id, correlation, "accepted")

    def mailbox(self, recipient: str, reader: str) -> Mailbox:
        """Open the deliveries of a recipient where this reader was."""
        return _MemoryMailbox(self, recipient, reader)

    def history(self, participant: str, types: Collection[str]) -> Iterator[Exchanged]:
        """Give the deliveries of a participant, then what it published; nothing is forgotten here and nothing waited."""
        for delivery in self.deliveries:
            if delivery.recipient == participant and delivery.type in types:
                yield Exchanged(
                    id=delivery.delivery_id, type=delivery.type, own=False, time=datetime.fromisoformat(delivery.time),
                    cause=delivery.cause, replaces=delivery.replaces, data=delivery.data,
                )  # fmt: skip
        for publisher, signal in self.published:
            if publisher == participant and signal.type in types:
                yield Exchanged(
                    id=str(uuid.uuid5(_SPACE, f"{participant} {signal.id}")), type=signal.type, own=True, time=self._now,
                    cause=signal.cause, replaces=signal.replaces, data=signal.data,
                )  # fmt: skip

    def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:
        """Give the answer that was put in `guards`."""
        self.step("may")
        return self.guards.get((participant, correlation, guard), GuardAnswer(open=False, code="keten-onbekend"))

    def now(self) -> datetime:
        """Return the moment now, which moves with each pause."""
        return self._now

    def pause(self, seconds: float) -> None:
        """Move the clock; wait for nothing."""
        self.pauses.append(seconds)
        self._now += timedelta(seconds=seconds)


class _MemoryMailbox:
    def __init__(self, hub: MemoryGateway, recipient: str, reader: str) -> None:
        self._hub = hub
        self._key = (recipient, reader)
        self._next = hub.places.get(self._key, 0)
        self._open: list[tuple[int, Delivery]] = []
        """What was given and is not done, with its place."""

    @property
    def _own(self) -> list[Delivery]:
        return [delivery for delivery in self._hub.deliveries if delivery.recipient == self._key[0]]

    def next(self, limit: int = 500) -> list[Delivery]:
        self._hub.step("next")
        found = self._own[self._next : self._next + limit]
        self._open += enumerate(found, self._next + 1)
        self._next += len(found)
        return found

    def done(self, deliveries: Sequence[Delivery]) -> None:
        self._hub.step("done")
        for delivery in deliveries:
            place = next((place for place, given in self._open if given.delivery_id == delivery.delivery_id), None)
            if place is not None:
                self._open.remove((place, delivery))
                self._hub.places[self._key] = max(self._hub.places.get(self._key, 0), place)
        self._hub.step("did")

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> _MemoryMailbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
