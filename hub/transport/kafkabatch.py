"""Batches of Kafka as they came. kafka-python decodes the names of headers, and what it cannot decode stops its consumer for good.

Here such a name keeps its bytes, and a batch that cannot be taken apart at all (in a compression that is not installed, say)
comes as one record that holds it whole. Both are then refused like any other record that nobody can read. Only a wrong
checksum is no matter of the publisher: that batch is fetched again, and nothing after it is read before it is whole.

This replaces one class inside kafka-python 3.0; `tests/contract/test_kafka_batch.py` tells when it is no longer needed, or no longer fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import KafkaError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from hub.errors import RetryLaterError


def undecoded(consumer: KafkaConsumer) -> KafkaConsumer:
    """Let a consumer hand on every record as it came."""
    consumer._fetcher.PartitionRecords = _Records  # noqa: SLF001  (it has no option for this)
    return consumer


class _Name(str):
    """The name of a header, of which bytes that are not UTF-8 are escaped as in PEP 383."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        """Return the bytes that it had."""
        return super().encode(encoding, errors)


class _Slice(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> _Name:
        return _Name(super().decode(encoding, errors))


class _Buffer(bytearray):
    """Bytes of which every part can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Slice(found) if isinstance(at, slice) else found


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    _buffer: bytearray

    def _read_msg(self) -> Any:
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            self._buffer = _Buffer(self._buffer)  # for the rest of the batch: slower, and seldom needed
            return super()._read_msg()

    def __iter__(self) -> Iterator[Any]:
        sent = self._buffer
        try:
            self._maybe_uncompress()
            return iter([self._read_msg() for _ in range(self.records_count)])
        except Exception:  # noqa: BLE001  (whatever is wrong with it: the checksum is right, so its publisher sent it so)
            return iter([DefaultRecord(len(sent), self.last_offset, self.max_timestamp, self.timestamp_type, None, bytes(sent), [])])


class _Batches:
    """The batches of one answer of a broker."""

    def __init__(self, records: MemoryRecords) -> None:
        self._records = records

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return _Batch(batch._buffer) if isinstance(batch, DefaultRecordBatch) else batch  # noqa: SLF001


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]
    def _unpack_records(self, tp: Any, records: MemoryRecords, *deserializers: Any) -> Any:
        return super()._unpack_records(tp, _Batches(records), *deserializers)

    def take(self, n: int | None = None) -> Any:
        try:
            return super().take(n)
        except KafkaError:
            self.drain()  # else the consumer asks for the rest of it for ever, and there is none
            msg = f"the records of topic {self.topic_partition.topic} from offset {self.next_fetch_offset} on are damaged"
            raise RetryLaterError(msg, "nothing is skipped; look at the log and the disks of the brokers") from None
