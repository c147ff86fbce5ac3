"""The two loops of a connector: publish what follows from items, and act on deliveries. Every item is counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from connectors.kit.ids import spelled
from hub.client import Delivery, Gateway, Mailbox, NewSignal, RunReport

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing follows from this item, and the one reason code that counts for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side does not want this delivery, and the one reason code that counts for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """The other side had this delivery already."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The other side has this delivery now; what its recipient publishes in answer."""

    answers: Sequence[NewSignal] = ()
    """Each gets the delivery as cause, and an id that follows from it, unless it has its own."""


Outgoing = tuple[str, NewSignal]
"""Who publishes, and what."""


def publish_all(gateway: Gateway, report: RunReport, items: Iterable[Outgoing | Skipped], batch: int = BATCH) -> None:
    """Count every item and publish what follows from it, in order and in batches; memory holds one batch.

    Give every signal an id that follows from its content (`connectors.kit.ids`): then a run after a crash finds the
    first of them known. Raises what the gateway raises.
    """
    waiting: list[Outgoing] = []
    for item in items:
        report.read += 1
        if isinstance(item, Skipped):
            report.skipped[item.reason] += 1
            continue
        waiting.append(item)
        if len(waiting) == batch:
            _publish(gateway, report, waiting)
            waiting.clear()
    _publish(gateway, report, waiting)


def _publish(gateway: Gateway, report: RunReport, batch: Sequence[Outgoing]) -> None:
    by_participant: dict[str, list[NewSignal]] = {}
    for participant, signal in batch:
        by_participant.setdefault(participant, []).append(signal)
    for participant, signals in by_participant.items():
        for receipt in gateway.publish(participant, signals):
            report.count(receipt)


def take_all(
    gateway: Gateway,
    mailbox: Mailbox,
    report: RunReport,
    act: Callable[[Delivery], Taken | Known | Skipped | Refused],
    batch: int = BATCH,
) -> None:
    """Act on deliveries until there are none now, each to its end before it counts as done.

    After a crash the last ones come again, so `act` must have one effect a delivery_id however often it is called. When
    `act` raises, those before it are done and it comes again.
    """
    while deliveries := mailbox.next(batch):
        handled: list[Delivery] = []
        try:
            for delivery in deliveries:
                outcome = act(delivery)
                _answer(gateway, report, delivery, outcome)
                report.read += 1
                _count(report, outcome)
                handled.append(delivery)
        finally:
            mailbox.done(handled)


def _answer(gateway: Gateway, report: RunReport, delivery: Delivery, outcome: Taken | Known | Skipped | Refused) -> None:
    if not isinstance(outcome, Taken) or not outcome.answers:
        return
    signals = [
        replace(answer, cause=answer.cause or delivery.delivery_id, id=answer.id or f"antwoord-{number}-{spelled(delivery.delivery_id)}")
        for number, answer in enumerate(outcome.answers, 1)
    ]
    for receipt in gateway.publish(delivery.recipient, signals):
        report.answered(receipt)


def _count(report: RunReport, outcome: Taken | Known | Skipped | Refused) -> None:
    if isinstance(outcome, Taken):
        report.delivered += 1
    elif isinstance(outcome, Known):
        report.duplicate += 1
    elif isinstance(outcome, Skipped):
        report.skipped[outcome.reason] += 1
    else:
        report.refused[outcome.reason] += 1
