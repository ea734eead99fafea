"""The run that keeps the archive current, while it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.views import Listener

if TYPE_CHECKING:
    import sqlite3

_ALIVE: Final = 120
"""Seconds after which a listener that gave no sign of life is not counted on; it gives one every minute."""
_LOOKED_AT: Final = 2_000
"""So many payloads, the newest ones, are looked at for the last notification."""


def listener(connection: sqlite3.Connection, now: int) -> Listener | None:
    """The listener that said within two minutes before `now` that it runs, or None."""
    row = connection.execute(
        "SELECT started_at, updated_at, messages_seen, messages_new FROM runs"
        " WHERE kind = 'listen' AND state = 'running' AND updated_at >= ? ORDER BY run_id DESC LIMIT 1",
        (now - _ALIVE,),
    ).fetchone()
    if row is None:
        return None
    last = connection.execute(
        "SELECT max(received_at) FROM (SELECT origin, received_at FROM payloads ORDER BY payload_id DESC LIMIT ?)"
        " WHERE origin IN ('receiveNotification', 'webhook')",
        (_LOOKED_AT,),
    ).fetchone()[0]
    mode = connection.execute("SELECT value FROM cursors WHERE name = 'listen_mode'").fetchone()
    started_at, updated_at, notifications, new = row
    return Listener(started_at, updated_at, notifications, new, last, mode[0] if mode else "")
