"""The directories of the instance: settings, contacts, chats and groups (Green API docs: account, service, groups)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.demo.people import Group, Person

if TYPE_CHECKING:
    from collections.abc import Iterable

Fields = dict[str, Any]

AVATAR: Final = "https://pps.whatsapp.net/v/fictional.jpg"
_WEEK: Final = 604_800
_SETTINGS_ON: Final = (
    "outgoingWebhook", "outgoingMessageWebhook", "outgoingAPIMessageWebhook", "incomingWebhook", "stateWebhook", "linkPreview",
    "pollMessageWebhook", "incomingCallWebhook", "outgoingCallWebhook", "editedMessageWebhook", "deletedMessageWebhook",
)  # fmt: skip
_SETTINGS_OFF: Final = (
    "markIncomingMessagesReaded", "markIncomingMessagesReadedOnReply", "deviceWebhook", "statusInstanceWebhook",
    "enableMessagesHistory", "keepOnlineStatus", "incomingBlockWebhook", "catalogWebhook", "avatarInfoWebhook", "enableLidMode",
    "incomingMessageStatusWebhook",
)  # fmt: skip


def settings(owner: Person) -> Fields:
    """The 28 settings of an instance on which everything is switched on that an archive needs."""
    return {
        "wid": owner.id,
        "typeInstance": "whatsapp",
        "webhookUrl": "",
        "webhookUrlToken": "",
        "delaySendMessagesMilliseconds": 5000,
        "autoTyping": 0,
        **dict.fromkeys(_SETTINGS_ON, "yes"),
        **dict.fromkeys(_SETTINGS_OFF, "no"),
    }


def wa_settings(owner: Person, state: str) -> Fields:
    """The account's number, avatar and device; all empty while the instance is not authorised (docs, GetWaSettings)."""
    if state != "authorized":
        return {"avatar": "", "phone": "", "stateInstance": state, "deviceId": ""}
    phone = owner.id.partition("@")[0]
    return {"avatar": AVATAR, "phone": phone, "stateInstance": state, "deviceId": f"{phone}:8@s.whatsapp.net"}


def contacts(people: Iterable[Person], groups: Iterable[Group], *, group: bool | None) -> list[Fields]:
    """The address book with the groups; `group` keeps only the groups or only the people."""
    users = [_contact(person) for person in people] if group is not True else []
    return users + ([_group_contact(one) for one in groups] if group is not False else [])


def _contact(person: Person) -> Fields:
    name = "" if person.hidden else person.name
    return {"id": person.id, "name": name, "contactName": person.phonebook_name, "type": "user"}


def _group_contact(group: Group) -> Fields:
    return {"id": group.id, "name": group.subject, "contactName": "", "type": "group"}


def chat(party: Person | Group, *, archived: bool) -> Fields:
    """One line of getChats."""
    if isinstance(party, Group):
        expires = _WEEK if party.created_at % 11 == 0 else 0
        return _chat(party.id, party.subject, "group", archived=archived, ephemeral=(expires, expires and party.created_at))
    if party.moved:
        moved = _chat(party.lid, party.name, "user", archived=archived)
        return {"archive": moved.pop("archive"), "id": moved.pop("id"), "newChatId": party.id, **moved}
    return _chat(party.id, "" if party.hidden else party.name, "user", archived=archived)


def unnamed_chat(chat_id: str) -> Fields:
    """The line of getChats for somebody of whom nothing but the id is known."""
    return _chat(chat_id, "", "group" if chat_id.endswith("@g.us") else "user", archived=False)


def _chat(chat_id: str, name: str, kind: str, *, archived: bool, ephemeral: tuple[int, int] = (0, 0)) -> Fields:
    return {
        "archive": archived, "id": chat_id, "ephemeralExpiration": ephemeral[0], "ephemeralSettingTimestamp": ephemeral[1],
        "name": name, "type": kind,
    }  # fmt: skip


def contact_info(person: Person, *, archived: bool) -> Fields:
    """Everything about one person (docs, GetContactInfo)."""
    shop = ("shop@example.org", "Shopping", "A shop") if person.business else ("", "", "")
    return {
        "avatar": AVATAR, "name": person.profile_name, "contactName": person.phonebook_name,
        "email": shop[0], "category": shop[1], "description": shop[2],
        "products": [], "chatId": person.id, "lastSeen": None, "isArchive": archived, "isDisappearing": False, "isMute": False,
        "messageExpiration": 0, "muteExpiration": None, "isBusiness": person.business,
    }  # fmt: skip


def group_data(group: Group, people: dict[str, Person]) -> Fields:
    """Everything about one group; each participant with both ids (docs, GetGroupData)."""
    participants = [_participant(group, member, people[member].lid) for member in group.members]
    told: Fields = {
        "groupId": group.id, "owner": group.owner, "subject": group.subject, "creation": group.created_at,
        "participants": participants, "subjectTime": group.created_at, "subjectOwner": group.owner, "groupInviteLink": "",
        "ephemeralExpiration": 0, "allowParticipantsEditGroupSettings": False, "allowParticipantsSendMessages": True,
        "allowParticipantsAddMembers": True, "isCommunity": False, "isCommunityAnnounce": False, "size": len(participants),
    }  # fmt: skip
    return {**told, "description": group.description} if group.description else told


def _participant(group: Group, member: str, lid: str) -> Fields:
    return {"id": member, "lid": lid, "isAdmin": member in group.admins, "isSuperAdmin": member == group.owner}
