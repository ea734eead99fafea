"""The MCP server: the questions as tools, and how their answers are written.

This page imports nothing, so that rooms which only need the lines or the fence do not pay for the SDK.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive


_log = logging.getLogger(__name__)


def serve(archive: Archive) -> None:
    """Serve `archive` over standard input and output until the client leaves."""
    import anyio

    from whatsapp_mcp.server.transport import prepare_logging, serve_stdio

    prepare_logging()
    from whatsapp_mcp.server.build import build_server

    server, jobs = build_server(archive)
    _log.info("the server begins")
    try:
        anyio.run(serve_stdio, server, jobs.stop)
    finally:
        _log.info("the server ends")


def main() -> int:
    """Serve the archive that the settings name; returns the exit code."""
    import sys

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.errors import ArchiveError
    from whatsapp_mcp.logs import SERVER, start_log, stop_log

    try:
        archive = Archive.open(Settings.load())
    except ArchiveError as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code
    handler = start_log(archive.settings, SERVER)
    try:
        serve(archive)
    finally:
        stop_log(handler)
    return 0
