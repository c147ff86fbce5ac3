"""Topics on Apache Kafka, for a hub of more than one process or machine.

Raw bytes go in and come out: nothing is decoded inside the client, where a bad record would escape every guard. What is
sent waits for all replicas (`acks=all`, idempotent producer). Offsets are committed by hand, after a recorded outcome.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    SaslAuthenticationFailedError,
    UnknownMemberIdError,
)

from hub.errors import HubError, RetryLaterError, StopError
from hub.transport.base import Consumer, Message, Record

_MOVED: Final = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)
_REFUSED: Final = (AuthorizationError, SaslAuthenticationFailedError)
_FIRST: Final = 0
"""The partition of what the hub sends: one partition, so one order, also in a topic that has more."""
_CLOSING_MS: Final = 5_000
_BOOTSTRAP_MS: Final = 8_000


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How to reach the brokers, and how patient to be. Times are milliseconds."""

    bootstrap: str
    security: Mapping[str, Any] = field(default_factory=dict)
    """Options of kafka-python for TLS and SASL."""
    instance: str | None = None
    """A name that a router keeps when it starts again: then its partitions wait for it (static membership)."""
    wait_ms: int = 200
    """How long one poll waits for records."""
    fresh_ms: int = 5_000
    """How soon a new topic is seen."""
    session_ms: int = 10_000
    """After how long without a sign of life the partitions of a member go to another."""
    deliver_ms: int = 30_000
    """How long a send may take, with all repeats."""


def scram(user: str, password: str, ca: Path | None) -> dict[str, Any]:
    """Return the security options for SASL/SCRAM-SHA-512 over TLS."""
    return {
        "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": user, "sasl_plain_password": password,
        "ssl_cafile": None if ca is None else str(ca),
    }  # fmt: skip


class KafkaTransport:
    """Implements `Transport` on a Kafka cluster."""

    def __init__(self, options: KafkaOptions, alone: Callable[[str], AbstractContextManager[bool]]) -> None:
        self._options = options
        self._alone = alone
        self._producer: KafkaProducer | None = None
        self._consumers: list[Member | Reader] = []

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages in order, all to one partition. Raises RetryLaterError or StopError.

        When it raises, the first of them may be there: sent again they are repeats with the same bytes.
        """
        if not messages:
            return
        with translated():
            producer = self._open_producer()
            try:
                sent = [producer.send(topic, value=m.value, partition=_FIRST, headers=list(m.headers.items())) for m in messages]
                producer.flush(timeout=(self._options.deliver_ms + _CLOSING_MS) / 1000)  # by then each is there or given up
                for one in sent:
                    one.get(timeout=0)
            except KafkaError:
                self._drop_producer()  # what it still holds must not go out after what is sent next
                raise

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """Say whether this process is the only one in a block of this name."""
        return self._alone(name)

    def expire(self) -> int:
        """Nothing: the brokers drop what is past the retention of its topic."""
        return 0

    def lag(self, group: str, prefix: str) -> int:
        """Hold the ends of the topics against what the group committed; joins nothing."""
        options = {**connection(self._options), "group_id": group, "enable_auto_commit": False}
        with translated(), contextlib.closing(KafkaConsumer(**options)) as reader:
            held = _partitions(reader, prefix)
            ends, starts = reader.end_offsets(held), reader.beginning_offsets(held)
            done = {partition: reader.committed(partition, timeout_ms=self._options.session_ms) for partition in held}
        return sum(ends[partition] - max(done[partition] or 0, starts[partition]) for partition in held)

    def consumer(self, group: str | None, prefix: str, *, exact: bool = False) -> Consumer:
        """Join a group on all topics that begin with `prefix`, or read them alone from the beginning."""
        with translated():
            options = self._options
            made = Member(options, group, prefix, exact=exact) if group is not None else Reader(options, prefix, exact=exact)
        self._consumers = [*(one for one in self._consumers if not one.closed), made]
        return made

    def close(self) -> None:
        """Leave every group and let go of the connections; what was sent is there already."""
        for consumer in self._consumers:
            consumer.close()
        self._consumers.clear()
        self._drop_producer()

    def _open_producer(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                **connection(self._options), acks="all", enable_idempotence=True, linger_ms=5, batch_size=262_144,
                delivery_timeout_ms=self._options.deliver_ms, request_timeout_ms=self._options.deliver_ms // 3,
                max_block_ms=self._options.deliver_ms // 3,
            )  # fmt: skip
        return self._producer

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(timeout=_CLOSING_MS / 1000)
            except KafkaError:
                producer._sender.force_close()  # noqa: SLF001  (its `close` waits first, and when that fails it closes nothing)


class _Owned(ConsumerRebalanceListener):  # type: ignore[misc]
    """Which partitions a member owns, and what of them it owned before is no longer its own to commit."""

    def __init__(self) -> None:
        self.from_: dict[TopicPartition, int | None] = {}
        """Partition -> the offset at which this ownership began; None until the first record of it."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        for partition in assigned:
            self.from_.setdefault(partition, None)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        for partition in revoked:
            self.from_.pop(partition, None)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self.on_partitions_revoked(lost)


