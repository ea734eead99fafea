"""The fields of each ``typeMessage`` in the journals (Green API docs, GetChatHistory and LastIncomingMessages).

Each function gives what stands between ``chatId`` and the sender in a journal record. A file's address begins with ``/media/``
and a thumbnail is a small number: the gateway puts its own address and a real picture in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whatsapp_mcp.demo.entry import Entry

Fields = dict[str, Any]

MIME_TYPES: Final = {
    "jpg": "image/jpeg", "mp4": "video/mp4", "ogg": "audio/ogg; codecs=opus", "mp3": "audio/mpeg", "webp": "image/webp",
    "pdf": "application/pdf", "zip": "application/zip",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
"""The media types that the account holds, by file ending."""


def file_fields(
    path: str, *, caption: str = "", name: str = "", thumbnail: int | None = None, forwarded: bool = False
) -> Fields:
    """An image, video, audio, document or sticker at `path`; `name` is the sender's own file name."""
    ending = (name or path).rpartition(".")[2]
    fields: Fields = {
        "downloadUrl": path,
        "caption": caption,
        "fileName": name or path.rpartition("/")[2],
        "jpegThumbnail": "" if thumbnail is None else thumbnail,
        "mimeType": MIME_TYPES[ending],
    }
    if ending == "webp":
        fields["isAnimated"] = False
    return {**fields, "isForwarded": forwarded, "forwardingScore": int(forwarded)}


def link_fields(text: str, *, title: str = "", description: str = "", forwarded: bool = False) -> Fields:
    """A text with a link's preview; also how a forwarded or an API-sent text is told."""
    return {"textMessage": text, "extendedTextMessage": _extended(text, title, description, forwarded=forwarded)}


def _extended(text: str, title: str = "", description: str = "", *, forwarded: bool = False) -> Fields:
    return {
        "text": text, "description": description, "title": title, "previewType": "None", "jpegThumbnail": "",
        "forwardingScore": int(forwarded), "isForwarded": forwarded,
    }  # fmt: skip


def reply_fields(text: str, quoted: Entry, *, modern: bool) -> Fields:
    """An answer to `quoted`: the older ``quotedMessage``, or the ``extendedTextMessage`` that new builds send."""
    naming = {"stanzaId": quoted.id, "participant": quoted.sender}
    extended = {**_extended(text), **naming} if modern else {"text": text, **naming}
    return {"textMessage": text, "extendedTextMessage": extended, "quotedMessage": {**naming, **_quoted(quoted)}}


def _quoted(quoted: Entry) -> Fields:
    if quoted.fields is not None and "downloadUrl" in quoted.fields:
        return {"typeMessage": quoted.type_message, "downloadUrl": "", "caption": quoted.content, "jpegThumbnail": ""}
    return {"typeMessage": "textMessage", "textMessage": quoted.content}


def location_fields(name: str, address: str, latitude: float | str, longitude: float | str) -> Fields:
    """A place; the coordinates were also seen as strings (Green API console, types)."""
    location: Fields = {"nameLocation": name, "address": address, "latitude": latitude, "longitude": longitude}
    return {"location": {**location, "jpegThumbnail": ""}}


def vcard(name: str, number: str) -> Fields:
    """A contact card as WhatsApp writes it."""
    first, _, last = name.partition(" ")
    spaced = f"+{number[0]} {number[1:4]} {number[4:7]} {number[7:]}"
    phone = f"item1.TEL;waid={number}:{spaced}\nitem1.X-ABLabel:Mobile"
    return {"displayName": name, "vcard": f"BEGIN:VCARD\nVERSION:3.0\nN:{last};{first};;;\nFN:{name}\n{phone}\nEND:VCARD"}


def contacts_fields(cards: Sequence[Fields], *, from_me: bool) -> Fields:
    """Several contact cards; outgoing ones are nested (Green API docs, ContactsArrayMessage)."""
    if from_me:
        return {"messageData": {"contacts": list(cards), "forwardingScore": 0, "isForwarded": False}}
    return {"contacts": list(cards)}


