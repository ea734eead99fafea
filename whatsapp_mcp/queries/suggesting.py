"""What to try next when a search found nothing: near spellings, the months that do have hits, the next useful call.

Everything here is bounded: a near spelling is one slip away and looked up by name (some hundreds of look-ups in a
B-tree), and hits elsewhere are counted among at most 20,000 matches.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from whatsapp_mcp import dates
from whatsapp_mcp.queries import writing
from whatsapp_mcp.queries.people import named
from whatsapp_mcp.queries.scopes import extent
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.language import Query, Unit, neighbours, parse, spelled
from whatsapp_mcp.search.operators import STATES
from whatsapp_mcp.views import Suggestions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.queries.asking import Wanted
    from whatsapp_mcp.queries.filters import Filters

_MOST_MATCHES: Final = 20_000
_MOST_MONTHS: Final = 12
_MOST_WORDS: Final = 5
_WORDS_TRIED: Final = 4
_BETWEEN_WORDS: Final = re.compile("[\\s!-/:-@\\[-`{-~\u2010-\u2015\u2018-\u201f]+")
_LONGEST_SAID: Final = 80
"""A longer query is not said again: `named` would cut it."""


def suggestions(connection: sqlite3.Connection, wanted: Wanted, zone: ZoneInfo) -> Suggestions:
    """What helps for a search that found nothing."""
    query, filters = wanted.query, wanted.filters
    if query is None:
        return _without_words(connection, wanted, zone)
    undated = replace(filters, start=None, end=None)
    months = _months(_times(connection, query, undated), zone) if _has_dates(filters) else {}
    near = {} if months else _near_words(connection, query)
    told = sorted({word: count for words in near.values() for word, count in words.items()}.items(), key=lambda one: -one[1])
    call = _in_months(wanted, months) if months else _next_call(connection, wanted, query, near)
    return Suggestions(tuple(word for word, _ in told[:_MOST_WORDS]), months, call)


def _without_words(connection: sqlite3.Connection, wanted: Wanted, zone: ZoneInfo) -> Suggestions:
    """What helps when filters alone left nothing: the months in which the same filters, but for the dates, leave something."""
    filters, moments = wanted.filters, list[int]()
    if _has_dates(filters):
        where, values = replace(filters, start=None, end=None).where()
        rows = connection.execute(
            f"SELECT m.sent_at FROM messages AS m WHERE {where} ORDER BY m.sent_at DESC LIMIT ?", (*values, _MOST_MATCHES)
        )
        moments = [moment for (moment,) in rows]
    if moments:
        months = _months(moments, zone)
        return Suggestions((), months, _in_months(wanted, months))
    return Suggestions((), {}, "search_messages with fewer filters; list_chats() shows what is archived.")


def _in_months(wanted: Wanted, months: dict[str, int]) -> str:
    """The same search, but for its dates, from the first of `months` to the last."""
    first, *_, last = (*months, *months)
    undated = " ".join(part for part in (wanted.words.strip(), wanted.without_dates) if part)
    call = _call(undated, after=f'"{first}"', before=f'"{last}"', **_arguments(wanted.filters))
    return call or f'The same search with after="{first}", before="{last}" and no other dates.'


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


def _near_words(connection: sqlite3.Connection, query: Query) -> dict[Unit, dict[str, int]]:
    """For words that nobody wrote, the most written ones that are one slip away, and how many messages hold them."""
    found: dict[Unit, dict[str, int]] = {}
    for unit in [unit for unit in query.units if _is_missing(connection, unit)][:_WORDS_TRIED]:
        near: Counter[str] = Counter()
        for word in set(neighbours(unit.plain)):
            row = connection.execute("SELECT doc FROM vocabulary WHERE term = ?", (word,)).fetchone()
            if row:
                near[spelled(word)] = row[0]
        if near:
            found[unit] = dict(near.most_common(_MOST_WORDS))
    return found


def _is_missing(connection: sqlite3.Connection, unit: Unit) -> bool:
    if len(unit.terms[0].words) != 1 or unit.terms[0].is_prefix:
        return False
    return not any(_any_hit(connection, Query(((Unit((term,)),),))) for term in unit.terms if len(term.words) == 1)


def _next_call(connection: sqlite3.Connection, wanted: Wanted, query: Query, near: dict[Unit, dict[str, int]]) -> str:
    """The call that is nearest to what was asked and finds something."""
    filters = wanted.filters
    if elsewhere := _elsewhere(connection, query, filters):
        call = _call(wanted.words)
        return f"{call or 'The same words'} without the other filters: {elsewhere} hits."
    tongues = writing.tongues(connection)
    for text in _other_queries(query, near):
        other = parse(text, tongues)
        call = _call(text) if other is not None and _any_hit(connection, other) else ""
        if call:
            return f"{call}{'' if filters.are_open else ' without the other filters.'}"
    if len(query.units) > 1:
        return "list_chats() shows what is archived; try other words."
    return "full_sync_status() tells what was not fetched yet; try another word, or its beginning with * behind it."


def _other_queries(query: Query, near: dict[Unit, dict[str, int]]) -> Iterator[str]:
    """With slips mended, then its phrases as single words, then any of its words, then a near word alone."""
    mended = {unit: next(iter(words)) for unit, words in near.items()}
    groups = [[mended.get(unit, _typed(unit)) for unit in group] for group in query.wanted if all(unit.typed for unit in group)]
    if mended or len(groups) < len(query.wanted):  # what nobody typed stands for an operator
        yield " ".join(" OR ".join(group) for group in groups)
    typed = [unit for unit in query.units if unit.typed]
    apart = [word for unit in typed for word in _apart(unit)]
    if len(apart) > len(typed) and all(len(group) == 1 for group in groups):
        yield " ".join(apart)
    if len(apart) > 1:
        either = list(dict.fromkeys(word for group in groups for word in group))
        yield " OR ".join(either)
        yield " OR ".join(dict.fromkeys(apart))
    yield from mended.values()


def _apart(unit: Unit) -> list[str]:
    """The words of a unit, each as it was typed: what a phrase or punctuation held together."""
    words = [word for word in _BETWEEN_WORDS.split(unit.typed) if fold(word)] if len(unit.terms[0].words) > 1 else []
    return words or [_typed(unit)]


def _typed(unit: Unit) -> str:
    """As it was typed, but for punctuation around it; what looks like an operator and was none becomes a phrase."""
    typed = unit.typed.strip("\\.,;:!?()[]{}<>") or " ".join(unit.terms[0].words)
    if len(unit.terms[0].words) > 1 and not typed.startswith('"') and {":", '"'} & {*typed}:
        return f'"{" ".join(_BETWEEN_WORDS.split(typed))}"'
    return typed


def _any_hit(connection: sqlite3.Connection, query: Query) -> bool:
    row = connection.execute("SELECT 1 FROM message_index WHERE message_index MATCH ? LIMIT 1", (query.match(),)).fetchone()
    return row is not None


def _elsewhere(connection: sqlite3.Connection, query: Query, filters: Filters) -> str:
    if filters.are_open:
        return ""
    matches = connection.execute(
        "SELECT count(*) FROM (SELECT rowid FROM message_index WHERE message_index MATCH ? LIMIT ?)",
        (query.match(), _MOST_MATCHES),
    ).fetchone()[0]
    return f"{matches}{' or more' if matches == _MOST_MATCHES else ''}" if matches else ""


def _arguments(filters: Filters) -> dict[str, object]:
    """What was asked beside words and dates, as parameters; what operators said may be said twice."""
    return {
        "chat": filters.chat_id,
        "sender": '"me"' if filters.from_me else filters.sender_id,
        "kinds": json.dumps(filters.kinds) if filters.kinds else None,
        "states": json.dumps([state for state in filters.states if state in STATES]) if filters.states else None,
    }


def _call(text: str, **arguments: object) -> str:
    """A search as it can be repeated letter by letter; empty where the query is too long to be said again."""
    given = "".join(f", {name}={value}" for name, value in arguments.items() if value is not None)
    return f"search_messages(query={named(text)}{given})" if len(text) <= _LONGEST_SAID else ""


def ranked_since(edge: int, zone: ZoneInfo) -> str:
    """The sentence for a page of a very frequent word, of which only the newest messages were ranked."""
    day = datetime.fromtimestamp(edge, zone)
    return (
        f"The words are very frequent: only messages since {day:%Y-%m-%d} were ranked."
        ' Add a word, a chat or dates, or use order="oldest".'
    )
