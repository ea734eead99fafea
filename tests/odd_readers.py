"""Readers of files as one would not want them, to be called in a process of their own."""

from __future__ import annotations

import os
import time
from pathlib import Path


def chatter() -> None:
    """What a library may write when it meets an odd file."""
    print("from Python", flush=True)
    os.write(1, b"from C")


def told_and_hanging(path: str) -> None:
    """A reader that says who it is and never comes back."""
    Path(path + ".part").write_text(str(os.getpid()), encoding="ascii")
    Path(path + ".part").replace(path)
    time.sleep(3600)


def same(number: int) -> int:
    """A reader without a fault."""
    return number
