"""One transaction's view of what is stored: look-ups that are kept current inside the batch."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, exists, func, or_, select

from hub.casebook import Casebook
from hub.domain.quota import Count
from hub.storage.rows import Inserts, Rows
from hub.storage.tables import Recall, State, deliveries, keten_names, quota_usage, recalls, rejections, signals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection, Executable

    from hub.keys import Keys
    from hub.storage.names import Names

_CHUNK: Final = 500


class Stored(NamedTuple):
    """What later signals need to know of an earlier one."""

    id: int
    signal_id: bytes
    type: str
    publisher: str
    municipality: str | None
    keten: int | None
    subject: bytes | None
    fingerprint: bytes | None
    cause: int | None


class Mark(NamedTuple):
    """How a batch stood at some moment."""

    rows: tuple[list[int], dict[str, int]]
    counts: dict[tuple[int, int], tuple[int, int]]
    fresh: int
    named: int
    queued: dict[str, tuple[int, int]]
    cases: int
    changes: int


_COLUMNS: Final = (
    signals.c.id, signals.c.signal_id, signals.c.type, signals.c.publisher, signals.c.municipality, signals.c.keten,
    signals.c.subject, signals.c.fingerprint, signals.c.cause,
)  # fmt: skip
_RECEIVED: Final = (int(State.READY), int(State.SENT))


@dataclass(slots=True)
class Batch:
    """The state of one write transaction of the router or the clock."""

    connection: Connection
    names: Names
    keys: Keys
    inserts: Inserts
    rows: Rows = field(init=False)
    cases: Casebook = field(init=False)
    counts: dict[tuple[int, int], Count] = field(default_factory=dict)
    """Quota key and period -> how it stands."""
    queued: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Recipient -> quota key and period of a queue that grew in this batch."""
    _by_signal_id: dict[bytes, Stored] = field(default_factory=dict)
    _by_id: dict[int, Stored] = field(default_factory=dict)
    _name_of: dict[str, int] = field(default_factory=dict)
    _fresh: list[Stored] = field(default_factory=list)
    _named_now: list[str] = field(default_factory=list)
    _changes: list[Executable] = field(default_factory=list)
    """Changes of rows that are stored already, made when the batch is written."""
    _unwritten: set[int | None] = field(default_factory=set)
    """Ketens of which this batch holds rows or changes that are not written yet."""

    def __post_init__(self) -> None:
        self.rows = Rows(self.connection, self.inserts)
        self.cases = Casebook(self.connection, self.names, self.keys)

    # --- signals --------------------------------------------------------------------------

    def prefetch(self, signal_ids: Iterable[bytes]) -> None:
        """Look up which of these are stored already, in few statements."""
        self._prefetch(signals.c.signal_id, list(signal_ids))

    def prefetch_openers(self, ketens: Iterable[int]) -> None:
        """Look up the signals that opened these ketens, in few statements."""
        self._prefetch(signals.c.id, [keten for keten in dict.fromkeys(ketens) if keten not in self._by_id])

    def _prefetch(self, column: ColumnElement[Any], wanted: list[Any]) -> None:
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            for row in self.connection.execute(select(*_COLUMNS).where(column.in_(part))):
                self.remember(self._stored(row))

    def remember(self, stored: Stored) -> None:
        """Keep a signal at hand for the rest of the batch."""
        self._fresh.append(stored)
        self._by_signal_id[stored.signal_id] = stored
        self._by_id[stored.id] = stored

    def added(self, stored: Stored) -> None:
        """Keep a signal at hand whose rows this batch has still to write."""
        self.remember(stored)
        self._unwritten.add(stored.keten)

    def mark(self) -> Mark:
        """Return how the batch stands now, before a signal is recorded."""
        counts = {at: (count.used, count.waiting) for at, count in self.counts.items()}
        return Mark(
            self.rows.mark(), counts, len(self._fresh), len(self._named_now), dict(self.queued), self.cases.mark(), len(self._changes)
        )

    def undo(self, mark: Mark) -> None:
        """Take back everything since the mark."""
        self.rows.undo(mark.rows)
        self.cases.undo(mark.cases)
        del self._changes[mark.changes :]
        self.queued = mark.queued
        for at in list(self.counts):
            if at in mark.counts:
                self.counts[at].used, self.counts[at].waiting = mark.counts[at]
            else:
                del self.counts[at]
        for stored in self._fresh[mark.fresh :]:
            self._by_signal_id.pop(stored.signal_id, None)
            self._by_id.pop(stored.id, None)
        for name in self._named_now[mark.named :]:
            self._name_of.pop(name, None)
        del self._fresh[mark.fresh :], self._named_now[mark.named :]

    def prefetched(self, signal_id: bytes) -> Stored | None:
        """Return a signal that `prefetch` was asked for, or that this batch added."""
        return self._by_signal_id.get(signal_id)

    def by_id(self, id_: int) -> Stored:
        """Return a stored signal by its key."""
        if id_ not in self._by_id:
            self.remember(self._stored(self.connection.execute(select(*_COLUMNS).where(signals.c.id == id_)).one()))
        return self._by_id[id_]

    def _by_signal(self, signal_id: bytes) -> Stored | None:
        if signal_id not in self._by_signal_id:
            row = self.connection.execute(select(*_COLUMNS).where(signals.c.signal_id == signal_id)).one_or_none()
            if row is None:
                return None
            self.remember(self._stored(row))
        return self._by_signal_id[signal_id]

    def _stored(self, row: Any) -> Stored:
        name = self.names.name
        return Stored(
            row.id, row.signal_id, name(self.connection, row.type), name(self.connection, row.publisher),
            row.municipality, row.keten, row.subject, row.fingerprint, row.cause,
        )  # fmt: skip

    def known_to(self, participant: str, reference: str) -> Stored | None:
        """Return the signal that a participant means by an own signal_id or a received delivery_id."""
        block = _uuid_bytes(reference)
        if block is None:
            return None
        found = self._by_signal(block)
        if found is not None:
            return found if found.publisher == participant else None
        delivery = self.keys.delivery_of(block)
        if delivery is None:
            return None
        row = self.connection.execute(
            select(deliveries.c.signal, deliveries.c.recipient, deliveries.c.state).where(deliveries.c.id == delivery)
        ).one_or_none()
        if row is None or row.state not in {State.READY, State.SENT} or self.names.name(self.connection, row.recipient) != participant:
            return None
        return self.by_id(row.signal)

    # --- what happened before in a keten --------------------------------------------------

    def settle(self, keten: int | None) -> None:
        """Write what this batch holds of a keten, so that look-ups in the database see it. Comes before `mark`."""
        if keten in self._unwritten:
            self._write()

    def change(self, statement: Executable, keten: int | None) -> None:
        """Change a stored row of a keten when the batch is written; `undo` takes it back until then."""
        self._changes.append(statement)
        self._unwritten.add(keten)

    def _write(self) -> None:
        self.rows.flush()
        for statement in self._changes:
            self.connection.execute(statement)
        self._changes.clear()
        self._unwritten.clear()

    def heard(self, keten: int) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
        """Return who received and who published what in a keten: (participant, type). What was taken back does not count."""
        name = partial(self.names.name, self.connection)
        standing = (_in_keten(keten), ~exists().where(recalls.c.original == signals.c.id))
        received = self.connection.execute(
            select(deliveries.c.recipient, signals.c.type).distinct()
            .select_from(signals.join(deliveries, deliveries.c.signal == signals.c.id))
            .where(*standing, deliveries.c.state.in_(_RECEIVED))
        ).all()  # fmt: skip
        published = self.connection.execute(select(signals.c.publisher, signals.c.type).distinct().where(*standing)).all()
        return frozenset((name(row[0]), name(row[1])) for row in received), frozenset((name(row[0]), name(row[1])) for row in published)

    def is_withdrawn(self, signal: int) -> bool:
        """Say whether a signal was withdrawn by its publisher."""
        where = (recalls.c.original == signal, recalls.c.kind == int(Recall.WITHDRAWN))
        return self.connection.execute(select(recalls.c.original).where(*where)).scalar() is not None

    def held(self, keten: int, recipient: str) -> list[int]:
        """Return the deliveries that are held back for a participant in a keten, the oldest first."""
        number = self.names.find(self.connection, recipient)
        return list(
            self.connection.execute(
                select(deliveries.c.id).join(signals, signals.c.id == deliveries.c.signal)
                .where(_in_keten(keten), deliveries.c.recipient == number, deliveries.c.state == int(State.HELD))
                .order_by(deliveries.c.id)
            ).scalars()
        )  # fmt: skip

    # --- ketens ---------------------------------------------------------------------------

    def keten(self, participant: str, correlation: str) -> int | None:
        """Return the keten that a participant means: by its handle, or by a name it chose itself."""
        block = _uuid_bytes(correlation)
        if block is not None and (keten := self.keys.keten_of(participant, block)) is not None:
            return keten if self.by_id(keten).keten == keten else None
        for digest in self.keys.fingerprints(_keten_name(participant, correlation)):
            if (keten := self._named(digest)) is not None:
                return keten
        return None

    def _named(self, digest: bytes) -> int | None:
        key = digest.hex()
        if key not in self._name_of:
            found = self.connection.execute(select(keten_names.c.keten).where(keten_names.c.hash == digest)).scalar()
            if found is None:
                return None
            self._name_of[key] = found
        return self._name_of[key]

    def name_keten(self, participant: str, correlation: str, keten: int) -> None:
        """Record the name that the opener of a keten chose; it means nothing to anyone else."""
        digest = self.keys.fingerprint(_keten_name(participant, correlation))
        self._name_of[digest.hex()] = keten
        self._named_now.append(digest.hex())
        self.rows.add("keten_names", (digest, keten, self.keys.seal_log(correlation.encode())))

    # --- quota ----------------------------------------------------------------------------

    def count(self, key: str, period: int) -> tuple[tuple[int, int], Count]:
        """Return how a quota key stands, read inside this transaction."""
        at = (self.names.id(self.connection, key), period)
        if at not in self.counts:
            used = self.connection.execute(
                select(quota_usage.c.used).where(quota_usage.c.key == at[0], quota_usage.c.period == period)
            ).scalar()
            waiting = self.connection.execute(
                select(func.count()).where(deliveries.c.queue == at[0], deliveries.c.state == State.WAITING)
            ).scalar_one()
            self.counts[at] = Count(used or 0, waiting)
        return at, self.counts[at]

    def refused_before(self, fingerprint: bytes) -> bool:
        """Say whether these very bytes were refused before and are still kept."""
        return self.connection.execute(select(rejections.c.id).where(rejections.c.fingerprint == fingerprint)).scalar() is not None

    def flush(self) -> None:
        """Write everything that the batch gathered."""
        self.cases.flush()
        self._write()
        for (key, period), count in self.counts.items():
            if count.changed:
                self._save(key, period, count)

    def _save(self, key: int, period: int, count: Count) -> None:
        count.changed = False
        where = (quota_usage.c.key == key, quota_usage.c.period == period)
        changed = self.connection.execute(quota_usage.update().where(*where).values(used=count.used)).rowcount
        if not changed and count.used:
            self.connection.execute(quota_usage.insert().values(key=key, period=period, used=count.used))


def _in_keten(keten: int) -> ColumnElement[bool]:
    return or_(signals.c.id == keten, and_(signals.c.keten == keten, signals.c.keten != signals.c.id))


def _uuid_bytes(text: str) -> bytes | None:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


def _keten_name(participant: str, correlation: str) -> bytes:
    return f"{participant} {correlation}".encode()
