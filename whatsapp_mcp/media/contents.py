"""What a file is, by its content alone: names and types that came with it decide nothing.

The signatures are puremagic's: pure Python without dependencies, in active care, and one list for pictures, sounds, videos and
documents. ``python-magic`` wants a C library that Windows and macOS lack, ``filetype`` has had no release since 2022, and
Magika brings a neural network of 30 MB. What puremagic leaves open is settled here: a zip is looked into, because every office
document is one; an Ogg file is asked for its codec, because WhatsApp's voice notes are Opus; and what has no signature is text
or not.
"""

from __future__ import annotations

import zipfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

HEAD: Final = 4096
"""Bytes of the beginning, and as many of the end, that are looked at."""

_USUAL: Final = {
    "image/jpeg": ".jpg", "audio/mpeg": ".mp3", "audio/ogg": ".ogg", "video/ogg": ".ogv", "image/heif": ".heic",
    "image/tiff": ".tif", "application/gzip": ".gz", "text/vcard": ".vcf", "audio/amr": ".amr", "audio/mp4": ".m4a",
    "video/3gpp": ".3gp", "audio/aac": ".aac", "video/quicktime": ".mov",
}  # fmt: skip
"""Where a type has several endings, or puremagic's first one is unusual."""
_SAID_OTHERWISE: Final = {"application/ogg": "audio/ogg", "application/x-gzip": "application/gzip"}
_OF_ENDING: Final = {".amr": "audio/amr", ".m4a": "audio/mp4", ".vcf": "text/vcard", ".opus": "audio/ogg", ".aac": "audio/aac"}
"""Types of endings for which puremagic knows no type."""
_IN_ZIP: Final = (
    ("word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
    ("xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    ("ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx"),
    ("AndroidManifest.xml", "application/vnd.android.package-archive", ".apk"),
)
"""What stands in a zip that is more than a zip (ECMA-376, part 2; Android's package format)."""
_OPEN_DOCUMENTS: Final = {
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/epub+zip": ".epub",
}
"""What the member ``mimetype`` says (OpenDocument 1.3, part 2; EPUB OCF 3.3)."""
_BOX: Final = b"\x00\x00\x00\x24ftyp"
_BRANDS_END: Final = 256
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_IN_OLE: Final = (
    ("WordDocument", "application/msword", ".doc"),
    ("Workbook", "application/vnd.ms-excel", ".xls"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint", ".ppt"),
)
"""Streams of old office documents ([MS-CFB]): their names stand in the directory in UTF-16."""
_LARGEST_DIRECTORY: Final = 1_500_000
"""Bytes: a zip with a larger directory, about 15,000 members, is no office document that we care to look into. Each member
costs ten times the memory that it takes in the file, and a directory may list the same one a million times."""
_END_OF_ZIP: Final = b"PK\x05\x06"
_ZIP64: Final = b"PK\x06\x07"
_UNSURE: Final = 0.3
"""Two letters like ``MZ`` or ``BM`` begin many a text as well: puremagic's confidence is a tenth for each byte that fits."""


class Content(NamedTuple):
    """A type and the ending that belongs to it."""

    mime_type: str
    ending: str
    """With its dot; at most eight letters or digits."""


UNKNOWN: Final = Content("application/octet-stream", ".bin")
TEXT: Final = Content("text/plain", ".txt")
ZIP: Final = Content("application/zip", ".zip")


def identify(path: Path) -> Content:
    """What the file at `path` is; an empty one is unknown."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, path.stat().st_size - HEAD))
        return recognise(path, head, file.read(HEAD))


def recognise(path: Path, head: bytes, tail: bytes) -> Content:
    """`identify` for a file whose first and last bytes are at hand: `HEAD` of each, or all there are."""
    if head.startswith(b"PK"):
        return _in_zip(path, tail)
    if head.startswith(_OLE):
        return _in_ole(path)
    if head.startswith(b"OggS"):
        return _in_ogg(head)
    if head[4:8] == b"ftyp":
        return _in_boxes(head)
    return by_signature(head, tail)


def by_signature(head: bytes, tail: bytes = b"") -> Content:
    """What begins and ends with these bytes."""
    import puremagic

    if not head:
        return UNKNOWN
    if head.startswith(BOM_UTF8):
        return by_signature(head[3:], tail.removeprefix(BOM_UTF8))
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) and _text(head) is TEXT:
        return TEXT
    try:
        found = puremagic.magic_string(head if head == tail else head + tail)
    except (puremagic.PureError, ValueError):
        return _text(head)
    best = found[0]
    if best.confidence < _UNSURE and _text(head) is TEXT:
        return TEXT
    mime_type = best.mime_type or next(
        (one.mime_type for one in found if one.extension == best.extension and one.mime_type), ""
    )
    if not mime_type or mime_type == UNKNOWN.mime_type:
        mime_type = _OF_ENDING.get(best.extension, UNKNOWN.mime_type)
    mime_type = _SAID_OTHERWISE.get(mime_type, mime_type)
    endings = {one.extension for one in found if one.mime_type in ("", mime_type)}
    return Content(mime_type, _ending(mime_type, best.extension, endings))


def _ending(mime_type: str, best: str, endings: set[str]) -> str:
    if mime_type in _USUAL:
        return _USUAL[mime_type]
    plain = "." + mime_type.partition("/")[2].removeprefix("x-")
    ending = (plain if plain in endings else best).lower()
    return (
        ending if ending[:1] == "." and ending[1:].isascii() and ending[1:].isalnum() and len(ending) <= 9 else UNKNOWN.ending
    )


def _text(head: bytes) -> Content:
    """UTF-8, or UTF-16 that says so, without control characters is text; a letter may be cut where the head ends."""
    code = "utf-16" if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        text = head[:HEAD].decode(code, "strict")
    except UnicodeDecodeError as error:
        if error.start < min(len(head), HEAD) - 3 or len(head) < HEAD:
            return UNKNOWN
        text = head[: error.start].decode(code)
    return TEXT if all(letter >= " " or letter in "\t\r\n\f" for letter in text) else UNKNOWN


def _in_zip(path: Path, tail: bytes) -> Content:
    if not _has_plain_directory(tail):
        return ZIP
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if names[:1] == ["mimetype"] and _is_short_and_plain(archive.getinfo("mimetype")):
                said = archive.read("mimetype").decode("ascii", "replace").strip()
                if said in _OPEN_DOCUMENTS:
                    return Content(said, _OPEN_DOCUMENTS[said])
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        return ZIP
    for start, mime_type, ending in _IN_ZIP:
        if any(name.startswith(start) for name in names) and (ending == ".apk" or "[Content_Types].xml" in names):
            return Content(mime_type, ending)
    return ZIP


def _has_plain_directory(tail: bytes) -> bool:
    """Whether a zip ends as office documents do: its directory's length stands in the last bytes (APPNOTE 4.3.16)."""
    at = tail.rfind(_END_OF_ZIP)
    if at < 0 or tail[max(0, at - 20) : at].startswith(_ZIP64):
        return False
    return int.from_bytes(tail[at + 12 : at + 16], "little") <= _LARGEST_DIRECTORY and (at >= 20 or len(tail) < HEAD)


def _is_short_and_plain(member: zipfile.ZipInfo) -> bool:
    """A packed one is not what the formats ask for, and would have to be unpacked."""
    return member.compress_type == zipfile.ZIP_STORED and member.file_size < 100


def _in_ole(path: Path) -> Content:
    with path.open("rb") as file:
        size = path.stat().st_size
        sector = 1 << min(int.from_bytes(file.read(32)[30:32], "little"), 12)
        file.seek(48)
        start = (int.from_bytes(file.read(4), "little") + 1) * sector
        file.seek(min(start, size))
        directory = file.read(4 * HEAD)
    for name, mime_type, ending in _IN_OLE:
        if name.encode("utf-16-le") in directory:
            return Content(mime_type, ending)
    return Content("application/x-ole-storage", ".ole")


def _in_boxes(head: bytes) -> Content:
    """The brand of the first box that puremagic knows, which are heard in their order (ISO 14496-12, 4.3).

    By itself it takes some lengths of that box for a video, whatever brand stands in it, and looks at the first one only.
    """
    length = min(int.from_bytes(head[:4], "big"), len(head), _BRANDS_END)
    for at in (8, *range(16, length - 3, 4)):
        found = by_signature(_BOX + head[at : at + 4] + bytes(24))
        if found != UNKNOWN:
            return found
    return UNKNOWN


def _in_ogg(head: bytes) -> Content:
    """A video track names itself in the first page (RFC 5334); everything else in Ogg is sound."""
    is_video = b"\x80theora" in head[:HEAD] or b"BBCD" in head[28:40]
    return Content("video/ogg", ".ogv") if is_video else Content("audio/ogg", ".ogg")
