"""Texts, and messages of types that are not known yet."""

from __future__ import annotations

from whatsapp_mcp.normalise.parts import Content, usual_text
from whatsapp_mcp.normalise.values import Item, part, text

_TEXT_FIELDS = ("text", "caption", "contentText", "textMessage", "body")


def read_text(item: Item) -> Content:
    """Plain texts, texts with a link, and answers: a person sees one and the same."""
    return Content("text", usual_text(item))


def read_unknown(item: Item) -> Content:
    """A type that this version does not know: its text and file, if they stand where such things usually stand."""
    file = part(item, "fileMessageData") or item
    return Content(
        "unknown",
        usual_text(item) or _nested_text(item),
        "",
        text(file.get("downloadUrl")),
        text(file.get("fileName")),
        text(file.get("mimeType")),
    )


def _nested_text(item: Item) -> str:
    for name, value in item.items():
        if isinstance(value, dict) and name not in {"quotedMessage", "senderContactName"}:
            for field in _TEXT_FIELDS:
                words = text(value.get(field))
                if words:
                    return words
    return ""
