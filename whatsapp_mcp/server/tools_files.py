"""The tools that deal in files: a chat as a document in the archive's home, and the files that messages carried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from whatsapp_mcp.server.arguments import After, Before, ChatName, Handle
from whatsapp_mcp.server.strict import tool

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.viewing import Viewer


class FileTools:
    """What can be asked for as a file."""

    def __init__(self, archive: Archive, viewer: Viewer) -> None:
        """Keep the archive, and who looks at files."""
        self._archive = archive
        self._viewer = viewer

    @tool("Export a chat", reads_only=False)
    async def export_chat(
        self,
        *,
        chat: ChatName,
        format: Annotated[  # noqa: A002 - the contract names the parameter
            Literal["json", "txt"],
            Field(description="json: one document with all facts. txt: like WhatsApp's own chat export."),
        ],
        context: Context,
        after: After = None,
        before: Before = None,
        include_media: Annotated[
            bool, Field(description="Pack a zip with the files that are stored for these messages beside the text.")
        ] = False,
    ) -> CallToolResult:
        """Write one archived WhatsApp chat, or an interval of it, to a file in the archive's exports folder.

        Returns the path, the numbers and a resource link.

        Use it when the user wants a file to keep, print or process. To read or quote messages here use read_chat or
        search_messages, whose answers are in the conversation at once. The same request writes the same file name again and
        replaces that file; nothing else is changed, and nothing leaves this computer.
        """
        from whatsapp_mcp.server.exporting import Export, export_answer

        return await export_answer(self._archive, Export(chat, format, after, before, include_media), context)

    @tool("Get a message's file")
    async def get_media(self, message: Handle) -> CallToolResult:
        """Show the file that one WhatsApp message carried: name, type, size, length, place, and a stored picture itself.

        Pictures are scaled down to 1024 pixels; of a PDF the first page is shown, of a video the first frame, and the text that
        was read out of a document or heard in a voice note comes with them.

        Use it with a handle from read_chat or search_messages when the content of a picture matters or the user asks for a
        file. To find files use search_messages with kinds, e.g. ["document"]. It never downloads: a file that is not stored yet
        is only described, and the answer says so.
        """
        from whatsapp_mcp.server.pictures import media_answer

        # whoever takes the question back does not wait for the file
        return await anyio.to_thread.run_sync(media_answer, self._archive, message, self._viewer, abandon_on_cancel=True)
