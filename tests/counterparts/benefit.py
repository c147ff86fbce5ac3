"""The benefit system of a municipality: its own table of benefits, the outbox beside it, and a payment that it may stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from connectors.werk_en_inkomen.benefit import create, may, post
from connectors.werk_en_inkomen.rig import fact, plan
from connectors.werk_en_inkomen.translate import Message

UTRECHT: Final = "0344"


class MayNotError(Exception):
    """The measure may not be carried out now."""


class BenefitSystem:
    """Plays the other side of the connector, with SQL of its own and in transactions of its own.

    Args:
        url: Its database, PostgreSQL or SQLite.
        now: Its clock.
    """

    def __init__(self, url: str, now: Callable[[], datetime]) -> None:
        self.engine: Engine = create_engine(url, poolclass=NullPool)
        self.now = now

    def install(self) -> None:
        """Make its tables, and the two of the connector."""
        with self.engine.begin() as connection:
            create(connection)
            connection.execute(text("CREATE TABLE uitkering (maatregel VARCHAR(64) PRIMARY KEY, bsn VARCHAR(9), loopt BOOLEAN NOT NULL)"))

    def announce(self, measure: str, bsn: str, planned: date, **changed: Any) -> None:
        """Note a measure and announce it, both or neither."""
        with self.engine.begin() as connection:
            connection.execute(text("INSERT INTO uitkering VALUES (:maatregel, :bsn, true)"), {"maatregel": measure, "bsn": bsn})
            post(connection, Message.ANNOUNCED, measure, UTRECHT, **plan(bsn, planned, **changed))

    def correct(self, measure: str, bsn: str, planned: date, **changed: Any) -> None:
        """Choose another day."""
        with self.engine.begin() as connection:
            post(connection, Message.ANNOUNCED, measure, UTRECHT, **plan(bsn, planned, **changed))

    def withdraw(self, measure: str, reason: str = "ONTERECHT") -> None:
        """Let a measure go."""
        with self.engine.begin() as connection:
            post(connection, Message.WITHDRAWN, measure, UTRECHT, redencode=reason)

    def may(self, measure: str) -> bool:
        """Ask its own database."""
        with self.engine.connect() as connection:
            return may(connection, measure, self.now())

    def stop(self, measure: str, *, whatever: bool = False) -> None:
        """Stop the payment and tell it, in one transaction. Raises MayNotError when it may not, unless `whatever`."""
        with self.engine.begin() as connection:
            if not (may(connection, measure, self.now()) or whatever):
                raise MayNotError
            bsn = connection.execute(
                text("UPDATE uitkering SET loopt = false WHERE maatregel = :maatregel RETURNING bsn"), {"maatregel": measure}
            ).scalar_one()
            post(connection, Message.CARRIED_OUT, measure, UTRECHT, **fact(bsn, self.now().date()))

    def pays(self, measure: str) -> bool:
        """Whether the benefit is still paid."""
        found = self.rows("SELECT loopt FROM uitkering WHERE maatregel = :maatregel", maatregel=measure)
        return bool(found[0]["loopt"])

    def outbox(self) -> list[tuple[Any, ...]]:
        """Return of each row what it says, of what, and what became of it."""
        rows = self.rows("SELECT bericht, maatregel, status, redenen FROM signaalhub_outbox ORDER BY nummer")
        return [tuple(row.values()) for row in rows]

    def answer(self, measure: str) -> tuple[bool, str | None] | None:
        """Return what the connector wrote of a measure."""
        rows = self.rows("SELECT mag, code FROM signaalhub_guard WHERE maatregel = :maatregel", maatregel=measure)
        return (bool(rows[0]["mag"]), rows[0]["code"]) if rows else None

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Return what a query of its own finds."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def execute(self, sql: str, **values: Any) -> None:
        """Change something in its own database."""
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)


@contextmanager
def benefit_system(url: str, now: Callable[[], datetime]) -> Iterator[BenefitSystem]:
    """Open a benefit system with an empty database for one block."""
    system = BenefitSystem(url, now)
    system.install()
    try:
        yield system
    finally:
        system.engine.dispose()
