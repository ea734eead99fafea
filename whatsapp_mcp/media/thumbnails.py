"""Thumbnails: a WebP of at most 512 pixels for each content that has something to see.

A thumbnail stands under ``media/thumbnails`` with the name of its content, so it is made once however often the file was
sent, and whether there is one is seen on the disk. It is written beside its place and moved there, so half a thumbnail never
shows. Pictures and stickers (the first frame of those that move) need nothing but Pillow; PDF pages, HEIC pictures and frames
of videos need the extra ``[media]``. A picture that WhatsApp sent along (`preview_picture`) serves for a video that is not
stored.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from whatsapp_mcp.errors import MediaError, UnreadableFile
from whatsapp_mcp.media.extras import frame_of_video, page_of_pdf
from whatsapp_mcp.media.files import DIGITS, FOLDER, THUMBNAILS
from whatsapp_mcp.media.looking import Facts, look
from whatsapp_mcp.media.pictures import SIDE as LARGE
from whatsapp_mcp.media.pictures import as_jpeg, read_picture

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

SIDE: Final = 512
"""Pixels of the longer side."""

LARGEST_PREVIEW: Final = 300_000
"""Bytes of a preview that is looked at; WhatsApp's own have a few kilobytes."""

_QUALITY: Final = 75


def picture_of(path: Path, mime_type: str, side: int) -> Image:
    """What there is to see of a file whose type by content is `mime_type`: the picture, the first page, the first frame.

    Raises:
        UnreadableFile: there is nothing to see, or the file is damaged or too large to be unpacked.
        MissingExtra: a library of the extra ``[media]`` would be needed.

    """
    if mime_type.startswith("image/"):
        return read_picture(path, side)
    if mime_type == "application/pdf":
        return page_of_pdf(path, side)
    if mime_type.startswith("video/"):
        return frame_of_video(path, side)
    raise UnreadableFile("There is nothing to see in the file.")


def thumbnail_path(sha256: str) -> str:
    """Where the thumbnail of a content stands once it is made, relative to the home."""
    return f"{FOLDER}/{THUMBNAILS}/{sha256[:DIGITS]}.webp"


class Glance(NamedTuple):
    """What looking at a file gave."""

    facts: Facts
    small: bytes | None
    """Its thumbnail, a WebP; None where there is nothing to see, a library is missing, or none was wanted."""


def glance(path: Path, mime_type: str, *, wants_small: bool) -> Glance:
    """Look at a file for its facts and, where one is wanted, a thumbnail; never raises on what a file holds."""
    small = None
    if wants_small:
        with suppress(MediaError):
            small = as_webp(picture_of(path, mime_type, SIDE))
    return Glance(look(path, mime_type), small)


class Seen(NamedTuple):
    """What is known of a stored file once it was looked at."""

    facts: Facts
    thumbnail: str | None
    """Relative to the home; None where there is nothing to see, or a library is missing."""


class LookAt(Protocol):
    """How a file is looked at: `glance`, or the same in a process of its own."""

    def __call__(self, path: Path, mime_type: str, *, wants_small: bool) -> Glance:
        """Look at the file at `path`."""


def see(home: Path, sha256: str, path: str, mime_type: str, *, look_at: LookAt = glance) -> Seen:
    """Look at the stored file at `path` (relative to `home`) and make its thumbnail, unless that is there.

    Never raises on what a file holds; raises OSError where the thumbnail cannot be written.
    """
    relative = thumbnail_path(sha256)
    has_small = (home / relative).is_file()
    facts, small = look_at(home / path, mime_type, wants_small=not has_small)
    if small is not None:
        write_whole(small, home / relative)
    return Seen(facts, relative if has_small or small is not None else None)


def as_webp(picture: Image) -> bytes:
    """A picture as a WebP of a thumbnail's quality."""
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def write_whole(data: bytes, target: Path) -> None:
    """Write `target`, all of it or nothing, readable by its owner alone; raises OSError."""
    if not target.parent.is_dir():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def shown(source: Path | bytes, mime_type: str) -> bytes:
    """What an answer shows of a stored file, or of a preview that came with its message: a small JPEG.

    Raises `UnreadableFile` or `MissingExtra`, like `picture_of`.
    """
    return preview_picture(source) if isinstance(source, bytes) else as_jpeg(picture_of(source, mime_type, LARGE))


def preview_picture(preview: bytes) -> bytes:
    """The small picture that came with a message, made anew as a JPEG; raises `UnreadableFile`."""
    if len(preview) > LARGEST_PREVIEW:
        raise UnreadableFile("The preview is too large.")
    return as_jpeg(read_picture(preview, SIDE))
