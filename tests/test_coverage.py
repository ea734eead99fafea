"""Which times of a chat are known from where, which were never fetched, and that every answer says so."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from book_club import book_club
from mcp import Client
from mcp.types import TextContent
from small_archive import SmallArchive, at

from whatsapp_mcp.cli import main
from whatsapp_mcp.queries import gaps
from whatsapp_mcp.records import Alias, Chat
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.server.gaps import COMMANDS, gaps_lines
from whatsapp_mcp.server.numbers import NOTHING, next_step, status_object, status_text, sync_state
from whatsapp_mcp.store import Mark, Span, Store
from whatsapp_mcp.views import Hole, KnownSpan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcp.types import CallToolResult

    from whatsapp_mcp.app import Archive

ZONE = ZoneInfo("Asia/Jerusalem")
MARCH, LATER = at("2025-03-01 12:00"), at("2025-03-20 12:00")
"""Between them nothing was fetched."""
NOW = at("2025-09-20 12:00")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path)
    yield small
    small.close()


@pytest.fixture
def dana(archive: SmallArchive) -> int:
    chat = archive.private(archive.contact("15550100001", "Dana Levi"))
    archive.connection.execute("UPDATE sync_status SET last_synced_at = ?", (MARCH,))
    archive.message(chat, 1, "2025-02-01 10:00", "hello")
    return chat


def cover(archive: SmallArchive, origin: str, start: int, end: int, *, chat: int = 0) -> None:
    archive.insert("coverage", chat_id=chat, origin=origin, from_at=start, until_at=end, verified_at=end)


def with_a_hole(archive: SmallArchive, chat: int) -> None:
    cover(archive, "history", at("2025-01-01 00:00"), MARCH, chat=chat)
    cover(archive, "journal", LATER, NOW - 60)


def test_a_chat_is_known_until_its_history_ends_and_as_far_as_journal_and_queue_carry_on(
    archive: SmallArchive, dana: int
) -> None:
    cover(archive, "history", 1000, MARCH, chat=dana)
    assert archive.queries.coverage(dana).known_until == MARCH
    cover(archive, "journal", MARCH - 60, MARCH + 1000)
    cover(archive, "queue", MARCH + 1001, MARCH + 5000)
    cover(archive, "queue", MARCH + 9000, MARCH + 9999)
    known = archive.queries.coverage(dana)
    assert known.known_until == MARCH + 5000
    assert known.verified_at == MARCH
    assert known.holes == (Hole(MARCH + 5000, MARCH + 9000),)


def test_the_spans_of_a_chat_name_their_origins(archive: SmallArchive, dana: int) -> None:
    with_a_hole(archive, dana)
    assert archive.queries.coverage(dana).spans == (
        KnownSpan("history", at("2025-01-01 00:00"), MARCH, MARCH),
        KnownSpan("journal", LATER, NOW - 60, NOW - 60, for_all_chats=True),
    )


def test_a_hole_is_said_with_its_days_where_it_matters(archive: SmallArchive, dana: int) -> None:
    with_a_hole(archive, dana)
    said = "Between 2025-03-01 and 2025-03-20 nothing was fetched."
    assert archive.queries.read_chat(dana).coverage.note == said
    assert archive.queries.read_chat(dana, after="2025-03-10", before="2025-03-12").coverage.note == said
    assert archive.queries.read_chat(dana, after="2025-04").coverage.note == ""
    assert archive.queries.coverage().note == "Of 1 chat some time was never fetched."


def test_a_hole_of_hours_is_said_with_its_hours(archive: SmallArchive, dana: int) -> None:
    cover(archive, "history", 1000, MARCH, chat=dana)
    cover(archive, "journal", MARCH + 9000, NOW)
    assert archive.queries.coverage(dana).note == "Between 2025-03-01 12:00 and 14:30 nothing was fetched."


def test_of_several_holes_the_last_is_named_and_the_others_are_counted(archive: SmallArchive, dana: int) -> None:
    with_a_hole(archive, dana)
    cover(archive, "queue", MARCH + 3600, MARCH + 7200)
    assert archive.queries.coverage(dana).note.endswith("nothing was fetched, and in 1 earlier time.")
    assert [one.holes for one in archive.queries.status().gaps.chats] == [
        (Hole(MARCH, MARCH + 3600), Hole(MARCH + 7200, LATER))
    ]


def test_a_later_history_closes_the_hole(archive: SmallArchive, dana: int) -> None:
    with_a_hole(archive, dana)
    cover(archive, "history", at("2025-02-01 10:00"), NOW - 100, chat=dana)
    assert archive.queries.coverage(dana).holes == ()
    assert archive.queries.status().gaps.chats == ()


def test_nothing_is_missing_before_a_history_that_reached_its_beginning(archive: SmallArchive, dana: int) -> None:
    for year in (2022, 2024):
        cover(archive, "queue", at(f"{year}-01-01 00:00"), at(f"{year}-02-01 00:00"))
    cover(archive, "import", at("2020-01-01 00:00"), at("2021-01-01 00:00"), chat=dana)
    cover(archive, "history", at("2025-01-01 00:00"), MARCH, chat=dana)
    assert archive.queries.coverage(dana).holes == ()


def test_before_a_history_that_was_cut_something_may_be_missing(archive: SmallArchive) -> None:
    chat = archive.private(archive.contact("15550100001"), progress="truncated")
    cover(archive, "import", at("2020-01-01 00:00"), at("2021-01-01 00:00"), chat=chat)
    cover(archive, "capped_history", at("2025-01-01 00:00"), NOW, chat=chat)
    known = archive.queries.coverage(chat)
    assert known.holes == (Hole(at("2021-01-01 00:00"), at("2025-01-01 00:00")),)
    assert known.note.startswith("The gateway cut this chat's history off")


def test_an_import_fills_a_hole(archive: SmallArchive, dana: int) -> None:
    with_a_hole(archive, dana)
    cover(archive, "import", at("2019-01-01 00:00"), LATER, chat=dana)
    assert archive.queries.coverage(dana).holes == ()


def test_an_archive_that_was_only_imported_is_not_called_incomplete(archive: SmallArchive) -> None:
    chat = archive.insert("chats", whatsapp_chat_id="export:Holiday", chat_type="group")
    archive.message(chat, None, "2025-08-14 10:00", "x")
    cover(archive, "import", at("2020-01-01 00:00"), at("2021-01-01 00:00"), chat=chat)
    cover(archive, "import", at("2025-01-01 00:00"), at("2025-08-14 10:00"), chat=chat)
    status = archive.queries.status()
    assert archive.queries.coverage(chat).note == status.coverage.note == ""
    assert sync_state(status, NOW) == "complete"
    assert gaps_lines(status, ZONE, COMMANDS) == []


def test_what_all_chats_were_listened_to_says_nothing_of_one_that_only_an_import_knows(archive: SmallArchive) -> None:
    chat = archive.insert("chats", whatsapp_chat_id="export:Holiday", chat_type="group")
    cover(archive, "import", at("2020-01-01 00:00"), at("2021-01-01 00:00"), chat=chat)
    cover(archive, "queue", at("2025-01-01 00:00"), NOW)
    known = archive.queries.coverage(chat)
    assert (known.holes, known.known_until, len(known.spans)) == ((), None, 1)


def test_a_history_from_before_the_ledger_counts_as_known(archive: SmallArchive, dana: int) -> None:
    cover(archive, "journal", MARCH - 10, NOW)
    known = archive.queries.coverage(dana)
    assert (known.known_until, known.verified_at, known.holes) == (NOW, MARCH, ())


def test_a_chat_whose_history_is_empty_has_no_hole(archive: SmallArchive) -> None:
    chat = archive.private(archive.contact("15550100001"))
    cover(archive, "queue", at("2025-09-19 00:00"), at("2025-09-20 09:00"))
    known = archive.queries.coverage(chat)
    assert (known.holes, known.known_until, known.messages) == ((), at("2025-09-20 09:00"), 0)


def test_a_chat_that_was_never_fetched_says_that_and_no_more(archive: SmallArchive) -> None:
    chat = archive.private(archive.contact("15550100001"), progress="pending")
    archive.connection.execute("UPDATE sync_status SET last_synced_at = NULL")
    cover(archive, "queue", MARCH, MARCH + 9)
    cover(archive, "queue", LATER, NOW)
    known = archive.queries.coverage(chat)
    assert known.note == "This chat's history was not fetched yet: most of it may be missing."
    assert (known.holes, known.known_until, known.spans) == ((), None, ())


def test_all_chats_are_known_until_the_newest_fetch_of_all(archive: SmallArchive, dana: int) -> None:
    assert archive.queries.coverage().known_until is None
    cover(archive, "queue", LATER, NOW - 60)
    assert archive.queries.coverage().known_until == NOW - 60


def test_a_chat_that_was_joined_is_known_by_the_spans_of_the_one_that_stays() -> None:
    lid, number = "900000000000002@lid", "15550100001@c.us"
    with Store(":memory:") as store:
        store.apply([Chat(lid, 1), Chat(number, 1)], 1)
        for chat, start, end in ((lid, 0, 900), (number, 0, 100)):
            store.mark_chat(Mark(1000, covered=(Span("history", start, end, chat),)))
        store.mark_chat(Mark(1000, covered=(Span("queue", 500, 950),)))
        store.apply([Alias(lid, number)], 2)
        known = gaps.spans(store.connection)
        (stays,) = known.own
        assert (known.known_until(stays), known.holes(stays)) == (100, (Hole(100, 500),))


@pytest.mark.parametrize("count", [0, 1, 7, 40])
def test_holes_are_what_neither_the_chat_nor_all_chats_cover(archive: SmallArchive, dana: int, count: int) -> None:
    """Against a plain count by days: one span of all chats every third day, one history in the middle."""
    first = date(2025, 3, 2)
    covered = {first + timedelta(days=day) for day in range(5, 12)}
    cover(archive, "history", at("2025-03-07 00:00"), at("2025-03-13 23:59"), chat=dana)
    for number in range(count):
        day = first + timedelta(days=3 * number)
        covered.add(day)
        cover(archive, "queue", at(f"{day} 00:00"), at(f"{day} 23:59"))
    from_the_beginning = {first + timedelta(days=day) for day in range(-1, 5)} | covered
    last = max(covered)
    days = [first + timedelta(days=day) for day in range((last - first).days + 1)]
    missing = [day for day in days if day not in from_the_beginning]
    told = archive.queries.coverage(dana).holes
    assert {day for day in days if any(hole.start < at(f"{day} 12:00") < hole.end for hole in told)} == set(missing)


# What the answers say


async def call(archive: Archive, name: str, **arguments: Any) -> CallToolResult:
    server, _ = build_server(archive)
    async with Client(server) as client:
        return await client.call_tool(name, arguments)


async def asked(archive: Archive, name: str, **arguments: Any) -> str:
    return text_of(await call(archive, name, **arguments))


def text_of(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))


@pytest.fixture
def club(home: Path) -> Archive:
    archive = book_club(home)
    with archive.writer() as writer:
        chat = writer.store.connection.execute("SELECT chat_id FROM chats WHERE name = 'Dana Levi'").fetchone()[0]
        write = writer.store.connection.execute
        start, end = MARCH - 86_400, MARCH
        write("UPDATE sync_status SET last_synced_at = ?", (MARCH,))
        write("INSERT INTO coverage VALUES (?, 'capped_history', ?, ?, ?)", (chat, start, end, end))
        write("INSERT INTO coverage VALUES (0, 'journal', ?, ?, ?)", (LATER, LATER + 60, LATER))
        for message in ("LOST1", "LOST2"):
            write("INSERT INTO receipts VALUES (?, ?, 'read')", (chat, message))
    return archive


SAID = "2 messages are known to be missing. Between 2025-03-01 and 2025-03-20 nothing was fetched."


async def test_the_header_of_every_answer_about_the_chat_says_its_gaps(club: Archive) -> None:
    for tool, arguments in (
        ("read_chat", {"chat": "Dana Levi"}),
        ("search_messages", {"query": "lease", "chat": "Dana Levi"}),
        ("search_messages", {"query": "nobody wrote this", "chat": "Dana Levi"}),
        ("analyze_range", {"after": "2025-01", "before": "2025-12", "chat": "Dana Levi"}),
        ("export_chat", {"chat": "Dana Levi", "format": "txt"}),
    ):
        text = text_of(await call(club, tool, **arguments))
        assert SAID in text, tool
        assert "complete since" not in text, tool


async def test_the_header_of_every_answer_about_all_chats_counts_them(club: Archive) -> None:
    for tool, arguments in (
        ("search_messages", {"query": "lease"}),
        ("list_chats", {}),
        ("find_contact", {"query": "Dana"}),
        ("analyze_range", {"after": "2025-01", "before": "2025-12"}),
    ):
        text = text_of(await call(club, tool, **arguments))
        assert "2 messages are known to be missing." in text, tool


async def test_an_answer_about_another_chat_says_nothing_of_them(club: Archive) -> None:
    assert "known to be missing" not in (await asked(club, "read_chat", chat="Book club", limit=5)).split("\n")[0]


async def test_json_answers_hold_the_same_facts(club: Archive) -> None:
    page = json.loads(await asked(club, "read_chat", chat="Dana Levi", format="json"))
    known = page["coverage"]
    assert (known["missing"], known["with_holes"]) == (2, 1)
    assert SAID in known["note"]
    assert [span["origin"] for span in known["spans"]] == ["capped_history", "journal"]
    assert len(known["holes"]) == 1


async def test_a_small_budget_gives_up_the_spans_before_the_words(club: Archive) -> None:
    text = await asked(club, "search_messages", query="lease", chat="Dana Levi", token_budget=20, format="json")
    assert "spans" not in json.loads(text)["coverage"]
    assert SAID in text


async def test_the_status_tool_tells_the_gaps_in_both_forms(club: Archive) -> None:
    answer = await call(club, "full_sync_status")
    shown: dict[str, Any] = answer.structured_content or {}
    text = text_of(answer)
    assert shown["state"] == "incomplete"
    assert (shown["gaps"]["missing"], shown["gaps"]["by_kind"]) == (2, {"receipt": 2})
    assert (shown["gaps"]["with_holes"], shown["gaps"]["chats_total"]) == (4, 4)
    assert shown["gaps"]["chats"][0]["chat"]["name"] == "Dana Levi"
    assert shown["gaps"]["chats"][0]["holes_total"] == 1
    assert shown["queue"]["mode"] == "never"
    assert "2 messages known to be missing (noticed: 2 by a receipt)" in text
    assert '"Dana Levi": 2 missing; never fetched 2025-03-01' in text
    assert shown["gaps"]["next_step"] in text
    assert "Listening: never" in text


def test_the_status_command_tells_the_gaps_in_both_forms(club: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--home", str(club.home)]) == 0
    text = capsys.readouterr().out
    assert "Gaps         2 messages known to be missing" in text
    assert "`whatsapp-mcp sync recent`" in text
    assert main(["status", "--json", "--home", str(club.home)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["gaps"]["missing"], shown["gaps"]["with_holes"], shown["gaps"]["unobtainable"]) == (2, 4, 0)
    assert shown["queue"]["mode"] == ""


def test_a_status_of_nothing_has_no_gaps() -> None:
    shown = status_object(NOTHING, ZONE, NOW)
    assert (shown["gaps"]["missing"], shown["gaps"]["chats"], shown["gaps"]["next_step"]) == (0, [], "")
    assert "Gaps" not in status_text(NOTHING, ZONE, shown)


def test_a_time_that_was_never_fetched_makes_an_archive_incomplete(archive: SmallArchive, dana: int) -> None:
    with_a_hole(archive, dana)
    status = archive.queries.status()
    assert sync_state(status, NOW) == "incomplete"
    assert "start_full_sync mode=resume asks all chats again" in next_step("incomplete", status)


def test_a_complete_archive_that_lacks_a_message_says_so_with_the_call_that_asks_for_it(
    archive: SmallArchive, dana: int
) -> None:
    archive.message(dana, None, "2025-09-01 10:00", "re", quoted_whatsapp_message_id="LOST")
    status = archive.queries.status()
    assert sync_state(status, NOW) == "complete"
    said = next_step("complete", status)
    assert said.startswith("All known chats are archived, with 1 message known to be missing. sync_recent asks Green API")
    archive.insert("repairs", chat_id=dana, whatsapp_message_id="LOST", attempts=3, last_attempt_at=1, outcome="not_found")
    assert "missing" not in next_step("complete", archive.queries.status())


def test_the_error_of_a_run_begins_no_line_of_its_own(archive: SmallArchive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.insert("runs", kind="full", state="failed", started_at=1, updated_at=1, last_error="HTTP 500:\nChats        9")
    assert main(["status", "--home", str(archive.path.parent)]) == 0
    assert "             HTTP 500: Chats 9\n" in capsys.readouterr().out
