"""What ``full_sync_status`` and ``analyze_range`` answer: the same facts as structured content and as text.

Both forms are complete, because some clients show the model only the one and some only the other. Names are JSON strings in
both; texts of messages stand in neither.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.export.objects import coverage_object, interval_object, party_object, rfc3339
from whatsapp_mcp.server.answers import coverage_text, day, interval_text, minute
from whatsapp_mcp.server.fencing import cleaned, inline, literal
from whatsapp_mcp.server.gaps import (
    TOOLS,
    chat_gaps_object,
    gaps_advice,
    gaps_lines,
    gaps_object,
    queue_lines,
    queue_object,
)
from whatsapp_mcp.server.lines import counted, size_text
from whatsapp_mcp.views import Coverage, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.views import Analysis, Count, FileCounts, MessageView, RunView

ROWS_SHOWN: Final = {"day": 370}
ROWS_OTHERWISE: Final = 60
RUNS_SHOWN: Final = 5
FAILURES_SHOWN: Final = 20
STALE_AFTER: Final = 120
"""Seconds without a sign of life after which a run that says it is running counts as interrupted."""
NOTHING: Final = Status(
    account=None,
    chats=0,
    private_chats=0,
    groups=0,
    contacts=0,
    messages=0,
    media_messages=0,
    payloads=0,
    unreadable=0,
    database_bytes=0,
    coverage=Coverage(0, 0, 0, 0, 0, None, None, None, 0),
    runs=(),
    failures=(),
    truncated=(),
)
"""An archive before its first sync."""
DEFAULT_BREAKDOWN: Final = ("contact", "chat", "month", "type")


def analysis_answer(
    archive: Archive,
    *,
    after: str,
    before: str,
    chat: str | int | None,
    contact: str | int | None,
    breakdown: Sequence[str] | None,
) -> tuple[str, dict[str, Any]]:
    """Answer ``analyze_range``: the text and the structured content."""
    from whatsapp_mcp.analysis import analyze

    found = analyze(archive.queries, after, before, chat=chat, contact=contact, breakdown=tuple(breakdown or DEFAULT_BREAKDOWN))
    zone = archive.settings.timezone
    return analysis_text(found, zone), analysis_object(found, zone)


def analysis_object(found: Analysis, zone: ZoneInfo) -> dict[str, Any]:
    """Return an analysis as a JSON value (`structured.RangeAnalysis`)."""
    shown: dict[str, Any] = {
        "interval": interval_object(found.interval, zone),
        "coverage": coverage_object(found.coverage, zone),
        "messages": found.messages,
        "sent": found.sent,
        "received": found.received,
        "chats": found.chats,
        "contacts": found.contacts,
        "media": found.media,
        "breakdowns": {name: [_row(row) for row in rows[: _most(name)]] for name, rows in found.breakdowns.items()},
        "left_out": _left_out(found),
    }
    for name, message in (("first", found.first), ("last", found.last)):
        if message is not None:
            shown[name] = _stamp(message, zone)
    if found.busiest_day is not None:
        shown["busiest_day"] = _row(found.busiest_day)
    if found.notes:
        shown["notes"] = list(found.notes)
    if not found.messages:
        shown["next_step"] = _nothing_counted(found)
    return cleaned(shown)


def analysis_text(found: Analysis, zone: ZoneInfo) -> str:
    """Return an analysis for reading: the totals, then one table after the other."""
    totals = f"{counted(found.messages, 'message')}: {found.sent:,} sent + {found.received:,} received"
    breadth = f"{counted(found.chats, 'chat')}, {counted(found.contacts, 'contact')}, {found.media:,} with media"
    lines = [" · ".join((interval_text(found.interval), totals, breadth, coverage_text(found.coverage, zone))), *found.notes]
    for name, message in (("first", found.first), ("last", found.last)):
        if message is not None:
            lines.append(f"{name}: {minute(message.sent_at, zone)} {message.handle} in {literal(message.chat.name)}")
    if found.busiest_day is not None:
        lines.append(f"busiest day: {found.busiest_day.label} with {found.busiest_day.messages:,} messages")
    for name, rows in found.breakdowns.items():
        lines += _table(name, rows, found.messages)
    if not found.messages:
        lines.append(f"Next: {_nothing_counted(found)}")
    return "\n".join(lines)


def status_object(status: Status, zone: ZoneInfo, now: int, live: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a status as a JSON value (`structured.SyncStatus`); `live` is what the run in this process says of itself."""
    state = sync_state(status, now)
    runs = [_run(run, zone, now) for run in status.runs[:RUNS_SHOWN]]
    counts = {name: getattr(status, name) for name in _COUNTED}
    if status.hidden_chats:  # these are of all chats, and would tell of the hidden ones
        counts = {name: count for name, count in counts.items() if name not in _OF_ALL}
        runs = [{name: fact for name, fact in run.items() if name not in _OF_ALL} for run in runs]
    if live and runs and live.get("run_id", runs[0]["run_id"]) == runs[0]["run_id"]:
        runs[0] |= live
    shown = {
        "state": state,
        "next_step": next_step(state, status),
        **({"account": status.account} if status.account else {}),
        **counts,
        "coverage": coverage_object(status.coverage, zone),
        "gaps": gaps_object(status, TOOLS, lambda one: chat_gaps_object(one, zone)),
        "queue": queue_object(status.queue, zone),
        "files": asdict(status.files),
        "runs": runs,
        "failures": [
            {"chat": party_object(failure.chat), "error": failure.error, "error_count": failure.error_count}
            for failure in status.failures[:FAILURES_SHOWN]
        ],
        "truncated": [party_object(chat) for chat in status.truncated[:FAILURES_SHOWN]],
        "left_out": _more({"failures": len(status.failures), "truncated": len(status.truncated)}, FAILURES_SHOWN),
    }
    return cleaned(shown)


