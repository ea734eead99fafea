"""Whether a history is whole. Pure.

`getChatHistory` has no paging and no documented maximum (Green API docs, GetChatHistory), so a gateway that silently gives less
than there is can only be noticed by its answers: one that is exactly as long as was asked for, or several chats that share
exactly the same greatest length.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED_BY: Final = 3
"""So many chats with the same greatest length are no coincidence."""
LEAST_CAP: Final = 10
"""In an account of tiny chats several share a greatest length by chance; no gateway was seen to cap as low."""


def is_cut(length: int, asked: int) -> bool:
    """The answer is as long as was asked for: there is probably more."""
    return length >= asked


def silent_cap(lengths: Mapping[str, int]) -> int | None:
    """The length at which the gateway seems to cut histories, from the lengths of all chats; None without a sign of it."""
    greatest = max(lengths.values(), default=0)
    shared = Counter(lengths.values())[greatest]
    return greatest if greatest >= LEAST_CAP and shared >= SHARED_BY else None


def silent_caps(lengths: Mapping[str, int]) -> frozenset[str]:
    """The chats whose histories were probably cut."""
    cap = silent_cap(lengths)
    return frozenset(chat for chat, length in lengths.items() if cap is not None and length == cap)
