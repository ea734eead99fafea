"""Which chats assistants may see, enforced below every query.

A connection for assistants has temporary views with the names of the tables, and SQLite looks for a name among what is
temporary first (SQLite docs, "Database Object Name Resolution"). So a query that says ``messages`` gets the messages of the
chats that may be seen, and none can forget to ask. Who may be seen is settled anew whenever somebody has written to the
database, within the read transaction of the answer: a chat that has just arrived is hidden from its first moment on.

A person is hidden who is known from hidden chats only, a word that stands in hidden chats only is no near word, and what
counts everything without saying of which chat (payloads, runs, sizes) counts nothing. Where in doubt, more is hidden.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from whatsapp_mcp.records import ME
from whatsapp_mcp.search.digits import MARKS, plain_number, same_line
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.sounding import Sounds, ways_to_divide

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence


class Sight(NamedTuple):
    """What the settings say of chats: each entry is a name, a phone number or an id. What is hidden stays hidden."""

    hidden: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    """Where anything stands here, only these chats are seen."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a `Sight` comes to in an archive."""

    chats: frozenset[int] = frozenset()
    without_chat: tuple[str, ...] = ()
    """Entries that fit no chat: of a mistyped name, or of a chat that is not there yet."""
    ambiguous: tuple[str, ...] = ()
    """Entries to be shown that fit several chats equally, so none of them is."""
    by_sound: tuple[tuple[str, int, str], ...] = ()
    """Entries that hide a chat only because its name may be the same in another script or spelling, with its id and name."""


@dataclass(slots=True)
class Writers:
    """Who wrote in which chat; only what is new is looked at again."""

    pairs: set[tuple[int, int]] = field(default_factory=set)
    upto: int = 0

    def look(self, connection: sqlite3.Connection) -> set[tuple[int, int]]:
        """Pairs of a chat and a contact."""
        newest = connection.execute("SELECT coalesce(max(message_id), 0) FROM main.messages").fetchone()[0]
        if newest > self.upto:
            found = connection.execute(
                "SELECT DISTINCT chat_id, sender_contact_id FROM main.messages"
                " WHERE message_id > ? AND sender_contact_id IS NOT NULL",
                (self.upto,),
            )
            self.pairs = self.pairs | set(found)
            self.upto = newest
        return self.pairs


_IN_SIGHT: Final = "NOT IN (SELECT chat_id FROM temp.hidden_chats)"
_GROUPS: Final = f"IN (SELECT c.group_id FROM main.chats AS c WHERE c.chat_id {_IN_SIGHT})"
_PEOPLE: Final = "NOT IN (SELECT contact_id FROM temp.hidden_contacts)"
_CONTENTS: Final = (
    "EXISTS (SELECT 1 FROM main.messages AS v WHERE v.media_sha256 = t.sha256 AND v.chat_id NOT IN"
    " (SELECT chat_id FROM temp.hidden_chats))"
)
_FACES: Final = (
    "t.whatsapp_id NOT IN (SELECT c.whatsapp_id FROM main.contacts AS c WHERE c.contact_id IN"
    " (SELECT contact_id FROM temp.hidden_contacts)) AND t.whatsapp_id NOT IN"
    " (SELECT c.whatsapp_chat_id FROM main.chats AS c WHERE c.chat_id IN (SELECT chat_id FROM temp.hidden_chats))"
)

ROWS: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "chats", "messages", "message_versions", "deletions", "receipts", "reactions", "poll_votes", "poll_tallies",
            "calls",
            "sync_status", "coverage", "repairs", "missing_messages", "current_reactions", "current_poll_votes",
        ),
        f"t.chat_id {_IN_SIGHT}",
    ),
    **dict.fromkeys(
        ("groups", "group_members", "group_snapshots", "group_names", "group_member_history", "group_events"),
        f"t.group_id {_GROUPS}",
    ),
    **dict.fromkeys(("contacts", "contact_names"), f"t.contact_id {_PEOPLE}"),
    "aliases": "t.canonical_id NOT IN (SELECT c.whatsapp_id FROM main.contacts AS c WHERE c.contact_id IN"
    " (SELECT contact_id FROM temp.hidden_contacts))",
    "media_download_queue": f"EXISTS (SELECT 1 FROM main.messages AS v WHERE v.message_id = t.message_id"
    f" AND v.chat_id {_IN_SIGHT})",
    "media_files": f"{_CONTENTS} OR EXISTS (SELECT 1 FROM profile_pictures AS p WHERE p.sha256 = t.sha256)",
    "media_texts": _CONTENTS,
    "profile_pictures": _FACES,
    "current_profile_pictures": _FACES,
    **dict.fromkeys(("payloads", "payload_items", "run_calls", "sizes", "meanings"), "0"),
}  # fmt: skip
"""By table or view what a row ``t`` must be to be seen. ``tests/test_hiding.py`` asks for every table that there is."""

