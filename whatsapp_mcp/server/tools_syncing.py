"""The tools that fetch from Green API and store, and the one that says how far that is. Nothing is ever sent to WhatsApp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent
from pydantic import Field

from whatsapp_mcp.errors import WriterRunning
from whatsapp_mcp.server.arguments import ChatName
from whatsapp_mcp.server.strict import tool
from whatsapp_mcp.server.structured import SyncStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Archive, Writer
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.server.jobs import Job, Jobs
    from whatsapp_mcp.sync import Progress
    from whatsapp_mcp.views import Listener


class SyncingTools:
    """What can be asked of the syncs."""

    def __init__(self, archive: Archive, jobs: Jobs) -> None:
        """Keep the archive, and the jobs that outlive a call."""
        self._archive = archive
        self._jobs = jobs

    @tool("Sync status", structured=True)
    def full_sync_status(self) -> Annotated[CallToolResult, SyncStatus]:
        """Show how complete and fresh the WhatsApp archive is, and how far a sync has come.

        Counts, coverage, the last runs with progress, rate and time left, and every chat that failed or is cut off.

        Use it before trusting that something is missing or that an answer is up to date, and to follow a sync that was started
        here or by the command line. It only reads the local archive; to fetch, use sync_recent (what is new), sync_chat (one
        chat) or start_full_sync (everything).
        """
        from whatsapp_mcp.server.numbers import archive_status, status_object, status_text

        zone, now = self._archive.settings.timezone, int(self._archive.clock.now())
        status = archive_status(self._archive)
        shown = status_object(status, zone, now, self._live())
        text = TextContent(type="text", text=status_text(status, zone, shown))
        return CallToolResult(content=[text], structured_content=shown)

    @tool("Start a full sync", reads_only=False)
    async def start_full_sync(
        self,
        *,
        mode: Annotated[
            Literal["resume", "restart"],
            Field(
                description="resume: continue an unfinished run, or sweep all chats for what was missed. restart: begin anew."
            ),
        ] = "resume",
    ) -> str:
        """Start fetching the whole WhatsApp account into the archive, in the background, and answer at once.

        Use it for the first sync, after an interruption, or when full_sync_status says that chats are missing. For what is new
        since the last sync use sync_recent; for one chat use sync_chat; both are much quicker. A whole account takes minutes
        (about one chat a second); full_sync_status shows the progress, and reading works meanwhile. Needs the Green API
        credentials and a linked phone; only one sync runs at a time. It never changes anything at WhatsApp and never deletes
        what is stored, also not with restart.
        """
        from whatsapp_mcp.server.jobs import progress_text
        from whatsapp_mcp.sync import full_sync

        async def work(gateway: GreenApi, writer: Writer, report: Callable[[Progress], None]) -> object:
            return await full_sync(gateway, writer, self._archive.clock, restart=mode == "restart", report=report)

        job = await self._jobs.begin("full sync", work)
        if await job.wait(1.0):
            return _ended(job)
        how_far = f" ({progress_text(job.progress)})" if job.progress and not job.is_discreet else ""
        return f"The full sync has started and goes on in the background{how_far}. full_sync_status shows its progress."

    @tool("Sync one chat", reads_only=False)
    async def sync_chat(
        self,
        *,
        chat: ChatName,
        context: Context,
        depth: Annotated[
            int | None, Field(ge=1, le=1_000_000, description="Only the newest so many messages. Default: the whole history.")
        ] = None,
    ) -> str:
        """Fetch one chat's history from Green API into the archive now, and say what was new.

        Use it when read_chat or search_messages lacks messages of one chat, or when full_sync_status lists the chat as failed
        or pending. For all chats use sync_recent or start_full_sync. Needs the Green API credentials; waits up to 45 seconds
        with progress, after that the work goes on in the background (full_sync_status). Nothing stored is lost, nothing changes
        at WhatsApp.
        """
        from whatsapp_mcp.server.waiting import chat_to_fetch, wait_with_progress
        from whatsapp_mcp.sync import sync_chat

        whatsapp_id = await anyio.to_thread.run_sync(chat_to_fetch, self._archive, chat)

        async def work(gateway: GreenApi, writer: Writer, report: Callable[[Progress], None]) -> object:
            return await sync_chat(gateway, writer, self._archive.clock, whatsapp_id, depth=depth, report=report)

        return _ended(await wait_with_progress(await self._jobs.begin("sync of one chat", work, of_one_chat=True), context))

    @tool("Sync what is new", reads_only=False)
    async def sync_recent(self, context: Context) -> CallToolResult:
        """Fetch what arrived or was sent since the last sync from Green API into the archive, and say how much was new.

        Use it before questions about today or the last days, when full_sync_status shows that the archive is not fresh. It does
        not reach further back than the last sync: for a first sync or missing history use start_full_sync, for one chat
        sync_chat. Needs the Green API credentials; waits up to 45 seconds with progress, after that the work goes on in the
        background (full_sync_status). Where a listener keeps the archive current, it says so and fetches nothing.
        """
        from whatsapp_mcp.server.waiting import wait_with_progress
        from whatsapp_mcp.sync import nothing_synced, sync_recent

        self._archive.settings.credentials()  # what is wrong with the settings comes first
        if not self._archive.database.exists():  # an archive is not made only to find out that it is empty
            raise nothing_synced()

        async def work(gateway: GreenApi, writer: Writer, report: Callable[[Progress], None]) -> object:
            return await sync_recent(gateway, writer, self._archive.clock, report=report)

        try:
            job = await self._jobs.begin("sync of what is new", work)
        except WriterRunning:
            listener = await anyio.to_thread.run_sync(self._archive.listener)
            if listener is None:
                raise
            return self._listens(listener)
        return CallToolResult(content=[TextContent(type="text", text=_ended(await wait_with_progress(job, context)))])

    def _listens(self, listener: Listener) -> CallToolResult:
        """Another process keeps the archive current, so nothing needs to be fetched."""
        from whatsapp_mcp.server.waiting import listener_object, listener_text

        zone = self._archive.settings.timezone
        sees_all = self._archive.sight is None
        text = listener_text(listener, zone, with_counts=sees_all)
        shown: dict[str, Any] = {"state": "listening", "message": text}
        if sees_all:
            shown["listener"] = listener_object(listener, zone)
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=shown)

    def _live(self) -> dict[str, Any] | None:
        """What a run of this process knows better than the database: its speed at this moment, or why it stopped."""
        job = self._jobs.newest
        if job is None:
            return None
        if job.error is not None:
            return {"last_error": job.error}
        if job.progress is None or not job.is_running or job.is_discreet:
            return None
        left = job.progress.seconds_left
        live: dict[str, Any] = {"run_id": job.progress.run_id, "messages_per_second": round(job.progress.rate, 1)}
        return live if left is None else live | {"seconds_left": round(left)}


def _ended(job: Job) -> str:
    """Say how a job ended or, when it did not, that it goes on; raises `ToolError` when it failed."""
    from whatsapp_mcp.server.waiting import outcome_text

    if job.error is not None:
        raise ToolError(job.error)
    return outcome_text(job)
