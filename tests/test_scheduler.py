"""The scheduler with a real archive, gateway and mail server: what it remembers, what it waits for, what it tells."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from whatsapp_mcp.app import hold_lock, hold_scheduler_lock
from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.demo.faults import ANY, Fault
from whatsapp_mcp.errors import WriterRunning
from whatsapp_mcp.reports.outbox import Delivery
from whatsapp_mcp.scheduler.agenda import BUSY
from whatsapp_mcp.scheduler.memory import ASIDE, FILE, Entry, Memory
from whatsapp_mcp.scheduler.running import Scheduler
from whatsapp_mcp.store import Store
from whatsapp_mcp.sync import full_sync

if sys.platform == "win32":
    pytest.skip("the world of these tests is of POSIX", allow_module_level=True)

from unattended_world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

NOW = 1_790_000_000


@pytest.fixture
async def w(home: Path) -> AsyncIterator[World]:
    with world(home, zone="Europe/Berlin", began="2026-03-02 06:00") as made:
        yield made


async def fill(w: World) -> None:
    archive = w.archive()
    with archive.writer() as writer:
        async with archive.gateway() as gateway:
            await full_sync(gateway, writer, w)


def subjects(w: World) -> list[str]:
    return [subject.removeprefix("WhatsApp archive: ") for _, subject in w.mails()]


def remembered(w: World) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((w.home / FILE).read_text(encoding="utf-8"))
    return told


async def once(w: World, job: str) -> int:
    return (await Scheduler(w.archive()).once(job, anyio.Event())).exit_code


# What is remembered


def test_what_is_written_is_read_again_and_is_for_its_owner_only(tmp_path: Path) -> None:
    memory = Memory(tmp_path, NOW)
    memory.book.jobs["recent"] = Entry(NOW - 5, last_start=NOW, result="failed", failures=2, tries=2, next_try=NOW + 60)
    memory.book.alerts = {"recent": {"since": 1, "last": 2, "count": 2, "told": True, "what": "…"}}
    memory.book.reported.newest_id = 7
    memory.write()
    assert Memory(tmp_path, NOW + 9).book == memory.book
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "7", '{"version": 1}', '{"version": 2, "jobs": {}, "reported": {"at": 1}, "alerts": {}}',
        '{"version": 1, "jobs": {"recent": {"last_due": "8"}}, "reported": {"at": 1}, "alerts": {}}',
        '{"version": 1, "jobs": {"recent": {"last_due": 1e400}}, "reported": {"at": 1}, "alerts": {}}',
        '{"version": 1, "jobs": {"recent": {"last_due": null}}, "reported": {"at": 1}, "alerts": {}}',
        '{"version": 1, "jobs": {"recent": {"last_due": 1, "more": 2}}, "reported": {"at": 1}, "alerts": {}}',
        '{"version": 1, "jobs": {"recent": {"last_due": 1, "tries": -10}}, "reported": {"at": 1}, "alerts": {}}',
        '{"version": 1, "jobs": {}, "reported": {"at": -99999999999}, "alerts": {}}',
        '{"version": 1, "jobs": [], "reported": {"at": true}, "alerts": []}', "\udcff\udcfe", "[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_nobody_understands_is_kept_aside_and_begun_anew(tmp_path: Path, text: str) -> None:
    body = text.encode(errors="surrogateescape")
    (tmp_path / FILE).write_bytes(body)
    memory = Memory(tmp_path, NOW)
    assert memory.book.jobs == {}
    assert memory.book.reported.at == NOW
    assert (tmp_path / ASIDE).read_bytes() == body
    memory.write()
    assert Memory(tmp_path, NOW).book == memory.book


def test_bytes_of_a_path_that_are_no_text_can_be_remembered(tmp_path: Path) -> None:
    memory = Memory(tmp_path, NOW)
    memory.book.alerts = {"backup": {"since": 1, "last": 2, "count": 2, "told": True, "what": "/disk/caf\udce9 is full."}}
    memory.write()
    assert Memory(tmp_path, NOW).book == memory.book


def test_what_cannot_be_written_is_kept_and_written_later(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file where the folder belongs")
    memory = Memory(home / "deeper", NOW)
    memory.book.jobs["recent"] = Entry(NOW)
    memory.write()
    assert not memory.is_written
    memory.reread(NOW)
    assert "recent" in memory.book.jobs
    home.unlink()
    memory.write()
    assert Memory(home / "deeper", NOW).book.jobs == {"recent": Entry(NOW)}


# What runs


async def test_who_begins_in_the_morning_has_missed_nothing(w: World) -> None:
    await fill(w)
    await w.live_until("03-02 07:59")
    assert subjects(w) == []
    assert set(remembered(w)["jobs"]) == {"full", "recent", "sweep", "media", "backup", "maintenance"}


async def test_another_process_that_writes_is_waited_for(w: World) -> None:
    await fill(w)
    hold = ExitStack()
    w.at("03-02 07:30", lambda: hold.enter_context(hold_lock(w.home)))
    w.at("03-02 08:20", hold.close)
    await w.live_until("03-02 09:00")
    job = remembered(w)["jobs"]["recent"]
    assert (job["result"], job["failures"]) == ("complete", 0)
    assert 0 <= job["last_start"] - w.instant("03-02 08:20") <= BUSY
    assert subjects(w) == ["0 new messages in 0 chats"]


async def test_another_process_that_writes_for_hours_is_told_of_once(w: World) -> None:
    await fill(w)
    hold = ExitStack()
    w.at("03-02 07:30", lambda: hold.enter_context(hold_lock(w.home)))
    w.at("03-02 15:30", hold.close)
    await w.live_until("03-02 16:00")
    assert subjects(w) == ["storage fails", "storage works again", "0 new messages in 0 chats"]
    body: Any = w.mail.letters[0].get_body(("plain",))
    assert "A sync is already running" in body.get_content()


def listen(w: World, days: int) -> ExitStack:
    """A listener of another process that works for so long: it holds the lock and gives signs of life."""
    hold = ExitStack()
    with Store(w.home / "whatsapp_chats.db") as store:
        run = store.begin_run("listen", int(w.now()))
        store.update_run(run, int(w.now()) + days * 86_400)
    hold.enter_context(hold_lock(w.home))
    return hold


async def test_a_listener_that_never_ends_keeps_the_reports_coming_and_what_it_holds_up_is_told_once(w: World) -> None:
    await fill(w)
    with listen(w, 4):
        await w.live_until("03-05 21:00")
    told = subjects(w)
    assert told.count("storage fails") == 1
    assert "storage works again" not in told
    assert len([one for one in told if "new messages" in one]) == 8
    w.stop = anyio.Event()
    await w.live_until("03-05 22:00")
    assert subjects(w)[len(told) :] == ["storage works again"]


async def test_once_beside_a_listener_has_nothing_to_fetch_and_is_no_failure_to_be_told(w: World) -> None:
    await fill(w)
    with listen(w, 4):
        for morning in ("03-02 08:00", "03-03 08:00", "03-04 08:00"):
            w._skip_to(w.instant(morning))  # noqa: SLF001
            assert await once(w, "recent") == 4
    assert "recent fails" not in subjects(w)
    assert len([one for one in subjects(w) if "new messages" in one]) == 3
    assert len(list(w.home.glob("backups/*/manifest.json"))) == 2, "on the first morning nothing was due before"
    assert remembered(w)["jobs"]["recent"]["busy_since"] is None


async def test_an_instance_that_comes_and_goes_all_day_is_one_alarm_a_day(w: World) -> None:
    await fill(w)
    w.settings["SCHEDULE_RECENT"] = ",".join(f"{hour:02}:00" for hour in range(24))
    for hour in range(2 * 24):
        day, at = divmod(hour + 8, 24)
        if day < 2:
            w.at(f"03-0{2 + day} {at:02}:00", lambda: w.faults.every(ANY, Fault.BAD_GATEWAY))
            w.at(f"03-0{2 + day} {at:02}:20", w.faults.clear)
    await w.live_until("03-04 06:30")
    told = [one for one in subjects(w) if "Green API" in one]
    assert told == ["Green API fails", "Green API works again"] * 2


async def test_who_is_killed_while_a_mail_server_hangs_does_not_tell_the_same_again(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(w)
    w.say(1)
    seen: list[int | None] = []

    async def look(*_: object, **__: object) -> Delivery:  # what a process that is killed here leaves behind
        seen.append(Memory(w.home, w.now()).book.reported.newest_id)
        return Delivery()

    monkeypatch.setattr("whatsapp_mcp.scheduler.telling.deliver", look)
    assert await once(w, "recent") == 0
    assert seen == [remembered(w)["reported"]["newest_id"]]
    assert seen[0] is not None
    assert len(list(w.home.glob("outbox/*.eml"))) == 1


async def test_a_report_without_numbers_is_not_told_again_by_who_is_killed_while_a_mail_server_hangs(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(w)
    (w.home / "whatsapp_chats.db").write_bytes(b"no database" * 1_000)
    seen: list[tuple[int, int | None]] = []

    async def look(*_: object, **__: object) -> Delivery:  # what a process that is killed here leaves behind
        seen.append((len(list(w.home.glob("outbox/*.eml"))), Memory(w.home, w.now()).book.jobs["recent"].reported))
        return Delivery()

    monkeypatch.setattr("whatsapp_mcp.scheduler.telling.deliver", look)
    assert await once(w, "recent") == 1
    due = remembered(w)["jobs"]["recent"]["reported"]
    assert seen[:2] == [(1, None), (2, due)], "the alarm, then the report"


async def test_names_stay_out_of_reports_when_the_setting_cannot_be_understood(w: World) -> None:
    await fill(w)
    w.settings["REPORT_NAMES"] = "perhaps"
    assert await once(w, "report") == 0
    w.say(1)
    assert await once(w, "recent") == 0
    assert subjects(w)[-1] == "1 new message in 1 chat"
    body: Any = w.mail.letters[-1].get_body(("plain",))
    assert "chat c" in body.get_content()


async def test_the_weekly_report_tells_how_the_gateway_answered_and_how_the_archive_grew(w: World) -> None:
    await fill(w)
    for week in range(3):
        w._skip_to(w.instant("03-02 09:00") + week * 7 * 86_400)  # noqa: SLF001
        w.say(week)
        assert await once(w, "recent") == 0
        assert await once(w, "maintenance") == 0
    body: Any = w.mail.letters[-1].get_body(("plain",))
    text = body.get_content()
    assert "lastIncomingMessages: " in text
    assert "+1 messages" in text.partition("GROWTH")[2]


class Shifted(SystemClock):
    """Real time, put ahead."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


