"""Files as strangers send them, made in code: pictures of every kind, videos, recordings, documents, and files that lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

RED, BLUE = (220, 20, 20), (20, 20, 220)
_NAMES = 'xmlns:w="urn:w" xmlns:a="urn:a" xmlns:t="urn:t"'


def encoded(picture: Image.Image, encoding: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, encoding, **options)
    return file.getvalue()


def two_halves(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (0, 0, size[0] // 2, size[1]))
    return picture


def photograph(size: tuple[int, int] = (900, 600), **options: Any) -> bytes:
    return encoded(Image.effect_noise(size, 90).convert("RGB"), "JPEG", **options)


def moving_sticker(frames: int = 5) -> bytes:
    """An animated WebP that is clear around a red square in its first frame."""
    pictures = []
    for number in range(frames):
        picture = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
        picture.paste((220 - 40 * number, 20, 20, 255), (32, 32, 96, 96))
        picture.putpixel((0, 0), (0, 0, 0, 1))  # libwebp forgets the clear parts of frames that are clear at their edges only
        pictures.append(picture)
    return encoded(pictures[0], "WEBP", save_all=True, append_images=pictures[1:], lossless=True)


def bomb(side: int = 30_000) -> bytes:
    """A PNG of `side` times `side` white points that takes a hundred kilobytes."""
    packer = zlib.compressobj(9)
    row = b"\x00" + b"\xff" * (side // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf(*pages: str) -> bytes:
    """A PDF with a line of Latin letters on each page."""
    objects: list[bytes] = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for text in pages:
        stream = b"BT /F1 12 Tf 20 100 Td (%s) Tj ET" % text.encode("latin-1")
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b" ".join(kids), len(kids))
    body, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, value in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj%s\nendobj\n" % (number, value)
    size = len(objects) + 1
    return body + b"xref\n0 %d\n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, table, size, len(body))


def zipped(**members: str | bytes) -> bytes:
    """A zip; a double underscore in a name stands for a slash, one at its end for a dot before ``xml``."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
        archive.writestr("[Content_Types].xml", "<Types/>")
    return file.getvalue()


def docx(*paragraphs: str, before: str = "") -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return zipped(word__document=f"<?xml version='1.0'?>{before}<w:document {_NAMES}><w:body>{body}</w:body></w:document>")


def xlsx(*cells: str) -> bytes:
    shared = "".join(f"<t:si><t:t>{text}</t:t></t:si>" for text in cells)
    row = "".join(f'<t:c t="s"><t:v>{number}</t:v></t:c>' for number in range(len(cells)))
    sheet = f"<t:worksheet {_NAMES}><t:sheetData><t:row>{row}<t:c><t:v>1234.5</t:v></t:c></t:row></t:sheetData></t:worksheet>"
    return zipped(xl__sharedStrings=f"<t:sst {_NAMES}>{shared}</t:sst>", xl__worksheets__sheet1=sheet)


def pptx(*slides: str) -> bytes:
    return zipped(**{
        f"ppt__slides__slide{number}": f"<a:sld {_NAMES}><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:sld>"
        for number, text in enumerate(slides, 1)
    })  # fmt: skip


def video(path: Path, *, size: tuple[int, int] = (320, 240), frames: int = 25) -> Path:
    """A second of a red picture."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(frames):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, RED))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def voice_note(path: Path, seconds: float = 2.0) -> Path:
    """Opus in Ogg, as WhatsApp records it: a hum."""
    import av
    import numpy as np

    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000)
        for number in range(int(seconds * 50)):
            wave = (np.sin(np.arange(960) / 10) * 8000).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.rate, frame.pts = 48_000, number * 960
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def endless_jpeg() -> bytes:
    """A small file that takes minutes to unpack: it refines the same picture twenty thousand times."""
    data = encoded(Image.new("RGB", (3000, 3000), RED), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * 20_000 + b"\xff\xd9"
