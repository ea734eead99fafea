"""One line of a log: a JSON object of numbers and of words of our own.

What a line may hold is a list of what is allowed: the text that stands in the code, numbers, single lower-case words of ours,
names of error classes, places in the code. An error's own text is not among it, for it may quote what somebody wrote. A second
net takes out whatever looks like an id, a number of a phone, an address or a secret of the settings.
"""

from __future__ import annotations

import builtins
import json
import logging
import re
import traceback
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp import errors
from whatsapp_mcp.refusals import foreseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

LONGEST: Final = 4_000
"""Bytes of a line at most: so much is written in one piece, also where several processes write to one file."""

CATEGORIES: Final[Mapping[type[BaseException], str]] = {
    errors.Unreachable: "network",
    errors.CredentialsError: "credentials",
    errors.NotAuthorized: "credentials",
    errors.GatewayError: "gateway",
    errors.SettingsError: "settings",
    errors.UsageError: "usage",
    errors.StorageError: "storage",
    errors.WriterRunning: "lock",
    errors.MailError: "mail",
    errors.SchedulingError: "schedule",
    errors.ImportRefused: "import",
    errors.ArchiveError: "other",
}
"""What kind of trouble an error is; the first class that fits decides, and what nobody foresaw is a ``mistake``."""

_MISTAKE: Final = "mistake"
_PACKAGE: Final = "whatsapp_mcp"
_LONGEST_WORDS: Final = 500
_FRAMES: Final = 8
_CAUSES: Final = 5
_HIDDEN: Final = "…"
_SHORTEST_SECRET: Final = 4
_WORD: Final = re.compile(r"[a-z_]{1,40}(?:[.-][a-z_]{1,40}){0,4}")
_STRANGE: Final = re.compile(
    r"(?P<url>[a-z][a-z+.-]*://[^\s/?#]+)[/?#]\S*"
    r"|(?P<id>[\w.+-]+@[\w.-]+)"
    r"|(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}\b)"
    r"|(?P<number>\+?\d(?:[ ().-]?\d){6,})",
    re.IGNORECASE,
)
"""Addresses (the path of Green API's holds the token), ids and mail addresses, and numbers as long as one of a phone."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """Take the secrets out of `text`, should some library ever have let one in."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "<secret>")
    return text


def category_of(error: BaseException) -> str:
    """The kind of trouble: ``network``, ``gateway``, ``credentials``, ``storage``, ``settings``, …, or ``mistake``."""
    known = foreseen(error)
    return _MISTAKE if known is None else _category(type(known))


def _category(kind: type[BaseException]) -> str:
    return next((said for parent, said in CATEGORIES.items() if issubclass(kind, parent)), _MISTAKE)


class Line(logging.Formatter):
    """Makes the JSON object of a record; ``extra`` may hold ``run``, ``seconds``, ``error`` and ``category``."""

    def __init__(self, zone: ZoneInfo, secrets: Iterable[str] = (), now: Callable[[], float] | None = None) -> None:
        """Write times in `zone`, and none of the `secrets`; `now` tells the time instead of the record."""
        super().__init__()
        self._zone = zone
        self._secrets = tuple(sorted(secrets, key=len, reverse=True))
        self._now = now

    def moment(self, record: logging.LogRecord) -> datetime:
        """When it happened, in the user's zone."""
        return datetime.fromtimestamp(record.created if self._now is None else self._now(), self._zone)

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole line, without its end."""
        error = _error_of(record)
        values: dict[str, Any] = {
            "at": self.moment(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix(f"{_PACKAGE}."),
            "message": self._said(record),
            "category": _category_of_record(record, error),
            "run": _number(getattr(record, "run", None)),
            "seconds": _number(getattr(record, "seconds", None)),
            "error": " < ".join(_chain(error)) if error else None,
            "where": _places(error) if error else None,
            "pid": record.process,
        }
        return _limited({name: value for name, value in values.items() if value is not None})

    def _said(self, record: logging.LogRecord) -> str:
        text = record.msg if isinstance(record.msg, str) else str(_allowed_one(record.msg))
        text = _STRANGE.sub(_replaced, text[: 4 * _LONGEST_WORDS])  # looking for ids takes the square of the length
        try:
            said = text % _allowed(record.args) if record.args else text
        except (TypeError, ValueError, KeyError):  # a word where a number belongs: what stands in the code is still right
            said = text
        return redact(" ".join(said.split()), self._secrets)[:_LONGEST_WORDS]


def _limited(values: dict[str, Any]) -> str:
    line = json.dumps(values)
    if len(line) >= LONGEST:
        line = json.dumps({name: value for name, value in values.items() if name != "where"} | {"message": _HIDDEN})
    return line


def _allowed(args: Any) -> Any:  # noqa: ANN401 - whatever somebody wants to log
    if isinstance(args, dict):
        return {name: _allowed_one(value) for name, value in args.items()}
    return tuple(map(_allowed_one, args))


def _allowed_one(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, str) and (_WORD.fullmatch(value) or _class_named(value)):
        return value
    return _HIDDEN


def _replaced(found: re.Match[str]) -> str:
    if found["url"]:
        return f"{found['url']}/{_HIDDEN}"
    return found["ip"] or ("<id>" if found["id"] else "<number>")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value, 3)


def _error_of(record: logging.LogRecord) -> BaseException | None:
    told = getattr(record, "error", None)
    if isinstance(told, BaseException):
        return told
    return record.exc_info[1] if record.exc_info else None


def _category_of_record(record: logging.LogRecord, error: BaseException | None) -> str | None:
    told = getattr(record, "category", None)
    if isinstance(told, str) and _WORD.fullmatch(told):
        return told
    if error is not None:
        return category_of(error)
    named = record.args if isinstance(record.args, tuple) and record.levelno >= logging.INFO else ()
    kinds = [kind for kind in map(_class_named, named) if kind is not None]
    return _category(kinds[0]) if kinds else None


def _class_named(name: object) -> type[BaseException] | None:
    """The error class of that name: ours, or Python's own."""
    found = getattr(errors, name, getattr(builtins, name, None)) if isinstance(name, str) and name.isidentifier() else None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _chain(error: BaseException) -> Iterator[str]:
    """The class of the error and of what led to it."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen and len(seen) < _CAUSES:
        seen.add(id(one))
        yield type(one).__name__
        inner = one.exceptions[0] if isinstance(one, BaseExceptionGroup) else None
        one = inner or one.__cause__ or one.__context__


def _places(error: BaseException) -> list[str] | None:
    """Where in the code, the innermost last: no line of it, for a value may stand there, and no folder of this computer."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{_relative(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames] or None


def _relative(filename: str) -> str:
    parts = Path(filename).parts
    start = max((place for place, part in enumerate(parts) if part == _PACKAGE), default=len(parts) - 2)
    return "/".join(parts[max(start, 0) :])
