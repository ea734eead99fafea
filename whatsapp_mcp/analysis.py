"""How much was written in an interval, by whom, where, when and what: numbers only, from `Queries`.

Received messages count for their sender, sent ones for the chat's person: "by contact" answers with whom one exchanges how much. In groups
a sent message belongs to nobody in particular and is counted under ``chat`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.dates import day_label
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import counting, people
from whatsapp_mcp.queries.coverage import coverage
from whatsapp_mcp.queries.messages import MEDIA_KINDS
from whatsapp_mcp.queries.ranking import Filters
from whatsapp_mcp.views import Analysis, Count, Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from whatsapp_mcp.queries import Queries
    from whatsapp_mcp.queries.counting import Tally
    from whatsapp_mcp.queries.people import Reference

BREAKDOWNS: Final = ("contact", "chat", "day", "month", "type", "year", "weekday", "hour")
STANDARD: Final = ("contact", "chat", "day", "month", "type")
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
