"""Search: a page of hits with snippets, their neighbours on request, and never a bare zero."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from whatsapp_mcp import dates
from whatsapp_mcp.queries import cursors, meanings, messages, ranking, suggesting
from whatsapp_mcp.queries.asking import HIGHEST_LIMIT, understood
from whatsapp_mcp.queries.coverage import coverage
from whatsapp_mcp.search.snippets import hits, snippet
from whatsapp_mcp.views import MessageView, Page, Suggestions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.queries.asking import Asked, Wanted
    from whatsapp_mcp.search.language import Query
    from whatsapp_mcp.search.meaning import Meaning

_CONVERSATION: Final = 30 * 60
"""Seconds between two hits of one conversation at most."""


def search(connection: sqlite3.Connection, asked: Asked, *, zone: ZoneInfo, now: float, meaning: Meaning | None = None) -> Page:
    """The hits of one page; an empty query lists what the filters leave, in order of time, the newest first.

    Raises `UsageError` for a query without words and without filters, and for filters that cannot be meant.
    """
    limit = cursors.checked_limit(asked.limit, HIGHEST_LIMIT)
    wanted = understood(connection, asked, zone=zone, now=now)
    place: tuple[int | None, ...] = ()
    if asked.cursor:
        is_ranked = wanted.query is not None and asked.order == "relevance"
        start, end, *rest = cursors.decode(asked.cursor, asked.filters, 6 if is_ranked else 4)
        within, place = dates.resolved(start, end, zone=zone), tuple(rest)
        wanted = replace(wanted, within=within, filters=replace(wanted.filters, start=start, end=end))
    found, position = _found(connection, asked, wanted, limit=limit, place=place)
    by_words, near = found, tuple[int, ...]()
    if meaning is not None and meanings.is_plain(asked, wanted):
        near = meanings.beside(connection, meaning, wanted, found, limit)
        if limit - len(near) < len(found.ids):
            found, position = _found(connection, asked, wanted, limit=limit - len(near), place=place)
        found = meanings.merged(found, near)
    shown = messages.by_ids(connection, found.ids)
    if wanted.query:
        shown = meanings.marked(_with_snippets(connection, shown, wanted.query), near)
        if asked.order == "relevance":
            shown = _by_conversation(shown, found.first_inexact)
    if asked.context:
        shown = _with_context(connection, shown, asked.context)
    filters, within = wanted.filters, wanted.within
    return Page(
        messages=tuple(shown),
        next_cursor=cursors.encode(asked.filters, (within.start, within.end, *position)) if found.has_more else None,
        interval=within,
        coverage=coverage(connection, zone, chat_id=filters.chat_id, interval=within),
        total=found.total,
        suggestions=_suggestions(connection, asked, wanted, found=by_words, zone=zone),
        notes=(*wanted.notes, *meanings.notes(near)),
    )


def _by_conversation(found: list[MessageView], first_inexact: int) -> list[MessageView]:
    """Hits of one conversation together, where the best of them stands; other forms stay behind the very spelling.

    A conversation is what was written in one chat without a long pause. A page is grouped by itself: pages are cut by rank
    before, so none repeats or leaves out a hit.
    """
    return [*_grouped(found[:first_inexact]), *_grouped(found[first_inexact:])]


def _grouped(found: list[MessageView]) -> list[MessageView]:
    conversations: dict[int, int] = {}
    ends: dict[int, int] = {}
    for message in sorted(found, key=lambda message: (message.sent_at, message.message_id)):
        chat = message.chat.id
        goes_on = chat in ends and message.sent_at - ends[chat] <= _CONVERSATION
        earlier = conversations.get(-chat) if goes_on else None
        conversations[message.message_id] = conversations[-chat] = message.message_id if earlier is None else earlier
        ends[chat] = message.sent_at
    places: dict[int, int] = {}
    for place, message in enumerate(found):
        places.setdefault(conversations[message.message_id], place)
    return sorted(found, key=lambda message: places[conversations[message.message_id]])


def _found(
    connection: sqlite3.Connection, asked: Asked, wanted: Wanted, *, limit: int, place: tuple[int | None, ...]
) -> tuple[ranking.Found, tuple[int | None, ...]]:
    """The hits and the position behind them."""
    query, filters = wanted.query, wanted.filters
    if query and asked.order == "relevance":
        newest_id, edge, offset, tier = place or (_newest_id(connection), None, 0, 0)
        matching = ranking.Matching(query.match(), query.exact(), query.others())
        start = ranking.Place(edge, max(0, offset or 0), max(0, tier or 0))
        found = ranking.best(connection, matching, filters, limit=limit, newest_id=newest_id or 0, place=start)
        return found, (newest_id, *found.place)
    behind = (place[0] or 0, place[1] or 0) if place else None
    oldest_first = asked.order == "oldest"
    if query:
        found = ranking.in_time(connection, query.match(), filters, limit=limit, place=behind, oldest_first=oldest_first)
    else:
        found = ranking.listed(connection, filters, limit=limit, place=behind, oldest_first=oldest_first)
    last = connection.execute(
        "SELECT sent_at, message_id FROM messages WHERE message_id = ?", found.ids[-1:] or (0,)
    ).fetchone()
    return found, last or (None, None)


def _newest_id(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(message_id), 0) FROM messages").fetchone()[0])


def _with_snippets(connection: sqlite3.Connection, found: Sequence[MessageView], query: Query) -> list[MessageView]:
    shown = [_with_snippet(message, query) for message in found]
    elsewhere = [
        message.media.sha256 for message in shown if message.snippet is None and message.media and message.media.sha256
    ]
    texts = _texts(connection, elsewhere) if elsewhere else {}
    return [_in_file(message, query, texts) if message.snippet is None else message for message in shown]


def _with_snippet(message: MessageView, query: Query) -> MessageView:
    places = hits(message.content, query)
    if places:
        return replace(message, matched_in="content", snippet=snippet(message.content, places))
    beside = " ".join(
        part for part in (message.media and message.media.filename, message.location and message.location.name) if part
    )
    places = hits(beside, query)
    return replace(message, matched_in="attachment", snippet=snippet(beside, places) if places else None)


def _texts(connection: sqlite3.Connection, contents: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Source and text of each content that has one."""
    query = "SELECT sha256, source, text FROM media_texts WHERE sha256 IN (SELECT value FROM json_each(?)) AND text <> ''"
    return {row[0]: (row[1], row[2]) for row in connection.execute(query, (json.dumps(contents),))}


