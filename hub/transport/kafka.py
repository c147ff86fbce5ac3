"""Topics on Apache Kafka, for a hub of more than one process or machine.

Raw bytes go in and come out: nothing is decoded inside the client, where a bad record would escape every guard
(`kafkabatch`). What is sent waits for all replicas (`acks=all`, idempotent producer). Offsets are committed by hand, after
a recorded outcome.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaConnectionError, KafkaError

from hub.errors import HubError, RetryLaterError
from hub.stopping import Stop, never
from hub.transport.base import Consumer, Message, Record
from hub.transport.kafkabatch import undecoded
from hub.transport.kafkaclient import KafkaOptions, Link, meaning, opened, translated
from hub.transport.lookout import Lookout

_FIRST: Final = 0
"""The partition of what the hub sends: one partition, so one order, also in a topic that has more."""
_CLOSING_MS: Final = 2_000
_REQUEST_MS: Final = 10_000
_FAILED_SECONDS: Final = 15.0
_SILENT_SECONDS: Final = 3.0
"""How long a router may be without a connection before it says so."""


class KafkaTransport:
    """Implements `Transport` on a Kafka cluster."""

    def __init__(self, options: KafkaOptions, alone: Callable[[Collection[str]], AbstractContextManager[frozenset[str]]]) -> None:
        self._options = options
        self._alone = alone
        self._producer: tuple[KafkaProducer, Link] | None = None
        self._consumers: list[Member | Reader] = []
        self._lookout = Lookout(options)
        self._known: set[str] = set()
        """Topics to which something was sent."""
        self._failed: dict[str, tuple[float, HubError]] = {}
        """Topic that failed -> until when that is believed, and why: to try it takes seconds, and others wait meanwhile."""

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages in order, all to one partition. Raises RetryLaterError or StopError.

        When it raises, the first of them may be there: sent again they are repeats with the same bytes.
        """
        if why := self.send_all({topic: messages}).get(topic):
            raise why

    def send_all(self, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        """Append messages to several topics, and wait once for all of them. A topic that fails is left alone for a while."""
        now = time.monotonic()
        failed = {topic: why for topic, (until, why) in self._failed.items() if topic in messages and until > now}
        wanted = {topic: ones for topic, ones in messages.items() if ones and topic not in failed}
        if not wanted:
            return failed
        with translated():
            producer, link = self._open_producer()
        try:
            with translated(link):
                news = self._send(producer, link, wanted)
        except HubError:
            self._drop_producer()
            raise
        self._known |= wanted.keys() - news.keys()
        if news:
            self._drop_producer()  # what it still holds must not go out after what is sent next
            self._known -= news.keys()
            self._failed |= {topic: (time.monotonic() + _FAILED_SECONDS, why) for topic, why in news.items()}
        return failed | news

    def _send(self, producer: KafkaProducer, link: Link, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        """Hand over what has a topic, wait, and return the topics that failed. Raises KafkaError when no broker is there."""
        failed: dict[str, HubError] = {}
        for topic in messages.keys() - self._known:  # before anything is handed over, so that nothing is sent again for its sake
            try:
                producer.partitions_for(topic)
            except KafkaError as exc:
                if not link.connected:
                    raise
                failed[topic] = self._why(topic, exc)
        sent = {
            topic: [producer.send(topic, value=one.value, partition=_FIRST, headers=list(one.headers.items())) for one in ones]
            for topic, ones in messages.items()
            if topic not in failed
        }
        producer.flush(timeout=(self._options.deliver_ms + _CLOSING_MS) / 1000)  # by then each is there or given up
        for topic, ones in sent.items():
            try:
                for one in ones:
                    one.get(timeout=0)
            except KafkaError as exc:
                if not link.connected:
                    raise
                failed[topic] = self._why(topic, exc)
        return failed

    def _why(self, topic: str, exc: KafkaError) -> HubError:
        why = meaning(exc)
        if self._lookout.has(topic):
            return type(why)(f"{topic}: {why.message}", why.hint)
        return type(why)(f"there is no topic {topic}, or Kafka does not let the hub see it", "run `hub topics apply`")

    def alone(self, names: Collection[str]) -> AbstractContextManager[frozenset[str]]:
        """Say of which of these names this process is the only one in a block."""
        return self._alone(names)

    def expire(self) -> int:
        """Nothing: the brokers drop what is past the retention of its topic."""
        return 0

    def lag(self, group: str, prefix: str) -> int:
        """Hold the ends of the topics against what the group committed; joins nothing."""
        return self._lookout.lag(group, prefix)

    def check(self) -> None:
        """Ask the brokers for a sign of life."""
        self._lookout.check()

    def consumer(self, group: str | None, prefix: str, *, exact: bool = False) -> Consumer:
        """Join a group on all topics that begin with `prefix`, or read them alone from the beginning."""
        with translated():
            options = self._options
            if group is not None:
                made: Member | Reader = Member(options, group, prefix, exact=exact)
            else:
                made = Reader(options, prefix, self._lookout, exact=exact)
        self._consumers = [*(one for one in self._consumers if not one.closed), made]
        return made

    def close(self) -> None:
        """Leave every group and let go of the connections; what was sent is there already."""
        for consumer in self._consumers:
            consumer.close()
        self._consumers.clear()
        self._drop_producer()
        self._lookout.close()

    def _open_producer(self) -> tuple[KafkaProducer, Link]:
        if self._producer is None:
            self._producer = opened(
                KafkaProducer, self._options, acks="all", enable_idempotence=True, linger_ms=5, batch_size=262_144,
                delivery_timeout_ms=self._options.deliver_ms, request_timeout_ms=self._options.deliver_ms // 3,
                max_block_ms=self._options.deliver_ms // 6,
            )  # fmt: skip
        return self._producer

    def _drop_producer(self) -> None:
        held, self._producer = self._producer, None
        if held is not None:
            producer, _ = held
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
        consumer, self._link = opened(
            KafkaConsumer, options, group_id=group, group_instance_id=options.instance, enable_auto_commit=False,
            auto_offset_reset="earliest", partition_assignment_strategy=[CooperativeStickyAssignor], request_timeout_ms=_REQUEST_MS,
            session_timeout_ms=options.session_ms, heartbeat_interval_ms=options.session_ms // 4, metadata_max_age_ms=options.fresh_ms,
        )  # fmt: skip
        self._consumer = undecoded(consumer)
        self._heard = time.monotonic()
        self._consumer.subscribe(pattern=f"^{re.escape(prefix)}{'$' if exact else '.*'}", listener=self._owned)

    def poll(self, limit: int, stop: Stop = never) -> list[Record]:
        """Return the next records. With a limit of 0 it stays a member and takes nothing: so a hub that cannot record waits.

        Raises RetryLaterError when it has been without a broker for a while: that it finds nothing would then mean nothing.
        """
        with translated(self._link):
            found = self._taken(self._next(limit, stop)) if limit else self._stay()
            if found or self._link.connected:
                self._heard = time.monotonic()
            elif time.monotonic() - self._heard > _SILENT_SECONDS:
                raise KafkaConnectionError
            return found

    def _next(self, limit: int, stop: Stop) -> Mapping[TopicPartition, Sequence[Any]]:
        """Wait for records; the first time longer, for joining a group takes a while."""
        first, self._joined = not self._joined, True
        deadline = time.monotonic() + (self._options.session_ms / 1000 if first else 0)
        while True:
            found: dict[TopicPartition, Sequence[Any]] = self._consumer.poll(timeout_ms=self._options.wait_ms, max_records=limit)
            if found or stop() or time.monotonic() >= deadline:
                return found

    def _stay(self) -> list[Record]:
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
            with translated(self._link):
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

    def __init__(self, options: KafkaOptions, prefix: str, lookout: Lookout, *, exact: bool) -> None:
        self._options = options
        self._prefix = prefix
        self._exact = exact
        self.closed = False
        self._lookout = lookout
        consumer, self._link = opened(
            KafkaConsumer, options, enable_auto_commit=False, auto_offset_reset="earliest", request_timeout_ms=_REQUEST_MS,
            metadata_max_age_ms=options.fresh_ms,
        )  # fmt: skip
        self._consumer = undecoded(consumer)

    def poll(self, limit: int, stop: Stop = never) -> list[Record]:  # noqa: ARG002  (it joins nothing)
        """Return the next records; empty only when there are none now."""
        with translated(self._link):
            found = self._lookout.ends(self._prefix)
            ends = {place: end for place, end in found.items() if not self._exact or place.topic == self._prefix}
            self._consumer.assign(list(ends))
            deadline = time.monotonic() + self._options.deliver_ms / 1000
            while any((self._consumer.position(one, timeout_ms=_REQUEST_MS) or 0) < end for one, end in ends.items()):
                if found := self._consumer.poll(timeout_ms=self._options.wait_ms, max_records=limit):
                    return _records(found)
                if time.monotonic() > deadline:
                    msg = "Kafka does not give the records that it has"
                    raise RetryLaterError(msg, "check that its brokers run, then try again")
            return []

    def commit(self, records: Sequence[Record]) -> None:
        """Nothing: a reader without a group has nothing to commit."""

    def rewind(self) -> None:
        """Begin anew."""
        with translated(self._link):
            self._consumer.seek_to_beginning()

    def close(self) -> None:
        """Let go of the connection."""
        self.closed = True
        with contextlib.suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=_CLOSING_MS)


def _message(one: Any) -> Message:
    return Message(one.value or b"", {str(name): value or b"" for name, value in one.headers})  # a header may have no value at all


def _records(found: Mapping[TopicPartition, Sequence[Any]]) -> list[Record]:
    return [
        Record(partition.topic, partition.partition, one.offset, _message(one)) for partition, records in found.items() for one in records
    ]
