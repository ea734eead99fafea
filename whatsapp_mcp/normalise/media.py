"""Messages that carry a file.

Journals put a file's fields flat into the item, notifications into ``fileMessageData`` (Green API docs).
"""

from __future__ import annotations

import base64
import json

from whatsapp_mcp.normalise.parts import Content
from whatsapp_mcp.normalise.values import Item, flag, part, text

_VOICE_SUFFIXES = (".ogg", ".oga", ".opus")


def read_image(item: Item) -> Content:
    """A picture."""
    return _file("image", item)


def read_video(item: Item) -> Content:
    """A video; a round video note is one as well."""
    return _file("video", item)


def read_document(item: Item) -> Content:
    """Any file sent as a document."""
    return _file("document", item)


def read_sticker(item: Item) -> Content:
    """A sticker."""
    return _file("sticker", item)


def read_audio(item: Item) -> Content:
    """A voice message or another sound: WhatsApp records voice as Opus in Ogg, and Green API names both ``audioMessage``."""
    content = _file("audio", item)
    return content._replace(kind="voice") if _is_voice(content) or flag(item.get("ptt")) else content


def _is_voice(content: Content) -> bool:
    mime_type = content.mime_type.lower()
    return (
        "opus" in mime_type
        or mime_type.startswith("audio/ogg")
        or content.filename.lower().endswith(_VOICE_SUFFIXES)
        or content.url.lower().endswith(_VOICE_SUFFIXES)
    )


def preview_in(item: str) -> bytes:
    """The small JPEG that WhatsApp sent along with a file, from an item as received; empty where there is none.

    A journal has it beside the file's other fields, a notification under ``messageData.fileMessageData``, both as base64
    (Green API docs); the one in a quoted message is another message's.
    """
    try:
        told = json.loads(item)
    except ValueError:
        return b""
    item_read = told if isinstance(told, dict) else {}
    body = part(item_read, "body") or item_read
    data = part(body, "messageData") or body
    found = text((part(data, "fileMessageData") or data).get("jpegThumbnail"))
    try:
        return base64.b64decode(found.rpartition(",")[2], validate=True)
    except ValueError:
        return b""


def _file(kind: str, item: Item) -> Content:
    file = part(item, "fileMessageData") or item
    return Content(
        kind,
        text(file.get("caption")) or text(item.get("caption")),
        "",
        text(file.get("downloadUrl")),
        text(file.get("fileName")),
        text(file.get("mimeType")),
    )
