"""Pure and total: what came in becomes records, and nothing that comes in makes it raise.

Only this room knows the gateway's field names and the lines of other origins. A message arrives in two spellings, flat in the
journals and nested in the notifications; both end in the same reader, so that both give the same record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.normalise.directory import DIRECTORIES, avatar_link, download_link, instance_settings, instance_state
from whatsapp_mcp.normalise.journal import journal_records
from whatsapp_mcp.normalise.media import preview_in
from whatsapp_mcp.normalise.notification import (
    changed_state,
    notification_records,
    notified_at,
    receipt_id,
    told_account,
    waiting_count,
)
from whatsapp_mcp.normalise.stories import STORIES, story_records
from whatsapp_mcp.normalise.values import are_number_and_privacy_id, identity, parse
from whatsapp_mcp.records import Alias, Call, Deletion, Edit, Message, PollVote, Reaction, Receipt, Record, Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.payload import Payload

__all__ = [
    "JOURNALS", "NEWEST_FIRST", "NOTIFICATIONS", "avatar_link", "changed_state", "download_link", "instance_settings",
    "instance_state", "normalise", "notified_at", "preview_in", "receipt_id", "records_of", "relations_of", "told_account",
    "waiting_count",
]  # fmt: skip

JOURNALS: Final = frozenset({
    "getChatHistory", "getMessage", "lastIncomingMessages", "lastOutgoingMessages", "lastIncomingCalls", "lastOutgoingCalls",
    *STORIES,
})  # fmt: skip
"""Origins whose items are journal items."""

_SECOND_ID: Final = "secondId"
_IN_A_CHAT: Final = (Message, Edit, Deletion, Reaction, Receipt, PollVote, Call)

NOTIFICATIONS: Final = frozenset({"receiveNotification", "webhook"})
"""Origins whose items are notifications."""

NEWEST_FIRST: Final = frozenset({"getChatHistory"})
"""Origins that list the newest first (Green API docs, GetChatHistory); backwards, messages of one second keep their order."""


def normalise(payload: Payload) -> list[Record]:
    """The records of all items of `payload`, in their order."""
    records: list[Record] = []
    for item in payload.items:
        records += records_of(payload.origin, item, received_at=payload.received_at, context=payload.context)
    return records


def with_relation(payload: Payload) -> Payload:
    """The payload, with the second id of the person whose history it is in its context, where the whole answer shows one.

    A history asked for under a number, all of whose items name one privacy id, or the other way round, belongs to one person
    (Green API tracker #826, #982, #1032). One stray item among others says nothing (tracker #427). Only unseen items are
    stored, and a part of an answer may look as the whole did not: so what the whole showed is kept for a rebuild to read.
    """
    asked = identity(payload.context.get("chatId")) if payload.origin in NEWEST_FIRST else ""
    foreign = "@lid" if asked.endswith("@c.us") else "@c.us"
    if not asked.endswith(("@c.us", "@lid")) or not any(foreign in item for item in payload.items):
        return payload
    named = {record.chat for record in normalise(payload) if isinstance(record, _IN_A_CHAT)}
    if len(named) != 1 or not are_number_and_privacy_id(asked, *named):
        return payload
    return replace(payload, context={**payload.context, _SECOND_ID: named.pop()})


def relations_of(payload: Payload) -> list[Alias]:
    """What `with_relation` found."""
    second = identity(payload.context.get(_SECOND_ID))
    return [Alias(identity(payload.context.get("chatId")), second)] if second else []


def records_of(origin: str, item: str, *, received_at: int, context: Mapping[str, str]) -> list[Record]:
    """The records of one item's verbatim text; ``[Unreadable(…)]`` when it carries nothing that can be read.

    An item that can be read and says nothing of people, such as a changed state of the instance, gives an empty list.
    """
    try:
        return _read(origin, item, received_at, context)
    except RecursionError:
        return [Unreadable("nested too deeply")]
    except ValueError:
        return [Unreadable("not JSON")]
    except Exception as error:  # noqa: BLE001 - a mistake in a reader costs one item, which is kept and counted, never the sync
        return [Unreadable(f"reader failed: {type(error).__name__}")]


def _read(origin: str, item: str, received_at: int, context: Mapping[str, str]) -> list[Record]:
    if origin == "chat_export":
        from whatsapp_mcp.normalise.chat_export import records_of_export_item  # words of many languages: only for imports

        return records_of_export_item(item, received_at=received_at, context=context)
    value = parse(item)
    if not isinstance(value, dict):
        # getGroupData answers "Error: item-not-found" with status 200, as a bare JSON string.
        return [Unreadable(value[:120] if isinstance(value, str) else "not an object")]
    if origin in STORIES:
        return story_records(value, origin)
    if origin in JOURNALS:
        return journal_records(value)
    if origin in NOTIFICATIONS:
        return notification_records(value, received_at)
    reader = DIRECTORIES.get(origin)
    return [Unreadable("unknown origin")] if reader is None else reader(value, received_at, context)
