"""What each sync leaves in the coverage ledger: which time of which chat is known from where."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from account_desk import AccountDesk, account_desk
from small_gateway import BEGAN, group, person
from sync_desk import account, desk

from whatsapp_mcp.cli.run import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sync_desk import Desk

SPANS = "SELECT origin, from_at FROM coverage JOIN chats USING (chat_id) WHERE whatsapp_chat_id = '{}' ORDER BY origin, from_at"
LENGTHS = "SELECT history_length, last_history_length FROM sync_status JOIN chats USING (chat_id) WHERE whatsapp_chat_id = '{}'"


@pytest.fixture
def d(tmp_path: Path) -> Iterator[AccountDesk]:
    with account_desk(tmp_path) as one:
        yield one


def spans(d: Desk, chat: str) -> list[tuple[str, int]]:
    return [(origin, int(start)) for origin, start in d.rows(SPANS.format(chat))]


async def test_a_whole_history_is_known_from_its_oldest_message(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        assert spans(d, group(1)) == [("history", BEGAN + 1)]


async def test_journals_that_told_count_for_all_chats(d: AccountDesk) -> None:
    await d.full()
    now = d.gateway.now
    found = d.rows("SELECT origin, from_at, until_at FROM coverage WHERE chat_id = 0")
    assert found in ([("journal", now - 26_300 * 60, now - 120)], [])
    assert bool(found) == (d.cursor("journals_since") is not None)


async def test_a_history_that_the_gateway_cuts_is_known_as_such(tmp_path: Path) -> None:
    gateway = account(faults={f"getChatHistory {group(1)}": lambda asked: None if _count(asked.body) <= 10 else (400, "{}")})
    async with desk(tmp_path, gateway) as d:
        await d.chat(group(1), 10)
        assert spans(d, group(1)) == [("capped_history", BEGAN + 21)]
        assert d.progress() == {}


def _count(body: object) -> int:
    return int(body["count"]) if isinstance(body, dict) else 0


async def test_the_newest_part_of_a_history_says_nothing_of_its_length(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.chat(group(1))
        await d.chat(group(1), 10)
        assert d.rows(LENGTHS.format(group(1))) == [(30, 30)]
        assert spans(d, group(1)) == [("history", BEGAN + 1)]


async def test_a_history_that_shrank_is_remembered(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.chat(person(3))
        d.gateway.histories[person(3)] = 2
        await d.chat(person(3))
        assert d.rows(LENGTHS.format(person(3))) == [(7, 2)]
        with d.writer() as writer:
            assert writer.store.gaps.chats(2_000_000_000)[person(3)].shrank


def test_an_import_is_known_from_its_first_to_its_last_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "UTC")
    file = tmp_path / "WhatsApp Chat with Noor Example.txt"
    file.write_text("13/08/2025, 10:00 - Noor Example: one\n14/08/2025, 10:00 - Sam Example: two\n", encoding="utf-8")
    assert main(["import", str(file), "--me", "Sam Example", "--home", str(tmp_path / "home")]) == 0
    with sqlite3.connect(tmp_path / "home" / "whatsapp_chats.db") as connection:
        found = connection.execute("SELECT origin, until_at - from_at FROM coverage").fetchall()
    connection.close()
    assert found == [("import", 86_400)]
