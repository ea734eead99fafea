"""Backups: consistent copies of a living archive, the proof that they are what was written, and the way back.

``snapshot`` makes one and gives old ones up, ``keep`` says which stay, ``place`` and ``media`` know the folder, ``manifest``
what a backup says of itself, ``proof`` checks one, ``restoring`` puts one in the archive's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whatsapp_mcp.backup.media import newest_own
from whatsapp_mcp.backup.place import backups_in
from whatsapp_mcp.backup.proof import check_files, prove
from whatsapp_mcp.backup.restoring import Restored, find_backup, restore
from whatsapp_mcp.backup.snapshot import Made, Pruned, make_backup, prune

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.verify import Finding

__all__ = [
    "BackedUp", "Made", "Pruned", "Restored", "back_up", "backups_in", "check_files", "find_backup", "make_backup",
    "newest_own", "prove", "prune", "restore",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A whole run: what was made, what its proof found, what was given up for it."""

    made: Made
    findings: tuple[Finding, ...]
    """Empty also where no proof was asked for; an archive of an earlier version is compared, not walked through."""
    pruned: Pruned


def back_up(archive: Archive, folder: Path | None = None, *, verify: bool = False) -> BackedUp:
    """Make a backup, prove it if asked, then give up what the settings do not keep; nothing goes for one that is not sound.

    Raises like `make_backup`, and `SettingsError` before anything is done where the rules of keeping cannot be understood.
    """
    archive.settings.kept_backups()
    made = make_backup(archive, folder, with_digest=verify)
    findings = tuple(prove(archive, made.path, made.digest)) if verify else ()
    return BackedUp(made, findings, Pruned() if findings else prune(archive, made.path.parent))
