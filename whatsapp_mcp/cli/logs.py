"""The log file in the archive's home: what ran, how it ended, how far it came; no message, no number, no token."""

from __future__ import annotations

import logging
import logging.handlers
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import ensure_private_file, ensure_private_folder
from whatsapp_mcp.refusals import hush_record

if TYPE_CHECKING:
    from io import TextIOWrapper
    from pathlib import Path

    from whatsapp_mcp.config import Settings

LOG_NAME: Final = "whatsapp-mcp.log"

_BYTES: Final = 1_000_000
_OLD_FILES: Final = 3


def log_path(home: Path) -> Path:
    """Where the log of the archive in `home` is written."""
    return home / "logs" / LOG_NAME


def redact(text: str, token: str) -> str:
    """Replace the token, should some library ever have let it into `text`."""
    return text.replace(token, "<token>") if token else text


logging.getLogger("whatsapp_mcp").addHandler(logging.NullHandler())  # else Python prints errors to stderr before `start_log`


class _Redacting(logging.Formatter):
    def __init__(self, token: str) -> None:
        super().__init__("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
        self._token = token

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(hush_record(record)), self._token)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Begins once the home folder exists: a command that only reads must not leave a folder behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(path, maxBytes=_BYTES, backupCount=_OLD_FILES, encoding="utf-8", delay=True)

    def _open(self) -> TextIOWrapper:
        ensure_private_file(ensure_private_folder(self._path.parent) / self._path.name)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        if self._path.parents[1].is_dir():
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: a full disk, or another process that turns the file over, costs a line of the log and no more."""


def start_log(settings: Settings) -> logging.Handler:
    """Write this program's log into the home folder from now on."""
    handler = _PrivateFile(log_path(settings.home))
    handler.setFormatter(_Redacting(settings.token))
    logger = logging.getLogger("whatsapp_mcp")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False  # the terminal belongs to what the command says
    return handler


def stop_log(handler: logging.Handler | None) -> None:
    """Close what `start_log` opened."""
    if handler is not None:
        logger = logging.getLogger("whatsapp_mcp")
        logger.removeHandler(handler)
        logger.propagate = True
        handler.close()
