"""Completions while an argument is typed: names of chats and contacts for prompts, ids and months for addresses."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
from mcp.types import Completion, PromptReference

from whatsapp_mcp.errors import ArchiveError
from whatsapp_mcp.server.fencing import inline

if TYPE_CHECKING:
    from mcp.types import CompletionArgument, CompletionContext, ResourceTemplateReference

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.strict import StrictServer
    from whatsapp_mcp.views import Party

MOST: Final = 50
_PERIODS: Final = ("today", "yesterday", "last week", "last 30 days", "last month", "last year")


def register(server: StrictServer, archive: Archive) -> None:
    """Answer completions from `archive`."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK leaves it untyped
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        known = {} if context is None else context.arguments or {}
        by_name = isinstance(ref, PromptReference)
        values = await anyio.to_thread.run_sync(_safely, archive, argument, by_name, known)
        return Completion(values=values[:MOST], total=len(values), has_more=len(values) > MOST)


def _safely(archive: Archive, argument: CompletionArgument, by_name: bool, known: dict[str, Any]) -> list[str]:  # noqa: FBT001
    """Without an archive there is nothing to offer, which is no reason to fail."""
    try:
        return values(archive, argument.name, argument.value, by_name=by_name, known=known)
    except ArchiveError:
        return []


def values(archive: Archive, name: str, typed: str, *, by_name: bool, known: dict[str, Any]) -> list[str]:
    """Return what may stand for the argument `name` after `typed`, best first."""
    if name in ("chat", "chat_id"):
        return _shown(_chats(archive, typed), typed, by_name=by_name)
    if name in ("contact", "contact_id", "sender"):
        return _shown(_contacts(archive, typed), typed, by_name=by_name)
    if name == "period":
        return [period for period in _PERIODS if period.startswith(typed.casefold())]
    if name == "month":
        return [month for month in _months(archive, known.get("chat_id")) if month.startswith(typed)]
    return []


def _chats(archive: Archive, typed: str) -> list[Party]:
    found, _, _ = archive.queries.list_chats(query=None if typed.isdigit() else typed or None, limit=500)
    return [chat.party for chat in found]


def _contacts(archive: Archive, typed: str) -> list[Party]:
    if not typed or typed.isdigit():
        found, _, _ = archive.queries.list_chats(kind="private", limit=500)
        if not typed:
            return [chat.party for chat in found][:MOST]
    return [contact.party for contact in archive.queries.find_contacts(typed, limit=MOST)]


def _shown(parties: list[Party], typed: str, *, by_name: bool) -> list[str]:
    if by_name:
        return list(dict.fromkeys(inline(party.name, 100) for party in parties if party.name))
    return [str(party.id) for party in parties if not typed.isdigit() or str(party.id).startswith(typed)]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _months(archive: Archive, chat_id: str | None) -> list[str]:
    """The months between a chat's first and last message, the newest first."""
    covered = archive.queries.coverage(int(chat_id) if chat_id and _is_id(chat_id) else None)
    if covered.oldest is None or covered.newest is None:
        return []
    first, last = (datetime.fromtimestamp(at, archive.settings.timezone) for at in (covered.oldest, covered.newest))
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    numbers = (last.year * 12 + last.month - 1 - back for back in range(count))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers]
