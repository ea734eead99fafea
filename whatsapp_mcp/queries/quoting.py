"""Whether somebody really wrote a sentence: looked for in one message, then in what it was before, then everywhere else.

A sentence is compared letter by letter first, then by its folded words in a row (case, accents, vowel points, punctuation and
emoji variants aside); letters that stand there only within longer words ("I can" in "I cannot") are not what was said. What a
message quotes belongs to whom it quotes, so it is told apart from what its sender wrote.

A sentence may be taken from an answer of ours: our remarks in it, the marks of a hit and the bar before a line are left out.
Where ``…`` shows that something was left out, the parts have to stand there in their order; the first word may lack its
beginning and the last one its end, as our own answers cut them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import messages
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.language import Term
from whatsapp_mcp.search.snippets import snippet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from whatsapp_mcp.views import MessageView

Verdict: TypeAlias = Literal[
    "exact", "same words", "cut", "earlier version", "quoted there", "in its file", "within words", "elsewhere", "not found"
]

_FAR: Final = 1_000
"""A sentence that stands behind so many characters is shown with what is around it, not with the beginning."""

_ELSEWHERE: Final = 5
_WORDS_ASKED: Final = 60
"""So many words lead to other messages, in which all of the sentence is looked for then."""
_OURS: Final = re.compile("⟦[^⟦⟧]*⟧|[«»]|^│ ", re.MULTILINE)
_CUT: Final = re.compile(r"…|\.{3,}|\[…\]")


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of comparing a sentence with a message."""

    verdict: Verdict
    message: MessageView
    """The message that was named."""
    elsewhere: tuple[MessageView, ...] = ()
    """Other messages with the same words in a row, the oldest first; at most five, and only where it is not in the message."""
    missing: tuple[str, ...] = ()
    """Folded words of the sentence that the message does not hold, where the verdict is against it."""

    @property
    def is_there(self) -> bool:
        """Whether the sender of the message wrote it, as it stands now."""
        return self.verdict in ("exact", "same words", "cut")


@dataclass(frozen=True, slots=True)
class _Sought:
    """A sentence, and its folded words part by part; more than one part where something was cut out of it."""

    text: str
    parts: tuple[str, ...]
    is_cut: tuple[bool, bool]
    """Whether the first word may lack its beginning, and the last one its end."""

    @property
    def words(self) -> list[str]:
        return " ".join(self.parts).split()

    def stands_in(self, text: str) -> bool:
        """Whether the words stand in `text` in a row, with something between them where it was cut."""
        folded, at, last = f" {fold(text)} ", 0, len(self.parts) - 1
        for place, part in enumerate(self.parts):
            before = "" if place == 0 and self.is_cut[0] else " "
            after = "" if place == last and self.is_cut[1] else " "
            at = folded.find(f"{before}{part}{after}", at)
            if at < 0:
                return False
            at += len(before) + len(part)
        return True

    def stands_whole_in(self, text: str) -> bool:
        """Whether all the words stand in `text` in a row, so that nothing was left out."""
        return f" {' '.join(self.parts)} " in f" {fold(text)} "


def _sought(quote: str) -> _Sought:
    text = quote.strip()
    pieces = _CUT.split(_OURS.sub(" ", text))
    parts = tuple(folded for piece in pieces if (folded := fold(piece)))
    return _Sought(text, parts, (not fold(pieces[0]), not fold(pieces[-1])) if len(pieces) > 1 else (False, False))


def check(connection: sqlite3.Connection, handle: int | str, quote: str) -> Checked:
    """Compare `quote` with the message of `handle`; raises `NotFound` for no such message, `UsageError` for no words."""
    sought = _sought(quote)
    if not sought.parts:
        raise UsageError("The quote holds no word.", advice="Give the sentence to look for, as it was cited.")
    message = messages.by_ids(connection, [messages.find(connection, handle)[0]])[0]
    verdict = _verdict(connection, message, sought)
    if verdict not in ("not found", "within words"):
        return Checked(verdict, _with_place(message, sought.text))
    elsewhere = _elsewhere(connection, sought, message.message_id)
    held = set(fold(message.content).split())
    missing = tuple(dict.fromkeys(word for word in sought.words if word not in held))
    if verdict == "not found" and elsewhere:
        verdict = "elsewhere"
    return Checked(verdict, message, elsewhere, missing)


def _verdict(connection: sqlite3.Connection, message: MessageView, sought: _Sought) -> Verdict:
    if sought.stands_in(message.content):
        return _found_as(message.content, sought)
    if any(sought.stands_in(version.content) for version in message.versions):
        return "earlier version"
    if message.quoted is not None and message.quoted.message_id is not None:
        quoted = messages.content_of(connection, message.quoted.message_id)
        if sought.stands_in(quoted):
            return "quoted there"
    found = messages.text_of(connection, message.media.sha256) if message.media and message.media.sha256 else None
    if found is not None and sought.stands_in(found.text):
        return "in its file"
    return "within words" if sought.text in message.content else "not found"


def _found_as(text: str, sought: _Sought) -> Verdict:
    if sought.text in text:
        return "exact"
    return "same words" if sought.stands_whole_in(text) else "cut"


def _with_place(message: MessageView, quote: str) -> MessageView:
    """The message with the place of a quote that its beginning would not show."""
    start = message.content.find(quote)
    return replace(message, snippet=snippet(message.content, [(start, start + len(quote))])) if start > _FAR else message


def _elsewhere(connection: sqlite3.Connection, sought: _Sought, but: int) -> tuple[MessageView, ...]:
    """Messages that hold the words in a row; a single word stands in too many to mean anything."""
    words = max((part.split() for part in _whole_words(sought)), key=len, default=[])[:_WORDS_ASKED]
    if len(words) < 2:
        return ()
    rows = connection.execute(
        "SELECT m.message_id FROM (SELECT rowid AS id FROM message_index WHERE message_index MATCH ? LIMIT ?) AS hit"
        " JOIN messages AS m ON m.message_id = hit.id WHERE m.message_id <> ? ORDER BY m.sent_at, m.message_id",
        (f"content : {Term(tuple(words)).expression()}", 10 * _ELSEWHERE, but),
    ).fetchall()
    found = messages.by_ids(connection, [row[0] for row in rows])
    return tuple(message for message in found if sought.stands_in(message.content))[:_ELSEWHERE]


def _whole_words(sought: _Sought) -> Iterator[str]:
    """The parts without the words that may have been cut."""
    last = len(sought.parts) - 1
    for place, part in enumerate(sought.parts):
        words = part.split()
        begins, ends = place == 0 and sought.is_cut[0], place == last and sought.is_cut[1]
        yield " ".join(words[int(begins) : len(words) - int(ends)])
