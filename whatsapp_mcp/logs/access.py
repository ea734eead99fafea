"""The log of what assistants read: ``logs/access-<day>.log``, a JSON object a line, with ids of the archive and nothing else.

No text, no name, no number and no word of a question stands in it; the name of the client is what that calls itself.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.logs.files import DailyFile
from whatsapp_mcp.logs.words import LONGEST, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from whatsapp_mcp.config import Settings

ACCESS: Final = "access"
"""The log of what assistants read."""


class _Read(Line):
    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record whose ``access`` holds the facts."""
        facts: dict[str, Any] = {"at": self.moment(record).isoformat(timespec="milliseconds"), **record.__dict__["access"]}
        line = json.dumps(facts | {"pid": record.process})
        return line if len(line) < LONGEST else json.dumps({key: facts[key] for key in facts if key != "chats"})


def access_log(settings: Settings, now: Callable[[], float]) -> Callable[[Mapping[str, Any]], None]:
    """What writes a line of given facts; it never fails, a full disk costs lines and one warning on stderr."""
    file = DailyFile(settings.home, ACCESS, _Read(settings.timezone, settings.secrets, now))

    def write(facts: Mapping[str, Any]) -> None:
        file.emit(logging.makeLogRecord({"access": dict(facts)}))

    return write
