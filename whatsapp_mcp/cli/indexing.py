"""The command that reads what messages mean, for search by meaning."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from whatsapp_mcp.cli.listening import listener_is_running
from whatsapp_mcp.cli.progress import counted
from whatsapp_mcp.cli.terminal import say, say_json
from whatsapp_mcp.errors import UsageError, WriterRunning

if TYPE_CHECKING:
    from whatsapp_mcp.cli.run import Command

_log = logging.getLogger(__name__)


def index(command: Command) -> int:
    """``index``: every message that search by meaning does not know yet."""
    from whatsapp_mcp.meanings import index_meanings

    archive = command.archive
    if not archive.settings.semantic:
        raise UsageError("Search by meaning is switched off.", advice="Set WHATSAPP_MCP_SEMANTIC=yes first.")
    if not archive.database.exists():
        raise UsageError("There is no archive yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")
    try:
        done = index_meanings(archive, report=counted(sys.stderr, archive.clock.monotonic, "part"))
    except WriterRunning as error:
        raise listener_is_running(archive, error) from None
    _log.info("%d parts of the index of meanings made", done.made)
    if command.args.json:
        say_json(done._asdict())
    else:
        say("Search by meaning knows all messages now." if done.made else "Search by meaning knew all messages already.")
    return 0
