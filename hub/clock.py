"""What falls due: places in a new period for who waits, and data whose time is up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from hub.codec import UnreadableError, read_avro
from hub.domain import decide as deciding
from hub.domain import quota
from hub.domain.decide import Circumstances
from hub.domain.signal import Signal
from hub.keys import unseal
from hub.storage.tables import Rejection, State, deliveries, keten_names, rejections, signals
from hub.telemetry import log
from hub.work import Work, unpack

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.domain.registers import Participant
    from hub.domain.ruleset import TypeRules
    from hub.router import Router
    from hub.rulebook import Rulebooks

_CHUNK: Final = 500
_ERASED: Final = {"sealed_key": None, "payload": None, "fingerprint": None, "subject": None, "erase_at": None}


@dataclass(slots=True)
class Clock:
    """Does what is due. Two clocks at once do each thing once: all of it is read and written in one transaction."""

    router: Router

    def run_once(self) -> int:
        """Release and erase whatever is due now. Returns how many things changed."""
        changed = sum(self._queue(key) for key in self._queues())
        return changed + self._erase()

    # --- quota ----------------------------------------------------------------------------

    def _queues(self) -> list[int]:
        with self.router.database.read() as connection:
            return sorted(connection.execute(select(deliveries.c.queue).where(deliveries.c.state == State.WAITING).distinct()).scalars())

    def _queue(self, key: int) -> int:
        """Release from one queue until it is empty or the period is full; one transaction a chunk."""
        total = 0
        while True:
            with self.router.database.write() as connection:
                work = Work(self.router.means, self.router.rulebooks.current, self.router.open_batch(connection), self.router.now_ms())
                released, expired, seen = _Release(work, key, self.router.rulebooks).chunk(connection)
                if released or expired:
                    work.finish()
            total += released + expired
            if released or expired:
                log.info("quota_released", released=released, expired=expired)
            if seen < _CHUNK or not (released or expired):
                return total

    # --- erasing --------------------------------------------------------------------------

    def _erase(self) -> int:
        """Delete the keys and bytes of what has been kept long enough. Decisions stay."""
        now = self.router.now_ms()
        if not self._anything_to_erase(now):
            return 0  # a look is cheap; a write would hold up the router for nothing
        with self.router.database.write() as connection:
            pending = select(deliveries.c.id).where(
                deliveries.c.signal == signals.c.id, deliveries.c.state.in_((int(State.READY), int(State.WAITING)))
            )
            due = connection.execute(
                select(signals.c.id).where(signals.c.erase_at <= now)
                .where(~pending.exists())
                .limit(10_000)
            ).scalars().all()  # fmt: skip
            for start in range(0, len(due), _CHUNK):
                part = due[start : start + _CHUNK]
                connection.execute(signals.update().where(signals.c.id.in_(part)).values(_ERASED))
                connection.execute(deliveries.update().where(deliveries.c.signal.in_(part)).values(payload=None))
                connection.execute(keten_names.delete().where(keten_names.c.keten.in_(part)))
            refused = connection.execute(
                rejections.update()
                .where(rejections.c.sealed_key.is_not(None), rejections.c.erase_at <= now)
                .values(sealed_key=None, body=None, fingerprint=None, state=int(Rejection.ERASED))
            ).rowcount
            rows = self.router.open_batch(connection).rows
            rows.saw(now)
            rows.flush()
        if due or refused:
            log.info("erased", signals=len(due), rejections=refused)
        return len(due) + refused

    def _anything_to_erase(self, now: int) -> bool:
        with self.router.database.read() as connection:
            return bool(
                connection.execute(select(signals.c.id).where(signals.c.erase_at <= now).limit(1)).first()
                or connection.execute(
                    select(rejections.c.id).where(rejections.c.sealed_key.is_not(None), rejections.c.erase_at <= now).limit(1)
                ).first()
            )


class _Release:
    """The release of one queue inside a transaction, oldest first."""

    def __init__(self, work: Work, key: int, rulebooks: Rulebooks) -> None:
        self.work = work
        self.rulebooks = rulebooks
        self.key = key

    def chunk(self, connection: Connection) -> tuple[int, int, int]:
        """Handle the head of the queue. Returns (released, expired, looked at)."""
        columns = (
            deliveries.c.id, deliveries.c.grant, deliveries.c.recipient, signals.c.id.label("signal"), signals.c.type,
            signals.c.publisher, signals.c.municipality, signals.c.time, signals.c.schema, signals.c.sealed_key,
            signals.c.payload, signals.c.signal_id, signals.c.erase_at,
        )  # fmt: skip
        rows = connection.execute(
            select(*columns).select_from(deliveries.join(signals, signals.c.id == deliveries.c.signal))
            .where(deliveries.c.queue == self.key, deliveries.c.state == State.WAITING)
            .order_by(deliveries.c.id).limit(_CHUNK)
        ).all()  # fmt: skip
        released = expired = 0
        for row in rows:
            outcome = self.one(connection, row)
            if outcome is None:
                break  # the period is full; who comes later waits too
            released += outcome == deciding.RELEASED
            expired += outcome == deciding.EXPIRED
        return released, expired, len(rows)

    def one(self, connection: Connection, row: Any) -> str | None:
        """Release or expire the oldest waiting delivery; None if there is no room."""
        work, name = self.work, self.work.means.names.name
        grant_id, recipient = name(connection, row.grant), name(connection, row.recipient)
        ruleset = work.book.ruleset
        if row.sealed_key is None or row.erase_at <= work.now:
            return self.expire(connection, row, grant_id, recipient, "bewaartermijn-verstreken")
        publisher = ruleset.participants.find(name(connection, row.publisher))
        rules = ruleset.types.get(name(connection, row.type))
        if publisher is None or rules is None:
            return self.expire(connection, row, grant_id, recipient, "regel-vervallen")
        signal = self.signal(row, publisher, rules)
        holds = deciding.still_holds(ruleset, grant_id, signal, recipient, work.today)
        if holds is None:
            return self.expire(connection, row, grant_id, recipient, "regel-vervallen")
        grant, agreement = holds
        counted = None
        if grant.quota is not None:
            conditions = deciding.Conditions(ruleset, signal, Circumstances(work.now, work.today))
            try:
                limit = quota.limit_of(grant.quota, conditions.under(agreement))
            except ValueError:
                log.error("condition_failed", rule=grant.id, type=rules.contract.type)
                return None
            _, count = work.batch.count(name(connection, self.key), quota.period(grant.quota, work.today))
            if limit is not None and count.used >= limit:
                return None
            counted = count.used
            count.used += 1
            count.waiting -= 1
            count.changed = True
        key = work.keys.data_key(row.sealed_key)
        schema, payload = work.project(signal, grant, recipient, key)
        connection.execute(
            deliveries.update().where(deliveries.c.id == row.id)
            .values(state=int(State.READY), queue=None, schema=schema, payload=payload, at=work.now)
        )  # fmt: skip
        work.decided(row.signal, grant_id, recipient, deciding.RELEASED, "ruimte-vrij", counted)
        return deciding.RELEASED

    def signal(self, row: Any, publisher: Participant, rules: TypeRules) -> Signal:
        """Read a waiting signal back, under the contract of today."""
        work = self.work
        id_, encoded = unpack(unseal(work.keys.data_key(row.sealed_key), row.payload))
        current = row.schema == work.book.contract_ids[rules.contract.type]
        writer = rules.wire if current else self.rulebooks.wire_schema(row.schema, rules.contract.type)
        try:
            data = read_avro(writer, encoded, None if current else rules.wire)
        except UnreadableError:
            raise ValueError from None
        return Signal(rules, publisher, id_, row.signal_id, row.time, data, encoded, row.municipality)

    def expire(self, connection: Connection, row: Any, grant: str, recipient: str, reason: str) -> str:
        """Take a delivery out of the queue for good, and tell who was waiting for it."""
        work = self.work
        connection.execute(deliveries.update().where(deliveries.c.id == row.id).values(state=int(State.DROPPED), queue=None))
        work.decided(row.signal, grant, recipient, deciding.EXPIRED, reason, None)
        about = work.batch.by_id(row.signal)
        work.tell_expired(about, grant, reason, recipient)
        return deciding.EXPIRED
