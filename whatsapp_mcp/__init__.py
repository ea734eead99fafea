"""A whole WhatsApp account, kept on your own disk and answerable by any assistant over MCP."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
