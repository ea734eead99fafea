"""The sync of one chat, and the rule by which a silent cap is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_gateway import group, person
from sync_desk import account, desk

from whatsapp_mcp.errors import NotFound
from whatsapp_mcp.sync import silent_caps

if TYPE_CHECKING:
    from pathlib import Path


async def test_one_chat_is_fetched_with_its_people(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        private, choir = await d.chat(person(3)), await d.chat(group(1))
        assert (private.messages_new, choir.messages_new) == (7, 30)
        assert d.asked_for("getContactInfo") == [person(3)]
        assert d.asked_for("getGroupData") == [group(1)]
        assert d.progress() == {person(3): "complete", group(1): "complete"}
        assert d.rows("SELECT count(*) FROM group_members") == [(2,)]


async def test_a_shallow_look_at_a_chat_does_not_call_it_complete(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.chat(group(1), depth=10)
        assert d.messages()[group(1)] == 10
        assert d.progress() == {}
        await d.chat(group(1), depth=50)
        assert d.progress() == {group(1): "complete"}
        await d.chat(group(1), depth=10)
        assert d.progress() == {group(1): "complete"}


async def test_an_unknown_chat_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    async with desk(tmp_path, account(faults={"getChatHistory": (400, '{"message":"chatId not found"}')})) as d:
        with pytest.raises(NotFound):
            await d.chat(person(99))
        assert d.rows("SELECT count(*) FROM chats WHERE whatsapp_chat_id LIKE '%0099%'") == [(0,)]
        assert d.state() == "failed"


@pytest.mark.parametrize(
    ("lengths", "cut"),
    [
        ({}, set()),
        ({"a": 100, "b": 100, "c": 100, "d": 3}, {"a", "b", "c"}),
        ({"a": 100, "b": 100, "d": 3}, set()),
        ({"a": 200, "b": 100, "c": 100, "d": 100}, set()),
        ({"a": 2, "b": 2, "c": 2}, set()),
        ({"a": 0, "b": 0, "c": 0}, set()),
    ],
)
def test_a_greatest_length_that_several_chats_share_is_a_silent_cap(lengths: dict[str, int], cut: set[str]) -> None:
    assert silent_caps(lengths) == cut
