"""What is suspected to be missing, read from the coverage ledger and from what refers to messages that were never seen.

Three kinds of gaps: messages that something refers to, times that were never fetched although a later time was, and histories
that have become shorter at the gateway. An archive or a chat that only imports filled has none of the second kind: nobody
promised that its files are all there is. And nothing is missing before a history that reached its beginning, even where the
queue was listened to earlier, or an older export was imported: the gateway has no more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries.database import remembered
from whatsapp_mcp.queries.people import CHAT_NAME
from whatsapp_mcp.schema import GIVEN_UP_AFTER
from whatsapp_mcp.views import ChatGaps, Gaps, Hole, KnownSpan, Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

ALL_CHATS: Final = 0
"""The ``chat_id`` of spans that cover every chat at once."""
HISTORIES: Final = ("history", "capped_history")
NAMED: Final = 10
"""So many chats with gaps are named."""

IS_SHRUNK: Final = "coalesce(s.last_history_length < s.history_length AND s.sync_progress <> 'truncated', 0)"
"""SQL over ``sync_status AS s``. A history that the gateway cuts is as long as the gateway pleases and says nothing."""

_MISSING: Final = """
SELECT chat_id, kind, given_up, count(*) FROM (
    SELECT g.chat_id, min(g.noticed_by) AS kind, EXISTS (
        SELECT 1 FROM repairs AS r WHERE r.chat_id = g.chat_id AND r.whatsapp_message_id = g.whatsapp_message_id
        AND r.outcome = 'not_found' AND r.attempts >= :given_up_after) AS given_up
    FROM missing_messages AS g WHERE {where} GROUP BY g.chat_id, g.whatsapp_message_id
) GROUP BY chat_id, kind, given_up
"""
_SPANS: Final = "SELECT chat_id, origin, from_at, until_at, verified_at FROM coverage WHERE {where} ORDER BY from_at"
_IMPLIED: Final = """
SELECT s.chat_id, CASE s.sync_progress WHEN 'truncated' THEN 'capped_history' ELSE 'history' END,
    CASE s.sync_progress WHEN 'truncated' THEN coalesce(s.oldest_sent_at, 0) ELSE 0 END, s.last_synced_at, s.last_synced_at
FROM sync_status AS s WHERE s.last_synced_at IS NOT NULL AND {where} AND NOT EXISTS (
    SELECT 1 FROM coverage AS v WHERE v.chat_id = s.chat_id AND v.origin IN ('history', 'capped_history')
    AND (s.sync_progress <> 'complete' OR v.until_at >= s.last_synced_at - 600))
