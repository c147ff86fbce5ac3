"""The embedded transport keeps the promises of the suite, and those of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier, Thread

import pytest

from hub.app import MovingClock
from hub.errors import StopError
from hub.keys import Keys
from hub.storage.database import Database
from hub.storage.names import Names
from hub.transport.base import Message, Transport
from hub.transport.embedded import EmbeddedTransport
from tests.contract.transport_suite import Opening, TransportSuite, messages, texts

KEYS = Keys({1: bytes(range(32))})


def now() -> int:
    return 1_793_610_000_000


@contextmanager
def open_embedded(home: Path, keys: Keys | None = None) -> Iterator[Transport]:
    """Open the transport of a home, in this process or another."""
    database = Database.embedded(home)
    database.upgrade()
    try:
        yield EmbeddedTransport(database, keys or KEYS, Names(database), home / "locks", now)
    finally:
        database.close()


class TestEmbeddedTransport(TransportSuite):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Opening:
        return partial(open_embedded, tmp_path)

    def test_values_and_headers_are_sealed_at_rest(self, opening: Opening, tmp_path: Path, topic: str) -> None:
        with opening() as transport:
            transport.send(topic, [Message(b"merkteken-waarde-999990019", {"ce_kop": b"merkteken-kop"})])
            while_open = self.bytes_of(tmp_path)
        for found in (while_open, self.bytes_of(tmp_path)):
            assert topic.encode() in found  # the search looks in the right place
            assert b"merkteken" not in found
            assert b"ce_kop" not in found
            assert b"merkteken".hex().encode() not in found

    @staticmethod
    def bytes_of(home: Path) -> bytes:
        return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())

    def test_equal_messages_look_different_at_rest(self, opening: Opening, tmp_path: Path, topic: str) -> None:
        with opening() as transport:
            transport.send(topic, messages("same", "same"))
        database = Database.embedded(tmp_path)
        with database.read() as connection:
            sealed = connection.exec_driver_sql("SELECT sealed FROM log_records").scalars().all()
        database.close()
        assert len(set(sealed)) == 2

    def test_another_key_opens_nothing_and_says_so(self, opening: Opening, tmp_path: Path, topic: str) -> None:
        with opening() as transport:
            transport.send(topic, messages("a"))
        with open_embedded(tmp_path, Keys({1: bytes(32)})) as transport, pytest.raises(StopError, match="key"):
            transport.consumer(None, topic).poll(1)

    def test_offsets_never_come_back_after_the_last_record_is_gone(self, opening: Opening, tmp_path: Path, topic: str) -> None:
        with opening() as transport:
            transport.send(topic, messages("a", "b"))
            before = self.read(transport.consumer(None, topic))[-1].offset
            database = Database.embedded(tmp_path)
            with database.write() as connection:
                connection.exec_driver_sql("DELETE FROM log_records")
            database.close()
            transport.send(topic, messages("c"))
            (record,) = self.read(transport.consumer(None, topic))
            assert record.offset > before

    def test_threads_that_send_at_once_lose_nothing_and_keep_their_order(self, transport: Transport, topic: str) -> None:
        barrier = Barrier(6)

        def send(number: int) -> None:
            barrier.wait()
            for i in range(10):
                transport.send(topic, messages(f"{number}-{i:02d}"))

        threads = [Thread(target=send, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = texts(self.read(transport.consumer(None, topic)))
        assert len(found) == 60
        for number in range(6):
            assert [text for text in found if text.startswith(f"{number}-")] == [f"{number}-{i:02d}" for i in range(10)]

    def test_members_in_threads_share_the_records_of_a_group_without_losing_one(self, opening: Opening, topic: str) -> None:
        with opening() as transport:
            for number in range(8):
                transport.send(f"{topic}{number}", messages(*(f"{number}-{i}" for i in range(20))))
            found: list[list[str]] = [[] for _ in range(4)]
            barrier = Barrier(4)

            def work(mine: list[str]) -> None:
                consumer = transport.consumer("group", topic)
                barrier.wait()
                while records := consumer.poll(5):
                    consumer.commit(records)
                    mine += texts(records)
                barrier.wait()  # nobody leaves before all are done: a topic given back could be read on
                consumer.close()

            threads = [Thread(target=work, args=(mine,)) for mine in found]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            everything = [text for mine in found for text in mine]
            assert sorted(everything) == sorted(f"{number}-{i}" for number in range(8) for i in range(20))

    # --- what is past its time ------------------------------------------------------------

    @pytest.fixture
    def clock(self) -> MovingClock:
        return MovingClock(1_000)

    @pytest.fixture
    def timed(self, tmp_path: Path, clock: MovingClock) -> Iterator[Transport]:
        database = Database.embedded(tmp_path)
        database.upgrade()
        yield EmbeddedTransport(database, KEYS, Names(database), tmp_path / "locks", clock)
        database.close()

    def test_a_message_is_dropped_when_its_time_has_come_and_not_before(self, timed: Transport, clock: MovingClock) -> None:
        timed.send("signals.out.a", [Message(b"short", expires_ms=2_000), Message(b"long", expires_ms=3_000)])
        clock.now = 1_999
        assert timed.expire() == 0
        clock.now = 2_000
        assert timed.expire() == 1
        assert texts(self.read(timed.consumer(None, "signals.out."))) == ["long"]
        clock.now = 3_000
        assert timed.expire() == 1
        assert timed.expire() == 0
        assert self.read(timed.consumer(None, "signals.out.")) == []

    def test_a_message_that_names_no_time_is_dropped_after_seven_days(self, timed: Transport, clock: MovingClock) -> None:
        timed.send("signals.out.a", messages("a"))
        clock.now += 7 * 86_400_000 - 1
        assert timed.expire() == 0
        clock.now += 1
        assert timed.expire() == 1

    def test_what_came_in_is_dropped_only_after_it_was_handled(self, timed: Transport, clock: MovingClock) -> None:
        timed.send("signals.in.a", messages("a", "b", "c"))
        member = timed.consumer("routers", "signals.in.")
        clock.now += 30 * 86_400_000
        assert timed.expire() == 0
        member.commit(self.read(member, 2))
        member.close()
        assert texts(self.read(timed.consumer("routers", "signals.in."))) == ["c"]

    def test_a_reader_goes_on_behind_what_was_dropped(self, timed: Transport, clock: MovingClock) -> None:
        timed.send("signals.out.a", [Message(b"a", expires_ms=2_000), Message(b"b"), Message(b"c", expires_ms=2_000), Message(b"d")])
        reader, member = timed.consumer(None, "signals.out."), timed.consumer("inbox", "signals.out.")
        assert texts(self.read(reader, 1)) == texts(self.read(member, 1)) == ["a"]
        clock.now = 2_000
        timed.expire()
        assert texts(self.read(reader)) == texts(self.read(member)) == ["b", "d"]
