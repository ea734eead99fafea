"""The webhook receiver: Green API posts each notification here, and hears "200" only once it is stored.

Green API sends a notification again, and holds back all that follow, until it is answered 200; after a day it drops them (Green
API docs, webhook endpoint). So whatever comes from whoever knows the token is kept, also what nobody can read.
"""

from __future__ import annotations

from whatsapp_mcp.webhook.receiver import PATH, Limits, build_app
from whatsapp_mcp.webhook.serving import serve_webhook

__all__ = ["PATH", "Limits", "build_app", "serve_webhook"]
