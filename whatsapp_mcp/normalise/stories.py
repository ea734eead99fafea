"""Statuses (stories): journal items of a chat that all of them share.

An item names its author where a message names its chat (Green API docs, GetIncomingStatuses; the methods are beta). One that
was deleted names no other item, so the deletion is of the item with that very id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.normalise.journal import journal_records

if TYPE_CHECKING:
    from whatsapp_mcp.normalise.values import Item
    from whatsapp_mcp.records import Record

STORIES: Final = frozenset({"getIncomingStatuses", "getOutgoingStatuses"})
"""Origins whose items are statuses."""

CHAT: Final = "status@broadcast"
"""WhatsApp's own id of where statuses are sent."""


def story_records(item: Item, origin: str) -> list[Record]:
    """What one status says: a message by its author, or a deletion."""
    direction = "incoming" if origin == "getIncomingStatuses" else "outgoing"
    told = {
        **item,
        "chatId": CHAT,
        "type": item.get("type") or direction,
        "senderId": item.get("senderId") or item.get("chatId"),
    }
    deleted = item.get("deletedMessageId") or item.get("deletedMessageData") or item.get("deletedMessage")
    return journal_records(told if deleted else {**told, "deletedMessageId": item.get("idMessage")})