def status_text(status: Status, zone: ZoneInfo, shown: dict[str, Any]) -> str:
    """Return a status for reading: the same as `shown`, which `status_object` made."""
    lines = [
        f"State: {shown['state']}. {shown['next_step']}",
        f"{counted(status.messages, 'message')} ({status.media_messages:,} with media), {counted(status.contacts, 'contact')}",
        files_text(status.files),
        f"{counted(status.private_chats, 'private chat')}, {counted(status.groups, 'group')}",
        f"account {inline(status.account or 'not known yet')}",
        _stored(status),
        f"Coverage ({zone.key}): {_coverage(status, zone)}",
        *gaps_lines(status, zone, TOOLS),
        *queue_lines(status.queue, zone),
    ]
    lines += [_run_line(run) for run in shown["runs"]]
    lines += [
        f"failed: {failure.chat.id} {literal(failure.chat.name)}, {failure.error_count} times: {inline(failure.error, 160)}"
        for failure in status.failures[:FAILURES_SHOWN]
    ]
    lines += [f"cut off: {chat.id} {literal(chat.name)}" for chat in status.truncated[:FAILURES_SHOWN]]
    lines += [f"… and {count} more {name}" for name, count in shown["left_out"].items()]
    return "\n".join(lines)


def files_text(files: FileCounts) -> str:
    """Return what became of the files of messages."""
    parts = [f"{files.stored:,} stored ({size_text(files.bytes_stored)})", f"{files.pending:,} to be fetched"]
    parts += [f"{count:,} {name}" for name in ("expired", "failed", "skipped") if (count := getattr(files, name))]
    return f"files: {', '.join(parts)}"


def archive_status(archive: Archive) -> Status:
    """Return the archive's state; before the first sync there is no file, and all counts are zero."""
    return archive.queries.status() if archive.database.exists() else NOTHING


