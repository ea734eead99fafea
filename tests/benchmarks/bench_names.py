"""How long it takes to find a person or a chat by name, among thousands of people and in the archive of a million messages.

    python tests/benchmarks/bench_names.py          # the people only, seconds
    python tests/benchmarks/bench_names.py --large  # also the large archive, which is made first

Wanted: 5 ms at the 95th percentile, of the processor's time: a look-up waits for nothing, and other programs may run.
What is measured beside: the first look-up of a process, which arranges all names, and the
first after a commit of a sync, which reads them again; once where nobody has another name, once where somebody has.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import large_archives

from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.schema import DATABASE_NAME
from whatsapp_mcp.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE: Final = 5_000
GROUPS: Final = 400
FIRST: Final = (
    "משה", "יוסי", "דנה", "נועה", "שרה", "אברהם", "Moshe", "Dana", "Anna", "Michael", "David", "Sarah", "John", "Maria",
    "Ольга", "Сергей", "Наталья", "Иван", "محمد", "أحمد", "فاطمة", "يوسف", "Γιώργος", "Ελένη", "José", "Şahin", "Łukasz",
    "मोहन", "प्रिया", "สมชาย", "김민수", "王芳", "さくら",
)  # fmt: skip
LAST: Final = (
    "כהן", "לוי", "מזרחי", "פרץ", "ביטון", "Cohen", "Levi", "Smith", "Müller", "García", "Иванов", "Петрова", "Смирнов",
    "الشريف", "حسين", "علي", "Παπαδόπουλος", "Kovač", "शर्मा", "Nguyễn", "Silva", "Rossi",
)  # fmt: skip
ASKED: Final = {
    "written as it is": ("דנה לוי 1", "Moshe Cohen 2", "Сергей", "كهن", "levi 77"),
    "a number": ("+1 555 017 0042", "5550170042", "0042"),
    "in another script": ("Yossi Mizrahi", "Mohammed Hussein", "Olga Ivanov", "Мойше", "Sahin Kovach 9"),
    "nobody": ("Zacharias Quux", "Wilhelmine", "אביגדור קורן"),
    "begun": ("mos", "юс", "da"),
}


def invented(folder: Path) -> Path:
    """The home of an archive of `PEOPLE` with a chat each, a former name for some, and `GROUPS` with their members."""
    path, chance = folder / DATABASE_NAME, random.Random(6)
    Store(path).close()
    with sqlite3.connect(path) as connection:
        pairs = itertools.cycle(itertools.product(FIRST, LAST))
        for number in range(1, PEOPLE + 1):
            first, last = next(pairs)
            _person(connection, number, f"{first} {last}" if number <= len(FIRST) * len(LAST) else f"{first} {last} {number}")
        for number in range(1, GROUPS + 1):
            _group(connection, number, [chance.randint(1, PEOPLE) for _ in range(60)])
    connection.close()
    return folder


def _person(connection: sqlite3.Connection, number: int, name: str) -> None:
    first = name.partition(" ")[0]
    phone = f"1555017{number:04}"
    connection.execute(
        "INSERT INTO contacts (contact_id, phone_number, whatsapp_id, name, phonebook_name, profile_name)"
        " VALUES (?1, ?2, ?2 || '@c.us', ?3, ?3, ?4)",
        (number, phone, name, first),
    )
    connection.execute(
        "INSERT INTO chats (chat_id, whatsapp_chat_id, chat_type, contact_id, name, last_message_at)"
        " VALUES (?1, ?2 || '@c.us', 'private', ?1, ?3, ?4)",
        (number, phone, name, 1_700_000_000 + number * 997 % 10_007),
    )
    connection.execute("INSERT INTO contact_names VALUES (?, 'phonebook', ?, 1, 1)", (number, name))
    if number % 4 == 0:
        connection.execute("INSERT INTO contact_names VALUES (?, 'profile', ?, 1, 2)", (number, f"{first} the {number}th"))


def _group(connection: sqlite3.Connection, number: int, members: list[int]) -> None:
    connection.execute(
        "INSERT INTO groups (group_id, whatsapp_group_id, group_name) VALUES (?1, 120363000000000000 + ?1 || '@g.us', ?2)",
        (number, f"Team {LAST[number % len(LAST)]} {number}"),
    )
    connection.execute(
        "INSERT INTO chats (chat_id, whatsapp_chat_id, chat_type, group_id, name)"
        " SELECT ?1, whatsapp_group_id, 'group', group_id, group_name FROM groups WHERE group_id = ?2",
        (PEOPLE + number, number),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO group_members (group_id, contact_id, role) VALUES (?, ?, 'member')",
        [(number, member) for member in members],
    )


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes; an answer that says no is an answer."""
    began = time.thread_time()
    with suppress(UsageError):
        work()
    return (time.thread_time() - began) * 1000


def asks(queries: Queries) -> dict[str, Callable[[str], object]]:
    """The questions in which a name is looked up."""
    return {
        "find": queries.find_chat,
        "find_contact": queries.find_contacts,
        "list_chats": lambda name: queries.list_chats(name, limit=50),
        "complete": lambda name: queries.names_like(name, "chat"),
    }


def report(title: str, home: Path) -> None:
    """Print the figures of one archive."""
    print(f"{title:44}  median     p95     max  ms")
    queries = Queries(home / DATABASE_NAME, zone=ZoneInfo("Asia/Jerusalem"), clock=SystemClock())
    first = [milliseconds(lambda: queries.find_chat("Dana")), milliseconds(lambda: queries.find_chat("Yossi Zzz"))]
    print(f"  the first of a process, written {first[0]:.0f}, only alike {first[1]:.0f}")
    everything: list[float] = []
    for kind, names in ASKED.items():
        for what, ask in asks(queries).items():
            for name in names:
                milliseconds(partial(ask, name))
            times = [milliseconds(partial(ask, name)) for _ in range(20) for name in names]
            everything += times
            _line(f"{kind}: {what}", times)
    _line("all (wanted: p95 under 5)", everything)
    queries.close()


def after_commits(home: Path) -> None:
    """Print what the first look-up after a commit takes, where names stay and where one is another."""
    queries = Queries(home / DATABASE_NAME, zone=ZoneInfo("Asia/Jerusalem"), clock=SystemClock())
    milliseconds(lambda: queries.find_chat("Yossi Zzz"))
    times: dict[str, list[float]] = {"a commit without a new name": [], "a commit with a new name": []}
    connection = sqlite3.connect(home / DATABASE_NAME)
    for turn in range(10):
        for what, column in zip(times, (f"last_message_at = {1_800_000_000 + turn}", f"name = 'New {turn}'"), strict=True):
            connection.execute(f"UPDATE chats SET {column} WHERE chat_id = 7")
            connection.commit()
            times[what].append(milliseconds(lambda: queries.find_chat("Dana Levi")))
    connection.close()
    queries.close()
    for what, taken in times.items():
        _line(f"the first after {what}", taken)


def _line(kind: str, times: list[float]) -> None:
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"  {kind:44} {statistics.median(times):7.2f} {p95:7.2f} {max(times):7.2f}")


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = invented(Path(folder))
        report(f"{PEOPLE:,} people, {GROUPS} groups", home)
        after_commits(home)
    if "--large" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            report("1,000,000 messages", large_archives.large(large_archives.seed_sized(Path(folder))))


if __name__ == "__main__":
    main()
