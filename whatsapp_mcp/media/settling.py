"""What became of downloads is written down: a final name and its row in one step, many of them in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from whatsapp_mcp.media import judging
from whatsapp_mcp.store.media import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whatsapp_mcp.app import MediaWishes
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.media.files import Files, Finished
    from whatsapp_mcp.media.outcome import Tally
    from whatsapp_mcp.store.media import Due, Verdict
    from whatsapp_mcp.sync.writing import Pen


@dataclass(slots=True, eq=False)
class Ended:
    """One download that waits to be written down: a file, or a verdict."""

    due: Due
    finished: Finished | None = None
    verdict: Verdict | None = None
    is_written: bool = False
    """It stands in the archive; a file has its final name."""
    is_same: bool = False
    """Its content was stored before."""


class Settling:
    """Writes for many tasks; what waits while one transaction is under way goes into the next."""

    def __init__(self, pen: Pen, files: Files, clock: Clock, wishes: MediaWishes, tally: Tally) -> None:
        """Count into `tally`."""
        self.used = 0
        """Bytes of all stored files."""
        self._pen = pen
        self._files = files
        self._clock = clock
        self._wishes = wishes
        self._tally = tally
        self._one = anyio.Lock()
        self._waiting: list[Ended] = []

    async def write(self, ended: Ended) -> None:
        """Write it down, and return when that is done.

        Raises an OSError or an `ArchiveError` where disk or database refuse; `ended` is not written then.
        """
        self._waiting.append(ended)
        async with self._one:
            if ended not in self._waiting:
                return
            group, self._waiting = self._waiting, []
            with anyio.CancelScope(shield=True):  # a group belongs to other tasks as well
                await self._pen.call(self._write, group)
                self._count(group)

    def room(self) -> int:
        """How large the next file may be, in bytes."""
        return judging.room_for(self._wishes.total_bytes, self.used, self._wishes.file_bytes)

    def _write(self, group: Sequence[Ended]) -> None:
        media, used, now = self._pen.store.media, self.used, int(self._clock.now())
        with self._pen.store.transaction():
            paths = media.paths_of(ended.finished.sha256 for ended in group if ended.finished is not None)
            files: list[tuple[int, StoredFile]] = []
            for ended in group:
                if ended.finished is not None:
                    used += self._place(ended, ended.finished, paths, used)
                if ended.finished is not None:
                    files.append((ended.due.message_id, _stored(ended.finished, paths)))
                elif ended.verdict is not None:
                    media.note(ended.verdict)
            if files:
                self._files.settle(file.path for _, file in files)
                media.stored_all(files, now)
        self.used = used
        for ended in group:
            ended.is_written = True

    def _place(self, ended: Ended, finished: Finished, paths: dict[str, str], used: int) -> int:
        """Give a file its final name, unless all files would become too many; the bytes by which they grow."""
        total, known = self._wishes.total_bytes, paths.get(finished.sha256)
        if known is None and total is not None and used + finished.size > total:
            finished.temporary.unlink(missing_ok=True)
            ended.finished, ended.verdict = None, judging.skipped(ended.due, judging.NO_ROOM, finished.size)
            return 0
        paths[finished.sha256] = self._files.place(finished, ended.due.kind, known)
        ended.is_same = known is not None
        return 0 if known else finished.size

    def _count(self, group: Sequence[Ended]) -> None:
        tally = self._tally
        for ended in group:
            if ended.finished is not None:
                tally.stored += 1
                tally.same += ended.is_same
                tally.bytes_stored += ended.finished.size
            elif ended.verdict is not None:
                name = "put_off" if ended.verdict.status == "pending" else ended.verdict.status
                setattr(tally, name, getattr(tally, name) + 1)
                if ended.verdict.why == judging.NO_ROOM:
                    tally.no_room += 1
                    tally.bytes_without_room += ended.verdict.size or 0


def _stored(finished: Finished, paths: dict[str, str]) -> StoredFile:
    return StoredFile(finished.sha256, paths[finished.sha256], finished.content.mime_type, finished.size)
