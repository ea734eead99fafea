"""``status --history``: the last runs, how Green API answered them, and how the archive grew."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.cli.objects import run_object
from whatsapp_mcp.cli.progress import duration
from whatsapp_mcp.cli.terminal import moment, say, say_json, say_table, size
from whatsapp_mcp.export.objects import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.queries.measured import CallsView, History, MeasuredRun, SizeView
    from whatsapp_mcp.views import RunView

_DAYS: Final = 7
_WEEKS: Final = 12
_SILENT: Final = "running?"
_SILENT_AFTER: Final = 600
"""Seconds without a sign of life after which a run that says it is running is doubted; the longest steps give none."""

_RUN_COLUMNS: Final = (
    "run",
    "kind",
    "state",
    "began",
    "took",
    "chats",
    "failed",
    "new",
    "requests",
    "errors",
    "429",
    "median ms",
    "95 % ms",
)


def history(command: Command) -> int:
    """The tables, or all of it as JSON."""
    found, zone = command.archive.queries.history(), command.archive.settings.timezone
    if command.args.json:
        say_json(history_object(found, zone))
        return 0
    silent = {one.run.run_id for one in found.runs if _is_silent(one.run, command.archive.clock.now())}
    say_table(_RUN_COLUMNS, (_run_row(one, zone, silent=one.run.run_id in silent) for one in found.runs))
    if not found.runs:
        say("Nothing ran yet.")
    if silent:
        minutes = _SILENT_AFTER // 60
        say(f"{_SILENT}: it did not end and gave no sign of life for {minutes} minutes; its process was probably killed.")
    if found.calls:
        say("")
        say("How Green API answered these runs")
        say_table(("method", "requests", "errors", "429", "median ms", "95 % ms"), map(_calls_row, found.calls))
    say("")
    say("The size of the archive: the last days, then weeks, then months")
    say_table(("day", "database", "media", "messages", "chats", "payloads"), _size_rows(found.sizes, zone))
    return 0


def _is_silent(run: RunView, now: float) -> bool:
    """Who was killed cannot say so; the next writer does it for him."""
    return run.state == "running" and now - (run.updated_at or run.started_at) > _SILENT_AFTER


def _run_row(measured: MeasuredRun, zone: ZoneInfo, *, silent: bool) -> tuple[object, ...]:
    run = measured.run
    took = "" if run.ended_at is None else duration(run.ended_at - run.started_at)
    chats = f"{run.chats_done:,} of {run.chats_total:,}" if run.chats_total else ""
    state, began = _SILENT if silent else run.state, moment(run.started_at, zone)
    return (
        str(run.run_id), run.kind, state, began, took, chats, run.chats_failed, run.messages_new, run.requests,
        _share(measured.calls), run.throttled, _mean(measured.calls, "median_ms"), _mean(measured.calls, "p95_ms"),
    )  # fmt: skip


def _calls_row(calls: CallsView) -> tuple[object, ...]:
    return (calls.method, calls.requests, _share((calls,)), calls.throttled, _ms(calls.median_ms), _ms(calls.p95_ms))


def _share(calls: Iterable[CallsView]) -> str:
    """The part of the requests that had no usable answer."""
    told = list(calls)
    requests, errors = sum(one.requests for one in told), sum(one.errors for one in told)
    return f"{errors / requests:.1%}" if requests else ""


def _mean(calls: Iterable[CallsView], name: str) -> str:
    """The mean over the methods, weighted by their requests."""
    told = [(getattr(one, name), one.requests) for one in calls if getattr(one, name) is not None]
    requests = sum(count for _, count in told)
    return _ms(sum(value * count for value, count in told) / requests if requests else None)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _size_rows(sizes: Sequence[SizeView], zone: ZoneInfo) -> Iterator[tuple[object, ...]]:
    for one in thinned(sizes, zone):
        day = f"{datetime.fromtimestamp(one.measured_at, zone):%Y-%m-%d}"
        yield day, size(one.database_bytes), size(one.media_bytes), one.messages, one.chats, one.payloads


def thinned(sizes: Sequence[SizeView], zone: ZoneInfo) -> list[SizeView]:
    """The newest of each of the last seven days, of each of the twelve weeks before, and of each month before those.

    `sizes` come oldest first, and so do those that stay.
    """
    if not sizes:
        return []
    today = _day(sizes[-1], zone)
    newest = {_period(_day(one, zone), today): one for one in sizes}
    return list(newest.values())


def _day(one: SizeView, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(one.measured_at, zone).date()


def _period(day: date, today: date) -> tuple[str, str]:
    if day > today - timedelta(days=_DAYS):
        return "day", day.isoformat()
    if day > today - timedelta(days=_DAYS * (_WEEKS + 1)):
        return "week", "{}-{}".format(*day.isocalendar())
    return "month", f"{day:%Y-%m}"


def history_object(found: History, zone: ZoneInfo) -> dict[str, Any]:
    """All of it for programs; every size that was measured."""
    return {
        "runs": [_run_object(one, zone) for one in found.runs],
        "calls": [_calls_object(one) for one in found.calls],
        "sizes": [asdict(one) | {"measured_at": rfc3339(one.measured_at, zone)} for one in found.sizes],
    }


def _run_object(measured: MeasuredRun, zone: ZoneInfo) -> dict[str, Any]:
    run = measured.run
    seconds = None if run.ended_at is None else run.ended_at - run.started_at
    return run_object(run, zone) | {"seconds": seconds, "calls": [_calls_object(one) for one in measured.calls]}


def _calls_object(calls: CallsView) -> dict[str, Any]:
    return asdict(calls) | {"error_rate": round(calls.errors / calls.requests, 4) if calls.requests else 0.0}
