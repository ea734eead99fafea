"""What was stored and is not what it was waits for its download again: the first step of ``media download``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatsapp_mcp.media.housekeeping import losses
from whatsapp_mcp.store.portraits import shown_in
from whatsapp_mcp.sync.extras import ask_again

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from whatsapp_mcp.store import Store


def reopen(store: Store, home: Path, now: int, *, again: bool = False) -> Mapping[str, int]:
    """Queue files that are missing or cut; with `again` also what was given up, and what is missing with its whole folder.

    Thumbnails that are gone are made anew after the downloads, profile pictures are asked for by the next sync. What is left
    alone, as if its disk were not connected: the number of files by folder. Raises `StorageError`.
    """
    found = losses(store, home)
    away = {} if again else {folder: len(paths) for folder, paths in found.away.items()}
    lost = [*found.missing, *(path for paths in found.away.values() if again for path in paths)]
    people = shown_in(store.connection, lost)
    with store.transaction():
        store.media.lose(lost)
        store.media.doubt(found.resized)
        store.media.look_again(found.bare)
        if again:
            store.media.retry()
    ask_again(store, people, now)
    return away
