"""What there is to open: the list of resources in pages, the fixed addresses first, then every chat, the most active first.

The list changes when a chat arrives; `subscriptions` tells whoever wants to know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import anyio.to_thread
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, Annotations, ListResourcesResult, PaginatedRequestParams, Resource

from whatsapp_mcp.errors import StorageError, UsageError
from whatsapp_mcp.server.answers import chat_title
from whatsapp_mcp.server.lines import counted

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.mcpserver import Context

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.strict import StrictServer
    from whatsapp_mcp.views import ChatView

CHATS_LISTED: Final = 100
"""So many chats are on a page, which is about 30 kB."""


def register(server: StrictServer, archive: Archive) -> None:
    """Let `server` answer ``resources/list`` in pages; the SDK itself sends one."""

    async def list_resources(
        context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        cursor = None if params is None else params.cursor
        fixed = await server.list_resources() if cursor is None else []
        with server.access.of("resource", "resources/list", cast("Context[Any, Any]", context)):
            return await anyio.to_thread.run_sync(_page, archive, fixed, cursor)

    low = server._lowlevel_server  # noqa: SLF001 - the SDK's own server lists everything on one page
    low.add_request_handler("resources/list", PaginatedRequestParams, list_resources)


def _page(archive: Archive, fixed: list[Resource], cursor: str | None) -> ListResourcesResult:
    try:
        chats, following, _ = archive.queries.list_chats(limit=CHATS_LISTED, cursor=cursor)
    except StorageError:
        return ListResourcesResult(resources=fixed)  # before the first sync there are no chats
    except UsageError as wrong:
        raise MCPError(INVALID_PARAMS, str(wrong)) from wrong
    active = chats[0].last_message_at if chats else None
    for resource in fixed:
        if resource.uri == "whatsapp://chats":
            resource.annotations = _modified(active)
        elif resource.uri == "whatsapp://status":
            resource.annotations = _modified(archive.queries.coverage().last_synced_at)
    return ListResourcesResult(resources=[*fixed, *map(_chat, chats)], next_cursor=following)


def _chat(chat: ChatView) -> Resource:
    return Resource(
        uri=f"whatsapp://chats/{chat.party.id}",
        name=f"chat-{chat.party.id}",
        title=chat_title(chat.party),
        description=f"{counted(chat.message_count, 'message')}; opens with the newest.",
        mime_type="text/plain",
        annotations=_modified(chat.last_message_at),
    )


def _modified(moment: int | None) -> Annotations | None:
    """The annotation for a time in unix seconds; none where it is not known."""
    if moment is None:
        return None
    return Annotations(last_modified=datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z"))
