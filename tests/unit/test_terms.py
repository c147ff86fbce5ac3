"""Dates and terms in Dutch time: the vectors of the law, and both nights on which the clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain import forms, terms
from hub.domain.rulefiles import HolidaysFile
from hub.domain.sources import read_yaml

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2027, 3, 28), 23), (date(2027, 10, 31), 25),
        (date(2028, 3, 26), 23), (date(2028, 10, 29), 25),
    ],
)  # fmt: skip
def test_the_midnights_around_a_changing_clock_are_those_of_the_dutch_day(day: date, hours: int) -> None:
    following = day + timedelta(days=1)
    assert terms.midnight_ms(following) - terms.midnight_ms(day) == hours * HOUR_MS
    assert terms.midnight_ms(day) == terms.moment(f"{day}T00:00")
    assert [terms.amsterdam_date(terms.midnight_ms(following) + offset) for offset in (-1, 0)] == [day, following]


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


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-03-28T02:30", "2026-03-29T01:30:00"),
        ("2026-03-28T03:30", "2026-03-29T01:30:00"),
        ("2026-10-24T02:30", "2026-10-25T00:30:00"),
        ("2026-10-24T03:30", "2026-10-25T02:30:00"),
    ],
)
def test_of_an_hour_that_the_clock_skips_or_repeats_a_duration_takes_the_next_or_the_first(since: str, expected: str) -> None:
    assert terms.duration_ms("P1D", terms.moment(since)) == utc(expected)


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


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        (date(2026, 11, 9), -5, date(2026, 11, 2)),
        (date(2026, 11, 9), -1, date(2026, 11, 6)),
        (date(2026, 11, 8), -1, date(2026, 11, 6)),
        (date(2026, 11, 7), -1, date(2026, 11, 6)),
        (date(2026, 12, 28), -1, date(2026, 12, 24)),
        (date(2026, 4, 7), -1, date(2026, 4, 2)),
        (date(2027, 1, 4), -2, date(2026, 12, 30)),
        (date(2026, 3, 30), -1, date(2026, 3, 27)),
        (date(2026, 5, 11), -5, date(2026, 4, 30)),
        (date(2028, 3, 1), -1, date(2028, 2, 29)),
    ],
)
def test_working_days_are_counted_back_in_the_same_way(day: date, count: int, expected: date) -> None:
    assert terms.working_days(day, count, EQUATED) == expected


@settings(deadline=None)
@given(DAYS, st.integers(1, 30))
def test_counting_back_undoes_counting_forward_from_a_working_day(day: date, count: int) -> None:
    first = terms.working_days(day, 1)
    assert terms.working_days(terms.working_days(first, count), -count) == first
    assert terms.working_days(terms.working_days(first, -count), count) == first


@settings(deadline=None)
@given(DAYS)
def test_a_saturday_or_a_sunday_is_never_a_working_day(day: date) -> None:
    assert not (terms.is_working_day(day) and day.isoweekday() > 5)


# --- days off, and the days that a decree equates ---

OFF = {
    2026: "0101 0102* 0403 0406 0427 0504* 0505 0514 0515* 0525 1225 1226",
    2027: "0101 0326 0329 0426* 0427 0505 0506 0507* 0517 1225 1226",
    2028: "0101 0414 0417 0427 0428* 0505 0525 0526* 0605 1225 1226",
}
"""The table of `domain.md` 6: the holidays of Atw art. 3, and with a * what a decree probably equates."""


def equated() -> frozenset[date]:
    """Return the days of rules/feestdagen.yaml."""
    file = "rules/feestdagen.yaml"
    found, faults = forms.read(read_yaml(file, (ROOT / file).read_text(encoding="utf-8")), HolidaysFile)
    assert found is not None
    assert not faults
    return frozenset(entry.datum for entry in found.gelijkgesteld)


@pytest.mark.parametrize(("year", "table"), OFF.items())
def test_the_days_off_of_a_year_are_those_of_the_law_and_of_the_file(year: int, table: str) -> None:
    kb = equated()
    days = [date(year, 1, 1) + timedelta(days=i) for i in range(366) if (date(year, 1, 1) + timedelta(days=i)).year == year]
    weekdays = [day for day in days if day.isoweekday() < 6]
    named = {date(year, int(entry[:2]), int(entry[2:4])): entry.endswith("*") for entry in table.split()}
    assert {day for day in weekdays if not terms.is_working_day(day, kb)} == {day for day in named if day.isoweekday() < 6}
    assert {day for day in kb if day.year == year} == {day for day, by_decree in named.items() if by_decree}
    assert all(terms.is_working_day(day) for day, by_decree in named.items() if by_decree)


def test_the_file_holds_the_days_that_a_decree_always_equates() -> None:
    """The Friday after Ascension; the Monday before, or the Friday after, a holiday on a Tuesday or a Thursday."""
    ascension = (date(2026, 5, 14), date(2027, 5, 6), date(2028, 5, 25))
    expected = {day + timedelta(days=1) for day in ascension}
    for year in OFF:
        before = [date(year, 1, 1), date(year, 4, 27), date(year, 5, 5), date(year, 12, 25)]
        after = [date(year, 1, 1), date(year, 4, 27), date(year, 5, 5), date(year, 12, 26)]
        expected |= {day - timedelta(days=1) for day in before if day.isoweekday() == 2}
        expected |= {day + timedelta(days=1) for day in after if day.isoweekday() == 4}
    assert equated() == expected


def test_kings_day_on_a_sunday_is_kept_a_day_earlier() -> None:
    assert [terms.is_working_day(date(2031, 4, day)) for day in (25, 28)] == [True, True]
    assert terms.working_days(date(2025, 4, 25), 1) == date(2025, 4, 28)


# --- terms of law ---


@pytest.mark.parametrize(
    ("day", "duration", "last"),
    [
        (date(2026, 11, 20), "P6W", date(2027, 1, 4)),
        (date(2026, 2, 2), "P4W", date(2026, 3, 2)),
        (date(2026, 2, 2), "P6M", date(2026, 8, 2)),
        (date(2026, 11, 2), "P1W", date(2026, 11, 9)),
        (date(2026, 11, 7), "P1W", date(2026, 11, 16)),
        (date(2026, 11, 8), "P1W", date(2026, 11, 16)),
        (date(2026, 12, 11), "P14D", date(2026, 12, 28)),
        (date(2026, 3, 6), "P4W", date(2026, 4, 7)),
        (date(2026, 4, 20), "P2W", date(2026, 5, 6)),
        (date(2026, 4, 17), "P4W", date(2026, 5, 18)),
        (date(2026, 1, 31), "P1M", date(2026, 3, 2)),
    ],
)
def test_a_term_of_law_that_ends_on_a_day_off_runs_to_the_next_working_day(day: date, duration: str, last: date) -> None:
    assert terms.statutory_end(day, duration, EQUATED) == last


def test_without_the_decree_a_term_of_law_ends_earlier() -> None:
    assert terms.statutory_end(date(2026, 4, 20), "P2W") == date(2026, 5, 4)


@pytest.mark.parametrize(
    ("duration", "extended"),
    [
        ("P90D", True), ("P91D", False), ("P12W", True), ("P13W", False), ("P3M", True), ("P4M", False), ("P1Y", False), ("P100Y", False),
        ("P2M10D", True), ("P2M40D", False), ("P1Y1D", False), ("P1M4W", True), ("P3M1D", False),
    ],
)  # fmt: skip
def test_a_term_longer_than_90_days_12_weeks_or_3_months_is_not_extended(duration: str, extended: bool) -> None:  # noqa: FBT001
    """Atw art. 4. Each is tried from every day of a year, so that some end on a day off."""
    days = [date(2026, 1, 1) + timedelta(days=i) for i in range(365)]
    ends = [(terms.plus(day, duration), terms.statutory_end(day, duration)) for day in days]
    assert any(raw != end for raw, end in ends) is extended
    assert all(terms.is_working_day(end) for _, end in ends) is extended


@pytest.mark.parametrize(
    ("day", "duration", "last"),
    [
        (date(2026, 3, 10), "P8W", date(2026, 5, 4)),
        (date(2026, 11, 2), "P1D", date(2026, 11, 2)),
        (date(2026, 11, 1), "P7D", date(2026, 11, 7)),
        (date(2026, 11, 1), "P1M", date(2026, 11, 30)),
        (date(2026, 12, 1), "P25D", date(2026, 12, 25)),
        (date(2026, 1, 1), "P1Y", date(2026, 12, 31)),
        (date(2027, 3, 1), "P28D", date(2027, 3, 28)),
    ],
)
def test_a_hard_maximum_counts_its_first_day_and_nothing_extends_it(day: date, duration: str, last: date) -> None:
    assert terms.hard_end(day, duration) == last


@settings(deadline=None)
@given(DAYS, st.sampled_from(["P1D", "P5D", "P6W", "P8W", "P1M", "P3M", "P90D"]))
def test_a_hard_maximum_is_never_longer_than_the_term_of_law(day: date, duration: str) -> None:
    assert terms.hard_end(day, duration) == terms.plus(day, duration) - timedelta(days=1) < terms.statutory_end(day, duration)
