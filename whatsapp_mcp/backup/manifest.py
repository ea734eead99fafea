"""What a backup says of itself: every file with its size and SHA-256, and what was in the archive.

``manifest.json.sha256`` proves the manifest and the manifest proves the rest, so that one changed byte anywhere is found. Both
are plain enough for ``sha256sum -c`` and a person.
"""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

from whatsapp_mcp.errors import BackupDamaged, DatabaseTooNew
from whatsapp_mcp.schema import VERSION

MANIFEST_NAME: Final = "manifest.json"
SUM_NAME: Final = "manifest.json.sha256"

_FORMAT: Final = 1
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SPECIAL: Final = frozenset("\0\\:" if os.name == "nt" else "\0")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file of a backup."""

    path: str
    """Where it stood: the database's name, or a path within ``media/`` with ``/`` between its parts."""
    size: int
    sha256: str
    modified_ns: int
    """Its time of change, in nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole backup in words; times in unix seconds."""

    made_at: int
    program: str
    computer: str
    home: str
    """The archive's folder, links seen through. With the computer it says whose backup it is: several archives may share one
    folder of backups."""
    schema_version: int
    counts: dict[str, int]
    newest_message_at: int | None
    newest_payload_at: int | None
    database: KeptFile
    media: tuple[KeptFile, ...]

    def is_of(self, home: Path) -> bool:
        """Whether it is a backup of the archive in that folder of this computer."""
        return (self.computer, self.home) == (this_computer(), str(home.resolve()))

    def to_bytes(self) -> bytes:
        """The manifest's file."""
        said = {"format": _FORMAT, "made_at": _rfc3339(self.made_at)}
        return json.dumps(said | _without(asdict(self), "made_at"), indent=1).encode("ascii") + b"\n"


def this_computer() -> str:
    """The computer's name without the network's, which changes with the network."""
    return platform.node().partition(".")[0]


def seal(data: bytes) -> bytes:
    """The file that proves a manifest."""
    return f"{sha256(data).hexdigest()}  {MANIFEST_NAME}\n".encode("ascii")


def read_manifest(backup: Path) -> Manifest:
    """The manifest of the backup in that folder.

    Raises:
        BackupDamaged: it is missing, or not what was written.
        DatabaseTooNew: a later version of this program made the backup.

    """
    try:
        data, sums = (backup / MANIFEST_NAME).read_bytes(), (backup / SUM_NAME).read_bytes()
    except FileNotFoundError as error:
        message = f"The backup {backup.name} has lost its {Path(error.filename).name}."
        raise BackupDamaged(message) from None
    if sums != seal(data):
        message = f"The manifest of the backup {backup.name} is not what was written."
        raise BackupDamaged(message)
    try:
        manifest = _parse(json.loads(data))
    except (ValueError, TypeError, KeyError) as error:
        message = f"The manifest of the backup {backup.name} cannot be understood."
        raise BackupDamaged(message) from error
    if manifest.schema_version > VERSION:
        message = f"The backup {backup.name} was made by a later version of whatsapp-mcp."
        raise DatabaseTooNew(message, advice="Update whatsapp-mcp, then restore it; nothing was touched.")
    return manifest


def _parse(said: dict[str, Any]) -> Manifest:
    if said.pop("format") != _FORMAT:
        raise ValueError(_FORMAT)
    made_at = int(datetime.fromisoformat(said.pop("made_at")).timestamp())
    database, media = KeptFile(**said.pop("database")), tuple(KeptFile(**one) for one in said.pop("media"))
    for one in (database, *media):
        _check(one)
    return Manifest(made_at=made_at, database=database, media=media, **said)


def _check(one: KeptFile) -> None:
    """No path may lead out of the folder that it is meant for, on any system."""
    path = PurePosixPath(one.path)
    inside = path.parts and not path.is_absolute() and ".." not in path.parts and not _SPECIAL & set(one.path)
    if not (inside and str(path) == one.path and one.size >= 0 and _SHA256.fullmatch(one.sha256)):
        raise ValueError(one.size)


def _rfc3339(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
