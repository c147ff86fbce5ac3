"""A look at the brokers from the side: whether they answer, which topics there are, how far a group is. It joins nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, RetriableError
from kafka.protocol.consumer import OffsetSpec

from hub.errors import RetryLaterError
from hub.transport.kafkaclient import KafkaOptions, Link, opened, translated

_ANSWER_MS: Final = 2_000
"""How long one answer may take: who asks for the health of a process does not wait long."""
_AGAIN_SECONDS: Final = 3.0
"""How long is asked again while a group is being set up."""
_PAUSE_SECONDS: Final = 0.1
Answer = TypeVar("Answer")


class Lookout:
    """One connection, kept while it answers. Safe for several threads: they take turns.

    Its methods raise RetryLaterError when the brokers do not answer within some seconds, StopError when they do not let the hub in.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._turn = threading.Lock()
        self._pause = threading.Event()
        self._held: tuple[KafkaAdminClient, Link] | None = None

    def check(self) -> None:
        """Ask for a sign of life."""
        self._ask(lambda admin: admin.describe_topics([]))

    def has(self, topic: str) -> bool:
        """Tell whether there is such a topic, as far as the hub may see."""
        return any(found.topic == topic for found in self._ask(lambda admin: _partitions(admin, topic)))

    def ends(self, prefix: str) -> dict[TopicPartition, int]:
        """Return the partitions of all topics that begin so, each with the offset of its next record."""
        return self._ask(lambda admin: _offsets(admin, _partitions(admin, prefix), OffsetSpec.LATEST))

    def lag(self, group: str, prefix: str) -> int:
        """Hold the ends of topics against what a group committed."""
        return self._ask(lambda admin: _lag(admin, group, prefix))

    def close(self) -> None:
        """Let go of the connection."""
        with self._turn:
            self._drop()

    def _ask(self, question: Callable[[Any], Answer]) -> Answer:
        deadline = time.monotonic() + _AGAIN_SECONDS
        with self._my_turn():
            while True:
                kept = self._held is not None
                with translated():
                    if self._held is None:
                        self._held = opened(KafkaAdminClient, self._options, bootstrap_timeout_ms=_ANSWER_MS, request_timeout_ms=_ANSWER_MS)
                admin, link = self._held
                with translated(link):
                    try:
                        return question(admin)
                    except KafkaError as exc:
                        again = kept or (isinstance(exc, RetriableError) and link.connected)  # the broker of one that was kept may be gone
                        self._drop()
                        if not again or time.monotonic() > deadline:
                            raise
                self._pause.wait(_PAUSE_SECONDS)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=_AGAIN_SECONDS):
            raise RetryLaterError("Kafka does not answer", "check that its brokers run, then try again")
        try:
            yield
        finally:
            self._turn.release()

    def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held[0].close()


def _partitions(admin: Any, prefix: str) -> list[TopicPartition]:
    return sorted(
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in admin.describe_topics()
        if topic["name"].startswith(prefix)
        for partition in topic["partitions"]
    )


def _offsets(admin: Any, partitions: list[TopicPartition], at: OffsetSpec) -> dict[TopicPartition, int]:
    found = admin.list_partition_offsets(dict.fromkeys(partitions, at)) if partitions else {}
    return {partition: one.offset for partition, one in found.items()}


def _lag(admin: Any, group: str, prefix: str) -> int:
    held = _partitions(admin, prefix)
    if not held:
        return 0
    ends, starts = _offsets(admin, held, OffsetSpec.LATEST), _offsets(admin, held, OffsetSpec.EARLIEST)
    done = admin.list_group_offsets({group: held})[group]
    return sum(ends[one] - max(done[one].offset if one in done else 0, starts[one]) for one in held)
