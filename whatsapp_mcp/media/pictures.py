"""Pictures of strangers, opened with care: upright, in plain colours, and never larger than a computer can bear.

What a file claims to be does not matter: Pillow looks at its first bytes, and only formats that Pillow reads by itself are
tried (its EPS reader, for one, runs Ghostscript). The number of pixels is known from the header and checked before anything
is unpacked; a JPEG is unpacked at a fraction of its size where that is enough, so even a very large photograph can be shown.
Whatever a file holds beside its pixels - the place where it was taken, a profile, a preview - does not come along.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.Image import Image, Transpose

MOST_PIXELS: Final = 50_000_000
"""A picture that would unpack to more is refused: four bytes each make 200 MB, and a telephone's sensor has fewer."""

FORMATS: Final = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
"""Pillow's names of the formats that are tried; ``HEIF`` is there once the extra ``[media]`` has been installed."""

SIDE: Final = 1024
"""Pixels of the longer side of what an answer shows: enough to read a photographed page, cheap enough to send."""

BYTES: Final = 200_000
"""What an answer shows stays under this."""

_QUALITIES: Final = (85, 70, 55, 40, 25)
_ORIENTATION: Final = 0x0112
_LEVELS: Final = 65_535
_ONE_AT_A_TIME: Final = threading.Lock()
"""`warnings.catch_warnings` changes what all threads see."""

_HEIF_NAMES: Final = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})

PROBLEMS: Final = (
    OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError,
    EOFError, MemoryError, struct.error, NotImplementedError,
)  # fmt: skip
"""What readers of files raise when they meet a damaged one; Pillow promises `OSError` and keeps no such promise."""


def read_picture(source: Path | bytes, side: int) -> Image:
    """The (first) picture of a file, upright, as ``RGB`` or ``RGBA``, no longer than `side` pixels on either side.

    Raises:
        UnreadableFile: it is no picture, it is damaged, or it would unpack to more than `MOST_PIXELS`.
        MissingExtra: it is a HEIC picture, and the extra ``[media]`` is not installed.

    """
    with _opened(source) as picture:
        picture.draft("RGB", (side, side))  # JPEG alone can unpack a fraction; the others do nothing here
        _refuse_bombs(picture)
        turn = _turn(picture)
        picture.load()
        return finished(picture, side, turn)


def picture_size(source: Path | bytes) -> tuple[int, int]:
    """Width and height as a picture is looked at (upright), from its header alone; raises like `read_picture`."""
    with _opened(source) as picture:
        width, height = picture.size
        return (height, width) if _turn(picture) >= 5 else (width, height)


def finished(picture: Image, side: int, turn: int = 1) -> Image:
    """A picture that was unpacked, made small, plain and upright; `turn` is EXIF's number for how it lies."""
    from PIL import Image

    plain = _plain(picture)
    plain.thumbnail((side, side), Image.Resampling.LANCZOS)
    way = _way_up(turn)
    upright = plain if way is None else plain.transpose(way)
    bare = Image.frombytes(upright.mode, upright.size, upright.tobytes())  # leaves everything that is no pixel behind
    upright.close()
    return bare


def as_jpeg(picture: Image, most: int = BYTES) -> bytes:
    """A picture as a JPEG under `most` bytes; where it can be seen through, it is laid upon white."""
    flat = _upon_white(picture)
    while True:
        for quality in _QUALITIES:
            buffer = BytesIO()
            flat.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() < most:
                return buffer.getvalue()
        flat = flat.resize((max(1, flat.width // 2), max(1, flat.height // 2)))


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Image]:
    """A file with its header read and nothing else; one at a time, so the memory for one picture is enough for all."""
    from PIL import Image

    from whatsapp_mcp.media.extras import allow_heif

    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes, which are checked here, and about odd metadata
        if _looks_like_heif(source):
            allow_heif()
        file = BytesIO(source) if isinstance(source, bytes) else source
        try:
            with Image.open(file, formats=_known_formats()) as picture:
                yield picture
        except Image.DecompressionBombError as error:
            raise UnreadableFile("The picture is too large to be unpacked.") from error
        except PROBLEMS as error:
            raise UnreadableFile("The file is no picture, or a damaged one.") from error


def _known_formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _looks_like_heif(source: Path | bytes) -> bool:
    """Whether the file's first box names a HEIF brand (ISO 14496-12: size, ``ftyp``, brand)."""
    if isinstance(source, bytes):
        start = source[:12]
    else:
        try:
            with source.open("rb") as file:
                start = file.read(12)
        except OSError:
            return False
    return start[4:8] == b"ftyp" and start[8:12] in _HEIF_NAMES


def _refuse_bombs(picture: Image) -> None:
    width, height = picture.size
    if width * height > MOST_PIXELS or width < 1 or height < 1:
        raise UnreadableFile(f"The picture has {width} × {height} pixels, which is too large to be unpacked.")


def _turn(picture: Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it is missing or cannot be read."""
    with contextlib.suppress(*PROBLEMS):
        told = picture.getexif().get(_ORIENTATION, 1)
        if isinstance(told, int) and 1 <= told <= 8:
            return told
    return 1


def _way_up(turn: int) -> Transpose | None:
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }.get(turn)  # fmt: skip


def _plain(picture: Image) -> Image:
    """The picture in 8-bit colours: as ``RGBA`` where something shows through, else as ``RGB``."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return _eight_bits(picture).convert("RGB")
    clear = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
    converted = picture.convert("RGBA" if clear else "RGB")
    if clear and converted.getchannel("A").getextrema() == (255, 255):
        converted = converted.convert("RGB")
    return converted


def _eight_bits(picture: Image) -> Image:
    """Sixteen bits and more of grey, brought to eight: converting alone would cut all bright ones off."""
    numbers = picture.convert("I") if picture.mode.startswith("I;") else picture
    low, high = (float(str(end)) for end in numbers.getextrema())  # a picture of one band has two numbers here
    top = max(high, 1.0) if picture.mode == "F" or high > _LEVELS else float(_LEVELS)
    bottom = min(low, 0.0)
    scale = 255.0 / (top - bottom)
    return numbers.point(lambda value: value * scale - bottom * scale).convert("L")


def _upon_white(picture: Image) -> Image:
    from PIL import Image

    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")
