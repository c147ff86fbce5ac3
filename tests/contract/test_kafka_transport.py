"""Kafka is held to the transport suite, and to what only a cluster can do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import ClassVar

import pytest

from hub.transport.base import Transport
from hub.transport.kafka import KafkaOptions, KafkaTransport
from tests.contract.transport_suite import Opening, TransportSuite
from tests.services.kafka.broker import Topics

WAIT_MS, SESSION_MS = 100, 1_500


def no_other(_name: str) -> AbstractContextManager[bool]:
    """Say that there is no other process: the suite has no locks."""
    return nullcontext(enter_result=True)


@contextmanager
def open_kafka(bootstrap: str) -> Iterator[Transport]:
    options = KafkaOptions(bootstrap, wait_ms=WAIT_MS, fresh_ms=300, session_ms=SESSION_MS, deliver_ms=15_000)
    transport = KafkaTransport(options, no_other)
    yield transport
    transport.close()


class TestKafka(TransportSuite):
    """The promises of `hub.transport.base`, kept by Apache Kafka."""

    attempts: ClassVar[int] = 25
    repeats: ClassVar[bool] = True

    @pytest.fixture
    def opening(self, kafka: Topics) -> Opening:
        return partial(open_kafka, kafka.bootstrap)
