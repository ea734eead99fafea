"""Profile pictures of people and groups, and when each was seen: one row for each time that somebody showed a picture.

They hang on WhatsApp's id, not on our numbers, because a rebuild makes contacts and groups anew from the payloads, in which the
pictures themselves do not stand; ``current_profile_pictures`` joins what is shown now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


def note_portrait(connection: sqlite3.Connection, whatsapp_id: str, sha256: str, now: int) -> bool:
    """Remember that somebody shows this picture at `now`; true when the last one seen was another."""
    last = connection.execute(
        "SELECT sha256, first_seen_at FROM profile_pictures WHERE whatsapp_id = ? ORDER BY last_seen_at DESC LIMIT 1",
        (whatsapp_id,),
    ).fetchone()
    if last is not None and last[0] == sha256:
        connection.execute(
            "UPDATE profile_pictures SET last_seen_at = max(last_seen_at, ?) WHERE whatsapp_id = ? AND first_seen_at = ?"
            " AND sha256 = ?",
            (now, whatsapp_id, last[1], sha256),
        )
        return False
    connection.execute(
        "INSERT INTO profile_pictures (whatsapp_id, sha256, first_seen_at, last_seen_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET last_seen_at = max(last_seen_at, excluded.last_seen_at)",
        (whatsapp_id, sha256, now, now),
    )
    return True


def shown_in(connection: sqlite3.Connection, paths: Iterable[str]) -> set[str]:
    """WhatsApp's ids of who ever showed one of the pictures at these paths."""
    query = "SELECT whatsapp_id FROM profile_pictures JOIN media_files USING (sha256) WHERE path = ?"
    return {one for path in paths for (one,) in connection.execute(query, (path,))}


def move_portraits(connection: sqlite3.Connection, loser: str, winner: str) -> None:
    """Two ids turned out to be one person: the pictures of the one are the other's."""
    connection.execute("UPDATE OR IGNORE profile_pictures SET whatsapp_id = ? WHERE whatsapp_id = ?", (winner, loser))
    connection.execute("DELETE FROM profile_pictures WHERE whatsapp_id = ?", (loser,))
