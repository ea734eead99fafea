"""Invariant 2: whatever the order, the batches and the repetitions, the same sightings make the same archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whatsapp_mcp.records import (
    ME,
    Alias,
    Call,
    Chat,
    Contact,
    Deletion,
    Edit,
    Group,
    Member,
    Members,
    Message,
    PollVote,
    Reaction,
    Receipt,
)  # fmt: skip
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    import random

    from whatsapp_mcp.records import Record

Sighting = tuple[int, "Record"]


def built(record: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Records with these fields drawn and the others at their defaults."""
    return st.fixed_dictionaries(fields).map(lambda drawn: record(**drawn))


PEOPLE = st.sampled_from(["15550100001@c.us", "15550100002@c.us", "900000000000002@lid", "900000000000003@lid"])
GROUPS = st.just("120363000000000001@g.us")
CHATS = PEOPLE | GROUPS
IDS = st.sampled_from(["A1", "A2", "A3"])
TIMES = st.integers(100, 104)
TEXTS = st.sampled_from(["", "", "dinner at seven", "dinner at eight", "ארוחה"])

SENDERS = {
    "A1": ("15550100001@c.us", "900000000000002@lid"),
    "A2": ("900000000000003@lid", "15550100002@c.us"),
    "A3": ("", "15550100002@c.us"),
}
"""A message has one sender, who may be named by a number here and by a privacy id there, or not at all."""

MESSAGES = built(
    Message,
    chat=CHATS, id=IDS, sent_at=TIMES, sender=st.sampled_from([0, 1]), from_me=st.just(False),
    kind=st.sampled_from(["text", "unknown", "image"]), content=TEXTS, quoted_id=st.just("") | IDS, forwarded=st.booleans(),
    delivery=st.sampled_from(["", "sent", "read"]), edited=st.booleans(), deleted=st.booleans(),
    media_url=st.sampled_from(["", "https://media.example/1", "https://media.example/2"]),
    media_filename=st.sampled_from(["", "plan.pdf"]),
).map(lambda message: message._replace(sender=SENDERS[message.id][message.sender]))  # fmt: skip
OUTGOING = built(Message, chat=CHATS, id=st.just("B1"), sent_at=TIMES, sender=st.just(ME), from_me=st.just(True), content=TEXTS)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    MESSAGES,
    MESSAGES,
    OUTGOING,
    built(Edit, chat=CHATS, target=IDS, content=TEXTS.filter(bool), edited_at=TIMES),
    built(Deletion, chat=CHATS, target=IDS, deleted_at=TIMES),
    built(Receipt, chat=CHATS, target=IDS, status=st.sampled_from(["sent", "read", "failed"]), received_at=TIMES),
    built(Reaction, chat=CHATS, target=IDS, sender=PEOPLE, emoji=st.sampled_from(["", "👍", "❤"]), reacted_at=TIMES),
    built(PollVote, chat=CHATS, target=IDS, option=st.just("Tuesday"), voters=st.tuples(PEOPLE), voted_at=TIMES),
    built(Call, chat=CHATS, id=IDS, is_video=st.none() | st.booleans(), status=st.sampled_from(["", "missed"])),
    built(
        Contact, id=PEOPLE, seen_at=TIMES, phonebook_name=st.sampled_from(["", "Dana"]),
        profile_name=st.sampled_from(["", "D"]),
    ),
    built(Chat, id=CHATS, seen_at=TIMES, name=st.sampled_from(["", "Dana", "Club"]), archived=st.none() | st.booleans()),
    built(Group, id=GROUPS, seen_at=TIMES, name=st.sampled_from(["", "Club"]), owner=st.just("") | PEOPLE),
    built(
        Members, group=GROUPS, seen_at=TIMES,
        members=st.lists(built(Member, id=PEOPLE, role=st.sampled_from(["member", "admin"])), max_size=2).map(tuple),
    ),
    st.sampled_from([
        Alias("900000000000002@lid", "15550100001@c.us"),
        Alias("15550100002@c.us", "900000000000003@lid"),
        Alias(ME, "15550100003@c.us"),
    ]),
)  # fmt: skip
SIGHTINGS: st.SearchStrategy[list[Sighting]] = st.lists(st.tuples(st.integers(200, 202), RECORDS), min_size=1, max_size=14)


def archive_of(sightings: list[Sighting], random: random.Random | None = None) -> dict[str, set[Any]]:
    """The census of an archive that saw all of these, one by one or in random order, batches and repetitions."""
    with Store(":memory:") as store:
        if random is None:
            for received_at, record in sightings:
                store.apply([record], received_at)
        else:
            for received_at, records in _batches(sightings, random):
                store.apply(records, received_at)
        assert verify(store) == []
        return census(store.connection)


def _batches(sightings: list[Sighting], random: random.Random) -> list[tuple[int, list[Record]]]:
    shuffled = [*sightings, *random.sample(sightings, len(sightings) // 2)]
    random.shuffle(shuffled)
    batches: list[tuple[int, list[Record]]] = []
    for received_at, record in shuffled:
        fitting = [batch for batch in batches if batch[0] == received_at]
        if fitting and random.random() < 0.6:
            random.choice(fitting)[1].append(record)
        else:
            batches.append((received_at, [record]))
    return batches


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sightings=SIGHTINGS, random=st.randoms(use_true_random=False))
def test_the_same_sightings_in_any_order_make_the_same_archive(sightings: list[Sighting], random: random.Random) -> None:
    expected = archive_of(sightings)
    found = archive_of(sightings, random)
    assert {table: found[table] ^ expected[table] for table in expected if found[table] != expected[table]} == {}
