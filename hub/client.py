"""What connectors and consumers use of the hub, and all that they use of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """A signal that a publisher hands to the hub.

    Without an `id` the hub client makes a random one; give one that follows from the
    content, and publishing the same thing twice changes nothing.
    """

    type: str
    data: Mapping[str, Any]
    id: str | None = None
    time: datetime | str | None = None
    """When it was published, with a zone (or as RFC 3339 text); the moment of publishing if absent."""
    correlation: str | None = None
    cause: str | None = None
    """An own signal_id, or a delivery_id that the publisher received."""
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiptError:
    """One fault of a signal: a reason code, the field if any, a sentence; never a value."""

    code: str
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the hub did with one published signal."""

    id: str
    signal_id: str | None
    correlation: str | None
    status: str
    """`accepted`, `rejected` or `duplicate`."""
    errors: tuple[ReceiptError, ...] = ()
    deferred: bool = False
    """Whether a delivery had to wait for room under a cap, as `nl.signaalhub.signaal-uitgesteld.v1` tells its publisher.

    Of a `duplicate`: whether one had to when the signal came first.
    """


class Gateway(Protocol):
    """The way into the hub for a connector."""

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Hand signals to the hub on behalf of `participant`.

        Returns one receipt a signal, in order. When it returns, accepted signals are
        durably stored. Raises `hub.errors.RetryLaterError` when they may not all be: publish
        the same again, under the same ids.
        """
        ...


class Track(Protocol):
    """Shows progress over an iterable (a bar on a terminal, nothing in a pipe)."""

    def __call__(self, items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
        """Yield the items unchanged."""
        ...


@dataclass(slots=True)
class RunReport:
    """The counts of one connector run; every item read is in exactly one of them."""

    read: int = 0
    accepted: int = 0
    duplicate: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """By reason code: read, but no signal follows from it."""
    refused: Counter[str] = field(default_factory=Counter)
    """By first reason code: published, but the hub refused it."""

    def count(self, receipt: Receipt) -> None:
        """Add what the hub said of one signal."""
        if receipt.status == "accepted":
            self.accepted += 1
        elif receipt.status == "duplicate":
            self.duplicate += 1
        else:
            self.refused[receipt.errors[0].code] += 1


@dataclass(frozen=True, slots=True)
class Connector:
    """How a connector presents itself: found by the entry point group `signaalhub.connectors`."""

    name: str
    summary: str
    settings: type[BaseModel]
    run: Callable[[Any, Gateway, Track], RunReport]
    """Called with an instance of `settings`. Runs to the end of its input and reports."""
