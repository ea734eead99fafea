"""The text of documents that strangers sent: PDF, office documents, plain text.

Office documents are zips of XML (ECMA-376; OpenDocument 1.3). Their text is read with what Python brings: expat as a stream,
so that memory stays flat, and without a document type, which those standards forbid and which entity bombs and foreign files
need. The libraries for it either load the whole document as objects and were last released in 2024 (openpyxl, python-pptx),
or carry clients for online services (kreuzberg), which has no place in an archive that tells nobody anything. PDF is PDFium's
work, through pypdfium2, from the extra ``[transcribe]`` or ``[media]``.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from whatsapp_mcp.errors import UnreadableFile
from whatsapp_mcp.media.extras import text_of_pdf

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LONGEST: Final = 500_000
"""Characters of a text that are kept: a thick book."""

LARGEST: Final = 100_000_000
"""Bytes of a file that is opened."""

PDF: Final = "application/pdf"

_UNPACKED: Final = 100_000_000
"""Bytes of XML that are read of one document, whatever its zip says."""
_PIECE: Final = 65_536
_MEMBERS: Final = 10_000
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OPEN: Final = "application/vnd.oasis.opendocument."
_PARTS: Final = {
    f"{_OFFICE}wordprocessingml.document": re.compile(
        r"word/(document[0-9]*|(footnotes|endnotes|comments)|(header|footer)[0-9]*)\.xml"
    ),
    f"{_OFFICE}spreadsheetml.sheet": re.compile(r"xl/(sharedStrings|worksheets/sheet[0-9]+)\.xml"),
    f"{_OFFICE}presentationml.presentation": re.compile(r"ppt/(slides/slide|notesSlides/notesSlide)[0-9]+\.xml"),
    f"{_OPEN}text": re.compile(r"content\.xml"),
    f"{_OPEN}spreadsheet": re.compile(r"content\.xml"),
    f"{_OPEN}presentation": re.compile(r"content\.xml"),
}
"""Which members of a zip hold what a reader sees."""
_FIRST: Final = re.compile(r"word/document|ppt/slides/")
"""Which of them come before notes and comments, which may be longer than all that is kept."""
_TELLING: Final = frozenset({"t", "v"})
"""Elements of ECMA-376 whose text is shown: a run's text, a cell's value."""
_ENDING: Final = frozenset({"p", "h", "si", "row", "tr", "br", "line-break", "table-row"})
_PARTING: Final = frozenset({"tab", "c", "tc", "s", "table-cell"})
_BROKEN: Final = (
    OSError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    expat.ExpatError,
)
_BLANKS: Final = re.compile(r"[^\S\n]+")
_EMPTY_LINES: Final = re.compile(r"\s*\n\s*")


class _Enough(Exception):
    """The text is as long as may be."""


def is_readable(mime_type: str) -> bool:
    """Whether a document of that type, by its content, has a text that can be read here."""
    return mime_type in _PARTS or mime_type in (PDF, "text/plain", "text/csv")


def text_of(path: Path, mime_type: str) -> str:
    """The text of a document, at most `LONGEST` characters; empty where it holds none (a scanned page, say).

    Raises:
        UnreadableFile: it is damaged, locked, or not what it says.
        MissingExtra: it is a PDF, and pypdfium2 is not installed.

    """
    if path.stat().st_size > LARGEST:
        raise UnreadableFile("The document is too large to be read.")
    if mime_type == PDF:
        return tidy("\n".join(text_of_pdf(path, LONGEST)))
    if mime_type in _PARTS:
        return tidy(_text_of_zip(path, _PARTS[mime_type], is_open=mime_type.startswith(_OPEN)))
    with path.open("rb") as file:
        data = file.read(4 * LONGEST)
    return tidy(data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig", "replace"))


def tidy(text: str) -> str:
    """A text without runs of blanks and empty lines, cut to `LONGEST`, as SQLite can keep it."""
    short = text[: 2 * LONGEST].replace("\0", " ")
    lines = _EMPTY_LINES.sub("\n", _BLANKS.sub(" ", short)).strip()
    return lines[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def _text_of_zip(path: Path, parts: re.Pattern[str], *, is_open: bool) -> str:
    reader = _Reader(is_open=is_open)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist()[:_MEMBERS] if parts.fullmatch(info.filename)]
            for info in sorted(infos, key=_natural):
                with archive.open(info) as member:
                    reader.read(iter(lambda member=member: member.read(_PIECE), b""))  # type: ignore[misc]
    except _Enough:
        pass
    except _BROKEN as error:
        raise UnreadableFile("The document is damaged, or locked with a password.") from error
    return "".join(reader.pieces)


def _natural(info: zipfile.ZipInfo) -> tuple[bool, str, int]:
    """The tenth slide after the second, and notes after all of them."""
    name = info.filename
    number = re.search(r"[0-9]+", name)
    return (not _FIRST.match(name), name[: number.start()], int(number[0][:9])) if number else (not _FIRST.match(name), name, 0)


class _Reader:
    """Gathers what is shown from one XML member after the other."""

    def __init__(self, *, is_open: bool) -> None:
        self.pieces: list[str] = []
        self._is_open = is_open
        self._left = _UNPACKED
        self._characters = 0
        self._shown = 0
        self._is_reference = False

    def read(self, pieces: Iterable[bytes]) -> None:
        """One member; raises `_Enough`, or whatever expat and the zip raise."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._refuse
        self._shown = 0
        for piece in pieces:
            self._left -= len(piece)
            if self._left < 0:
                raise _Enough
            parser.Parse(piece, False)  # noqa: FBT003 - expat's own
        parser.Parse(b"", True)  # noqa: FBT003
        self._part("\n")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if local == "c":  # a cell of type s holds the number of a shared string, which is read by itself
            self._is_reference = attributes.get("t") == "s"
        self._shown += self._tells(local)

    def _end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        self._shown -= self._tells(local)
        if local in _ENDING:
            self._part("\n")
        elif local in _PARTING:
            self._part(" ")

    def _tells(self, local: str) -> bool:
        return local in ("p", "h") if self._is_open else local in _TELLING

    def _data(self, text: str) -> None:
        if self._shown and not (self._is_reference and text.isdigit()):
            self._add(text)

    def _part(self, blank: str) -> None:
        """One blank, however many empty cells and paragraphs follow each other: they would fill all that is kept."""
        if not self.pieces or not self.pieces[-1].isspace():
            self._add(blank)
        elif blank == "\n":
            self.pieces[-1] = blank

    def _add(self, text: str) -> None:
        self.pieces.append(text)
        self._characters += len(text)
        if self._characters > 2 * LONGEST:
            raise _Enough

    def _refuse(self, *_: object) -> None:
        raise ValueError("A document type has no place in an office document.")
