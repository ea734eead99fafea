"""What a message must be beside holding words, as SQL over the messages ``m``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

_WITH: Final = (
    "CASE WHEN m.from_me THEN (SELECT w.contact_id FROM chats AS w WHERE w.chat_id = m.chat_id)"
    " ELSE m.sender_contact_id END = ?"
)
_AMONG: Final = "IN (SELECT value FROM json_each(?))"
_WITHOUT_WORDS: Final = "m.message_id NOT IN (SELECT rowid FROM message_index WHERE message_index MATCH ?)"
_TYPE_OF_CHAT: Final = "(SELECT k.chat_type FROM chats AS k WHERE k.chat_id = m.chat_id) = '{}'"
STATES: Final = {
    "edited": "m.edited_at IS NOT NULL",
    "deleted": "m.deleted_at IS NOT NULL",
    "forwarded": "m.is_forwarded <> 0",
    "quoted": "(m.quoted_message_id IS NOT NULL OR coalesce(m.quoted_whatsapp_message_id, '') <> '')",
    "reacted": (
        "EXISTS (SELECT 1 FROM current_reactions AS r WHERE r.chat_id = m.chat_id"
        " AND r.whatsapp_message_id = m.whatsapp_message_id)"
    ),
    "sent": "m.from_me",
    "received": "NOT m.from_me",
    "private": _TYPE_OF_CHAT.format("private"),
    "group": _TYPE_OF_CHAT.format("group"),
    "link": "(m.content LIKE '%http://%' OR m.content LIKE '%https://%' OR m.content LIKE '%www.%')",
}
"""Conditions by the name that a query has for them (`search.operators`)."""
_FREQUENT: Final = frozenset(("sent", "received", "private", "group"))
_INDEXED: Final = frozenset(("edited", "deleted", "forwarded"))
"""States by which the messages that have them are found in an index of their own."""
_GATHERED: Final = (
    "m.message_id IN (SELECT x.message_id FROM reactions AS r CROSS JOIN messages AS x"
    " ON x.chat_id = r.chat_id AND x.whatsapp_message_id = r.whatsapp_message_id)"
)


@dataclass(frozen=True, slots=True)
class Left:
    """What a message must not be."""

    chats: tuple[int, ...] = ()
    senders: tuple[int, ...] = ()
    from_me: bool = False
    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    words: str | None = None
    """The FTS5 expression for messages that hold any of these words."""


_NOTHING: Final = Left()


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
    states: tuple[str, ...] = ()
    """All of these of `STATES`."""
    chats: tuple[int, ...] = ()
    """Any of these, where several were named."""
    senders: tuple[int, ...] = ()
    """Any of these, where several were named; the owner stands among them as 0."""
    left_out: Left = _NOTHING
    few_reactions: bool = False
    """Whether there are so few in the archive that the messages with one can be gathered."""

    @property
    def are_open(self) -> bool:
        """Whether every message fits."""
        return self == Filters(few_reactions=self.few_reactions)

    @property
    def are_sparse(self) -> bool:
        """Whether they may leave few messages without any index saying how few: some people, a state, kinds other than text."""
        rare_kinds = bool(self.kinds) and "text" not in self.kinds and self.chat_id is not None
        indexed = _FREQUENT | self._indexed_states
        return self.name_somebody or rare_kinds or not indexed.issuperset(self.states)

    @property
    def name_somebody(self) -> bool:
        """Whether they say who wrote it, or in which of several chats: perhaps long ago, and nothing since.

        Of one sender anywhere an index knows it.
        """
        is_unknown = self.sender_id is not None and self.chat_id is not None
        return is_unknown or self.with_contact is not None or bool(self.senders or self.chats)

    @property
    def are_of_a_kind(self) -> bool:
        """Whether an index knows which messages have their kind or their state."""
        return self._has_indexed_kinds or bool(self._indexed_states.intersection(self.states))

    @property
    def _has_indexed_kinds(self) -> bool:
        return self.chat_id is None and bool(self.kinds) and "text" not in self.kinds

    @property
    def _indexed_states(self) -> frozenset[str]:
        """The states by which messages are gathered; within a chat its own index serves better."""
        if self.chat_id is not None:
            return frozenset()
        return _INDEXED | {"reacted"} if self.few_reactions else _INDEXED

    @property
    def are_indexed(self) -> bool:
        """Whether an index knows all of them."""
        return self.where() == self.where(indexed_only=True)

    def where(self, *, indexed_only: bool = False) -> tuple[str, list[object]]:
        """SQL over the messages ``m``; `indexed_only` leaves out what no index knows (kinds, most states, several people)."""
        told: list[tuple[str, object]] = [
            ("m.chat_id = ?", self.chat_id), ("m.sent_at >= ?", self.start), ("m.sent_at < ?", self.end),
        ]  # fmt: skip
        if self.chat_id is None or not indexed_only:
            told.append((f"{'' if self.chat_id is None else '+'}m.sender_contact_id = ?", self.sender_id))
        if self._has_indexed_kinds:
            one = self.kinds[0] if len(self.kinds) == 1 else None
            told += [("m.message_type = ?", one), (f"m.message_type {_AMONG}", None if one else _listed(self.kinds))]
        if not indexed_only:
            told += [
                ("m.from_me = ?", self.from_me),
                (f"m.message_type {_AMONG}", None if self._has_indexed_kinds else _listed(self.kinds)),
                (_WITH, self.with_contact),
                (f"m.chat_id {_AMONG}", _listed(self.chats)),
                (f"CASE WHEN m.from_me THEN 0 ELSE m.sender_contact_id END {_AMONG}", _listed(self.senders)),
                (f"m.chat_id NOT {_AMONG}", _listed(self.left_out.chats)),
                (f"(m.from_me OR coalesce(m.sender_contact_id, 0) NOT {_AMONG})", _listed(self.left_out.senders)),
                (f"m.message_type NOT {_AMONG}", _listed(self.left_out.kinds)),
                ("m.from_me <> ?", True if self.left_out.from_me else None),
                (_WITHOUT_WORDS, self.left_out.words),
            ]  # fmt: skip
        used = [(condition, value) for condition, value in told if value is not None]
        gathered = self._indexed_states.intersection(self.states)
        plain = [STATES[state] for state in self.states if state in _INDEXED & gathered or not indexed_only]
        plain += ["m.message_type <> 'text'"] if self._has_indexed_kinds else []  # so that SQLite may take the partial index
        plain += [_GATHERED] if "reacted" in gathered else []
        plain += [] if indexed_only else [f"NOT coalesce({STATES[state]}, 0)" for state in self.left_out.states]
        return " AND ".join(["1", *(condition for condition, _ in used), *plain]), [value for _, value in used]


def _listed(values: tuple[object, ...]) -> str | None:
    return json.dumps(values) if values else None
