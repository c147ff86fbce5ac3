"""What the benefit system uses, on its own connection and in its own transaction; all of it is plain SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import Connection, text

from connectors.werk_en_inkomen.translate import FIELDS, Message

_SQL: Final = files("connectors.werk_en_inkomen") / "sql"


def statements(dialect: str) -> list[str]:
    """Return what makes the two tables, for `postgresql` or `sqlite`."""
    return [statement for statement in _read(f"{dialect}.sql").split(";\n") if statement.strip()]


def create(connection: Connection) -> None:
    """Make the two tables."""
    for statement in statements(connection.dialect.name):
        connection.execute(text(statement))


def post(connection: Connection, message: Message, measure: str, gemeentecode: str, **columns: Any) -> None:
    """Write a row in the outbox. It counts when the caller commits, together with all else that the caller did.

    Args:
        connection: The caller's.
        message: What it says.
        measure: The benefit system's own reference of the measure, new for each: never a number or name of a person.
        gemeentecode: The CBS code of the municipality that pays the benefit.
        columns: What else the contract of the message asks for; days as `date`.
    """
    if unknown := columns.keys() - set(FIELDS):
        raise TypeError(f"no such columns: {', '.join(sorted(unknown))}")
    row = {"bericht": str(message), "maatregel": measure, "gemeentecode": gemeentecode} | columns
    values = {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
    connection.execute(
        text(f"INSERT INTO signaalhub_outbox ({', '.join(values)}) VALUES ({', '.join(f':{name}' for name in values)})"),  # noqa: S608  (names of columns that we know)
        values,
    )


def may(connection: Connection, measure: str, now: datetime) -> bool:
    """Say whether a measure may be carried out now: the one SELECT of the README. No answer, or an old one, is no."""
    moment = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")
    return bool(connection.execute(text(_read(f"may-{connection.dialect.name}.sql")), {"maatregel": measure, "nu": moment}).scalar())


def _read(name: str) -> str:
    return (_SQL / name).read_text(encoding="utf-8")
