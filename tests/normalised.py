"""Payloads in Green API's shapes, and what the normaliser makes of them."""

from __future__ import annotations

import json
from typing import Any

from whatsapp_mcp.normalise import records_of
from whatsapp_mcp.records import Message, Record

CHAT = "447700900142@c.us"
GROUP = "120363777000000314@g.us"
AT = 1_756_600_000
RECEIVED = 1_759_000_000


def read(origin: str, value: object, **context: str) -> list[Record]:
    return records_of(origin, json.dumps(value), received_at=RECEIVED, context=context)


def item(type_message: str = "textMessage", **fields: object) -> dict[str, Any]:
    usual = {"type": "incoming", "idMessage": "3A01", "timestamp": AT, "chatId": CHAT, "senderId": CHAT}
    return {key: value for key, value in (usual | {"typeMessage": type_message} | fields).items() if value is not ...}


def journal(type_message: str = "textMessage", **fields: object) -> list[Record]:
    return read("getChatHistory", item(type_message, **fields))


def message(type_message: str = "textMessage", **fields: object) -> Message:
    first = journal(type_message, **fields)[0]
    assert isinstance(first, Message)
    return first


def notification(type_message: str, data: dict[str, Any], **fields: object) -> list[Record]:
    body = {
        "typeWebhook": "incomingMessageReceived",
        "timestamp": AT,
        "idMessage": "3A01",
        "senderData": {"chatId": CHAT, "sender": CHAT},
        "messageData": {"typeMessage": type_message} | data,
    }
    return read("webhook", body | fields)
