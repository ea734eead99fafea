"""``python -m whatsapp_mcp.scheduler``: the same as the command ``whatsapp-mcp-scheduler``."""

from __future__ import annotations

import sys

from whatsapp_mcp.cli.unattended import main

if __name__ == "__main__":
    sys.exit(main())