def poll_fields(question: str, options: Sequence[str]) -> Fields:
    """A poll."""
    named = [{"optionName": option} for option in options]
    return {"pollMessageData": {"name": question, "options": named, "multipleAnswers": False}}


def vote_fields(poll_id: str, question: str, votes: Sequence[tuple[str, Sequence[str]]]) -> Fields:
    """A poll's tally: each option with the ids of all who chose it."""
    tally = [{"optionName": option, "optionVoters": list(voters)} for option, voters in votes]
    return {"pollMessageData": {"stanzaId": poll_id, "name": question, "votes": tally, "multipleAnswers": False}}


def reaction_fields(emoji: str, target: Entry) -> Fields:
    """A reaction to `target`; an empty `emoji` takes it back."""
    return {
        "extendedTextMessageData": {"text": emoji},
        "quotedMessage": {"stanzaId": target.id, "participant": target.sender},
    }


def edit_fields(text: str, target_id: str) -> Fields:
    """A new text for a message."""
    return {"editedMessageData": {"textMessage": text, "stanzaId": target_id}}


def deletion_fields(target_id: str) -> Fields:
    """A message taken back for everyone."""
    return {"deletedMessageData": {"stanzaId": target_id}}


def invite_fields(group_id: str, subject: str, caption: str, expires_at: int) -> Fields:
    """An invitation into a group; the expiry is a string of seconds."""
    data = {"groupJid": group_id, "inviteCode": "FICTIONALCODE123", "inviteExpiration": str(expires_at), "groupName": subject}
    return {"groupInviteMessageData": {**data, "caption": caption, "name": "", "jpegThumbnail": ""}}


def buttons_fields() -> Fields:
    """A business asks something with buttons."""
    buttons = [{"buttonId": "1", "buttonText": "Yes, confirm"}, {"buttonId": "2", "buttonText": "Another day"}]
    texts = {"contentText": "Is the delivery tomorrow all right?", "footer": "Fiction Post"}
    return {"buttonsMessage": {**texts, "buttons": buttons, **_FRESH}}


def list_fields() -> Fields:
    """A business offers a list to choose from."""
    rows = [{"title": "09:00", "rowId": "m1"}, {"title": "10:00", "rowId": "m2", "description": "quiet hour"}]
    sections = [{"title": "Morning", "rows": rows}]
    texts = {"contentText": "Choose a delivery slot", "title": "Slots", "footer": "Fiction Post", "buttonText": "Open"}
    return {"listMessage": {**texts, "sections": sections, **_FRESH}}


def template_fields() -> Fields:
    """A business writes from a template."""
    buttons: list[Fields] = [
        {"index": 1, "urlButton": {"displayText": "Track", "url": "https://example.org/track"}},
        {"index": 2, "callButton": {"displayText": "Call us", "phoneNumber": "+1 555 010 0100"}},
        {"index": 3, "quickReplyButton": {"displayText": "Thanks", "id": "plainButtonId"}},
    ]
    texts = {"namespace": "", "elementName": "", "contentText": "Your parcel is on its way", "footer": "Fiction Post"}
    return {"templateMessage": {**texts, "buttons": buttons, **_FRESH}}


_FRESH: Final = {"forwardingScore": 0, "isForwarded": False}


def call_fields(*, from_me: bool, chat: str, is_video: bool, duration: int) -> Fields:
    """A call in the calls journal (Green API docs, LastIncomingCalls and LastOutgoingCalls)."""
    status = "pickUp" if duration else ("hungUp" if from_me else "declined")
    if not from_me:
        return {"isVideo": is_video, "status": status, "isGroup": False}
    people = [{"id": chat, "status": status}]
    return {"duration": duration, "isVideo": is_video, "status": status, "participants": people}
