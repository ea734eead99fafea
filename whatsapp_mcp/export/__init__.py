"""Views written for others to read: one message as JSON, and whole chats as files.

``message_object`` is the JSON form of a message wherever one is shown (tools, ``--json``, exports); ``export_chat`` streams a
chat through one of the `RENDERERS` into a file that appears whole or not at all.
"""

from __future__ import annotations

from whatsapp_mcp.export.files import Exported, Request, export_chat, export_name
from whatsapp_mcp.export.objects import (
    coverage_object,
    interval_object,
    message_object,
    page_object,
    party_object,
    rfc3339,
)
from whatsapp_mcp.export.renderers import RENDERERS, Head, Renderer

__all__ = [
    "RENDERERS",
    "Exported",
    "Head",
    "Renderer",
    "Request",
    "coverage_object",
    "export_chat",
    "export_name",
    "interval_object",
    "message_object",
    "page_object",
    "party_object",
    "rfc3339",
]
