from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_archive import SmallArchive

from whatsapp_mcp.analysis import analyze
from whatsapp_mcp.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.views import Count


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path)
    small.owner()
    dana, omar = small.contact("15550100001", "Dana"), small.contact("15550100002", "Omar")
    with_dana, _, club = small.private(dana), small.private(omar), small.group("Club", [dana, omar])
    small.message(with_dana, dana, "2025-03-27 23:30", "a")  # the night before clocks go forward
    small.message(with_dana, None, "2025-03-28 00:30", "b")
    small.message(with_dana, dana, "2025-03-28 23:30", "c", message_type="image")
    small.message(club, omar, "2025-03-28 12:00", "d")
    small.message(club, None, "2025-03-31 23:59", "e")
    small.message(club, dana, "2025-04-01 00:00", "f")
    yield small
    small.close()


def numbers(counts: tuple[Count, ...]) -> list[tuple[str, int, int, int]]:
    return [(count.label, count.messages, count.sent, count.received) for count in counts]


def test_totals_tell_all_of_the_interval(archive: SmallArchive) -> None:
    found = analyze(archive.queries, None, None)
    assert (found.messages, found.sent, found.received) == (6, 2, 4)
    assert (found.chats, found.contacts, found.media) == (2, 2, 1)
    assert found.first is not None
    assert found.last is not None
    assert (found.first.content, found.last.content) == ("a", "f")
    assert found.busiest_day is not None
    assert (found.busiest_day.label, found.busiest_day.messages) == ("2025-03-28", 3)
    assert set(found.breakdowns) == {"contact", "chat", "day", "month", "type"}


def test_days_and_months_are_those_of_the_users_zone(archive: SmallArchive) -> None:
    found = analyze(archive.queries, None, None, breakdown=("day", "month", "hour", "weekday", "year")).breakdowns
    assert numbers(found["day"]) == [
        ("2025-03-27", 1, 0, 1), ("2025-03-28", 3, 1, 2), ("2025-03-31", 1, 1, 0), ("2025-04-01", 1, 0, 1),
    ]  # fmt: skip
    assert numbers(found["month"]) == [("2025-03", 5, 2, 3), ("2025-04", 1, 0, 1)]
    assert [count.label for count in found["hour"]] == ["00:00", "12:00", "23:00"]
    assert [(count.label, count.messages) for count in found["weekday"]] == [
        ("Monday", 1),
        ("Tuesday", 1),
        ("Thursday", 1),
        ("Friday", 3),
    ]
    assert numbers(found["year"]) == [("2025", 6, 2, 4)]


def test_a_sent_message_counts_for_the_person_of_the_private_chat(archive: SmallArchive) -> None:
    found = analyze(archive.queries, None, None).breakdowns
    assert numbers(found["contact"]) == [("Dana", 4, 1, 3), ("Omar", 1, 0, 1)]
    assert numbers(found["chat"]) == [("Club", 3, 1, 2), ("Dana", 3, 1, 2)]
    assert numbers(found["type"]) == [("text", 5, 2, 3), ("image", 1, 0, 1)]


def test_interval_chat_and_contact_narrow_the_numbers(archive: SmallArchive) -> None:
    assert analyze(archive.queries, "2025-04", "2025-04").messages == 1
    assert analyze(archive.queries, None, None, chat="club").messages == 3
    assert analyze(archive.queries, None, None, contact="dana").messages == 4
    assert analyze(archive.queries, "2025-03", "2025-03", chat="club", contact="omar").messages == 1


def test_an_empty_interval_is_all_zeros(archive: SmallArchive) -> None:
    found = analyze(archive.queries, "2019", "2019")
    assert (found.messages, found.chats, found.first, found.busiest_day) == (0, 0, None, None)
    assert found.breakdowns["day"] == ()
    assert "known from 2025-03-27" in found.coverage.note


def test_an_unknown_breakdown_names_the_known_ones(archive: SmallArchive) -> None:
    with pytest.raises(UsageError, match="contact, chat, day, month, type"):
        analyze(archive.queries, None, None, breakdown=("mood",))
