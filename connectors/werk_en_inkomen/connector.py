"""Handles the rows of the outbox, then asks the guard about every open measure: the I/O of the connector."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from connectors.kit.database import translated
from connectors.kit.flow import Skipped
from connectors.werk_en_inkomen import tables
from connectors.werk_en_inkomen.translate import GUARD, Measure, Message, Standing, participant, translate
from hub.client import RunReport
from hub.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from connectors.kit.flow import Outgoing
    from connectors.werk_en_inkomen.settings import WerkEnInkomenSettings
    from hub.client import Gateway, Receipt, Track

BATCH: Final = 200
ACCEPTED: Final = "AANGENOMEN"
REFUSED: Final = "GEWEIGERD"
_PLACE: Final = "the database of the benefit system"


def ping(settings: WerkEnInkomenSettings) -> None:
    """Look whether both tables can be read. Raises a HubError."""
    with _opened(settings) as engine, engine.connect() as connection:
        tables.look(connection)


def run(settings: WerkEnInkomenSettings, gateway: Gateway, track: Track) -> RunReport:
    """Publish what waits in the outbox, tell each row what became of it, and write the guard's answer for every open measure.

    A row is published before that is written, under an id that follows from it: after a crash it is published again,
    and the hub knows it. Several runs may work at once.

    Raises:
        StopError: The database or its tables cannot be used.
        RetryLaterError: The hub or the database did not answer. What was done stays, and answers grow old: then they mean no.
    """
    report = RunReport()
    with _opened(settings) as engine:
        while _handle(engine, gateway, report):
            pass
        _ask(engine, gateway, track)
    return report


@contextlib.contextmanager
def _opened(settings: WerkEnInkomenSettings) -> Iterator[Engine]:
    with translated(_PLACE):
        engine = _engine(settings)
        try:
            yield engine
        finally:
            engine.dispose()


def _engine(settings: WerkEnInkomenSettings) -> Engine:
    hint = "give database_url as `postgresql+psycopg://user:password@host/name` or `sqlite:///path`"
    try:
        url = make_url(settings.database_url.get_secret_value())
    except ArgumentError:
        raise StopError(f"{_PLACE}: database_url is not a database URL", hint) from None
    name, seconds = url.get_backend_name(), settings.timeout_seconds
    if name == "sqlite":
        return create_engine(url, poolclass=NullPool, connect_args={"timeout": seconds})
    if name == "postgresql":
        ask = {"connect_timeout": max(1, round(seconds)), "options": f"-c lock_timeout={round(seconds * 1000)}"}
        # Each statement must see what other runs committed, whatever the database's own default is.
        return create_engine(
            url.set(drivername="postgresql+psycopg"), poolclass=NullPool, connect_args=ask, isolation_level="READ COMMITTED"
        )
    raise StopError(f"{_PLACE}: only PostgreSQL and SQLite are known", hint)


# --- the outbox ---------------------------------------------------------------------------


def _handle(engine: Engine, gateway: Gateway, report: RunReport) -> bool:
    """Handle some rows, to their end, in one transaction. Returns whether there were any."""
    with engine.begin() as connection:
        found = tables.waiting(connection, BATCH)
        outcomes = [translate(row, known) for row, known in found]
        receipts = _published(gateway, [outcome for outcome in outcomes if not isinstance(outcome, Skipped)])
        now = gateway.now()
        for (row, known), outcome in zip(found, outcomes, strict=True):
            report.read += 1
            if isinstance(outcome, Skipped):
                report.skipped[outcome.reason] += 1
                _settle(connection, row, known, outcome, now)
            else:
                receipt = receipts[outcome[1].id or ""]
                report.count(receipt)
                _settle(connection, row, known, receipt, now)
        return bool(found)


def _published(gateway: Gateway, outgoing: Sequence[Outgoing]) -> dict[str, Receipt]:
    """Publish, and return the receipts by the id of their signal."""
    receipts: dict[str, Receipt] = {}
    for who in dict.fromkeys(publisher for publisher, _ in outgoing):
        signals = [signal for publisher, signal in outgoing if publisher == who]
        receipts |= {signal.id or "": receipt for signal, receipt in zip(signals, gateway.publish(who, signals), strict=True)}
    return receipts


def _settle(connection: Connection, row: Mapping[str, Any], known: Measure | None, outcome: Receipt | Skipped, now: datetime) -> None:
    """Write what became of a row, in the row and in its measure; not when another run was first."""
    reasons = _reasons(outcome)
    if not tables.settle(connection, row["nummer"], ACCEPTED if reasons is None else REFUSED, reasons, now):
        return
    last = max(row["nummer"], known.last_row if known else 0)
    if reasons is not None:
        if known is not None and known.standing is not Standing.CLOSED:
            tables.keep(connection, row["maatregel"], Standing.REFUSED, "laatste-rij-geweigerd", laatste_rij=last)
    elif row["bericht"] == Message.ANNOUNCED and not isinstance(outcome, Skipped):
        told = {"gemeentecode": row["gemeentecode"], "signaal_id": outcome.signal_id, "keten": outcome.correlation}
        tables.keep(connection, row["maatregel"], Standing.OPEN, "nog-niet-gevraagd", laatste_rij=last, **told)
    else:
        told = {} if known else {"gemeentecode": row["gemeentecode"]}
        tables.keep(connection, row["maatregel"], Standing.CLOSED, row["bericht"].lower(), laatste_rij=last, **told)


def _reasons(outcome: Receipt | Skipped) -> str | None:
    """Return the reason codes, each with its field if it is about one; None for what was accepted."""
    if isinstance(outcome, Skipped):
        return outcome.reason
    if outcome.status != "rejected":
        return None
    return " ".join(f"{error.code}:{error.field}" if error.field else error.code for error in outcome.errors)


# --- the guard ----------------------------------------------------------------------------


def _ask(engine: Engine, gateway: Gateway, track: Track) -> None:
    """Ask about every open measure, and write each answer at once with the moment before it was asked."""
    with engine.connect() as connection:
        measures = tables.open_measures(connection)
    for measure in track(measures, total=len(measures), label="Werk en Inkomen"):
        asked = gateway.now()
        said = gateway.may(participant(measure.gemeentecode), measure.keten, GUARD)
        with engine.begin() as connection:
            tables.answer(connection, measure, said, asked)
