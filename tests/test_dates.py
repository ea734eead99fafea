from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from whatsapp_mcp import dates
from whatsapp_mcp.errors import UsageError

JERUSALEM = ZoneInfo("Asia/Jerusalem")
NOW = datetime(2025, 9, 17, 15, 30, tzinfo=JERUSALEM).timestamp()  # a Wednesday


def said(after: str | None, before: str | None, zone: ZoneInfo = JERUSALEM) -> str:
    return dates.interval(after, before, zone=zone, now=NOW).text.removesuffix(f" ({zone.key})")


@pytest.mark.parametrize(
    ("phrase", "start", "end"),
    [
        ("2025", "2025-01-01 00:00", "2026-01-01 00:00"),
        ("2025-08", "2025-08-01 00:00", "2025-09-01 00:00"),
        ("2024-12", "2024-12-01 00:00", "2025-01-01 00:00"),
        ("2025-08-14", "2025-08-14 00:00", "2025-08-15 00:00"),
        ("2025/8/4", "2025-08-04 00:00", "2025-08-05 00:00"),
        ("Today", "2025-09-17 00:00", "2025-09-18 00:00"),
        (" yesterday ", "2025-09-16 00:00", "2025-09-17 00:00"),
        ("tomorrow", "2025-09-18 00:00", "2025-09-19 00:00"),
        ("this week", "2025-09-15 00:00", "2025-09-22 00:00"),
        ("last week", "2025-09-08 00:00", "2025-09-15 00:00"),
        ("last month", "2025-08-01 00:00", "2025-09-01 00:00"),
        ("previous year", "2024-01-01 00:00", "2025-01-01 00:00"),
        ("last 30 days", "2025-08-18 00:00", "2025-09-18 00:00"),
        ("past 2 hours", "2025-09-17 13:30", "2025-09-17 15:30"),
        ("last 3 months", "2025-06-17 00:00", "2025-09-18 00:00"),
        ("7 months ago", "2025-02-17 00:00", "2025-02-18 00:00"),
        ("August 2025", "2025-08-01 00:00", "2025-09-01 00:00"),
        ("oct", "2024-10-01 00:00", "2024-11-01 00:00"),
        ("14 aug 2025", "2025-08-14 00:00", "2025-08-15 00:00"),
        ("Aug 14, 2025", "2025-08-14 00:00", "2025-08-15 00:00"),
        ("wednesday", "2025-09-17 00:00", "2025-09-18 00:00"),
        ("last wednesday", "2025-09-10 00:00", "2025-09-11 00:00"),
    ],
)
def test_a_named_span_is_included_whole(phrase: str, start: str, end: str) -> None:
    assert said(phrase, phrase) == f"{start} to {end}"


def test_an_instant_is_an_inclusive_start_and_an_exclusive_end() -> None:
    assert said("2025-08-14T07:30:00Z", "2025-08-14 12:00") == "2025-08-14 10:30 to 2025-08-14 12:00"
    assert said("2025-08-14t10:30:05.25+03:00", None) == "from 2025-08-14 10:30:05"
    assert said("1755156600", "now") == "2025-08-14 10:30 to 2025-09-17 15:30"


def test_open_intervals_say_so() -> None:
    assert said(None, "") == "all time"
    assert said("2025", None) == "from 2025-01-01 00:00"
    assert said(None, "2025-08") == "until 2025-09-01 00:00"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Jerusalem", "2025-03-28", 23),
        ("Asia/Jerusalem", "2025-10-26", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("UTC", "2025-03-28", 24),
    ],
)
def test_a_day_is_as_long_as_daylight_saving_time_makes_it(zone: str, day: str, hours: int) -> None:
    found = dates.interval(day, day, zone=ZoneInfo(zone), now=NOW)
    assert (found.end or 0) - (found.start or 0) == hours * 3600


@pytest.mark.parametrize(
    "phrase",
    [
        "2025-02-30",
        "2025-13",
        "2025-08-14 25:00",
        "0001",
        "9999",
        "soon",
        "14.08.2025",
        "last 9999 years",
        "2025-8-14-",
        "\x00",
        "x" * 5000,
    ],
)
def test_an_impossible_date_is_refused_with_examples(phrase: str) -> None:
    with pytest.raises(UsageError, match="2025-08-14") as caught:
        said(phrase, None)
    assert len(str(caught.value)) < 300


def test_an_interval_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(UsageError, match="interval is empty"):
        said("2025-09", "2025-08")


def test_offsets_know_each_change_to_the_second() -> None:
    first, last = (int(datetime(2025, month, 1, tzinfo=JERUSALEM).timestamp()) for month in (1, 12))
    found = dates.offsets(JERUSALEM, first, last)
    assert found.offsets == (7200, 10800, 7200)
    spring = int(datetime(2025, 3, 28, 3, 0, tzinfo=JERUSALEM).timestamp())
    assert found.starts[1] == spring
    assert found.local(spring) - found.local(spring - 1) == 3601
