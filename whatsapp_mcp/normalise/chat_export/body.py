"""What one exported message is: a text, a file, a place, a poll, a call, a notice of the app.

Rules that need no language come first (a file's name, a map link, the direction mark with which iOS opens whatever the app
wrote itself); the lists in `words` catch the rest. What nothing recognises is the text that somebody typed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .header import MARKS, plain_text
from .words import (
    ATTACHED,
    CALLS,
    DELETED,
    DELETED_BY_ADMIN,
    EDITED,
    LIVE_LOCATIONS,
    LOCATION_WORDS,
    OMITTED,
    POLLS,
    UNSEEN,
)

LED: Final = ("\u200e", "\u200f")
"""A text that begins with one of these on iOS was written by the app, not by a person."""

OMITTED_MARKER: Final = "omitted"
"""`Message.marker` of media that the export left out: the message was seen, its file was not in it."""

_MARK = f"[{MARKS}]*"
_IOS_FILE = re.compile(
    rf"<{_MARK}([^:<>\n]{{2,20}}?)[ \u00a0]?:[ \u00a0]?{_MARK}(\d{{8}}-[^<>\n]+|[^<>\n]+\.\w{{2,5}})>{_MARK}\s*$"
)
_OLD_IOS_FILE = re.compile(rf"^(\S+\.\w{{2,5}}) <{_MARK}[^<>\n]{{4,20}}>$")
_ANDROID_FILE = re.compile(r"^(.+\.\w{1,5}) \(([^()\n]{4,40})\)$")
_WHATSAPP_FILE = re.compile(r"^(?:IMG|VID|PTT|AUD|STK|DOC)-\d{8}-WA\d{4}", re.IGNORECASE)
_TAG = re.compile(r"^(?:\d{8}-)?(IMG|PHOTO|VID|VIDEO|GIF|PTT|AUD|AUDIO|STK|STICKER|DOC)-", re.IGNORECASE)
_EDITED = re.compile(rf"\s*{_MARK}<{_MARK}([^<>:\n]{{5,60}})>{_MARK}\s*$")
_PLACE = re.compile(
    r"https?://(?:www\.|maps\.)?google\.[a-z.]+/(?:maps)?/?\?q=(-?\d{1,3}(?:\.\d+)?),(-?\d{1,3}(?:\.\d+)?)\S*\s*$"
)
_VENUE = re.compile(r"https?://(?:www\.)?foursquare\.com/v/\S+\s*$")
_OPTION = re.compile(r"^([^\s:]{3,14}): (.+?)(?: \(\d+ [^()]+\))?$")
_DURATION = re.compile(r"(\d+)\D*")
_DOCUMENT_NOTE = re.compile(r"^[^\n]+\.\w{1,5} • [^\n]*$")
_KIND_OF_TAG = {
    "IMG": "image", "PHOTO": "image", "VID": "video", "VIDEO": "video", "GIF": "video", "PTT": "voice", "AUD": "audio",
    "AUDIO": "audio", "STK": "sticker", "STICKER": "sticker", "DOC": "document",
}  # fmt: skip
_KIND_OF_SUFFIX = (
    dict.fromkeys(("jpg", "jpeg", "png", "heic", "gif", "webp"), "image")
    | dict.fromkeys(("mp4", "mov", "3gp", "mkv"), "video")
    | dict.fromkeys(("mp3", "m4a", "aac", "amr", "ogg", "wav"), "audio")
    | {"opus": "voice", "vcf": "contact"}
)


class Body(NamedTuple):
    """What a message's text says once it is read."""

    kind: str = "text"
    content: str = ""
    edited: bool = False
    deleted: bool = False
    marker: str = ""
    filename: str = ""
    latitude: float | None = None
    longitude: float | None = None
    place: str = ""
    is_video: bool | None = None
    status: str = ""
    duration: int | None = None


def read_body(text: str) -> Body:
    """Read what stands behind the sender; total for any text."""
    plain = text.replace("\r", "") if "\r" in text else text
    stripped = plain.strip(MARKS + " \n") if plain[:1] in MARKS or plain[-1:] in MARKS else plain.strip(" \n")
    edited = _EDITED.search(stripped) if stripped.endswith(">") else None
    if edited and _phrase(edited[1]) in EDITED:
        return _recognise(stripped[: edited.start()])._replace(edited=True)
    return _recognise(stripped)


def is_notice(first_line: str, style: str) -> bool:
    """True where iOS wrote this line itself and it stands for no message: a system row, whoever is named as its sender."""
    if style == "android" or not first_line.startswith(LED):
        return False
    line = first_line.strip(MARKS + " \r\n")
    if line.endswith(":") and _phrase(line[:-1]) in POLLS:
        return False
    body = read_body(line)
    return body.kind == "text" and not body.edited


def _phrase(text: str) -> str:
    return plain_text(text).strip().rstrip(".").lower()


def _recognise(text: str) -> Body:
    if not text:
        # Android writes nothing, or a bare "null", where a view-once message stood.
        return Body("unknown")
    first, _, rest = text.partition("\n")
    if len(first) <= 120:
        whole = _whole(first, rest)
        if whole is not None:
            return whole
    return _file(text, first, rest) or _place(text) or _poll(first, rest) or Body(content=shown(text))


