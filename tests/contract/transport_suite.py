"""What every transport must do. An implementation inherits `TransportSuite` and says how it is opened.

    class TestEmbedded(TransportSuite):
        @pytest.fixture
        def opening(self, tmp_path): return partial(open_embedded, tmp_path)

The opening is called in this process and in others, so it must survive pickling.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import HubError
from hub.transport.base import Consumer, Message, Record, Transport

Opening = Callable[[], AbstractContextManager[Transport]]
SPAWN = multiprocessing.get_context("spawn")
HEADER_NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)


def messages(*values: str) -> list[Message]:
    """Return messages with these texts."""
    return [Message(value.encode()) for value in values]


def texts(records: Sequence[Record]) -> list[str]:
    """Return what records say."""
    return [record.message.value.decode() for record in records]


def hold(opening: Opening, group: str, prefix: str, attempts: int, commit: int, link: Connection) -> None:
    """Read two records in a process of its own, commit the first so many, say so, and wait to be killed."""
    with opening() as transport:
        consumer = transport.consumer(group, prefix)
        records: list[Record] = []
        for _ in range(attempts):
            records += consumer.poll(2 - len(records))
            if len(records) == 2:
                break
        consumer.commit(records[:commit])
        link.send(texts(records))
        link.recv()


class TransportSuite(ABC):
    """The promises of `hub.transport.base`, one test each."""

    attempts: ClassVar[int] = 1
    """How many polls in a row may find nothing before there is nothing; more where joining a group takes time."""

    @pytest.fixture
    @abstractmethod
    def opening(self) -> Opening:
        """Return how to open the transport under test; each test gets a world of its own, or unused names."""

    @pytest.fixture
    def transport(self, opening: Opening) -> Iterator[Transport]:
        with opening() as transport:
            yield transport

    @pytest.fixture
    def topic(self) -> str:
        return self.fresh()

    def fresh(self) -> str:
        """Return a name that no other test uses."""
        return f"suite.{secrets.token_hex(6)}."

    def read(self, consumer: Consumer, wanted: int | None = None, limit: int = 100) -> list[Record]:
        """Poll until so many records came, or none come any more."""
        found: list[Record] = []
        idle = 0
        attempts = self.attempts if wanted is None else 20 * self.attempts  # what must come may take as long as it takes
        while idle < attempts and (wanted is None or len(found) < wanted):
            records = consumer.poll(limit if wanted is None else min(limit, wanted - len(found)))
            found += records
            idle = 0 if records else idle + 1
        return found

    def meets(self, consumer: Consumer, text: str) -> None:
        """Poll until a record is there; a member that was silent for too long gets what it did not commit again before it."""
        while True:
            records = self.read(consumer, 1)
            assert records, f"{text} did not come"
            consumer.commit(records)
            if texts(records) == [text]:
                return

    # --- messages -------------------------------------------------------------------------

    def test_what_could_not_be_handled_is_polled_again_by_the_same_member(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b", "c"))
        member = transport.consumer(f"{topic}groep", topic)
        member.commit(self.read(member, 1))
        assert texts(self.read(member)) == ["b", "c"]
        member.rewind()
        assert texts(self.read(member)) == ["b", "c"]

    def test_records_come_in_the_order_in_which_they_were_sent(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b"))
        transport.send(topic, messages("c"))
        transport.send(topic, messages("d", "e"))
        records = self.read(transport.consumer(None, topic))
        assert texts(records) == ["a", "b", "c", "d", "e"]
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets))
        assert {record.topic for record in records} == {topic}

    def test_what_is_sent_to_several_topics_at_once_keeps_its_order_in_each(self, transport: Transport, topic: str) -> None:
        transport.send_all({f"{topic}a": messages("1", "2"), f"{topic}b": messages("3"), f"{topic}c": []})
        transport.send_all({f"{topic}b": messages("4", "5")})
        records = self.read(transport.consumer(None, topic))
        found = {name: texts([record for record in records if record.topic == name]) for name in {record.topic for record in records}}
        assert found == {f"{topic}a": ["1", "2"], f"{topic}b": ["3", "4", "5"]}

    @settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
    @given(
        sent=st.lists(
            st.builds(Message, st.binary(max_size=300), st.dictionaries(HEADER_NAMES, st.binary(max_size=60), max_size=6)), min_size=1
        )
    )
    def test_any_bytes_and_headers_come_out_as_they_went_in(self, transport: Transport, sent: list[Message]) -> None:
        topic = self.fresh()
        transport.send(topic, sent)
        reader = transport.consumer(None, topic)
        received = [record.message for record in self.read(reader, len(sent))]
        reader.close()
        assert [(message.value, dict(message.headers)) for message in received] == [
            (message.value, dict(message.headers)) for message in sent
        ]

    def test_a_message_of_64_kib_and_a_batch_of_2000_survive(self, transport: Transport, topic: str) -> None:
        large = [Message(bytes([i]) * 65_536, {"n": bytes([i])}) for i in range(3)]
        many = [Message(str(i).encode()) for i in range(2_000)]
        transport.send(topic, large)
        transport.send(topic, many)
        records = self.read(transport.consumer(None, topic), limit=700)
        assert [record.message for record in records] == large + many

    def test_sending_nothing_makes_nothing(self, transport: Transport, topic: str) -> None:
        transport.send(topic, [])
        assert self.read(transport.consumer(None, topic)) == []

    def test_an_empty_topic_gives_an_empty_answer_again_and_again(self, transport: Transport, topic: str) -> None:
        consumer = transport.consumer(f"{topic}group", topic)
        assert consumer.poll(10) == []
        assert consumer.poll(10) == []
        consumer.commit([])
        consumer.close()

    def test_a_poll_gives_no_more_than_was_asked_for(self, transport: Transport, topic: str) -> None:
        transport.send(f"{topic}a", messages("1", "2", "3"))
        transport.send(f"{topic}b", messages("4", "5", "6"))
        consumer = transport.consumer(f"{topic}group", topic)
        sizes = []
        found: list[Record] = []
        while len(found) < 6:
            records = consumer.poll(2)
            sizes.append(len(records))
            found += records
        assert max(sizes) <= 2
        assert sorted(texts(found)) == ["1", "2", "3", "4", "5", "6"]

    # --- topics ---------------------------------------------------------------------------

    def test_a_consumer_reads_all_topics_that_begin_with_its_prefix_and_no_other(self, transport: Transport, topic: str) -> None:
        for name in (f"{topic}in.a", f"{topic}in.b", f"{topic}in", f"{topic}out.a", f"{topic}IN.c", f"x{topic}in.d"):
            transport.send(name, messages(name))
        assert sorted(texts(self.read(transport.consumer(None, f"{topic}in.")))) == [f"{topic}in.a", f"{topic}in.b"]

    @pytest.mark.parametrize("group", [None, "group"])
    def test_an_exact_consumer_reads_the_topic_of_that_name_only(self, transport: Transport, topic: str, group: str | None) -> None:
        for name in (f"{topic}a.0344.oost", f"{topic}a.0344", f"{topic}a.03440", f"x{topic}a.0344"):
            transport.send(name, messages(name))
        consumer = transport.consumer(group and f"{topic}{group}", f"{topic}a.0344", exact=True)
        assert texts(self.read(consumer)) == [f"{topic}a.0344"]

    @pytest.mark.parametrize("wild", ["_", "%", "*", ".", "?", "["])
    def test_a_prefix_is_taken_literally(self, transport: Transport, topic: str, wild: str) -> None:
        transport.send(f"{topic}axb", messages("no"))
        assert self.read(transport.consumer(None, f"{topic}a{wild}b")) == []

    def test_a_topic_made_later_is_found(self, transport: Transport, topic: str) -> None:
        consumer, reader = transport.consumer(f"{topic}group", topic), transport.consumer(None, topic)
        transport.send(f"{topic}a", messages("old"))
        self.meets(consumer, "old")
        assert texts(self.read(reader)) == ["old"]
        transport.send(f"{topic}b", messages("new"))
        self.meets(consumer, "new")
        assert texts(self.read(reader, 1)) == ["new"]

    def test_a_record_sent_later_is_found(self, transport: Transport, topic: str) -> None:
        consumer = transport.consumer(f"{topic}group", topic)
        transport.send(topic, messages("a"))
        self.meets(consumer, "a")
        transport.send(topic, messages("b"))
        self.meets(consumer, "b")

    # --- a reader without a group ---------------------------------------------------------

    def test_a_reader_without_a_group_begins_at_the_beginning_and_commits_nothing(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b"))
        for _ in range(2):
            reader = transport.consumer(None, topic)
            records = self.read(reader)
            assert texts(records) == ["a", "b"]
            reader.commit(records)
            reader.close()

    def test_a_reader_without_a_group_takes_nothing_from_a_group(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b"))
        member = transport.consumer(f"{topic}group", topic)
        assert texts(self.read(transport.consumer(None, topic))) == ["a", "b"]
        assert texts(self.read(member)) == ["a", "b"]

    # --- groups ---------------------------------------------------------------------------

    def test_two_groups_each_get_every_record(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b"))
        one, other = transport.consumer(f"{topic}one", topic), transport.consumer(f"{topic}other", topic)
        records = self.read(one)
        one.commit(records)
        one.close()
        assert texts(records) == texts(self.read(other)) == ["a", "b"]

    def test_a_group_name_that_begins_like_another_is_another_group(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a"))
        first = transport.consumer(f"{topic}routers", topic)
        first.commit(self.read(first))
        assert texts(self.read(transport.consumer(f"{topic}routers2", topic))) == ["a"]

    def test_each_record_goes_to_one_member_of_a_group(self, transport: Transport, topic: str) -> None:
        members = [transport.consumer(f"{topic}group", topic) for _ in range(3)]
        for number in range(6):
            transport.send(f"{topic}{number}", messages(*(f"{number}-{i}" for i in range(4))))
        found: list[str] = []
        idle = 0
        while idle < self.attempts:
            batches = [(member, member.poll(3)) for member in members]
            for member, records in batches:
                member.commit(records)
                found += texts(records)
            idle = 0 if any(records for _, records in batches) else idle + 1
        assert sorted(found) == sorted(f"{number}-{i}" for number in range(6) for i in range(4))
        for number in range(6):
            assert [text for text in found if text.startswith(f"{number}-")] == [f"{number}-{i}" for i in range(4)]

    def test_what_was_not_committed_comes_again_to_the_next_member(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b", "c"))
        first = transport.consumer(f"{topic}group", topic)
        records = self.read(first)
        first.commit(records[:1])
        first.close()
        assert texts(self.read(transport.consumer(f"{topic}group", topic))) == ["b", "c"]

    def test_a_commit_covers_everything_before_it_in_its_topic_and_nothing_elsewhere(self, transport: Transport, topic: str) -> None:
        transport.send(f"{topic}a", messages("a1", "a2", "a3"))
        transport.send(f"{topic}b", messages("b1", "b2"))
        first = transport.consumer(f"{topic}group", topic)
        records = self.read(first, 5)
        first.commit([record for record in records if record.message.value == b"a2"])
        first.close()
        assert sorted(texts(self.read(transport.consumer(f"{topic}group", topic)))) == ["a3", "b1", "b2"]

    def test_records_committed_in_any_order_count_as_the_furthest(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b", "c"))
        first = transport.consumer(f"{topic}group", topic)
        first.commit(list(reversed(self.read(first))))
        first.close()
        assert self.read(transport.consumer(f"{topic}group", topic)) == []

    def test_a_commit_is_kept_when_everything_is_closed_and_opened_again(self, opening: Opening, topic: str) -> None:
        with opening() as transport:
            transport.send(topic, messages("a", "b", "c"))
            consumer = transport.consumer(f"{topic}group", topic)
            consumer.commit(self.read(consumer, 2, limit=2))
            consumer.close()
        with opening() as transport:
            assert texts(self.read(transport.consumer(f"{topic}group", topic))) == ["c"]

    def test_a_closed_member_leaves_its_topics_to_the_others(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a"))
        first, second = transport.consumer(f"{topic}group", topic), transport.consumer(f"{topic}group", topic)
        records = self.read(first, 1)
        first.commit(records)
        first.close()
        transport.send(topic, messages("b"))
        assert texts(self.read(second, 1)) == ["b"]

    def test_a_member_that_lost_a_topic_cannot_commit_for_it(self, transport: Transport, topic: str) -> None:
        transport.send(topic, messages("a", "b", "c"))
        first = transport.consumer(f"{topic}group", topic)
        early = self.read(first, 3)
        first.close()
        second = transport.consumer(f"{topic}group", topic)
        records = self.read(second, 3)
        second.commit(records[:2])
        with suppress(HubError):
            first.commit(early)
        second.close()
        assert texts(self.read(transport.consumer(f"{topic}group", topic))) == ["c"]

    def test_the_lag_of_a_group_is_what_it_has_yet_to_commit(self, transport: Transport, topic: str) -> None:
        transport.send(f"{topic}a", messages("a1", "a2", "a3"))
        transport.send(f"{topic}b", messages("b1"))
        group = f"{topic}group"
        assert (transport.lag(group, topic), transport.lag(group, f"{topic}b")) == (4, 1)
        member = transport.consumer(group, topic)
        records = self.read(member, 4)
        assert transport.lag(group, topic) == 4
        member.commit([record for record in records if record.message.value in {b"a2", b"b1"}])
        assert transport.lag(group, topic) == 1
        assert transport.lag(f"{topic}other", topic) == 4

    # --- crashes --------------------------------------------------------------------------

    @pytest.mark.parametrize("committed", [0, 1])
    def test_what_a_killed_process_held_comes_again_to_another(self, opening: Opening, topic: str, committed: int) -> None:
        with opening() as transport:
            transport.send(topic, messages("a", "b", "c"))
            link, theirs = SPAWN.Pipe()
            process = SPAWN.Process(target=hold, args=(opening, f"{topic}group", topic, max(self.attempts, 2), committed, theirs))
            process.start()
            try:
                assert link.recv() == ["a", "b"]
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
            finally:
                process.kill()
                process.join()
            assert texts(self.read(transport.consumer(f"{topic}group", topic))) == ["a", "b", "c"][committed:]

    def test_a_living_member_of_another_process_keeps_its_topic(self, opening: Opening, topic: str) -> None:
        with opening() as transport:
            transport.send(topic, messages("a", "b", "c"))
            link, theirs = SPAWN.Pipe()
            process = SPAWN.Process(target=hold, args=(opening, f"{topic}group", topic, max(self.attempts, 2), 0, theirs))
            process.start()
            try:
                assert link.recv() == ["a", "b"]
                assert self.read(transport.consumer(f"{topic}group", topic)) == []
            finally:
                process.kill()
                process.join()
