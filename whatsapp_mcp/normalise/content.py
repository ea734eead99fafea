"""What each ``typeMessage`` says: one small reader per type, behind one table.

The names are those of the Green API docs (receiving messages, journals). They decide what a message says and never
which message it is: the journal and the queue call the same message by different types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from whatsapp_mcp.normalise import media, structured
from whatsapp_mcp.normalise.parts import Content
from whatsapp_mcp.normalise.text import read_text, read_unknown
from whatsapp_mcp.normalise.values import Item

Reader: TypeAlias = Callable[[Item], Content]

READERS: Final[dict[str, Reader]] = {
    "textMessage": read_text,
    "extendedTextMessage": read_text,
    "quotedMessage": read_text,
    "imageMessage": media.read_image,
    "videoMessage": media.read_video,
    "documentMessage": media.read_document,
    "audioMessage": media.read_audio,
    "stickerMessage": media.read_sticker,
    "locationMessage": structured.read_location,
    "contactMessage": structured.read_contact,
    "contactsArrayMessage": structured.read_contacts,
    "pollMessage": structured.read_poll,
    "groupInviteMessage": structured.read_group_invite,
    "buttonsMessage": structured.read_buttons,
    "interactiveButtons": structured.read_buttons,
    "listMessage": structured.read_list,
    "templateMessage": structured.read_template,
    "buttonsResponseMessage": structured.read_buttons_reply,
    "interactiveButtonsReply": structured.read_interactive_reply,
    "interactiveButtonReply": structured.read_interactive_reply,
    "listResponseMessage": structured.read_list_reply,
    "templateButtonsReplyMessage": structured.read_template_reply,
    "templateButtonReplyMessage": structured.read_template_reply,
}
"""The reader of each type."""


def content_of(item: Item, type_message: str) -> Content:
    """What `item` says, read as a `type_message`; the 2023 docs spell some types with a capital first letter."""
    reader = READERS.get(type_message)
    if reader is None:
        reader = READERS.get(type_message[:1].lower() + type_message[1:], read_unknown)
    return reader(item)
