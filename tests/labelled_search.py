"""The labelled set of searches in ``tests/labelled``: messages in many languages, and which of them a query must find.

A line with a number and a tab is a message, ``? query => numbers`` says what the query must find: everything that a reader of
that language would call a hit, and nothing else. Each language is a chat of its own in one archive, as with a person who
writes in several.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from book_club import open_archive
from store_fixtures import history, incoming

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive

FOLDER = Path(__file__).parent / "labelled"


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, and the texts that it must find in the chat of its language."""

    language: str
    query: str
    wanted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Language:
    """The messages of one language in order, and the queries about them."""

    name: str
    texts: tuple[str, ...]
    queries: tuple[Asked, ...]


def languages() -> list[Language]:
    """Every language of the set."""
    return [_language(path) for path in sorted(FOLDER.glob("*.txt"))]


def _language(path: Path) -> Language:
    texts: dict[str, str] = {}
    queries: list[Asked] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        number, tab, text = line.partition("\t")
        if tab:
            texts[number] = text
        elif line.startswith("? "):
            query, numbers = line.removeprefix("? ").split(" => ")
            queries.append(Asked(path.stem, query, frozenset(texts[one] for one in numbers.split())))
    return Language(path.stem, tuple(texts.values()), tuple(queries))


def fill(home: Path) -> tuple[Archive, dict[str, str]]:
    """An archive with every message of the set, written by the ordinary way, and the chat of each language."""
    archive, chats = open_archive(home), {}
    with archive.writer() as writer:
        for place, language in enumerate(languages()):
            chat = chats[language.name] = f"1555010{place + 1000}@c.us"
            items = [
                incoming(place * 1000 + number, text, chat=chat, senderId=chat, senderName=language.name)
                for number, text in enumerate(language.texts)
            ]
            writer.ingest.receive(history(items, chat=chat))
    return archive, chats
