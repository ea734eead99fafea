"""The tools that save a model many others: what happened since a time in one answer, and whether a citation is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from whatsapp_mcp.server.arguments import AsText, Form, Handle, OptionalChat
from whatsapp_mcp.server.strict import tool

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive


class RecallingTools:
    """What builds an answer out of many questions."""

    def __init__(self, archive: Archive) -> None:
        """Keep the archive; it is opened with the first question."""
        self._archive = archive

    @tool("Catch up")
    def catch_up(
        self,
        *,
        since: Annotated[
            AsText,
            Field(description="From when on: yesterday, last week, 2025-08-14, or RFC 3339, e.g. 2025-08-14T09:00+03:00."),
        ],
        chat: OptionalChat = None,
        token_budget: Annotated[
            int | None,
            Field(
                ge=1,
                le=20_000,
                description="The most tokens of the answer (characters / 3.5; 150 more for the header). Default 8000.",
            ),
        ] = None,
        format: Form = "text",  # noqa: A002 - the contract of the other tools names the parameter
    ) -> str:
        """Tell what happened in WhatsApp since a time: every chat with new messages, the most important first, in one answer.

        First come private chats that wait for the owner's answer, then groups in which somebody answered the owner, then the
        rest. As far as the budget goes a chat is shown whole, else by its last messages, else by its counts, always with
        handles for read_chat around=handle.

        Use it for "what did I miss" and "who waits for me". For one chat in order use read_chat, for words search_messages,
        for numbers analyze_range. It reads the archive: sync_recent first fetches what is new.
        """
        from whatsapp_mcp.server.catching_up import CatchingUp, catching_up_answer

        return catching_up_answer(self._archive, CatchingUp(since, chat, token_budget, format))

    @tool("Verify a quote", is_quick=True)
    def verify_quote(
        self,
        *,
        message: Handle,
        quote: Annotated[AsText, Field(min_length=1, description='The sentence as it is to be cited, e.g. "I pay on Friday".')],
    ) -> str:
        """Check whether a WhatsApp message really says a sentence, by whom and when, before it is cited to the user.

        Answers Yes (letter by letter, or the same words), No longer (before an edit), Not by its sender (it only quotes it),
        Not in the message (in its file), or No, with other messages that do say it; then shows the message.

        Use it for each quotation that matters. To find messages use search_messages; handles stay valid for good.
        """
        from whatsapp_mcp.server.quoting import quote_answer

        return quote_answer(self._archive, self._archive.queries.verify_quote(message, quote))
