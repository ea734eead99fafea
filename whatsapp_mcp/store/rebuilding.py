"""Emptying what can be derived, and giving back afterwards what cannot: the two ends of a rebuild.

Everything happens inside of one transaction of the caller, with foreign keys checked at its end (``defer_foreign_keys``), so a
reader sees the archive before or after, and a kill in between leaves it as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatsapp_mcp.schema import DERIVED, REBUILD_CURSOR
from whatsapp_mcp.store.media import give_back, keep_for_rebuild
from whatsapp_mcp.store.structure import restore

if TYPE_CHECKING:
    from whatsapp_mcp.store import Store


def is_derived(table: str) -> bool:
    """Whether a rebuild makes a table's rows anew."""
    return table in DERIVED


def begin_rebuild(store: Store) -> None:
    """Mend indexes and views, remember our integer keys and the files on disk, then empty the derived tables."""
    write = store.connection.execute
    write("PRAGMA defer_foreign_keys = ON")
    restore(store.connection)
    store.ids.reserve()
    keep_for_rebuild(store.connection)
    for table in DERIVED:
        write(
            "INSERT INTO message_index (message_index) VALUES ('delete-all')"
            if table == "message_index"
            else f"DELETE FROM {table}"
        )
    store.people.reload()


def end_rebuild(store: Store) -> None:
    """Give back files and downloads; drop progress of what does not exist any more."""
    write = store.connection.execute
    give_back(store.connection)
    for table in ("sync_status", "repairs"):
        write(f"DELETE FROM {table} WHERE chat_id NOT IN (SELECT chat_id FROM chats)")
    write("DELETE FROM coverage WHERE chat_id <> 0 AND chat_id NOT IN (SELECT chat_id FROM chats)")
    write("DELETE FROM cursors WHERE name = ?", (REBUILD_CURSOR,))
    store.ids.release()
