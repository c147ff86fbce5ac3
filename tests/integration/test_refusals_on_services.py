"""What comes in through Apache Kafka and is refused by a router on PostgreSQL: kept as it came, and put through again as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaProducer
from pydantic import SecretStr

from hub import rejections
from hub.app import Hub, MovingClock, open_hub
from hub.codec import Received
from hub.transport.base import IN, ROUTERS
from tests.integration.support import TILBURG, received, settings
from tests.sample import ADDRESS, address
from tests.services import EmptyDatabase, KafkaServer, own_kafka

BYTES: Final = bytes(range(256))
HEADERS: Final = {
    "ce_specversion": b"1.0",
    "ce_id": b"\xff\xfe",
    "ce_type": ADDRESS.encode(),
    "bytes": BYTES,
    "leeg": b"",
    "é": "é".encode(),
}
RECORDS: Final[tuple[tuple[bytes, dict[str, bytes]], ...]] = (
    (b"\x00\xff no json \r\n" + BYTES, {}),
    (BYTES, HEADERS),
    (b"\x00\x00\x00\x00\x01" + BYTES, HEADERS | {"ce_id": b"a-1"}),
    (b"", HEADERS | {"ce_id": b"a-2"}),
)
"""Values and headers as no decoder takes them."""


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    """A broker of this test alone: the topics of a hub have one name everywhere."""
    with own_kafka() as server:
        yield server


@contextmanager
def served(home: Path, clock: MovingClock, postgres: EmptyDatabase, broker: KafkaServer) -> Iterator[Hub]:
    """Open one process of a hub on these services."""
    options = settings(home).model_copy(
        update={"database_url": SecretStr(postgres.url), "kafka_bootstrap": broker.bootstrap, "kafka_session_ms": 2_000}
    )
    hub = open_hub(options, clock=clock)
    try:
        yield hub
    finally:
        hub.close()


def publish(broker: KafkaServer, records: tuple[tuple[bytes, dict[str, bytes]], ...]) -> None:
    """Put records on the topic of a publisher as its own client does."""
    producer = KafkaProducer(**broker.client(), acks="all")
    for value, headers in records:
        producer.send(IN + TILBURG, value=value, key=BYTES, headers=list(headers.items())).get(30)
    producer.close()


def routed(hub: Hub, count: int) -> None:
    """Let a router take so many records."""
    consumer, left, turns = hub.transport.consumer(ROUTERS, IN), count, 100
    while left and turns:
        left -= hub.route_once(consumer)
        turns -= 1
    consumer.close()
    assert left == 0


def test_records_that_no_decoder_takes_are_replayed_byte_for_byte(
    tmp_path: Path, clock: MovingClock, postgres: EmptyDatabase, broker: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "home", clock, postgres, broker) as hub:
        good = hub.encode(TILBURG, address())
        publish(broker, (*RECORDS, (good.body, {})))
        routed(hub, len(RECORDS) + 1)
        assert hub.transport.lag(ROUTERS, IN) == 0
        kept = rejections.listing(hub)
        assert len(kept) == len(RECORDS)
        assert [rejections.show(hub, entry["rejection"])["bytes"] for entry in kept] == [len(value) for value, _ in RECORDS]
        assert len(received(hub, "toeslagen")) == 1
    seen: list[Received] = []
    with served(tmp_path / "home", clock, postgres, broker) as hub:  # another process puts them through again
        admit = hub.router._admit

        def watch(_router: object, event: Received, *rest: Any) -> Any:
            seen.append(event)
            return admit(event, *rest)

        monkeypatch.setattr(type(hub.router), "_admit", watch)
        outcomes = rejections.replay(hub, rejections.replayable(hub))
        assert {outcome.status for outcome in outcomes} == {"rejected"}
        assert seen == [Received(TILBURG, value, headers) for value, headers in RECORDS]
        assert rejections.listing(hub) == kept
        rejections.discard(hub, [entry["rejection"] for entry in kept], "niet te lezen")
        assert {entry["state"] for entry in rejections.listing(hub, only_open=False)} == {"discarded"}
