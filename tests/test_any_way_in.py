"""The same life told by queue, webhook, journals, histories and single messages, in any order and any number: one archive.

Whole deliveries are interleaved at random, repeated, broken off by crashes in the middle of a transaction, and received under a
clock that jumps. What is told is the life of a small account that the simulated gateway lives through.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Faults
from whatsapp_mcp.demo.instance import Instance, Refusal
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.payload import Payload, cut_items
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

BY_ARRIVAL = {"messages": ("edited_at", "deleted_at", "media_seen_at")}
"""Columns that say when something was first heard of where nobody tells when it happened: they may differ by the clock."""

_JOURNALS = ("lastIncomingMessages", "lastOutgoingMessages", "lastIncomingCalls", "lastOutgoingCalls")


class Delivery(NamedTuple):
    """One answer or notification."""

    origin: str
    body: str
    context: tuple[tuple[str, str], ...] = ()

    def at(self, moment: int) -> Payload:
        items, damaged = cut_items(self.body)
        return Payload(self.origin, moment, items, dict(self.context), damaged=damaged)


class Life(NamedTuple):
    """Everything that could be told of an account's life, at every moment of it."""

    tickets: tuple[Delivery, ...]
    pushed: tuple[Delivery, ...]
    glimpses: tuple[Delivery, ...]
    """Journals, histories and single messages as they were in between."""
    final: tuple[Delivery, ...]
    """The histories and journals of calls as they are in the end."""
    truth: dict[str, tuple[Any, ...]]


def _lived() -> Iterator[tuple[Instance, Any]]:
    """An instance, after each thing that happens."""
    instance = Instance(make_account(size=SMALL), Faults(), "http://127.0.0.1:9", 7105000001)
    mike = instance.account.person("Mike").id
    group = next(group for group in instance.account.groups if not group.left)
    other = next(member for member in group.members if member != instance.account.owner.id)
    question = instance.deliver(instance.compose(mike, "shall we meet on Monday?", from_me=True))
    yield instance, question
    instance.report_status(question, "delivered")
    yield instance, None
    answer = instance.deliver(instance.compose(mike, "on Monday at ten"))
    yield instance, answer
    yield instance, instance.deliver(instance.compose_edit(answer, "on Monday at eleven"))
    yield instance, instance.deliver(instance.compose_edit(answer, "on Tuesday at eleven"))
    yield instance, instance.deliver(instance.compose_reaction(question, "👍"))
    yield instance, instance.deliver(instance.compose_reaction(question, ""))
    secret = instance.deliver(instance.compose(group.id, "the surprise is a boat", sender=other))
    yield instance, secret
    yield instance, instance.deliver(instance.compose_deletion(secret))
    yield instance, instance.deliver(instance.compose(group.id, "ברוכים הבאים", sender=other))
    instance.report_status(question, "read")
    yield instance, None


def _told(instance: Instance, method: str, **arguments: Any) -> Delivery:
    context = tuple((name, str(value)) for name, value in arguments.items())
    return Delivery(method, instance.answer(method, arguments).decode(), context)


def _glimpses(instance: Instance, chats: list[str], message: Any) -> Iterator[Delivery]:
    yield from (_told(instance, name, minutes=30) for name in _JOURNALS)
    yield from (_told(instance, "getChatHistory", chatId=chat, count=6) for chat in chats)
    if message is not None:
        try:
            yield _told(instance, "getMessage", chatId=message.chat, idMessage=message.id)
        except Refusal:  # an edit is no message of its own
            return


