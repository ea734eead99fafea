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
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.records import ME, Deletion, Edit, Message, Receipt
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.store import rows
from whatsapp_mcp.store.joins import Row, join

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from whatsapp_mcp.store.ids import Ids
    from whatsapp_mcp.store.people import People

Key = tuple[int, str]
Version = tuple[str, int, str]
"""Source (``original``, ``flagged``, ``edit``), time, text."""

COLUMNS: Final = (
    "message_id", "chat_id", "sender_contact_id", "whatsapp_message_id", "from_me", "content", "message_type", "sent_at",
    "quoted_message_id", "quoted_whatsapp_message_id", "is_forwarded", "delivery_status", "edited_at", "deleted_at",
    "media_url", "media_filename", "media_mime_type", "media_size", "local_media_path", "latitude", "longitude",
    "location_name", "shared_contact", "marker", "media_seen_at",
)  # fmt: skip
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM messages WHERE chat_id = ?"
_AMONG: Final = " AND whatsapp_message_id IN (SELECT value FROM json_each(?))"
_SOURCES: Final = {"original": 0, "flagged": 1, "edit": 2}
_ATTACHMENT: Final = ("media_filename", "location_name", "shared_contact")


class Messages:
    """Writes messages and everything that decides how they read."""

    def __init__(self, connection: sqlite3.Connection, ids: Ids, people: People) -> None:
        """Work on an open database inside of the store's transactions."""
        self._connection = connection
        self._ids = ids
        self._people = people

    def see(self, messages: Sequence[Message], received_at: int) -> int:
        """Join a batch of sightings; the number of messages that were new."""
        batch: dict[Key, Row] = {}
        versions: dict[Key, set[Version]] = {}
        for message in messages:
            row = self._row(message, received_at)
            self._fold(batch, versions, row, flagged=message.edited and bool(message.content))
        return self._write(batch, versions)

    def _row(self, message: Message, received_at: int) -> Row:
        """A full row, in the order of `COLUMNS`."""
        chat = self._people.chat(message.chat)
        sender = message.sender or (ME if message.from_me else "")
        has_media = bool(message.media_url)
        return {
            "message_id": 0,
            "chat_id": chat,
            "sender_contact_id": self._people.contact(sender) if sender else None,
            "whatsapp_message_id": message.id,
            "from_me": int(message.from_me),
            "content": message.content,
            "message_type": message.kind,
            "sent_at": message.sent_at,
            "quoted_message_id": None,
            "quoted_whatsapp_message_id": message.quoted_id or None,
            "is_forwarded": 1 if message.forwarded else None,
            "delivery_status": message.delivery or None,
            "edited_at": received_at if message.edited else None,
            "deleted_at": received_at if message.deleted else None,
            "media_url": message.media_url or None,
            "media_filename": message.media_filename or None,
            "media_mime_type": message.media_mime_type or None,
            "media_size": message.media_size,
            "local_media_path": None,
            "latitude": message.latitude,
            "longitude": message.longitude,
            "location_name": message.location_name or None,
            "shared_contact": message.shared_contact or None,
            "marker": message.marker or None,
            "media_seen_at": received_at if has_media else None,
        }

    def _fold(self, batch: dict[Key, Row], versions: dict[Key, set[Version]], row: Row, *, flagged: bool) -> None:
        key = (row["chat_id"], row["whatsapp_message_id"])
        if flagged:
            versions.setdefault(key, set()).add(("flagged", 0, row["content"]))
            row["content"] = ""
        old = batch.get(key)
        if old is None:
            batch[key] = row
            return
        if row["content"] and old["content"] and row["content"] != old["content"]:
            _note_originals(versions, key, old["content"], row["content"])
        old.update(join("messages", old, row))
        old["content"] = old["content"] or row["content"]

    def _write(self, batch: dict[Key, Row], versions: dict[Key, set[Version]]) -> int:
        by_chat: dict[int, list[str]] = {}
        for chat, message in batch:
            by_chat.setdefault(chat, []).append(message)
        fresh: list[Row] = []
        for chat, ids in by_chat.items():
            existing = self._existing(chat, ids)
            for message in ids:
                row = batch[chat, message]
                old = existing.get(message)
                if old is None:
                    row["message_id"] = self._ids.take("messages", (chat, message))
                    fresh.append(row)
                else:
                    self._join(old, row, versions)
        self._insert(fresh)
        self._keep_versions(versions)
        self._settle(by_chat, fresh, versions)
        return len(fresh)

    def _existing(self, chat: int, ids: Sequence[str]) -> dict[str, Row]:
        cursor = self._connection.execute(_SELECT + _AMONG, (chat, json.dumps(ids)))
        return {row[3]: dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()}

    def _join(self, old: Row, new: Row, versions: dict[Key, set[Version]]) -> None:
        key = (old["chat_id"], old["whatsapp_message_id"])
        changes = join("messages", old, new)
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

    def _is_versioned(self, key: Key) -> bool:
        query = "SELECT 1 FROM message_versions WHERE chat_id = ? AND whatsapp_message_id = ? LIMIT 1"
        return self._connection.execute(query, key).fetchone() is not None

    def change(self, old: Row, changes: Row) -> None:
        """Write changed columns of one message, and its index row when what is searched changed."""
        if not changes:
            return
        rows.update(self._connection, "messages", {"message_id": old["message_id"]}, changes)
        new = {**old, **changes}
        if _indexed(old) != _indexed(new):
            self._unindex(old)
            self._index([new])
        old.update(changes)

    def _insert(self, fresh: Sequence[Row]) -> None:
        if not fresh:
            return
        rows.insert_many(self._connection, "messages", COLUMNS, [tuple(row.values()) for row in fresh])
        self._index(fresh)
        counts: dict[int, int] = {}
        for row in fresh:
            counts[row["chat_id"]] = counts.get(row["chat_id"], 0) + 1
        self._connection.executemany(
            "UPDATE chats SET message_count = message_count + ? WHERE chat_id = ?",
            [(count, chat) for chat, count in counts.items()],
        )

    def _index(self, fresh: Iterable[Row]) -> None:
        texts = [(row["message_id"], *_indexed(row)) for row in fresh]
        searchable = [text for text in texts if text[1] or text[2]]
        rows.insert_many(self._connection, "message_index", ("rowid", "content", "attachment"), searchable)

    def _unindex(self, row: Row) -> None:
        texts = _indexed(row)
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

    def _settle(self, by_chat: dict[int, list[str]], fresh: Sequence[Row], versions: dict[Key, set[Version]]) -> None:
        new_by_chat: dict[int, dict[str, str]] = {}
        for row in fresh:
            new_by_chat.setdefault(row["chat_id"], {})[row["whatsapp_message_id"]] = row["content"]
        touched: dict[int, set[str]] = {}
        for chat, texts in new_by_chat.items():
            for message in self._versioned_among(chat, list(texts)):
                touched.setdefault(chat, set()).add(message)
                if texts[message]:
                    self._keep_versions({(chat, message): {("original", 0, texts[message])}})
        for chat, message in versions:
            touched.setdefault(chat, set()).add(message)
        for chat, ids in touched.items():
            self._settle_texts(chat, list(ids))
        for chat in by_chat:
            self.settle_chat(chat)

    def _versioned_among(self, chat: int, ids: Sequence[str]) -> list[str]:
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
        chats = set()
        for whatsapp_chat, message, values in facts:
            chat = self._people.chat(whatsapp_chat)
            chats.add(chat)
            rows.merge(self._connection, table, {"chat_id": chat, "whatsapp_message_id": message}, values)
        for chat in chats:
            self.settle_chat(chat)

    def settle_chat(self, chat: int) -> None:
        """Apply what waits in one chat to the messages that are there now, and bring the chat's own figures up to date."""
        for table, column in (("deletions", "deleted_at"), ("receipts", "delivery_status")):
            self._settle_waiting(chat, table, column)
        self._connection.execute(
            "UPDATE messages INDEXED BY messages_awaiting_quote SET quoted_message_id ="
            " (SELECT q.message_id FROM messages AS q WHERE q.chat_id = messages.chat_id"
            " AND q.whatsapp_message_id = messages.quoted_whatsapp_message_id)"
            " WHERE chat_id = ? AND quoted_message_id IS NULL AND quoted_whatsapp_message_id IS NOT NULL",
            (chat,),
        )
        self._connection.execute(
            "UPDATE chats SET last_message_at = (SELECT max(sent_at) FROM messages AS m WHERE m.chat_id = chats.chat_id)"
            " WHERE chat_id = ?",
            (chat,),
        )

    def _settle_waiting(self, chat: int, table: str, column: str) -> None:
        waiting = self._connection.execute(
            f"SELECT whatsapp_message_id, {column} FROM {table} WHERE chat_id = ?", (chat,)
        ).fetchall()
        if not waiting:
            return
        facts = dict(waiting)
        for message, row in self._existing(chat, list(facts)).items():
            self.change(row, join("messages", row, {column: facts[message]}))
            self._connection.execute(f"DELETE FROM {table} WHERE chat_id = ? AND whatsapp_message_id = ?", (chat, message))

    def join_chats(self, losing: int, winning: int) -> None:
        """Move the messages of a joined-away chat; a message that both chats have becomes one."""
        moving = self._connection.execute(_SELECT, (losing,)).fetchall()
        lost = [dict(zip(COLUMNS, row, strict=True)) for row in moving]
        doubles = self._existing(winning, [row["whatsapp_message_id"] for row in lost])
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
        self._connection.execute("DELETE FROM messages WHERE message_id = ?", (lost["message_id"],))
        self._unindex(lost)
        versions: dict[Key, set[Version]] = {}
        changes = join("messages", kept, lost)
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
            "SELECT DISTINCT m.whatsapp_message_id, m.content FROM messages AS m JOIN message_versions AS v"
            " USING (chat_id, whatsapp_message_id) WHERE m.chat_id = ?"
        )
        self._settle_texts(chat, [message for message, _ in self._connection.execute(query, (chat,)).fetchall()])
        self.settle_chat(chat)

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


def _indexed(row: Row) -> tuple[str, str]:
    attachment = " ".join(row[name] for name in _ATTACHMENT if row[name])
    return fold(row["content"]), fold(attachment) if attachment else ""
