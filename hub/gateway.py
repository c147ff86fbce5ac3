"""What a connector gets of an opened hub: publishing, receiving, guards, its clock, and a wait that ends when told to stop."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from hub import cases
from hub.client import Delivery, Exchanged, GuardAnswer, Mailbox, NewSignal, Receipt
from hub.codec import UnreadableError
from hub.errors import RetryLaterError, StopError, UsageError
from hub.history import exchanged
from hub.transport.base import OUT

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.transport.base import Record

_READER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}").fullmatch
"""No dot: the group is `recipient.reader`, and recipients have dots."""
BATCH: Final = 500
"""How many signals are published between two looks at whether to stop."""


class HubGateway:
    """Implements `hub.client.Gateway` on a hub that this process opened.

    Args:
        hub: The opened hub.
        relays: Whether to send what is ready before a mailbox counts as empty. True embedded, where no relay need run
            beside a connector; false on Kafka, where relays are processes of their own.
        stop: Set when the process is told to stop; then every call that is safe to stop at raises RetryLaterError.
    """

    def __init__(self, hub: Hub, *, relays: bool = True, stop: threading.Event | None = None) -> None:
        self._hub = hub
        self._relays = relays
        self._stop = stop or threading.Event()

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Publish and decide at once."""
        receipts: list[Receipt] = []
        for start in range(0, len(signals), BATCH):
            self.look()
            receipts += self._hub.publish(participant, signals[start : start + BATCH])
        return receipts

    def mailbox(self, recipient: str, reader: str) -> Mailbox:
        """Open the deliveries of a participant, as a group of its own name: `recipient.reader`."""
        if self._hub.rulebooks.current.ruleset.participants.find(recipient) is None:
            raise UsageError("there is no such recipient", "see participants.yaml")
        if _READER(reader) is None:
            raise UsageError("a reader is named with small letters, digits and `-`", "for example the name of the connector")
        return HubMailbox(self, self._hub, recipient, f"{recipient}.{reader}", relays=self._relays)

    def history(self, participant: str, types: Collection[str]) -> Iterator[Exchanged]:
        """Read back from the database; what is ready is sent first where no relay runs beside this process."""
        self.look()
        if self._relays:
            self._hub.relay_once()
        return exchanged(self._hub, participant, types)

    def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:
        """Ask a guard; what is due counts as done, also when no clock ran yet."""
        answer = cases.may(self._hub, guard, participant, correlation)
        return GuardAnswer(answer.allowed, answer.code, answer.text)

    def now(self) -> datetime:
        """Return the hub's clock."""
        return datetime.fromtimestamp(self._hub.now_ms() / 1000, UTC)

    def pause(self, seconds: float) -> None:
        """Wait, unless told to stop."""
        self._stop.wait(seconds)
        self.look()

    def look(self) -> None:
        """Raise RetryLaterError when the process is told to stop: at this point everything done is whole."""
        if self._stop.is_set():
            raise RetryLaterError("told to stop before the end", "run it again: it goes on where it was")


class HubMailbox:
    """Implements `hub.client.Mailbox`. Not for use by two threads at once."""

    def __init__(self, gateway: HubGateway, hub: Hub, recipient: str, group: str, *, relays: bool) -> None:
        self._gateway = gateway
        self._hub = hub
        self._recipient = recipient
        self._relays = relays
        self._consumer = hub.transport.consumer(group, OUT + recipient, exact=True)
        self._given: dict[str, list[Record]] = {}
        """delivery_id -> where it lies, until it is done; more than one place when it came again."""

    def next(self, limit: int = BATCH) -> list[Delivery]:
        """Take what is on the topic; when nothing is, and no relay runs, send what is ready first."""
        self._gateway.look()
        records = self._consumer.poll(limit)
        if not records and self._relays and self._hub.relay_once():
            records = self._consumer.poll(limit)
        return [self._decoded(record) for record in records]

    def _decoded(self, record: Record) -> Delivery:
        try:
            found = Delivery(**self._hub.decoder.delivery(self._recipient, record.message.value, record.message.headers))
        except UnreadableError:
            raise StopError("a delivery on the wire cannot be read", "restore the newest backup of the home") from None
        self._given.setdefault(found.delivery_id, []).append(record)
        return found

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Commit the places of these, the first one of what came more than once. What this mailbox did not give is left alone."""
        records = [places.pop(0) for delivery in deliveries if (places := self._given.get(delivery.delivery_id))]
        if not records:
            return
        self._consumer.commit(records)
        furthest = max(record.offset for record in records)
        left = {name: [place for place in places if place.offset > furthest] for name, places in self._given.items()}
        self._given = {name: places for name, places in left.items() if places}

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def __enter__(self) -> HubMailbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
