"""What ``list_chats`` and ``find_contact`` answer: one line each, names only as JSON strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from whatsapp_mcp.server.answers import coverage_text, minute
from whatsapp_mcp.server.fencing import inline, literal
from whatsapp_mcp.server.lines import counted

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.views import ChatView, ContactView

CONTACTS: Final = 20
GROUPS_SHOWN: Final = 8
FORMER_SHOWN: Final = 3
_NUMBER_AT_PLACE: Final = re.compile("[0-9-]+@[a-z.]+")
_EXTENT: Final = {
    "pending": "not synced yet",
    "running": "being synced",
    "truncated": "history cut off",
    "failed": "sync failed",
}


def chats_answer(
    archive: Archive, *, query: str | None, kind: str | None, limit: int, cursor: str | None, address: str = ""
) -> str:
    """Answer ``list_chats``; where a resource is read, the next page is told by its `address` instead of a cursor."""
    chats, next_cursor, total = archive.queries.list_chats(query=query, kind=kind, limit=limit, cursor=cursor)
    zone = archive.settings.timezone
    asked = f" matching {literal(query)}" if query and query.strip() else ""
    noun = {"private": "private chats", "group": "groups"}.get(kind or "", "chats")
    lines = [f"{len(chats)} of {total} {noun}{asked} · {zone.key} · {coverage_text(archive.queries.coverage(), zone)}"]
    lines += [chat_line(chat, zone) + (formerly(chat.former_names) if asked else "") for chat in chats]
    if next_cursor is not None:
        lines.append(f"More: {address}/{chats[-1].party.id}" if address else f"More: cursor={next_cursor}")
    if not chats and total:
        lines.append("There are no further chats.")
    elif not chats:
        lines += _near(archive, query or "", "chat")
        lines.append(_no_chat(query, kind))
    return "\n".join(lines)


def contacts_answer(archive: Archive, query: str) -> str:
    """Answer ``find_contact``."""
    found = archive.queries.find_contacts(query, limit=CONTACTS)
    zone = archive.settings.timezone
    lines = [f"{counted(len(found), 'contact')} matching {literal(query)} · {coverage_text(archive.queries.coverage(), zone)}"]
    lines += [contact_line(contact) for contact in found]
    members = [] if found else _people_of(archive, query)
    lines += members
    if not found and not members:
        lines += _near(archive, query, "contact")
        lines.append(
            "Next: find_contact with a shorter part of the name, another spelling or the number; list_chats for groups; "
            "search_messages with the name finds where others mention it."
        )
    return "\n".join(lines)


def _people_of(archive: Archive, query: str) -> list[str]:
    """The people of the groups that are called so, for nobody else is."""
    groups, people, total = archive.queries.people_of(query, limit=CONTACTS)
    if not people:
        return []
    named = ", ".join(f"{group.id} {literal(group.name, 40)}" for group in groups[:GROUPS_SHOWN])
    shown = f"{len(people)} of {total}" if total > len(people) else str(total)
    return [f"A group is called so: {named}; {shown} of its people:", *map(contact_line, people)]


def chat_line(chat: ChatView, zone: ZoneInfo) -> str:
    """Return a chat on one line: id, name, kind, number, messages, last activity, and what is not archived."""
    facts = [f"{chat.party.id} {literal(chat.party.name)} {chat.kind}"]
    if chat.phone_number:
        facts.append(f"+{chat.phone_number}")
    facts.append(counted(chat.message_count, "message"))
    if chat.last_message_at is not None:
        facts.append(f"last {minute(chat.last_message_at, zone)}")
    facts.append("archived" if chat.is_archived else "")
    facts.append(_EXTENT.get(chat.sync_progress, ""))
    facts.append(f"error: {inline(chat.last_error, 120)}" if chat.last_error else "")
    return " · ".join(fact for fact in facts if fact)


def contact_line(contact: ContactView) -> str:
    """Return a person on one line: id, name, number, other names, former ones, private chat, groups."""
    facts = [f"{contact.party.id} {literal(contact.party.name)}"]
    facts.append(f"+{contact.phone_number}" if contact.phone_number else _address(contact.party.whatsapp_id))
    others = {contact.phonebook_name, contact.profile_name, *_names(contact.aliases)} - {contact.party.name, None, ""}
    if others:
        facts.append("also " + ", ".join(literal(str(name)) for name in sorted(others, key=str)))
    facts.append(formerly(contact.former_names).removeprefix(" · "))
    facts.append("business" if contact.is_business else "")
    if contact.private_chat is not None:
        facts.append(f"private chat {contact.private_chat.id} with {counted(contact.message_count, 'message')}")
    facts.append(_groups(contact))
    return " · ".join(fact for fact in facts if fact)


def formerly(names: tuple[str, ...]) -> str:
    """What a chat or a person was called before, as a further fact of their line; empty when there is nothing to say."""
    if not names:
        return ""
    more = len(names) - FORMER_SHOWN
    shown = ", ".join(literal(name, 40) for name in names[:FORMER_SHOWN])
    return f" · formerly {shown}{f' and {more} more' if more > 0 else ''}"


def _address(whatsapp_id: str) -> str:
    """WhatsApp's id of somebody without a number; for people of an imported chat it is made of their name."""
    return inline(whatsapp_id) if _NUMBER_AT_PLACE.fullmatch(whatsapp_id) else literal(whatsapp_id)


def _near(archive: Archive, query: str, kind: Literal["chat", "contact"]) -> list[str]:
    near = archive.queries.nearest(query, kind) if query.strip() else ()
    return [f"Near names: {', '.join(literal(name) for name in near)}"] if near else []


def _names(aliases: tuple[str, ...]) -> list[str]:
    """Aliases that are names; WhatsApp's own ids say nothing to a reader."""
    return [alias for alias in aliases if "@" not in alias and not alias.isdigit()]


def _groups(contact: ContactView) -> str:
    if not contact.groups:
        return ""
    shown = ", ".join(f"{group.id} {literal(group.name, 40)}" for group in contact.groups[:GROUPS_SHOWN])
    more = len(contact.groups) - GROUPS_SHOWN
    return f"in {counted(len(contact.groups), 'group')}: {shown}{f' and {more} more' if more > 0 else ''}"


def _no_chat(query: str | None, kind: str | None) -> str:
    if query and kind:
        return "Next: list_chats without kind, or find_contact for a person."
    if query:
        return "Next: list_chats with a shorter part of the name, or find_contact for a person."
    return "Next: start_full_sync fetches the account's chats; full_sync_status shows how far it is."
