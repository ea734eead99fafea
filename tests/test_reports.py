from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_archive import NOW, ZONE, SmallArchive, at

from whatsapp_mcp.reports.alert import Alarm, State, alert, is_told, settle
from whatsapp_mcp.reports.daily import Calls, ChatCount, Daily, JobRun, Media, Trouble, TypeCount, daily
from whatsapp_mcp.reports.gathering import gather_daily
from whatsapp_mcp.reports.page import Report, Row, Section, lasted, report, size
from whatsapp_mcp.reports.weekly import Size, Step, Weekly, weekly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUIET = Daily(
    since=at("2025-09-19 20:00"), until=at("2025-09-20 08:00"), zone=ZONE, messages_new=0, messages_old=0, chats_new=0,
    by_chat=(), by_type=(), media=Media(), gaps=(), troubles=(), runs=(), messages=62_673, chats=398,
    database_bytes=14_700_000, media_bytes=0,
)  # fmt: skip
BUSY = replace(
    QUIET,
    messages_new=132,
    messages_old=20,
    chats_new=14,
    by_chat=(ChatCount("Book club", 40), ChatCount("משפחה 2025", 12)),
    by_type=(TypeCount("text", 120), TypeCount("group_invite", 12)),
    media=Media(new=9, stored=7, waiting=2),
    gaps=("Incomplete: of 398 chats 2 not fetched yet; messages may be missing.",),
    runs=(
        JobRun("recent", "complete", at("2025-09-20 08:00"), 41.2, 132),
        JobRun("recent", "failed", at("2025-09-19 20:00"), 3.0),
    ),
    next_run=at("2025-09-20 20:00"),
    calls=(Calls("getChatHistory", 398, 1, 120.4, 1310.0),),
)
NO_NETWORK = Trouble("Green API cannot be reached.", "Check the network.")


