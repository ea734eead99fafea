"""The synthetic account: its counts, its languages, its conversations, its privacy ids."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from whatsapp_mcp.demo.account import FULL, SMALL, Account, Size, make_account
from whatsapp_mcp.demo.timeline import share_out

if TYPE_CHECKING:
    from whatsapp_mcp.demo.entry import Entry, TrueMessage

DAY = 86_400
JULY_ENDS = int(datetime(2025, 8, 1, tzinfo=UTC).timestamp())
AUGUST_ENDS = int(datetime(2025, 9, 1, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account()


@pytest.fixture(scope="module")
def truth(account: Account) -> list[TrueMessage]:
    return account.truth()


def months(truth: list[TrueMessage], zone: str) -> Counter[str]:
    return Counter(f"{datetime.fromtimestamp(message.sent_at, ZoneInfo(zone)):%Y-%m}" for message in truth)


def every_entry(account: Account) -> list[Entry]:
    return [entry for entries in account.history.values() for entry in entries]


def test_the_account_has_the_size_that_the_project_is_measured_with(account: Account, truth: list[TrueMessage]) -> None:
    assert Size() == FULL == (292, 106, 62_673, 13_273)
    assert len(truth) == 62_673
    assert len(account.chat_ids) == 398
    assert sum(chat.endswith("@g.us") for chat in account.chat_ids) == 106
    assert len(account.people) == 292
    assert len(account.contacts) == 293
    assert len({person.id for person in account.contacts}) == 293


@pytest.mark.parametrize("zone", ["UTC", "Asia/Jerusalem", "Europe/London", "Pacific/Kiritimati", "Pacific/Niue"])
def test_august_2025_has_its_messages_in_every_time_zone(truth: list[TrueMessage], zone: str) -> None:
    assert months(truth, zone)["2025-08"] == 13_273


def test_nothing_happens_within_a_day_of_the_borders_of_august(account: Account) -> None:
    for entry in every_entry(account):
        for border in (JULY_ENDS, AUGUST_ENDS):
            assert abs(entry.sent_at - border) >= DAY, entry
            assert abs((entry.action_at or entry.sent_at) - border) >= DAY, entry


def test_the_messages_run_from_2017_to_the_end_of_september_2025(account: Account, truth: list[TrueMessage]) -> None:
    assert datetime.fromtimestamp(min(message.sent_at for message in truth), UTC).year == 2017
    assert account.now == int(datetime(2025, 9, 30, 20, tzinfo=UTC).timestamp())
    assert account.now - DAY / 2 < max(message.sent_at for message in truth) < account.now
    years = Counter(month[:4] for month in months(truth, "UTC").elements())
    assert set(years) == {str(year) for year in range(2017, 2026)}


def test_the_same_seed_makes_the_same_account_and_another_seed_another() -> None:
    first = make_account(7, size=SMALL)
    again = make_account.__wrapped__(7, size=SMALL)
    other = make_account(8, size=SMALL)
    assert first.truth() == again.truth()
    assert dict(first.history) == dict(again.history)
    assert first.truth() != other.truth()
    assert len(first.truth()) == len(other.truth()) == SMALL.messages == 1250
    assert months(first.truth(), "UTC")["2025-08"] == months(other.truth(), "UTC")["2025-08"] == SMALL.august


def test_an_id_is_unique_within_its_chat_but_once_not_in_the_account(account: Account) -> None:
    entries = every_entry(account)
    assert len({(entry.chat, entry.id) for entry in entries}) == len(entries)
    twice = [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]
    assert len(twice) == 1


def test_ids_and_texts_are_as_long_as_in_life(truth: list[TrueMessage]) -> None:
    texts = [message.content for message in truth if message.kind == "text" and message.content]
    assert 20 <= sum(len(message.id) for message in truth) / len(truth) <= 32
    assert 30 <= sum(map(len, texts)) / len(texts) <= 50
    assert len(set(texts)) > 0.6 * len(texts)


def test_every_chat_is_ascending_and_the_lengths_are_skewed(account: Account) -> None:
    for entries in account.history.values():
        times = [entry.sent_at for entry in entries]
        assert times == sorted(times)
    lengths = sorted(len(entries) for entries in account.history.values())
    assert lengths[0] < 10
    assert lengths[len(lengths) // 2] < 100
    assert sum(lengths[-20:]) > sum(lengths) / 3


def test_night_is_quiet(truth: list[TrueMessage]) -> None:
    hours = Counter(datetime.fromtimestamp(message.sent_at, ZoneInfo("Asia/Jerusalem")).hour for message in truth)
    assert hours[4] < hours[19] / 10


def test_five_languages_have_hundreds_of_words_each(truth: list[TrueMessage]) -> None:
    alphabets: dict[str, Counter[str]] = {name: Counter() for name in ("HEBREW", "LATIN", "CYRILLIC", "ARABIC")}
    spanish = 0
    for message in truth:
        spanish += "¿" in message.content
        for word in re.findall(r"[^\W\d_]+", message.content):
            name = unicodedata.name(word[0], "").partition(" ")[0]
            if name in alphabets:
                alphabets[name][word.lower()] += 1
    assert all(len(words) > 300 for words in alphabets.values()), {name: len(words) for name, words in alphabets.items()}
    assert alphabets["HEBREW"].total() > alphabets["CYRILLIC"].total() > 10_000
    assert alphabets["ARABIC"].total() > 5_000
    assert spanish > 500
    counts = [count for _, count in alphabets["HEBREW"].most_common()]
    assert counts[0] > 50 * counts[len(counts) // 2]


def test_all_kinds_of_messages_occur_and_media_are_an_eighth(truth: list[TrueMessage]) -> None:
    kinds = Counter(message.kind for message in truth)
    expected = (
        "text image video audio voice document sticker location contact poll call group_invite buttons list template unknown"
    )
    assert set(kinds) == set(expected.split())
    media = sum(kinds[kind] for kind in ("image", "video", "audio", "voice", "document", "sticker"))
    assert 0.10 < media / len(truth) < 0.14


def test_extra_records_are_beside_the_messages_and_name_them(account: Account) -> None:
    entries = every_entry(account)
    extras = Counter(entry.type_message for entry in entries if not entry.kind)
    assert set(extras) == {"reactionMessage", "editedMessage", "deletedMessage", "pollUpdateMessage"}
    messages = {(entry.chat, entry.id): entry for entry in entries if entry.kind}
    for entry in entries:
        if entry.target:
            target = messages[entry.chat, entry.target]
            assert target.sent_at < entry.sent_at
            assert target.edited if entry.type_message == "editedMessage" else target.deleted


def test_a_quoted_message_is_an_earlier_one_of_the_same_chat(account: Account) -> None:
    replies = 0
    for entries in account.history.values():
        when = {entry.id: entry.sent_at for entry in entries if entry.kind}
        for entry in entries:
            if entry.quoted_id:
                replies += 1
                assert when[entry.quoted_id] < entry.sent_at
    assert replies > 2000


def test_numbers_are_invented_and_some_people_have_none(account: Account) -> None:
    hidden = [person for person in account.people if person.hidden]
    moved = [person for person in account.people if person.moved]
    assert len(hidden) >= 5
    assert len(moved) >= 5
    assert not {person.id for person in hidden} & {person.id for person in moved}
    for person in account.contacts:
        assert re.fullmatch(r"9\d{14}@lid", person.lid)
        assert re.fullmatch(r"1555010\d{4}@c\.us|9\d{14}@lid", person.id)


def test_privacy_ids_leak_only_where_something_can_resolve_them(account: Account) -> None:
    leaks = [entry for entry in every_entry(account) if entry.by_lid]
    assert len(leaks) > 100
    groups = {group.id: group for group in account.groups}
    moved = {person.id for person in account.people if person.moved}
    for entry in leaks:
        known = entry.sender in groups[entry.chat].members if entry.chat in groups else entry.chat in moved
        assert known, entry


@pytest.mark.parametrize("size", [FULL, SMALL], ids=["full", "small"])
def test_the_written_conversations_stand_undisturbed(size: Size) -> None:
    account = make_account(size=size)
    assert len(account.thread("table")) == 15
    assert account.thread("table")[13].content == "So: oak table 180 x 90, 2,450 USD, delivered on Thursday 28 August at 9"
    assert {message.chat for message in account.thread("table")} == {account.person("Mike").id}
    assert {message.chat for message in account.thread("trip")} == {account.group("המשפחה").id}
    assert any("חשבונית" in message.content for message in account.thread("invoice"))
    lengths = {"trip": 10, "invoice": 5, "dacha": 6, "engagement": 5, "flight": 5, "moving": 3, "dinner": 6}
    assert {key: len(account.thread(key)) for key in lengths} == lengths
    assert [message.kind for message in account.thread("dinner")][-2:] == ["call", "call"]


def test_only_one_person_is_called_mike(account: Account) -> None:
    assert [person.name for person in account.contacts if "mike" in f"{person.name} {person.profile_name}".lower()] == [
        "Mike Turner"
    ]


@pytest.mark.parametrize(("total", "weights", "least"), [(10, [1, 1, 1], 0), (7, [5, 0, 1], 1), (1000, [0.1] * 7, 3)])
def test_sharing_out_loses_nothing(total: int, weights: list[float], least: int) -> None:
    shares = share_out(total, weights, least=least)
    assert sum(shares) == total
    assert min(shares) >= least
