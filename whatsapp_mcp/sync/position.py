"""Since when the journals are to be asked: the position, by two clocks, and what they are known never to tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from whatsapp_mcp.store import Store

JOURNALS_CURSOR: Final = "journals_since"
"""The cursor that keeps when the journals were last asked, in unix seconds of this computer."""
GATEWAY_CURSOR: Final = "journals_since_at_gateway"
"""The same moment by the gateway's clock; empty where it did not say."""
NOTICED_CURSOR: Final = "journals_keep_back"
"""The messages that a journal did not tell though it should have: their chats were asked, once."""

OUTAGE_CURSOR: Final = "outage_to_fill"
"""The cursor that keeps from when to when the journals did not reach, as long as not all histories told of it: JSON."""

Outage = tuple[int, int]
"""The first and the last unix second of which no journal told."""

_REMEMBERED: Final = 500
_CLOCKS_AGREE: Final = 120
"""Seconds by which two clocks may count the same pause differently."""


@dataclass(frozen=True, slots=True)
class Position:
    """When the journals were asked."""

    ours: int
    """Unix seconds by this computer's clock."""
    theirs: int | None = None
    """Unix seconds by the gateway's clock."""
    noticed: tuple[tuple[str, str], ...] = ()
    outage: Outage | None = None
    """An earlier pause of which some histories did not tell yet."""

    @classmethod
    def now(cls, moment: int, ahead: float | None) -> Position:
        """The position of this moment; the gateway's clock is `ahead` of ours by so many seconds."""
        return cls(moment, None if ahead is None else int(moment + ahead))

    @property
    def ahead(self) -> int:
        """By how many seconds the gateway's clock was ahead of ours then; 0 where they agreed, or it did not say."""
        return 0 if self.theirs is None else beyond_doubt(self.theirs - self.ours)

    def lost_since(self, moment: int, ahead: float | None) -> int:
        """By how many seconds more the gateway's clock went on than ours since this position; 0 where they agree."""
        if self.theirs is None or ahead is None:
            return 0
        lost = int(moment + ahead) - self.theirs - max(moment - self.ours, 0)
        return max(beyond_doubt(lost), 0)

    def cursors(self, noticed: Iterable[tuple[str, str]] = (), more: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
        """The cursors that keep this position."""
        kept = [*dict.fromkeys([*more, *noticed])][:_REMEMBERED]
        return {
            JOURNALS_CURSOR: str(self.ours),
            GATEWAY_CURSOR: "" if self.theirs is None else str(self.theirs),
            NOTICED_CURSOR: json.dumps(kept),
        }


def beyond_doubt(seconds: float) -> int:
    """A difference of two clocks, 0 where it is too small to be more than a slow answer."""
    return int(seconds) if abs(seconds) > _CLOCKS_AGREE else 0


def position_of(store: Store) -> Position:
    """The position where the journals were asked last; 0 where they never were."""
    theirs, noticed = store.cursor(GATEWAY_CURSOR), store.cursor(NOTICED_CURSOR)
    return Position(
        int(store.cursor(JOURNALS_CURSOR) or 0),
        int(theirs) if theirs else None,
        tuple((chat, message) for chat, message in json.loads(noticed or "[]")),
        _outage_in(store.cursor(OUTAGE_CURSOR)),
    )


def _outage_in(stored: str | None) -> Outage | None:
    if not stored:
        return None
    start, end = json.loads(stored)
    return int(start), int(end)