async def test_between_the_jobs_it_listens_and_pauses_for_each_of_them(w: World) -> None:
    await fill(w)
    w.settings["SCHEDULE_LISTEN"] = "yes"
    w.gateway.patience = 0.05
    clock, stop = Shifted(), anyio.Event()
    clock.ahead = w.instant("03-02 07:50") - clock.now()
    archive = replace(w.archive(), clock=clock)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Scheduler(archive, look=0.05).run, stop)
            w.gateway.now = int(clock.now()) + 5
            w.say(1)
            await until(lambda: not len(w.gateway.queue))
            clock.ahead += 3_600
            await until(lambda: len(w.mail.letters))
            w.say(2)
            await until(lambda: not len(w.gateway.queue))
            stop.set()
    with Store(w.home / "whatsapp_chats.db") as store:
        runs = store.connection.execute("SELECT kind, state FROM runs ORDER BY run_id").fetchall()
    assert {state for _, state in runs} == {"complete"}
    kinds = [kind for kind, _ in runs]
    assert kinds.index("listen") < kinds.index("sweep"), "it listened before eight"
    assert "listen" in kinds[kinds.index("sweep") :], "and after"
    assert subjects(w) == ["1 new message in 1 chat"]


async def until(happened: Callable[[], object]) -> None:
    while not happened():  # noqa: ASYNC110 - another thread makes it true
        await anyio.sleep(0.01)


