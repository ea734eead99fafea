"""Directories: who and what there is, as the account lists it; and what the instance says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from whatsapp_mcp.normalise.values import (
    Item,
    are_number_and_privacy_id,
    entries,
    flag,
    identity,
    known_flag,
    parse,
    text,
    unix_seconds,
)
from whatsapp_mcp.records import ME, Alias, Chat, Contact, Group, Member, Members, Record, Unreadable

if TYPE_CHECKING:
    from whatsapp_mcp.payload import Payload

DirectoryReader: TypeAlias = Callable[[Item, int, Mapping[str, str]], list[Record]]
"""Reads an item that arrived at a time in answer to a question."""

_GROUP_LIKE = ("@g.us", "@broadcast", "@newsletter")
_SECRETS: Final = frozenset({"webhookUrl", "webhookUrlToken", "proxyInstance"})


def instance_state(payload: Payload) -> str:
    """``authorized`` and the like from an answer of getStateInstance; empty while a new instance answers ``null``.

    ``yellowCard`` is given under its new name ``suspended``.
    """
    state = text(_only_object(payload).get("stateInstance"))
    return "suspended" if state == "yellowCard" else state


def download_link(payload: Payload) -> str:
    """The link in an answer of downloadFile, or the marker in its place (``{{SWE002}}``); empty where it has none."""
    return text(_only_object(payload).get("downloadUrl"))


def avatar_link(payload: Payload) -> str:
    """The address in an answer of getAvatar; empty where nobody shows a picture, or it is hidden."""
    return text(_only_object(payload).get("urlAvatar"))


def instance_settings(payload: Payload) -> dict[str, str]:
    """The settings by name from an answer of getSettings, as texts; those that hold secrets say only ``(set)``."""
    settings = _only_object(payload)
    return {name: _shown(name, value) for name, value in settings.items()}


def _shown(name: str, value: object) -> str:
    shown = ("yes" if value else "no") if isinstance(value, bool) else text(value)
    return "(set)" if shown and name in _SECRETS else shown


def _only_object(payload: Payload) -> Item:
    try:
        value = parse(payload.items[0]) if payload.items else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _contacts_entry(item: Item, received_at: int, _context: Mapping[str, str]) -> list[Record]:
    """``name`` is the phone book's name, or else the profile's; ``contactName`` is the phone book's (docs, GetContacts)."""
    whatsapp_id = identity(item.get("id"))
    name, phonebook = text(item.get("name")), text(item.get("contactName"))
    if not whatsapp_id:
        return [Unreadable("no contact id")]
    if whatsapp_id.endswith(_GROUP_LIKE):
        return _named_chat(whatsapp_id, received_at, name)
    return [Contact(whatsapp_id, received_at, phonebook, "" if name == phonebook else name)]


def _chats_entry(item: Item, received_at: int, _context: Mapping[str, str]) -> list[Record]:
    """``newChatId`` names the same chat where a privacy id took over from the number, or the other way (docs, GetChats)."""
    whatsapp_id, other = identity(item.get("id")), identity(item.get("newChatId"))
    if not whatsapp_id:
        return [Unreadable("no chat")]
    records = _named_chat(whatsapp_id, received_at, text(item.get("name")), archived=known_flag(item.get("archive")))
    return [*records, *_alias(whatsapp_id, other)]


def _named_chat(whatsapp_id: str, seen_at: int, name: str, *, archived: bool | None = None) -> list[Record]:
    chat = Chat(whatsapp_id, seen_at, name, archived)
    return [chat, Group(whatsapp_id, seen_at, name)] if whatsapp_id.endswith("@g.us") else [chat]


def _alias(one: str, other: str) -> list[Record]:
    return [Alias(one, other)] if are_number_and_privacy_id(one, other) else []


def _contact_info(item: Item, received_at: int, context: Mapping[str, str]) -> list[Record]:
    whatsapp_id = identity(item.get("chatId")) or identity(context.get("chatId"))
    if not whatsapp_id or whatsapp_id.endswith(_GROUP_LIKE):
        return [Unreadable("no contact id")]
    return [
        Contact(
            whatsapp_id,
            received_at,
            text(item.get("contactName")),
            text(item.get("name")),
            known_flag(item.get("isBusiness")),
            text(item.get("avatar")),
        )
    ]


def _group_data(item: Item, received_at: int, context: Mapping[str, str]) -> list[Record]:
    group = identity(item.get("groupId")) or identity(context.get("groupId")) or identity(context.get("chatId"))
    if not group.endswith("@g.us"):
        return [Unreadable("no group id")]
    owner = identity(item.get("owner"))
    description, created_at = text(item.get("description")), unix_seconds(item.get("creation"))
    records: list[Record] = [Group(group, received_at, text(item.get("subject")), description, owner, created_at)]
    participants = [person for person in entries(item, "participants") if isinstance(person, dict)]
    members = dict(filter(None, (_member(person, owner) for person in participants)))
    if members:  # an empty list is what a group says that one has left; it does not mean that all others did, too
        records.append(Members(group, received_at, tuple(Member(*member) for member in members.items())))
    for person in participants:
        records += _alias(identity(person.get("id")), identity(person.get("lid")))
    return records


def _member(person: Item, owner: str) -> tuple[str, str] | None:
    whatsapp_id = identity(person.get("id")) or identity(person.get("lid"))
    if not whatsapp_id:
        return None
    if flag(person.get("isSuperAdmin")) or (owner and owner in {whatsapp_id, identity(person.get("lid"))}):
        return whatsapp_id, "owner"
    return whatsapp_id, "admin" if flag(person.get("isAdmin")) else "member"


def _avatar(item: Item, received_at: int, context: Mapping[str, str]) -> list[Record]:
    whatsapp_id, url = identity(context.get("chatId")), text(item.get("urlAvatar"))
    if not url or not whatsapp_id or whatsapp_id.endswith(_GROUP_LIKE):
        return []
    return [Contact(whatsapp_id, received_at, picture_url=url)]


def _settings(item: Item, _received_at: int, _context: Mapping[str, str]) -> list[Record]:
    owner = identity(item.get("wid"))
    return [Alias(ME, owner)] if owner else []


def _wa_settings(item: Item, received_at: int, _context: Mapping[str, str]) -> list[Record]:
    """The owner's number; all is empty while the instance is not authorised (docs, GetWaSettings)."""
    owner = identity(f"{text(item.get('phone'))}@c.us") or identity(item.get("deviceId"))
    avatar = text(item.get("avatar"))
    if not owner:
        return []
    return [Alias(ME, owner), *([Contact(owner, received_at, picture_url=avatar)] if avatar else [])]


def _nothing(_item: Item, _received_at: int, _context: Mapping[str, str]) -> list[Record]:
    return []


DIRECTORIES: Final[dict[str, DirectoryReader]] = {
    "getContacts": _contacts_entry,
    "getContactInfo": _contact_info,
    "getChats": _chats_entry,
    "getGroupData": _group_data,
    "getAvatar": _avatar,
    "getSettings": _settings,
    "getWaSettings": _wa_settings,
    "getStateInstance": _nothing,
    "getWebhooksCount": _nothing,
    "downloadFile": _nothing,
}
"""The reader of each method's items."""
