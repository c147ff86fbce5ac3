"""Kafka is held to the transport suite, and to what only a cluster can do wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Event, Thread
from typing import ClassVar

import pytest

from hub.transport.base import Transport
from hub.transport.kafka import KafkaTransport
from hub.transport.kafkaclient import KafkaOptions
from tests.contract.transport_suite import Opening, TransportSuite, messages, texts
from tests.services.kafka.broker import Topics

WAIT_MS, SESSION_MS = 100, 4_000


def no_other(names: Collection[str]) -> AbstractContextManager[frozenset[str]]:
    """Say that there is no other process: the suite has no locks."""
    return nullcontext(frozenset(names))


@contextmanager
def open_kafka(bootstrap: str) -> Iterator[Transport]:
    options = KafkaOptions(bootstrap, wait_ms=WAIT_MS, fresh_ms=300, session_ms=SESSION_MS, deliver_ms=15_000)
    transport = KafkaTransport(options, no_other)
    yield transport
    transport.close()


class TestKafka(TransportSuite):
    """The promises of `hub.transport.base`, kept by Apache Kafka."""

    attempts: ClassVar[int] = 25

    @pytest.fixture
    def opening(self, kafka: Topics) -> Opening:
        return partial(open_kafka, kafka.bootstrap)

    def test_a_member_that_is_told_to_stop_does_not_wait_to_join(self, kafka: Topics, topic: str) -> None:
        transport = KafkaTransport(KafkaOptions(kafka.bootstrap, wait_ms=10, session_ms=30_000), no_other)
        asked: list[bool] = []

        def stop() -> bool:
            asked.append(True)
            return len(asked) == 3

        assert transport.consumer(f"{topic}group", topic).poll(10, stop) == []
        assert len(asked) == 3
        transport.close()

    def test_each_record_goes_to_one_member_of_a_group(self, transport: Transport, topic: str) -> None:
        """Each member polls on its own, as processes do: in one thread they would wait for each other to join."""
        sent = {f"{topic}{number}": [f"{number}-{i}" for i in range(4)] for number in range(6)}
        for name, values in sent.items():
            transport.send(name, messages(*values))
        found: list[str] = []
        enough = Event()

        def work() -> None:
            member = transport.consumer(f"{topic}group", topic)
            while not enough.is_set():
                records = member.poll(3)
                member.commit(records)
                found.extend(texts(records))
                if len(set(found)) == 24:
                    enough.set()

        threads = [Thread(target=work, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert enough.wait(120), "some records came to nobody"
        for thread in threads:
            thread.join()
        first = list(dict.fromkeys(found))  # while a topic moves, a record may come twice
        for values in sent.values():
            assert [value for value in first if value in values] == values
