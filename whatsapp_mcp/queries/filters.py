"""What a message must be beside holding words, as SQL over the messages ``m``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    _Told = tuple[str, tuple[object, ...]]

_WITH: Final = (
    "CASE WHEN m.from_me THEN (SELECT w.contact_id FROM chats AS w WHERE w.chat_id = m.chat_id)"
    " ELSE m.sender_contact_id END = ?"
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be beside matching; None and empty leave open."""

    chat_id: int | None = None
    start: int | None = None
    end: int | None = None
    sender_id: int | None = None
    from_me: bool | None = None
    kinds: tuple[str, ...] = ()
    with_contact: int | None = None
    """Written by this person anywhere, or to them in their private chat."""

    @property
    def are_open(self) -> bool:
        """Whether every message fits."""
        return self == Filters()

    @property
    def are_indexed(self) -> bool:
        """Whether `where` with ``indexed_only`` leaves nothing out."""
        return self.where() == self.where(indexed_only=True)

    def where(self, *, indexed_only: bool = False) -> tuple[str, list[object]]:
        """SQL over the messages ``m``; `indexed_only` leaves out what the one index that fits best does not know."""
        told = [*self._indexed()] if indexed_only else [*self._chat(), *self._sender(), *self._kinds(), *self._with()]
        used = [*told, *self._times()]
        return " AND ".join(["1", *(condition for condition, _ in used)]), [value for _, values in used for value in values]

    def _indexed(self) -> Sequence[_Told]:
        """What one of the indexes ``messages_by_chat``, ``messages_by_sender``, ``messages_by_kind`` knows beside times."""
        if self.chat_id is not None:
            return self._chat()
        if self.sender_id is not None and self.from_me is False:
            return self._sender()
        return self._kinds() if "text" not in self.kinds else ()

    def _chat(self) -> Sequence[_Told]:
        return () if self.chat_id is None else (("m.chat_id = ?", (self.chat_id,)),)

    def _sender(self) -> Iterator[_Told]:
        if self.sender_id is not None:
            yield "m.sender_contact_id = ?", (self.sender_id,)
        if self.from_me is not None:
            yield f"m.from_me = {self.from_me:d}", ()  # spelled out, so that SQLite sees that the partial index holds it

    def _kinds(self) -> Iterator[_Told]:
        if self.kinds and "text" not in self.kinds:
            yield "m.message_type <> 'text'", ()  # implied, but SQLite uses a partial index only where its condition is said
        if self.kinds:
            yield "m.message_type IN (SELECT value FROM json_each(?))", (json.dumps(self.kinds),)

    def _with(self) -> Sequence[_Told]:
        return () if self.with_contact is None else ((_WITH, (self.with_contact,)),)

    def _times(self) -> Iterator[_Told]:
        if self.start is not None:
            yield "m.sent_at >= ?", (self.start,)
        if self.end is not None:
            yield "m.sent_at < ?", (self.end,)
