"""Profile pictures: fetched with their addresses, kept once for each content, and remembered for as long as they were shown."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from files_of_strangers import encoded, two_halves
from loopback import Asked, loopback
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.app import Extras, MediaWishes
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.ingest import rebuild
from whatsapp_mcp.media.portraits import LARGEST, Portraits
from whatsapp_mcp.records import Alias
from whatsapp_mcp.store.portraits import note_portrait
from whatsapp_mcp.sync import full_sync, sync_recent
from whatsapp_mcp.sync.writing import Pen
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome

ACCOUNT = make_account(size=SMALL)
ANNA, ANNAS_PRIVACY_ID = "15550100077@c.us", "77000000000077@lid"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(ACCOUNT, rate_scale=1000, patience=0.01) as gateway:
        yield gateway


@pytest.fixture
def database(home: Path) -> Iterator[Path]:
    home.mkdir()
    yield home / "whatsapp_chats.db"
    with OpenWriter(home / "whatsapp_chats.db") as writer:
        assert list(verify(writer.store, thorough=True)) == []


def wishes(home: Path) -> Extras:
    return Extras(avatars=True, media=MediaWishes(home, "127.0.0.1", with_sync=False))


async def run(flow: Any, gateway: Gateway, database: Path, extras: Extras | None = None) -> Outcome:
    gateway.requests.clear()
    credentials = Credentials(gateway.url, gateway.id_instance, gateway.token)
    clock = Hurried()
    clock.now = lambda: float(gateway.now)  # type: ignore[method-assign]
    with OpenWriter(database, extras or wishes(database.parent)) as writer:
        async with GreenApi(credentials, rate_scale=1000, clock=clock) as api:
            outcome: Outcome = await flow(api, writer, clock)
    return outcome


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


def asked(gateway: Gateway) -> list[str]:
    return [seen.method for seen in gateway.requests if seen.method in ("getAvatar", "media")]


async def test_pictures_of_people_and_groups_are_fetched_once_and_linked(gateway: Gateway, database: Path) -> None:
    await run(full_sync, gateway, database)
    shown = rows(database, "SELECT whatsapp_id, contact_id, group_id, path, thumbnail_path FROM current_profile_pictures")
    expected = {person.id for person in ACCOUNT.people} | {group.id for group in ACCOUNT.groups if group.id in ACCOUNT.history}
    assert {row[0] for row in shown} == expected
    assert all((row[1] is None) != (row[2] is None) for row in shown)
    for *_, path, thumbnail in shown:
        assert path.startswith("media/images/")
        assert (database.parent / path).is_file()
        assert (database.parent / thumbnail).is_file()
    assert list((database.parent / "media/temp").iterdir()) == []
    await run(sync_recent, gateway, database)
    assert asked(gateway) == []


async def test_a_picture_whose_host_is_away_is_asked_for_again(gateway: Gateway, database: Path) -> None:
    gateway.faults.expired_media = True
    await run(full_sync, gateway, database)
    assert rows(database, "SELECT count(*) FROM profile_pictures") == [(0,)]
    gateway.faults.expired_media = False
    gateway.now += 31 * 86_400
    await run(sync_recent, gateway, database)
    assert rows(database, "SELECT count(*) FROM profile_pictures") > [(0,)]


async def test_a_rebuild_keeps_the_pictures(gateway: Gateway, database: Path) -> None:
    await run(full_sync, gateway, database)
    before = rows(database, "SELECT * FROM current_profile_pictures ORDER BY 1")
    with OpenWriter(database) as writer:
        rebuild(writer.store)
    assert rows(database, "SELECT * FROM current_profile_pictures ORDER BY 1") == before


async def keep(home: Path, answers: list[tuple[int, bytes]]) -> list[bool]:
    """Fetch the picture of Anna once for each answer of its host."""
    left = list(answers)

    def answer(_: Asked) -> tuple[int, str]:
        status, body = left.pop(0)
        return status, body.decode(errors="surrogateescape")

    with OpenWriter(home / "whatsapp_chats.db", wishes(home)) as writer:
        pen, clock = Pen(writer), Hurried()
        files = writer.extras.media
        assert files is not None
        async with loopback(answer) as host, Portraits(pen, clock, files) as portraits:
            return [await portraits.keep(ANNA, f"{host.url}/picture.jpg") for _ in answers]


def is_there(home: Path) -> list[str]:
    return sorted(path.relative_to(home / "media").as_posix() for path in (home / "media").rglob("*") if path.is_file())


async def test_what_is_no_picture_or_too_large_leaves_nothing(database: Path) -> None:
    home = database.parent
    answers = [(200, b"<html>gone</html>"), (200, bytes(LARGEST + 1)), (404, b""), (500, b""), (200, b"")]
    assert await keep(home, answers) == [True, True, True, False, False]
    assert is_there(home) == []


async def test_the_same_picture_is_one_file_and_one_row(database: Path) -> None:
    picture = encoded(two_halves(), "JPEG")
    await keep(database.parent, [(200, picture), (200, picture)])
    assert len(is_there(database.parent)) == 2  # itself and its thumbnail
    assert rows(database, "SELECT count(*), width, height FROM profile_pictures JOIN media_files USING (sha256)") == [
        (1, 60, 40)
    ]


def test_the_pictures_of_somebody_are_known_over_time(database: Path) -> None:
    with OpenWriter(database) as writer, writer.store.transaction():
        told = [
            note_portrait(writer.store.connection, ANNA, sha, at)
            for sha, at in (("a", 10), ("a", 20), ("b", 30), ("a", 40), ("a", 40))
        ]
    assert told == [True, False, True, True, False]
    assert rows(database, "SELECT sha256, first_seen_at, last_seen_at FROM profile_pictures ORDER BY first_seen_at") == [
        ("a", 10, 20), ("b", 30, 30), ("a", 40, 40)
    ]  # fmt: skip


def test_pictures_go_over_when_a_privacy_id_turns_out_to_be_a_number(database: Path) -> None:
    with OpenWriter(database) as writer, writer.store.transaction():
        note_portrait(writer.store.connection, ANNAS_PRIVACY_ID, "a", 10)
        writer.store.apply([Alias(ANNA, ANNAS_PRIVACY_ID)], 11)
        assert writer.store.connection.execute("SELECT whatsapp_id FROM profile_pictures").fetchall() == [(ANNA,)]
        writer.store.connection.execute("DELETE FROM aliases")


async def test_after_a_sync_every_stored_file_was_looked_at_and_what_can_be_seen_has_a_thumbnail(
    gateway: Gateway, database: Path
) -> None:
    home = database.parent
    await run(full_sync, gateway, database, Extras(media=MediaWishes(home, "127.0.0.1", rate_scale=1000)))
    files = rows(database, "SELECT mime_type, width, duration, thumbnail_path, looked_at FROM media_files")
    assert {row[0] for row in files} >= {"image/jpeg", "image/webp", "audio/ogg", "application/pdf"}
    for mime_type, width, duration, thumbnail, looked_at in files:
        assert looked_at
        assert (thumbnail is not None) == (mime_type.startswith("image/") or mime_type == "application/pdf")
        assert thumbnail is None or (home / thumbnail).is_file()
        assert (width is not None) == mime_type.startswith("image/")
        assert (duration is not None) == mime_type.startswith("audio/")
