"""The MCP server: the questions as tools, and how their answers are written.

This page imports nothing, so that rooms which only need the lines or the fence do not pay for the SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive


def serve(archive: Archive) -> None:
    """Serve `archive` over standard input and output until the client leaves."""
    import anyio

    from whatsapp_mcp.server.transport import prepare_logging, serve_stdio

    prepare_logging()
    from whatsapp_mcp.server.build import build_server

    server, jobs = build_server(archive)
    anyio.run(serve_stdio, server, jobs.stop)


def main() -> int:
    """Serve the archive that the settings name; returns the exit code."""
    import sys

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.errors import ArchiveError

    try:
        archive = Archive.open(Settings.load())
    except ArchiveError as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code
    serve(archive)
    return 0