class Member:
    """A member of a consumer group. Implements `Consumer`. Not for use by two threads at once."""

    def __init__(self, options: KafkaOptions, group: str, prefix: str, *, exact: bool) -> None:
        self._options = options
        self._owned = _Owned()
        self.closed = self._joined = False
        self._since: dict[TopicPartition, int] = {}
        """Partition -> the first offset that was taken and is not committed yet."""
        self._consumer = KafkaConsumer(
            **connection(options), group_id=group, group_instance_id=options.instance, enable_auto_commit=False,
            auto_offset_reset="earliest", partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=options.session_ms, heartbeat_interval_ms=options.session_ms // 4, metadata_max_age_ms=options.fresh_ms,
        )  # fmt: skip
        self._consumer.subscribe(pattern=f"^{re.escape(prefix)}{'$' if exact else '.*'}", listener=self._owned)

    def poll(self, limit: int) -> list[Record]:
        """Return the next records. With a limit of 0 it stays a member and takes nothing: so a hub that cannot record waits."""
        with translated():
            if limit:
                wait_ms = self._options.wait_ms if self._joined else self._options.session_ms  # joining a group takes a while, once
                self._joined = True
                return self._taken(self._consumer.poll(timeout_ms=wait_ms, max_records=limit))
            held = list(self._consumer.assignment())
            self._consumer.pause(*held)
            try:
                self._consumer.poll(timeout_ms=0)
            finally:
                self._consumer.resume(*(self._consumer.paused() & self._consumer.assignment()))
            return []

    def _taken(self, found: Mapping[TopicPartition, Sequence[Any]]) -> list[Record]:
        for partition, records in found.items():
            self._since.setdefault(partition, records[0].offset)
            if self._owned.from_.get(partition, 0) is None:  # else it was begun before, or has gone to another since
                self._owned.from_[partition] = records[0].offset
        return _records(found)

    def commit(self, records: Sequence[Record]) -> None:
        """Commit what is still this member's own; what went to another is left to it."""
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            began = self._owned.from_.get(partition)
            if began is None or record.offset < began:
                continue
            known = offsets.get(partition)
            if known is None or known.offset <= record.offset:
                offsets[partition] = OffsetAndMetadata(record.offset + 1, "", -1)
        if offsets:
            with translated():
                self._consumer.commit(offsets, timeout_ms=self._options.session_ms)
        for partition, committed in offsets.items():
            if self._consumer.position(partition) > committed.offset:
                self._since[partition] = committed.offset
            else:
                self._since.pop(partition, None)

    def rewind(self) -> None:
        """Go back to the first record that was taken and not committed. Asks no broker: it must not fail when all else did."""
        held = self._consumer.assignment()
        for partition, offset in self._since.items():
            if partition in held:
                self._consumer.seek(partition, offset)
        self._since.clear()

    def close(self) -> None:
        """Leave the group; a member with a name of its own keeps its place for a while, to come back to."""
        if not self.closed:
            self.closed = True
            self._owned.from_.clear()
            with contextlib.suppress(KafkaError):
                self._consumer.close(autocommit=False, timeout_ms=_CLOSING_MS)


