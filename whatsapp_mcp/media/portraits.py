"""Profile pictures of people and groups: fetched as soon as their address is known, because it is good for a short time only.

They are stored like any other content, so a picture that somebody takes up again, or that two people share, is one file, and
`store.portraits` keeps who showed it when. Whatever cannot be had is asked for again by a later run.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import anyio
import anyio.to_thread

from whatsapp_mcp.media.addresses import Refused
from whatsapp_mcp.media.files import Files
from whatsapp_mcp.media.seeing import Eyes
from whatsapp_mcp.media.transfer import Broken, HostUnreachable, Stale, TooLarge, Transfers, Wanted
from whatsapp_mcp.store.media import StoredFile
from whatsapp_mcp.store.portraits import note_portrait

if TYPE_CHECKING:
    from types import TracebackType

    from whatsapp_mcp.app import MediaWishes
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.media.files import Finished, Part
    from whatsapp_mcp.sync.writing import Pen

_log = logging.getLogger(__name__)

LARGEST: Final = 5_000_000
"""Bytes; WhatsApp's own have at most 640 pixels and some hundred kilobytes."""


class Portraits:
    """The profile pictures of one run, to be entered with ``async with``."""

    def __init__(self, pen: Pen, clock: Clock, wishes: MediaWishes) -> None:
        """Fetch nothing yet."""
        self._pen = pen
        self._clock = clock
        self._files = Files(wishes.home)
        self._total = wishes.total_bytes
        self._transfers = Transfers(clock, wishes.own_host)
        self._eyes = Eyes()

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._files.prepare)
        await self._transfers.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._eyes.end()
        await self._transfers.__aexit__(kind, error, at)

    async def keep(self, whatsapp_id: str, url: str) -> bool:
        """Fetch the picture that somebody shows now; false where trying again soon may help.

        What is no picture, too large, without room in `MediaWishes.total_bytes`, or refused for its address counts as had: the
        same would come again. Raises an OSError or
        a `StorageError` where disk or database refuse.
        """
        part = self._files.part()
        try:
            await self._transfers.fetch(Wanted(url, LARGEST), part)
            finished = await anyio.to_thread.run_sync(part.finish)
            if finished.content.mime_type.startswith("image/"):
                await self._pen.call(self._write, whatsapp_id, finished)
        except HostUnreachable:
            return False
        except Broken:
            return False
        except (Refused, Stale, TooLarge):
            return True
        finally:
            await self._tidy(part)
        return True

    async def _tidy(self, part: Part) -> None:
        with anyio.CancelScope(shield=True), suppress(OSError):
            await anyio.to_thread.run_sync(part.discard)

    def _write(self, whatsapp_id: str, finished: Finished) -> None:
        store, now = self._pen.store, int(self._clock.now())
        known = store.media.path_of(finished.sha256)
        if known is None and self._total is not None and store.media.bytes_stored() + finished.size > self._total:
            _log.info("A profile picture was left out: MEDIA_MAX_TOTAL_GB leaves no room for it.")
            return
        with store.transaction():
            path = self._files.place(finished, "image", known)
            mime_type = finished.content.mime_type
            store.media.keep(StoredFile(finished.sha256, path, mime_type, finished.size), now)
            note_portrait(store.connection, store.canonical(whatsapp_id), finished.sha256, now)
        seen = self._eyes.see(self._files.home, finished.sha256, path, mime_type)
        with store.transaction():
            store.media.describe(finished.sha256, seen.facts, seen.thumbnail, now)
