"""Messages as the most used WhatsApp server for assistants writes them, to compare lengths with.

That is lharries/whatsapp-mcp, as the source of its ``list_messages`` has it: one line for each message, the newest first, and
an id only where there is a file. By default it adds the message before and the one after to each; here it is asked not to,
which is the shortest that it can be. It keeps no replies, reactions, edits and deletions, so only plain messages compare.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import MessageView


def their_lines(messages: Sequence[MessageView], zone: ZoneInfo) -> str:
    """The whole answer for `messages`, which are given in ascending time."""
    return "".join(_line(message, zone) for message in reversed(messages))


def _line(message: MessageView, zone: ZoneInfo) -> str:
    sent = datetime.fromtimestamp(message.sent_at, zone)
    sender = "Me" if message.from_me else message.sender.name if message.sender else ""
    return f"[{sent:%Y-%m-%d %H:%M:%S}] Chat: {message.chat.name} From: {sender}: {message.content}\n"
