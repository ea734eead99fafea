"""Downloads from a real host on loopback that cuts, stalls, lies and forgets: each file is stored whole, or honestly marked."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fake_clock import FakeClock
from media_host import JPEG, QUICK, Hurried, Served, id_of, link_to, media_desk, picture

from whatsapp_mcp.media import judging
from whatsapp_mcp.media.downloading import Limits
from whatsapp_mcp.media.files import FOLDERS, Part
from whatsapp_mcp.media.transfer import Patience, Transfers, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from media_host import MediaDesk

HOUR, DAY = 3_600, 86_400


class Virtual(FakeClock, Hurried):
    """Time that passes while everybody waits, in no time."""


class Later(Hurried):
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.passed = 0

    def now(self) -> float:
        return super().now() + self.passed


async def test_a_file_is_stored_under_its_hash_and_its_message_says_where(home: Path) -> None:
    async with media_desk(home) as desk:
        body = picture(1)
        desk.offer(1, body)
        outcome = await desk.download()
        assert (outcome.stored, outcome.bytes_stored, outcome.requests, outcome.left) == (1, len(body), 1, 0)
        path = f"media/images/{sha256(body).hexdigest()[:32]}.jpg"
        assert desk.rows("SELECT local_media_path, media_sha256 FROM messages") == [(path, sha256(body).hexdigest())]
        assert (home / path).read_bytes() == body
        assert (home / path).stat().st_mode & 0o777 == 0o600
        assert (home / "media").stat().st_mode & 0o777 == 0o700
        assert desk.state() == ("stored", 1, None, None)


async def test_a_second_run_makes_no_request(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        desk.offer(2, b"", status=404)
        desk.offer(3, b"", status=302, location="file:///x")
        await desk.download()
        asked = (len(desk.host.asked), len(desk.gateway.asked))
        assert (await desk.download()).requests == 0
        assert (len(desk.host.asked), len(desk.gateway.asked)) == asked


async def test_the_same_content_is_one_file_however_often_it_was_sent(home: Path) -> None:
    async with media_desk(home) as desk:
        for number, kind in enumerate(("image", "image", "document", "sticker"), 1):
            desk.offer(number, JPEG, kind)
        outcome = await desk.download()
        assert (outcome.stored, outcome.same) == (4, 3)
        assert list(desk.stored().values()) == [JPEG]
        assert desk.rows("SELECT count(*), count(DISTINCT local_media_path) FROM messages") == [(4, 1)]


async def test_a_kind_has_its_folder_unless_the_content_is_something_else(home: Path) -> None:
    async with media_desk(home) as desk:
        ogg = b"OggS\x00\x02" + bytes(22) + b"OpusHead" + bytes(20)
        for number, (kind, body) in enumerate(
            (("image", JPEG), ("audio", ogg), ("document", b"%PDF-1.4\n"), ("video", b"%PDF-1.5\n")), 1
        ):
            desk.offer(number, body, kind)
        desk.send(desk.message(2, desk.host.url + "/file2", "audio", mimeType="audio/ogg; codecs=opus", fileName="2.oga"))
        await desk.download()
        assert sorted(path.partition("/")[0] for path in desk.stored()) == ["documents", "documents", "images", "voice"]


@pytest.mark.parametrize(
    ("served", "requests"),
    [
        ({"cut_after": 9_000}, 2), ({"cut_after": 0}, 2), ({"stall_after": 9_000}, 2), ({"stall_after": 0}, 2),
        ({"status": 500}, 2), ({"status": 429}, 2), ({"status": 503}, 2), ({"length": 90_000}, 3),
        ({"cut_after": 9_000, "ranges": False}, 2), ({"stall_after": 9_000, "ranges": False}, 2),
    ],
    ids=str,
)  # fmt: skip
async def test_a_fault_is_got_over_and_the_file_is_whole(home: Path, served: dict[str, Any], requests: int) -> None:
    async with media_desk(home) as desk:
        body = picture(1, 60_000)
        path = desk.offer(1, body, **served, faults=1)
        outcome = await desk.download()
        assert list(desk.stored().values()) == [body]
        assert (outcome.stored, desk.host.count(path)) == (1, requests)


async def test_a_cut_file_goes_on_where_it_was_cut(home: Path) -> None:
    async with media_desk(home) as desk:
        path = desk.offer(1, picture(1, 3_000_000), cut_after=2_000_000, faults=1)
        assert (await desk.download()).stored == 1
        first, second = (span for asked, span in desk.host.asked if asked == path)
        assert (first, second) == ("", "bytes=2000000-")


async def test_a_file_that_changed_while_it_was_cut_is_fetched_anew(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1, 60_000), cut_after=50_000, faults=1, later=picture(2, 30_000))
        assert (await desk.download()).stored == 1
        assert list(desk.stored().values()) == [picture(2, 30_000)]


async def test_a_file_of_another_length_than_its_message_says_is_not_believed(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1, 5_000))
        with desk.writer() as writer:
            writer.store.connection.execute("UPDATE messages SET media_size = 5001")
        outcome = await desk.download()
        with desk.writer() as writer:
            writer.store.connection.execute("UPDATE messages SET media_size = NULL")
        assert (outcome.stored, outcome.put_off) == (0, 1)
        assert "another length" in desk.state()[3]


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_stale_link_is_renewed_through_the_gateway(home: Path, status: int) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"", status=status)
        desk.host.files["/fresh"] = Served(picture(1))
        desk.links[id_of(1)] = link_to(desk.host.url + "/fresh")
        outcome = await desk.download()
        assert (outcome.stored, outcome.renewed, outcome.requests) == (1, 1, 3)


async def test_a_message_without_a_link_asks_the_gateway_for_one(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.send(desk.message(1, ""))
        desk.host.files["/fresh"] = Served(picture(1))
        desk.links[id_of(1)] = link_to(desk.host.url + "/fresh")
        assert (await desk.download()).stored == 1


@pytest.mark.parametrize("answer", [(500, ""), (400, '{"message": "File message encrypted url not found by"}'), (200, "null")])
async def test_a_vanished_file_is_asked_for_after_an_hour_a_day_and_three_days_then_expired_and_stays_listed(
    home: Path, answer: tuple[int, str]
) -> None:
    async with media_desk(home) as desk:
        clock = desk.clock = Later()
        desk.offer(1, b"", status=404)
        desk.links["*"] = answer
        for wait in (HOUR, DAY, 3 * DAY):
            assert (await desk.download()).put_off == 1
            state, _, next_at, why = desk.state()
            assert (state, why) == ("pending", judging.GONE)
            assert abs(next_at - clock.now() - wait) < 30
            clock.passed += wait - 60
            assert (await desk.download()).requests == 0
            clock.passed += 120
        assert (await desk.download()).expired == 1
        assert desk.state()[0:3] == ("expired", 4, None)
        clock.passed += 30 * DAY
        assert (await desk.download()).requests == 0


async def test_what_the_gateway_calls_too_large_is_skipped_and_not_taken_for_a_failure(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"", status=404)
        desk.links["*"] = link_to("{{SWE002}}")
        assert (await desk.download()).skipped == 1
        assert desk.state()[0::3] == ("skipped", "Green API gives no file over 100 MB (SWE002).")


async def test_a_failure_is_tried_again_ever_later_and_given_up_at_last(home: Path) -> None:
    async with media_desk(home) as desk:
        clock = desk.clock = Later()
        desk.offer(1, picture(1), status=500)
        waits = []
        while (await desk.download()).failed == 0:
            waits.append(desk.state()[2] - clock.now())
            clock.passed += round(waits[-1]) + 5
        assert [round(wait / 60) for wait in waits] == [15, 60, 360, 1_440, 2_880, 4_320]
        assert desk.state()[0::3] == ("failed", "The host answered 500.")


async def test_a_used_up_quota_of_links_costs_no_attempt_and_is_said_once(home: Path) -> None:
    async with media_desk(home) as desk:
        for number in range(1, 4):
            desk.offer(number, b"", status=404)
        desk.offer(4, picture(4))
        desk.links["*"] = (466, '{"invokeStatus": {"method": "downloadFile", "status": "QUOTE_EXCEEDED"}}')
        outcome = await desk.download()
        assert (outcome.stored, outcome.put_off) == (1, 3)
        assert len(outcome.notes) == 1
        assert desk.state(1)[0:2] == ("pending", 0)


async def test_without_a_gateway_links_that_still_lead_somewhere_are_followed(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        desk.offer(2, b"", status=404)
        outcome = await desk.download(with_gateway=False)
        assert (outcome.stored, outcome.put_off) == (1, 1)
        assert desk.gateway.asked == []


async def test_a_network_that_is_away_costs_no_attempts(home: Path) -> None:
    async with media_desk(home) as desk:
        for number in range(1, 30):
            desk.offer(number, picture(number))
        with desk.writer() as writer:
            writer.store.connection.execute("UPDATE media_download_queue SET media_url = 'http://127.0.0.1:9/x'")
        outcome = await desk.download(with_gateway=False)
        assert outcome.is_failure
        assert "Check the network" in outcome.stopped
        assert (outcome.left, desk.states()) == (29, {"pending": 29})
        assert desk.rows("SELECT max(attempts) FROM media_download_queue") == [(0,)]


async def test_a_file_above_the_limit_is_skipped_before_it_is_fetched_and_comes_when_the_limit_is_raised(home: Path) -> None:
    async with media_desk(home, file_bytes=10_000) as desk:
        desk.offer(1, picture(1, 500_000))
        assert (await desk.download()).skipped == 1
        assert desk.rows("SELECT size FROM media_download_queue") == [(500_000,)]
        assert (await desk.download()).requests == 0
        desk.wishes["file_bytes"] = 1_000_000
        assert (await desk.download()).stored == 1


async def test_near_the_limit_of_all_files_the_big_ones_are_skipped_first_and_it_is_said(home: Path) -> None:
    async with media_desk(home, total_bytes=1_000_000) as desk:
        for number in range(1, 11):
            desk.offer(number, picture(number, 200_000 if number % 2 else 20_000))
        outcome = await desk.download()
        assert (outcome.stored, outcome.skipped) == (5, 5)
        assert {len(body) for body in desk.stored().values()} == {20_000}
        assert any("MEDIA_MAX_TOTAL_GB" in note for note in outcome.notes)
        assert (await desk.download()).requests == 0
        desk.wishes["total_bytes"] = 100_000_000
        assert (await desk.download()).stored == 5


async def test_all_files_together_never_pass_their_limit(home: Path) -> None:
    async with media_desk(home, total_bytes=300_000) as desk:
        for number in range(1, 60):
            desk.offer(number, picture(number, 10_000))
        await desk.download()
        assert sum(map(len, desk.stored().values())) <= 300_000


async def test_a_run_ends_at_its_limit_and_the_next_one_goes_on(home: Path) -> None:
    async with media_desk(home) as desk:
        for number in range(1, 8):
            desk.offer(number, picture(number))
        assert (await desk.download(limit=3)).left == 4
        assert (await desk.download()).stored == 4


async def test_a_run_whose_time_is_over_begins_no_transfer(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        outcome = await desk.download(limits=Limits(seconds=0, reserve=0))
        assert (outcome.stored, outcome.left, outcome.is_failure) == (0, 1, False)
        assert desk.states() == {"pending": 1}


async def test_a_nearly_full_disk_stops_the_run_before_it_begins(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        outcome = await desk.download(limits=Limits(reserve=1 << 60))
        assert outcome.is_failure
        assert "nearly full" in outcome.stopped
        assert (desk.host.asked, desk.states()) == ([], {"pending": 1})


async def test_a_full_disk_stops_cleanly_and_leaves_nothing_behind(home: Path) -> None:
    """A real file system refuses: no file of this process may grow over 4 MB."""
    async with media_desk(home) as desk:
        desk.offer(1, picture(1, 6_000_000))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, before[1]))
        try:
            outcome = await desk.download()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert outcome.is_failure
        assert "may not grow that large" in outcome.stopped
        assert (desk.stored(), desk.states()) == ({}, {"pending": 1})


async def test_several_transfers_are_under_way_at_once(home: Path) -> None:
    async with media_desk(home) as desk:
        for number in range(1, 9):
            desk.offer(number, picture(number, 5_000), stall_after=1_000, faults=1)
        assert (await desk.download()).stored == 8
        assert desk.host.most_at_once > 4


async def test_starts_are_paced_at_five_a_second(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times, fetch = [], Transfers.fetch

    async def noted(transfers: Transfers, wanted: Wanted, part: Part, tries: int = 0) -> None:
        times.append(transfers.clock.monotonic())
        await fetch(transfers, wanted, part, tries)

    monkeypatch.setattr(Transfers, "fetch", noted)
    async with media_desk(home) as desk:
        desk.clock, desk.wishes["rate_scale"] = Virtual(), 1.0
        for number in range(1, 13):
            desk.offer(number, picture(number))
        await desk.download()
        assert len(times) == 12
        assert all(later - first >= 1.0 for first, later in zip(times, times[5:], strict=False))


async def test_a_host_that_drips_is_given_up(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1, 1_000), stall_after=10)
        patience = Patience(least=5.0, most=5.0, usual=0.01, slowest=10**9, grace=0.0)
        desk.host.files["/file1"] = Served(picture(1, 700_000))
        outcome = await desk.download(limits=Limits(patience=patience, reserve=0))
        assert outcome.put_off == 1
        assert desk.state()[3] == "The file comes too slowly."


async def test_what_a_killed_run_left_is_removed_by_the_next(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        (home / "media" / "temp").mkdir(parents=True)
        (home / "media" / "temp" / "0123.part").write_bytes(b"half")
        await desk.download()
        assert list(desk.stored().values()) == [picture(1)]


async def test_a_cancelled_run_leaves_whole_files_and_an_honest_queue(home: Path) -> None:
    async with media_desk(home) as desk:
        for number in range(1, 30):
            desk.offer(number, picture(number, 200_000), stall_after=None if number % 3 else 100_000)
        patience = Limits(patience=Patience(least=30), reserve=0)
        with anyio.move_on_after(0.5):
            await desk.download(limits=patience)
        assert not [path for path in desk.stored() if path.startswith("temp")]
        stored = desk.states().get("stored", 0)
        assert len(desk.stored()) == stored
        assert desk.states() == {"stored": stored, "pending": 29 - stored}


_CHILD = """
import sys, anyio
from pathlib import Path
from sync_desk import Hurried, OpenWriter
from whatsapp_mcp.app import Extras, MediaWishes
from whatsapp_mcp.media.downloading import download_media
home = Path(sys.argv[1])
async def main():
    with OpenWriter(home / "whatsapp_chats.db", Extras(media=MediaWishes(home, "127.0.0.1", 1000))) as writer:
        await download_media(None, writer, Hurried())
