"""The facts of a stored file that can be had by looking: how large a picture is, how long a recording lasts.

Only headers are read. Lengths of sounds come from tinytag: pure Python, no dependencies, in active care; it reads the
position of an Ogg file's last page, so a voice note's length costs no decoder. Frames of a video are measured where the extra
``[media]`` is installed. A fact that cannot be had is None, and nothing that a file says in there is believed beyond reason.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.errors import MediaError
from whatsapp_mcp.media import extras
from whatsapp_mcp.media.pictures import PROBLEMS, picture_size

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 100 * 3600.0
"""Seconds: no recording in a file of at most 100 MB lasts longer, whatever its header says."""

LARGEST: Final = 1_000_000
"""Pixels of a side that are believed."""


class Facts(NamedTuple):
    """What looking at a file told."""

    width: int | None = None
    """Pixels, as it is looked at."""
    height: int | None = None
    duration: float | None = None
    """Seconds."""


NO_FACTS: Final = Facts()


def look(path: Path, mime_type: str) -> Facts:
    """The facts of the file at `path`, whose type by content is `mime_type`; never raises on what a file holds."""
    family = mime_type.partition("/")[0]
    if family == "image":
        return Facts(*_sides(path))
    if family == "video":
        return _film(path)
    if family == "audio":
        return Facts(duration=_seconds(path))
    return NO_FACTS


def _sides(path: Path) -> tuple[int | None, int | None]:
    try:
        width, height = picture_size(path)
    except MediaError:
        return None, None
    return _believed(width, height)


def _film(path: Path) -> Facts:
    if not extras.have("av"):
        return Facts(duration=_seconds(path))
    try:
        width, height, seconds = extras.measures_of_video(path)
    except MediaError:
        return Facts(duration=_seconds(path))
    return Facts(*_believed(width, height), _reasonable(seconds))


def _believed(width: int, height: int) -> tuple[int | None, int | None]:
    return (width, height) if 0 < width <= LARGEST and 0 < height <= LARGEST else (None, None)


def _seconds(path: Path) -> float | None:
    from tinytag import TinyTag, TinyTagException

    with contextlib.suppress(TinyTagException, RecursionError, *PROBLEMS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _reasonable(TinyTag.get(path, tags=False).duration)
    return None


def _reasonable(seconds: float | None) -> float | None:
    return round(float(seconds), 2) if seconds is not None and math.isfinite(seconds) and 0 < seconds <= LONGEST else None
