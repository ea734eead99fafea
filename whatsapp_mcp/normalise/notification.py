"""Notifications, from the queue as ``{receiptId, body}`` or from the webhook bare.

A message notification is a journal item in another envelope, so it is put into the journal's and read by the same reader.
"""

from __future__ import annotations

from typing import Final

from whatsapp_mcp.normalise.journal import delivery_state, journal_records
from whatsapp_mcp.normalise.values import Item, entries, identity, part, text, unix_seconds
from whatsapp_mcp.records import Chat, Message, Receipt, Record, Unreadable

_WITHOUT_RECORD: Final = frozenset({
    "stateInstanceChanged", "statusInstanceChanged", "deviceInfo", "incomingBlock", "quotaExceeded",
})  # fmt: skip
"""They speak of the instance, not of what people said."""


def notification_records(notification: Item, received_at: int) -> list[Record]:
    """What one notification says; one about the instance alone says nothing, which is not unreadable."""
    body = notification.get("body", notification)
    if not isinstance(body, dict):
        return [Unreadable("no notification")]
    kind = text(body.get("typeWebhook"))
    if kind in _WITHOUT_RECORD:
        return []
    if kind == "outgoingMessageStatus":
        return [_receipt(body, received_at)]
    if kind in {"incomingCall", "outgoingCall"}:
        return journal_records(_call_item(body, kind))
    if isinstance(body.get("messageData"), dict):
        return _message_records(body, kind)
    return [Unreadable(f"unknown notification {kind[:60]}".rstrip())]


def _message_records(body: Item, kind: str) -> list[Record]:
    sender = part(body, "senderData")
    item = dict(body["messageData"])
    # In one documented sample the quoted message lies beside messageData, not in it.
    item.setdefault("quotedMessage", body.get("quotedMessage"))
    item |= {
        "type": "outgoing" if kind.startswith("outgoing") else "incoming",
        "idMessage": body.get("idMessage"),
        "timestamp": body.get("timestamp"),
        "chatId": sender.get("chatId"),
        "senderId": sender.get("sender"),
        "senderName": sender.get("senderName"),
    }
    if sender.get("senderContactName"):
        item["senderContactName"] = sender["senderContactName"]
    records = journal_records(item)
    return records + _chat(records, text(sender.get("chatName")))


def _chat(records: list[Record], name: str) -> list[Record]:
    """The chat's name, which only notifications give; that of the stories is the name of whoever told one."""
    message = records[0] if records else None
    if not isinstance(message, Message) or not name or message.chat == "status@broadcast":
        return []
    return [Chat(message.chat, message.sent_at, name)]


def _receipt(body: Item, received_at: int) -> Receipt | Unreadable:
    chat, target = identity(body.get("chatId")), text(body.get("idMessage"))
    if not chat:  # as in 2023; a message id is unique only within its chat
        return Unreadable("no chat")
    if not target:
        return Unreadable("no message id")
    status = delivery_state(body.get("status"))
    if not status:
        return Unreadable("unknown delivery state")
    return Receipt(chat, target, status, unix_seconds(body.get("timestamp")) or received_at)


def _call_item(body: Item, kind: str) -> Item:
    """The call as the calls journal has it: an incoming one is named after the caller, an outgoing one after who was called."""
    item = body | {"typeMessage": kind, "type": "incoming" if kind == "incomingCall" else "outgoing"}
    if not identity(item.get("chatId")):
        called = [identity(person.get("id")) for person in entries(body, "participants") if isinstance(person, dict)]
        item["chatId"] = body.get("from") if kind == "incomingCall" else next(filter(None, called), "")
    return item