def sync_state(status: Status, now: int) -> str:
    """Return ``empty``, ``running``, ``interrupted``, ``complete`` or ``incomplete``."""
    newest = status.runs[0] if status.runs else None
    if newest is not None and newest.state == "running":
        alive = now - (newest.updated_at or newest.started_at) <= STALE_AFTER
        return "running" if alive else "interrupted"
    if not status.messages and not status.chats:
        return "empty"
    coverage = status.coverage
    is_cut = coverage.pending or coverage.failed or coverage.truncated or coverage.with_holes or _is_something_missing(status)
    return "incomplete" if is_cut else "complete"


def _is_something_missing(status: Status) -> bool:
    """The last full sync says that a list or a journal could not be had: there may be chats that nobody knows of."""
    return next((run.state == "partial" for run in status.runs if run.kind == "full"), False)


def next_step(state: str, status: Status) -> str:
    """Return what to do in a state, in one sentence."""
    if state == "incomplete":
        return _missing(status)
    if state == "complete" and status.coverage.missing:
        lost = counted(status.coverage.missing, "message")
        return f"All known chats are archived, with {lost} known to be missing. {gaps_advice(status.coverage, TOOLS)[0]}"
    return {
        "empty": "Nothing is archived: start_full_sync fetches the account, or `whatsapp-mcp import PATH` reads a chat export.",
        "running": "A sync is running: ask again for its progress; reading works meanwhile.",
        "interrupted": "The last sync stopped before its end: start_full_sync mode=resume goes on where it was.",
    }.get(state, "All known chats are archived: sync_recent fetches what is new.")


def _missing(status: Status) -> str:
    known = status.coverage
    if not known.pending and not known.failed and known.with_holes:
        return f"Some time was never fetched (see the gaps). {gaps_advice(known, TOOLS)[0]}"
    if not known.pending and not known.failed and _is_something_missing(status):
        return "The last full sync could not get everything (see its last error): start_full_sync mode=resume tries again."
    if not known.pending and not known.failed:
        cut = f"The gateway gave {counted(known.truncated, 'chat')} only in part"
        return f"{cut}; `whatsapp-mcp import PATH` can add older messages from a chat export. sync_recent fetches what is new."
    return (
        f"{known.pending} of {counted(known.chats, 'chat')} are not fetched yet, {known.failed} failed: "
        "start_full_sync mode=resume fetches what is missing."
    )


def _stored(status: Status) -> str:
    database = f"database {size_text(status.database_bytes)}"
    return (
        database if status.hidden_chats else f"{status.payloads:,} payloads, {status.unreadable} unreadable items; {database}"
    )


_OF_ALL: Final = frozenset(
    {
        "payloads", "unreadable", "chats_total", "chats_done", "chats_failed", "messages_seen", "messages_new",
        "messages_per_second", "seconds_left",
    }
)  # fmt: skip
"""What is counted over all chats, whichever may be seen."""
_OUR_LABELS: Final = frozenset({"day", "month", "type"})
"""Tables whose labels are ours; any other label may be what somebody calls themselves."""
_COUNTED: Final = (
    "chats", "private_chats", "groups", "contacts", "messages", "media_messages", "payloads", "unreadable", "database_bytes",
)  # fmt: skip


def _coverage(status: Status, zone: ZoneInfo) -> str:
    known = status.coverage
    states = f"{known.truncated} cut off, {known.failed} failed, {known.pending} pending"
    counts = f"{known.complete} of {known.chats} chats complete, {states}"
    extent = ""
    if known.oldest is not None and known.newest is not None:
        extent = f"; messages from {day(known.oldest, zone)} to {minute(known.newest, zone)}"
    synced = "" if known.last_synced_at is None else f"; last synced {minute(known.last_synced_at, zone)}"
    if known.known_until is not None:
        synced += f"; all chats known until {minute(known.known_until, zone)}"
    if known.verified_at is not None:
        synced += f"; a history last compared {minute(known.verified_at, zone)}"
    return f"{counts}{extent}{synced}{f'. {inline(known.note, 200)}' if known.note else ''}"


