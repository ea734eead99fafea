"""What ``get_media`` answers: the facts of a message's file and, where it is a stored picture, a small copy to look at."""

from __future__ import annotations

import base64
import re
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Final

from mcp.types import Annotations, CallToolResult, ImageContent, ResourceLink, TextContent

from whatsapp_mcp.errors import NotFound
from whatsapp_mcp.server.answers import chat_title, minute
from whatsapp_mcp.server.fencing import inline, literal
from whatsapp_mcp.server.lines import size_text

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.views import MessageView

SIDE: Final = 1024
"""Pixels of the longer side: enough to read a photographed page, cheap enough to show."""

BYTES: Final = 200_000
_QUALITIES: Final = (85, 70, 55, 40, 25)
_MIME_TYPE: Final = re.compile("[a-z]{1,20}/[A-Za-z0-9.+_-]{1,80}(; ?codecs=[a-z0-9]{1,10})?")
_FILE_KINDS: Final = frozenset({"image", "video", "audio", "voice", "document", "sticker"})


def media_answer(archive: Archive, handle: str | int) -> CallToolResult:
    """Answer ``get_media``; raises `NotFound` for a message without a file."""
    message = archive.queries.get_message(handle)
    if message.media is None and message.kind not in _FILE_KINDS:
        what = f"The message {message.handle} carries no file."
        raise NotFound(what, advice=f"read_chat around={message.handle} shows it with its surroundings.")
    path = stored_file(archive, message)
    blocks: list[TextContent | ImageContent | ResourceLink] = [TextContent(type="text", text=_facts(archive, message, path))]
    if path is not None:
        picture = scaled(path) if (message.media and (message.media.mime_type or "").startswith("image/")) else None
        if picture is not None:
            blocks.append(ImageContent(type="image", data=base64.b64encode(picture).decode("ascii"), mime_type="image/jpeg"))
        blocks.append(_link(message, path))
    return CallToolResult(content=list(blocks))


def stored_file(archive: Archive, message: MessageView) -> Path | None:
    """Return the file of a message where it is stored; a path that leads out of the archive's home is no file."""
    if message.media is None or not message.media.path:
        return None
    home = archive.home.resolve()
    path = (home / message.media.path).resolve()
    return path if path.is_relative_to(home) and path.is_file() else None


def scaled(path: Path) -> bytes | None:
    """Return a picture as a small JPEG, upright and without the place where it was taken; None if it is no picture."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # A picture of a stranger that unpacks to more than 89 million points is refused, not only warned of.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as original:
                picture = ImageOps.exif_transpose(original)
                picture.thumbnail((SIDE, SIDE))
                return _small(picture.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            return None


def _small(picture: object) -> bytes:
    from PIL import Image

    if not isinstance(picture, Image.Image):
        raise TypeError(type(picture))
    data = b""
    for quality in _QUALITIES:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        data = buffer.getvalue()
        if len(data) < BYTES:
            break
    return data


def _facts(archive: Archive, message: MessageView, path: Path | None) -> str:
    media = message.media
    facts = [f"{message.handle} {message.kind}"]
    if media is not None:
        facts.append(f"name {literal(media.filename, 120)}" if media.filename else "")
        facts.append(_type(media.mime_type or ""))
        facts.append(size_text(media.size) if media.size else "")
    sender = "You" if message.from_me else literal(message.sender.name) if message.sender else "unknown"
    facts.append(f"from {sender} at {minute(message.sent_at, archive.settings.timezone)}")
    facts.append(chat_title(message.chat))
    return "\n".join((" · ".join(fact for fact in facts if fact), _where(message, path)))


def _type(mime_type: str) -> str:
    """The type as the sender's program gave it, which may be any text."""
    return mime_type if not mime_type or _MIME_TYPE.fullmatch(mime_type) else literal(mime_type)


def _where(message: MessageView, path: Path | None) -> str:
    if path is not None:
        return f"Stored at {literal(str(path), 400)}."
    problem = message.media.problem if message.media else "no link"
    if problem:
        return f"The file cannot be had from the gateway: {inline(problem, 80)}. The phone may still have it."
    return (
        "Not downloaded yet: `whatsapp-mcp media download` on the command line fetches files while the gateway still has them."
    )


def _link(message: MessageView, path: Path) -> ResourceLink:
    return ResourceLink(
        type="resource_link",
        uri=f"whatsapp://media/{message.message_id}",
        name=f"media-{message.message_id}",
        mime_type=message.media.mime_type if message.media else None,
        size=path.stat().st_size,
        annotations=Annotations(audience=["user"]),
    )