@cache
def life() -> Life:
    """The account's life; the last step also tells which messages there must be."""
    glimpses: list[Delivery] = []
    final: list[Delivery] = []
    truth: dict[str, tuple[Any, ...]] = {}
    tickets: list[Delivery] = []
    for instance, message in _lived():
        while instance.queue:
            ticket = json.loads(instance.answer("receiveNotification", {}))
            instance.answer("deleteNotification", {"receiptId": ticket["receiptId"]})
            tickets.append(Delivery("receiveNotification", json.dumps(ticket, ensure_ascii=False)))
        chats = [instance.account.person("Mike").id, next(group.id for group in instance.account.groups if not group.left)]
        glimpses += _glimpses(instance, chats, message)
        final = [
            *(_told(instance, "getChatHistory", chatId=chat, count=12) for chat in chats),
            *(_told(instance, name, minutes=30) for name in _JOURNALS[2:]),
        ]
        began = instance.account.now
        truth = {
            true.id: (true.chat, true.content, true.kind, true.edited) for true in instance.truth() if true.sent_at > began
        }
    pushed = [Delivery("webhook", json.dumps(json.loads(ticket.body)["body"], ensure_ascii=False)) for ticket in tickets]
    return Life(tuple(tickets), tuple(pushed), tuple(glimpses), tuple(final), truth)


class Crash(Exception):
    """The process is gone in the middle of a transaction."""


def archive_of(arrivals: list[tuple[int, Delivery]], random: random.Random | None = None) -> tuple[dict[str, Any], Any]:
    """The census of an archive that received all of these, and its messages; with `random` crashes come in between."""
    with Store(":memory:") as store:
        ingest = Ingest(store)
        for moment, delivery in arrivals:
            if random is not None and random.random() < 0.2:
                _crash_while_receiving(ingest, delivery.at(moment))
            ingest.receive(delivery.at(moment))
        assert verify(store) == []
        shown = store.connection.execute(
            "SELECT whatsapp_message_id, whatsapp_chat_id, content, message_type, edited_at IS NOT NULL FROM messages"
            " JOIN chats USING (chat_id)"
        ).fetchall()
        return _masked(store), {row[0]: (row[1], row[2], row[3], bool(row[4])) for row in shown}


def _crash_while_receiving(ingest: Ingest, payload: Payload) -> None:
    with suppress(Crash), ingest.store.transaction():
        ingest.receive(payload)
        raise Crash


def _masked(store: Store) -> dict[str, Any]:
    for table, columns in BY_ARRIVAL.items():
        for column in columns:
            store.connection.execute(f"UPDATE {table} SET {column} = 1 WHERE {column} IS NOT NULL")
    return census(store.connection)


TIMES = st.integers(1_700_000_000, 1_900_000_000)
"""When the receiving computer believes it is: before and after the account's own present."""


def _arrivals(pool: tuple[Delivery, ...], least: int = 0) -> st.SearchStrategy[list[tuple[int, Delivery]]]:
    return st.lists(st.tuples(TIMES, st.sampled_from(pool)), min_size=least, max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_deliveries_of_every_kind_in_any_order_and_number_make_one_archive(data: st.DataObject, random: random.Random) -> None:
    told = life()
    everything = (*told.tickets, *told.pushed, *told.glimpses, *told.final)
    arrivals = data.draw(_arrivals(everything, 1))
    shuffled = [*arrivals, *random.sample(arrivals, len(arrivals) // 2)]
    random.shuffle(shuffled)
    expected, found = archive_of(arrivals)[0], archive_of(shuffled, random)[0]
    assert {table: found[table] ^ expected[table] for table in expected if found[table] != expected[table]} == {}


WAYS = ("tickets", "pushed", "final")


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_whichever_way_tells_it_all_the_archive_ends_in_the_truth(way: str, data: st.DataObject, random: random.Random) -> None:
    """Each way alone is enough, and whatever else comes beside it, before, between or after, under any clock, does no harm."""
    told = life()
    whole: tuple[Delivery, ...] = getattr(told, way)
    beside = data.draw(_arrivals((*told.tickets, *told.pushed, *told.glimpses)))
    arrivals = [*((data.draw(TIMES), delivery) for delivery in whole), *beside]
    random.shuffle(arrivals)
    shown = archive_of(arrivals, random)[1]
    for message, (chat, content, kind, edited) in told.truth.items():
        assert message in shown, "a message is lost"
        assert (shown[message][0], shown[message][2]) == (chat, kind)
        # What was deleted keeps the text that was seen; where no text was ever seen there is none.
        assert shown[message][1] == content or (not content and shown[message][1] in {"", "the surprise is a boat"})
        assert not edited or shown[message][3]