def _in_file(message: MessageView, query: Query, texts: Mapping[str, tuple[str, str]]) -> MessageView:
    """A hit whose words stand in the text that was read out of its file: ``voice`` or ``document``."""
    source, text = texts.get((message.media and message.media.sha256) or "", ("", ""))
    places = hits(text, query) if text else ()
    return replace(message, matched_in=source, snippet=snippet(text, places)) if places else message


def _with_context(connection: sqlite3.Connection, found: Sequence[MessageView], context: int) -> list[MessageView]:
    """Each hit among its neighbours in its chat; neighbourhoods that touch become one, where the best of their hits stands."""
    by_id = {message.message_id: message for message in found}
    clusters: list[dict[int, MessageView]] = []
    for neighbourhood in _neighbourhoods(connection, found, context):
        touching = next((cluster for cluster in clusters if cluster.keys() & neighbourhood.keys()), None)
        if touching is None:
            clusters.append(dict(neighbourhood))
        else:
            touching.update(neighbourhood)
    shown: dict[int, MessageView] = {}
    for cluster in clusters:
        for message in sorted(cluster.values(), key=lambda message: (message.sent_at, message.message_id)):
            shown.setdefault(message.message_id, by_id.get(message.message_id) or replace(message, is_hit=False))
    return list(shown.values())


def _neighbourhoods(connection: sqlite3.Connection, found: Sequence[MessageView], context: int) -> list[dict[int, MessageView]]:
    """For each hit the messages around it, itself among them: one statement for all ids, then one page of views."""
    side = (
        "SELECT message_id FROM (SELECT n.message_id FROM messages AS n WHERE n.chat_id = h.chat_id"
        " AND (n.sent_at, n.message_id) {} (h.sent_at, h.message_id) ORDER BY n.sent_at {}, n.message_id {} LIMIT ?2)"
    )
    rows = connection.execute(
        "SELECT wanted.key, m.message_id FROM json_each(?1) AS wanted CROSS JOIN messages AS h ON h.message_id = wanted.value"
        f" CROSS JOIN messages AS m ON m.message_id = h.message_id OR m.message_id IN ({side.format('<', 'DESC', 'DESC')})"
        f" OR m.message_id IN ({side.format('>', 'ASC', 'ASC')})",
        (json.dumps([message.message_id for message in found]), context),
    ).fetchall()
    views = {message.message_id: message for message in messages.by_ids(connection, sorted({row[1] for row in rows}))}
    around: list[dict[int, MessageView]] = [{} for _ in found]
    for place, message_id in rows:
        around[place][message_id] = views[message_id]
    return around


def _suggestions(
    connection: sqlite3.Connection, asked: Asked, wanted: Wanted, *, found: ranking.Found, zone: ZoneInfo
) -> Suggestions | None:
    if found.edge is not None and found.ids:
        return Suggestions(next_call=suggesting.ranked_since(found.edge, zone))
    if found.ids or asked.cursor:
        return None
    return suggesting.suggestions(connection, wanted, zone)
