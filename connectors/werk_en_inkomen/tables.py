"""What the connector reads and writes in the benefit system's database: the outbox and the answers of the guard."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, DateTime, and_, column, exists, insert, not_, null, or_, select, table, update

from connectors.werk_en_inkomen.translate import FIELDS, Measure, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from hub.client import GuardAnswer

# Types only where drivers differ in what they take: what a column holds is judged in translate.py.
_MOMENT: Final = DateTime(timezone=True)
_outbox: Final = table(
    "signaalhub_outbox",
    *(column(name) for name in ("nummer", "sleutel", "bericht", "maatregel", *FIELDS, "status", "redenen")),
    column("behandeld_op", _MOMENT),
)
_guard: Final = table(
    "signaalhub_guard",
    *(column(name) for name in ("maatregel", "code", "stand", "laatste_rij", "gemeentecode", "signaal_id", "keten")),
    column("mag", Boolean()), column("gevraagd_op", _MOMENT),
)  # fmt: skip


def look(connection: Connection) -> None:
    """See whether both tables can be read."""
    for found in (_outbox, _guard):
        connection.execute(select(found).limit(1)).first()


def waiting(connection: Connection, limit: int) -> list[tuple[Mapping[str, Any], Measure | None]]:
    """Return the first waiting row of each measure with what is known of it, in order; other runs stay away from them.

    One a measure, so that what is said of a measure is handled in the order in which it was said, however many runs
    there are. On PostgreSQL rows are locked until the transaction ends. SQLite has no such locks: there two runs may
    get the same row, make the same of it, for all is read at one moment, and `settle` takes what the first says.
    """
    earlier = _outbox.alias("earlier")
    first = not_(exists().where(and_(
        earlier.c.maatregel == _outbox.c.maatregel, earlier.c.nummer < _outbox.c.nummer, earlier.c.status.is_(None),
    )))  # fmt: skip
    known = [_guard.c[name].label(f"known_{name}") for name in ("gemeentecode", "stand", "laatste_rij", "signaal_id")]
    found = (
        select(_outbox, *known)
        .outerjoin(_guard, _guard.c.maatregel == _outbox.c.maatregel)
        .where(_outbox.c.status.is_(None), first)
        .order_by(_outbox.c.nummer)
        .limit(limit)
        .with_for_update(skip_locked=True, of=_outbox)
    )
    rows = (row._asdict() for row in connection.execute(found))
    return [(row, _measure(row)) for row in rows]


def _measure(row: Mapping[str, Any]) -> Measure | None:
    if row["known_stand"] is None:
        return None
    return Measure(row["known_gemeentecode"], Standing(row["known_stand"]), row["known_laatste_rij"], row["known_signaal_id"])


def settle(connection: Connection, number: int, status: str, reasons: str | None, now: datetime) -> bool:
    """Write in a row what became of it. Returns whether it was still waiting."""
    told = update(_outbox).where(_outbox.c.nummer == number, _outbox.c.status.is_(None))
    return connection.execute(told.values(status=status, redenen=reasons, behandeld_op=now)).rowcount == 1


def keep(connection: Connection, measure: str, standing: Standing, code: str, **more: Any) -> None:
    """Write how a measure stands; until the guard is asked again the answer is no."""
    values = {"stand": str(standing), "mag": False, "code": code, "gevraagd_op": null(), **more}
    if not connection.execute(update(_guard).where(_guard.c.maatregel == measure).values(values)).rowcount:
        connection.execute(insert(_guard).values(maatregel=measure, **values))


def open_measures(connection: Connection) -> list[Row[Any]]:
    """Return the measures of which the guard is asked: what was asked longest ago first."""
    columns = (_guard.c.maatregel, _guard.c.gemeentecode, _guard.c.keten, _guard.c.laatste_rij)
    order = (_guard.c.gevraagd_op.asc().nulls_first(), _guard.c.maatregel)
    return list(connection.execute(select(*columns).where(_guard.c.stand == str(Standing.OPEN)).order_by(*order)))


def answer(connection: Connection, measure: Row[Any], said: GuardAnswer, asked: datetime) -> None:
    """Write the answer to a question of this moment, unless a later one is there or the measure changed meanwhile.

    Of two answers of one moment a no stands.
    """
    newer = or_(_guard.c.gevraagd_op.is_(None), _guard.c.gevraagd_op < asked)
    if not said.open:
        newer = or_(newer, _guard.c.gevraagd_op == asked)
    same = (_guard.c.maatregel == measure.maatregel, _guard.c.laatste_rij == measure.laatste_rij, _guard.c.stand == str(Standing.OPEN))
    connection.execute(update(_guard).where(*same, newer).values(mag=said.open, code=said.code, gevraagd_op=asked))
