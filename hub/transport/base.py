"""What the hub asks of a transport. One contract suite holds every implementation to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from hub.errors import HubError
from hub.stopping import Stop, never

IN: Final = "signals.in."
"""What ingress topics begin with; the rest is the participant that publishes there."""
OUT: Final = "signals.out."
"""What out topics begin with; the rest is the participant that reads there."""
ROUTERS: Final = "routers"
"""The group of those that take signals from ingress topics."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: raw bytes and headers; the transport looks into neither."""

    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    """By name. Bytes of a name that are not UTF-8 are escaped as in PEP 383."""
    expires_ms: int | None = None
    """From when on the transport may drop it; None leaves that to the transport."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is received: a message with its place."""

    topic: str
    partition: int
    offset: int
    """Goes up within a topic and partition, with gaps perhaps."""
    message: Message


class Consumer(Protocol):
    """One member of a consumer group, or a reader without one."""

    def poll(self, limit: int, stop: Stop = never) -> list[Record]:
        """Return up to `limit` next records, in order within each topic; empty if there are none now.

        With a limit of 0 it takes nothing and stays a member of the group. Waits a fraction of a second at most; the
        first time, while it joins its group, some seconds unless it is told to stop.
        Does not commit: after a crash, everything that was not committed comes
        again, to this member or another of the group.
        """
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Note that these records, and all before them in their topics, need not come again."""
        ...

    def rewind(self) -> None:
        """Go back to what was committed last: what was polled since could not be handled."""
        ...

    def close(self) -> None:
        """Leave the group; its topics go to another member, from the last commit on."""
        ...


class Transport(Protocol):
    """Durable, ordered topics."""

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages in order. When it returns they are durable.

        If it raises, none, some or all are there; who sends them again repeats the same bytes in the same order.
        """
        ...

    def send_all(self, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        """Append messages to several topics, as `send` does to one: quicker than one topic after another.

        Returns the topics of which none, some or all messages may be missing, each with why. Raises when it is so for all of them.
        """
        ...

    def alone(self, names: Collection[str]) -> AbstractContextManager[frozenset[str]]:
        """Say of which of these names this process is the only one in a block; not of those that another is in."""
        ...

    def expire(self) -> int:
        """Drop what is past its time; on ingress topics only what has been read. Returns how many."""
        ...

    def lag(self, group: str, prefix: str) -> int:
        """Return how many records on the topics that begin with `prefix` a group has yet to commit."""
        ...

    def check(self) -> None:
        """Raise RetryLaterError, within some seconds, if what carries the topics does not answer. Any thread may call it."""
        ...

    def close(self) -> None:
        """Leave every group and let go of what is held."""
        ...

    def consumer(self, group: str | None, prefix: str, *, exact: bool = False) -> Consumer:
        """Join a group on all topics that begin with `prefix`, also those made later; `exact`: on that one topic only.

        In a group each topic has one reader at a time. Without a group the reader is on its own,
        starts at the beginning and commits nothing.
        """
        ...
