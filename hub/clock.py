"""What falls due: terms of cases, places in a new period for who waits, and data whose time is up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exists, literal, select

from hub.casebook import Casebook
from hub.domain import decide as deciding
from hub.domain import quota
from hub.domain.decide import Circumstances
from hub.errors import HubError
from hub.stopping import Stop, never
from hub.storage.database import BROKEN, UNWRITABLE
from hub.storage.tables import Rejection, State, case_steps, cases, deliveries, keten_names, rejections, signals
from hub.telemetry import log
from hub.work import Work

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Delete, Select

    from hub.casebook import StoredCase
    from hub.router import Router

_CHUNK: Final = 500
_ERASED: Final = {"sealed_key": None, "payload": None, "fingerprint": None, "erase_at": None}


@dataclass(slots=True)
class Clock:
    """Does what is due. Two clocks at once do each thing once: all of it is read and written in one transaction."""

    router: Router

    def run_once(self, stop: Stop = never) -> int:
        """Release and erase whatever is due now, unless told to stop between batches. Returns how many things changed."""
        changed = self._terms(stop) + sum(self._queue(key, stop) for key in self._queues())
        return changed if stop() else changed + self._erase()

    def _work(self, connection: Connection) -> Work:
        return Work(self.router.means, self.router.rulebooks.sync(connection), self.router.open_batch(connection), self.router.now_ms())

    # --- terms ----------------------------------------------------------------------------

    def _terms(self, stop: Stop) -> int:
        """Let every term fall due that is due."""
        failed: set[int] = set()
        total = 0
        while not stop() and (done := self.some_terms(failed)):
            total += done
        moved = total - len(failed)
        if moved:
            log.info("terms_due", cases=moved)
        return moved

    def some_terms(self, failed: set[int] | None = None, limit: int = _CHUNK) -> int:
        """Let the terms of a number of cases fall due in one transaction. Returns how many cases were taken up.

        `failed` gathers those of them on which the hub itself failed, so that they are not tried again and again.
        """
        failed = set() if failed is None else failed
        first = self._first_due(failed)
        if first is None:
            return 0
        try:
            return self._some_terms(failed, limit)
        except UNWRITABLE as exc:
            if limit > 1:
                return self.some_terms(failed, 1)
            failed.add(first.id)
            log.error("term_failed", process=first.process, error=type(exc).__name__)
            return 1

    def _first_due(self, failed: set[int]) -> StoredCase | None:
        with self.router.database.read() as connection:
            found = Casebook(connection, self.router.names, self.router.keys).due(self.router.now_ms(), 1, failed)
        return found[0] if found else None

    def _some_terms(self, failed: set[int], limit: int) -> int:
        with self.router.database.write() as connection:
            work = self._work(connection)
            due = work.batch.cases.due(work.now, limit, failed)
            work.batch.prefetch_openers(stored.keten for stored in due)
            for stored in due:
                mark = work.batch.mark()
                try:
                    left = work.casework.overdue(stored).case.next_due
                    if left is not None and left <= work.now:  # no rule says any more what its term means
                        failed.add(stored.id)
                except (HubError, *BROKEN):
                    raise
                except Exception as exc:  # noqa: BLE001  (a fault of the hub on one case holds up no other)
                    work.batch.undo(mark)
                    failed.add(stored.id)
                    log.error("term_failed", process=stored.process, error=type(exc).__name__)
            work.finish()
        return len(due)

    # --- quota ----------------------------------------------------------------------------

    def _queues(self) -> list[int]:
        with self.router.database.read() as connection:
            return sorted(connection.execute(select(deliveries.c.queue).where(deliveries.c.state == State.WAITING).distinct()).scalars())

    def _queue(self, key: int, stop: Stop) -> int:
        """Release from one queue until it is empty or the period is full; one transaction a chunk."""
        total = 0
        while not stop():
            with self.router.database.write() as connection:
                work = self._work(connection)
                released, expired, seen = _Release(work, key).chunk(connection)
                if released or expired:
                    work.finish()
            total += released + expired
            if released or expired:
                log.info("quota_released", released=released, expired=expired)
            if seen < _CHUNK or not (released or expired):
                break
        return total

    # --- erasing --------------------------------------------------------------------------

    def _erase(self) -> int:
        """Delete the keys and bytes of what has been kept long enough. Decisions stay."""
        now = self.router.now_ms()
        if not self._anything_to_erase(now):
            return 0  # a look is cheap; a write would hold up the router for nothing
        with self.router.database.write() as connection:
            work = self._work(connection)
            due = (
                connection.execute(select(signals.c.id).where(signals.c.erase_at <= now, _nothing_pending()).limit(10_000)).scalars().all()
            )
            for start in range(0, len(due), _CHUNK):
                part = due[start : start + _CHUNK]
                self._let_go(work, part)
                # While a case is open its keten keeps its names and its person's pseudonym; both go with the case.
                running = exists().where(cases.c.keten == signals.c.id, cases.c.closed_at.is_(None))
                connection.execute(signals.update().where(signals.c.id.in_(part), ~running).values(subject=None))
                connection.execute(signals.update().where(signals.c.id.in_(part)).values(_ERASED))
                connection.execute(deliveries.update().where(deliveries.c.signal.in_(part)).values(payload=None))
                connection.execute(_forget_names(select(signals.c.keten).where(signals.c.id.in_(part))))
            refused = connection.execute(
                rejections.update()
                .where(rejections.c.sealed_key.is_not(None), rejections.c.erase_at <= now)
                .values(sealed_key=None, body=None, fingerprint=None, state=int(Rejection.ERASED))
            ).rowcount
            gone = select(cases.c.keten).where(cases.c.erase_at <= now)
            connection.execute(signals.update().where(signals.c.id.in_(gone), signals.c.erase_at.is_(None)).values(subject=None))
            connection.execute(_forget_names(gone))
            ended = select(cases.c.id).where(cases.c.erase_at <= now)
            connection.execute(case_steps.update().where(case_steps.c.case.in_(ended)).values(sealed=None))
            closed = connection.execute(
                cases.update().where(cases.c.erase_at <= now).values(sealed=None, subject=None, next_due=None, erase_at=None)
            ).rowcount
            work.finish()
        if due or refused or closed:
            log.info("erased", signals=len(due), rejections=refused, cases=closed)
        return len(due) + refused + closed

    def _let_go(self, work: Work, part: Sequence[int]) -> None:
        """What was held back for someone who never took it up goes with its signal."""
        held = (deliveries.c.signal.in_(part), deliveries.c.state == int(State.HELD))
        name = partial(work.recorder.means.names.name, work.batch.connection)
        for row in work.batch.connection.execute(
            select(deliveries.c.signal, deliveries.c.grant, deliveries.c.recipient).where(*held)
        ).all():
            work.recorder.decided(row.signal, name(row.grant), name(row.recipient), deciding.EXPIRED, "bewaartermijn-verstreken", None)
        work.batch.connection.execute(deliveries.update().where(*held).values(state=int(State.DROPPED)))

    def _anything_to_erase(self, now: int) -> bool:
        kept = rejections.c.sealed_key.is_not(None)
        return (
            self._any(signals.c.erase_at <= now, _nothing_pending())
            or self._any(kept, rejections.c.erase_at <= now)
            or self._any(cases.c.erase_at <= now)
        )

    def _any(self, *where: ColumnElement[bool]) -> bool:
        """A look is cheap; a write would hold up the router for nothing."""
        with self.router.database.read() as connection:
            return connection.execute(select(literal(1)).where(*where).limit(1)).first() is not None


def _nothing_pending() -> ColumnElement[bool]:
    """Say of a signal that no delivery of it has yet to leave."""
    states = (int(State.READY), int(State.WAITING))
    return ~exists().where(deliveries.c.signal == signals.c.id, deliveries.c.state.in_(states))


def _forget_names(ketens: Select[tuple[int | None]]) -> Delete:
    """Return what deletes the name of each of these ketens, if its opener is erased, no case of it runs, and nothing of it is to be sent.

    A delivery that is ready may be a repeat, which must have the name that the first copy had. Its own signal stays until it has left;
    when that is erased, its keten comes by here again.
    """
    opener_gone = exists().where(signals.c.id == keten_names.c.keten, signals.c.erase_at.is_(None))
    running = exists().where(cases.c.keten == keten_names.c.keten, cases.c.closed_at.is_(None))
    leaving = select(signals.c.keten).join(deliveries, deliveries.c.signal == signals.c.id)
    leaving = leaving.where(deliveries.c.state == int(State.READY), signals.c.keten.is_not(None))
    return keten_names.delete().where(keten_names.c.keten.in_(ketens), opener_gone, ~running, keten_names.c.keten.not_in(leaving))


class _Release:
    """The release of one queue inside a transaction, oldest first."""

    def __init__(self, work: Work, key: int) -> None:
        self.work = work
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
        work, name = self.work, self.work.recorder.means.names.name
        grant_id, recipient = name(connection, row.grant), name(connection, row.recipient)
        ruleset = work.book.ruleset
        if row.sealed_key is None or row.erase_at <= work.now:
            return self.expire(connection, row, grant_id, recipient, "bewaartermijn-verstreken")
        signal = work.recorder.read_back(row)
        if signal is None:
            return self.expire(connection, row, grant_id, recipient, "regel-vervallen")
        holds = deciding.still_holds(ruleset, grant_id, signal, recipient, work.recorder.today)
        if holds is None:
            return self.expire(connection, row, grant_id, recipient, "regel-vervallen")
        grant, agreement = holds
        counted = None
        if grant.quota is not None:
            conditions = deciding.Conditions(ruleset, signal, Circumstances(work.now, work.recorder.today))
            try:
                limit = quota.limit_of(grant.quota, conditions.under(agreement))
            except ValueError:
                log.error("condition_failed", rule=grant.id, type=signal.rules.contract.type, trace=work.keys.trace(row.signal_id))
                return None
            _, count = work.batch.count(name(connection, self.key), quota.period(grant.quota, work.recorder.today))
            if limit is not None and count.used >= limit:
                return None
            counted = count.used
            count.used += 1
            count.waiting -= 1
            count.changed = True
        key = work.keys.data_key(row.sealed_key)
        schema, payload = work.recorder.project(signal, grant, recipient, key)
        connection.execute(
            deliveries.update().where(deliveries.c.id == row.id)
            .values(state=int(State.READY), queue=None, schema=schema, payload=payload, at=work.now)
        )  # fmt: skip
        work.recorder.decided(row.signal, grant_id, recipient, deciding.RELEASED, "ruimte-vrij", counted)
        return deciding.RELEASED

    def expire(self, connection: Connection, row: Any, grant: str, recipient: str, reason: str) -> str:
        """Take a delivery out of the queue for good, and tell who was waiting for it."""
        work = self.work
        connection.execute(deliveries.update().where(deliveries.c.id == row.id).values(state=int(State.DROPPED), queue=None))
        work.recorder.decided(row.signal, grant, recipient, deciding.EXPIRED, reason, None)
        about = work.batch.by_id(row.signal)
        work.recorder.tell_expired(about, grant, reason, recipient)
        return deciding.EXPIRED
