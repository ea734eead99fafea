"""Who was in a group on any day: runs over its snapshots, in whatever order these arrive, and what follows from them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from fake_clock import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from small_archive import ZONE
from store_fixtures import answer

from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.records import Alias, Chat, Contact, Member, Members
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.records import Record

CLUB, DANA = "120363000000000001@g.us", "15550100001@c.us"
ANA, BEN, CAI, ANA_LID = "15550100002@c.us", "447700900123@c.us", "15550100004@c.us", "900000000000002@lid"
SAME = Alias(ANA_LID, ANA)
RANK = {"member": 1, "admin": 2, "owner": 3}
DAY = 86_400
APRIL_1 = 1_743_454_800
"""Midnight of 2025-04-01 in Jerusalem."""


def listed(seen_at: int, **members: str) -> Members:
    """A list of members; ana, ben, cai and lid are people, ``lid`` being Ana's privacy id."""
    people = {"ana": ANA, "ben": BEN, "cai": CAI, "lid": ANA_LID}
    return Members(CLUB, seen_at, tuple(Member(people[name], role) for name, role in members.items()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "whatsapp_chats.db") as opened:
        opened.apply([Chat(CLUB, 1, "Club"), Contact(ANA, 1, "Ana"), Contact(BEN, 1, "Ben"), Contact(CAI, 1, "Cai")], 1)
        yield opened
        assert verify(opened) == []


@pytest.fixture
def queries(store: Store, tmp_path: Path) -> Iterator[Queries]:
    asked = Queries(tmp_path / "whatsapp_chats.db", zone=ZONE, clock=FakeClock(APRIL_1 + 30 * DAY))
    yield asked
    asked.close()


def runs(store: Store) -> list[tuple[str, str, int, int]]:
    query = "SELECT name, role, from_at, until_at FROM group_member_history JOIN contacts USING (contact_id) ORDER BY 1, 3, 2"
    return store.connection.execute(query).fetchall()


def events(store: Store) -> list[tuple[int, str, str, str]]:
    query = "SELECT at, name, event, role FROM group_events JOIN contacts USING (contact_id) ORDER BY 1, 2"
    return store.connection.execute(query).fetchall()


def test_whoever_stays_has_one_run_however_many_lists_come(store: Store) -> None:
    for seen_at in range(10, 20):
        store.apply([listed(seen_at, ana="owner", ben="member")], seen_at)
    assert runs(store) == [("Ana", "owner", 10, 19), ("Ben", "member", 10, 19)]


def test_a_list_that_arrives_late_splits_the_run_of_whom_it_lacks_exactly_at_its_neighbours(store: Store) -> None:
    store.apply([listed(seen_at, ben="member") for seen_at in (10, 20, 30, 40)], 50)
    store.apply([listed(25)], 50)
    assert runs(store) == [("Ben", "member", 10, 20), ("Ben", "member", 30, 40)]
    store.apply([listed(25, ben="member")], 51)
    assert runs(store) == [("Ben", "member", 10, 40)]


def test_a_list_that_arrives_late_joins_nothing_over_a_list_without_the_person(store: Store) -> None:
    store.apply([listed(10, ben="member"), listed(20), listed(30, ben="member")], 50)
    store.apply([listed(15, ben="member"), listed(25)], 51)
    assert runs(store) == [("Ben", "member", 10, 15), ("Ben", "member", 30, 30)]


def test_who_was_in_the_first_list_did_not_join_then_and_who_comes_later_did(store: Store) -> None:
    store.apply([listed(10, ana="owner"), listed(20, ana="owner", ben="member")], 50)
    assert events(store) == [(20, "Ben", "joined", "member")]


def test_leaving_is_noticed_at_the_next_list_and_coming_back_is_joining_again(store: Store) -> None:
    here, away = {"ana": "owner", "ben": "admin"}, {"ana": "owner"}
    store.apply([listed(at, **(away if at in (30, 40) else here)) for at in (10, 20, 30, 40, 50)], 60)
    assert events(store) == [(30, "Ben", "left", "admin"), (50, "Ben", "joined", "admin")]
    assert store.connection.execute("SELECT count(*) FROM group_members WHERE left_at IS NULL").fetchone() == (2,)


def test_a_role_that_rises_or_falls_is_a_promotion_or_a_demotion_and_no_leaving(store: Store) -> None:
    roles = ("member", "admin", "owner", "member")
    store.apply([listed(at, ben=role) for at, role in enumerate(roles)], 9)
    assert events(store) == [(1, "Ben", "promoted", "admin"), (2, "Ben", "promoted", "owner"), (3, "Ben", "demoted", "member")]


def test_in_two_lists_of_one_second_the_higher_role_counts(store: Store) -> None:
    store.apply([listed(10, ben="member"), listed(10, ben="admin"), listed(20, ben="admin")], 30)
    assert events(store) == []


def test_a_privacy_id_and_a_number_that_turn_out_to_be_one_were_never_two(store: Store) -> None:
    store.apply([listed(10, ana="member"), listed(20, lid="member"), listed(30, ana="member"), listed(40)], 50)
    assert len(runs(store)) == 3
    store.apply([SAME], 51)
    assert runs(store) == [("Ana", "member", 10, 30)]
    assert events(store) == [(40, "Ana", "left", "member")]


def test_the_members_on_a_day_are_those_of_the_last_list_before_its_end(store: Store, queries: Queries) -> None:
    store.apply([listed(APRIL_1 + 10 * DAY, ana="owner", ben="member"), listed(APRIL_1 + 20 * DAY, ana="owner")], 1)
    found = queries.members_at("Club", "2025-04-11")
    assert (found.seen_at, found.next_seen_at) == (APRIL_1 + 10 * DAY, APRIL_1 + 20 * DAY)
    assert [(member.contact.name, member.role) for member in found.members] == [("Ana", "owner"), ("Ben", "member")]
    assert [member.contact.name for member in queries.members_at("Club").members] == ["Ana"]
    assert queries.members_at(CLUB, APRIL_1 + 20 * DAY - 1).members == found.members


def test_before_the_first_list_the_members_are_said_to_be_unknown(store: Store, queries: Queries) -> None:
    store.apply([listed(APRIL_1 + 10 * DAY, ana="owner")], 1)
    found = queries.members_at("Club", "2025-04-09")
    assert (found.seen_at, found.next_seen_at, found.members) == (None, APRIL_1 + 10 * DAY, ())


def test_events_of_an_interval_say_between_which_lists_they_happened(store: Store, queries: Queries) -> None:
    times = [APRIL_1 + day * DAY for day in (1, 5, 9)]
    store.apply([listed(times[0], ana="owner"), listed(times[1], ana="owner", cai="member"), listed(times[2], cai="admin")], 1)
    found = queries.group_events("Club", after="2025-04-07")
    assert [(event.contact.name, event.event, event.role) for event in found] == [
        ("Ana", "left", "owner"),
        ("Cai", "promoted", "admin"),
    ]
    assert {(event.not_before, event.at) for event in found} == {(times[1], times[2])}
    assert [event.event for event in queries.group_events("Club", before="2025-04-06")] == ["joined"]


def test_a_person_has_no_members(store: Store, queries: Queries) -> None:
    store.apply([Chat(ANA, 1, "Ana")], 1)
    with pytest.raises(UsageError, match="is no group"):
        queries.members_at(ANA)


def test_a_rebuild_arrives_at_the_same_history(tmp_path: Path) -> None:
    with Store(tmp_path / "whatsapp_chats.db") as store:
        ingest = Ingest(store)
        for seen_at, people in ((10, [ANA, BEN]), (20, [ANA]), (30, [ANA]), (40, [ANA, CAI])):
            members = [{"id": person, "isAdmin": person == ANA, "isSuperAdmin": False} for person in people]
            body = {"groupId": CLUB, "owner": DANA, "subject": f"Club {seen_at // 30}", "participants": members}
            ingest.receive(answer("getGroupData", body, received_at=seen_at, groupId=CLUB))
        before = census(store.connection)
        assert len(before["group_member_history"]) == 3
        assert verify(store, thorough=True) == []
        rebuild(store)
        assert census(store.connection) == before


PEOPLE = st.sampled_from([ANA, BEN, CAI, ANA_LID])
LISTS = st.builds(
    Members,
    st.just(CLUB),
    st.integers(1, 7),
    st.lists(st.builds(Member, PEOPLE, st.sampled_from(["member", "admin", "owner"])), max_size=4).map(tuple),
)
Seen = dict[int, set[tuple[str, str]]]
"""What was seen: by time the people with their roles."""


def naive(records: list[Record]) -> Seen:
    """All lists, with Ana known by her number."""
    seen: Seen = {}
    one = {ANA_LID: ANA} if SAME in records else {}
    for record in records:
        if isinstance(record, Members):
            seen.setdefault(record.seen_at, set()).update((one.get(person, person), role) for person, role in record.members)
    return seen


def naive_events(seen: Seen) -> set[tuple[int, str, str, str]]:
    """What changes from one list to the next, told without any runs."""
    told: set[tuple[int, str, str, str]] = set()
    ranks = {
        at: {person: max(RANK[role] for one, role in here if one == person) for person, _ in here} for at, here in seen.items()
    }
    name = {rank: role for role, rank in RANK.items()}
    times = sorted(ranks)
    for before, at in pairwise(times):
        for person in ranks[before].keys() | ranks[at].keys():
            was, now = ranks[before].get(person, 0), ranks[at].get(person, 0)
            event = "joined" if not was else "left" if not now else "promoted" if now > was else "demoted"
            if was != now:
                told.add((at, person, event, name[now or was]))
    return told


@settings(max_examples=400, deadline=None)
@given(records=st.lists(LISTS | LISTS | LISTS | st.just(SAME), min_size=1, max_size=14), random=st.randoms())
def test_runs_and_events_say_exactly_what_all_the_lists_said(records: list[Record], random: random.Random) -> None:
    random.shuffle(records)
    with Store(":memory:") as store:
        for record in records:
            store.apply([record], 9)
        read = store.connection.execute
        query = "SELECT whatsapp_id, role, from_at, until_at FROM group_member_history JOIN contacts USING (contact_id)"
        found = read(query).fetchall()
        told = set(read("SELECT at, whatsapp_id, event, role FROM group_events JOIN contacts USING (contact_id)"))
        assert verify(store) == []
    seen = naive(records)
    times = sorted(seen)
    covered = [(at, person, role) for person, role, start, end in found for at in times if start <= at <= end]
    assert len(covered) == len(set(covered)), "two runs hold the same list"
    assert set(covered) == {(at, *pair) for at, here in seen.items() for pair in here}
    ends = {(person, role, times.index(end) + 1) for person, role, _, end in found}
    assert not ends & {(person, role, times.index(start)) for person, role, start, _ in found}, "two runs could be one"
    assert told == naive_events(seen)
