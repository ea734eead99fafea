"""Notifications, from the queue as ``{receiptId, body}`` or from the webhook bare.

A message notification is a journal item in another envelope, so it is put into the journal's and read by the same reader.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.normalise.journal import delivery_state, journal_records
from whatsapp_mcp.normalise.stories import CHAT as STATUSES
from whatsapp_mcp.normalise.values import Item, entries, identity, parse, part, real, text, unix_seconds, whole
from whatsapp_mcp.records import Chat, Message, Receipt, Record, Unreadable

if TYPE_CHECKING:
    from whatsapp_mcp.payload import Payload

_WITHOUT_RECORD: Final = frozenset({
    "stateInstanceChanged", "statusInstanceChanged", "deviceInfo", "incomingBlock", "quotaExceeded",
})  # fmt: skip
"""They speak of the instance, not of what people said."""
_RECEIPT: Final = re.compile(r'"receiptId"\s*:\s*"?([0-9]{1,18})(?![0-9.eE])')
"""In what people write, the quotes stand behind a backslash, so no message can pass for a receipt."""
_EXACT: Final = 2**53
"""From here on a number that somebody wrote as a fraction may have been another one."""
_RECEIPT_FIRST: Final = re.compile(r"[\[{\s]*" + _RECEIPT.pattern)


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
    if not isinstance(message, Message) or not name or message.chat == STATUSES:
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


def receipt_id(payload: Payload) -> int | None:
    """Under which number a notification of the queue is acknowledged, or None where it cannot be told.

    In broken JSON it is looked for by its letters: at the beginning, where the gateway writes it, or else wherever it stands
    alone. A wrong guess would acknowledge a notification that nobody has read, so two different numbers give None.
    """
    said = _envelope(payload).get("receiptId")
    if said is not None:
        number = whole(said)
        return number if number is not None and number >= 0 and number == real(said) and number < _EXACT else None
    item = "".join(payload.items)
    first = _RECEIPT_FIRST.match(item)
    found = {first[1]} if first and _is_alone(item, first.end()) else set(_RECEIPT.findall(item))
    return int(found.pop()) if len(found) == 1 else None


def _is_alone(item: str, end: int) -> bool:
    """A list of several notifications has further ones at its own level, which a single cut-off one has not."""
    return not item.lstrip().startswith("[") or _RECEIPT.search(item, end) is None


def notified_at(payload: Payload) -> int | None:
    """When what a notification tells happened (unix seconds UTC), or None where it does not say so."""
    return unix_seconds(_body(payload).get("timestamp"))


def told_account(payload: Payload) -> str:
    """The account that a notification says it is of, or an empty string where it says none."""
    return identity(part(_body(payload), "instanceData").get("wid"))


def changed_state(payload: Payload) -> str:
    """The state into which the instance came, if it is this that a notification tells, else an empty string."""
    body = _body(payload)
    return text(body.get("stateInstance")) if body.get("typeWebhook") == "stateInstanceChanged" else ""


def waiting_count(payload: Payload) -> int | None:
    """How many notifications wait, by an answer of getWebhooksCount, or None where it does not say so.

    The field's name begins with a Cyrillic letter in some versions (Green API docs, GetWebhooksCount): the only number counts.
    """
    numbers = [value for value in _envelope(payload).values() if isinstance(value, int) and not isinstance(value, bool)]
    return numbers[0] if len(numbers) == 1 and numbers[0] >= 0 else None


def _body(payload: Payload) -> Item:
    envelope = _envelope(payload)
    return part(envelope, "body") if "body" in envelope else envelope


def _envelope(payload: Payload) -> Item:
    try:
        value = parse(payload.items[0]) if payload.items else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
