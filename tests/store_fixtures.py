"""Payloads and archives that several tests build."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from whatsapp_mcp.payload import Payload, cut_items

if TYPE_CHECKING:
    from collections.abc import Sequence

RECEIVED_AT = 1_790_000_000
ALICE = "15550100002@c.us"
OWNER = "15550100001@c.us"


def incoming(number: int, text: str, *, chat: str = ALICE, **more: Any) -> dict[str, Any]:
    """A journal item as the gateway writes it: message `number` from Alice."""
    return {
        "type": "incoming", "idMessage": f"3A{number:018X}", "timestamp": 1_750_000_000 + number, "typeMessage": "textMessage",
        "chatId": chat, "textMessage": text, "senderId": ALICE, "senderName": "Alice Example", "senderContactName": "",
        "deletedMessageId": "", "editedMessageId": "", "isEdited": False, "isDeleted": False, **more,
    }  # fmt: skip


def outgoing(number: int, text: str, *, chat: str = ALICE, **more: Any) -> dict[str, Any]:
    """A journal item that the owner sent."""
    return {
        "type": "outgoing", "idMessage": f"3EB0{number:016X}", "timestamp": 1_750_000_000 + number,
        "typeMessage": "textMessage", "chatId": chat, "textMessage": text, "statusMessage": "read", "sendByApi": False, **more,
    }  # fmt: skip


def history(items: Sequence[dict[str, Any]], *, chat: str = ALICE, received_at: int = RECEIVED_AT) -> Payload:
    """What getChatHistory answers."""
    return answer("getChatHistory", list(items), received_at=received_at, chatId=chat)


def answer(origin: str, body: Any, *, received_at: int = RECEIVED_AT, **context: str) -> Payload:
    """What a method of the gateway answers."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    items, damaged = cut_items(text)
    return Payload(origin, received_at, items, context, damaged=damaged)