OPEN: Final = frozenset({"cursors"})
"""Tables that say nothing of any chat."""

_RUNS: Final = (
    "CREATE TEMP VIEW runs AS SELECT run_id, kind, state, started_at, ended_at, 0 AS chats_total, 0 AS chats_done,"
    " 0 AS chats_failed, 0 AS messages_seen, 0 AS messages_new, requests, throttled, NULL AS last_error, updated_at"
    " FROM main.runs"
)
_INDEX: Final = (
    "CREATE TEMP VIEW message_index AS SELECT rowid AS rowid, message_index AS message_index, rank AS rank"
    " FROM main.message_index AS message_index WHERE {}"
)
"""SQLite joins such a view into the query that asks it, so ``MATCH`` and ``bm25`` work on it as on the table itself (SQLite
docs, "Subquery Flattening")."""
_LOOKED_UP: Final = (
    f"EXISTS (SELECT 1 FROM main.messages AS v WHERE v.message_id = message_index.rowid AND v.chat_id {_IN_SIGHT})"
)
"""Of each match the message is looked at, at 1.3 µs each."""
_LISTED: Final = {
    False: "+message_index.rowid NOT IN (SELECT message_id FROM temp.listed_messages)",
    True: "+message_index.rowid IN (SELECT message_id FROM temp.listed_messages)",
}
"""By whether the messages that are listed are the ones that may be seen: a fifth of that, once they are listed."""
_MOST_LISTED: Final = 200_000
_WORDS: Final = (
    "CREATE TEMP VIEW vocabulary AS SELECT term, doc FROM (SELECT w.term AS term, (SELECT count(*) FROM (SELECT 1"
    " FROM message_index WHERE message_index MATCH '\"' || replace(w.term, '\"', '\"\"') || '\"' LIMIT 1000)) AS doc"
    " FROM temp.all_words AS w) WHERE doc > 0"
)


def prepare(connection: sqlite3.Connection) -> None:
    """Lay the views over a connection; nothing is settled yet, so `settle` comes before the first question."""
    connection.execute("CREATE TEMP TABLE hidden_chats (chat_id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TEMP TABLE hidden_contacts (contact_id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TEMP TABLE listed_messages (message_id INTEGER PRIMARY KEY)")
    connection.execute("CREATE VIRTUAL TABLE temp.all_words USING fts5vocab(main, message_index, row)")
    for name, condition in ROWS.items():
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM main.{name} AS t WHERE {condition}")
    for view in (_RUNS, _INDEX.format(_LOOKED_UP), _WORDS):
        connection.execute(view)


@dataclass(slots=True)
class Listed:
    """Which messages a connection has listed: of which chats, whether these may be seen, how many and the sum of their ids."""

    of: tuple[object, ...] = ()


def settle(connection: sqlite3.Connection, sight: Sight, writers: Writers, listed: Listed) -> Hidden:
    """Write down who is hidden now, within the transaction that is open."""
    found = find(connection, sight)
    people = _hidden_people(connection, found.chats, writers.look(connection), only_shown=bool(sight.shown))
    connection.execute("PRAGMA query_only = OFF")  # it forbids temporary rows as well; the file itself is opened read-only
    try:
        for table, ids in (("hidden_chats", found.chats), ("hidden_contacts", people)):
            connection.execute(f"DELETE FROM temp.{table}")
            connection.execute(f"INSERT INTO temp.{table} SELECT value FROM json_each(?)", (json.dumps(sorted(ids)),))
        _list_messages(connection, found.chats, listed)
    finally:
        connection.execute("PRAGMA query_only = ON")
    return found