async def test_a_full_sync_that_was_killed_is_resumed_before_all_else(w: World) -> None:
    await fill(w)
    with Store(w.home / "whatsapp_chats.db") as store:
        store.end_run(1, "interrupted", int(w.now()), None)
    await w.live_until("03-02 08:30")
    jobs = remembered(w)["jobs"]
    assert jobs["full"]["result"] == "complete"
    assert (
        jobs["full"]["last_end"] <= jobs["recent"]["last_start"] <= jobs["sweep"]["last_start"] <= jobs["backup"]["last_start"]
    )


async def test_a_database_that_is_no_database_is_told_of_and_does_not_stop_the_scheduler(w: World) -> None:
    await fill(w)
    (w.home / "whatsapp_chats.db").write_bytes(b"no database at all" * 1_000)
    await w.live_until("03-03 08:30")
    told = subjects(w)
    assert told[0] == "storage fails"
    assert told.count("storage fails") == told.count("backup fails") == 1
    assert [one for one in told if one.startswith("it cannot be read")]
    assert remembered(w)["jobs"]["recent"]["failures"] > 5


async def test_a_clock_that_was_months_ahead_keeps_no_job_from_running_when_it_is_put_right(w: World) -> None:
    await fill(w)
    w.at("03-02 09:00", lambda: setattr(w, "slept", w.slept + 100 * 86_400))
    await w.live_until("06-11 06:00")
    w.stop, w.slept = anyio.Event(), w.slept - 100 * 86_400
    count = len(subjects(w))
    await w.live_until("03-05 09:00")
    morning = w.instant("03-05 08:00")
    assert {remembered(w)["jobs"][name]["last_due"] for name in ("recent", "sweep", "backup")} == {morning}
    assert len(subjects(w)) > count


