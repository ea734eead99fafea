"""What ``read_chat`` and ``search_messages`` answer: the question put to the archive, the page put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whatsapp_mcp.server.answers import Asked, answer, chat_title
from whatsapp_mcp.server.fencing import literal
from whatsapp_mcp.server.fitting import DEFAULT_TOKENS

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.views import Page


@dataclass(frozen=True, slots=True)
class Reading:
    """Which messages of a chat."""

    after: str | None = None
    before: str | None = None
    around: str | int | None = None
    cursor: str | None = None
    limit: int = 50
    form: Literal["text", "json"] = "text"
    tokens: int | None = None
    address: str = ""
    """Where a resource is read: see `Asked`."""


@dataclass(frozen=True, slots=True)
class Searching:
    """Which messages of the archive."""

    query: str
    chat: str | int | None = None
    sender: str | int | None = None
    after: str | None = None
    before: str | None = None
    kinds: tuple[str, ...] = ()
    order: Literal["relevance", "newest", "oldest"] = "relevance"
    context: int = 0
    cursor: str | None = None
    limit: int = 20
    tokens: int | None = None
    form: Literal["text", "json"] = "text"
    states: tuple[str, ...] = ()


def chat_answer(archive: Archive, chat: str | int, reading: Reading) -> str:
    """Answer ``read_chat``; raises `ArchiveError` with what to do next."""
    party = archive.queries.find_chat(chat)

    def ask(limit: int) -> Page:
        return archive.queries.read_chat(
            party, after=reading.after, before=reading.before, around=reading.around, limit=limit, cursor=reading.cursor
        )

    asked = Asked(
        archive.settings.timezone,
        chat_title(party),
        chat=party,
        limit=reading.limit,
        tokens=reading.tokens or DEFAULT_TOKENS,
        form=reading.form,
        onward="older",
        address=reading.address,
        advice=_nothing_read(party.id, reading),
    )
    return answer(asked, ask)


def search_answer(archive: Archive, searching: Searching) -> str:
    """Answer ``search_messages``; raises `ArchiveError` with what to do next."""
    party = None if searching.chat is None else archive.queries.find_chat(searching.chat)

    def ask(limit: int) -> Page:
        return archive.queries.search(
            searching.query,
            chat=party,
            sender=searching.sender,
            after=searching.after,
            before=searching.before,
            kinds=searching.kinds,
            states=searching.states,
            order=searching.order,
            context=searching.context,
            limit=limit,
            cursor=searching.cursor,
        )

    asked = Asked(
        archive.settings.timezone,
        f"Search {literal(searching.query)}{f' in {chat_title(party)}' if party else ''}",
        chat=party,
        limit=searching.limit,
        tokens=searching.tokens or DEFAULT_TOKENS,
        form=searching.form,
        advice="search_messages with fewer or other words, or without filters; full_sync_status says what is archived.",
    )
    return answer(asked, ask)


def _nothing_read(chat: int, reading: Reading) -> str:
    if reading.after or reading.before or reading.cursor:
        return f"read_chat chat={chat} without after and before shows the newest messages."
    return f"sync_chat chat={chat} fetches its history."
