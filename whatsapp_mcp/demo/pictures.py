"""Small real files: pictures, sounds and documents made in code, so that whatever opens them finds what the type promises.

Every name gives other bytes, and always the same ones.
"""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib
from functools import lru_cache
from typing import Final

RENEWED: Final = "renewed-"
"""Begins the name of a file whose address was renewed."""


def file_bytes(name: str) -> bytes:
    """The content of the file called `name`, by its ending; KeyError for an ending that the account does not hold."""
    ending = name.rpartition(".")[2].lower()
    if ending in ("jpg", "webp"):
        return _picture(name, "JPEG" if ending == "jpg" else "WEBP", (64, 48))
    makers = {"ogg": _ogg, "mp3": _mp3, "mp4": _mp4, "pdf": _pdf, "zip": _zip, "docx": _zip, "xlsx": _zip}
    return makers[ending](name)


@lru_cache(maxsize=64)
def thumbnail(number: int) -> str:
    """A tiny JPEG as base64, as ``jpegThumbnail`` carries it."""
    return base64.b64encode(_picture(f"thumbnail {number}", "JPEG", (16, 12))).decode()


def _picture(name: str, encoding: str, size: tuple[int, int]) -> bytes:
    from PIL import Image, ImageDraw

    seed = zlib.crc32(name.encode())
    image = Image.new("RGB", size, (seed & 255, seed >> 8 & 255, seed >> 16 & 255))
    box = (seed % 9, seed % 7, size[0] // 2 + seed % 5, size[1] // 2 + seed % 3)
    ImageDraw.Draw(image).ellipse(box, fill=(seed >> 24, seed & 127, 90))
    file = io.BytesIO()
    image.save(file, encoding, quality=40)
    return file.getvalue()


def _ogg(name: str) -> bytes:
    """Ogg Opus (RFC 7845): the two header pages and twenty milliseconds of silence."""
    serial = zlib.crc32(name.encode())
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, 16_000, 0, 0)
    vendor = b"fiction"
    comment = name.encode()
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<II", 1, len(comment)) + comment
    pages = ((2, 0, head), (0, 0, tags), (4, 960, b"\xf8\xff\xfe"))
    return b"".join(_ogg_page(kind, position, (serial, number), body) for number, (kind, position, body) in enumerate(pages))


def _ogg_page(kind: int, position: int, place: tuple[int, int], body: bytes) -> bytes:
    lengths = bytes([255] * (len(body) // 255) + [len(body) % 255])
    head = b"OggS\x00" + struct.pack("<BqII", kind, position, *place)
    rest = bytes([len(lengths)]) + lengths + body
    return head + struct.pack("<I", _ogg_checksum(head + b"\x00\x00\x00\x00" + rest)) + rest


def _ogg_checksum(data: bytes) -> int:
    """CRC-32 with the polynomial 04c11db7, unreflected (RFC 3533)."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def _mp3(name: str) -> bytes:
    """An ID3 tag with the name as title, and two silent frames of MPEG-1 layer III at 128 kbit/s."""
    title = b"\x03" + name.encode()
    frame = b"TIT2" + struct.pack(">I", len(title)) + b"\x00\x00" + title
    size = bytes([0, 0, len(frame) >> 7, len(frame) & 127])
    silence = b"\xff\xfb\x90\x64" + bytes(413)
    return b"ID3\x04\x00\x00" + size + frame + silence * 2


def _mp4(name: str) -> bytes:
    """An MP4 without tracks: ``ftyp``, an empty ``moov`` and the name in ``free``."""
    movie = struct.pack(">IIIII", 0, 0, 0, 1000, 0) + struct.pack(">IHH", 0x10000, 0x100, 0) + bytes(8)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = _box(b"mvhd", movie + matrix + bytes(24) + struct.pack(">I", 1))
    return _box(b"ftyp", b"isom\x00\x00\x02\x00isommp41") + _box(b"moov", header) + _box(b"free", name.encode())


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _pdf(name: str) -> bytes:
    """A PDF of one empty page, with the name's checksum as its title."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
        b"<</Title(%d)>>" % zlib.crc32(name.encode()),
    )
    body = b"%PDF-1.4\n"
    table = b"0000000000 65535 f \n"
    for number, value in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj%sendobj\n" % (number, value)
    return body + b"xref\n0 5\n%strailer<</Size 5/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (table, len(body))


def _zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("content.txt"), name)
    return file.getvalue()
