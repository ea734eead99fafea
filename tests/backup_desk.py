"""Archives to be backed up and brought back, and processes that are killed in the middle of it."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fake_clock import FakeClock
from store_fixtures import OWNER, RECEIVED_AT, answer, history, incoming

from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.store.copying import content_digest
from whatsapp_mcp.store.runs import Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORDS = ("lease", "table", "oak", "river", "coffee", "train", "garden", "letter", "window", "market", "lemon", "bridge")
TOKEN = "d75b3a66374942c5b3c019c698abc2067e151558acbd451234"


def open_archive(home: Path, *, now: float = RECEIVED_AT + 86_400.0, **settings: str) -> Archive:
    told = {"WHATSAPP_MCP_TIMEZONE": "Europe/Madrid", **settings}
    return Archive.open(replace(Settings.load(told, home.parent), home=home), FakeClock(now))


def fill(
    archive: Archive, chats: range = range(12), *, messages: int = 40, received_at: int = RECEIVED_AT, owner: str = OWNER
) -> Archive:
    """Histories with invented words; further calls with other chats make the archive newer."""
    dice = random.Random(chats.start)
    with archive.writer() as writer:
        writer.ingest.receive(answer("getSettings", {"wid": owner}))
        for chat in chats:
            name = f"1555010{chat:04}@c.us"
            items = [
                incoming(chat * 1000 + number, " ".join(dice.choices(WORDS, k=12)), chat=name) for number in range(messages)
            ]
            mark = Mark(received_at, chat=name, progress="complete", history_length=messages)
            writer.ingest.receive(history(items, chat=name, received_at=received_at), mark)
    return archive


def add_media(home: Path, count: int, *, size: int = 3000, seed: int = 1) -> list[Path]:
    """Files as the media room keeps them, which messages name."""
    dice, made = random.Random(seed), []
    folder = home / "media" / "images"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _ in range(count):
        data = dice.randbytes(size)
        path = folder / f"{data[:16].hex()}.jpg"
        path.write_bytes(data)
        made.append(path)
    return made


def name_media(archive: Archive, files: list[Path]) -> None:
    """Let the first messages say that these are their files."""
    with archive.writer() as writer, writer.store.transaction():
        for number, path in enumerate(files, 1):
            writer.store.connection.execute(
                "UPDATE messages SET local_media_path = ? WHERE message_id = ?",
                (path.relative_to(archive.home).as_posix(), number),
            )


def digest(home: Path) -> str:
    """Of everything in the archive's database."""
    with closing(open_archive(home).queries), open_archive(home).reader(older=True) as reader:
        return content_digest(reader.connection)


def run_killed(work: Callable[[], Any], seconds: float) -> bool:
    """Do it in a process of its own and kill that after so many seconds; whether it was killed before its end."""
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=(work,))
    process.start()
    process.join(seconds)
    process.kill()
    process.join(30)
    killed = process.exitcode == -9
    process.close()
    return killed


def _quietly(work: Callable[[], Any]) -> None:
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the rest of the process
    work()


@contextmanager
def busy_writer(home: Path) -> Iterator[Any]:
    """A process that holds the writer's lock and commits as fast as it can; gives the number of its commits."""
    context = multiprocessing.get_context("fork")
    commits, begun = context.Value("i", 0), context.Event()

    def write() -> None:
        with open_archive(home).writer() as writer:
            for number in range(10**9):
                item = incoming(900_000 + number, " ".join(random.choices(WORDS, k=12)), chat="15550109999@c.us")
                writer.ingest.receive(answer("lastIncomingMessages", [item], received_at=RECEIVED_AT + number))
                commits.value = number + 1
                if number == 20:
                    begun.set()

    process = context.Process(target=_quietly, args=(write,))
    process.start()
    try:
        assert begun.wait(60)
        yield commits
    finally:
        process.kill()
        process.join(30)
