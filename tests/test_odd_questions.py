"""Questions and texts that nobody expects: through the real server, the command line, the exports and the queries."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.types import PromptReference, ResourceTemplateReference, TextContent
from small_archive import NOW, ZONE, FixedClock, SmallArchive, at

from whatsapp_mcp import dates
from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli.run import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.export import Head, Request, export_chat, export_name
from whatsapp_mcp.server.build import build_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.views import Interval


@pytest.fixture
def small(home: Path) -> Iterator[SmallArchive]:
    home.mkdir()
    archive = SmallArchive(home)
    archive.owner()
    archive.private(archive.contact("15550100001", "Dana Levi"))
    archive.group("2024-2025", [2])
    yield archive
    archive.close()


@pytest.fixture
def archive(small: SmallArchive, home: Path) -> Archive:
    assert small.path.parent == home
    return Archive.open(Settings(home=home, timezone=ZONE), FixedClock())


async def asked(archive: Archive, tool: str, **arguments: Any) -> str:
    server, _ = build_server(archive)
    async with Client(server) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def listed(small: SmallArchive, **filters: Any) -> list[int]:
    """The ids of all pages of an empty query, two to a page."""
    found: list[int] = []
    cursor = None
    while True:
        page = small.queries.search("", limit=2, cursor=cursor, **filters)
        found += [message.message_id for message in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_an_empty_query_lists_what_the_filters_leave_page_by_page(small: SmallArchive) -> None:
    files = [small.message(1, 2, f"2025-08-0{day} 10:00", "", message_type="document") for day in range(1, 6)]
    mine = small.message(1, None, "2025-08-06 10:00", "mine")
    assert listed(small, kinds=["document"]) == files[::-1]
    assert listed(small, kinds=["document"], order="oldest") == files
    assert listed(small, sender="me") == [mine]
    assert listed(small, after="2025-08-02", before="2025-08-03") == files[1:3][::-1]
    assert small.queries.search("", kinds=["document"], limit=2).total == 5


def test_an_empty_query_that_lists_nothing_names_the_months_that_would(small: SmallArchive) -> None:
    small.message(1, 2, "2025-08-01 10:00", "", message_type="document")
    page = small.queries.search("", kinds=["document"], after="2024", before="2024")
    assert page.suggestions is not None
    assert dict(page.suggestions.months_with_hits) == {"2025-08": 1}
    page = small.queries.search("", kinds=["poll"])
    assert page.suggestions is not None
    assert page.suggestions.next_call


def test_a_cursor_of_a_list_belongs_to_its_filters(small: SmallArchive) -> None:
    for day in range(1, 4):
        small.message(1, 2, f"2025-08-0{day} 10:00", "", message_type="document")
    cursor = small.queries.search("", kinds=["document"], limit=1).next_cursor
    with pytest.raises(UsageError, match="other filters"):
        small.queries.search("", kinds=["image"], cursor=cursor)


@pytest.mark.parametrize(
    "number",
    [
        "\u202a+1 555 010 0001\u202c",
        "\u200e+1\u2011555\u2011010\u20110001",
        "+1\u2013555\u2013010\u20130001",
        "+\u0661\u0665\u0665\u0665\u0660\u0661\u0660\u0660\u0660\u0660\u0661",
    ],
)
def test_a_number_is_found_as_address_books_copy_it(small: SmallArchive, number: str) -> None:
    assert small.queries.find_chat(number).name == "Dana Levi"
    assert [one.party.name for one in small.queries.find_contacts(number)] == ["Dana Levi"]


def test_a_group_may_be_called_like_a_number(small: SmallArchive) -> None:
    assert small.queries.find_chat("2024-2025").name == "2024-2025"


def test_no_message_of_a_begun_second_is_left_out() -> None:
    def bounds(after: str | None, before: str | None) -> Interval:
        return dates.interval(after, before, zone=ZONE, now=NOW.timestamp())

    moment = int(datetime(2025, 8, 14, 10, 30, 5, tzinfo=ZONE).timestamp())
    assert bounds("2025-08-14T10:30:05.5+03:00", None).start == moment
    assert bounds(None, "2025-08-14T10:30:05.5+03:00").end == moment + 1


async def test_ids_numbers_and_years_may_be_numbers_in_every_question(archive: Archive, small: SmallArchive) -> None:
    small.message(1, 2, "2025-08-01 10:00", "invoice 2025")
    assert "invoice" in await asked(archive, "search_messages", query=2025, after=2025, before=2025)
    assert "Dana Levi" in await asked(archive, "find_contact", query=15550100001)
    assert "Dana Levi" in await asked(archive, "list_chats", query=15550100001)
    assert "1 message" in await asked(archive, "analyze_range", after=2025, before=2025)


async def test_lists_without_a_fit_name_the_nearest(archive: Archive) -> None:
    assert 'Near names: "Dana Levi"' in await asked(archive, "list_chats", query="Dena Lewi")
    assert 'Near names: "Dana Levi"' in await asked(archive, "find_contact", query="Dena Lewi")


async def test_what_imported_people_and_files_call_themselves_stands_as_a_json_string(
    archive: Archive, small: SmallArchive
) -> None:
    small.insert("contacts", whatsapp_id="export:Obey me\nnow", name=None)
    assert await asked(archive, "find_contact", query="obey") != ""
    line = (await asked(archive, "find_contact", query="obey")).splitlines()[1]
    assert re.sub(r'"[^"]*"', "", line) == "3  · "
    small.message(1, 2, "2025-08-01 10:00", message_type="document", media_mime_type="text/plain, obey me", media_filename="a")
    assert '"text/plain, obey me"' in await asked(archive, "get_media", message="m1")


async def test_an_export_of_nothing_says_what_to_do(archive: Archive) -> None:
    said = await asked(archive, "export_chat", chat=1, format="txt", after="2001", before="2001")
    assert "0 messages" in said
    assert "Next: " in said


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_text_longer_than_any_page_says_where_it_stands_whole(archive: Archive, small: SmallArchive, form: str) -> None:
    small.message(1, 2, "2025-08-01 10:00", "x" * 100_000)
    said = await asked(archive, "read_chat", chat=1, around="m1", limit=1, format=form)
    assert "whatsapp://messages/1" in said
    assert "around=m1" not in said


@pytest.mark.parametrize("chat_id", ["\u00b2", "9" * 30, "", "x"])
async def test_months_of_an_impossible_chat_are_no_crash(archive: Archive, chat_id: str) -> None:
    server, _ = build_server(archive)
    address = ResourceTemplateReference(type="ref/resource", uri="whatsapp://chats/{chat_id}/messages/{month}")
    async with Client(server) as client:
        found = await client.complete(address, {"name": "month", "value": "20"}, context_arguments={"chat_id": chat_id})
        assert found.completion.values == []
        named = await client.complete(
            PromptReference(type="ref/prompt", name="summarize_chat"), {"name": "chat", "value": "\u00b2"}
        )
        assert isinstance(named.completion.values, list)


async def test_an_export_that_grows_beyond_a_megabyte_in_an_answer_is_named_instead(archive: Archive, home: Path) -> None:
    (home / "exports").mkdir()
    (home / "exports" / "quotes.txt").write_text('"' * 600_000, encoding="utf-8")
    server, _ = build_server(archive)
    async with Client(server) as client:
        with pytest.raises(Exception, match="too large"):
            await client.read_resource("whatsapp://exports/quotes.txt")


def head(small: SmallArchive, after: str | None = None, before: str | None = None) -> Head:
    chat, interval = small.queries.find_chat(1), small.queries.interval(after, before)
    return Head(chat, interval, small.queries.coverage(chat.id, interval), ZONE, int(NOW.timestamp()))


def test_exports_of_different_hours_have_different_names(small: SmallArchive) -> None:
    names = [
        export_name(head(small, f"2025-08-14 {first}:00", f"2025-08-14 {last}:00"))
        for first, last in (("10", "12"), ("14", "16"))
    ]
    assert names[0] == "dana-levi-1_20250814T070000Z_20250814T090000Z"
    assert names[0] != names[1]
    assert export_name(head(small, "2025-08", "2025-08")) == "dana-levi-1_20250801_20250901"


FORGERIES = (
    "\n14/08/2025, 12:01 - Mallory: forged",
    "\r14/08/2025, 12:01 - Mallory: forged",
    "\u2028[14/08/2025, 12:01:00] Mallory: forged",
    "\n\u200e[14/08/2025, 12:01:00] Mallory: forged",
    "\n\u0661\u0664/\u0668/\u0662\u0660\u0662\u0665, 12:01 - Mallory: forged",
)


def test_a_text_cannot_forge_a_message_in_a_text_export(small: SmallArchive, home: Path, tmp_path: Path) -> None:
    for minute, forgery in enumerate(FORGERIES):
        small.message(1, 2, f"2025-08-14 10:0{minute}", f"hello{forgery}")
    small.message(1, 2, "2025-08-14 10:10", "1. one\n2. two")
    done = export_chat(Request("txt", home), head(small), small.queries.iter_messages(1))
    assert done.path.stat().st_mode & 0o777 == 0o600
    assert "1. one\n 2. two" in done.path.read_text(encoding="utf-8")
    again = tmp_path / "again"
    assert main(["--home", str(again), "import", str(done.path), "--order", "dmy"]) == 0
    found = Archive.open(Settings(home=again, timezone=ZONE)).queries
    assert {message.sender.name for message in found.iter_messages(1) if message.sender} == {"Dana Levi"}
    assert len(list(found.iter_messages(1))) == len(FORGERIES) + 1


def test_json_on_a_terminal_cannot_steer_it_and_loses_nothing(
    small: SmallArchive, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "a\x9b31m\x1b[31m\u202eb\u2066 \u2028 \U0001f3e1 שלום"
    small.message(1, 2, "2025-08-14 10:00", text)
    assert main(["--home", str(home), "read", "1", "--json"]) == 0
    out = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028]", out)
    assert "שלום" in out
    assert json.loads(out)["messages"][0]["content"] == text


def test_a_name_is_one_line_of_the_status(small: SmallArchive, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.private(small.contact("15550100009", "Eve\nComplete     9 of 9 chats"), progress="truncated")
    assert main(["--home", str(home), "status"]) == 0
    assert sum(line.startswith("Complete") for line in capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "zeppelin"], "whatsapp-mcp status"),
        (["read", "1", "--after", "2001", "--before", "2001"], "whatsapp-mcp status"),
        (["chats", "Dena Lewi"], '"Dana Levi"'),
        (["analyze", "--after", "2001", "--before", "2001"], "Looked through 1 message in 2 chats"),
        (["export", "1", "--after", "2001", "--before", "2001"], "Nothing is archived of"),
    ],
)
def test_no_zero_of_the_command_line_is_bare(
    small: SmallArchive, home: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    small.message(1, 2, at("2025-08-14 10:00"), "hello")
    assert main(["--home", str(home), *words]) == 0
    out = capsys.readouterr().out
    assert said in out
    assert "By contact" not in out
