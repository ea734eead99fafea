"""The command line: the same questions as the MCP tools, and the work that fills the archive.

``parser`` says which commands exist, ``run`` starts one and turns every error into one line; ``reading``, ``writing``,
``importing`` and ``serving`` hold the commands, ``terminal`` and ``objects`` what they print, ``progress`` the bar of long
work.
"""

from __future__ import annotations

from whatsapp_mcp.cli.run import main

__all__ = ["main"]
