"""Search: a page of hits with snippets, their neighbours on request, and never a bare zero."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from whatsapp_mcp import dates
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import cursors, messages, people, ranking, suggesting
from whatsapp_mcp.queries.coverage import coverage
from whatsapp_mcp.queries.filters import Filters
from whatsapp_mcp.records import KINDS
from whatsapp_mcp.search.language import parse
from whatsapp_mcp.search.snippets import hits, snippet
from whatsapp_mcp.views import Interval, MessageView, Page, Party, Suggestions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.search.language import Query

ORDERS: Final = ("relevance", "newest", "oldest")
HIGHEST_LIMIT: Final = 200
HIGHEST_CONTEXT: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was asked, with names already resolved."""

    query: str
    chat: Party | None
    sender: Party | None
    after: str | None
    before: str | None
    kinds: tuple[str, ...]
    order: str
    context: int
    limit: int
    cursor: str | None

    @property
    def filters(self) -> tuple[object, ...]:
        """What a cursor is bound to."""
        return (
            "search", self.query, self.chat and self.chat.id, self.sender and self.sender.id, self.after or "",
            self.before or "", self.kinds, self.order,
        )  # fmt: skip

    @property
    def has_filters(self) -> bool:
        """Whether anything beside the words says what is wanted."""
        return bool(self.chat or self.sender or self.after or self.before or self.kinds)


def search(connection: sqlite3.Connection, asked: Asked, *, zone: ZoneInfo, now: float) -> Page:
    """The hits of one page; an empty query lists what the filters leave, in order of time, the newest first.

    Raises `UsageError` for a query without words and without filters, and for filters that cannot be meant.
    """
    query = _query(connection, asked)
    limit = cursors.checked_limit(asked.limit, HIGHEST_LIMIT)
    _check(asked)
    place: tuple[int | None, ...] = ()
    if asked.cursor:
        start, end, *rest = cursors.decode(asked.cursor, asked.filters, 5 if query and asked.order == "relevance" else 4)
        within, place = dates.resolved(start, end, zone=zone), tuple(rest)
    else:
        within = dates.interval(asked.after, asked.before, zone=zone, now=now)
    filters = _filters(connection, asked, within)
    found, position = _found(connection, asked, query, filters, limit=limit, place=place)
    shown = messages.by_ids(connection, found.ids)
    shown = _with_snippets(connection, shown, query) if query else shown
    if asked.context:
        shown = _with_context(connection, shown, asked.context)
    return Page(
        messages=tuple(shown),
        next_cursor=cursors.encode(asked.filters, (within.start, within.end, *position)) if found.has_more else None,
        interval=within,
        coverage=coverage(connection, zone, chat_id=asked.chat.id if asked.chat else None, interval=within),
        total=found.total,
        suggestions=_suggestions(connection, asked, query, filters, found=found, zone=zone),
    )


def _query(connection: sqlite3.Connection, asked: Asked) -> Query | None:
    """The query with the forms that somebody wrote; None where it is empty and the filters say what is wanted."""
    query = parse(asked.query)
    if query is not None:
        return query.with_forms(partial(ranking.is_written, connection))
    if asked.query.strip() or not asked.has_filters:
        raise UsageError(
            "The query holds no word." if asked.query.strip() else "The query is empty, and no filter says what is wanted.",
            advice='Give a word that messages hold, such as query="invoice"; without a word use read_chat, or give '
            'query="" with a sender, kinds or dates.',
        )
    return None


def _check(asked: Asked) -> None:
    if asked.order not in ORDERS:
        raise UsageError(f"There is no order {people.named(asked.order)}.", advice=f"Use {', '.join(ORDERS)}.")
    if not 0 <= asked.context <= HIGHEST_CONTEXT:
        raise UsageError(f"context is {asked.context}.", advice=f"Give a number from 0 to {HIGHEST_CONTEXT}.")


def checked_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """`kinds` sorted, with ``media`` spelled out; raises `UsageError` with the nearest kind for an unknown one."""
    wanted: set[str] = set()
    for kind in kinds:
        if kind == "media":
            wanted.update(messages.MEDIA_KINDS)
        elif kind in KINDS:
            wanted.add(kind)
        else:
            near = difflib.get_close_matches(kind, KINDS, n=1)
            meant = f"Did you mean {near[0]}?" if near else f"Use {', '.join(KINDS)}, or media for all files."
            raise UsageError(f"There is no kind {people.named(kind)} of messages.", advice=meant)
    return tuple(sorted(wanted))


def _filters(connection: sqlite3.Connection, asked: Asked, within: Interval) -> Filters:
    sender = asked.sender.id if asked.sender else None
    me = people.owner(connection) if sender is not None else None
    is_me = me is not None and me[0] == sender
    return Filters(
        chat_id=asked.chat.id if asked.chat else None, start=within.start, end=within.end,
        sender_id=None if is_me else sender, from_me=True if is_me else None, kinds=asked.kinds,
    )  # fmt: skip


def _found(
    connection: sqlite3.Connection, asked: Asked, query: Query | None, filters: Filters, *,
    limit: int, place: tuple[int | None, ...],
) -> tuple[ranking.Found, tuple[int | None, ...]]:  # fmt: skip
    """The hits and the position behind them."""
    if query and asked.order == "relevance":
        newest_id, edge, offset = place or (_newest_id(connection), None, 0)
        matching = ranking.Matching(query.match(), query.exact())
        found = ranking.best(
            connection, matching, filters, limit=limit, offset=max(0, offset or 0), newest_id=newest_id or 0, edge=edge
        )
        return found, (newest_id, found.edge, (offset or 0) + limit)
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
    connection: sqlite3.Connection, asked: Asked, query: Query | None, filters: Filters, *,
    found: ranking.Found, zone: ZoneInfo,
) -> Suggestions | None:  # fmt: skip
    if found.edge is not None and found.ids:
        return Suggestions(next_call=suggesting.ranked_since(found.edge, zone))
    if found.ids or asked.cursor:
        return None
    if query is None:
        return suggesting.without_words(connection, filters, zone)
    return suggesting.suggestions(connection, asked.query, query, filters, zone)
