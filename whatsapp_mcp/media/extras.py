"""What only the optional libraries of the extras ``[media]`` and ``[transcribe]`` can open: HEIC, PDF pages, video, sound.

Each is imported when the first file needs it. All of them run in this process and fetch nothing: FFmpeg (in PyAV) would
follow the addresses in a playlist, so only containers that hold their own data are opened, and only from a file that is open
already.
"""

from __future__ import annotations

import threading
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.errors import MissingExtra, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.Image import Image

LONGEST_PAGE: Final = 20_000.0
"""Points of the longer side of a PDF page; PDF itself ends at 14,400 (ISO 32000-1, annex C)."""

MOST_FRAME_PIXELS: Final = 40_000_000
_CONTAINERS: Final = "mov,mp4,matroska,webm,avi,3gp,ogg,mp3,wav,flac,aac,amr,mpegts"
_PDFIUM: Final = threading.Lock()
"""PDFium may be used by one thread at a time (pypdfium2's README, "Thread safety")."""
_PDF_SIDE_LEAST: Final = 1.0
_TEXTS_OF_PDF: Final = "The texts of PDF files need an optional library."


def have(library: str) -> bool:
    """Whether a library of an extra is installed, without importing it."""
    return find_spec(library) is not None


def optional(library: str, what: str, extra: str) -> Any:  # noqa: ANN401 - a module that may not be there has no type
    """The module of that name; raises `MissingExtra` that tells how `what` can be had."""
    try:
        return import_module(library)
    except ImportError:
        raise MissingExtra(f"{what} need an optional library.", extra=extra) from None


def check_pdf() -> None:
    """Raise `MissingExtra` where PDF files cannot be read."""
    if not have("pypdfium2"):
        raise MissingExtra(_TEXTS_OF_PDF, extra="transcribe")


def allow_heif() -> None:
    """Teach Pillow to open HEIC pictures; raises `MissingExtra` without the library."""
    optional("pillow_heif", "HEIC pictures", "media").register_heif_opener()


def page_of_pdf(path: Path, side: int) -> Image:
    """The first page of a PDF as a picture of `side` pixels; raises `UnreadableFile` or `MissingExtra`."""
    pdfium = optional("pypdfium2", "The pages of PDF files", "media")
    with _PDFIUM:
        try:
            document = pdfium.PdfDocument(path)
            try:
                page = document[0]
                longest = max(page.get_size())
                if not _PDF_SIDE_LEAST <= longest <= LONGEST_PAGE:
                    raise UnreadableFile("The PDF's first page has no size that can be shown.")
                picture: Image = page.render(scale=side / longest, may_draw_forms=False).to_pil().convert("RGB")
                return picture
            finally:
                document.close()
        except (pdfium.PdfiumError, OSError, ValueError, IndexError) as error:
            raise UnreadableFile("The PDF cannot be read.") from error


def text_of_pdf(path: Path, most: int) -> Iterator[str]:
    """The text of a PDF page by page, until `most` characters are had; raises `UnreadableFile` or `MissingExtra`."""
    pdfium = optional("pypdfium2", "The texts of PDF files", "transcribe")
    with _PDFIUM:
        try:
            document = pdfium.PdfDocument(path)
            try:
                had = 0
                for page in document:
                    text = page.get_textpage().get_text_bounded(errors="ignore")
                    had += len(text)
                    yield text
                    if had >= most:
                        return
            finally:
                document.close()
        except (pdfium.PdfiumError, OSError, ValueError) as error:
            raise UnreadableFile("The PDF cannot be read.") from error


