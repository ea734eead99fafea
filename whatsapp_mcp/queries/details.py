"""What happened to messages beside their text: earlier versions, how a call went, who voted for what.

Few messages have any of it, so each question is asked only for a page that holds such messages, in one statement.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from whatsapp_mcp.queries.people import CONTACT_NAME
from whatsapp_mcp.views import CallView, Party, VersionView, VotesView

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

Key = tuple[int, str]
"""Chat and WhatsApp's message id."""


class Details(NamedTuple):
    """What a page's messages have, by `Key`."""

    versions: dict[Key, list[VersionView]]
    calls: dict[Key, CallView]
    votes: dict[Key, list[VotesView]]


def details(connection: sqlite3.Connection, edited: Sequence[Key], calls: Sequence[Key], polls: Sequence[Key]) -> Details:
    """The earlier texts of `edited` messages, the facts of `calls`, the votes in `polls`."""
    return Details(
        _versions(connection, edited) if edited else {},
        _calls(connection, calls) if calls else {},
        _votes(connection, polls) if polls else {},
    )


def _wanted(table: str) -> str:
    """Walk the keys and look each up: SQLite would otherwise scan the table."""
    return (
        f"json_each(?) AS wanted CROSS JOIN {table} AS t ON t.chat_id = json_extract(wanted.value, '$[0]')"
        " AND t.whatsapp_message_id = json_extract(wanted.value, '$[1]')"
    )


def _versions(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, list[VersionView]]:
    """Oldest first; a text that came with the message itself has no time of its own."""
    query = (
        f"SELECT t.chat_id, t.whatsapp_message_id, t.source, t.version_at, t.content FROM {_wanted('message_versions')}"
        " ORDER BY t.source = 'edit', t.source = 'flagged', t.version_at, t.content"
    )
    found: dict[Key, list[VersionView]] = {}
    for chat, message, source, at, content in connection.execute(query, (json.dumps(keys),)):
        versions = found.setdefault((chat, message), [])
        if all(version.content != content for version in versions):
            versions.append(VersionView(content, at if source == "edit" else None))
    return found


def _calls(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, CallView]:
    query = f"SELECT t.chat_id, t.whatsapp_message_id, t.is_video, t.call_status, t.duration FROM {_wanted('calls')}"
    return {
        (chat, message): CallView(None if video is None else bool(video), status, duration)
        for chat, message, video, status, duration in connection.execute(query, (json.dumps(keys),))
    }


def _votes(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, list[VotesView]]:
    query = (
        f"SELECT t.chat_id, t.whatsapp_message_id, t.option, c.contact_id, c.whatsapp_id, {CONTACT_NAME}"
        f" FROM {_wanted('current_poll_votes')} JOIN contacts AS c ON c.contact_id = t.contact_id"
        " ORDER BY t.option, c.contact_id"
    )
    found: dict[Key, dict[str, list[Party]]] = {}
    for chat, message, option, *who in connection.execute(query, (json.dumps(keys),)):
        found.setdefault((chat, message), {}).setdefault(option, []).append(Party(*who))
    return {
        key: sorted(
            (VotesView(option, tuple(voters)) for option, voters in by_option.items()), key=lambda one: -len(one.voters)
        )
        for key, by_option in found.items()
    }