class Shown(HTMLParser):
    """What a mail program would fetch or run, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.foreign += [tag] * (tag in {"img", "a", "script", "link", "iframe", "form", "object", "style"})
        self.foreign += [name for name, value in attrs if name in {"src", "href", "background"} or "url(" in (value or "")]
        self.foreign += [name for name, _ in attrs if name.startswith("on")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sound(written: Report) -> Report:
    shown = Shown(written.html)
    assert not shown.foreign
    assert not shown.open
    assert "\n" not in written.subject
    assert not re.search("[\u202a-\u202e\u200b\x00-\x08]", written.text + written.html)
    return written


def test_the_daily_report_tells_what_came_from_whom_and_what_is_next() -> None:
    written = sound(daily(BUSY))
    assert written.subject == "WhatsApp archive: 132 new messages in 14 chats"
    assert "132 new messages in 14 chats since Fri 2025-09-19 20:00. 20 of them are older" in written.text
    for said in (
        "\u2068Book club\u2069: 40", "\u2068משפחה 2025\u2069: 12", "12 others: 80", "group invite: 12", "waiting: 2",
        "2 not fetched yet",
        "recent, Sat 2025-09-20 08:00: 41 s, 132 new", "recent, Fri 2025-09-19 20:00: failed, 3 s", "database: 14.7 MB",
        "next run: Sat 2025-09-20 20:00", "getChatHistory: 398 requests, 1 error, median 120 ms, 95 % within 1,310 ms",
    ):  # fmt: skip
        assert said in written.text


def test_a_day_without_anything_says_so_in_few_lines() -> None:
    written = sound(daily(QUIET))
    assert written.subject == "WhatsApp archive: 0 new messages in 0 chats"
    assert "WHAT FAILED" not in written.text
    assert len(written.text.splitlines()) < 12


def test_what_failed_stands_first_and_in_the_subject() -> None:
    written = sound(daily(replace(BUSY, troubles=(NO_NETWORK, Trouble("Not fetched.", chat="Ann")))))
    assert written.subject.endswith("in 14 chats, 2 problems")
    assert written.text.index("Green API cannot be reached. Check the network.") < written.text.index("MOST ACTIVE CHATS")
    assert "\u2068Ann\u2069: Not fetched." in written.text


def test_a_hundred_failures_are_ten_and_a_number() -> None:
    written = sound(daily(replace(BUSY, troubles=(NO_NETWORK,) * 100)))
    assert written.text.count("cannot be reached") == 10
    assert "And 90 more problems" in written.text


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "Ann\r\nBcc: b@example.com", "\u202egnp.exe\u202c",
        "\u2069\u2066x",
        "a\u2028b\x00\x1b[31m", "</td></tr></table>", "&amp;", "x" * 5000, "\ud83d",
    ],
)  # fmt: skip
def test_a_name_can_neither_break_the_page_nor_leave_its_line(name: str) -> None:
    written = sound(daily(replace(BUSY, by_chat=(ChatCount(name, 1),), troubles=(Trouble("Failed.", chat=name),))))
    lines = [line for line in written.text.splitlines() if "\u2068" in line]
    assert len(lines) == 2
    assert all(line.count("\u2068") == line.count("\u2069") == 1 and len(line) < 90 for line in lines)
    assert "Bcc" not in [line.partition(":")[0] for line in written.text.splitlines()]


@given(st.text(), st.text(), st.text())
def test_whatever_the_words_are_the_page_stays_whole(label: str, value: str, subject: str) -> None:
    written = sound(
        report(subject, value, [Section(label, (value,), (Row(label, value, is_name=True), Row(label, value)))], label)
    )
    written.text.encode()
    written.html.encode()


def test_the_weekly_report_tells_each_step_the_size_and_the_growth() -> None:
    sizes = tuple(
        Size(at(f"2025-09-{day:02} 02:00"), 10_000_000 + day * 100_000, 1_000_000 * day, 1000 * day, 9) for day in (7, 14, 21)
    )
    steps = (Step("integrity", "sound", 1.4), Step("free space", "nothing to gain", 0.1))
    written = sound(weekly(Weekly(at("2025-09-21 02:00"), ZONE, steps, sizes)))
    assert written.subject == "WhatsApp archive: weekly maintenance, all is well"
    for said in ("integrity: sound (1 s)", "database: 12.1 MB", "until Sun 2025-09-21 02:00: +7,000 messages, +7.7 MB"):
        assert said in written.text


def test_a_step_that_went_badly_stands_first_and_in_the_subject() -> None:
    steps = (Step("integrity", "sound", 1.0), Step("index", "damaged: run `whatsapp-mcp rebuild`", 1.0, is_good=False))
    written = sound(weekly(Weekly(at("2025-09-21 02:00"), ZONE, steps, ())))
    assert written.subject == "WhatsApp archive: weekly maintenance, 1 problem"
    assert written.text.index("damaged") < written.text.index("integrity")


def test_a_continuing_failure_is_told_once_and_its_end_once() -> None:
    state: State = {}
    told: list[Alarm] = []
    for now, trouble in ((10, NO_NETWORK), (20, NO_NETWORK), (30, NO_NETWORK), (40, None), (50, None)):
        state, alarms = settle(json.loads(json.dumps(state)), {"recent": trouble}, now)
        told += alarms
    assert told == [
        Alarm("recent", "failing", 10, 1, 10, NO_NETWORK.what, NO_NETWORK.advice),
        Alarm("recent", "well", 10, 3, 40, NO_NETWORK.what),
    ]
    assert state == {}


def test_with_patience_a_single_failure_is_told_to_nobody() -> None:
    state, alarms = settle({}, {"recent": NO_NETWORK}, 10, patience=2)
    assert settle(state, {"recent": None}, 20, patience=2) == ({}, ())
    _, alarms = settle(state, {"recent": NO_NETWORK}, 20, patience=2)
    assert [(alarm.since, alarm.count) for alarm in alarms] == [(10, 2)]


def test_what_was_not_looked_at_stays_as_it_is() -> None:
    state, _ = settle({}, {"recent": NO_NETWORK, "disk": NO_NETWORK}, 10)
    after, alarms = settle(state, {"disk": None}, 20)
    assert list(after) == ["recent"]
    assert [alarm.key for alarm in alarms] == ["disk"]


def test_another_reason_for_the_same_failure_is_not_told_again() -> None:
    state, _ = settle({}, {"recent": NO_NETWORK}, 10)
    state, alarms = settle(state, {"recent": Trouble("The disk is full.")}, 20)
    assert not alarms
    assert state["recent"]["what"] == "The disk is full."


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        [],
        {},
        {"since": "x", "last": 1, "count": 1, "told": True, "what": ""},
        {"since": 1},
        {"since": 10**30, "last": 1, "count": 1, "told": True, "what": ""},
        {"since": -1, "last": 1, "count": 1, "told": True, "what": ""},
    ],
)
def test_a_damaged_state_is_read_as_far_as_it_makes_sense(entry: object) -> None:
    good, _ = settle({}, {"disk": NO_NETWORK}, 10)
    state, alarms = settle({"recent": entry, **good}, {"recent": NO_NETWORK}, 20)  # type: ignore[dict-item]
    assert sorted(state) == ["disk", "recent"]
    assert [alarm.since for alarm in alarms] == [20]


def test_what_comes_and_goes_has_one_alarm_in_its_quiet_time_and_what_stays_gets_its_own_after_it() -> None:
    state: State = {}
    told: list[tuple[int, str]] = []
    for now, trouble in (
        (0, NO_NETWORK),
        (10, None),
        (20, NO_NETWORK),
        (30, None),
        (40, NO_NETWORK),
        (90, NO_NETWORK),
        (105, NO_NETWORK),
        (110, None),
    ):
        state, alarms = settle(json.loads(json.dumps(state)), {"recent": trouble}, now, quiet=100)
        told += [(alarm.now, alarm.kind) for alarm in alarms]
        assert is_told(state.get("recent")) == (trouble is not None)
    assert told == [(0, "failing"), (10, "well"), (105, "failing"), (110, "well")]
    state, _ = settle(state, {}, 300, quiet=100)
    assert state == {}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=40), st.integers(1, 4))
def test_alarms_and_all_clears_take_turns(history: list[tuple[str, bool]], patience: int) -> None:
    state: State = {}
    told = {"a": ["well"], "b": ["well"]}
    for now, (key, is_well) in enumerate(history):
        state, alarms = settle(state, {key: None if is_well else NO_NETWORK}, now, patience=patience)
        for alarm in alarms:
            assert told[alarm.key][-1] != alarm.kind
            told[alarm.key].append(alarm.kind)


def test_an_alarm_says_what_happened_and_what_to_do_and_an_all_clear_how_long_it_took() -> None:
    failing = sound(
        alert(Alarm("recent", "failing", at("2025-09-19 20:00"), 2, NOW_S, NO_NETWORK.what, NO_NETWORK.advice), ZONE)
    )
    assert failing.subject == "WhatsApp archive: recent fails"
    assert "fails since Fri 2025-09-19 20:00" in failing.text
    assert "Check the network." in failing.text
    well = sound(alert(Alarm("recent", "well", at("2025-09-19 20:00"), 5, NOW_S, NO_NETWORK.what), ZONE))
    assert well.subject == "WhatsApp archive: recent works again"
    assert "duration: 16 h 0 min" in well.text
    assert "failed: 5 times" in well.text


NOW_S = int(NOW.timestamp())


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    archive = SmallArchive(tmp_path)
    archive.owner()
    ann = archive.contact("15550100001", "Ann")
    chat = archive.private(ann)
    club = archive.group("Book club", [ann])
    archive.message(chat, ann, "2025-08-01 10:00", "sealed words")
    archive.message(chat, ann, "2025-09-20 09:00", "more sealed words")
    archive.message(club, ann, "2025-09-20 09:10", "sealed words", message_type="image", media_filename="sealed.jpg")
    archive.message(club, None, "2025-09-20 09:20", "sealed words")
    yield archive
    archive.close()


def test_what_is_new_is_counted_by_chat_and_type(archive: SmallArchive) -> None:
    values, newest = gather_daily(archive.queries, at("2025-09-20 00:00"), zone=ZONE)
    assert (values.messages_new, values.messages_old, values.chats_new, newest) == (3, 0, 2, 4)
    assert values.by_chat == (ChatCount("Book club", 2), ChatCount("Ann", 1))
    assert values.by_type == (TypeCount("text", 2), TypeCount("image", 1))
    assert values.media.new == 1


def test_the_next_report_goes_on_after_the_last_message_of_this_one_whenever_it_was_sent(archive: SmallArchive) -> None:
    _, newest = gather_daily(archive.queries, at("2025-09-20 00:00"), zone=ZONE)
    archive.message(1, 2, "2024-01-01 10:00", "fetched later")
    values, after = gather_daily(archive.queries, at("2025-09-20 08:00"), zone=ZONE, after_id=newest)
    assert (values.messages_new, values.messages_old, after) == (1, 1, newest + 1)
    assert gather_daily(archive.queries, NOW_S, zone=ZONE, after_id=after)[0].messages_new == 0


def test_an_id_that_this_archive_never_gave_out_is_not_believed(archive: SmallArchive) -> None:
    assert gather_daily(archive.queries, at("2025-09-20 00:00"), zone=ZONE, after_id=99)[0].messages_new == 3


def test_no_word_of_a_message_stands_in_a_report_and_names_only_if_wanted(archive: SmallArchive) -> None:
    archive.insert("runs", kind="recent", state="complete", started_at=NOW_S - 100, ended_at=NOW_S - 59, messages_new=3)
    archive.connection.execute(
        "UPDATE sync_status SET sync_progress = 'failed', last_error = 'x', error_count = 2 WHERE chat_id = 1"
    )
    for names in (True, False):
        values, _ = gather_daily(archive.queries, at("2025-09-20 00:00"), zone=ZONE, names=names)
        written = sound(daily(values))
        assert "sealed" not in written.text + written.html + written.subject
        assert ("Ann" in written.text, "Book club" in written.text) == (names, names)
        assert ("chat c1" in written.text) is not names
        assert "recent, Sat 2025-09-20 11:58: 41 s, 3 new" in written.text
        assert "failed (2)" not in written.text
        assert "(failed 2 times)" in written.text


def test_messages_that_something_refers_to_are_told_as_missing(archive: SmallArchive) -> None:
    archive.insert("receipts", chat_id=1, whatsapp_message_id="3EB0UNSEEN", delivery_status="read")
    archive.insert("deletions", chat_id=1, whatsapp_message_id="3EB0UNSEEN", deleted_at=NOW_S)
    values, _ = gather_daily(archive.queries, NOW_S, zone=ZONE)
    assert "Never seen, although something refers to it: 1 message." in values.gaps


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (412, "6 min 52 s"), (7500, "2 h 5 min")])
def test_durations_are_for_people(seconds: float, said: str) -> None:
    assert lasted(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 byte"), (14_700_000, "14.7 MB"), (-2_000, "-2.0 kB"), (3_100_000_000, "3.1 GB")]
)
def test_sizes_are_for_people(count: int, said: str) -> None:
    assert size(count) == said


def test_times_are_told_in_the_users_zone() -> None:
    assert "Thu 2025-09-18 23:00" in daily(replace(BUSY, next_run=1_758_250_800, zone=ZoneInfo("America/New_York"))).text
