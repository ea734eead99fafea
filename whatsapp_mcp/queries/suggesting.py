"""What to try next when a search found nothing: near spellings, the months that do have hits, the next useful call.

Everything here is bounded: a near spelling is one slip away and looked up by name (some hundreds of look-ups in a
B-tree), and hits elsewhere are counted among at most 20,000 matches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from whatsapp_mcp import dates
from whatsapp_mcp.queries.people import named
from whatsapp_mcp.queries.scopes import extent
from whatsapp_mcp.search.language import Unit, neighbours, parse, spelled
from whatsapp_mcp.views import Suggestions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.queries.filters import Filters
    from whatsapp_mcp.search.language import Query

_MOST_MATCHES: Final = 20_000
_MOST_MONTHS: Final = 12
_MOST_WORDS: Final = 5
_WORDS_TRIED: Final = 4


def suggestions(connection: sqlite3.Connection, text: str, query: Query, filters: Filters, zone: ZoneInfo) -> Suggestions:
    """What helps for a `query`, typed as `text`, that found nothing within `filters`."""
    outside = _times(connection, query, replace(filters, start=None, end=None)) if _has_dates(filters) else []
    months = _months(outside, zone)
    near = () if outside else _near_words(connection, query)
    return Suggestions(near, months, _next_call(connection, text, query, filters, near=near, months=months))


def without_words(connection: sqlite3.Connection, filters: Filters, zone: ZoneInfo) -> Suggestions:
    """What helps when filters alone left nothing: the months in which the same filters, but for the dates, leave something."""
    moments: list[int] = []
    if _has_dates(filters):
        where, values = replace(filters, start=None, end=None).where()
        rows = connection.execute(
            f"SELECT m.sent_at FROM messages AS m WHERE {where} ORDER BY m.sent_at DESC LIMIT ?", (*values, _MOST_MATCHES)
        )
        moments = [moment for (moment,) in rows]
    advice = "search_messages with the same filters and other dates." if moments else "search_messages with fewer filters."
    return Suggestions((), _months(moments, zone), advice)


def _has_dates(filters: Filters) -> bool:
    return filters.start is not None or filters.end is not None


def _times(connection: sqlite3.Connection, query: Query, filters: Filters) -> list[int]:
    """When the hits within `filters` were sent, of the first matches between the ids that can fit only."""
    where, values = filters.where()
    inside = extent(connection, filters)
    rows = connection.execute(
        "SELECT m.sent_at FROM (SELECT rowid AS id FROM message_index"
        " WHERE message_index MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?) AS hits"
        f" CROSS JOIN messages AS m ON m.message_id = hits.id WHERE {where}",
        (query.match(), inside.low, inside.high, _MOST_MATCHES, *values),
    )
    return [moment for (moment,) in rows]


def _months(moments: list[int], zone: ZoneInfo) -> dict[str, int]:
    """``2025-09`` to the number of hits, the months with most hits, in order of time."""
    if not moments:
        return {}
    ahead = dates.offsets(zone, min(moments), max(moments) + 1)
    days = Counter(ahead.local(moment) // 86_400 for moment in moments)
    months: Counter[str] = Counter()
    for day, count in days.items():
        months[dates.day_label(day)[:7]] += count
    return dict(sorted(months.most_common(_MOST_MONTHS)))


def _near_words(connection: sqlite3.Connection, query: Query) -> tuple[str, ...]:
    """For words that nobody wrote, the most written ones that are one slip away."""
    found: Counter[str] = Counter()
    for unit in [unit for unit in query.units if _is_missing(connection, unit)][:_WORDS_TRIED]:
        for word in set(neighbours(unit.plain)):
            row = connection.execute("SELECT doc FROM vocabulary WHERE term = ?", (word,)).fetchone()
            if row:
                found[spelled(word)] = row[0]
    return tuple(word for word, _ in found.most_common(_MOST_WORDS))


def _is_missing(connection: sqlite3.Connection, unit: Unit) -> bool:
    if len(unit.terms[0].words) != 1 or unit.terms[0].is_prefix:
        return False
    return not any(
        connection.execute("SELECT 1 FROM vocabulary WHERE term = ?", term.words).fetchone()
        for term in unit.terms if len(term.words) == 1
    )  # fmt: skip


def _next_call(
    connection: sqlite3.Connection, text: str, query: Query, filters: Filters, *, near: Iterable[str], months: dict[str, int]
) -> str:
    if months:
        first, *_, last = (*months, *months)
        return _call(text, after=f'"{first}"', before=f'"{last}"', chat=filters.chat_id)
    elsewhere = _elsewhere(connection, query, filters)
    if elsewhere:
        return f"{_call(text)} without the other filters: {elsewhere} hits."
    for word in near:
        return _call(word)
    if len(query.wanted) > 1:
        either = " OR ".join(dict.fromkeys(_typed(unit) for unit in query.units))
        return _call(either) if _any_hit(connection, either) else "list_chats() shows what is archived; try other words."
    return "full_sync_status() tells what was not fetched yet; try another word, or its beginning with * behind it."


def _typed(unit: Unit) -> str:
    plain = " ".join(spelled(word) for word in unit.terms[0].words)
    return f'"{plain}"' if len(unit.terms[0].words) > 1 else plain


def _any_hit(connection: sqlite3.Connection, text: str) -> bool:
    query = parse(text)
    row = (
        query
        and connection.execute("SELECT 1 FROM message_index WHERE message_index MATCH ? LIMIT 1", (query.match(),)).fetchone()
    )
    return row is not None


def _elsewhere(connection: sqlite3.Connection, query: Query, filters: Filters) -> str:
    if filters.are_open:
        return ""
    matches = connection.execute(
        "SELECT count(*) FROM (SELECT rowid FROM message_index WHERE message_index MATCH ? LIMIT ?)",
        (query.match(), _MOST_MATCHES),
    ).fetchone()[0]
    return f"{matches}{' or more' if matches == _MOST_MATCHES else ''}" if matches else ""


def _call(text: str, **arguments: object) -> str:
    given = "".join(f", {name}={value}" for name, value in arguments.items() if value is not None)
    return f"search_messages(query={named(text)}{given})"


def ranked_since(edge: int, zone: ZoneInfo) -> str:
    """The sentence for a page of a very frequent word, of which only the newest messages were ranked."""
    day = datetime.fromtimestamp(edge, zone)
    return (
        f"The words are very frequent: only messages since {day:%Y-%m-%d} were ranked."
        ' Add a word, a chat or dates, or use order="oldest".'
    )
