"""A month of an unattended archive in which everything goes wrong once, and the mails that tell of it."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from whatsapp_mcp.store import Store
from whatsapp_mcp.sync import full_sync
from whatsapp_mcp.verify import verify

if sys.platform == "win32":
    pytest.skip("the full disk of this test is of POSIX", allow_module_level=True)

from unattended_world import World, world

if TYPE_CHECKING:
    from pathlib import Path

HOURS = 6
TROUBLES = """
10-03 13:00 3 new messages in 3 chats
10-06 10:30 10 new messages in 9 chats
10-06 10:30 weekly maintenance, all is well
10-08 20:09 Green API fails
10-08 21:27 0 new messages in 0 chats, 1 problem
10-09 09:26 Green API works again
10-09 09:26 4 new messages in 4 chats
10-11 08:06 Green API fails
10-11 09:22 0 new messages in 0 chats, 1 problem
10-11 21:22 0 new messages in 0 chats, 1 problem
10-12 02:00 Green API works again
10-12 02:00 weekly maintenance, all is well
10-12 08:00 6 new messages in 6 chats
10-18 20:00 storage fails
10-18 21:21 0 new messages in 0 chats, 1 problem
10-19 08:00 backup fails
10-19 09:21 0 new messages in 0 chats, 2 problems
10-19 20:00 storage works again
10-19 20:00 6 new messages in 6 chats, 1 problem
10-19 20:00 backup works again
10-19 20:00 weekly maintenance, all is well
10-21 11:00 2 new messages in 2 chats
10-26 02:00 weekly maintenance, all is well
"""
"""Every mail but those of the days on which all went well: when it was written, and its subject."""
QUIET = {"10-01", "10-31"}
"""Days on which the month begins and ends in the middle of things."""


async def fill(w: World) -> None:
    archive = w.archive()
    with archive.writer() as writer:
        async with archive.gateway() as gateway:
            await full_sync(gateway, writer, w)


def rows(w: World, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(w.home / "whatsapp_chats.db")) as connection:
        return connection.execute(sql).fetchall()


def chatter(w: World, days: int) -> None:
    """Something is said every six hours: what the journals tell, and now and then what only a history tells."""
    for number in range(days * 24 // HOURS - 2):
        at = w.began + 3_600 + number * HOURS * 3_600
        w.script.append((at, lambda number=number: w.say(number)))  # type: ignore[misc]


def due_times(w: World, days: int) -> list[tuple[str, float]]:
    """When which job is due, told by nothing of the program."""
    first = datetime.fromtimestamp(w.began, w.zone).replace(hour=0, minute=0)
    found = []
    for day in (first + timedelta(days=count) for count in range(days)):
        found += [("recent", day.replace(hour=8)), ("recent", day.replace(hour=20))]
        found += [("sweep", day.replace(hour=8)), ("backup", day.replace(hour=8))]
        if day.weekday() == 6:
            found.append(("maintenance", day.replace(hour=2)))
    return [(kind, when.timestamp()) for kind, when in found]


def answered(w: World, kind: str) -> list[float]:
    if kind == "backup":
        manifests = [json.loads(path.read_text(encoding="utf-8")) for path in w.home.glob("backups/*/manifest.json")]
        return sorted(datetime.fromisoformat(one["made_at"]).timestamp() for one in manifests)
    found = rows(w, f"SELECT started_at FROM runs WHERE kind = '{kind}' AND state = 'complete' ORDER BY started_at")
    return [at for (at,) in found if at > w.began]


def each_is_answered_once(w: World, kind: str, days: int, end: float) -> None:
    """Between any two due times there is at most one run, and none that was due is left without a later one."""
    due = [at for name, at in due_times(w, days) if name == kind and at <= end]
    runs = answered(w, kind)
    answers = Counter(max((at for at in due if at <= run), default=0.0) for run in runs)
    assert set(answers.values()) == {1}, [w.local(at) for at, count in answers.items() if count > 1]
    assert 0.0 not in answers, "nothing runs before it is due"
    assert runs[-1] >= due[-1]


@pytest.mark.timeout(170)
async def test_a_month_of_troubles_is_told_as_it_was_and_nothing_is_lost(home: Path) -> None:
    with world(home, zone="Europe/Berlin", began="2025-10-01 06:00", BACKUP_KEEP_DAILY="40") as w:
        await fill(w)
        chatter(w, 31)
        w.at("10-13 11:00", lambda: w.say(7, journal=False))
        w.computer_sleeps("10-03 07:00", "10-03 13:00")
        w.computer_sleeps("10-04 01:00", "10-06 10:30")
        w.gateway_fails("10-08 19:30", "10-09 09:00")
        w.network_fails("10-11 07:30", "10-11 22:00")
        w.mail_fails("10-14 12:00", "10-16 12:00")
        w.disk_is_full("10-18 12:00", "10-19 12:00")
        w.kill("10-21 07:00", "lastIncomingMessages", restart="10-21 11:00")
        w.kill("10-23 07:00", "getChatHistory", restart="10-23 08:10")
        await w.live_until("10-31 21:00")

        for kind in ("recent", "sweep", "maintenance", "backup"):
            each_is_answered_once(w, kind, 31, w.instant("10-31 21:00"))
        is_the_truth(w)
        the_mails_tell_what_happened(w)
        the_mails_waited_for_their_server(w)
        interrupted = rows(w, "SELECT kind FROM runs WHERE state = 'interrupted' ORDER BY run_id")
        assert interrupted == [("recent",), ("sweep",)]


def is_the_truth(w: World) -> None:
    stored = rows(w, "SELECT whatsapp_chat_id, whatsapp_message_id FROM messages JOIN chats USING (chat_id)")
    assert Counter(stored) == Counter((one.chat, one.id) for one in w.gateway.truth())
    with Store(w.home / "whatsapp_chats.db") as store:
        assert list(verify(store, thorough=True)) == []


def the_mails_tell_what_happened(w: World) -> None:
    told = [(at, subject.removeprefix("WhatsApp archive: ")) for at, subject in w.mails()]
    troubles = [(line[:11], line[12:]) for line in TROUBLES.strip().splitlines()]
    assert [one for one in troubles if one not in told] == []
    others = [one for one in told if one not in troubles and one[0][:5] not in QUIET]
    assert {at[6:] for at, _ in others} == {"08:00", "20:00"}
    assert [one for one in others if one[1] != "2 new messages in 2 chats"] == [
        ("10-03 20:00", "1 new message in 1 chat"),
        ("10-14 20:00", "3 new messages in 3 chats"),  # the sweep of that morning found what the journals had kept back
    ]
    assert len(told) == len(set(told)), "nothing is told twice"
    counted = [int(subject.split()[0].replace(",", "")) for _, subject in told if "new message" in subject]
    assert sum(counted) == len(w.told), "each message is counted in one report, whatever happened meanwhile"
    for letter in w.mail.letters:
        body: Any = letter.get_body(("plain",))
        text = body.get_content()
        if letter["Subject"].endswith("fails"):
            assert "WHAT TO DO" in text


def the_mails_waited_for_their_server(w: World) -> None:
    """What was written while the mail server was away came with the first mail after it, in its order."""
    waited = [
        (written, arrived)
        for (written, _), arrived in zip(w.mails(), w.arrived, strict=True)
        if "10-14 12:00" < written < "10-16 12:00"
    ]
    assert [written for written, _ in waited] == ["10-14 20:00", "10-15 08:00", "10-15 20:00", "10-16 08:00"]
    assert {w.local(arrived) for _, arrived in waited} == {"10-16 20:00"}
    written = [at for at, _ in w.mails()]
    assert written == sorted(written)
    assert list(w.home.glob("outbox/*")) == []


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    ("zone", "began", "end", "night"),
    [
        ("Europe/Berlin", "2026-03-26 06:00", "04-02 21:00", "2026-03-29 03:00"),
        ("Asia/Jerusalem", "2026-10-20 06:00", "10-27 21:00", "2026-10-25 02:00"),
    ],
)
async def test_on_the_days_on_which_clocks_change_each_job_runs_once(
    home: Path, zone: str, began: str, end: str, night: str
) -> None:
    """In Berlin 02:00 does not exist on that Sunday of March."""
    with world(home, zone=zone, began=began) as w:
        await fill(w)
        await w.live_until(end)
        (maintained,) = answered(w, "maintenance")
        assert datetime.fromtimestamp(maintained, w.zone).strftime("%Y-%m-%d %H:%M") == night
        each_is_answered_once(w, "recent", 8, w.instant(end))
        each_is_answered_once(w, "sweep", 8, w.instant(end))
