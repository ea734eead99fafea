"""What is stored stays: clean removes nothing of anybody, what is lost or cut comes again, links lead to larger disks."""

from __future__ import annotations

import errno
import json
import sqlite3
from contextlib import closing
from shutil import copytree
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest
from files_of_strangers import encoded, two_halves
from loopback import Asked, loopback
from media_host import media_desk
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.app import Extras, MediaWishes
from whatsapp_mcp.cli import main
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.media import housekeeping
from whatsapp_mcp.media.files import path_within
from whatsapp_mcp.media.housekeeping import faults, litter
from whatsapp_mcp.media.portraits import Portraits
from whatsapp_mcp.media.reopening import reopen
from whatsapp_mcp.store.copying import named_media
from whatsapp_mcp.store.portraits import note_portrait
from whatsapp_mcp.sync.extras import AVATARS_CURSOR
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

ACCOUNT = make_account(size=SMALL)
ANNA = "15550100077@c.us"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Path]]:
    """An account, and a home into which all its messages and files were fetched."""
    home = tmp_path_factory.mktemp("fetched") / "home"
    with serve_gateway(ACCOUNT, rate_scale=1000) as gateway, pytest.MonkeyPatch.context() as environment:
        for name, value in settings(gateway, home).items():
            environment.setenv(name, value)
        assert main(["sync", "full"]) == 0
        yield gateway, home


def settings(gateway: Gateway, home: Path) -> dict[str, str]:
    return {
        "GREEN_API_URL": gateway.url, "GREEN_API_ID_INSTANCE": gateway.id_instance, "GREEN_API_TOKEN_INSTANCE": gateway.token,
        "GREEN_API_RATE_SCALE": "1000", "WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": "UTC",
    }  # fmt: skip


@pytest.fixture
def gateway(fetched: tuple[Gateway, Path], monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Gateway]:
    """The account, with a `home` of its own for each test."""
    gateway, all_of_it = fetched
    copytree(all_of_it, home)
    for name, value in settings(gateway, home).items():
        monkeypatch.setenv(name, value)
    yield gateway
    gateway.faults.expired_media = False


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def files(home: Path) -> list[Path]:
    return sorted(path for path in (home / "media").rglob("*") if path.is_file())


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "whatsapp_chats.db")) as connection, connection:
        return connection.execute(sql).fetchall()


def test_clean_leaves_files_of_your_own_in_its_folders(gateway: Gateway, home: Path, said: Any) -> None:
    mine = [home / "media" / name for name in ("images/holiday.jpg", "documents/contract.pdf", "thumbnails/Thumbs.db")]
    for path in mine:
        path.write_text("mine")
    assert said("media", "clean", "--yes")["files"] == []
    assert all(path.exists() for path in mine)


def test_clean_leaves_what_the_database_names_in_another_way_or_in_another_folder(
    gateway: Gateway, home: Path, said: Any
) -> None:
    before = files(home)
    ask(home, f"UPDATE messages SET local_media_path = '{home}/' || local_media_path")
    ask(home, "UPDATE media_files SET path = replace(path, '/', char(92))")
    assert said("media", "clean", "--yes")["files"] == []
    ask(home, f"UPDATE messages SET local_media_path = substr(local_media_path, {len(str(home)) + 2})")
    ask(home, "UPDATE media_files SET path = replace(path, char(92), '/')")
    moved = next(path for path in before if path.parent.name == "images")
    moved.replace(home / "media/documents" / moved.name)
    assert said("media", "clean", "--yes")["files"] == []
    assert len(files(home)) == len(before)


@pytest.mark.parametrize("linked", ["media", "media/images"])
def test_media_may_be_moved_to_a_larger_disk_behind_a_link(
    gateway: Gateway, home: Path, tmp_path: Path, said: Any, linked: str
) -> None:
    (home / linked).rename(tmp_path / "larger")
    (home / linked).symlink_to(tmp_path / "larger", target_is_directory=True)
    asked = gateway.count("media")
    assert said("verify", "--thorough")["clean"]
    assert said("media", "download")["stored"] == 0
    assert gateway.count("media") == asked
    assert said("media", "clean", "--yes")["files"] == []
    ((chat,),) = ask(home, "SELECT chat_id FROM messages WHERE local_media_path LIKE '%/images/%' GROUP BY 1 LIMIT 1")
    with ZipFile(said("export", str(chat), "--include-media")["path"]) as pack:
        assert any(name.endswith(".jpg") for name in pack.namelist())


def test_a_path_that_leads_out_of_the_media_folder_is_no_file(home: Path) -> None:
    (home / "media/images").mkdir(parents=True)
    (home / "secret").write_text("x")
    (home / "media/images/link.jpg").symlink_to(home / "secret")
    (home / "media/images/loop.jpg").symlink_to("loop.jpg")
    names = ("secret", "media/../secret", "media/images/../../secret", "media/images/link.jpg", "media/images/loop.jpg")
    assert [path_within(home, name) for name in (*names, str(home / "secret"))] == [None] * 6


def test_files_whose_disk_is_not_connected_are_not_given_up(
    gateway: Gateway, home: Path, capsys: pytest.CaptureFixture[str], said: Any
) -> None:
    before = ask(home, "SELECT * FROM media_files ORDER BY sha256")
    asked = gateway.count("media")
    (home / "media/images").rename(home / "media/unplugged")
    for _ in range(2):  # the second time an empty folder is there, like the one that a disk is connected to
        assert main(["media", "download"]) == 0
        assert "Nothing is left in media/images" in capsys.readouterr().err
        (home / "media/images").mkdir(exist_ok=True)
    assert said("media", "clean", "--yes")["files"] == []
    (home / "media/images").rmdir()
    (home / "media/unplugged").rename(home / "media/images")
    assert said("verify", "--thorough")["clean"]
    assert (ask(home, "SELECT * FROM media_files ORDER BY sha256"), gateway.count("media")) == (before, asked)


