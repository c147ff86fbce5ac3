"""Dates and terms in Dutch time.

Moments are epoch milliseconds in UTC; a date is the calendar date in Europe/Amsterdam.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import holidays
import isodate

if TYPE_CHECKING:
    from collections.abc import Collection

AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
EPOCH: Final = date(1970, 1, 1)
PERIODS: Final = ("day", "month", "year")
_EPOCH_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DURATION: Final = re.compile(
    r"P(?=[0-9]|T[0-9])([0-9]{1,4}Y)?([0-9]{1,4}M)?([0-9]{1,4}W)?([0-9]{1,5}D)?(T(?=[0-9])([0-9]{1,4}H)?([0-9]{1,4}M)?)?"
).fullmatch


def to_ms(moment: datetime) -> int:
    """Return epoch milliseconds of an aware datetime, finer parts cut. Raises ValueError if it is naive."""
    if moment.tzinfo is None:
        msg = "a moment needs a zone"
        raise ValueError(msg)
    return (moment - _EPOCH_MOMENT) // _MILLISECOND


def to_moment(ms: int) -> datetime:
    """Return the moment in UTC."""
    return _EPOCH_MOMENT + ms * _MILLISECOND


def moment(text: str) -> int:
    """Return the moment of an ISO 8601 text; without a zone it is Dutch time. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    return to_ms(parsed if parsed.tzinfo else parsed.replace(tzinfo=AMSTERDAM))


def iso_utc(ms: int) -> str:
    """Return RFC 3339 in UTC with milliseconds, as `2026-11-02T08:00:00.000Z`."""
    return to_moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_date(days: int) -> str:
    """Return a wire date (days since 1970) as `jjjj-mm-dd`."""
    return (EPOCH + timedelta(days=days)).isoformat()


def amsterdam_date(ms: int) -> date:
    """Return the calendar date in the Netherlands at this moment."""
    return to_moment(ms).astimezone(AMSTERDAM).date()


def midnight_ms(day: date) -> int:
    """Return the moment at which `day` begins in the Netherlands, daylight saving included."""
    return to_ms(datetime.combine(day, time(), AMSTERDAM))


def period_start(per: str, day: date) -> date:
    """Return the first day of the `day`, `month` or `year` that holds `day`."""
    if per == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if per == "year" else day


def next_period(per: str, day: date) -> date:
    """Return the first day of the period after the one that holds `day`."""
    start = period_start(per, day)
    if per == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start.replace(year=start.year + 1) if per == "year" else start + timedelta(days=1)


def plus(day: date, duration: str) -> date:
    """Add an ISO 8601 duration of whole days or longer to a date.

    A month's end stays within the month: 31 January plus P1M is the last day of February.
    Raises ValueError if `duration` is none.
    """
    return day + isodate.parse_duration(duration)  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def _days_off(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("NL", years=year, categories=("public", "optional")))


def is_working_day(day: date, equated: Collection[date] = ()) -> bool:
    """Say whether `day` is a Dutch working day: no weekend, no holiday of Atw art. 3.

    `equated` are the days that a royal decree makes equal to a holiday.
    """
    return day.weekday() < 5 and day not in _days_off(day.year) and day not in equated  # noqa: PLR2004


def working_days(day: date, count: int, equated: Collection[date] = ()) -> date:
    """Return the `count`-th working day after `day`, or before it if negative, that day itself not counted."""
    direction = timedelta(days=1 if count > 0 else -1)
    for _ in range(abs(count)):
        day += direction
        while not is_working_day(day, equated):
            day += direction
    return day


def statutory_end(day: date, duration: str, equated: Collection[date] = ()) -> date:
    """Return the last day of a term of law that began on `day`, that day itself not counted.

    A term that ends on a Saturday, Sunday or holiday runs to the next working day (Algemene
    termijnenwet art. 1), unless it is longer than 90 days, 12 weeks or 3 months, or counts in
    years (art. 4). Art. 2 (short terms hold two working days) is not applied: its text has not
    been confirmed.
    """
    last = plus(day, duration)
    if _is_long(duration):
        return last
    while not is_working_day(last, equated):
        last += timedelta(days=1)
    return last


def hard_end(day: date, duration: str) -> date:
    """Return the last day of a maximum that begins on `day`, which counts, and that nothing extends."""
    return plus(day, duration) - timedelta(days=1)


def _is_long(duration: str) -> bool:
    match = _DURATION(duration)
    years, months, weeks, days = (int(part[:-1]) if part else 0 for part in match.groups()[:4]) if match else (1, 0, 0, 0)
    units = sum(value > 0 for value in (years, months, weeks, days))
    if units > 1:  # Atw art. 4 names no mixed terms: count them in days
        return (plus(EPOCH, duration) - EPOCH).days > 90  # noqa: PLR2004
    return years > 0 or months > 3 or weeks > 12 or days > 90  # noqa: PLR2004


@lru_cache(maxsize=256)
def duration_ms(duration: str, since_ms: int) -> int:
    """Return the moment that lies an ISO 8601 duration after another, in Dutch calendar time."""
    start = to_moment(since_ms).astimezone(AMSTERDAM)
    return to_ms(start + isodate.parse_duration(duration))


def is_shift(text: str) -> bool:
    """Say whether `text` is a duration of whole days or longer, perhaps back in time, as in -P1M."""
    return is_duration(text.removeprefix("-")) and "T" not in text


def is_duration(text: str) -> bool:
    """Say whether `text` is an ISO 8601 duration that a calendar can count and that passes, such as P6M."""
    return _DURATION(text) is not None and any(digit in text for digit in "123456789")
