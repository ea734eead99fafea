"""Views as plain JSON values: the one shape of a message, a page, an interval and a coverage, whoever shows it.

Optional members are left out instead of being null; every time is RFC 3339 with the offset of the reader's zone. Text is
verbatim: whoever hands it to a model cleans it first.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import (
        CallView,
        Coverage,
        Hole,
        Interval,
        KnownSpan,
        Location,
        MediaView,
        MessageView,
        Page,
        Party,
        Quoted,
        Suggestions,
    )

_SPANS_SHOWN: Final = 5
"""So many holes and spans of a chat are told, the newest ones."""


def rfc3339(moment: int, zone: ZoneInfo) -> str:
    """A time in unix seconds as ``2025-08-14T12:01:00+03:00``."""
    return datetime.fromtimestamp(moment, zone).isoformat()


def party_object(party: Party) -> dict[str, Any]:
    """A chat or a contact: ``id``, ``whatsapp_id``, ``name``."""
    return {"id": party.id, "whatsapp_id": party.whatsapp_id, "name": party.name}


def message_object(message: MessageView, zone: ZoneInfo) -> dict[str, Any]:
    """One message; members after ``content`` stand only where there is something to say."""
    shown: dict[str, Any] = {
        "handle": message.handle,
        "message_id": message.message_id,
        "whatsapp_message_id": message.whatsapp_message_id,
        "chat": party_object(message.chat),
        "sender": party_object(message.sender) if message.sender else None,
        "from_me": message.from_me,
        "sent_at": rfc3339(message.sent_at, zone),
        "type": message.kind,
        "content": message.content,
    }
    return shown | _said({**_history(message, zone), **_attached(message, zone), **_found(message)})


def page_object(page: Page, zone: ZoneInfo) -> dict[str, Any]:
    """A page: ``messages``, ``next_cursor``, ``interval``, ``coverage``; ``total``, ``notes``, ``suggestions`` where known."""
    shown: dict[str, Any] = {
        "messages": [message_object(message, zone) for message in page.messages],
        "next_cursor": page.next_cursor,
        "interval": interval_object(page.interval, zone),
        "coverage": coverage_object(page.coverage, zone, with_spans=True),
    }
    if page.total is not None:
        shown["total"] = page.total
    if page.notes:
        shown["notes"] = list(page.notes)
    if page.suggestions is not None:
        shown["suggestions"] = suggestions_object(page.suggestions)
    return shown


def interval_object(interval: Interval, zone: ZoneInfo) -> dict[str, Any]:
    """A span as it was understood: ``text``, ``zone``, and ``start`` (inclusive) and ``end`` (exclusive) where bounded."""
    start = None if interval.start is None else rfc3339(interval.start, zone)
    end = None if interval.end is None else rfc3339(interval.end, zone)
    return _said({"text": interval.text, "zone": interval.zone, "start": start, "end": end})


def coverage_object(coverage: Coverage, zone: ZoneInfo, *, with_spans: bool = False) -> dict[str, Any]:
    """What an answer rests on: chats by completeness, messages, from when to when they are known, and gaps where there are any.

    `with_spans` adds the newest times of one chat that are known, each with its origin.
    """
    counts = {name: getattr(coverage, name) for name in ("chats", "complete", "truncated", "failed", "pending", "messages")}
    lost = {name: getattr(coverage, name) for name in ("missing", "unobtainable", "shrunk", "with_holes")}
    names = ("oldest", "newest", "last_synced_at", "known_until", "verified_at")
    moments = {name: getattr(coverage, name) for name in names}
    times = {name: rfc3339(moment, zone) for name, moment in moments.items() if moment is not None}
    holes = [hole_object(hole, zone) for hole in coverage.holes[-_SPANS_SHOWN:]]
    spans = [_span_object(span, zone) for span in coverage.spans[-_SPANS_SHOWN:]] if with_spans else []
    return counts | times | _said({"note": coverage.note, **lost, "holes": holes, "spans": spans})


def hole_object(hole: Hole, zone: ZoneInfo) -> dict[str, str]:
    """A time of which nothing was fetched."""
    return {"start": rfc3339(hole.start, zone), "end": rfc3339(hole.end, zone)}


def _span_object(span: KnownSpan, zone: ZoneInfo) -> dict[str, str]:
    """A time that is known from an origin; a history that reaches the beginning has no start."""
    start = {"start": rfc3339(span.start, zone)} if span.start > 0 else {}
    return {"origin": span.origin, **start, "end": rfc3339(span.end, zone), "verified_at": rfc3339(span.verified_at, zone)}


def suggestions_object(suggestions: Suggestions) -> dict[str, Any]:
    """What may help after a poor search: ``near_words``, ``months_with_hits``, ``next_call``."""
    return _said(
        {
            "near_words": list(suggestions.near_words),
            "months_with_hits": dict(suggestions.months_with_hits),
            "next_call": suggestions.next_call,
        }
    )


def _history(message: MessageView, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "quoted": _quoted(message.quoted) if message.quoted else None,
        "edited_at": None if message.edited_at is None else rfc3339(message.edited_at, zone),
        "versions": [
            {"content": one.content} | ({} if one.at is None else {"edited_at": rfc3339(one.at, zone)})
            for one in message.versions
        ],
        "deleted_at": None if message.deleted_at is None else rfc3339(message.deleted_at, zone),
        "forwarded": message.forwarded,
    }


def _attached(message: MessageView, zone: ZoneInfo) -> dict[str, Any]:
    reactions = [
        {"sender": party_object(one.sender), "emoji": one.emoji, "reacted_at": rfc3339(one.reacted_at, zone)}
        for one in message.reactions
    ]
    return {
        "reactions": reactions,
        "media": _media(message.media) if message.media else None,
        "location": _location(message.location) if message.location else None,
        "marker": message.marker,
        "call": _call(message.call) if message.call else None,
        "votes": [{"option": one.option, "voters": [party_object(who) for who in one.voters]} for one in message.votes],
    }


def _call(call: CallView) -> dict[str, Any]:
    known = {"is_video": call.is_video, "status": call.status, "duration": call.duration}
    return {name: value for name, value in known.items() if value not in (None, "")}


def _found(message: MessageView) -> dict[str, Any]:
    neighbour = {} if message.is_hit else {"is_hit": False}
    return _said({"matched_in": message.matched_in, "snippet": message.snippet}) | neighbour


def _quoted(quoted: Quoted) -> dict[str, Any]:
    handle = None if quoted.message_id is None else f"m{quoted.message_id}"
    return _said(
        {
            "handle": handle,
            "message_id": quoted.message_id,
            "whatsapp_message_id": quoted.whatsapp_message_id,
            "sender": quoted.sender,
            "excerpt": quoted.excerpt,
        }
    )


def _media(media: MediaView) -> dict[str, Any]:
    names = (
        "filename", "mime_type", "claimed_type", "size", "width", "height", "duration", "path", "thumbnail", "problem",
        "transcript",
    )  # fmt: skip
    return _said({name: getattr(media, name) for name in names})


def _location(location: Location) -> dict[str, Any]:
    known = {"latitude": location.latitude, "longitude": location.longitude, "name": location.name}
    return {name: value for name, value in known.items() if value is not None}


def _said(members: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing; ``is_hit: false`` does say something, a plain false, empty or null does not."""
    return {name: value for name, value in members.items() if value or (name == "is_hit" and value is False)}
