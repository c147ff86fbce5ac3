"""What connectors and consumers use of the hub, and all that they use of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

Item = TypeVar("Item")
Kind = Literal["source", "sink", "both"]
"""What a connector does: bring signals to the hub, take deliveries from it, or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """A signal that a publisher hands to the hub.

    Without an `id` the hub client makes a random one; give one that follows from the
    content, and publishing the same thing twice changes nothing.
    """

    type: str
    data: Mapping[str, Any] = field(repr=False)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a recipient gets of a signal, decoded by the view of the grant; its repr shows no data."""

    delivery_id: str
    """The same at every repeat; whoever acts on a delivery acts once for each of these."""
    type: str
    grant: str
    purpose: str
    """What the recipient may use it for."""
    recipient: str
    sequence: int
    """Counts the deliveries of this recipient from 1, without gaps."""
    time: str
    """The moment of the decision, RFC 3339 in UTC."""
    subject: str | None = None
    """The person's pseudonym for this recipient in this flow."""
    correlation: str | None = None
    """The keten, as this recipient may name it."""
    cause: str | None = None
    replaces: str | None = None
    """The delivery_id that this one takes the place of."""
    data: Mapping[str, Any] = field(repr=False)
    """JSON values: dates and moments as ISO 8601 text, enum symbols as strings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What a participant received or published earlier, by the names that it has for things; its repr shows no data."""

    id: str
    """The delivery_id of what it received, the signal_id of what it published."""
    type: str
    own: bool
    """Whether it published this itself."""
    time: datetime
    """In UTC: the moment of the decision to deliver, or the moment at which the participant says that it published."""
    waited: bool = False
    """Whether a delivery had to wait for room; then `time` is when it was let go."""
    cause: str | None = None
    replaces: str | None = None
    data: Mapping[str, Any] | None = field(repr=False)
    """JSON values; None when the hub keeps the content no longer, or never did as nobody was to receive it."""


@dataclass(frozen=True, slots=True)
class GuardAnswer:
    """Whether something may be done now."""

    open: bool
    code: str | None = None
    """Why not; None when it is open."""
    text: str = ""
    """The same for people, in Dutch."""


class Mailbox(Protocol):
    """The deliveries of one recipient for one reader; a context manager that closes itself."""

    def next(self, limit: int = 500) -> list[Delivery]:
        """Return up to `limit` next deliveries in order; empty when there are none now.

        What was not `done` when the mailbox was closed, or when the process died, comes again, and what was done may
        come again: at least once, never less. Raises RetryLaterError, also when the process is told to stop.
        """
        ...

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Note that these need not come again, nor anything that came before them."""
        ...

    def close(self) -> None:
        """Let go; another process may then read as this reader."""
        ...

    def __enter__(self) -> Mailbox: ...
    def __exit__(self, *_: object) -> None: ...


class Gateway(Protocol):
    """All that a connector has of the world beside the system that it speaks for."""

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Hand signals to the hub on behalf of `participant`.

        Returns one receipt a signal, in order. When it returns, accepted signals are durably stored. Raises
        `hub.errors.RetryLaterError` when not all were: the first of them may be stored, and publishing all again under
        the same ids is safe.
        """
        ...

    def mailbox(self, recipient: str, reader: str) -> AbstractContextManager[Mailbox]:
        """Open the deliveries of a participant.

        Each `reader` (small letters, digits and `-`) gets all of them and keeps its own place; of two processes with the
        same reader one gets them at a time, and the other finds nothing. Raises UsageError for an unknown recipient.
        """
        ...

    def history(self, participant: str, types: Collection[str]) -> Iterable[Exchanged]:
        """Read back the signals of these types that a participant received, in order, and then those that it published.

        They are there for as long as the hub keeps them, also when a topic does not. Raises UsageError for an unknown
        participant.
        """
        ...

    def may(self, participant: str, correlation: str, guard: str) -> GuardAnswer:
        """Ask a guard whether something may be done now in a keten, as that participant names it.

        Raises UsageError for an unknown guard or participant; a keten that the participant does not know is closed.
        """
        ...

    def now(self) -> datetime:
        """Return the moment now, in UTC: the hub's clock, which `--now` and tests set."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait between two tries. Raises RetryLaterError when the process is told to stop meanwhile."""
        ...


class Track(Protocol):
    """Shows progress over an iterable (a bar on a terminal, nothing in a pipe)."""

    def __call__(self, items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:
        """Yield the items unchanged."""
        ...


@dataclass(slots=True)
class RunReport:
    """The counts of one run; every item read is in exactly one of them, answers apart.

    An item is a row, record or message of the agency, or a delivery.
    """

    read: int = 0
    accepted: int = 0
    duplicate: int = 0
    """Known already: the hub had the signal, or the other side had the delivery."""
    delivered: int = 0
    """Deliveries that the other side took."""
    skipped: Counter[str] = field(default_factory=Counter)
    """By reason code: read, but nothing follows from it."""
    refused: Counter[str] = field(default_factory=Counter)
    """By first reason code: published, but the hub refused it; or handed over, but the other side refused it."""
    answers: Counter[str] = field(default_factory=Counter)
    """Signals published in answer to deliveries, by `accepted`, `duplicate`, or the first reason code of a refusal.

    In an export: the answers given earlier that it tells of, by what they said.
    """

    def count(self, receipt: Receipt) -> None:
        """Add what the hub said of the signal of one item."""
        if receipt.status == "accepted":
            self.accepted += 1
        elif receipt.status == "duplicate":
            self.duplicate += 1
        else:
            self.refused[receipt.errors[0].code] += 1

    def answered(self, receipt: Receipt) -> None:
        """Add what the hub said of an answer to a delivery; the delivery itself is counted apart."""
        self.answers[receipt.errors[0].code if receipt.status == "rejected" else receipt.status] += 1

    @property
    def balanced(self) -> bool:
        """Whether every item read is accounted for."""
        return self.read == self.accepted + self.duplicate + self.delivered + self.skipped.total() + self.refused.total()


Run = Callable[[Any, Gateway, Track], RunReport]
"""Called with an instance of the settings. Runs to the end of its input and reports.

Raises StopError when a person has to put something right first, RetryLaterError when the same run may succeed later.
Either way, and after a kill, running again loses nothing and does nothing twice.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """How a connector presents itself: found by the entry point group `signaalhub.connectors`."""

    name: str
    summary: str
    kind: Kind
    settings: type[BaseModel]
    """Every field has a description; secrets are SecretStr. A field `state_dir` gets a folder in the home by itself."""
    ping: Callable[[Any], None]
    """Called with an instance of `settings`. Raises a HubError when the other side cannot be used now; changes nothing."""
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What acts on deliveries within the hub's own house: found by the entry point group `signaalhub.consumers`."""

    name: str
    summary: str
    settings: type[BaseModel]
    run: Run
