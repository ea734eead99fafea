"""What MCP clients point at: serves the WhatsApp archive over standard input and output."""

from __future__ import annotations

import sys

from whatsapp_mcp.server import main

if __name__ == "__main__":
    sys.exit(main())
