"""Errors of databases, as what to do about them and without what they hold: drivers put values in their messages."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError, TimeoutError

from hub.errors import HubError, RetryLaterError, StopError


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise RetryLaterError for a database that does not answer or is locked, StopError for one that cannot be used.

    Args:
        place: What it is, as the user knows it: a file, or the system whose database it is; no URL with a password.
    """
    fault: HubError
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError) as error:
        fault = _fault(place, error)
    except SQLAlchemyError as error:
        fault = _unusable(place, error)
    else:
        return
    raise fault from None


def _fault(place: str, error: SQLAlchemyError) -> HubError:
    cause = getattr(error, "orig", None)
    if not isinstance(cause, sqlite3.Error):
        return RetryLaterError(f"{place}: the database does not answer", "check that it runs, then try again")
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return RetryLaterError(f"{place}: another process is writing", "see that this connector runs once at a time")
    return _unusable(place, error)


def _unusable(place: str, error: SQLAlchemyError) -> HubError:
    return StopError(f"{place}: the database cannot be used ({type(error).__name__})", "check where it is, its tables and the rights on it")
