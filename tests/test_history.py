"""``status --history`` and the reports tell how runs went and how the archive grew."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from backup_desk import fill, open_archive
from store_fixtures import RECEIVED_AT
from test_measures import DAY

from whatsapp_mcp.cli import main
from whatsapp_mcp.cli.history import thinned
from whatsapp_mcp.queries.measured import SizeView
from whatsapp_mcp.reports.daily import daily
from whatsapp_mcp.reports.gathering import gather_daily, gather_sizes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from whatsapp_mcp.app import Archive

UTC = ZoneInfo("UTC")
CALLS = [("getChatHistory", 10, 1, 2, 120.0, 900.0), ("receiveNotification", 40, 0, 0, None, None)]


@pytest.fixture
def archive(home: Path) -> Archive:
    """A month of daily runs."""
    archive = fill(open_archive(home, now=RECEIVED_AT + 40 * DAY), range(2), messages=3)
    with archive.writer() as writer:
        for day in range(40):
            at = RECEIVED_AT + day * DAY
            run = writer.store.begin_run("recent", at)
            writer.store.update_run(
                run, at, chats_total=12, chats_done=11, chats_failed=1, messages_new=day, requests=50, throttled=2
            )
            writer.store.end_run(run, "partial" if day % 2 else "complete", at + 75, None, CALLS)
    return archive


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "Europe/Madrid")

    def run_command(*words: str) -> str:
        assert main(["--home", str(home), *words]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run_command


def test_the_last_thirty_runs_stand_in_a_table_with_rates_and_times(archive: Archive, run: Any) -> None:
    out: str = run("status", "--history")
    table, calls, sizes = out.split("\n\n")
    assert len(table.splitlines()) == 31
    newest = table.splitlines()[1].split()
    assert newest[:3] == ["40", "recent", "partial"]
    assert "75 s" in table
    assert "2.0%" in table  # one error in fifty requests
    assert calls.splitlines()[2].split() == ["getChatHistory", "300", "10.0%", "60", "120", "900"]
    assert calls.splitlines()[3].split() == ["receiveNotification", "1,200", "0.0%", "0"]
    assert "database" in sizes


def test_in_json_everything_is_there_with_times_of_the_users_zone(archive: Archive, run: Any) -> None:
    told = json.loads(run("status", "--history", "--json"))
    assert set(told) == {"runs", "calls", "sizes"}
    assert len(told["runs"]) == 30
    assert told["runs"][0]["seconds"] == 75
    assert told["runs"][0]["started_at"].endswith(("+01:00", "+02:00"))
    assert told["runs"][0]["calls"][0] == {
        "method": "getChatHistory", "requests": 10, "errors": 1, "throttled": 2, "median_ms": 120.0, "p95_ms": 900.0,
        "error_rate": 0.1,
    }  # fmt: skip
    assert len(told["sizes"]) >= 40


def test_a_run_that_was_killed_is_not_said_to_be_running(home: Path, run: Any) -> None:
    with open_archive(home).writer() as writer:
        writer.store.begin_run("recent", RECEIVED_AT)
    out = run("status", "--history")
    assert out.splitlines()[1].split()[:3] == ["1", "recent", "running?"]
    assert "probably killed" in out
    with open_archive(home).writer() as writer:
        writer.store.begin_run("maintenance", int(time.time()))
    assert run("status", "--history").splitlines()[1].split()[2] == "running"


def test_an_archive_in_which_nothing_ran_says_so(home: Path, run: Any) -> None:
    with open_archive(home).writer():
        pass
    out = run("status", "--history")
    assert out.startswith("Nothing ran yet.")
    assert len(json.loads(run("status", "--history", "--json"))["sizes"]) == 1


def size(day: float) -> SizeView:
    return SizeView(int(RECEIVED_AT + day * DAY), 1, 1, int(day), 1, 1)


def test_sizes_are_shown_by_days_then_weeks_then_months_the_newest_of_each() -> None:
    kept = thinned([size(day) for day in range(400)], UTC)
    ages = [399 - one.messages for one in kept]
    assert ages == sorted(ages, reverse=True)
    assert ages[-7:] == [6, 5, 4, 3, 2, 1, 0]
    assert sum(7 <= age < 91 for age in ages) in (12, 13)
    assert sum(age >= 91 for age in ages) in (10, 11, 12)
    assert thinned([], UTC) == []


def test_two_measurements_of_one_day_show_as_the_later_one() -> None:
    assert [one.messages for one in thinned([size(1), size(1.1), size(2)], UTC)] == [1, 2]


def test_the_daily_report_tells_how_green_api_answered(archive: Archive) -> None:
    values, _ = gather_daily(archive.queries, RECEIVED_AT + 38 * DAY, zone=UTC)
    assert [(one.method, one.requests, one.errors) for one in values.calls] == [
        ("getChatHistory", 20, 2), ("receiveNotification", 80, 0),
    ]  # fmt: skip
    text = daily(values).text
    assert "20 requests, 2 errors, median 120 ms, 95 % within 900 ms" in text
    assert any(line.endswith("80 requests") for line in text.splitlines())


def test_the_weekly_report_gets_a_size_for_each_week_and_the_one_of_now(archive: Archive) -> None:
    found = gather_sizes(archive.queries)
    times = [one.measured_at for one in found]
    assert times == sorted(times)
    assert times[-1] == int(archive.clock.now())
    assert [round((later - earlier) / DAY) for earlier, later in pairwise(times)] == [7] * (len(times) - 1)
    assert len(found) == 6