def _run(run: RunView, zone: ZoneInfo, now: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: getattr(run, name)
        for name in (
            "run_id", "kind", "state", "chats_total", "chats_done", "chats_failed",
            "messages_seen", "messages_new", "requests", "throttled",
        )
    }  # fmt: skip
    moments = {"started_at": run.started_at, "ended_at": run.ended_at, "updated_at": run.updated_at}
    shown |= {name: rfc3339(moment, zone) for name, moment in moments.items() if moment is not None}
    if run.last_error:
        shown["last_error"] = run.last_error
    return shown | _pace(run, now)


def _pace(run: RunView, now: int) -> dict[str, Any]:
    """How fast a run is or was, and how long it still takes, both from what the database says."""
    until = run.ended_at or run.updated_at or now
    seconds = max(until - run.started_at, 1)
    pace: dict[str, Any] = {"messages_per_second": round(run.messages_seen / seconds, 1)}
    done = run.chats_done + run.chats_failed
    if run.state == "running" and done:
        pace["seconds_left"] = round(seconds / done * max(run.chats_total - done, 0))
    return pace


def _run_line(run: dict[str, Any]) -> str:
    ended = f" to {run['ended_at']}" if "ended_at" in run else ""
    facts = [f"run {run['run_id']} ({run['kind']}) {run['state']}, {run['started_at']}{ended}"]
    if "chats_total" in run:
        facts += [
            f"{run['chats_done']} of {run['chats_total']} chats, {run['chats_failed']} failed",
            f"{run['messages_seen']:,} messages seen, {run['messages_new']:,} new, {run['messages_per_second']}/s",
        ]
    facts.append(f"{run['requests']} requests, {run['throttled']} throttled")
    if "seconds_left" in run:
        facts.append(f"about {run['seconds_left']} s left")
    if "last_error" in run:
        facts.append(f"last error: {inline(run['last_error'], 160)}")
    return "; ".join(facts)


def _table(name: str, rows: Sequence[Count], messages: int) -> list[str]:
    shown = rows[: _most(name)]
    lines = [f"by {name} (messages = sent + received):"] if shown else []
    for row in shown:
        label = f"{literal(row.party.name)} ({row.party.id})" if row.party else _label(name, row)
        share = f" {row.messages / messages:.0%}" if messages and name != "day" else ""
        lines.append(f"  {label} {row.messages:,} = {row.sent:,} + {row.received:,}{share}")
    if len(rows) > len(shown):
        lines.append(f"  … and {len(rows) - len(shown)} more")
    return lines


def _label(table: str, row: Count) -> str:
    return row.label if table in _OUR_LABELS else literal(row.label)


def _row(row: Count) -> dict[str, Any]:
    numbers: dict[str, Any] = {"messages": row.messages, "sent": row.sent, "received": row.received}
    known = {} if row.party is None else {"id": row.party.id}
    return {"label": inline(row.label, 100), **known, **numbers}


def _stamp(message: MessageView, zone: ZoneInfo) -> dict[str, Any]:
    sender = {"sender": party_object(message.sender)} if message.sender else {}
    return {
        "handle": message.handle,
        "chat": party_object(message.chat),
        **sender,
        "from_me": message.from_me,
        "sent_at": rfc3339(message.sent_at, zone),
        "type": message.kind,
    }


def _left_out(found: Analysis) -> dict[str, int]:
    counts = {name: len(rows) - _most(name) for name, rows in found.breakdowns.items()}
    return {name: count for name, count in counts.items() if count > 0}


def _more(counts: dict[str, int], most: int) -> dict[str, int]:
    return {name: count - most for name, count in counts.items() if count > most}


def _most(table: str) -> int:
    return ROWS_SHOWN.get(table, ROWS_OTHERWISE)


def _nothing_counted(found: Analysis) -> str:
    if found.coverage.oldest is None:
        return "full_sync_status says what is archived; start_full_sync fetches the account."
    return "analyze_range with a wider interval or without chat and contact; the coverage says from when messages are known."
