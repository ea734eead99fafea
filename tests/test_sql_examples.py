"""The queries that people are given run as they are, on SQLite alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from whatsapp_mcp.records import ME, Alias, Contact, Group, Member, Members, Message
from whatsapp_mcp.schema import DATABASE_NAME
from whatsapp_mcp.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[1] / "examples" / "sql"
DANA, SAM, CLUB = "15550100002@c.us", "15550100003@c.us", "120363000000000001@g.us"
AUGUST_1, AUGUST_31, SEPTEMBER_1 = 1754006400, 1756684799, 1756684800
"""The first second of August 2025 UTC, its last, and the first of September."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / DATABASE_NAME
    with Store(path) as store:
        store.apply(
            [
                Alias(ME, "15550100001@c.us"),
                Contact(DANA, 1754006400, phonebook_name="Dana Levi"),
                Contact(SAM, 1754006400, phonebook_name="Sam"),
                Message(DANA, "A1", AUGUST_1 - 1, DANA, kind="text", content="before"),
                Message(DANA, "A2", AUGUST_1, DANA, kind="text", content="first"),
                Message(DANA, "A3", AUGUST_1 + 60, ME, from_me=True, kind="text", content="mine"),
                Message(CLUB, "B1", AUGUST_31, DANA, kind="image", content="last", media_filename="club.jpg"),
                Message(CLUB, "B2", AUGUST_31, SAM, kind="voice", media_mime_type="audio/ogg"),
                Message(CLUB, "B3", SEPTEMBER_1, DANA, kind="text", content="after"),
                Group(CLUB, AUGUST_1, "Readers"),
                Group(CLUB, AUGUST_31, "Book club"),
                Members(CLUB, AUGUST_1, (Member(DANA, "owner"), Member(SAM))),
                Members(CLUB, AUGUST_31, (Member(DANA, "owner"),)),
                Members(CLUB, SEPTEMBER_1, (Member(DANA, "owner"), Member(SAM, "admin"))),
                Contact(SAM, AUGUST_31, phonebook_name="Samuel"),
            ],
            SEPTEMBER_1,
        )
    with closing(sqlite3.connect(path)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


def ask(connection: sqlite3.Connection, example: str, **values: str) -> list[sqlite3.Row]:
    """Run the file as it is, or with a value at its top changed as its reader is told to."""
    query = (EXAMPLES / example).read_text(encoding="utf-8")
    for old, new in values.items():
        line = next(line for line in query.splitlines() if line.rstrip(",").endswith(f"AS {old}"))
        query = query.replace(line, line.replace(line.split("'")[1], new, 1))
    return connection.execute(query).fetchall()


def test_there_are_exactly_these_four() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == [
        "contact_messages.sql",
        "daily_counts.sql",
        "group_on_a_day.sql",
        "media_files.sql",
    ]


def test_a_contacts_messages_of_a_range_include_both_its_days_whole(connection: sqlite3.Connection) -> None:
    found = ask(connection, "contact_messages.sql", contact="Dana")
    assert [row["content"] for row in found] == ["first", "last"]
    assert [row["timestamp"] for row in found] == ["2025-08-01 00:00:00", "2025-08-31 23:59:59"]
    assert {row["sender"] for row in found} == {"Dana Levi"}


def test_a_contact_is_also_found_by_number_and_everybody_by_a_percent_sign(connection: sqlite3.Connection) -> None:
    assert [row["content"] for row in ask(connection, "contact_messages.sql", contact="15550100003")] == [""]
    assert len(ask(connection, "contact_messages.sql")) == 4


def test_messages_are_counted_by_day_and_contact(connection: sqlite3.Connection) -> None:
    found = [
        (row["day"], row["phone_number"], row["messages"], row["in_groups"]) for row in ask(connection, "daily_counts.sql")
    ]
    assert sorted(found) == [
        ("2025-08-01", "15550100001", 1, 0),
        ("2025-08-01", "15550100002", 1, 0),
        ("2025-08-31", "15550100002", 1, 1),
        ("2025-08-31", "15550100003", 1, 1),
    ]


def test_all_media_are_listed_with_their_paths(connection: sqlite3.Connection) -> None:
    found = ask(connection, "media_files.sql")
    assert [(row["message_type"], row["media_filename"], row["local_media_path"]) for row in found] == [
        ("image", "club.jpg", None),
        ("voice", None, None),
    ]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-07-31", []),
        ("2025-08-01", [("Dana Levi", "owner", "2025-08-01 00:00:00"), ("Sam", "member", "2025-08-01 00:00:00")]),
        ("2025-08-14", [("Dana Levi", "owner", "2025-08-01 00:00:00"), ("Sam", "member", "2025-08-01 00:00:00")]),
        ("2025-08-31", [("Dana Levi", "owner", "2025-08-31 23:59:59")]),
        ("2025-09-15", [("Dana Levi", "owner", "2025-09-01 00:00:00"), ("Samuel", "admin", "2025-09-01 00:00:00")]),
    ],
)
def test_who_was_in_a_group_on_any_day_and_what_they_were_called_then(
    connection: sqlite3.Connection, day: str, expected: list[tuple[str, str, str]]
) -> None:
    for name in ("Book club", "Readers"):
        found = ask(connection, "group_on_a_day.sql", group_name=name, day=day)
        assert [(row["member"], row["role"], row["listed_at"]) for row in found] == expected
