"""What ``get_media`` answers: the facts of a message's file and, where there is something to see, a small picture of it.

A file is what its content says, not what the sender's program claimed. Whatever stands in it - the pixels of a picture, the
text of a document, the words of a voice note - comes from somebody else, so text is fenced like any other message.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp.types import Annotations, CallToolResult, ImageContent, ResourceLink, TextContent

from whatsapp_mcp.errors import MediaError, MissingExtra, NotFound
from whatsapp_mcp.server.answers import chat_title, minute
from whatsapp_mcp.server.fencing import clean, fence, inline, literal
from whatsapp_mcp.server.lines import length_text, size_text

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.viewing import Viewer
    from whatsapp_mcp.views import MessageView

SHOWN_TEXT: Final = 3000
"""So many characters of a document's text are shown; search finds them all."""

_MIME_TYPE: Final = re.compile("[a-z]{1,20}/[A-Za-z0-9.+_-]{1,80}(; ?codecs=[a-z0-9]{1,10})?")
_FILE_KINDS: Final = frozenset({"image", "video", "audio", "voice", "document", "sticker"})
_GIVEN_UP: Final = {
    "too large": "Green API gives no file over 100 MB. The phone has it.",
    "no link": "The gateway gave no link to it. The phone may still have it.",
    "expired": "It was not fetched in time: neither the gateway nor WhatsApp has it any more. The phone may still have it.",
    "failed": "Several attempts to fetch it failed; `whatsapp-mcp media download --again` tries again.",
    "skipped": "The settings leave such files out (MEDIA_KINDS, MEDIA_MAX_FILE_MB, MEDIA_MAX_TOTAL_GB).",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A stored file, and what it is by its content."""

    path: Path
    mime_type: str
    size: int


def media_answer(archive: Archive, handle: str | int, viewer: Viewer) -> CallToolResult:
    """Answer ``get_media`` with a picture by `viewer`; raises `NotFound` for a message without a file."""
    message = archive.queries.get_message(handle)
    if message.media is None and message.kind not in _FILE_KINDS:
        what = f"The message {message.handle} carries no file."
        raise NotFound(what, advice=f"read_chat around={message.handle} shows it with its surroundings.")
    file = _file(archive, message)
    picture, remark = _picture(archive, message, file, viewer)
    lines = [_facts(archive, message, file), _where(message, file), remark, _text_of(archive, message)]
    blocks: list[TextContent | ImageContent | ResourceLink] = [
        TextContent(type="text", text="\n".join(line for line in lines if line))
    ]
    if picture is not None:
        blocks.append(ImageContent(type="image", data=base64.b64encode(picture).decode("ascii"), mime_type="image/jpeg"))
    if file is not None:
        blocks.append(_link(message, file))
    return CallToolResult(content=list(blocks))


def stored_file(archive: Archive, message: MessageView) -> Path | None:
    """Return the file of a message where it is stored; a path that leads out of the archive's media is no file."""
    from whatsapp_mcp.media.files import path_within

    if message.media is None or not message.media.path:
        return None
    try:
        return path_within(archive.home, message.media.path)
    except (OSError, ValueError):  # no file can have such a name
        return None


def _file(archive: Archive, message: MessageView) -> _File | None:
    path = stored_file(archive, message)
    try:
        return None if path is None else _File(path, type_of_file(path), path.stat().st_size)
    except OSError:  # it went away just now
        return None


def type_of_file(path: Path) -> str:
    """Return the MIME type that the content of a stored file says."""
    from whatsapp_mcp.media.contents import identify

    try:
        return identify(path).mime_type
    except OSError:
        return "application/octet-stream"


def _picture(archive: Archive, message: MessageView, file: _File | None, viewer: Viewer) -> tuple[bytes | None, str]:
    """A JPEG to look at, and a remark where it is not the file itself or cannot be had."""
    if file is None:
        preview = _preview(archive, message, viewer)
        return preview, "The picture is the small preview that WhatsApp sent along; the file itself is not stored." * bool(
            preview
        )
    family = file.mime_type.partition("/")[0]
    if family not in ("image", "video") and file.mime_type != "application/pdf":
        return None, ""
    try:
        return viewer.show(file.path, file.mime_type), _part_shown(family)
    except MissingExtra as error:
        return _preview(archive, message, viewer), f"It is not shown here: {error}"
    except MediaError as error:
        return _preview(archive, message, viewer), f"It cannot be shown: {inline(str(error), 200)}"


def _part_shown(family: str) -> str:
    return {"video": "The picture is its first frame.", "application": "The picture is its first page."}.get(family, "")


def _preview(archive: Archive, message: MessageView, viewer: Viewer) -> bytes | None:
    from whatsapp_mcp.media.previews import preview_of

    if message.kind not in ("image", "video", "document", "sticker"):
        return None
    try:
        found = preview_of(archive, message)
        return viewer.show(found, "image/jpeg") if found else None
    except MediaError:
        return None


def _facts(archive: Archive, message: MessageView, file: _File | None) -> str:
    media = message.media
    facts = [f"{message.handle} {message.kind}"]
    if media is not None:
        facts.append(f"name {literal(media.filename, 120)}" if media.filename else "")
        facts.append(_type_told(media.mime_type, media.claimed_type, file))
        size = file.size if file else media.size
        facts.append(size_text(size) if size is not None else "")
        facts.append(f"{media.width} × {media.height} pixels" if media.width and media.height else "")
        facts.append(f"length {length_text(media.duration)}" if media.duration else "")
    sender = "You" if message.from_me else literal(message.sender.name) if message.sender else "unknown"
    facts.append(f"from {sender} at {minute(message.sent_at, archive.settings.timezone)}")
    facts.append(chat_title(message.chat))
    return " · ".join(fact for fact in facts if fact)


def _type_told(mime_type: str | None, claimed: str | None, file: _File | None) -> str:
    """What the content says; beside it what the sender's program said, where that is something else."""
    if file is None:
        return _type(mime_type or "")
    said = claimed or mime_type or ""
    differs = said.partition(";")[0].strip().lower() not in ("", file.mime_type)
    return f"{file.mime_type} (sent as {literal(said, 80)})" if differs else file.mime_type


def _type(mime_type: str) -> str:
    """The type as the sender's program gave it, which may be any text."""
    return mime_type if not mime_type or _MIME_TYPE.fullmatch(mime_type) else literal(mime_type)


def _where(message: MessageView, file: _File | None) -> str:
    if file is not None:
        return f"Stored at {literal(str(file.path), 400)}."
    media = message.media
    if media is not None and media.path:
        return (
            "The stored file is gone from the disk; `whatsapp-mcp verify` tells which are, `media download` fetches them again."
        )
    problem = media.problem if media else "no link"
    if problem:
        return f"The file is not stored ({inline(problem, 80)}). {_GIVEN_UP.get(problem, 'The phone may still have it.')}"
    return (
        "Not downloaded yet: `whatsapp-mcp media download` on the command line fetches files while the gateway still has them."
    )


def _text_of(archive: Archive, message: MessageView) -> str:
    """The text that was read out of the file, fenced."""
    found = archive.queries.media_text(message.media.sha256) if message.media and message.media.sha256 else None
    if found is None:
        return ""
    said = "What a model on this computer heard" if found.source == "voice" else "Its text"
    more = len(found.text) - SHOWN_TEXT
    part = f", the first {SHOWN_TEXT:,} of {len(found.text):,} characters" if more > 0 else ""
    return f"{said}{part}:\n{fence(clean(found.text[:SHOWN_TEXT]))}"


def _link(message: MessageView, file: _File) -> ResourceLink:
    return ResourceLink(
        type="resource_link",
        uri=f"whatsapp://media/{message.message_id}",
        name=f"media-{message.message_id}",
        mime_type=file.mime_type,
        size=file.size,
        annotations=Annotations(audience=["user"]),
    )
