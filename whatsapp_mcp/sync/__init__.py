"""The flows that bring an account into the archive: in which order to ask, when to stop, what to remember.

No SQL and no field names of the gateway: payloads are fetched by ``greenapi``, read by ``normalise`` and stored by the writer.
"""

from __future__ import annotations

from whatsapp_mcp.sync.chat import chat_named, sync_chat
from whatsapp_mcp.sync.coverage import silent_caps
from whatsapp_mcp.sync.full import full_sync
from whatsapp_mcp.sync.progress import ChatFailure, Outcome, Progress
from whatsapp_mcp.sync.recent import nothing_synced, sync_recent
from whatsapp_mcp.sync.sweep import sweep

__all__ = [
    "ChatFailure", "Outcome", "Progress", "chat_named", "full_sync", "nothing_synced", "silent_caps", "sweep", "sync_chat",
    "sync_recent",
]  # fmt: skip
