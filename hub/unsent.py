"""Deliveries that are ready and do not leave: counted, listed, and said in the log by every sweep until they have left.

Nothing here drops any: what is ready stays ready, whatever its age, and the relay sends it as soon as it can.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from hub.domain import terms
from hub.storage.tables import State, deliveries, signals
from hub.telemetry import log

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from hub.storage.database import Database
    from hub.storage.names import Names

SWEEP_MS: Final = 60_000
"""How often one process looks, in milliseconds."""


@dataclass(slots=True)
class Unsent:
    """What is ready for longer than it should be. Waiting and held deliveries are not meant: they have somebody who lets them go."""

    database: Database
    now_ms: Callable[[], int]
    after_ms: int
    """From which age on a delivery is overdue."""
    _swept: int | None = field(init=False, default=None)

    def overdue(self) -> tuple[int, int, float]:
        """Return how many deliveries are overdue, of how many recipients, and the age of the oldest in seconds."""
        now = self.now_ms()
        columns = (func.count(), func.count(deliveries.c.recipient.distinct()), func.min(deliveries.c.at))
        with self.database.read() as connection:
            count, recipients, oldest = connection.execute(select(*columns).where(*self._ready(now - self.after_ms))).one()
        return count, recipients, 0.0 if oldest is None else (now - oldest) / 1000

    def sweep(self) -> None:
        """Say in the log what is overdue, if the last look is long enough ago."""
        now = self.now_ms()
        if self._swept is not None and now - self._swept < SWEEP_MS:
            return
        count, recipients, oldest = self.overdue()
        self._swept = now
        if count:
            log.error("deliveries_unsent", count=count, recipients=recipients, oldest_seconds=int(oldest))

    def listing(self, names: Names, *, everything: bool = False) -> list[dict[str, Any]]:
        """Return the deliveries that are overdue, or with `everything` all that are ready, the oldest first."""
        now = self.now_ms()
        columns = (deliveries.c.delivery_id, deliveries.c.recipient, deliveries.c.grant, deliveries.c.at, signals.c.type)
        with self.database.read() as connection:
            name = partial(names.name, connection)
            rows = connection.execute(
                select(*columns).join(signals, signals.c.id == deliveries.c.signal)
                .where(*self._ready(now if everything else now - self.after_ms)).order_by(deliveries.c.at, deliveries.c.id)
            ).all()  # fmt: skip
            return [
                {
                    "delivery_id": str(uuid.UUID(bytes=row.delivery_id)),
                    "recipient": name(row.recipient),
                    "type": name(row.type),
                    "grant": name(row.grant),
                    "since": terms.iso_utc(row.at),
                    "seconds": (now - row.at) // 1000,
                }
                for row in rows
            ]

    @staticmethod
    def _ready(since: int) -> tuple[ColumnElement[bool], ...]:
        return deliveries.c.state == int(State.READY), deliveries.c.at <= since
