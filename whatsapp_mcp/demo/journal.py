"""Journal records and notifications as Green API writes them (docs: GetChatHistory, notifications format)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.demo.pictures import thumbnail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.demo.entry import Entry
    from whatsapp_mcp.demo.people import Person

Fields = dict[str, Any]

_FILE_TYPES: Final = frozenset({"imageMessage", "videoMessage", "documentMessage", "audioMessage", "stickerMessage"})
_RENAMED: Final = {
    "extendedTextMessage": "extendedTextMessageData", "location": "locationMessageData", "contact": "contactMessageData",
}  # fmt: skip
"""Objects that the notification calls otherwise than the journal."""


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(value: object) -> bytes:
    """JSON as the gateway writes it: compact, UTF-8, nothing escaped that needs no escape."""
    return _ENCODER.encode(value).encode()


class Teller:
    """Writes entries as an instance of Green API does."""

    def __init__(self, owner: Person, people: Mapping[str, Person], media_url: str, id_instance: int) -> None:
        """`people` by id; `media_url` stands before every ``/media/`` path."""
        self._owner = owner
        self._people = people
        self._media_url = media_url
        self._id_instance = id_instance
        self._former: dict[str, list[tuple[int, Person]]] = {}
        self.leaking_lids = False
        """Tell everybody who has one by the privacy id (tracker #826, #954, #982, #1032)."""

    def remember(self, person: Person, until: int) -> None:
        """`person` was called so until then (unix seconds): what they wrote before is told under these names."""
        self._former.setdefault(person.id, []).append((until, person))

    def record(self, entry: Entry, *, last_action: bool = False) -> Fields:
        """One journal record; with `last_action` an outgoing one carries the time of its last status (LastOutgoingMessages)."""
        time = entry.action_at if last_action and entry.action_at else entry.sent_at
        record: Fields = {
            "type": "outgoing" if entry.from_me else "incoming",
            "idMessage": entry.id,
            "timestamp": time,
            "typeMessage": entry.type_message,
            "chatId": self._chat_id(entry),
        }
        record.update(self._fields(entry))
        if entry.kind == "call":
            return record
        record.update(self._delivery(entry) if entry.from_me else self._author(entry))
        return {**record, **_state(entry)}

    def notification(self, entry: Entry, *, chat_name: str) -> Fields:
        """The ``body`` of the queue's notification for `entry` (Green API docs, notifications format)."""
        if entry.kind == "call":
            return self._call_notification(entry)
        author = self._sender(entry)
        names = ("senderName", "senderContactName")
        sender = {"chatId": self._chat_id(entry), "chatName": chat_name, "sender": author.pop("senderId")}
        return {
            **self._envelope(_webhook_type(entry), entry.sent_at),
            "idMessage": entry.id,
            "senderData": {**sender, **{name: author[name] for name in names}},
            "messageData": {"typeMessage": entry.type_message, **self._message_data(entry)},
        }

    def status_notification(self, entry: Entry, status: str, at: int) -> Fields:
        """The notification that an outgoing message came as far as `status`."""
        told = {"chatId": self._chat_id(entry), **self._envelope("outgoingMessageStatus", at)}
        return {**told, "idMessage": entry.id, "status": status, "sendByApi": entry.by_api}

    def _envelope(self, kind: str, at: int) -> Fields:
        instance = {"idInstance": self._id_instance, "wid": self._owner.id, "typeInstance": "whatsapp"}
        return {"typeWebhook": kind, "instanceData": instance, "timestamp": at}

    def _call_notification(self, entry: Entry) -> Fields:
        fields = dict(entry.fields or {})
        if not entry.from_me:
            status = {"hungUp": "hangUp"}.get(fields["status"], fields["status"])
            call = {"from": self._chat_id(entry), **self._envelope("incomingCall", entry.sent_at), "status": status}
            return {**call, "idMessage": entry.id}
        return {**self._envelope("outgoingCall", entry.sent_at), "idMessage": entry.id, "from": self._owner.id, **fields}

    def _message_data(self, entry: Entry) -> Fields:
        fields = self._fields(entry)
        if entry.type_message in _FILE_TYPES:
            return {"fileMessageData": fields}
        if entry.type_message == "contactsArrayMessage" and "contacts" in fields:
            return {"messageData": {"contacts": fields["contacts"], "forwardingScore": 0, "isForwarded": False}}
        if entry.type_message == "textMessage":
            return {"textMessageData": fields}
        return {_RENAMED.get(name, name): value for name, value in fields.items() if name != "textMessage"}

    def _fields(self, entry: Entry) -> Fields:
        if entry.fields is None:
            return {"textMessage": entry.content if entry.shown is None else entry.shown}
        fields = dict(entry.fields)
        if "downloadUrl" in fields:
            path = str(fields["downloadUrl"])
            fields["downloadUrl"] = self._media_url + path if path.startswith("/") else path
            number = fields["jpegThumbnail"]
            fields["jpegThumbnail"] = thumbnail(number) if isinstance(number, int) else number
        return fields

    def _shown_id(self, whatsapp_id: str, *, by_lid: bool) -> str:
        person = self._people.get(whatsapp_id)
        return person.lid if person is not None and (by_lid or self.leaking_lids) else whatsapp_id

    def _chat_id(self, entry: Entry) -> str:
        return self._shown_id(entry.chat, by_lid=entry.by_lid)

    def _sender(self, entry: Entry) -> Fields:
        if entry.from_me:
            return {"senderId": self._owner.id, "senderName": self._owner.profile_name, "senderContactName": ""}
        return self._author(entry)

    def _author(self, entry: Entry) -> Fields:
        former = (person for until, person in self._former.get(entry.sender, ()) if entry.sent_at <= until)
        person = next(former, self._people.get(entry.sender))
        return {
            "senderId": self._shown_id(entry.sender, by_lid=entry.by_lid),
            "senderName": person.profile_name if person else "",
            "senderContactName": person.phonebook_name if person else "",
        }

    def _delivery(self, entry: Entry) -> Fields:
        return {"statusMessage": entry.status, "sendByApi": entry.by_api}


def _state(entry: Entry) -> Fields:
    return {
        "deletedMessageId": entry.target if entry.type_message == "deletedMessage" else "",
        "editedMessageId": entry.target if entry.type_message == "editedMessage" else "",
        "isEdited": entry.edited,
        "isDeleted": entry.deleted,
    }


def _webhook_type(entry: Entry) -> str:
    if not entry.from_me:
        return "incomingMessageReceived"
    return "outgoingAPIMessageReceived" if entry.by_api else "outgoingMessageReceived"
