"""Completions while an argument is typed: chats and people for prompts, their ids for addresses, months and periods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
from mcp.types import Completion, PromptReference

from whatsapp_mcp.errors import ArchiveError
from whatsapp_mcp.server.fencing import bare

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from mcp.types import CompletionArgument, CompletionContext, ResourceTemplateReference

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.strict import StrictServer
    from whatsapp_mcp.views import Party

MOST: Final = 100
"""The protocol allows no more (MCP, "Completion")."""

LONGEST: Final = 100
"""Nothing here is called longer, and comparing a long text with every name takes its time."""

_KINDS: Final[dict[str, Literal["chat", "contact"]]] = {
    "chat": "chat", "chat_id": "chat", "contact": "contact", "contact_id": "contact", "sender": "contact",
}  # fmt: skip
_PERIODS: Final = (
    "today", "yesterday", "this week", "last week", "last 7 days", "last 30 days", "this month", "last month", "this year",
    "last year",
)  # fmt: skip


def register(server: StrictServer, archive: Archive) -> None:
    """Answer completions from `archive`."""

    @server.completion()
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        known = {} if context is None else context.arguments or {}
        by_name = isinstance(ref, PromptReference)
        found = await anyio.to_thread.run_sync(_safely, archive, argument, by_name, known)
        more = len(found) > MOST
        return Completion(values=found[:MOST], total=None if more else len(found), has_more=more)


def _safely(archive: Archive, argument: CompletionArgument, by_name: bool, known: dict[str, Any]) -> list[str]:  # noqa: FBT001
    """Without an archive there is nothing to offer, which is no reason to fail."""
    try:
        return values(archive, argument.name, argument.value, by_name=by_name, known=known)
    except ArchiveError:
        return []


def values(archive: Archive, name: str, typed: str, *, by_name: bool, known: dict[str, Any]) -> list[str]:
    """Return what may stand for the argument `name` after `typed`, best first; more than `MOST`: there are more."""
    typed = typed.strip()
    if len(typed) > LONGEST:
        return []
    if name in _KINDS:
        parties = _parties(archive, typed, _KINDS[name])
        found = (bare(party.name, 100) for party in parties) if by_name else _ids(parties, typed)
        return list(dict.fromkeys(each for each in found if each))[: MOST + 1]
    if name in ("month", "first", "second"):
        return _beginning(_months(archive, known), typed)
    if name in ("period", "since"):
        months = _months(archive, known)
        years = dict.fromkeys(month[:4] for month in months)
        return _beginning([*_PERIODS, *months[:24], *(years if name == "period" else ())], typed)
    return []


def _parties(archive: Archive, typed: str, kind: Literal["chat", "contact"]) -> list[Party]:
    """Those whose names may be meant; before anything is typed the most recently active, and for digits those with such ids."""
    recent: list[Party] = []
    if not typed or typed.isdigit():
        if kind == "chat":
            recent = [chat.party for chat in archive.queries.list_chats(limit=500)[0]]
        else:
            recent = list(archive.queries.recent_contacts(limit=500))
        recent = [party for party in recent if str(party.id).startswith(typed)]
    named = archive.queries.names_like(typed, kind, limit=MOST + 1) if typed else ()
    return list(dict.fromkeys([*named, *recent]))


def _ids(parties: Iterable[Party], typed: str) -> Iterable[str]:
    """Ids; of what is a number itself, those that begin with it."""
    return (str(party.id) for party in parties if not typed.isdigit() or str(party.id).startswith(typed))


def _beginning(words: Iterable[str], typed: str) -> list[str]:
    wanted = typed.strip().casefold()
    return [word for word in words if word.startswith(wanted)]


def _months(archive: Archive, known: dict[str, Any]) -> tuple[str, ...]:
    """The months with messages: of the chat that is chosen already, else of all."""
    chat = str(known.get("chat_id") or known.get("chat") or "").strip()
    if chat:
        try:
            return archive.queries.months(chat)
        except ArchiveError:
            return ()
    return archive.queries.months()
