"""What is said in voice notes, by a Whisper model that lies on this computer.

whisper.cpp, through pywhispercpp, runs on the CPU of any computer: 25 MB with numpy, where faster-whisper brings CTranslate2,
ONNX Runtime, a tokenizer and a downloader (250 MB), and Vosk has had no release since 2022. It is only ever given a path:
pywhispercpp would fetch a model that it is given by name, and nothing here asks anybody for anything.
"""

from __future__ import annotations

import atexit
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.errors import MissingExtra, UnreadableFile
from whatsapp_mcp.media.documents import tidy
from whatsapp_mcp.media.extras import optional, silence, sound_of

if TYPE_CHECKING:
    from pathlib import Path

RATE: Final = 16_000
"""Samples a second that Whisper takes."""

LONGEST_SECONDS: Final = 3600
"""Of a longer recording only the first hour is heard."""

_MAGIC: Final = b"lmgg"
"""A ggml file begins with 0x67676d6c, the least byte first (whisper.cpp, ``convert-pt-to-ggml.py``)."""
_MULTILINGUAL: Final = 51_865
"""A model with so many words or more knows more than English (whisper.cpp, ``is_multilingual``); their number stands next."""
_MOST_THREADS: Final = 8
NO_MODEL: Final = "The model that TRANSCRIBE_MODEL names cannot be loaded."

HOW_TO_GET: Final = (
    "Get a Whisper model in ggml format (the README of whisper.cpp says where; ggml-small.bin, 466 MB, knows most languages), "
    "put it anywhere on this computer and set TRANSCRIBE_MODEL to its path. Voice notes never leave this computer."
)


def checked_model(path: Path | None) -> Path:
    """The model at `path`, if it looks like one; raises `MissingExtra` that says how to get one, or `UnreadableFile`."""
    if path is None:
        raise MissingExtra("No model for voice notes is set.", advice=HOW_TO_GET)
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError:
        raise MissingExtra("The file that TRANSCRIBE_MODEL names cannot be read.", advice=HOW_TO_GET) from None
    if start != _MAGIC:
        raise UnreadableFile("The file that TRANSCRIBE_MODEL names is no Whisper model in ggml format.", advice=HOW_TO_GET)
    optional("pywhispercpp.model", "Transcripts of voice notes", "transcribe")
    optional("av", "Transcripts of voice notes", "transcribe")
    return path


def transcribe(path: Path | None, model: Path) -> tuple[str, str | None]:
    """What is said in the recording at `path`, and its language (ISO 639-1) where the model could tell.

    None is a second of silence, which every model that works can hear. Blocks for a part of the recording's length. Raises
    `UnreadableFile` or `MissingExtra`.
    """
    samples = silence(RATE) if path is None else sound_of(path, RATE, LONGEST_SECONDS)
    loaded = _loaded(str(model))
    try:
        language = _language(loaded, samples) if _is_multilingual(model) else "en"
        segments = loaded.transcribe(samples, language=language)
    except (RuntimeError, ValueError, IndexError) as error:
        raise UnreadableFile("The model could not hear the recording.") from error
    return tidy(" ".join(segment.text for segment in segments)), language


def _is_multilingual(model: Path) -> bool:
    with model.open("rb") as file:
        return int.from_bytes(file.read(8)[4:], "little") >= _MULTILINGUAL


def _language(model: Any, samples: Any) -> str:  # noqa: ANN401 - an optional library's
    (language, _), _ = model.auto_detect_language(samples)
    return str(language)


@lru_cache(maxsize=1)
def _loaded(path: str) -> Any:  # noqa: ANN401 - an optional library's
    library = optional("pywhispercpp.model", "Transcripts of voice notes", "transcribe")
    atexit.register(_loaded.cache_clear)  # later, when modules are torn down, its own end would fail and say so
    try:
        return library.Model(
            path,
            context_params={"use_gpu": False},
            redirect_whispercpp_logs_to=None,
            n_threads=min(_MOST_THREADS, os.cpu_count() or 1),
            print_progress=False,
            print_realtime=False,
            print_timestamps=False,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise UnreadableFile(NO_MODEL, advice=HOW_TO_GET) from error