def test_again_fetches_a_whole_folder_that_was_lost(gateway: Gateway, home: Path, said: Any) -> None:
    lost = [path for path in files(home) if path.parent.name == "images"]
    for path in lost:
        path.unlink()
    assert said("media", "download")["stored"] == 0
    assert said("media", "download", "--again")["stored"] >= len(lost)
    assert all(path.exists() for path in lost)


def test_a_cut_file_is_seen_at_once_and_fetched_again_and_kept_where_that_is_not_possible(
    gateway: Gateway, home: Path, said: Any
) -> None:
    ((path, size),) = ask(home, "SELECT path, size FROM media_files WHERE path LIKE '%/images/%' ORDER BY 1 LIMIT 1")
    (home / path).write_bytes((home / path).read_bytes()[:10])
    (finding,) = said("verify", code=1)["findings"]
    assert "is not as large as what was stored" in finding["what"]
    gateway.faults.expired_media = True
    said("media", "download")
    assert (home / path).read_bytes()
    assert ask(home, f"SELECT count(*) > 0 FROM messages WHERE local_media_path = '{path}'") == [(1,)]
    asked = gateway.count("media")
    assert said("media", "download")["requests"] == 0
    gateway.faults.expired_media = False
    ask(home, "UPDATE media_download_queue SET next_attempt_at = NULL")
    assert said("media", "download")["stored"] >= 1
    assert gateway.count("media") > asked
    assert (home / path).stat().st_size == size
    assert said("verify", "--thorough")["clean"]


def test_a_thumbnail_that_is_gone_is_made_anew_without_a_request(gateway: Gateway, home: Path, said: Any) -> None:
    ((path, small),) = ask(home, "SELECT path, thumbnail_path FROM media_files WHERE thumbnail_path IS NOT NULL LIMIT 1")
    (home / small).unlink()
    (finding,) = said("verify", code=1)["findings"]
    assert (path in finding["what"], "thumbnail" in finding["what"]) == (True, True)
    assert said("media", "download")["requests"] == 0
    assert (home / small).is_file()
    assert said("verify", "--thorough")["clean"]


def test_a_file_that_the_disk_refuses_to_give_is_a_finding_and_the_others_are_still_looked_at(
    gateway: Gateway, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = housekeeping.hash_of, files(home)[0]

    def read(path: Path) -> str:
        if path.name == broken.name:
            raise OSError(errno.EIO, "the disk is dying")
        return real(path)

    monkeypatch.setattr(housekeeping, "hash_of", read)
    with OpenWriter(home / "whatsapp_chats.db") as writer:
        found = list(faults(writer.store, home, thorough=True))
    assert [(fault.path.rpartition("/")[2], fault.state) for fault in found] == [(broken.name, "unreadable")]


async def test_a_kind_that_nobody_wants_does_not_come_when_there_is_room_for_it(home: Path) -> None:
    async with media_desk(home, file_bytes=1000) as desk:
        desk.offer(1, bytes(2000))
        await desk.download()
        assert desk.state()[0] == "skipped"
        desk.wishes = {"kinds": ("sticker",)}
        await desk.download()
        assert (desk.state()[0], "MEDIA_KINDS" in desk.state()[3], len(desk.host.asked)) == ("skipped", True, 1)
        desk.wishes = {}
        await desk.download()
        assert desk.state()[0] == "stored"


# Profile pictures


async def keep_portrait(home: Path, **wishes: Any) -> bool:
    body = encoded(two_halves(), "JPEG").decode(errors="surrogateescape")

    def answer(_: Asked) -> tuple[int, str]:
        return 200, body

    asked = MediaWishes(home, "127.0.0.1", with_sync=False, **wishes)
    with OpenWriter(home / "whatsapp_chats.db", Extras(avatars=True, media=asked)) as writer:
        async with loopback(answer) as host, Portraits(Pen(writer), Hurried(), asked) as portraits:
            return await portraits.keep(ANNA, f"{host.url}/picture.jpg")


@pytest.fixture
def empty(home: Path) -> Path:
    home.mkdir()
    return home


async def test_profile_pictures_keep_to_the_limit_of_all_files(empty: Path) -> None:
    assert await keep_portrait(empty, total_bytes=10)
    assert files(empty) == []
    assert await keep_portrait(empty, total_bytes=10_000_000)
    assert len(files(empty)) == 2  # itself and its thumbnail


async def test_clean_and_backups_know_profile_pictures(empty: Path) -> None:
    await keep_portrait(empty)
    with OpenWriter(empty / "whatsapp_chats.db") as writer:
        assert litter(writer.store, empty) == []
        assert len(named_media(writer.store.connection)) == 1


async def test_a_profile_picture_that_was_lost_is_asked_for_by_the_next_sync(empty: Path) -> None:
    await keep_portrait(empty)
    with OpenWriter(empty / "whatsapp_chats.db") as writer:
        store = writer.store
        told = json.dumps({ANNA: 5, "15550100078@c.us": 5})
        with store.transaction():
            note_portrait(store.connection, "15550100078@c.us", "b" * 64, 10)
            store.connection.execute("INSERT INTO cursors (name, value) VALUES (?, ?)", (AVATARS_CURSOR, told))
        reopen(store, empty, 7)
        assert json.loads(store.cursor(AVATARS_CURSOR) or "") == {ANNA: 5, "15550100078@c.us": 5}
        next(path for path in files(empty) if path.parent.name == "images").unlink()
        reopen(store, empty, 7)
        assert json.loads(store.cursor(AVATARS_CURSOR) or "") == {"15550100078@c.us": 5}
