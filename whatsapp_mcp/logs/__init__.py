"""The logs in the archive's home: what ran, how it ended, how long it took; no message, no number, no name, no token.

``words`` makes a line, and lets through only what cannot be anybody's; ``files`` knows the files, one a day, and tidies them.
"""

from __future__ import annotations

from whatsapp_mcp.logs.files import (
    FOLDER,
    SERVER,
    SYNC,
    all_logs,
    compress_and_remove,
    log_path,
    newest_log,
    start_log,
    stop_log,
)
from whatsapp_mcp.logs.words import category_of, redact

__all__ = [
    "FOLDER", "SERVER", "SYNC", "all_logs", "category_of", "compress_and_remove", "log_path", "newest_log", "redact",
    "start_log", "stop_log",
]  # fmt: skip
