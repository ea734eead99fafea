"""Answers within a budget: as many rows as fit, and a cursor that continues exactly where they end.

A budget counts tokens as characters divided by 3.5; 150 tokens more are allowed for what stands around the rows. When a page is
too long the same question is asked again for fewer rows, so that the cursor never skips a row that was not shown. A single row
that is too long is cut, with a remark that says how to read the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.views import Page

CHARACTERS_PER_TOKEN: Final = 3.5
HEADER_CHARACTERS: Final = int(150 * CHARACTERS_PER_TOKEN)
DEFAULT_TOKENS: Final = 20_000
"""Below the 25,000 tokens at which clients cut, and far below the megabyte that Claude Desktop refuses."""

_SHORTEST_CUT: Final = 8
"""Below this many characters a cut text says nothing any more."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A page with its rows as text; `rows` is shorter than the page only where not even one row fits."""

    page: Page
    rows: list[str]

    @property
    def size(self) -> int:
        """The characters of all rows with their line ends."""
        return _size(self.rows)


def characters(tokens: int) -> int:
    """Return how many characters a budget of `tokens` allows."""
    return int(tokens * CHARACTERS_PER_TOKEN)


def fit(ask: Callable[[int], Page], limit: int, budget: int, write: Callable[[Page, int], list[str]]) -> Fitted:
    """Ask for up to `limit` rows and return those that fit into `budget` characters.

    `ask` takes a limit and returns a page; `write` takes a page and the most characters of one text and returns a row per
    message.
    """
    page = ask(limit)
    rows = write(page, _longest(page, budget))
    while _size(rows) > budget and (hits := _hits(page)) > 1:
        page = ask(max(1, min(hits - 1, hits * budget // _size(rows))))
        rows = write(page, _longest(page, budget))
    return Fitted(page, rows if _size(rows) <= budget else _cut(page, budget, write))


def _cut(page: Page, budget: int, write: Callable[[Page, int], list[str]]) -> list[str]:
    """Shorten the texts of the last remaining hit and its neighbours until all fit; nothing where nothing does."""
    longest = _longest(page, budget)
    while longest >= _SHORTEST_CUT:
        rows = write(page, longest)
        if _size(rows) <= budget:
            return rows
        longest -= max(1, min(longest // 2, _size(rows) - budget))
    return []


def _longest(page: Page, budget: int) -> int:
    """One text may take half of a page, so that a single long one does not push all others out."""
    return budget // 2 if len(page.messages) > 1 else budget


def _hits(page: Page) -> int:
    return sum(message.is_hit for message in page.messages)


def _size(rows: list[str]) -> int:
    return sum(len(row) + 1 for row in rows)
