"""Searches as people make them, drawn from the texts of an archive: frequent words come as often as they are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.language import spelled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

EACH: Final = 40
"""Searches of each kind."""
_SAMPLE: Final = 4_000
_HEBREW: Final = re.compile("[\u05d0-\u05ea]{4,}")
_PARTICLES: Final = ("ה", "ו", "ב", "ל", "מ", "ש")


class Ask(NamedTuple):
    """One question: its kind, the words of a search and its filters, or what another method of the queries is called with."""

    kind: str
    query: str
    filters: dict[str, Any]
    method: str = "search"


class _Text(NamedTuple):
    words: list[str]
    chat_id: int
    sender_id: int | None
    sent_at: int


class Mix:
    """Draws searches; the same for the same archive and seed."""

    def __init__(self, connection: sqlite3.Connection, seed: int = 7) -> None:
        """Read a sample of the texts and the words with how many messages hold them."""
        self._rng = Random(seed)
        rows = connection.execute(
            "SELECT content, chat_id, CASE WHEN from_me THEN NULL ELSE sender_contact_id END, sent_at FROM messages"
            " WHERE content <> '' AND message_id % (SELECT max(message_id) / ? FROM messages) = 0",
            (_SAMPLE,),
        )
        self._texts = [
            _Text(words, *rest) for text, *rest in rows if (words := [word for word in re.findall(r"\w+", text) if fold(word)])
        ]
        names = connection.execute("SELECT name FROM contacts WHERE name IS NOT NULL ORDER BY contact_id LIMIT ?", (_SAMPLE,))
        self._names = [self._rng.choice((name, *name.split())) for (name,) in names]
        connection.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, message_index, row)")
        counted = connection.execute("SELECT term, doc FROM temp.words ORDER BY doc DESC, term").fetchall()
        self._known = {word for word, _ in counted}
        self._frequent = [spelled(word) for word, _ in counted if fold(word)][:EACH]
        written = [spelled(word) for word, _ in counted if word.isalpha() and len(word) > 3]
        self._rare = written[-max(EACH, len(written) // 4) :]

    def asks(self) -> list[Ask]:
        """`EACH` searches of each kind, in random order."""
        asks = [Ask(kind, *draw(self)) for kind, draw in KINDS.items() for _ in range(EACH)]
        asks += [Ask("most frequent words", word, {}) for word in self._frequent]
        asks += [Ask("a page of a chat", str(self.text().chat_id), self.page(), "read_chat") for _ in range(EACH)]
        asks += [Ask("a name", name, {}, "find_contacts") for name in self._rng.choices(self._names, k=EACH)]
        self._rng.shuffle(asks)
        return asks

    def text(self, words: int = 1) -> _Text:
        """A message with at least so many words."""
        while True:
            text = self._rng.choice(self._texts)
            if len(text.words) >= words:
                return text

    def said(self, words: int) -> str:
        """Words of one message, in no order."""
        return " ".join(self._rng.sample(self.text(words).words, words))

    def phrase(self) -> str:
        """Two or three words in a row of one message, in quotes."""
        length = self._rng.choice((2, 2, 3))
        words = self.text(length).words
        start = self._rng.randrange(len(words) - length + 1)
        return f'"{" ".join(words[start : start + length])}"'

    def rare(self) -> str:
        """One of the quarter of the words that the fewest messages hold."""
        return self._rng.choice(self._rare)

    def missing(self) -> str:
        """A word with a slip in it that nobody wrote."""
        while True:
            word = self._rng.choice(self.text().words)
            place = self._rng.randrange(len(word))
            word = word[:place] + self._rng.choice("xqzжץ") + word[place:]
            if fold(word) not in self._known:
                return word

    def hebrew(self) -> str:
        """A Hebrew word, often with a particle that its writer may not have used."""
        while True:
            words = [word for word in self.text().words if _HEBREW.fullmatch(word)]
            if words:
                return self._rng.choice((*_PARTICLES, "")) + self._rng.choice(words)

    def operators(self) -> str:
        """A beginning, an alternative or an exclusion."""
        one, other = self.said(1), self.said(1)
        return self._rng.choice((f"{one[:4]}*", f"{one} OR {other}", f"{one} -{other}"))

    def month(self) -> str:
        """The month of some message."""
        return f"{datetime.fromtimestamp(self.text().sent_at, UTC):%Y-%m}"

    def since(self) -> dict[str, Any]:
        """A month, or everything from a month on or until it."""
        month = self.month()
        return self._rng.choice(({"after": month, "before": month}, {"after": month}, {"before": month}))

    def near(self, words: int) -> tuple[str, _Text]:
        """Words of a message, and the message whose chat or sender is asked for: often its own."""
        text = self.text(words)
        return " ".join(self._rng.sample(text.words, words)), self._rng.choice((text, text, self.text()))

    def page(self) -> dict[str, Any]:
        """The end of a chat, a month of it, or what stands around a date."""
        month = self.month()
        return self._rng.choice(({}, {"before": month}, {"around": f"{month}-14"}))

    def in_chat_in_a_year(self) -> tuple[str, dict[str, Any]]:
        """Two words of a message, in its chat and its year."""
        query, text = self.near(2)
        year = f"{datetime.fromtimestamp(text.sent_at, UTC):%Y}"
        return query, {"chat": text.chat_id, "after": year, "before": year}

    def in_chat(self) -> tuple[str, dict[str, Any]]:
        """One or two words in a chat, half of the time between dates as well."""
        query, text = self.near(self._rng.choice((1, 2)))
        return query, {"chat": text.chat_id, **self._rng.choice(({}, self.since()))}

    def by_sender(self) -> tuple[str, dict[str, Any]]:
        """A word by a person, ``me`` where the owner wrote it."""
        query, text = self.near(1)
        return query, {"sender": text.sender_id or "me"}

    def by_kind(self) -> tuple[str, dict[str, Any]]:
        """A word in messages of a kind."""
        return self.said(1), {"kinds": self._rng.choice((["image"], ["document", "voice"], ["text"], ["image", "video"]))}

    def by_time(self) -> tuple[str, dict[str, Any]]:
        """One or two words, newest or oldest first."""
        return self.said(self._rng.choice((1, 2))), {"order": self._rng.choice(("newest", "newest", "oldest"))}


KINDS: Final[dict[str, Callable[[Mix], tuple[str, dict[str, Any]]]]] = {
    "one word": lambda mix: (mix.said(1), {}),
    "two words": lambda mix: (mix.said(2), {}),
    "three words": lambda mix: (mix.said(3), {}),
    "words of different messages": lambda mix: (f"{mix.said(1)} {mix.said(1)}", {}),
    "phrase": lambda mix: (mix.phrase(), {}),
    "rare word": lambda mix: (mix.rare(), {}),
    "word that nobody wrote": lambda mix: (mix.missing(), {}),
    "Hebrew with particles": lambda mix: (mix.hebrew(), {}),
    "beginnings, OR, -word": lambda mix: (mix.operators(), {}),
    "in a chat": Mix.in_chat,
    "two words, a chat and dates": Mix.in_chat_in_a_year,
    "between dates": lambda mix: (mix.said(1), mix.since()),
    "by a sender": Mix.by_sender,
    "of a kind": Mix.by_kind,
    "in order of time": Mix.by_time,
    "with neighbours": lambda mix: (mix.said(2), {"context": 2}),
}
