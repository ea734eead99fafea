"""The small pictures that WhatsApp sent along with photos, videos and documents, read from the payloads when one is wanted.

They are not kept a second time: most are never looked at, because the file itself is stored. For a file that is not, or not any
more, the preview is often all that there is left to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatsapp_mcp.normalise import preview_in, records_of
from whatsapp_mcp.records import Message

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.views import MessageView


def preview_of(archive: Archive, message: MessageView) -> bytes:
    """The preview of a message's file as it was received, which may be anything; empty where none is found."""
    wanted = message.whatsapp_message_id
    with archive.reader() as reader:
        for payload in reader.payloads.mentioning(wanted, message.chat.whatsapp_id, message.sent_at):
            preview = preview_in(payload.items[0])
            if preview and any(
                isinstance(record, Message) and record.id == wanted
                for record in records_of(payload.origin, payload.items[0], received_at=0, context=payload.context)
            ):
                return preview
    return b""
