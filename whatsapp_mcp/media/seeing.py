"""After the downloads: each new content is looked at once, for its facts and its thumbnail.

It comes after the transfers instead of between them, because unpacking a photograph takes longer than fetching it from a host
nearby, and messages and files come first. What a killed run did not look at, the next one does. A file is opened in a process
of its own (`Eyes`), for a sync may run inside the server, and a file that brought it down would do so again in the next run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import anyio.to_thread

from whatsapp_mcp.errors import MediaError
from whatsapp_mcp.media.aside import MEMORY, Aside
from whatsapp_mcp.media.looking import NO_FACTS
from whatsapp_mcp.media.thumbnails import Glance, Seen, glance, see

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.store.media import Unseen
    from whatsapp_mcp.sync.writing import Pen

SECONDS: Final = 20.0
"""So long one file may be looked at; a large photograph takes one or two."""

_BATCH: Final = 16
_NOTHING: Final = Glance(NO_FACTS, None)


class Eyes:
    """Looks at files in a process of its own, which begins with the first; use it as a context manager."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """Whatever takes longer than `seconds` has nothing to see."""
        self._seconds = seconds
        self._aside = Aside(glance, memory=MEMORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Close them, also while another thread looks."""
        self._aside.end()

    def see(self, home: Path, sha256: str, path: str, mime_type: str) -> Seen:
        """As `thumbnails.see`, whatever the file does to who opens it."""
        return see(home, sha256, path, mime_type, look_at=self._look)

    def _look(self, path: Path, mime_type: str, *, wants_small: bool) -> Glance:
        if mime_type.partition("/")[0] not in ("image", "video", "audio") and mime_type != "application/pdf":
            return _NOTHING
        try:
            return self._aside.call(self._seconds, path, mime_type, wants_small=wants_small)
        except MediaError:
            return _NOTHING


async def see_stored(pen: Pen, home: Path, clock: Clock, *, until: float = float("inf")) -> int:
    """Look at every stored file that nobody has looked at, the newest first, until the clock's monotonic time is `until`.

    The number of files looked at; raises `StorageError` for what the database refuses.
    """
    done = 0
    with Eyes() as eyes:
        while clock.monotonic() < until:
            unseen = await pen.call(pen.store.media.unseen, _BATCH)
            if not unseen:
                break
            found = []
            for one in unseen:
                found.append((one, await _seen(eyes, home, one)))
                if clock.monotonic() >= until:
                    break
            await pen.call(_note, pen.store, found, int(clock.now()))
            done += len(found)
    return done


async def _seen(eyes: Eyes, home: Path, one: Unseen) -> Seen:
    """Whoever is told to stop does not wait for the file: closing the eyes ends it."""
    return await anyio.to_thread.run_sync(eyes.see, home, one.sha256, one.path, one.mime_type, abandon_on_cancel=True)


def _note(store: Store, found: list[tuple[Unseen, Seen]], seen_at: int) -> None:
    with store.transaction():
        for one, seen in found:
            store.media.describe(one.sha256, seen.facts, seen.thumbnail, seen_at)
