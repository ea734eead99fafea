"""The answers of ``--json`` that are no messages: status, chats, analysis, exports, checks, findings, outcomes.

Times are RFC 3339 with the offset of the user's zone, and what is unknown is null, so that every answer has the same members.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.export.objects import (
    coverage_object,
    hole_object,
    interval_object,
    message_object,
    party_object,
    rfc3339,
)
from whatsapp_mcp.server.gaps import COMMANDS, gaps_object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.backup import BackedUp, Restored
    from whatsapp_mcp.doctor import Check
    from whatsapp_mcp.export import Exported
    from whatsapp_mcp.maintenance import Maintained
    from whatsapp_mcp.verify import Finding
    from whatsapp_mcp.views import Analysis, ChatGaps, ChatView, Count, RunView, Status

_COUNTS: Final = (
    "account", "chats", "private_chats", "groups", "contacts", "messages", "media_messages", "payloads", "unreadable",
    "database_bytes",
)  # fmt: skip
_RUN_TIMES: Final = ("started_at", "ended_at", "updated_at")


def status_object(status: Status, zone: ZoneInfo) -> dict[str, Any]:
    """The state of the archive."""
    return {
        **{name: getattr(status, name) for name in _COUNTS},
        "coverage": coverage_object(status.coverage, zone),
        "gaps": gaps_object(status, COMMANDS, lambda one: _chat_gaps(one, zone)),
        "queue": asdict(status.queue) | {name: _time(getattr(status.queue, name), zone) for name in ("since", "read_at")},
        "files": asdict(status.files),
        "runs": [run_object(run, zone) for run in status.runs],
        "failures": [
            {"chat": party_object(one.chat), "error": one.error, "error_count": one.error_count} for one in status.failures
        ],
        "truncated": [party_object(chat) for chat in status.truncated],
    }


def _chat_gaps(one: ChatGaps, zone: ZoneInfo) -> dict[str, Any]:
    return asdict(one) | {"chat": party_object(one.chat), "holes": [hole_object(hole, zone) for hole in one.holes]}


def run_object(run: RunView, zone: ZoneInfo) -> dict[str, Any]:
    """One run of a sync."""
    return asdict(run) | {name: _time(getattr(run, name), zone) for name in _RUN_TIMES}


def chats_object(chats: Sequence[ChatView], cursor: str | None, total: int, zone: ZoneInfo) -> dict[str, Any]:
    """A page of chats."""
    return {"chats": [chat_object(chat, zone) for chat in chats], "next_cursor": cursor, "total": total}


def chat_object(chat: ChatView, zone: ZoneInfo) -> dict[str, Any]:
    """One chat with what is known of its extent."""
    return {
        **party_object(chat.party),
        "kind": chat.kind,
        "message_count": chat.message_count,
        "last_message_at": _time(chat.last_message_at, zone),
        "is_archived": chat.is_archived,
        "phone_number": chat.phone_number,
        "sync_progress": chat.sync_progress,
        "oldest_sent_at": _time(chat.oldest_sent_at, zone),
        "last_synced_at": _time(chat.last_synced_at, zone),
        "last_error": chat.last_error,
    }


def analysis_object(analysis: Analysis, zone: ZoneInfo) -> dict[str, Any]:
    """The numbers of an interval."""
    numbers = {name: getattr(analysis, name) for name in ("messages", "sent", "received", "chats", "contacts", "media")}
    return {
        **numbers,
        "first": message_object(analysis.first, zone) if analysis.first else None,
        "last": message_object(analysis.last, zone) if analysis.last else None,
        "busiest_day": _count(analysis.busiest_day) if analysis.busiest_day else None,
        "breakdowns": {title: [_count(one) for one in counts] for title, counts in analysis.breakdowns.items()},
        "interval": interval_object(analysis.interval, zone),
        "coverage": coverage_object(analysis.coverage, zone),
        "notes": list(analysis.notes),
    }


def export_object(export: Exported) -> dict[str, Any]:
    """A finished export."""
    return asdict(export) | {"path": str(export.path)}


def checks_object(checks: Sequence[Check]) -> dict[str, Any]:
    """What doctor saw."""
    return {"checks": [{name: getattr(one, name) for name in ("name", "level", "finding", "advice")} for one in checks]}


def findings_object(findings: Sequence[Finding]) -> dict[str, Any]:
    """What verify saw."""
    return {"clean": not findings, "findings": [asdict(finding) for finding in findings]}


def _count(count: Count) -> dict[str, Any]:
    named = {"party": party_object(count.party)} if count.party else {}
    return {"label": count.label, "messages": count.messages, "sent": count.sent, "received": count.received, **named}


def _time(moment: int | None, zone: ZoneInfo) -> str | None:
    return None if moment is None else rfc3339(moment, zone)


def backup_object(done: BackedUp, zone: ZoneInfo, *, seconds: float, proved: bool) -> dict[str, Any]:
    """A backup that was made, and what its proof found where one was asked for."""
    made = done.made
    return {
        "path": str(made.path),
        "made_at": _time(made.manifest.made_at, zone),
        "counts": made.manifest.counts,
        "media_files": len(made.manifest.media),
        "media_files_new": made.files_new,
        "media_files_unreadable": made.unreadable,
        "bytes_new": made.bytes_new,
        "seconds": round(seconds, 3),
        "verified": proved,
        **findings_object(done.findings),
        "removed": list(done.pruned.removed),
    }


def restored_object(done: Restored, zone: ZoneInfo) -> dict[str, Any]:
    """A backup that was put in the archive's place."""
    return {
        "backup": str(done.backup),
        "made_at": _time(done.manifest.made_at, zone),
        "counts": done.manifest.counts,
        "media_files_new": done.files_new,
        "replaced": None if done.replaced is None else str(done.replaced),
    }


def maintained_object(done: Maintained, zone: ZoneInfo) -> dict[str, Any]:
    """A run of the maintenance."""
    return {
        "started_at": _time(int(done.started_at), zone),
        "ended_at": _time(int(done.ended_at), zone),
        "steps": [asdict(step) | {"seconds": round(step.seconds, 3)} for step in done.steps],
        "bytes_before": done.bytes_before,
        "bytes_after": done.bytes_after,
    }