"""
"""What the time of the last whole history says where the ledger does not: of an empty history, which has no oldest message, or
of one that was fetched before there was a ledger."""


@dataclass(slots=True)
class Missing:
    """Messages that something refers to and that were never seen."""

    open: Counter[str] = field(default_factory=Counter)
    """By what refers to them; each is counted once."""
    unobtainable: int = 0


def missing(connection: sqlite3.Connection, chat_id: int | None = None) -> dict[int, Missing]:
    """What is missing, by chat; a chat without is left out."""
    where = "1" if chat_id is None else "g.chat_id = :chat"
    values = {"chat": chat_id, "given_up_after": GIVEN_UP_AFTER}
    if chat_id is None:
        # Every reaction and edit is looked at: 90 ms in an archive of a million messages with 100,000 of them.
        rows = remembered(connection, "missing", lambda: connection.execute(_MISSING.format(where=where), values).fetchall())
    else:
        rows = connection.execute(_MISSING.format(where=where), values).fetchall()
    found: dict[int, Missing] = defaultdict(Missing)
    for chat, kind, given_up, count in rows:
        if given_up:
            found[chat].unobtainable += count
        else:
            found[chat].open[kind] += count
    return found


class Spans:
    """What is known of each chat by itself, and of all chats at once."""

    def __init__(self, own: Mapping[int, Sequence[KnownSpan]], everywhere: Sequence[KnownSpan]) -> None:
        """Keep spans by chat, and those of all chats in the order of their starts."""
        self.own = own
        self.everywhere = everywhere
        self._shared = _union([(span.start, span.end) for span in everywhere])
        self._starts = [start for start, _ in self._shared]
        self._ends = [end for _, end in self._shared]

    def of(self, chat_id: int) -> tuple[KnownSpan, ...]:
        """All that concerns a chat, in the order of time; see `holes` for when the spans of all chats do."""
        own = self.own.get(chat_id, ())
        shared = self.everywhere if _was_fetched(own) else ()
        return tuple(sorted((*own, *shared), key=lambda span: (span.start, span.end)))

    def known_until(self, chat_id: int) -> int | None:
        """Until when the chat is known without a hole; None where its history was never fetched."""
        ends = [span.end for span in self.own.get(chat_id, ()) if span.origin in HISTORIES]
        if not ends:
            return None
        until = max(ends)
        behind = bisect_right(self._starts, until + 1)
        return max(until, self._ends[behind - 1]) if behind else until

    def holes(self, chat_id: int) -> tuple[Hole, ...]:
        """The times between two that are known of the chat.

        None where its history was never fetched: what covers all chats says nothing of one that the gateway may not know.
        """
        own = self.own.get(chat_id, ())
        if not _was_fetched(own):
            return ()
        times = _union(sorted(_from_the_beginning(own)))
        # In an account of thousands of chats: what lies within a chat's own history need not be looked at.
        shared = self._shared[bisect_right(self._ends, times[0][1]) :] if times[0][0] <= 0 else self._shared
        known = _union(sorted([*times, *shared]))
        return tuple(Hole(before[1], after[0]) for before, after in pairwise(known))


def _from_the_beginning(own: Sequence[KnownSpan]) -> list[tuple[int, int]]:
    """The times of a chat; its first history begins before everything, unless the gateway cut it."""
    first = min((span for span in own if span.origin in HISTORIES), key=lambda span: span.start)
    reaches = first.origin == "history"
    return [(0 if span is first and reaches else span.start, span.end) for span in own]


def _was_fetched(own: Iterable[KnownSpan]) -> bool:
    return any(span.origin in HISTORIES for span in own)


def spans(connection: sqlite3.Connection, chat_id: int | None = None) -> Spans:
    """What the ledger says of one chat, or of every one."""
    where, implied = ("chat_id IN (0, ?)", "s.chat_id = ?") if chat_id is not None else ("1", "1")
    values = () if chat_id is None else (chat_id,)
    own: dict[int, list[KnownSpan]] = defaultdict(list)
    for statement in (_SPANS.format(where=where), _IMPLIED.format(where=implied)):
        for chat, origin, start, end, verified in connection.execute(statement, values):
            own[chat].append(KnownSpan(origin, start, end, verified, for_all_chats=chat == ALL_CHATS))
    everywhere = own.pop(ALL_CHATS, [])
    return Spans(own, everywhere)


def _union(times: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times, given in the order of their starts, with those that touch as one."""
    found = list(times[:1])
    for start, end in times[1:]:
        if start > found[-1][1] + 1:
            found.append((start, end))
        elif end > found[-1][1]:
            found[-1] = (found[-1][0], end)
    return found


def gaps(connection: sqlite3.Connection) -> Gaps:
    """What is suspected to be missing of the whole archive, with the chats that it concerns most."""
    lost, known = missing(connection), spans(connection)
    found = {
        chat: ChatGaps(Party(chat, "", ""), sum(lost[chat].open.values()), lost[chat].unobtainable, known.holes(chat))
        for chat in {*lost, *known.own}
    }
    for chat, longest, last in connection.execute(
        f"SELECT chat_id, history_length, last_history_length FROM sync_status AS s WHERE {IS_SHRUNK}"
    ):
        before = found.get(chat) or ChatGaps(Party(chat, "", ""))
        found[chat] = replace(before, shrunk_from=longest, shrunk_to=last)
    worst = sorted(filter(_has_any, found.values()), key=_rank)
    kinds: Counter[str] = sum((one.open for one in lost.values()), Counter())
    return Gaps(dict(kinds.most_common()), _named(connection, worst[:NAMED]), len(worst))


def _has_any(one: ChatGaps) -> bool:
    return bool(one.missing or one.unobtainable or one.holes or one.shrunk_from)


def _rank(one: ChatGaps) -> tuple[int, ...]:
    """Whatever may still be mended comes first."""
    return (-len(one.holes), -one.missing, one.shrunk_from is None, -one.unobtainable, one.chat.id)


def _named(connection: sqlite3.Connection, found: Iterable[ChatGaps]) -> tuple[ChatGaps, ...]:
    name = (
        f"SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME} FROM chats AS ch LEFT JOIN contacts AS c USING (contact_id)"
        " WHERE ch.chat_id = ?"
    )
    rows = [(one, connection.execute(name, (one.chat.id,)).fetchone()) for one in found]
    return tuple(replace(one, chat=Party(*row)) for one, row in rows if row)
