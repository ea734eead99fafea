"""Nothing of a hidden chat comes out of the real server: no text, name, number, count or handle, whatever is asked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from fake_clock import FakeClock
from mcp import Client
from mcp.types import TextContent
from small_archive import NOW, ZONE
from surface_walk import Values, everything
from test_hiding import Household

from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.doctor.computer import check_hidden
from whatsapp_mcp.export import Head, Request, export_chat
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.server.jobs import Job
from whatsapp_mcp.server.waiting import outcome_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRETS = ("zanzi", "secretovich", "avner", "surprise", "balloons", "15550100002", "15550100004", "0100 002", "777")


@pytest.fixture
def household(home: Path) -> Iterator[Household]:
    home.mkdir(mode=0o700)
    made = Household(home)
    yield made
    made.rows.close()


def opened(home: Path, **settings: Any) -> Archive:
    return Archive.open(Settings(home=home, timezone=ZONE, **settings), FakeClock(NOW.timestamp()))


def hidden(home: Path, **settings: Any) -> Archive:
    return opened(home, hidden_chats=("Avner", "Surprise party"), **settings)


def values_of(household: Household) -> Values:
    chats = ["Avner Secretovich", "Zanzi", "15550100002", "Surprise party", household.secret, household.party, "Book club"]
    people = ["Avner", "15550100004", household.avner, household.gil, "Ruth"]
    handles = [f"m{number}" for number in range(1, 6)]
    return {
        "chat": chats,
        "chat_id": [household.secret, household.party, household.club],
        "contact": people,
        "contact_id": [household.avner, household.gil, household.ruth],
        "sender": people,
        "message": [*handles, "3EB0000000000002"],
        "message_id": [1, 2, 3, 4],
        "around": [*handles, "2025-08-15"],
        "query": ["zanzibar", "zanzibat", "balloons", "invoice", "avner*"],
        "quote": ["zanzibar invoice", "balloons from zanzibar"],
        "kind": ["private", "group"],
        "kinds": [["document"]],
        "format": ["json", "txt"],
        "order": ["newest"],
        "context": [5],
        "limit": [3],
        "token_budget": [3_000],
        "after": ["2025-08"],
        "before": ["2025-08"],
        "since": ["2025-08-01"],
        "month": ["2025-08"],
        "period": ["2025-08"],
        "breakdown": [["contact", "chat", "type", "day"]],
        "include_media": [True],
        "mode": ["resume"],
        "depth": [5],
        "states": [["edited"]],
        "topic": ["chapter"],
        "what": ["invoice"],
        "name": ["surprise-party-4.txt", "avner-secretovich-2.json"],
        "typed": ["a", "s", "z", "2", "15550100002"],
        "page": [1],
        "first": ["2025-07"],
        "second": ["2025-08"],
        "months": ["2025-08"],
        "language": ["en"],
    }


def without_the_question(text: str, given: str) -> str:
    """An answer may repeat what was asked; of that nothing is learnt."""
    for asked in (*re.findall(r"[\w@.-]+(?: [\w@.-]+)*", given), *re.findall(r"[\w@.-]+", given)):
        if len(asked) > 1:
            text = re.sub(rf"{re.escape(asked)}(?![a-z])", "", text, flags=re.IGNORECASE)
    return text


async def test_nothing_of_a_hidden_chat_comes_out_of_anything_that_can_be_asked(household: Household, home: Path) -> None:
    export_everything(opened(home), household)
    server, _ = build_server(hidden(home))
    answers = 0
    async for answer in everything(server, values_of(household)):
        answers += 1
        for text in (*answer.texts, *answer.links, json.dumps(answer.structured, ensure_ascii=False)):
            left = without_the_question(text, f"{answer.asked} {answer.given}").casefold()
            for secret in SECRETS:
                assert secret not in left, f"{answer}: {secret} in {text[:800]}"
            for handle in (f"m{household.hidden_message}", f"m{household.hidden_message + 1}"):
                assert not re.search(rf"\b{handle}\b", left), f"{answer}: {handle} in {text[:800]}"
    assert answers > 100


def export_everything(archive: Archive, household: Household) -> None:
    """The owner's own exports of the hidden chats lie in the folder."""
    queries = archive.queries
    for chat, form in ((household.party, "txt"), (household.secret, "json")):
        party = queries.find_chat(chat)
        head = Head(party, queries.interval(None, None), queries.coverage(chat), ZONE, int(NOW.timestamp()))
        export_chat(Request(form, archive.home), head, queries.iter_messages(chat))
    queries.close()
    assert {path.name for path in (archive.home / "exports").iterdir()} == {"surprise-party-4.txt", "avner-secretovich-2.json"}


async def test_the_assistant_is_told_that_it_cannot_know(household: Household, home: Path) -> None:
    server, _ = build_server(hidden(home))
    async with Client(server) as client:
        said = [
            await client.call_tool(tool, given)
            for tool, given in (
                ("full_sync_status", {}),
                ("search_messages", {"query": "zanzibar"}),
                ("list_chats", {}),
                ("find_contact", {"query": "Avner"}),
            )
        ]
    for answer in said:
        text = "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
        assert "2 chats are hidden from assistants by the settings." in text


async def test_a_hidden_chat_is_not_fetched_by_a_tool_under_any_name(household: Household, home: Path) -> None:
    archive = hidden(home, green_api_url="http://127.0.0.1:1", id_instance="7105000001", token="a" * 50, access_log=False)
    server, _ = build_server(archive)
    async with Client(server) as client:
        for chat in ("Avner", "15550100002", "15550100002@c.us", "Surprise party", "15550100077"):
            answer = await client.call_tool("sync_chat", {"chat": chat})
            block = answer.content[0]
            assert isinstance(block, TextContent)
            assert answer.is_error
            assert f'There is no chat "{chat}" in the archive.' in block.text


async def test_how_a_sync_of_all_chats_ended_is_told_without_numbers_and_names() -> None:
    class Outcome:
        state = "complete"

    job = Job("sync of what is new", is_discreet=True, outcome=Outcome())
    job.ended.set()
    assert outcome_text(job) == "The sync of what is new is complete; full_sync_status shows what is archived."


def test_doctor_tells_the_owner_what_is_hidden_and_which_entry_does_nothing(household: Household, home: Path) -> None:
    archive = opened(home, hidden_chats=("Avner", "Nobody at all"))
    assert [(check.level, check.finding) for check in check_hidden(archive)] == [
        ("ok", "Assistants do not see 1 chat."),
        ("warn", 'The entry "Nobody at all" fits no chat.'),
    ]
    assert check_hidden(opened(home)) == []


def test_doctor_tells_what_an_entry_hides_by_its_sound(household: Household, home: Path) -> None:
    chat = household.rows.private(household.rows.contact("15550100044", "משה"))
    checks = [(check.level, check.finding) for check in check_hidden(opened(home, hidden_chats=("Moshe",)))]
    assert checks == [
        ("ok", "Assistants do not see 1 chat."),
        ("ok", f'The entry "Moshe" also hides the chat "משה" (id {chat}), whose name sounds like it.'),
    ]


def test_without_such_settings_the_server_asks_the_very_same_archive(home: Path) -> None:
    archive = opened(home)
    assert archive.for_assistants() is archive


def test_the_status_command_tells_its_owner_what_is_hidden_and_where_the_access_log_is(
    household: Household, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHATSAPP_MCP_HIDDEN_CHATS", "Avner,Nobody at all")
    assert main(["status", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    assert 'Hidden       1 chat from assistants; without effect: "Nobody at all" (see doctor)' in said
    assert "access-<day>.log" in said
    assert "Messages     4 " in said
