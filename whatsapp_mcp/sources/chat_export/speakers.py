"""Who speaks in an exported chat: where in a line the sender ends, told from the whole file.

Splitting at the first colon is wrong for names with a colon and for Android's notices that quote one (``A changed the subject
to "Re: b"``). So candidates are counted first: what stands before ``": "`` is a sender unless it reads like a notice, and a
longer candidate wins where it follows the shorter one each time. ``Name:`` with nothing or with text right behind it counts
for known names.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from whatsapp_mcp.normalise.chat_export import GROUP_SUFFIX, sender_name
from whatsapp_mcp.normalise.chat_export.body import LED, is_notice
from whatsapp_mcp.normalise.chat_export.words import GROUP_WORDS, NOTICE_PARTS

LONGEST_NAME: Final = 120
MOST_CANDIDATES: Final = 50_000
_LONG_NAME_AFTER: Final = 3
_QUOTES: Final = ('"', "\u201e", "\u201c", "\u00ab", "\u201d", "\u00bb")

__all__ = ["GROUP_SUFFIX", "Speakers"]


class Speakers:
    """Counts candidates in the first pass (`see`), then answers for each row in the second (`sender_length`)."""

    def __init__(self, style: str) -> None:
        """Begin for a file of `style` (`header.Shape.style`)."""
        self._style = style
        self._spaced: Counter[str] = Counter()
        self._close: Counter[str] = Counter()
        self._led: Counter[str] = Counter()
        self._notices: Counter[str] = Counter()
        self._longer: dict[str, str | None] = {}
        self._people: frozenset[str] = frozenset()
        self._long_names: frozenset[str] = frozenset()
        self.rows = 0
        self.group_words = False

    def see(self, rest: str) -> None:
        """Count the first line of a message, behind its header."""
        self.rows += 1
        colon = rest.find(": ", 0, LONGEST_NAME + 2)
        if colon < 0:
            self._see_close(rest)
        else:
            self._see_spaced(rest, colon)

    def _see_spaced(self, rest: str, colon: int) -> None:
        name = rest[:colon]
        if self._style != "android" and rest.startswith(LED):
            self._count(self._led, sender_name(name))
            self._see_notice(rest)
            return
        text = rest[colon + 2 :]
        name = sender_name(name)
        if text.startswith(LED) and is_notice(text, self._style):
            self._count(self._notices, name)
            self._see_notice(rest)
            return
        self._count(self._spaced, name)
        longer = self._longer.get(name, "")
        if longer is not None:
            self._compare(name, rest, colon, longer)

    def _compare(self, name: str, rest: str, colon: int, longer: str) -> None:
        second = rest.find(": ", colon + 2, LONGEST_NAME + 2)
        found = sender_name(rest[:second]) if second > 0 else None
        if len(self._longer) < MOST_CANDIDATES:
            self._longer[name] = found if longer in ("", found) else None

    def _see_close(self, rest: str) -> None:
        colon = rest.find(":", 0, LONGEST_NAME + 1)
        if colon > 0:
            self._count(self._close, sender_name(rest[:colon]))
        if not self.group_words:
            self._see_notice(rest)

    def _see_notice(self, rest: str) -> None:
        line = rest.lower()
        self.group_words = self.group_words or any(word in line for word in GROUP_WORDS)

    @staticmethod
    def _count(counter: Counter[str], name: str) -> None:
        if name in counter or len(counter) < MOST_CANDIDATES:
            counter[name] += 1

    def settle(self) -> None:
        """Decide who is a sender, after the first pass."""
        longer = {short: long for short, long in self._longer.items() if long and self._spaced[short] >= _LONG_NAME_AFTER}
        self._long_names = frozenset(longer.values())
        often = {name for name, times in self._spaced.items() if times > 1 and name not in longer}
        single = (set(self._spaced) | set(self._notices)) - longer.keys()
        self._people = frozenset(name for name in single if not _reads_like_notice(name, often)) | self._long_names

    @property
    def names(self) -> list[str]:
        """Everybody who sent a message, the busiest first (in a group's iOS export its own name sends notices only)."""
        return [name for name in self._ranked() if self._spaced[name] or name in self._long_names]

    def _ranked(self) -> list[str]:
        return sorted(self._people, key=lambda name: (-self._spaced[name], name))

    @property
    def only_in_notices(self) -> list[str]:
        """Names that the app's notices carry and that never sent anything: on iOS a group's own name."""
        senders = set(self.names)
        return [name for name in self._ranked() if name in self._notices and name not in senders]

    @property
    def messages(self) -> int:
        """Rows that somebody sent; the others are the app's notices."""
        shorts = sum(self._spaced[short] for short, long in self._longer.items() if long in self._long_names)
        people = (*self._people,)
        return shorts + sum(self._spaced[name] + self._close[name] + self._led[name] for name in people)

    def sender_length(self, rest: str) -> int:
        """How many letters of `rest` (a message behind its header) are its sender's name; 0 for a notice."""
        line = rest[: LONGEST_NAME * 2].partition("\n")[0]
        colon = line.find(": ", 0, LONGEST_NAME + 2)
        if colon < 0:
            close = line.find(":", 0, LONGEST_NAME + 1)
            return close if close > 0 and sender_name(line[:close]) in self._people else 0
        if self._long_names:
            second = line.find(": ", colon + 2, LONGEST_NAME + 2)
            if second > 0 and sender_name(line[:second]) in self._long_names:
                return second
        return colon if sender_name(line[:colon]) in self._people else 0


def _reads_like_notice(name: str, often: set[str]) -> bool:
    if not name or sum(name.count(mark) for mark in _QUOTES) % 2 or len(name) > LONGEST_NAME:
        return True
    words = name.split(" ")
    if len(words) < 3:
        return False
    starts = any(" ".join(words[:count]) in often for count in range(1, len(words) - 1))
    if any(part in f"{name.lower()} " for part in NOTICE_PARTS):
        return starts or len(words) > 4
    return starts and len(words) > 5
