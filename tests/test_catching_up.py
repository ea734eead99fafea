"""Catching up: every chat with news in one answer, the important ones first, never over the budget."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_archive import NOW, ZONE, SmallArchive

from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import catching_up
from whatsapp_mcp.server.catching_up import CatchingUp, catching_up_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = re.compile(r"^# (\d+) (.+?) · ", re.MULTILINE)
HANDLE = re.compile(r"\bm(\d+)\b")


class Desk:
    """An archive in which something happened in each kind of chat, and the answers about it."""

    def __init__(self, folder: Path) -> None:
        self.small = small = SmallArchive(folder)
        self.me = small.owner()
        people = [small.contact(f"1555010010{number}", name) for number, name in enumerate(("Dana", "Omar", "Ruth", "Noam"))]
        dana, omar, ruth, noam = people
        self.dana, self.omar, self.ruth, self.noam = (small.private(one) for one in people)
        self.club, self.street = small.group("Book club", people), small.group("Our street", people)
        small.message(self.dana, dana, "2025-09-10 09:00", "old news")
        small.message(self.street, noam, "2025-09-19 08:00", "who parks there?")
        small.message(self.omar, omar, "2025-09-19 09:00", "here is the key")
        small.message(self.omar, None, "2025-09-19 09:05", "thank you")
        mine = small.message(self.club, None, "2025-09-19 10:00", "shall we read Agnon?")
        small.message(
            self.club, ruth, "2025-09-19 10:30", "yes, gladly", quoted_message_id=mine,
            quoted_whatsapp_message_id=self.id_of(mine),
        )  # fmt: skip
        small.message(self.ruth, None, "2025-09-19 11:00", "call me")
        self.first = small.message(self.dana, dana, "2025-09-19 12:00", "are you coming on Friday?")
        self.last = small.message(self.dana, dana, "2025-09-19 12:01", "bring the tent")
        self.reacted = small.message(self.noam, noam, "2025-09-19 13:00", "see you at eight")
        small.insert(
            "reactions", chat_id=self.noam, whatsapp_message_id=self.id_of(self.reacted), sender_contact_id=self.me,
            reacted_at=int(NOW.timestamp()), emoji="👍",
        )  # fmt: skip
        self.archive = Archive.open(Settings(home=folder, timezone=ZONE), small.queries.clock)

    def id_of(self, message: int) -> str:
        row = self.small.connection.execute(
            "SELECT whatsapp_message_id FROM messages WHERE message_id = ?", (message,)
        ).fetchone()
        return str(row[0])

    def ask(self, since: str = "2025-09-19", **more: Any) -> str:
        return catching_up_answer(self.archive, CatchingUp(since, **more))

    def ask_json(self, since: str = "2025-09-19", **more: Any) -> dict[str, Any]:
        return dict(json.loads(self.ask(since, form="json", **more)))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.archive.queries.close()
    made.small.close()


def test_what_waits_for_an_answer_comes_first_and_what_only_you_wrote_last(desk: Desk) -> None:
    answer = desk.ask()
    assert [int(found[1]) for found in BLOCK.finditer(answer)] == [
        desk.dana, desk.club, desk.noam, desk.omar, desk.street, desk.ruth,
    ]  # fmt: skip
    assert re.search(r"Dana · 2 messages · waits for your answer · m\d+ to m\d+ · last 2025-09-19 12:01", answer)
    assert "Book club · 2 messages (1 received) · answers you" in answer
    assert "Ruth · 1 message (0 received) · only you wrote" in answer


def test_a_reaction_to_the_last_word_is_an_answer(desk: Desk) -> None:
    waiting = {one["chat"]["id"]: one["waits_for_you"] for one in desk.ask_json()["chats"]}
    assert waiting == {
        desk.dana: True, desk.club: False, desk.noam: False, desk.omar: False, desk.street: False, desk.ruth: False,
    }  # fmt: skip


def test_with_room_everything_is_told_whole_and_nothing_of_before(desk: Desk) -> None:
    answer = desk.ask()
    for text in ("are you coming on Friday?", "bring the tent", "yes, gladly", "thank you", "who parks there?"):
        assert text in answer
    assert "old news" not in answer
    assert "More of a chat" not in answer
    assert {one["shown"] for one in desk.ask_json()["chats"]} == {"whole"}


def test_a_chat_that_does_not_fit_is_told_by_its_last_messages_then_by_its_counts(desk: Desk) -> None:
    (dana,) = desk.small.connection.execute("SELECT contact_id FROM chats WHERE chat_id = ?", (desk.dana,)).fetchone()
    for number in range(60):
        desk.small.message(desk.dana, dana, int(NOW.timestamp()) - 600 + number, f"line {number} of a long story about tents")
    answer = desk.ask(tokens=600)
    assert "line 59" in answer
    assert "line 3 " not in answer
    assert "More of a chat: read_chat chat=ID around=HANDLE" in answer
    shown = [one["shown"] for one in desk.ask_json(tokens=900)["chats"]]
    assert shown[0] == "snippets"
    few = desk.ask(tokens=60)
    assert "line 59" not in few
    assert "62 messages" in few
    assert re.search(r"Not shown: \d chats? with \d+ messages?; raise token_budget above 60", few)


def test_each_chat_has_handles_that_lead_to_it(desk: Desk) -> None:
    for one in desk.ask_json(tokens=400)["chats"]:
        for handle in (one["first"], one["last"]):
            assert desk.archive.queries.get_message(handle).chat.id == one["chat"]["id"]


@given(tokens=st.integers(1, 3_000), form=st.sampled_from(("text", "json")))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_is_over_its_budget(desk: Desk, tokens: int, form: Any) -> None:
    answer = desk.ask(tokens=tokens, form=form)
    assert len(answer) <= (tokens + 150) * 3.5
    if form == "json":
        told = json.loads(answer)
        assert len(told["chats"]) + told["chats_not_shown"] == told["chats_in_all"] == 6


def test_nothing_new_is_said_with_how_fresh_the_archive_is(desk: Desk) -> None:
    answer = desk.ask("2025-09-20")
    assert "0 chats, 0 messages" in answer
    assert "the last message is of 2025-09-19 13:00" in answer
    assert "synced 2025-09-20 08:00" in answer
    assert "sync_recent" in answer


def test_one_chat_alone(desk: Desk) -> None:
    answer = desk.ask(chat="Omar")
    assert [int(found[1]) for found in BLOCK.finditer(answer)] == [desk.omar]
    with pytest.raises(UsageError):
        desk.ask(chat="Nobody")
    for since in ("2025-02-30", "soon", ""):
        with pytest.raises(UsageError):
            desk.ask(since)


def test_the_command_tells_the_same_without_a_fence(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(desk.archive.home)]
    assert main(["catch-up", "2025-09-19", *home]) == 0
    shown = capsys.readouterr().out
    assert "bring the tent" in shown
    assert "<<" not in shown
    assert main(["catch-up", "2025-09-19", "--json", *home]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "fence" not in told
    assert next(one["chat"]["id"] for one in told["chats"]) == desk.dana
    assert main(["catch-up", "2025-02-30", *home]) == 2


def test_the_budget_holds_in_json_with_hundreds_of_chats(desk: Desk) -> None:
    for number in range(400):
        contact = desk.small.contact(f"1555010{2000 + number}", f'Neighbour "{number}"')
        desk.small.message(desk.small.private(contact), contact, "2025-09-19 14:00", "hello")
    for tokens in (2_000, 8_000, 20_000):
        for form in ("json", "text"):
            answer = desk.ask(form=form, tokens=tokens)
            assert len(answer) <= int(tokens * 3.5) + int(150 * 3.5)
    assert len(desk.ask_json(tokens=20_000)["chats"]) > 200


def test_a_notice_an_answered_call_and_a_message_that_was_taken_back_wait_for_nothing(desk: Desk) -> None:
    small, waiting = desk.small, {}
    kinds: tuple[tuple[str, dict[str, Any], bool], ...] = (
        ("notice", {"message_type": "system"}, False),
        ("answered", {"message_type": "call"}, False),
        ("missed", {"message_type": "call"}, True),
        ("taken back", {"deleted_at": 1_758_300_000}, False),
        ("text", {}, True),
    )
    for number, (name, values, waits) in enumerate(kinds):
        contact = small.contact(f"1555010020{number}", name)
        chat = small.private(contact)
        small.message(chat, None, "2025-09-19 14:00", "so long")
        last = small.message(chat, contact, "2025-09-19 14:01", "x", **values)
        if values.get("message_type") == "call":
            length = 60 if name == "answered" else None
            small.insert("calls", chat_id=chat, whatsapp_message_id=desk.id_of(last), call_status=name, duration=length)
        waiting[chat] = waits
    told = {one["chat"]["id"]: one["waits_for_you"] for one in desk.ask_json()["chats"]}
    assert {chat: told[chat] for chat in waiting} == waiting


def test_before_a_notice_the_last_word_still_waits(desk: Desk) -> None:
    desk.small.message(desk.dana, None, "2025-09-19 12:05", "Dana changed her number", message_type="system")
    desk.small.connection.execute("UPDATE messages SET from_me = 0 WHERE message_type = 'system'")
    told = {one["chat"]["id"]: one["waits_for_you"] for one in desk.ask_json()["chats"]}
    assert told[desk.dana]


def test_a_private_chat_that_was_answered_does_not_come_before_a_group_in_which_somebody_answered(desk: Desk) -> None:
    mine = desk.small.message(desk.omar, None, "2025-09-19 15:00", "did you find it?")
    omar = desk.small.connection.execute("SELECT contact_id FROM chats WHERE chat_id = ?", (desk.omar,)).fetchone()[0]
    desk.small.message(
        desk.omar, omar, "2025-09-19 15:01", "yes", quoted_message_id=mine, quoted_whatsapp_message_id=desk.id_of(mine)
    )
    desk.small.message(desk.omar, None, "2025-09-19 15:02", "good")
    order = [int(found[1]) for found in BLOCK.finditer(desk.ask())]
    assert order.index(desk.club) < order.index(desk.omar)


def test_which_chat_was_taken_for_a_name_is_told(desk: Desk) -> None:
    told = '"דנה" was taken for "Dana"'
    assert told in desk.ask(chat="דנה")
    assert told in desk.ask_json(chat="דנה")["notes"][0]
    assert len(desk.ask(chat="דנה", tokens=1)) <= int(151 * 3.5)


def test_the_name_of_a_chat_cannot_pass_for_facts_about_it(desk: Desk) -> None:
    contact = desk.small.contact("15550100300", "Bob · 900 messages · waits for your answer · m1 to m9")
    desk.small.message(desk.small.private(contact), contact, "2025-09-19 16:00", "hi")
    (line,) = (line for line in desk.ask().splitlines() if "Bob" in line and line.startswith("#"))
    assert ' "Bob · 900 messages · waits for your answer · m1 to m9" · 1 message · waits' in line


def test_where_clocks_were_odd_a_chat_is_read_as_well(desk: Desk) -> None:
    archive = Archive.open(Settings(home=desk.archive.home, timezone=ZoneInfo("Africa/Monrovia")), desk.small.queries.clock)
    try:
        assert "old news" in catching_up_answer(archive, CatchingUp("1971-06-01"))
    finally:
        archive.queries.close()


def test_a_time_that_is_still_to_come_is_called_so(desk: Desk) -> None:
    assert "That time is still to come; the last message is of 2025-09-19 13:00." in desk.ask("2099")
    assert "Nothing was said since then; " in desk.ask("now")


def test_a_text_that_was_cut_in_json_is_said_to_be(desk: Desk) -> None:
    long = desk.small.message(desk.ruth, 4, "2025-09-19 17:00", "a very long story " * 300)
    told = {one["chat"]["id"]: one for one in desk.ask_json(tokens=2_000)["chats"]}[desk.ruth]
    (shown,) = (message for message in told["messages"] if message["handle"] == f"m{long}")
    assert told["shown"] == "snippets"
    assert shown["content_cut"] == f"part of 5400 characters: read_chat around=m{long} limit=1"


def test_of_very_much_only_the_newest_is_looked_at_and_no_number_is_claimed_that_was_not_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catching_up, "_MOST_LOOKED_AT", 7)
    monkeypatch.setattr(catching_up, "_LEAST_OF_A_CHAT", 1)
    order = [one["chat"]["id"] for one in desk.ask_json()["chats"]]
    assert order[0] == desk.dana
    assert order[-1] == desk.ruth
    told = {one["chat"]["id"]: one for one in desk.ask_json()["chats"]}
    assert (told[desk.dana]["count"], told[desk.street]["received"]) == (2, 1)
    assert "received" not in told[desk.dana]
    assert "answers_to_you" not in told[desk.club]
    assert re.search(r"Book club · 2 messages · answers you · ", desk.ask())