anyio.run(main)
"""


async def test_a_run_that_is_killed_at_any_moment_leaves_no_half_file_under_a_final_name(home: Path) -> None:
    async with media_desk(home) as desk:
        for number in range(1, 41):
            desk.offer(number, picture(number, 900_000))
        for wait in (4, 9, 15, 22, 30):
            child = _killable(home)
            with anyio.move_on_after(20):
                while len(desk.host.asked) < wait and child.poll() is None:  # noqa: ASYNC110 - another process
                    await anyio.sleep(0.001)
            child.send_signal(signal.SIGKILL)
            child.wait(10)
            _all_whole(desk)
        assert (await desk.download()).left == 0
        assert len(desk.stored()) == 40
        _all_whole(desk)


def _killable(home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", _CHILD, str(home)], env=environment)


def _all_whole(desk: MediaDesk) -> None:
    for path, body in desk.stored().items():
        folder, _, name = path.partition("/")
        if folder in FOLDERS.values():
            assert name == f"{sha256(body).hexdigest()[:32]}.jpg"
            assert len(body) == 900_000


def test_a_part_never_replaces_a_file_that_is_there(tmp_path: Path) -> None:
    part = Part(tmp_path)
    part.feed(b"x")
    finished = part.finish()
    other = Part(tmp_path)
    other._path = finished.temporary  # noqa: SLF001 - a name that is taken
    other.feed(b"y")
    with pytest.raises(FileExistsError):
        other.flush()


async def test_against_the_simulated_gateway_faults_and_stale_links_are_got_over(tmp_path: Path) -> None:
    from sync_desk import OpenWriter

    from whatsapp_mcp.app import Extras, MediaWishes
    from whatsapp_mcp.demo.account import SMALL, make_account
    from whatsapp_mcp.demo.faults import Fault
    from whatsapp_mcp.demo.running import running_gateway
    from whatsapp_mcp.greenapi import Credentials, GreenApi
    from whatsapp_mcp.media.downloading import download_media
    from whatsapp_mcp.sync import full_sync

    account, clock = make_account(size=SMALL), Hurried()
    wishes = MediaWishes(tmp_path, "127.0.0.1", 1000, with_sync=False)
    async with running_gateway(account, rate_scale=1000) as gateway:
        gateway.faults.stale_links = True
        gateway.faults.every("media", Fault.BROKEN_CONNECTION, nth=7)
        with OpenWriter(tmp_path / "whatsapp_chats.db", Extras(media=wishes)) as writer:
            async with GreenApi(
                Credentials(gateway.url, gateway.id_instance, gateway.token), rate_scale=1000, clock=clock
            ) as api:
                await full_sync(api, writer, clock)
                outcome = await download_media(api, writer, clock, limits=QUICK)
    assert outcome.stored > 50
    assert outcome.renewed >= outcome.stored
    assert outcome.left == outcome.failed == 0
