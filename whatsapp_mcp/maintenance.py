"""What an archive needs once a week: one run of steps, each with its result, none stopped by another's failure.

First what only reads: the archive, its media, its newest backup. Then, under the writer's lock, what tidies the database; each
step lets readers go on. Where another process writes, or the database is damaged, the tidying waits and the rest is done.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from whatsapp_mcp.backup import check_files, newest_own
from whatsapp_mcp.backup.manifest import read_manifest
from whatsapp_mcp.backup.media import files_below, newest_media
from whatsapp_mcp.backup.place import hash_of, remove
from whatsapp_mcp.backup.restoring import REPLACED, STAGING
from whatsapp_mcp.errors import DatabaseCorrupt, StorageError, WriterRunning
from whatsapp_mcp.refusals import foreseen
from whatsapp_mcp.store import upkeep
from whatsapp_mcp.store.copying import named_media
from whatsapp_mcp.verify import Finding, sample, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.backup.manifest import KeptFile
    from whatsapp_mcp.store import Store

State: TypeAlias = Literal["ok", "damaged", "failed", "skipped"]
Work: TypeAlias = "Callable[[], tuple[str, list[Finding]]]"

TIDYING: Final = ("search index", "statistics", "free space", "log of the database")
"""The steps that write to the database, in their order."""

_SHARES: Final = 13
"""A quarter of a year has so many weeks: each share is looked at once in that time."""
_WEEK: Final = 604_800
_DAY: Final = 86_400
_STALE_DAYS: Final = 8
_WORTH_BYTES: Final = 20_000_000
_WORTH_SHARE: Final = 0.2
_BRING_BACK: Final = "`whatsapp-mcp restore PATH` brings back what the backup holds."


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, or could not be."""

    name: str
    state: State
    """``damaged``: something is not as it should be; ``failed``: the step could not be done; ``skipped``: it must wait."""
    said: str
    """One line: what was found or done, or what stands in the way and what to do."""
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Maintained:
    """A whole run; times in unix seconds."""

    started_at: float
    ended_at: float
    steps: tuple[Step, ...]
    bytes_before: int
    bytes_after: int
    """Of the database, with its log."""
    locked: bool = False
    """Another process was writing, so the database was not tidied."""

    @property
    def damaged(self) -> bool:
        """Whether something of the archive, or of its newest backup, is not as it should be."""
        return any(step.state == "damaged" for step in self.steps)

    @property
    def failed(self) -> bool:
        """Whether a step could not be done."""
        return any(step.state == "failed" for step in self.steps)


