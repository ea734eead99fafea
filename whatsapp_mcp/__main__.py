"""``python -m whatsapp_mcp``: the same as the command ``whatsapp-mcp``."""

from __future__ import annotations

import sys

from whatsapp_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
