"""When jobs are due: in any zone, on any day, whatever the clock does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatsapp_mcp.scheduler.agenda import PAUSES, Agenda, failed, is_exhausted, succeeded
from whatsapp_mcp.scheduler.calendar import due_between, instant, last_due, next_due, once_a_day
from whatsapp_mcp.scheduler.memory import Entry
from whatsapp_mcp.timetable import Moment

ZONES = (
    "UTC", "Europe/Berlin", "Asia/Jerusalem", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Africa/Casablanca", "Pacific/Apia", "Pacific/Chatham", "America/St_Johns", "Antarctica/Troll",
)  # fmt: skip
"""With half hours, quarters, changes by half an hour, by two, at midnight, and a day that was left out."""
BEGIN, END = date(2009, 1, 1), date(2032, 1, 1)
DAY = 86_400

zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(BEGIN, END)
moments = st.builds(Moment, st.integers(0, 23), st.integers(0, 59), st.none() | st.integers(0, 6))
timetables = st.lists(moments, min_size=1, max_size=6).map(tuple)


def local(zone: ZoneInfo, seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)


@dataclass(frozen=True)
class Regularly:
    name: str
    moments: tuple[Moment, ...]


@settings(deadline=None)
@given(zones, days, moments)
def test_a_moment_is_due_at_the_first_instant_that_shows_its_time_or_a_later_one(
    zone: ZoneInfo, day: date, moment: Moment
) -> None:
    due = instant(day, moment, zone)
    wanted = datetime.combine(day, datetime.min.time()).replace(hour=moment.hour, minute=moment.minute)
    assert local(zone, due) >= wanted
    assert local(zone, due - 1) < wanted
    earliest = [at for at in range(due - 3 * 3_600, due, 900) if local(zone, at) == wanted]
    assert earliest == [], "of a time that exists twice the first is meant"


@pytest.mark.parametrize(
    ("zone", "day", "moment", "expected"),
    [
        ("Europe/Berlin", date(2026, 3, 29), Moment(2, 0), "2026-03-29 01:00"),
        ("Europe/Berlin", date(2026, 3, 29), Moment(2, 59), "2026-03-29 01:00"),
        ("Europe/Berlin", date(2025, 10, 26), Moment(2, 0), "2025-10-26 00:00"),
        ("Asia/Jerusalem", date(2026, 3, 27), Moment(2, 30), "2026-03-27 00:00"),
        ("Asia/Jerusalem", date(2025, 10, 26), Moment(1, 30), "2025-10-25 22:30"),
        ("Pacific/Apia", date(2011, 12, 30), Moment(8, 0), "2011-12-30 10:00"),
    ],
)
def test_days_on_which_clocks_change(zone: str, day: date, moment: Moment, expected: str) -> None:
    due = instant(day, moment, ZoneInfo(zone))
    assert datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%d %H:%M") == expected


@settings(deadline=None)
@given(zones, days, moments)
def test_every_day_has_each_moment_once(zone: ZoneInfo, first: date, moment: Moment) -> None:
    wanted = [first + timedelta(days=count) for count in range(40)]
    expected = {instant(day, moment, zone) for day in wanted if moment.weekday in (None, day.weekday())}
    start, end = (int(datetime(one.year, one.month, one.day, 12, tzinfo=UTC).timestamp()) for one in (wanted[2], wanted[-3]))
    found = due_between([moment], zone, start, end)
    assert found == sorted(at for at in expected if start < at <= end)


@settings(deadline=None)
@given(zones, days, timetables, st.integers(0, DAY))
def test_the_last_and_the_next_due_time_enclose_the_present(
    zone: ZoneInfo, day: date, timetable: tuple[Moment, ...], second: int
) -> None:
    now = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + second
    before, after = last_due(timetable, zone, now), next_due(timetable, zone, now)
    assert before is not None
    assert after is not None
    assert before <= now < after
    assert due_between(timetable, zone, before, after) == [after]


@given(timetables)
def test_a_daily_job_follows_the_first_run_of_a_day(timetable: tuple[Moment, ...]) -> None:
    daily = once_a_day(timetable)
    assert set(daily) <= set(timetable)
    assert max(Counter(moment.weekday for moment in daily).values()) == 1
    if any(moment.weekday is None for moment in timetable):
        assert len(daily) == 1


# The agenda, lived through


@settings(max_examples=40, deadline=None)
@given(
    zones,
    days,
    st.lists(st.tuples(st.integers(60, 3 * DAY), st.integers(0, 9)), min_size=20, max_size=60),
)
def test_whatever_the_computer_does_each_due_time_is_answered_once_and_misses_are_caught_up_with_once(
    zone: ZoneInfo, day: date, life: list[tuple[int, int]]
) -> None:
    """Time goes on in steps, small and large: minutes of work, nights of sleep, holidays."""
    job = Regularly("recent", (Moment(8, 0), Moment(20, 0)))
    agenda, entries = Agenda((job,), zone), dict[str, Entry]()
    now = start = int(datetime(day.year, day.month, day.day, 11, 30, tzinfo=UTC).timestamp())
    runs: list[tuple[int, int]] = []
    for step, pace in life:
        now += step if pace < 5 else step // 400 + 1
        agenda.begin(entries, now)
        while (chosen := agenda.choose(entries, now)) is not None:
            runs.append((chosen[1], now))
            succeeded(entries["recent"], chosen[1])
    answered = [due for due, _ in runs]
    assert answered == sorted(set(answered)), "no due time is answered twice"
    for due, at in runs:
        assert due == last_due(job.moments, zone, at), "one run answers everything until then"
    every = due_between(job.moments, zone, start + life[0][0], now)
    assert not every or answered[-1] == every[-1]


@settings(max_examples=40, deadline=None)
@given(zones, days, st.lists(st.integers(-400 * DAY, 400 * DAY), min_size=1, max_size=8))
def test_no_jump_of_the_clock_keeps_a_job_from_running_again(zone: ZoneInfo, day: date, jumps: list[int]) -> None:
    jobs = (Regularly("recent", (Moment(8, 0), Moment(20, 0))), Regularly("maintenance", (Moment(2, 0, 6),)))
    agenda, entries = Agenda(jobs, zone), dict[str, Entry]()
    now = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    for jump in jumps:
        now = max(DAY * 20, now + jump)
        agenda.begin(entries, now)
        if (chosen := agenda.choose(entries, now)) is not None:
            if jump % 2:
                succeeded(entries[chosen[0]], chosen[1])
            else:
                failed(entries[chosen[0]], chosen[1], now, agenda.next_of_all(now))
    ran = Counter[str]()
    for _ in range(15 * 24):  # a time that a clock shows twice is answered the first time, so a week may pass
        now += 3_600
        agenda.begin(entries, now)
        assert agenda.wake_at(entries, now) <= now + DAY
        while (chosen := agenda.choose(entries, now)) is not None:
            ran[chosen[0]] += 1
            succeeded(entries[chosen[0]], chosen[1])
    assert ran["recent"] in range(28, 34)
    assert ran["maintenance"] in range(1, 5)


@settings(max_examples=40, deadline=None)
@given(zones, zones, days)
def test_who_moves_to_another_zone_is_never_without_a_run_for_longer_than_a_day(
    here: ZoneInfo, there: ZoneInfo, day: date
) -> None:
    job = Regularly("recent", (Moment(8, 0), Moment(20, 0)))
    entries = dict[str, Entry]()
    now = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    ran = [now]
    for hour in range(96):
        agenda = Agenda((job,), here if hour < 48 else there)
        now += 3_600
        agenda.begin(entries, now)
        if (chosen := agenda.choose(entries, now)) is not None:
            ran.append(now)
            succeeded(entries["recent"], chosen[1])
    assert max(after - before for before, after in pairwise(ran)) <= DAY


def test_a_failure_is_tried_again_with_growing_pauses_and_then_whenever_anything_is_due() -> None:
    zone = ZoneInfo("UTC")
    jobs = (Regularly("recent", (Moment(8, 0), Moment(20, 0))), Regularly("maintenance", (Moment(2, 0, 6),)))
    agenda, entries = Agenda(jobs, zone), dict[str, Entry]()
    now = int(datetime(2026, 3, 1, 1, 59, tzinfo=UTC).timestamp())
    agenda.begin(entries, now)
    tried = []
    entry = entries["maintenance"]
    for _ in range(7):
        now = int(agenda.wake_at(entries, now))
        chosen = agenda.choose(entries, now)
        while chosen is not None and chosen[0] == "recent":
            succeeded(entries["recent"], chosen[1])
            chosen = agenda.choose(entries, now)
        assert chosen is not None
        assert chosen[0] == "maintenance"
        tried.append(now)
        failed(entry, chosen[1], now, agenda.next_of_all(now))
    assert [after - before for before, after in pairwise(tried)][:4] == list(PAUSES)
    assert [datetime.fromtimestamp(at, UTC).hour for at in tried[5:]] == [8, 20]
    assert is_exhausted(entry)
    assert entry.failures == 7
    succeeded(entry, tried[0])
    assert agenda.choose(entries, now) is None


def test_jobs_that_are_due_together_run_in_their_order_and_one_that_waits_holds_up_no_other() -> None:
    at_eight = (Moment(8, 0),)
    agenda = Agenda(tuple(Regularly(name, at_eight) for name in ("recent", "sweep", "backup")), ZoneInfo("UTC"))
    entries = dict[str, Entry]()
    now = int(datetime(2026, 3, 1, 7, tzinfo=UTC).timestamp())
    agenda.begin(entries, now)
    assert agenda.choose(entries, now) is None
    now += 3_600
    order = []
    while (chosen := agenda.choose(entries, now)) is not None:
        order.append(chosen[0])
        if chosen[0] == "sweep":
            failed(entries["sweep"], chosen[1], now, agenda.next_of_all(now))
        else:
            succeeded(entries[chosen[0]], chosen[1])
    assert order == ["recent", "sweep", "backup"]
    assert agenda.wake_at(entries, now) == now + PAUSES[0]
