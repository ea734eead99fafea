"""The job of the files: what it waits for, that it does nothing twice, when it ends, and what it says."""

from __future__ import annotations

import json
import sys
import threading
import time
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from book_club import DANA_LEVI, book_club, incoming, receive
from files_of_strangers import docx

from whatsapp_mcp.media import texts
from whatsapp_mcp.media.contents import identify
from whatsapp_mcp.media.files import Files
from whatsapp_mcp.media.texts import Allowance, has_unread, read_texts
from whatsapp_mcp.scheduler.memory import FILE
from whatsapp_mcp.scheduler.running import Scheduler
from whatsapp_mcp.store.media import StoredFile
from whatsapp_mcp.sync import full_sync
from whatsapp_mcp.sync.listen import listen

if sys.platform == "win32":
    pytest.skip("the world of these tests is of POSIX", allow_module_level=True)

from unattended_world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.scheduler.jobs import Done

NO_FILES = {"MEDIA_DOWNLOAD": "no"}
WITHIN = 60.0


@pytest.fixture
async def w(home: Path) -> AsyncIterator[World]:
    """Messages are there, and no file yet."""
    with world(home, zone="Europe/Berlin", began="2026-03-02 06:00", **NO_FILES) as made:
        archive = made.archive()
        with archive.writer() as writer:
            async with archive.gateway() as gateway:
                await full_sync(gateway, writer, made)
        made.settings = {}
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The syncs have no time left for files."""
    for sync in ("recent", "sweep"):
        monkeypatch.setattr(import_module(f"whatsapp_mcp.sync.{sync}"), "RECENT_FILES_SECONDS", 0.0)


def job(w: World) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((w.home / FILE).read_text(encoding="utf-8"))
    entry: dict[str, Any] = told["jobs"]["media"]
    return entry


async def once(w: World, name: str) -> tuple[Done, dict[str, Done]]:
    scheduler = Scheduler(w.archive())
    return await scheduler.once(name, anyio.Event()), scheduler.followed


@pytest.mark.usefixtures("hasty")
async def test_files_that_no_sync_reached_are_fetched_after_all_messages_and_before_the_backup(w: World) -> None:
    assert w.archive().queries.files().due > 50
    await w.live_until("03-02 08:30")
    jobs = json.loads((w.home / FILE).read_text(encoding="utf-8"))["jobs"]
    assert jobs["sweep"]["last_end"] <= jobs["media"]["last_start"]
    assert jobs["media"]["last_end"] <= jobs["backup"]["last_start"]
    assert jobs["media"]["result"] == "complete"
    files = w.archive().queries.files()
    assert files.due == 0
    assert files.counts.stored > 50
    metrics = (w.home / "metrics.prom").read_text(encoding="utf-8")
    assert f'whatsapp_mcp_files{{state="stored"}} {files.counts.stored}\n' in metrics


async def test_where_the_sync_reached_every_file_and_text_the_job_does_not_begin(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "has_unread", lambda _: False)
    await w.live_until("03-02 08:30")
    assert w.archive().queries.files().due == 0
    assert job(w)["last_start"] is None, "nothing was left for it"
    assert job(w)["last_due"] == w.instant("03-02 08:00")


async def test_once_media_fetches_what_is_due_says_so_and_then_asks_nobody(w: World) -> None:
    due = w.archive().queries.files().due
    done, _ = await once(w, "media")
    assert (done.state, done.exit_code) == ("complete", 0)
    stored = w.archive().queries.files().counts.stored
    assert 50 < stored <= due
    assert done.said.startswith(f"{stored:,} files stored, ")
    asked = w.gateway.count("media")
    done, _ = await once(w, "media")
    assert (done.state, done.said) == ("complete", "0 files stored")
    assert w.gateway.count("media") == asked


async def test_where_no_files_are_wanted_none_is_fetched(w: World) -> None:
    w.settings = NO_FILES
    done, _ = await once(w, "media")
    assert (done.state, done.said) == ("complete", "no files, since MEDIA_DOWNLOAD is no")
    await w.live_until("03-02 08:30")
    assert w.gateway.count("media") == 0


@pytest.mark.usefixtures("hasty")
async def test_a_cron_that_starts_only_the_recent_sync_has_the_files_too(w: World) -> None:
    await once(w, "recent")
    w._skip_to(w.instant("03-02 08:00"))  # noqa: SLF001
    _, followed = await once(w, "recent")
    assert list(followed) == ["sweep", "media", "backup"]
    _, followed = await once(w, "recent")
    assert list(followed) == [], "each is answered"


@pytest.mark.usefixtures("hasty")
async def test_a_disk_without_room_for_files_is_tried_again_like_any_failure(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "free", lambda _: 0)
    w.at("03-02 08:03", monkeypatch.undo)
    w.at("03-02 08:02", lambda: seen.append(job(w)))
    seen: list[dict[str, Any]] = []
    await w.live_until("03-02 08:30")
    assert (seen[0]["result"], seen[0]["failures"] > 0) == ("failed", True)
    assert (job(w)["result"], job(w)["failures"]) == ("complete", 0)
    assert w.archive().queries.files().due == 0
    assert not [subject for _, subject in w.mails() if "media" in subject], "it passed by itself"


@pytest.mark.usefixtures("hasty")
async def test_downloads_that_stay_stopped_are_told_with_what_to_do(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "free", lambda _: 0)
    done, _ = await once(w, "media")
    assert (done.state, done.exit_code) == ("failed", 1)
    assert "Free some space" in done.said
    assert [subject for _, subject in w.mails()] == ["WhatsApp archive: media fails"]


async def test_before_the_first_sync_the_job_says_so_and_makes_no_archive(home: Path) -> None:
    with world(home.with_name("empty"), zone="Europe/Berlin", began="2026-03-02 06:00") as made:
        done, _ = await once(made, "media")
        assert done.exit_code == 2
        assert not (made.home / "whatsapp_chats.db").exists()
        await made.live_until("03-02 08:01")
        assert job(made)["last_start"] is None or job(made)["result"] == "failed"


# Texts, for a bounded time


@pytest.fixture
def archive(home: Path) -> Archive:
    """The book club with two stored documents that nobody has read."""
    archive = book_club(home)
    with archive.writer() as writer:
        for number in (300, 301):
            name = f"{number}.docx"
            said = {"typeMessage": "documentMessage", "fileName": name, "downloadUrl": f"https://media.example/{name}"}
            receive(writer, DANA_LEVI, [incoming(number, "", chat=DANA_LEVI, sender=DANA_LEVI, **said)])
            path = archive.home / "media/documents" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(docx(f"Minutes number {number}"))
            with writer.store.transaction():
                (message_id,) = writer.store.connection.execute(
                    "SELECT message_id FROM messages WHERE media_filename = ?", (name,)
                ).fetchone()
                stored = StoredFile(f"{number:064x}", f"media/documents/{name}", identify(path).mime_type, 9)
                writer.store.media.stored(message_id, stored, 1_755_250_000)
    return archive


def slow(path: Path, _: str) -> str:
    """A reader that says that it began, and takes for ever."""
    path.with_suffix(".begun").touch()
    time.sleep(3600)
    return ""


def test_a_run_whose_time_is_over_begins_no_file_and_leaves_them_for_the_next(archive: Archive) -> None:
    assert has_unread(archive)
    outcome = read_texts(archive, allowance=Allowance(archive.clock.monotonic, 0.0))
    assert (outcome.done, outcome.left) == (0, 2)
    assert read_texts(archive).documents == 2
    assert not has_unread(archive)


def test_a_run_that_is_told_to_end_leaves_the_file_at_hand_unread(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "text_of", slow)
    allowance = Allowance(archive.clock.monotonic, 3600.0)
    outcomes = []
    run = threading.Thread(target=lambda: outcomes.append(read_texts(archive, allowance=allowance)))
    run.start()
    wait_for_a_file(archive)
    allowance.end()
    run.join(WITHIN)
    assert [(one.done, one.left) for one in outcomes] == [(0, 2)]
    monkeypatch.undo()
    assert read_texts(archive).documents == 2, "nothing was noted of the file that was broken off"


def wait_for_a_file(archive: Archive) -> None:
    end = time.monotonic() + WITHIN
    while not list(archive.home.glob("media/documents/*.begun")):
        assert time.monotonic() < end, "it did not begin in time"
        time.sleep(0.01)


def test_documents_whose_library_is_absent_are_nothing_to_begin_for(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.writer() as writer, writer.store.transaction():
        writer.store.connection.execute("UPDATE media_files SET mime_type = 'application/pdf'")
    monkeypatch.setattr("whatsapp_mcp.media.extras.have", lambda _: False)
    assert not has_unread(archive)
    outcome = read_texts(archive)
    assert (outcome.done, outcome.waiting) == (0, 2)
    assert "pip install" in outcome.notes[0]


async def test_the_job_reads_texts_and_says_how_many(archive: Archive) -> None:
    from whatsapp_mcp.scheduler import jobs

    read = await jobs._read_texts(archive, 3600.0)  # noqa: SLF001 - as the job calls it
    assert jobs._said_of_files(None, read) == "no files, since MEDIA_DOWNLOAD is no, 2 texts read"  # noqa: SLF001
    assert not has_unread(archive)


async def test_a_scheduler_that_is_told_to_stop_breaks_off_the_reading(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whatsapp_mcp.scheduler import jobs

    monkeypatch.setattr(texts, "text_of", slow)
    with anyio.fail_after(WITHIN):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs._read_texts, archive, 3600.0)  # noqa: SLF001 - as the job calls it
            await anyio.to_thread.run_sync(wait_for_a_file, archive)
            tasks.cancel_scope.cancel()
    assert has_unread(archive)


async def test_a_listener_fetches_files_whenever_it_asks_the_journals(w: World) -> None:
    archive, stop = w.archive(), anyio.Event()
    before = archive.queries.files().due
    with archive.writer(durable=True) as writer:
        async with archive.gateway() as gateway, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(listen, gateway, writer, w, stop=stop, catch_up_minutes=60))
            with anyio.fail_after(WITHIN):
                while archive.queries.files().due > 0:  # noqa: ASYNC110 - what is waited for happens in a database
                    await anyio.sleep(0.05)
            stop.set()
    assert before > 50
    assert archive.queries.status().files.stored > 50