def _list_messages(connection: sqlite3.Connection, hidden: frozenset[int], listed: Listed) -> None:
    """List the messages of the hidden chats or of the others, whichever are fewer, unless they are listed already.

    Many are not listed: then each match is looked up.
    """
    counts = connection.execute("SELECT chat_id, message_count FROM main.chats").fetchall()
    unseen = sum(count for chat, count in counts if chat in hidden)
    of_seen = sum(count for _, count in counts) < 2 * unseen
    chats = json.dumps(sorted(chat for chat, _ in counts if (chat in hidden) != of_seen))
    inside = "FROM main.messages WHERE chat_id IN (SELECT value FROM json_each(?))"
    facts = connection.execute(f"SELECT count(*), total(message_id) {inside}", (chats,)).fetchone()
    if listed.of == (now := (chats, of_seen, *facts)):
        return
    few = facts[0] <= _MOST_LISTED
    connection.execute("DELETE FROM temp.listed_messages")
    if few:
        connection.execute(f"INSERT INTO temp.listed_messages SELECT message_id {inside} ORDER BY message_id", (chats,))
    connection.execute("DROP VIEW temp.message_index")
    connection.execute(_INDEX.format(_LISTED[of_seen] if few else _LOOKED_UP))
    listed.of = now


def _hidden_people(
    connection: sqlite3.Connection, hidden: frozenset[int], pairs: set[tuple[int, int]], *, only_shown: bool
) -> set[int]:
    """Who is known from hidden chats only; with `only_shown` everybody who is not known from a chat that may be seen.

    Somebody of the phone book who merely is in a hidden group stays known.
    """
    owner = "SELECT canonical_id FROM main.aliases WHERE whatsapp_id = ?1 UNION SELECT ?1"
    me = {row[0] for row in connection.execute(f"SELECT contact_id FROM main.contacts WHERE whatsapp_id IN ({owner})", (ME,))}
    private = set(connection.execute("SELECT chat_id, contact_id FROM main.chats WHERE contact_id IS NOT NULL"))
    members = set(
        connection.execute(
            "SELECT ch.chat_id, g.contact_id FROM main.chats AS ch JOIN (SELECT group_id, contact_id FROM main.group_members"
            " UNION SELECT group_id, contact_id FROM main.group_member_history) AS g USING (group_id)"
        )
    )
    seen = {contact for chat, contact in (*private, *members, *pairs) if chat not in hidden}
    if only_shown:
        everybody = {row[0] for row in connection.execute("SELECT contact_id FROM main.contacts")}
        return everybody - seen - me
    booked = {row[0] for row in connection.execute("SELECT contact_id FROM main.contacts WHERE phonebook_name <> ''")}
    theirs = {contact for chat, contact in private if chat in hidden}
    others = {contact for chat, contact in (*members, *pairs) if chat in hidden}
    return (theirs | (others - booked)) - seen - me


@dataclass(frozen=True, slots=True)
class _Chat:
    """A chat with all that an entry can call it by."""

    id: int
    whatsapp_ids: frozenset[str]
    phone: str
    written: tuple[str, ...]
    """Its names, former ones too, the one that it is shown by first."""
    names: frozenset[str]
    """Folded."""


_CHATS: Final = """
SELECT ch.chat_id, ch.whatsapp_chat_id, c.phone_number,
    (SELECT json_group_array(a.whatsapp_id) FROM main.aliases AS a WHERE a.canonical_id = ch.whatsapp_chat_id),
    json_array(ch.name, ch.listed_name, c.name, c.phonebook_name, c.profile_name, g.group_name),
    (SELECT json_group_array(n.name) FROM main.contact_names AS n WHERE n.contact_id = ch.contact_id),
    (SELECT json_group_array(n.name) FROM main.group_names AS n WHERE n.group_id = ch.group_id)
FROM main.chats AS ch LEFT JOIN main.contacts AS c USING (contact_id)
    LEFT JOIN main.groups AS g ON g.group_id = ch.group_id
"""
_OWN_ID: Final = re.compile(r"[cC]?([0-9]{1,9})")
_SHORTEST_PHONE: Final = 7
_PHONE: Final = re.compile(r"\+?[0-9 ()./\-\u00a0\u2011]+")
_folded = lru_cache(maxsize=16_384)(fold)


def find(connection: sqlite3.Connection, sight: Sight) -> Hidden:
    """Which chats of the whole archive are hidden, and which entries say nothing or too much.

    What is to be hidden is every chat that an entry fits by its id, number, whole name, or by words of it, also by a name that
    it had once, and also where a name only sounds like it: משה is hidden by Moshe. What is to be shown is the chat of that very
    name, else the only one that has these words.
    """
    return _found(sight, tuple(connection.execute(_CHATS)))