def frame_of_video(path: Path, side: int) -> Image:
    """The first frame of a video that can be shown; raises `UnreadableFile` or `MissingExtra`."""
    from whatsapp_mcp.media.pictures import finished

    av = optional("av", "Pictures of videos", "media")
    try:
        with path.open("rb") as file, av.open(file, format=_container(path), options=_LOCAL) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # one frame needs no more, and each thread its share of memory
            is_too_large = stream.width * stream.height > MOST_FRAME_PIXELS
            for frame in () if is_too_large else container.decode(stream):
                return finished(_turned(frame), side)
    except (av.error.FFmpegError, OSError, ValueError, IndexError, AttributeError, MemoryError) as error:
        raise UnreadableFile("The video cannot be read.") from error
    raise UnreadableFile("The video's frames are too large to be unpacked." if is_too_large else "The video holds no picture.")


def measures_of_video(path: Path) -> tuple[int, int, float]:
    """Width, height and seconds (0 where that is not told) of a video by its header.

    Raises `UnreadableFile` or `MissingExtra`.
    """
    av = optional("av", "The sizes of videos", "media")
    try:
        with path.open("rb") as file, av.open(file, format=_container(path), options=_LOCAL) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height, (container.duration or 0) / av.time_base
    except (av.error.FFmpegError, OSError, ValueError, IndexError, AttributeError) as error:
        raise UnreadableFile("The video cannot be read.") from error


_LOCAL: Final = {"protocol_whitelist": "", "enable_drefs": "0", "use_absolute_path": "0"}
"""Nothing that a file names is opened: no segment, no external track (FFmpeg docs, "Protocol Options" and "mov/mp4")."""


def _turned(frame: Any) -> Image:  # noqa: ANN401 - a frame of an optional library
    """A frame as it is meant to be seen: phones film lying down and note by how much to turn."""
    picture: Image = frame.to_image()
    rotation = getattr(frame, "rotation", 0)
    return picture.rotate(rotation, expand=True) if rotation else picture


def sound_of(path: Path, rate: int, longest: int) -> Any:  # noqa: ANN401 - an array of numpy, which may not be there
    """A recording as one row of 32-bit samples, `rate` a second, cut after `longest` seconds; for a model that listens.

    Raises `UnreadableFile` or `MissingExtra`.
    """
    av, numpy = (optional(name, "The sounds of voice messages", "transcribe") for name in ("av", "numpy"))
    pieces, had = [], 0
    try:
        with path.open("rb") as file, av.open(file, format=_container(path), options=_LOCAL) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
            for frame in container.decode(container.streams.audio[0]):
                for part in resampler.resample(frame):
                    pieces.append(part.to_ndarray().reshape(-1))
                    had += part.samples
                if had >= rate * longest:
                    break
    except (av.error.FFmpegError, OSError, ValueError, IndexError, MemoryError) as error:
        raise UnreadableFile("The recording cannot be read.") from error
    if not pieces:
        raise UnreadableFile("The recording is empty.")
    return numpy.concatenate(pieces)


def silence(samples: int) -> Any:  # noqa: ANN401 - an array of numpy, which may not be there
    """So many samples of a recording of nothing; raises `MissingExtra`."""
    numpy = optional("numpy", "The sounds of voice messages", "transcribe")
    return numpy.zeros(samples, dtype=numpy.float32)


_SIGNS: Final = (
    (0, b"OggS", "ogg"), (0, b"ID3", "mp3"), (0, b"\xff\xfb", "mp3"), (0, b"\xff\xf3", "mp3"), (0, b"RIFF", "wav"),
    (0, b"fLaC", "flac"), (0, b"\x1aE\xdf\xa3", "matroska"), (0, b"#!AMR", "amr"), (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"), (4, b"ftyp", "mp4"), (4, b"moov", "mp4"), (4, b"mdat", "mp4"), (4, b"free", "mp4"),
)  # fmt: skip
"""By which bytes a container is known; FFmpeg would also take a text for a playlist and open what that names."""


def _container(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    for at, sign, name in _SIGNS:
        if start[at : at + len(sign)] == sign:
            return "avi" if start[8:12] == b"AVI " else name
    raise UnreadableFile("The file is no video and no sound that can be read.")
