"""Crontabs for tests that are nobody's own: the real program over a spool of its own, or a small one that keeps a file."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHOW_WORDS = '#!/bin/sh\nfor word in "$@"; do printf \'%s\\n\' "$word"; done > "$(dirname "$0")/words"\necho said\n'
"""A program that writes down the words after its name, one a line."""

SPOOL = "/var/spool/cron/crontabs"

STAND_IN = """#!{python}
import pathlib, sys
kept = pathlib.Path({kept!r})
words = sys.argv[1:]
if words == ["-V"]:
    print({version!r}) if {version!r} else sys.exit("crontab: invalid option -- 'V'")
elif words == ["-l"]:
    if not kept.exists():
        sys.exit("no crontab for sam")
    sys.stdout.buffer.write(kept.read_bytes())
elif words == ["-r"]:
    kept.unlink()
elif words == ["-"]:
    text = sys.stdin.buffer.read()
    if text and not text.endswith(b"\\n"):
        sys.exit("new crontab file is missing newline before EOF, can't install.")
    kept.write_bytes(text)
else:
    sys.exit("crontab: usage error")
"""
REAL = """#!/bin/sh
exec unshare {flags} sh -c 'mount --bind "$0" {spool} && exec {crontab} "$@"' '{own}' "$@"
"""


class Crontab:
    """A crontab on the PATH that a test may change at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "crontab"

    def write(self, text: bytes) -> None:
        subprocess.run([self.program, "-"], input=text, check=True, timeout=30)

    def read(self) -> bytes | None:
        done = subprocess.run([self.program, "-l"], capture_output=True, check=False, timeout=30)
        return None if done.returncode else done.stdout

    def install(self, text: str, monkeypatch: pytest.MonkeyPatch) -> Crontab:
        self.folder.mkdir(exist_ok=True)
        write_program(self.program, text)
        monkeypatch.setenv("PATH", f"{self.folder}{os.pathsep}{os.environ['PATH']}")
        return self


def write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = "") -> Crontab:
    """A program that keeps its crontab in a file and speaks like the real one."""
    text = STAND_IN.format(python=sys.executable, kept=str(folder / "kept"), version=version)
    return Crontab(folder).install(text, monkeypatch)


def real(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Crontab:
    """This computer's crontab program, over an empty spool that only it sees; the user's own crontab is out of its reach."""
    program = shutil.which("crontab")
    if program is None:
        pytest.skip("no crontab program on this computer")
    own = folder / "spool"
    own.mkdir(parents=True)
    flags = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    probe = ["unshare", *flags, "mount", "--bind", str(own), SPOOL]
    try:
        is_free = subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0
    except FileNotFoundError:
        is_free = False
    if not is_free:
        pytest.skip("the crontab program can be given no spool of its own here")
    return Crontab(folder).install(REAL.format(flags=" ".join(flags), spool=SPOOL, crontab=program, own=own), monkeypatch)