async def test_an_archive_that_was_never_synced_says_so_once_and_begins_when_it_was(w: World) -> None:
    w.script.append((w.instant("03-02 10:00"), lambda: None))
    await w.live_until("03-02 10:00")
    assert subjects(w)[0] == "recent fails"
    body: Any = w.mail.letters[0].get_body(("plain",))
    assert "whatsapp-mcp sync full" in body.get_content()
    assert not (w.home / "whatsapp_chats.db").exists()


async def test_a_stop_cuts_the_job_after_its_transaction_and_it_is_due_again(w: World) -> None:
    await fill(w)
    w.at("03-02 07:00", lambda: setattr(w.faults, "on_request", lambda _: w.stop_soon()))
    await w.live_until("03-02 09:00")
    assert remembered(w)["jobs"]["recent"]["result"] == "interrupted"
    assert subjects(w) == []
    w.stop, w.faults.on_request = anyio.Event(), lambda _: None
    await w.live_until("03-02 09:10")
    assert subjects(w) == ["0 new messages in 0 chats"]


# One job, for cron


async def test_once_runs_reports_and_does_what_else_is_due_that_day(w: World) -> None:
    await fill(w)
    assert await once(w, "recent") == 0
    assert subjects(w) == ["0 new messages in 0 chats"]
    assert not list(w.home.glob("backups/*")), "nothing was due before"
    w.say(1)
    w._skip_to(w.instant("03-02 08:00"))  # noqa: SLF001
    assert await once(w, "recent") == 0
    assert subjects(w)[1:] == ["1 new message in 1 chat"]
    assert len(list(w.home.glob("backups/*/manifest.json"))) == 1
    assert await once(w, "recent") == 0
    assert len(list(w.home.glob("backups/*/manifest.json"))) == 1, "once a day is enough"
    assert await once(w, "maintenance") == 0
    assert subjects(w)[-1] == "weekly maintenance, all is well"
    assert [await once(w, job) for job in ("sweep", "backup", "full", "report")] == [0, 0, 0, 0]


async def test_once_has_the_exit_codes_of_the_contract(w: World) -> None:
    assert await once(w, "recent") == 2, "nothing was synced yet"
    await fill(w)
    w.to_gateway.cut()
    assert await once(w, "recent") == 1
    assert await once(w, "recent") == 1
    assert subjects(w).count("Green API fails") == 1
    w.to_gateway.mend()
    with hold_lock(w.home):
        assert await once(w, "recent") == 4
        assert await once(w, "maintenance") == 4
    w._skip_to(w.instant("03-03 09:00"))  # noqa: SLF001
    scheduler = Scheduler(w.archive())
    (w.home / "backups").write_text("a file where the folder belongs")
    assert (await scheduler.once("recent", anyio.Event())).exit_code == 0
    assert scheduler.followed["backup"].state == "failed"
    w.faults.failing_chats = dict.fromkeys(w.gateway.account.chat_ids, 400)
    assert await once(w, "full") == 3
    w.to_mail.cut()
    assert await once(w, "report") == 1, "it is kept, and sent with the next"
    assert len(list(w.home.glob("outbox/*.eml"))) == 1


def test_two_schedulers_of_one_archive_are_one_too_many(tmp_path: Path) -> None:
    with hold_scheduler_lock(tmp_path), pytest.raises(WriterRunning), hold_scheduler_lock(tmp_path):
        pass
