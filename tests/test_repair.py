"""Messages that others refer to and that never came: asked for one by one, newest first, and not for ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from small_gateway import group, message, person
from store_fixtures import answer, history, incoming
from sync_desk import Hurried, OpenWriter, account, desk

from whatsapp_mcp.errors import InstanceGone
from whatsapp_mcp.sync import sync_recent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback import Answer
    from sync_desk import Desk

    from whatsapp_mcp.store import Store
    from whatsapp_mcp.sync import Outcome

DAY = 86_400
NOT_FOUND = (400, '{"message":"ID message notfound"}')
REPAIRS = "SELECT whatsapp_message_id, attempts, outcome FROM repairs ORDER BY whatsapp_message_id"


class Later(Hurried):
    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def reply(number: int, quoted: str, *, chat: str = person(2)) -> dict[str, object]:
    """A message that quotes one that nobody has seen."""
    return {
        **message(chat, number),
        "typeMessage": "quotedMessage",
        "extendedTextMessage": {"text": f"reply {number}", "stanzaId": quoted, "participant": chat},
        "quotedMessage": {"stanzaId": quoted, "participant": chat, "typeMessage": "textMessage", "textMessage": "?"},
    }


async def recent(d: Desk, clock: Hurried | None = None) -> Outcome:
    clock = clock or Hurried()
    with d.writer() as writer:
        async with d.client() as api:
            return await sync_recent(api, writer, clock)


def quoting(*replies: dict[str, object]) -> dict[str, Answer]:
    return {"lastIncomingMessages": (200, json.dumps(list(replies)))}


def asked_ids(d: Desk) -> list[str]:
    bodies = [asked.body for asked in d.server.asked if asked.method == "getMessage"]
    return [str(body["idMessage"]) for body in bodies if isinstance(body, dict)]


async def test_a_quoted_message_that_is_absent_is_fetched_and_the_quote_points_at_it(tmp_path: Path) -> None:
    lost = {**message(person(2), 50), "idMessage": "3ALOST"}
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {**quoting(reply(60, "3ALOST")), "getMessage": (200, json.dumps(lost))}
        outcome = await recent(d)
        assert outcome.state == "complete"
        assert any("1 messages that others refer to" in note for note in outcome.notes)
        quoted = "SELECT q.whatsapp_message_id FROM messages JOIN messages AS q ON q.message_id = messages.quoted_message_id"
        assert d.rows(quoted) == [("3ALOST",)]
        assert d.rows(REPAIRS) == [("3ALOST", 1, "found")]
        assert d.rows("SELECT count(*) FROM missing_messages") == [(0,)]


async def test_what_is_not_found_is_asked_for_again_after_a_day_and_a_week_and_then_no_more(tmp_path: Path) -> None:
    clock = Later()
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {**quoting(reply(60, "3ALOST")), "getMessage": NOT_FOUND}
        seen = []
        for days in (0, 0, 0.5, 0.6, 3, 3.9, 0.2, 5, 30):
            clock.ahead += days * DAY
            await recent(d, clock)
            seen.append(len(asked_ids(d)))
        assert seen == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert d.rows(REPAIRS) == [("3ALOST", 3, "not_found")]


async def test_the_newest_are_asked_for_first_and_twenty_at_most(tmp_path: Path) -> None:
    replies = [reply(100 + number, f"3ALOST{number:02d}", chat=person(2 + number % 2)) for number in range(25)]
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {**quoting(*replies), "getMessage": NOT_FOUND}
        await recent(d)
        assert sorted(asked_ids(d)) == [f"3ALOST{number:02d}" for number in range(5, 25)]
        await recent(d)
        assert sorted(asked_ids(d)[20:]) == [f"3ALOST{number:02d}" for number in range(5)]


@pytest.mark.parametrize("status", [403, 466])
async def test_a_plan_without_getmessage_ends_repairing_with_a_note(tmp_path: Path, status: int) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {**quoting(*[reply(60 + n, f"3ALOST{n}") for n in range(9)]), "getMessage": (status, "")}
        outcome = await recent(d)
        assert outcome.state == "complete"
        assert any("getMessage" in note for note in outcome.notes)
        assert d.rows(REPAIRS) == []


async def test_an_expired_instance_stops_the_run_after_the_journals_were_stored(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        gone = (400, '{"message":"Instance account is expired"}')
        d.gateway.faults = {**quoting(reply(60, "3ALOST")), "getMessage": gone}
        with pytest.raises(InstanceGone):
            await recent(d)
        assert d.rows("SELECT count(*) FROM messages WHERE content = 'reply 60'") == [(1,)]


@pytest.mark.parametrize("body", ["{}", '{"type":"outgoing","typeMessage":""}', "no json"])
async def test_an_empty_shell_is_no_message(tmp_path: Path, body: str) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {**quoting(reply(60, "3ALOST")), "getMessage": (200, body)}
        assert (await recent(d)).state == "complete"
        assert d.rows(REPAIRS) == [("3ALOST", 1, "failed")]


async def test_a_network_that_fails_costs_no_attempt(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {**quoting(reply(60, "3ALOST")), "getMessage": (502, "")}
        assert (await recent(d)).state == "complete"
        assert d.rows(REPAIRS) == []


# What counts as missing


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenWriter]:
    with OpenWriter(tmp_path / "a.db") as writer:
        yield writer


def missing(store: Store, *, limit: int = 10, now: int = 1_790_000_000) -> list[str]:
    return [message for _, message in store.gaps.missing(limit, now)]


def test_edits_deletions_and_reactions_of_unknown_messages_are_gaps_that_close_by_themselves(store: OpenWriter) -> None:
    reaction = incoming(3, "", typeMessage="reactionMessage", extendedTextMessageData={"text": "+"},
                        quotedMessage={"stanzaId": incoming(9, "")["idMessage"]})  # fmt: skip
    deletion = incoming(4, "", typeMessage="deletedMessage", deletedMessageId=incoming(8, "")["idMessage"])
    store.ingest.receive(history([incoming(1, "there"), reaction, deletion]))
    assert set(missing(store.store)) == {incoming(8, "")["idMessage"], incoming(9, "")["idMessage"]}
    store.ingest.receive(history([incoming(8, "eight"), incoming(9, "nine")]))
    assert missing(store.store) == []


def test_a_clock_that_went_back_does_not_put_an_attempt_off_for_ever(store: OpenWriter) -> None:
    store.ingest.receive(answer("lastIncomingMessages", [reply(1, "3ALOST")]))
    store.store.note_repair(person(2), "3ALOST", "not_found", 1_990_000_000)
    assert missing(store.store) == ["3ALOST"]


def test_chats_that_are_no_persons_or_groups_are_not_asked(store: OpenWriter) -> None:
    store.ingest.receive(answer("lastIncomingMessages", [reply(1, "3ALOST", chat="status@broadcast")]))
    store.ingest.receive(answer("lastIncomingMessages", [reply(2, "3ALOST", chat=group(1))]))
    assert store.store.gaps.missing(10, 1_790_000_000) == [(group(1), "3ALOST")]
