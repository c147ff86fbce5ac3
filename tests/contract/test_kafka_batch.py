"""What kafka-python cannot take apart stops nothing: it comes as it was sent, and is refused like all that nobody can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch
from sqlalchemy import select

from hub.app import Hub, MovingClock
from hub.client import NewSignal
from hub.codec import Received
from hub.errors import RetryLaterError
from hub.keys import unseal
from hub.refusing import unraw
from hub.storage.tables import rejections
from hub.transport.base import Message, Record, Transport
from hub.transport.kafka import KafkaTransport
from hub.transport.kafkaclient import KafkaOptions
from tests.contract.test_kafka_transport import no_other
from tests.integration.support import TILBURG, opened
from tests.sample import address
from tests.services.kafka.broker import Topics

BAD = b"\xff\xfe name \xed\xb3\xbf"


class RawName(str):
    """A header name that goes over the wire as bytes that are not UTF-8."""

    def encode(self, *_: str) -> bytes:
        return BAD


@pytest.fixture
def transport(kafka: Topics) -> Iterator[Transport]:
    found = KafkaTransport(KafkaOptions(kafka.bootstrap, wait_ms=100, fresh_ms=300, session_ms=1_500, deliver_ms=15_000), no_other)
    yield found
    found.close()


@pytest.fixture
def topic(kafka: Topics) -> str:
    return f"{kafka.prefix}raw"


def produce(kafka: Topics, topic: str, *sent: tuple[bytes, Sequence[tuple[str, bytes]]]) -> None:
    """Send these values and headers in one batch, as a publisher does."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=500)
    for value, headers in sent:
        producer.send(topic, value, partition=0, headers=list(headers))
    producer.flush(20)
    producer.close()


def polled(transport: Transport, topic: str, last: int) -> list[Record]:
    """Poll until the record with this offset came."""
    member = transport.consumer(f"{topic}.group", topic)
    found: list[Record] = []
    for _ in range(50):
        found += member.poll(100)
        member.commit(found)
        if found and found[-1].offset == last:
            break
    return found


def test_a_header_name_that_is_not_utf_8_keeps_its_bytes_and_stops_nothing(transport: Transport, kafka: Topics, topic: str) -> None:
    produce(kafka, topic, (b"a", []), (b"b", [("naïef", b"1"), (RawName("x"), b"2"), ("z", b"")]), (b"c", [("y", b"3")]))
    produce(kafka, topic, (b"d", [(RawName("x"), b"4")]))
    records = polled(transport, topic, 3)
    assert [record.message.value for record in records] == [b"a", b"b", b"c", b"d"]
    headers = [{name.encode(errors="surrogateescape"): value for name, value in record.message.headers.items()} for record in records]
    assert headers == [{}, {"naïef".encode(): b"1", BAD: b"2", b"z": b""}, {b"y": b"3"}, {BAD: b"4"}]
    assert transport.lag(f"{topic}.group", topic) == 0


def test_it_is_refused_and_its_bytes_are_kept_as_they_came(
    tmp_path: Path, clock: MovingClock, transport: Transport, kafka: Topics, topic: str
) -> None:
    with opened(tmp_path / "home", clock) as hub:
        good = hub.encode(TILBURG, address())
        produce(kafka, topic, (good.body, [(RawName("x"), b"1")]), (good.body, []))
        events = [Received(TILBURG, record.message.value, record.message.headers) for record in polled(transport, topic, 1)]
        outcomes = hub.router.process(events)
        assert [(outcome.status, [fault.code for fault in outcome.faults]) for outcome in outcomes] == [
            ("rejected", ["envelop-ongeldig"]),
            ("accepted", []),
        ]
        (kept,) = refused(hub)
        assert kept == events[0]


def test_of_a_forbidden_type_nothing_is_kept_whatever_its_headers_are(hub: Hub) -> None:
    event = hub.encode(TILBURG, NewSignal(type="nl.zorg.diagnose.v1", data={"merkteken": "x"}))
    (outcome,) = hub.router.process([Received(TILBURG, event.body, {BAD.decode(errors="surrogateescape"): b"1"})])
    assert [fault.code for fault in outcome.faults] == ["verboden-type"]
    assert refused(hub) == []


def refused(hub: Hub) -> list[Received]:
    """Return what is kept of refused signals, as it came."""
    with hub.database.read() as connection:
        rows = connection.execute(select(rejections.c.sealed_key, rejections.c.body)).all()
    return [unraw(TILBURG, unseal(hub.keys.data_key(row.sealed_key), row.body)) for row in rows]


def test_a_batch_in_a_compression_that_is_not_there_comes_whole_and_stops_nothing(
    transport: Transport, kafka: Topics, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.codec.has_lz4", lambda: False)
    other = Producer({"bootstrap.servers": kafka.bootstrap, "compression.type": "lz4", "linger.ms": 500})
    for _ in range(3):
        other.produce(topic, b"signaal" * 100, partition=0)
    other.flush(20)
    produce(kafka, topic, (b"after", []))
    *whole, last = polled(transport, topic, 3)
    assert (last.offset, last.message) == (3, Message(b"after"))
    batches = [DefaultRecordBatch(record.message.value) for record in whole]
    assert [batch.last_offset for batch in batches] == [record.offset for record in whole]
    assert (sum(batch.records_count for batch in batches), all(batch.validate_crc() for batch in batches)) == (3, True)
    assert transport.lag(f"{topic}.group", topic) == 0


def test_a_batch_that_is_damaged_is_fetched_again_until_it_is_whole(
    transport: Transport, kafka: Topics, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(kafka, topic, (b"a", []), (b"b", []))
    member = transport.consumer(f"{topic}.group", topic)
    monkeypatch.setattr(DefaultRecordBatch, "validate_crc", lambda _: False)
    for _ in range(2):
        with pytest.raises(RetryLaterError, match=rf"topic {topic} from offset 0 on are damaged"):
            for _ in range(50):
                assert member.poll(10) == []
    monkeypatch.undo()
    found: list[Record] = []
    while len(found) < 2:
        found += member.poll(10)
    assert [record.message.value for record in found] == [b"a", b"b"]


def test_the_library_still_needs_this(kafka: Topics, topic: str) -> None:
    """When this fails, kafka-python can read such records, or has changed: take `hub/transport/kafkabatch.py` away, or mend it."""
    produce(kafka, topic, (b"a", [(RawName("x"), b"1")]))
    plain = KafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    plain.assign([TopicPartition(topic, 0)])
    try:
        with pytest.raises(CorruptRecordError, match="UnicodeDecodeError"):
            for _ in range(50):
                assert plain.poll(timeout_ms=200) == {}
    finally:
        plain.close()
