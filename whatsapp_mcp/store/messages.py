"""Messages: many at once, joined with what is there, and settled with what waited for them.

A batch goes in five steps: fold the batch's own duplicates, look up which of its messages exist, join those and insert the
others, settle (edits, deletions, receipts and quotes that were seen before or after), and bring the search index up to date.
The steps work chat by chat, since a batch of a history is one chat.

The text of a message is decided by its versions. A message seen with one text only has none; as soon as there is an edit, a
record that calls itself edited, or two different texts, every text is kept in ``message_versions`` and the best of them is
shown: an edit's latest, then a text that came with ``isEdited``, then the original.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.records import ME, Deletion, Edit, Message, Receipt
from whatsapp_mcp.store import rows
from whatsapp_mcp.store.joins import Row, join
from whatsapp_mcp.store.media import Media
from whatsapp_mcp.store.texts import Texts, words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from whatsapp_mcp.store.ids import Ids
    from whatsapp_mcp.store.people import People

Key = tuple[int, str]
Values = list[Any]
"""A row's values in the order of `COLUMNS`: most messages are new and need no names on their way."""

Version = tuple[str, int, str]
"""Source (``original``, ``flagged``, ``edit``), time, text."""

COLUMNS: Final = (
    "message_id", "chat_id", "sender_contact_id", "whatsapp_message_id", "from_me", "content", "message_type", "sent_at",
    "quoted_message_id", "quoted_whatsapp_message_id", "is_forwarded", "delivery_status", "edited_at", "deleted_at", "origins",
    "media_url", "media_filename", "media_mime_type", "media_size", "local_media_path", "latitude", "longitude",
    "location_name", "shared_contact", "marker", "media_seen_at", "media_sha256",
)  # fmt: skip
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM messages WHERE chat_id = ?"
_AMONG: Final = " AND whatsapp_message_id IN (SELECT value FROM json_each(?))"
_POINT_QUOTES: Final = (
    "UPDATE messages SET quoted_message_id = (SELECT q.message_id FROM messages AS q WHERE q.chat_id = messages.chat_id"
    " AND q.whatsapp_message_id = messages.quoted_whatsapp_message_id) WHERE chat_id = ? AND quoted_message_id IS NULL AND "
)
_QUOTES: Final = (
    "+quoted_whatsapp_message_id IS NOT NULL AND whatsapp_message_id IN (SELECT value FROM json_each(?))",
    "quoted_whatsapp_message_id IN (SELECT value FROM json_each(?))",
)
"""The messages at hand that quote, and those that wait for one of them; ``+`` keeps SQLite from walking all that wait."""
_SOURCES: Final = {"original": 0, "flagged": 1, "edit": 2}
_CHAT, _ID, _CONTENT = (COLUMNS.index(name) for name in ("chat_id", "whatsapp_message_id", "content"))
_SEARCHED: Final = tuple(COLUMNS.index(name) for name in ("content", "media_filename", "location_name", "shared_contact"))
_QUEUED: Final = tuple(COLUMNS.index(name) for name in ("message_id", "message_type", "media_url", "marker", "origins"))
_PLAIN: Final = COLUMNS.index("media_url")
"""Of most messages only the columns before this one say anything."""
_NOTHING: Final = [None] * (len(COLUMNS) - _PLAIN)


