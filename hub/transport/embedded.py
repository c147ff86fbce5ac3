"""Topics in the SQL database of the home, for one machine without a broker.

A topic has one partition. In a group a topic belongs to the member that holds its lock file: the
operating system gives the lock back when a process dies, so a killed member blocks nobody and
there is no time-out to wait for. A member keeps a topic until it closes. Records are sealed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select

from hub.locks import try_lock
from hub.stopping import Stop, never
from hub.storage.tables import log_offsets, log_records, names
from hub.transport.base import IN, Message, Record

if TYPE_CHECKING:
    from pathlib import Path

    from hub.errors import HubError
    from hub.keys import Keys
    from hub.storage.database import Database
    from hub.storage.names import Names

_PREFIX: Final = "topic "
_IN: Final = _PREFIX + IN
Alone = Callable[[Collection[str]], AbstractContextManager[frozenset[str]]]
_KEPT_MS: Final = 7 * 86_400_000
"""How long a record is kept that does not say so itself."""


class EmbeddedTransport:
    """Implements `Transport` on the tables log_records and log_offsets."""

    def __init__(
        self, database: Database, keys: Keys, known: Names, locks: Path, now_ms: Callable[[], int], alone: Alone | None = None
    ) -> None:
        """`alone` is there if processes with other homes share the database: then lock files in this one are not enough."""
        self._database = database
        self._keys = keys
        self._names = known
        self._locks = locks
        self._now_ms = now_ms
        self.alone: Alone = alone or self._alone_in_home

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages in one transaction."""
        self.send_all({topic: messages})

    def send_all(self, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        """Append messages to several topics in one transaction: all of it is there, or it raises."""
        now = self._now_ms()
        sealed = [(topic, one.expires_ms, self._keys.seal_log(_pack(one))) for topic, ones in messages.items() for one in ones]
        if not sealed:
            return {}
        with self._database.write() as connection:
            rows = [
                {"topic": self._names.id(connection, _PREFIX + topic), "at": now, "expires": expires or now + _KEPT_MS, "sealed": item}
                for topic, expires, item in sealed
            ]
            connection.execute(insert(log_records), rows)
        return {}

    @contextlib.contextmanager
    def _alone_in_home(self, names: Collection[str]) -> Iterator[frozenset[str]]:
        """Hold a lock file for each while in the block."""
        with contextlib.ExitStack() as held:
            mine = []
            for name in names:
                descriptor = try_lock(self._locks, name)
                if descriptor is not None:
                    held.callback(os.close, descriptor)
                    mine.append(name)
            yield frozenset(mine)

    def expire(self) -> int:
        """Delete what is past its time, and on ingress topics has been read."""
        due = log_records.c.expires <= self._now_ms()
        with self._database.read() as connection:
            if connection.execute(select(log_records.c.id).where(due).limit(1)).first() is None:
                return 0
        is_ingress = select(names.c.id).where(names.c.id == log_records.c.topic, func.substr(names.c.name, 1, len(_IN)) == _IN)
        is_read = select(log_offsets.c.next).where(log_offsets.c.topic == log_records.c.topic, log_offsets.c.next > log_records.c.id)
        with self._database.write() as connection:
            return connection.execute(log_records.delete().where(due, ~is_ingress.exists() | is_read.exists())).rowcount

    def lag(self, group: str, prefix: str) -> int:
        """Count what is stored from the committed offsets on."""
        wanted = _PREFIX + prefix
        done = select(log_offsets.c.next).where(log_offsets.c.topic == log_records.c.topic, log_offsets.c.consumer_group == group)
        waiting = select(func.count()).select_from(log_records.join(names, names.c.id == log_records.c.topic)).where(
            func.substr(names.c.name, 1, len(wanted)) == wanted, log_records.c.id >= func.coalesce(done.scalar_subquery(), 0)
        )  # fmt: skip
        with self._database.read() as connection:
            return int(connection.execute(waiting).scalar_one())

    def check(self) -> None:
        """Nothing: the topics are in the database of the hub."""

    def close(self) -> None:
        """Nothing: its consumers give their topics back themselves, and the database belongs to the hub."""

    def consumer(self, group: str | None, prefix: str, *, exact: bool = False) -> EmbeddedConsumer:
        """Join a group, or read alone."""
        return EmbeddedConsumer(self._database, self._keys, self._locks, group, prefix, exact=exact)


class EmbeddedConsumer:
    """One member of a group on the embedded transport. Not for use by two threads at once."""

    def __init__(self, database: Database, keys: Keys, locks: Path, group: str | None, prefix: str, *, exact: bool) -> None:
        self._database = database
        self._keys = keys
        self._locks = locks
        self._group = group
        self._prefix = prefix
        self._exact = exact
        self._held: dict[int, int] = {}
        """Topic -> descriptor of its lock."""
        self._next: dict[int, int] = {}

    def poll(self, limit: int, stop: Stop = never) -> list[Record]:  # noqa: ARG002  (it waits for nothing)
        """Return the next records of the topics that this member holds."""
        found: list[Record] = []
        for number, topic in self._topics() if limit else ():
            if len(found) >= limit:
                break
            if self._hold(number):
                found += self._read(number, topic, limit - len(found))
        return found

    def _topics(self) -> list[tuple[int, str]]:
        wanted = _PREFIX + self._prefix
        begins = func.substr(names.c.name, 1, len(wanted)) == wanted  # LIKE would not mind capitals
        ours = names.c.name == wanted if self._exact else begins
        with self._database.read() as connection:
            rows = connection.execute(select(names.c.id, names.c.name).where(ours).order_by(names.c.id)).all()
        return [(row.id, row.name.removeprefix(_PREFIX)) for row in rows]

    def _hold(self, number: int) -> bool:
        if self._group is None or number in self._held:
            return True
        descriptor = try_lock(self._locks, f"{self._group} {number}")
        if descriptor is None:
            return False
        self._held[number] = descriptor
        self._next.pop(number, None)  # what another member committed counts, not what this one remembers
        return True

    def _read(self, number: int, topic: str, limit: int) -> list[Record]:
        with self._database.read() as connection:
            if number not in self._next:
                committed = connection.execute(
                    select(log_offsets.c.next).where(log_offsets.c.consumer_group == (self._group or ""), log_offsets.c.topic == number)
                ).scalar()
                self._next[number] = committed or 0
            rows = connection.execute(
                select(log_records.c.id, log_records.c.sealed)
                .where(log_records.c.topic == number, log_records.c.id >= self._next[number])
                .order_by(log_records.c.id)
                .limit(limit)
            ).all()
        if rows:
            self._next[number] = rows[-1].id + 1
        return [Record(topic, number, row.id, _unpack(self._keys.open_log(row.sealed))) for row in rows]

    def commit(self, records: Sequence[Record]) -> None:
        """Store, for each topic, the offset after the last of these records."""
        if self._group is None or not records:
            return
        furthest: dict[int, int] = {}
        for record in records:
            furthest[record.partition] = max(furthest.get(record.partition, 0), record.offset + 1)
        with self._database.write() as connection:
            for number, following in furthest.items():
                where = (log_offsets.c.consumer_group == self._group, log_offsets.c.topic == number)
                if number not in self._held:
                    continue  # the topic went to another member: its offset is no longer ours to move
                if self._prefix.startswith(IN):  # recorded, so this copy has done its work
                    connection.execute(log_records.delete().where(log_records.c.topic == number, log_records.c.id < following))
                if not connection.execute(log_offsets.update().where(*where).values(next=following)).rowcount:
                    connection.execute(insert(log_offsets).values(consumer_group=self._group, topic=number, next=following))

    def rewind(self) -> None:
        """Forget what was polled; the next poll begins at the committed offsets."""
        self._next.clear()

    def close(self) -> None:
        """Give the topics back."""
        for descriptor in self._held.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._held.clear()
        self._next.clear()


def _pack(message: Message) -> bytes:
    headers = json.dumps({name: value.hex() for name, value in message.headers.items()}).encode()
    return len(headers).to_bytes(4) + headers + message.value


def _unpack(data: bytes) -> Message:
    end = 4 + int.from_bytes(data[:4])
    return Message(data[end:], {name: bytes.fromhex(value) for name, value in json.loads(data[4:end]).items()})