@lru_cache(maxsize=4)
def _found(sight: Sight, rows: tuple[tuple[Any, ...], ...]) -> Hidden:
    """By what the chats are called, which most commits leave as it was."""
    chats = _known(rows)
    hidden: set[int] = set()
    without_chat: list[str] = []
    by_sound: dict[tuple[str, int], None] = {}
    sounds = Sounds(_holders(chats)) if sight.hidden else None
    for entry in sight.hidden:
        written = _by_id(chats, entry) | _named(chats, entry, by_words=True)
        heard = _heard(sounds, entry) if sounds else set()
        by_sound |= dict.fromkeys((entry, chat) for chat in sorted(heard - written))
        hidden |= written | heard
        without_chat += [] if written or heard else [entry]
    names = {chat.id: next(iter(chat.written), "") for chat in chats}
    told = tuple((entry, chat, names[chat]) for entry, chat in by_sound)
    if not sight.shown:
        return Hidden(frozenset(hidden), tuple(without_chat), (), told)
    shown: set[int] = set()
    ambiguous: list[str] = []
    for entry in sight.shown:
        fitting = _by_id(chats, entry) or _named(chats, entry) or _named(chats, entry, by_words=True)
        if len(fitting) == 1:
            shown |= fitting
        else:
            (ambiguous if fitting else without_chat).append(entry)
    everything = {chat.id for chat in chats}
    return Hidden(frozenset(hidden | (everything - shown)), tuple(without_chat), tuple(ambiguous), told)


def _known(rows: Iterable[tuple[Any, ...]]) -> list[_Chat]:
    found = []
    for identity, whatsapp_id, phone, aliases, *names in rows:
        called = [name for some in names for name in json.loads(some) if name]
        if whatsapp_id.startswith("export:"):
            called.append(whatsapp_id.removeprefix("export:"))
        ids = frozenset({whatsapp_id, *json.loads(aliases)})
        written = tuple(dict.fromkeys(called))
        found.append(_Chat(identity, ids, phone or "", written, frozenset(map(_folded, written)) - {""}))
    return found


def _holders(chats: Iterable[_Chat]) -> dict[str, list[int]]:
    holders: dict[str, list[int]] = {}
    for chat in chats:
        for name in chat.written:
            holders.setdefault(name, []).append(chat.id)
    return holders


def _heard(sounds: Sounds, entry: str) -> set[int]:
    """The chats whose names may be that of the entry, in whatever script or spelling."""
    return {chat for typed in ways_to_divide(entry.translate(MARKS)) for chat in sounds.heard(typed)}


def _by_id(chats: Iterable[_Chat], entry: str) -> set[int]:
    """By the archive's id, by WhatsApp's in any form, or by a phone number with or without its country code."""
    text = entry.translate(MARKS).strip()
    own = _OWN_ID.fullmatch(text)
    number = int(own[1]) if own else None
    asked = text.replace("@s.whatsapp.net", "@c.us")
    found = {chat.id for chat in chats if chat.id == number or asked in chat.whatsapp_ids}
    typed = plain_number(text).replace("(0)", "")
    digits = re.sub(r"[^0-9]", "", typed).removeprefix("00").lstrip("0") if _PHONE.fullmatch(typed) else ""
    if len(digits) >= _SHORTEST_PHONE:
        exact = {chat.id for chat in chats if chat.phone and same_line(chat.phone) == same_line(digits)}
        found |= exact or {chat.id for chat in chats if chat.phone.endswith(digits)}
    return found


def _named(chats: Iterable[_Chat], entry: str, *, by_words: bool = False) -> set[int]:
    text = entry.translate(MARKS).strip()
    wanted = _folded(text)
    if not wanted:  # a name of nothing but dots and dashes is itself
        return {chat.id for chat in chats if text and text in chat.written}
    return {chat.id for chat in chats if any(_fits(name, wanted, by_words=by_words) for name in chat.names)}


def _fits(name: str, wanted: str, *, by_words: bool) -> bool:
    if not by_words:
        return name == wanted
    return f" {wanted} " in f" {name} " or set(wanted.split()) <= set(name.split())


def told(hidden: Hidden) -> str:
    """The sentence for an assistant, without any name: how many chats it cannot know of; empty where it may see all."""
    count = len(hidden.chats)
    if not count:
        return ""
    which = "1 chat is" if count == 1 else f"{count:,} chats are"
    return f"{which} hidden from assistants by the settings."


def told_of_entries(hidden: Hidden) -> str:
    """The sentence for an assistant about entries that do nothing, without naming them."""
    count = len(_without_effect(hidden))
    if not count:
        return ""
    which = "1 entry of these settings fits" if count == 1 else f"{count:,} entries of these settings fit"
    return f"{which} no chat or several: `whatsapp-mcp doctor` names {'it' if count == 1 else 'them'}."


def _without_effect(hidden: Hidden) -> Sequence[str]:
    return (*hidden.without_chat, *hidden.ambiguous)
