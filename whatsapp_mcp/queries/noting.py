"""Which chats and messages a question looked at, for whoever keeps account of it: ids only, never a name or a text.

The notes travel with the context of the call, also into worker threads; where nobody takes notes, nothing is kept.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST: Final = 10_000
"""So many messages are kept one by one; of more only how many there were, and the first and last id."""


@dataclass(slots=True)
class Notes:
    """What was looked at."""

    chats: set[int] = field(default_factory=set)
    chat_of: dict[int, int] = field(default_factory=dict)
    """By message."""
    more: int = 0
    """Messages beyond `MOST`, one that was looked at twice counted twice."""
    lowest: int | None = None
    highest: int | None = None


_NOTES: Final[ContextVar[Notes | None]] = ContextVar("notes", default=None)


@contextmanager
def noting() -> Iterator[Notes]:
    """Take notes of what is asked within the block."""
    token = _NOTES.set(notes := Notes())
    try:
        yield notes
    finally:
        _NOTES.reset(token)


def note_chats(ids: Iterable[int]) -> None:
    """These chats were looked at."""
    if (notes := _NOTES.get()) is not None:
        notes.chats.update(ids)


def note_messages(pairs: Iterable[tuple[int, int]]) -> None:
    """These messages, each with its chat, were looked at."""
    if (notes := _NOTES.get()) is None:
        return
    for message, chat in pairs:
        if len(notes.chat_of) < MOST or message in notes.chat_of:
            notes.chat_of[message] = chat
        else:
            notes.chats.add(chat)
            notes.more += 1
        notes.lowest = message if notes.lowest is None else min(notes.lowest, message)
        notes.highest = message if notes.highest is None else max(notes.highest, message)
