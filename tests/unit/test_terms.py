"""Dates and terms in Dutch time: the vectors of the law, and both nights on which the clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain import terms

EQUATED = (date(2026, 1, 2), date(2026, 5, 4), date(2026, 5, 15))
"""Days that a royal decree makes equal to a holiday (to be checked against the Staatscourant)."""
HOUR_MS = 3_600_000
DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


# --- moments ---


@settings(deadline=None)
@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_moment_survives_being_written_and_read(ms: int) -> None:
    assert terms.to_ms(datetime.fromisoformat(terms.iso_utc(ms))) == ms


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    assert terms.iso_utc(utc("2026-11-02T08:00:00") + 7) == "2026-11-02T08:00:00.007Z"
    assert terms.iso_utc(0) == "1970-01-01T00:00:00.000Z"


def test_a_moment_without_zone_is_refused_where_a_zone_is_needed() -> None:
    with pytest.raises(ValueError, match="zone"):
        terms.to_ms(datetime(2026, 11, 2, 9))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-02T09:00", "2026-11-02T08:00:00"),
        ("2026-07-01T09:00", "2026-07-01T07:00:00"),
        ("2026-11-02T09:00:00+00:00", "2026-11-02T09:00:00"),
        ("2026-11-02T09:00:00-05:00", "2026-11-02T14:00:00"),
        ("2026-11-02", "2026-11-01T23:00:00"),
    ],
)
def test_what_a_person_writes_without_zone_is_dutch_time(text: str, expected: str) -> None:
    assert terms.moment(text) == utc(expected)


# --- days, and the nights on which the clock changes ---


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-28T22:59:59", date(2026, 3, 28)),
        ("2026-03-28T23:00:00", date(2026, 3, 29)),
        ("2026-03-29T21:59:59", date(2026, 3, 29)),
        ("2026-03-29T22:00:00", date(2026, 3, 30)),
        ("2026-10-24T21:59:59", date(2026, 10, 24)),
        ("2026-10-24T22:00:00", date(2026, 10, 25)),
        ("2026-10-25T22:59:59", date(2026, 10, 25)),
        ("2026-10-25T23:00:00", date(2026, 10, 26)),
        ("2026-11-30T22:59:59", date(2026, 11, 30)),
        ("2026-11-30T23:00:00", date(2026, 12, 1)),
        ("2026-06-30T21:59:59", date(2026, 6, 30)),
        ("2026-06-30T22:00:00", date(2026, 7, 1)),
        ("2026-12-31T23:00:00", date(2027, 1, 1)),
    ],
)
def test_a_day_and_a_month_begin_at_midnight_in_the_netherlands(moment: str, day: date) -> None:
    assert terms.amsterdam_date(utc(moment)) == day


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 2), 24), (date(2026, 3, 30), 24)]
)
def test_a_day_has_as_many_hours_as_the_clock_gives_it(day: date, hours: int) -> None:
    assert terms.midnight_ms(day + timedelta(days=1)) - terms.midnight_ms(day) == hours * HOUR_MS


@settings(deadline=None)
@given(DAYS)
def test_midnight_is_the_first_moment_of_its_day(day: date) -> None:
    midnight = terms.midnight_ms(day)
    assert terms.amsterdam_date(midnight) == day
    assert terms.amsterdam_date(midnight - 1) == day - timedelta(days=1)


# --- periods ---


@pytest.mark.parametrize(
    ("per", "day", "start", "following"),
    [
        ("day", date(2026, 3, 29), date(2026, 3, 29), date(2026, 3, 30)),
        ("day", date(2026, 12, 31), date(2026, 12, 31), date(2027, 1, 1)),
        ("month", date(2026, 3, 29), date(2026, 3, 1), date(2026, 4, 1)),
        ("month", date(2026, 10, 25), date(2026, 10, 1), date(2026, 11, 1)),
        ("month", date(2026, 12, 1), date(2026, 12, 1), date(2027, 1, 1)),
        ("month", date(2026, 1, 31), date(2026, 1, 1), date(2026, 2, 1)),
        ("month", date(2028, 2, 29), date(2028, 2, 1), date(2028, 3, 1)),
        ("year", date(2028, 2, 29), date(2028, 1, 1), date(2029, 1, 1)),
        ("year", date(2026, 12, 31), date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_a_period_begins_and_ends_on_the_calendar(per: str, day: date, start: date, following: date) -> None:
    assert terms.period_start(per, day) == start
    assert terms.next_period(per, day) == following


@settings(deadline=None)
@given(DAYS, st.sampled_from(terms.PERIODS))
def test_periods_follow_each_other_without_gap_or_overlap(day: date, per: str) -> None:
    start, following = terms.period_start(per, day), terms.next_period(per, day)
    assert start <= day < following
    assert terms.period_start(per, following) == following
    assert terms.period_start(per, following - timedelta(days=1)) == start


@pytest.mark.parametrize(
    ("first", "following", "hours"),
    [
        (date(2026, 3, 1), date(2026, 4, 1), 31 * 24 - 1),
        (date(2026, 10, 1), date(2026, 11, 1), 31 * 24 + 1),
        (date(2026, 11, 1), date(2026, 12, 1), 30 * 24),
    ],
)
def test_a_month_of_a_changing_clock_is_an_hour_shorter_or_longer(first: date, following: date, hours: int) -> None:
    assert terms.midnight_ms(following) - terms.midnight_ms(first) == hours * HOUR_MS


# --- durations ---


@pytest.mark.parametrize(
    ("day", "duration", "expected"),
    [
        (date(2026, 1, 31), "P1M", date(2026, 2, 28)),
        (date(2028, 1, 31), "P1M", date(2028, 2, 29)),
        (date(2028, 2, 29), "P1Y", date(2029, 2, 28)),
        (date(2026, 8, 31), "P6M", date(2027, 2, 28)),
        (date(2026, 2, 2), "P6M", date(2026, 8, 2)),
        (date(2026, 2, 2), "P4W", date(2026, 3, 2)),
        (date(2026, 3, 10), "P8W", date(2026, 5, 5)),
        (date(2026, 3, 28), "P1D", date(2026, 3, 29)),
        (date(2026, 3, 31), "-P1M", date(2026, 2, 28)),
        (date(2026, 11, 2), "P1Y2M3D", date(2028, 1, 5)),
    ],
)
def test_a_duration_is_counted_on_the_calendar(day: date, duration: str, expected: date) -> None:
    assert terms.plus(day, duration) == expected


@pytest.mark.parametrize(
    ("since", "duration", "expected"),
    [
        ("2026-03-28T12:00", "P1D", "2026-03-29T12:00"),
        ("2026-10-24T12:00", "P1D", "2026-10-25T12:00"),
        ("2026-01-31T09:00", "P1M", "2026-02-28T09:00"),
        ("2026-08-31T09:00", "P6M", "2027-02-28T09:00"),
        ("2026-05-02T00:30", "P6M", "2026-11-02T00:30"),
        ("2026-10-15T10:00", "P14D", "2026-10-29T10:00"),
    ],
)
def test_a_retention_ends_at_the_same_hour_of_the_dutch_clock(since: str, duration: str, expected: str) -> None:
    assert terms.duration_ms(duration, terms.moment(since)) == terms.moment(expected)


def test_a_retention_keeps_its_milliseconds() -> None:
    assert terms.duration_ms("P1M", terms.moment("2026-11-02T09:00") + 123) == terms.moment("2026-12-02T09:00") + 123


@pytest.mark.parametrize("text", ["P6M", "P1Y", "P4W", "P14D", "P1Y2M", "P2Y6M10D"])
def test_an_iso_duration_is_one(text: str) -> None:
    assert terms.is_duration(text)


@pytest.mark.parametrize("text", ["", "P", "6M", "p6m", "6 maanden", " P6M", "P6M ", "P6M\n", "PM", "P-6", "P1.5M", "PT", "P1DT"])
def test_what_is_no_duration_that_a_calendar_can_count_is_none(text: str) -> None:
    assert not terms.is_duration(text)


# --- working days ---


def test_five_working_days_of_a_municipality_with_the_days_that_a_decree_equates() -> None:
    assert terms.working_days(date(2026, 4, 30), 5, EQUATED) == date(2026, 5, 11)


def test_without_the_decree_it_is_a_day_earlier() -> None:
    assert terms.working_days(date(2026, 4, 30), 5) == date(2026, 5, 8)


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        (date(2026, 11, 2), 1, date(2026, 11, 3)),
        (date(2026, 11, 6), 1, date(2026, 11, 9)),
        (date(2026, 11, 7), 1, date(2026, 11, 9)),
        (date(2026, 11, 2), 5, date(2026, 11, 9)),
        (date(2026, 12, 24), 1, date(2026, 12, 28)),
        (date(2026, 4, 2), 1, date(2026, 4, 7)),
        (date(2026, 12, 31), 1, date(2027, 1, 4)),
        (date(2026, 3, 27), 1, date(2026, 3, 30)),
        (date(2026, 11, 2), 0, date(2026, 11, 2)),
    ],
)
def test_the_day_itself_is_not_counted_and_days_off_are_passed_over(day: date, count: int, expected: date) -> None:
    assert terms.working_days(day, count) == expected


@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2026, "0101 0403 0406 0427 0505 0514 0525 1225"),
        (2027, "0101 0326 0329 0427 0505 0506 0517"),
        (2028, "0414 0417 0427 0505 0525 0605 1225 1226"),
    ],
)
def test_the_holidays_of_the_law_are_no_working_days_and_other_weekdays_are(year: int, days: str) -> None:
    """Atw art. 3 as `domain.md` derives it; what falls in a weekend is off anyway."""
    weekdays = [date(year, 1, 1) + timedelta(days=i) for i in range(365)]
    off = [day for day in weekdays if day.weekday() < 5 and not terms.is_working_day(day)]
    assert " ".join(f"{day:%m%d}" for day in off) == days


@pytest.mark.parametrize("day", EQUATED)
def test_a_day_that_a_decree_equates_is_off_only_when_the_decree_is_given(day: date) -> None:
    assert terms.is_working_day(day)
    assert not terms.is_working_day(day, EQUATED)


@settings(deadline=None)
@given(DAYS, st.integers(1, 30))
def test_working_days_count_one_by_one(day: date, count: int) -> None:
    days = [terms.working_days(day, n) for n in range(count + 1)]
    assert all(earlier < later for earlier, later in pairwise(days))
    assert all(terms.is_working_day(found) for found in days[1:])
    between = [day + timedelta(days=n) for n in range(1, (days[-1] - day).days + 1)]
    assert sum(terms.is_working_day(found) for found in between) == count
