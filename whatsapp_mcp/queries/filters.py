"""What a message must be beside holding words, as SQL over the messages ``m``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

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
    def are_sparse(self) -> bool:
        """Whether they may leave few messages without any index saying how few: a sender, or kinds other than text."""
        rare_kinds = bool(self.kinds) and "text" not in self.kinds
        return self.sender_id is not None or self.with_contact is not None or rare_kinds

    @property
    def are_indexed(self) -> bool:
        """Whether an index knows all of them."""
        return self.where() == self.where(indexed_only=True)

    def where(self, *, indexed_only: bool = False) -> tuple[str, list[object]]:
        """SQL over the messages ``m``; `indexed_only` leaves out what no index knows (sender and kind)."""
        told: list[tuple[str, object]] = [
            ("m.chat_id = ?", self.chat_id), ("m.sent_at >= ?", self.start), ("m.sent_at < ?", self.end),
        ]  # fmt: skip
        if not indexed_only:
            told += [
                ("m.sender_contact_id = ?", self.sender_id), ("m.from_me = ?", self.from_me),
                ("m.message_type IN (SELECT value FROM json_each(?))", json.dumps(self.kinds) if self.kinds else None),
                (_WITH, self.with_contact),
            ]  # fmt: skip
        used = [(condition, value) for condition, value in told if value is not None]
        return " AND ".join(["1", *(condition for condition, _ in used)]), [value for _, value in used]
