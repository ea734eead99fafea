"""The network: what Green API answers, untouched, at the pace that it allows.

The client can read and, in the notification queue, acknowledge; nothing in it changes anything at WhatsApp.
"""

from __future__ import annotations

from whatsapp_mcp.greenapi.client import GreenApi
from whatsapp_mcp.greenapi.credentials import Credentials

__all__ = ["Credentials", "GreenApi"]
