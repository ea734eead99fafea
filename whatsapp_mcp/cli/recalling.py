"""The commands that answer like the tools for a model: ``catch-up`` and ``verify-quote``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from whatsapp_mcp.cli.terminal import say_json
from whatsapp_mcp.export.objects import message_object
from whatsapp_mcp.server.catching_up import CatchingUp, catching_up_answer
from whatsapp_mcp.server.quoting import quote_answer

if TYPE_CHECKING:
    from whatsapp_mcp.cli.run import Command


def catch_up(command: Command) -> int:
    """``catch-up``: what happened since a time."""
    args = command.args
    asked = CatchingUp(args.since, args.chat, args.token_budget, "json" if args.json else "text")
    answer = catching_up_answer(command.archive, asked, enclose=str)
    if args.json:
        told = json.loads(answer)
        say_json({name: value for name, value in told.items() if name not in ("fence", "fence_end")})
    else:
        print(answer)
    return 0


def verify_quote(command: Command) -> int:
    """``verify-quote``: whether a message says a sentence; 1 where it does not."""
    args = command.args
    checked = command.archive.queries.verify_quote(args.message, args.quote)
    if args.json:
        zone = command.archive.settings.timezone
        say_json(
            {
                "verdict": checked.verdict,
                "is_there": checked.is_there,
                "message": message_object(checked.message, zone),
                "elsewhere": [message_object(one, zone) for one in checked.elsewhere],
                "missing": list(checked.missing),
            }
        )
    else:
        print(quote_answer(command.archive, checked, enclose=str))
    return int(not checked.is_there)