class Messages:
    """Writes messages and everything that decides how they read."""

    def __init__(self, connection: sqlite3.Connection, ids: Ids, people: People) -> None:
        """Work on an open database inside of the store's transactions."""
        self._connection = connection
        self._ids = ids
        self._people = people
        self.texts = Texts(connection)
        self.media = Media(connection, self.texts)

    def see(self, messages: Sequence[Message], received_at: int, origins: int = 0) -> int:
        """Join a batch of sightings that came in one of the ways that `origins` says; the number of messages that were new."""
        batch: dict[Key, Values] = {}
        versions: dict[Key, set[Version]] = {}
        for message in messages:
            values = self._values(message, received_at, origins)
            key = (values[_CHAT], message.id)
            if message.edited and message.content:
                versions.setdefault(key, set()).add(("flagged", 0, message.content))
                values[_CONTENT] = ""
            batch[key] = self._folded(batch[key], values, key, versions) if key in batch else values
        return self._write(batch, versions)

    def _values(self, message: Message, received_at: int, origins: int) -> Values:
        (whatsapp_chat, message_id, sent_at, sender, from_me, kind, content, quoted_id, forwarded, delivery, edited, deleted,
         marker, media_url, filename, mime_type, size, latitude, longitude, place, shared_contact) = message  # fmt: skip
        people = self._people
        sender = sender or (ME if from_me else "")
        return [
            0, people.chat(whatsapp_chat), people.contact(sender) if sender else None, message_id, int(from_me), content, kind,
            sent_at, None, quoted_id or None, 1 if forwarded else None, delivery or None, received_at if edited else None,
            received_at if deleted else None, origins, media_url or None, filename or None, mime_type or None, size, None,
            latitude, longitude, place or None, shared_contact or None, marker or None, received_at if media_url else None,
            None,
        ]  # fmt: skip

    def _write(self, batch: dict[Key, Values], versions: dict[Key, set[Version]]) -> int:
        by_chat: dict[int, list[str]] = {}
        for chat, message in batch:
            by_chat.setdefault(chat, []).append(message)
        fresh: list[Values] = []
        for chat, ids in by_chat.items():
            existing = self._existing(chat, ids)
            for message in ids:
                values = batch[chat, message]
                if message in existing:
                    self._join(existing[message], _named(values), versions)
                else:
                    values[0] = self._ids.take("messages", (chat, message))
                    fresh.append(values)
        self._insert(fresh)
        self._keep_versions(versions)
        self._settle(by_chat, fresh, versions)
        return len(fresh)

    def _existing(self, chat: int, ids: Sequence[str]) -> dict[str, Row]:
        if not self._has_rows("messages", chat):
            return {}
        cursor = self._connection.execute(_SELECT + _AMONG, (chat, json.dumps(ids)))
        return {row[3]: dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()}

    def _join(self, old: Row, new: Row, versions: dict[Key, set[Version]]) -> None:
        key = (old["chat_id"], old["whatsapp_message_id"])
        changes = self._joined(old, new)
        if self._is_versioned(key):
            texts = versions.setdefault(key, set())
            if new["content"]:
                texts.add(("original", 0, new["content"]))
        elif key in versions:
            _note_originals(versions, key, old["content"], new["content"])
        elif not old["content"] and new["content"]:
            changes["content"] = new["content"]
        elif new["content"] not in ("", old["content"]):
            _note_originals(versions, key, old["content"], new["content"])
        self.change(old, changes)

    def _joined(self, old: Row, new: Row) -> Row:
        """What changes in a message; its sender is decided by ids, since our keys depend on the order of arrival."""
        changes = join("messages", old, new)
        one, other = old["sender_contact_id"], new["sender_contact_id"]
        if None in {one, other} or old["from_me"] != new["from_me"]:
            sender = max((old["from_me"], one or 0), (new["from_me"], other or 0))[1] or one or other
        else:
            sender = self._people.preferred(one, other)
        return changes if sender == one else {**changes, "sender_contact_id": sender}

    def _folded(self, old: Values, new: Values, key: Key, versions: dict[Key, set[Version]]) -> Values:
        """Two sightings in one batch as one."""
        one, other = _named(old), _named(new)
        if one["content"] and other["content"] and one["content"] != other["content"]:
            _note_originals(versions, key, one["content"], other["content"])
        one.update(self._joined(one, other))
        one["content"] = one["content"] or other["content"]
        return list(one.values())

    def _is_versioned(self, key: Key) -> bool:
        query = "SELECT 1 FROM message_versions WHERE chat_id = ? AND whatsapp_message_id = ? LIMIT 1"
        return self._connection.execute(query, key).fetchone() is not None

    def change(self, old: Row, changes: Row) -> None:
        """Write changed columns of one message, and its index row when what is searched changed."""
        if not changes:
            return
        if "quoted_whatsapp_message_id" in changes:
            changes["quoted_message_id"] = None
        rows.update(self._connection, "messages", {"message_id": old["message_id"]}, changes)
        new = {**old, **changes}
        self.media.changed(old, new, changes)
        if _searched(old) != _searched(new):
            self._unindex(old)
            self._index([(new["message_id"], *self._indexed(new))])
        old.update(changes)

    def _insert(self, fresh: Sequence[Values]) -> None:
        if not fresh:
            return
        plain = [values[:_PLAIN] for values in fresh if values[_PLAIN:] == _NOTHING]
        rich = [values for values in fresh if values[_PLAIN:] != _NOTHING]
        rows.insert_many(self._connection, "messages", COLUMNS[:_PLAIN], plain)
        rows.insert_many(self._connection, "messages", COLUMNS, rich)
        self._index([(values[0], *words(*(values[at] for at in _SEARCHED))) for values in fresh])
        self.media.see(tuple(values[at] for at in _QUEUED) for values in fresh)
        counts = Counter(values[_CHAT] for values in fresh)
        self._connection.executemany(
            "UPDATE chats SET message_count = message_count + ? WHERE chat_id = ?",
            [(count, chat) for chat, count in counts.items()],
        )

    def _index(self, words: Iterable[tuple[int, str, str]]) -> None:
        searchable = [entry for entry in words if entry[1] or entry[2]]
        rows.insert_many(self._connection, "message_index", ("rowid", "content", "attachment"), searchable)

    def _indexed(self, row: Row) -> tuple[str, str]:
        return words(*_searched(row)[:-1], self.texts.of(row["media_sha256"]))

    def _unindex(self, row: Row) -> None:
        texts = self._indexed(row)
        if any(texts):
            self._connection.execute(
                "INSERT INTO message_index (message_index, rowid, content, attachment) VALUES ('delete', ?, ?, ?)",
                (row["message_id"], *texts),
            )

    def _keep_versions(self, versions: dict[Key, set[Version]]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO message_versions VALUES (?, ?, ?, ?, ?)",
            [(*key, *version) for key, texts in versions.items() for version in texts],
        )

    def _settle(self, by_chat: dict[int, list[str]], fresh: Sequence[Values], versions: dict[Key, set[Version]]) -> None:
        new_by_chat: dict[int, dict[str, str]] = {}
        for values in fresh:
            new_by_chat.setdefault(values[_CHAT], {})[values[_ID]] = values[_CONTENT]
        touched: dict[int, set[str]] = {}
        for chat, texts in new_by_chat.items():
            for message in self._versioned_among(chat, list(texts)):
                touched.setdefault(chat, set()).add(message)
                if texts[message]:
                    self._keep_versions({(chat, message): {("original", 0, texts[message])}})
        for chat, message in versions:
            touched.setdefault(chat, set()).add(message)
        for chat, some_ids in touched.items():
            self._settle_texts(chat, list(some_ids))
        for chat, all_ids in by_chat.items():
            self._settle_chat(chat, all_ids)

    def _has_rows(self, table: str, chat: int) -> bool:
        """One look instead of one for each message: a history usually meets an empty chat."""
        return self._connection.execute(f"SELECT 1 FROM {table} WHERE chat_id = ? LIMIT 1", (chat,)).fetchone() is not None

    def _versioned_among(self, chat: int, ids: Sequence[str]) -> list[str]:
        if not self._has_rows("message_versions", chat):
            return []
        query = "SELECT DISTINCT whatsapp_message_id FROM message_versions WHERE chat_id = ?" + _AMONG
        return [message for (message,) in self._connection.execute(query, (chat, json.dumps(ids)))]

    def _settle_texts(self, chat: int, ids: Sequence[str]) -> None:
        for row in self._existing(chat, self._versioned_among(chat, ids)).values():
            self._settle_text(row)

    def _settle_text(self, row: Row) -> None:
        key = (row["chat_id"], row["whatsapp_message_id"])
        texts = self._versions(key)
        best = max(texts, key=lambda version: (_SOURCES[version[0]], version[1], version[2]))
        edits = [at for source, at, _ in texts if source == "edit"]
        changes: Row = {}
        if best[2] != row["content"]:
            changes["content"] = best[2]
        if edits and max(edits) != row["edited_at"]:
            changes["edited_at"] = max(edits)
        self.change(row, changes)

    def _versions(self, key: Key) -> list[Version]:
        query = "SELECT source, version_at, content FROM message_versions WHERE chat_id = ? AND whatsapp_message_id = ?"
        return [(source, at, text) for source, at, text in self._connection.execute(query, key)]

    def see_edits(self, edits: Iterable[Edit]) -> None:
        """Keep new texts; they show as soon as their message is there."""
        by_chat: dict[int, list[str]] = {}
        for edit in edits:
            chat = self._people.chat(edit.chat)
            by_chat.setdefault(chat, []).append(edit.target)
            self._keep_originals(chat, edit.target)
            self._keep_versions({(chat, edit.target): {("edit", edit.edited_at, edit.content)}})
        for chat, ids in by_chat.items():
            self._settle_texts(chat, ids)

    def _keep_originals(self, chat: int, message: str) -> None:
        key = (chat, message)
        if self._is_versioned(key):
            return
        for row in self._existing(chat, [message]).values():
            if row["content"]:
                self._keep_versions({key: {("original", 0, row["content"])}})

    def see_deletions(self, deletions: Iterable[Deletion]) -> None:
        """Keep tombstones; a deleted message keeps its text."""
        self._see_waiting("deletions", [(d.chat, d.target, {"deleted_at": d.deleted_at}) for d in deletions])

    def see_receipts(self, receipts: Iterable[Receipt]) -> None:
        """Keep how far messages came."""
        self._see_waiting("receipts", [(r.chat, r.target, {"delivery_status": r.status}) for r in receipts])

    def _see_waiting(self, table: str, facts: Iterable[tuple[str, str, Row]]) -> None:
        by_chat: dict[int, list[str]] = {}
        for whatsapp_chat, message, values in facts:
            chat = self._people.chat(whatsapp_chat)
            by_chat.setdefault(chat, []).append(message)
            rows.merge(self._connection, table, {"chat_id": chat, "whatsapp_message_id": message}, values)
        for chat, ids in by_chat.items():
            self._settle_waiting(chat, ids)

    def _settle_chat(self, chat: int, ids: Sequence[str]) -> None:
        """Apply what waited for these messages of a chat, or in them for others, and bring the chat's own figure up to date.

        What waits for other messages is not looked at, so one message costs the same however much waits in its chat.
        """
        self._settle_waiting(chat, ids)
        touched = json.dumps(ids)
        for whose in _QUOTES:
            self._connection.execute(_POINT_QUOTES + whose, (chat, touched))
        self._connection.execute(
            "UPDATE chats SET last_message_at = (SELECT max(sent_at) FROM messages AS m WHERE m.chat_id = chats.chat_id)"
            " WHERE chat_id = ?",
            (chat,),
        )

    def _settle_waiting(self, chat: int, ids: Sequence[str]) -> None:
        for table, column in (("deletions", "deleted_at"), ("receipts", "delivery_status")):
            if not self._has_rows(table, chat):
                continue
            query = f"SELECT whatsapp_message_id, {column} FROM {table} WHERE chat_id = ?" + _AMONG
            facts = dict(self._connection.execute(query, (chat, json.dumps(ids))).fetchall())
            for message, row in (self._existing(chat, list(facts)) if facts else {}).items():
                self.change(row, join("messages", row, {column: facts[message]}))
                self._connection.execute(f"DELETE FROM {table} WHERE chat_id = ? AND whatsapp_message_id = ?", (chat, message))

    def join_chats(self, losing: int, winning: int) -> None:
        """Move the messages of a joined-away chat; a message that both chats have becomes one."""
        moving = self._connection.execute(_SELECT, (losing,)).fetchall()
        lost = [dict(zip(COLUMNS, row, strict=True)) for row in moving]
        doubles = self._existing(winning, [row["whatsapp_message_id"] for row in lost])
        if doubles:
            self._ids.keep_mark("messages")
        for row in lost:
            if row["whatsapp_message_id"] in doubles:
                self._join_double(row, doubles[row["whatsapp_message_id"]])
        write = self._connection.execute
        write("UPDATE messages SET chat_id = ?, quoted_message_id = NULL WHERE chat_id = ?", (winning, losing))
        write("UPDATE chats SET message_count = (SELECT count(*) FROM messages AS m WHERE m.chat_id = chats.chat_id)"
              " WHERE chat_id = ?", (winning,))  # fmt: skip

    def _join_double(self, lost: Row, kept: Row) -> None:
        """Join one message that both chats have; versions of the lost chat's one are moved to the kept one's key later."""
        key, lost_key = ((row["chat_id"], row["whatsapp_message_id"]) for row in (kept, lost))
        self.media.unite(lost["message_id"], kept["message_id"])
        self._connection.execute("DELETE FROM messages WHERE message_id = ?", (lost["message_id"],))
        self._unindex(lost)
        versions: dict[Key, set[Version]] = {}
        changes = self._joined(kept, lost)
        if not self._is_versioned(key) and not self._is_versioned(lost_key):
            if not kept["content"]:
                changes["content"] = lost["content"]
            elif lost["content"] not in ("", kept["content"]):
                _note_originals(versions, key, kept["content"], lost["content"])
        self.change(kept, changes)
        self._keep_versions(versions)

    def settle_joined(self, chat: int) -> None:
        """After chats were joined: versions and waiting facts of either side now meet messages of the other."""
        query = (
            "SELECT DISTINCT m.whatsapp_message_id FROM messages AS m JOIN message_versions AS v"
            " USING (chat_id, whatsapp_message_id) WHERE m.chat_id = ?"
        )
        self._settle_texts(chat, [message for (message,) in self._connection.execute(query, (chat,)).fetchall()])
        everything = "SELECT whatsapp_message_id FROM messages WHERE chat_id = ?"
        self._settle_chat(chat, [message for (message,) in self._connection.execute(everything, (chat,)).fetchall()])

    def keep_originals_before_join(self, losing: int, winning: int) -> None:
        """An edit in one chat may wait for a message in the other: before they meet, its text is kept as the original."""
        for versions_in, messages_in in ((losing, winning), (winning, losing)):
            self._connection.execute(
                "INSERT OR IGNORE INTO message_versions SELECT m.chat_id, m.whatsapp_message_id, 'original', 0, m.content"
                " FROM messages AS m WHERE m.chat_id = ?1 AND m.content <> ''"
                " AND EXISTS (SELECT 1 FROM message_versions AS v WHERE v.chat_id = ?2"
                " AND v.whatsapp_message_id = m.whatsapp_message_id)"
                " AND NOT EXISTS (SELECT 1 FROM message_versions AS v WHERE v.chat_id = ?1"
                " AND v.whatsapp_message_id = m.whatsapp_message_id)",
                (messages_in, versions_in),
            )


def _note_originals(versions: dict[Key, set[Version]], key: Key, *texts: str) -> None:
    versions.setdefault(key, set()).update(("original", 0, text) for text in texts if text)


def _named(values: Values) -> Row:
    return dict(zip(COLUMNS, values, strict=True))


def _searched(row: Row) -> tuple[Any, ...]:
    return (*(row[COLUMNS[at]] for at in _SEARCHED), row["media_sha256"])