def _whole(first: str, rest: str) -> Body | None:
    phrase = _phrase(first)
    if phrase in OMITTED:
        return Body(OMITTED[phrase], shown(rest), marker=OMITTED_MARKER)
    if rest:
        return None
    if phrase in _DELETED or phrase.startswith(DELETED_BY_ADMIN):
        return Body("unknown", deleted=True)
    if phrase in UNSEEN:
        return Body("unknown", marker=OMITTED_MARKER)
    if phrase in LIVE_LOCATIONS:
        return Body("location")
    return _call(phrase)


_DELETED = frozenset(DELETED)


def _call(phrase: str) -> Body | None:
    what, comma, more = phrase.partition(",")
    if what not in CALLS or not (comma or CALLS[what][1]):
        return None
    is_video, status = CALLS[what]
    return Body("call", is_video=is_video, status=status, duration=_seconds(more.strip()) if not status else None)


def _seconds(text: str) -> int | None:
    """The length of a call, ``3 min`` or ``45 sec`` or ``1 hr``; None where no known unit is named."""
    found = re.match(r"(\d{1,5})\s*([^\W\d_]+)", text)
    if not found:
        return None
    unit = {"s": 1, "m": 60, "h": 3600}.get(found[2][0])
    return int(found[1]) * unit if unit else None


def _file(text: str, first: str, rest: str) -> Body | None:
    if text.endswith(">"):
        found = _IOS_FILE.search(text)
        if found:
            return _attached(plain_text(found[2]).strip(), _caption(text[: found.start()]))
        old = _OLD_IOS_FILE.match(first)
        if old:
            return _attached(plain_text(old[1]), shown(rest))
    if first.endswith(")"):
        found = _ANDROID_FILE.match(plain_text(first))
        if found and (found[2].lower() in ATTACHED or _WHATSAPP_FILE.match(found[1])):
            return _attached(found[1], shown(rest))
    return _captioned_omission(text)


def _captioned_omission(text: str) -> Body | None:
    """``caption ‎image omitted``: on iOS the mark of left-out media stands behind its caption, led by a direction mark."""
    start = max(text.rfind(mark) for mark in LED)
    kind = OMITTED.get(_phrase(text[start:])) if start > 0 else None
    return Body(kind, _caption(text[:start]), marker=OMITTED_MARKER) if kind else None


def _caption(text: str) -> str:
    caption = shown(text)
    return "" if _DOCUMENT_NOTE.match(caption) else caption


def _attached(filename: str, caption: str) -> Body:
    suffix = filename.rpartition(".")[2].lower()
    tag = _TAG.match(filename)
    kind = _KIND_OF_SUFFIX.get(suffix, "document")
    if tag and kind != "contact":
        kind = _KIND_OF_TAG[tag[1].upper()]
        kind = "voice" if kind == "audio" and suffix == "opus" else kind
    if kind == "contact":
        name = re.sub(r"^\d{8}-", "", filename[:-4])
        caption = f"{name}\n{caption}" if caption else name
    return Body(kind, caption, filename=filename)


def _place(text: str) -> Body | None:
    if "google." not in text and "foursquare." not in text:
        return None
    found = _PLACE.search(text) or _VENUE.search(text)
    if not found:
        return None
    before = shown(text[: found.start()]).rstrip(":").strip()
    is_word = _phrase(before) in LOCATION_WORDS
    if not (is_word or (before and _is_venue(text, before))):
        return None
    latitude, longitude = _coordinates(found)
    place = "" if is_word else before
    return Body("location", place, latitude=latitude, longitude=longitude, place=place.partition("\n")[0])


def _is_venue(text: str, before: str) -> bool:
    """A place is a name and an address above its link (Android), or ``Name (City, Country): link`` (iOS)."""
    return ("): http" in text and "\n" not in text) or (before.count("\n") == 1 and len(before) < 300)


def _coordinates(found: re.Match[str]) -> tuple[float | None, float | None]:
    if found.re is _VENUE:
        return None, None
    latitude, longitude = float(found[1]), float(found[2])
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else (None, None)


def _poll(first: str, rest: str) -> Body | None:
    """``POLL:``, the question, and one ``OPTION: text (2 votes)`` per line; the words differ by language, the form does not."""
    if not rest or not first.rstrip().endswith(":") or _phrase(first.rstrip()[:-1]) not in POLLS:
        return None
    lines = plain_text(rest).split("\n")
    question = [line for line in lines if not _OPTION.match(line)]
    options = [found[2] for found in map(_OPTION.match, lines) if found]
    return Body("poll", "\n".join([*question, *options]).strip("\n")) if options else None


def shown(text: str) -> str:
    """A text for reading: without the marks around it and around the names of mentions; those inside what was typed stay."""
    if text.isascii():
        return text.strip(" \n")
    return text.strip(MARKS + " \n").replace("\u2068", "").replace("\u2069", "")