@dataclass(slots=True)
class _Run:
    archive: Archive
    now: float
    steps: list[Step] = field(default_factory=list)

    @property
    def share(self) -> int:
        return int(self.now // _WEEK) % _SHARES

    def do(self, name: str, work: Work) -> None:
        """Do one step; whatever foreseen it raises is its result."""
        began = self.archive.clock.monotonic()
        state: State = "ok"
        findings: list[Finding] = []
        try:
            said, findings = work()
        except Exception as error:
            known = foreseen(error)
            if known is None:
                raise
            state, said = ("damaged" if isinstance(known, DatabaseCorrupt) else "failed"), str(known)
        if findings:
            state, said = "damaged", f"{findings[0].what} {findings[0].advice}"
        self.steps.append(Step(name, state, said, self.archive.clock.monotonic() - began, tuple(findings)))


def maintain(archive: Archive, *, thorough: bool = False, extra: Mapping[str, Callable[[], str]] | None = None) -> Maintained:
    """Do everything that can be done, and say of each step how it went.

    `thorough` replays all payloads instead of this week's share. `extra` are further steps by name, each doing something and
    saying what it did. Raises `StorageError` where there is no archive at all.
    """
    with suppress(DatabaseCorrupt), archive.reader(older=True):
        pass
    run = _Run(archive, archive.clock.now())
    before = archive.queries.database.size()
    run.do("archive", lambda: _look_at_archive(run, thorough=thorough))
    sound = run.steps[0].state != "damaged"
    run.do("media", lambda: _look_at_media(run))
    run.do("backups", lambda: _look_at_backups(run))
    run.do("temporary files", lambda: _remove_old_files(run))
    for name, work in (extra or {}).items():
        run.do(name, lambda work=work: (work(), []))  # type: ignore[misc]
    locked = _tidy_all(run, sound=sound)
    after = archive.queries.database.size()
    return Maintained(run.now, archive.clock.now(), tuple(run.steps), before, after, locked)


def _look_at_archive(run: _Run, *, thorough: bool) -> tuple[str, list[Finding]]:
    with run.archive.reader() as reader:
        found = verify(reader, thorough=thorough)
        if not thorough and not found:
            found = sample(reader, run.share, _SHARES)
    replayed = "all" if thorough else f"share {run.share + 1} of {_SHARES}"
    return f"Everything that is stored fits together (payloads replayed: {replayed}).", found


def _look_at_media(run: _Run) -> tuple[str, list[Finding]]:
    home = run.archive.home
    with run.archive.reader(older=True) as reader:
        named = {home / path for path in named_media(reader.connection)}
    there = {path: found.st_size for path, found in files_below(home / "media")}
    orphans = [size for path, size in there.items() if path not in named and path.parent.name != "thumbnails"]
    missing = sum(not path.is_file() for path in named)
    findings = [Finding("media", f"{missing} files that messages name are missing.", _BRING_BACK)] if missing else []
    findings += _changed_media(run, home / "media")
    said = f"{len(there):,} files; {len(orphans):,} of them ({_mb(sum(orphans))}) belong to no message."
    return said, findings


def _changed_media(run: _Run, media: Path) -> list[Finding]:
    """Compare a share of the files, another each week, with what the newest backup says: what a path holds never changes."""
    kept = newest_media(run.archive.settings.backup_folder(), run.archive.home).values()
    changed = sum(_is_changed(media / one.path, one) for one in kept if int(one.sha256[:4], 16) % _SHARES == run.share)
    return (
        [Finding("media", f"{changed} files are not what they were when they were backed up.", _BRING_BACK)] if changed else []
    )


def _is_changed(path: Path, one: KeptFile) -> bool:
    try:
        return hash_of(path) != (one.sha256, one.size)
    except FileNotFoundError:
        return False  # whether it should be there, the database says


def _look_at_backups(run: _Run) -> tuple[str, list[Finding]]:
    folder = run.archive.settings.backup_folder()
    if not folder.parent.is_dir():
        what = f"The folder {folder} of the backups is not there."
        raise StorageError(what, advice="Connect its disk, or set BACKUP_PATH to another folder.")
    newest = newest_own(folder, run.archive.home, run.now)
    if newest is None:
        return "There is no backup yet; `whatsapp-mcp backup` makes one.", []
    findings = check_files(newest, media=False)
    if findings:
        return "", findings
    days = int((run.now - read_manifest(newest).made_at) // _DAY)
    if days < -1:
        return f"{newest.name} was made {-days} days from now: check the computer's clock, then run `whatsapp-mcp backup`.", []
    old = " `whatsapp-mcp backup` makes a new one." if days >= _STALE_DAYS else ""
    return f"The newest is {days} days old and is what was written.{old}", []


def _remove_old_files(run: _Run) -> tuple[str, list[Finding]]:
    """What an interrupted work has left for longer than a day; what was replaced is the user's to remove."""
    home, removed, freed = run.archive.home, 0, 0
    for path in (*_below(home / "media" / "temp"), *home.glob(f"media/*/{STAGING}*"), *home.glob(f"{STAGING}*")):
        found = path.lstat()
        if found.st_mtime < run.now - _DAY:
            removed, freed = removed + 1, freed + found.st_size
            remove(path)
    said = f"{removed} removed ({_mb(freed)})."
    if replaced := sorted(home.glob(f"{REPLACED}*")):
        said += (
            f" Replaced by restores and still there: {', '.join(path.name for path in replaced)}; delete it when all is well."
        )
    return said, []


def _below(folder: Path) -> Iterator[Path]:
    """What stands in a folder of ours; behind a link it may be anybody's."""
    with suppress(FileNotFoundError):
        if not folder.is_symlink():
            yield from folder.iterdir()


def _tidy_all(run: _Run, *, sound: bool) -> bool:
    """Everything that writes to the database; whether another process was writing."""
    if not sound:
        run.steps += [Step(name, "skipped", "A damaged database is not written to.") for name in TIDYING]
        return False
    with ExitStack() as open_writer:
        try:
            store = open_writer.enter_context(run.archive.writer()).store
        except WriterRunning as error:
            run.steps += [Step(name, "skipped", str(error)) for name in TIDYING]
            return True
        except StorageError as error:
            run.steps += [Step(name, "failed", str(error)) for name in TIDYING]
            return False
        _tidy(run, store)
    return False


def _tidy(run: _Run, store: Store) -> None:
    number = None
    with suppress(StorageError):  # a full disk; the steps will say so
        number = store.begin_run("maintenance", int(run.now))
    works: tuple[Work, ...] = (
        lambda: _tidy_index(store),
        lambda: _refresh(store),
        lambda: _give_back(run, store),
        lambda: _empty_log(store),
    )
    for name, work in zip(TIDYING, works, strict=True):
        run.do(name, work)
    if number is not None:
        bad = next((step for step in run.steps if step.state in ("damaged", "failed")), None)
        state = "complete" if bad is None else "failed" if any(step.state == "damaged" for step in run.steps) else "partial"
        with suppress(StorageError):
            store.end_run(number, state, int(run.archive.clock.now()), f"{bad.name}: {bad.said}" if bad else None)


def _tidy_index(store: Store) -> tuple[str, list[Finding]]:
    if not upkeep.index_is_sound(store.connection):
        return "", [Finding("index", "The search index is damaged.")]
    bites = upkeep.merge_index(store.connection)
    return "Sound; it was in one piece." if not bites else f"Sound; its pieces were joined in {bites} steps.", []


def _refresh(store: Store) -> tuple[str, list[Finding]]:
    upkeep.refresh_statistics(store.connection)
    return "The planner's figures are fresh.", []


def _give_back(run: _Run, store: Store) -> tuple[str, list[Finding]]:
    """VACUUM writes the whole file twice, so it must pay, and there must be room for it."""
    pages = upkeep.pages(store.connection)
    if pages.free_bytes < _WORTH_BYTES or pages.free < _WORTH_SHARE * pages.count:
        return f"{_mb(pages.free_bytes)} of {_mb(pages.bytes)} are free: not worth rewriting the file.", []
    for folder in {run.archive.home, Path(tempfile.gettempdir())}:
        free = shutil.disk_usage(folder).free
        if free < 2 * pages.bytes:
            what = f"{_mb(pages.free_bytes)} could be given back, but the disk of {folder} has only {_mb(free)} free."
            raise StorageError(what, advice=f"Free {_mb(2 * pages.bytes - free)} there; the next maintenance does it.")
    upkeep.vacuum(store.connection)
    return f"{_mb(pages.bytes - upkeep.pages(store.connection).bytes)} were given back.", []


def _empty_log(store: Store) -> tuple[str, list[Finding]]:
    done = upkeep.checkpoint(store.connection)
    return "Emptied." if done else "A reader still needs a part of it; it shrinks when that reader is done.", []


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