class Reader:
    """A reader on its own, from the beginning. Implements `Consumer`."""

    def __init__(self, options: KafkaOptions, prefix: str, *, exact: bool) -> None:
        self._options = options
        self._prefix = prefix
        self._exact = exact
        self.closed = False
        self._consumer = KafkaConsumer(
            **connection(options), enable_auto_commit=False, auto_offset_reset="earliest", metadata_max_age_ms=options.fresh_ms
        )

    def poll(self, limit: int) -> list[Record]:
        """Return the next records; empty only when there are none now."""
        with translated():
            self._find_topics()
            held = self._consumer.assignment()
            ends = self._consumer.end_offsets(list(held)) if held else {}
            deadline = time.monotonic() + self._options.deliver_ms / 1000
            while any(self._consumer.position(partition) < end for partition, end in ends.items()):
                if found := self._consumer.poll(timeout_ms=self._options.wait_ms, max_records=limit):
                    return _records(found)
                if time.monotonic() > deadline:
                    msg = "Kafka does not give the records that it has"
                    raise RetryLaterError(msg, "check that its brokers run, then try again")
            return []

    def _find_topics(self) -> None:
        self._consumer.assign(
            [found for found in _partitions(self._consumer, self._prefix) if not self._exact or found.topic == self._prefix]
        )

    def commit(self, records: Sequence[Record]) -> None:
        """Nothing: a reader without a group has nothing to commit."""

    def rewind(self) -> None:
        """Begin anew."""
        with translated():
            self._consumer.seek_to_beginning()

    def close(self) -> None:
        """Let go of the connection."""
        self.closed = True
        with contextlib.suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=_CLOSING_MS)


def _partitions(consumer: KafkaConsumer, prefix: str) -> list[TopicPartition]:
    return [
        TopicPartition(topic, partition)
        for topic in sorted(consumer.topics())
        if topic.startswith(prefix)
        for partition in sorted(consumer.partitions_for_topic(topic) or ())
    ]


def connection(options: KafkaOptions) -> dict[str, Any]:
    """Return how every client of kafka-python reaches the brokers."""
    return {
        "bootstrap_servers": options.bootstrap, "client_id": "signaalhub", "bootstrap_timeout_ms": _BOOTSTRAP_MS, **options.security
    }  # fmt: skip


def _message(one: Any) -> Message:
    return Message(one.value or b"", {name: value or b"" for name, value in one.headers})  # a header may have no value at all


def _records(found: Mapping[TopicPartition, Sequence[Any]]) -> list[Record]:
    return [
        Record(partition.topic, partition.partition, one.offset, _message(one)) for partition, records in found.items() for one in records
    ]


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what the client raises into what to do about it."""
    try:
        yield
    except HubError:
        raise
    except _REFUSED:
        raise StopError("Kafka does not let the hub do this", "check its user and its rights: `hub topics plan` lists them") from None
    except (KafkaConfigurationError, MessageSizeTooLargeError) as exc:
        raise StopError(f"Kafka cannot be used so ({type(exc).__name__})", "check the HUB_KAFKA_ settings") from None
    except FencedInstanceIdError:
        raise StopError("another process has the same HUB_KAFKA_INSTANCE", "give each router a name of its own") from None
    except _MOVED:
        raise RetryLaterError(
            "the partitions went to another member of the group", "nothing to do: it goes on from the last commit"
        ) from None
    except KafkaError:
        raise RetryLaterError("Kafka does not answer", "check that its brokers run, then try again") from None
