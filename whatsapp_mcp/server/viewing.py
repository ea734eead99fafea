"""Makes the pictures that answers show, in a process of its own: no file of a stranger is unpacked inside the server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.media.aside import Aside

SECONDS: Final = 15.0
"""So long the making of one picture may take; the largest photographs that are not refused take one or two."""


class Viewer:
    """The process begins with the first picture, serves one question after the other, and ends with the server."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """Begin nothing yet; what takes longer than `seconds` is not shown."""
        self._seconds = seconds
        self._beginning = threading.Lock()
        self._aside: Aside[[Path | bytes, str], bytes] | None = None

    def show(self, source: Path | bytes, mime_type: str) -> bytes:
        """A small JPEG of a stored file of that type, or of a preview's bytes; blocks, from any thread.

        Raises `UnreadableFile`, also where the file breaks its reader or takes too long, or `MissingExtra`.
        """
        return self._begun().call(self._seconds, source, mime_type)

    def end(self) -> None:
        """End the process; whoever still waits for a picture is told that there is none."""
        if self._aside is not None:
            self._aside.end()

    def _begun(self) -> Aside[[Path | bytes, str], bytes]:
        from whatsapp_mcp.media.aside import MEMORY, Aside
        from whatsapp_mcp.media.thumbnails import shown

        with self._beginning:
            if self._aside is None:
                self._aside = Aside(shown, memory=MEMORY)
            return self._aside
