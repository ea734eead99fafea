"""The commands about files, what the others say of them, and the syncs that fetch them, against the simulated gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.app import Extras, MediaWishes
from whatsapp_mcp.cli import main
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.sync import full_sync, sync_recent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

ACCOUNT = make_account(size=SMALL)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Gateway]:
    with serve_gateway(ACCOUNT, rate_scale=1000) as gateway:
        monkeypatch.setenv("GREEN_API_URL", gateway.url)
        monkeypatch.setenv("GREEN_API_ID_INSTANCE", gateway.id_instance)
        monkeypatch.setenv("GREEN_API_TOKEN_INSTANCE", gateway.token)
        monkeypatch.setenv("GREEN_API_RATE_SCALE", "1000")
        monkeypatch.setenv("WHATSAPP_MCP_HOME", str(home))
        monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "UTC")
        yield gateway


@pytest.fixture
def synced(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Messages are there, and no file yet."""
    monkeypatch.setenv("MEDIA_DOWNLOAD", "no")
    assert main(["sync", "full"]) == 0
    assert gateway.count("media") == 0
    monkeypatch.delenv("MEDIA_DOWNLOAD")
    return gateway


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def files(home: Path) -> list[Path]:
    return [path for path in (home / "media").rglob("*") if path.is_file() and path.parent.name != "thumbnails"]


def test_download_fetches_everything_once_and_status_counts_it(
    synced: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = said(capsys, "media", "status")
    assert (before["stored"], before["due"]) == (0, before["pending"])
    outcome = said(capsys, "media", "download")
    assert outcome["left"] == outcome["failed"] == 0
    assert outcome["stored"] > 50
    after = said(capsys, "media", "status")
    assert after["stored"] == outcome["stored"]
    assert after["contents"] == len(files(home))
    assert sum(counts["stored"] for counts in after["by_kind"].values()) == after["stored"]
    asked = len(synced.requests)
    assert said(capsys, "media", "download")["requests"] == 0
    assert len(synced.requests) == asked


def test_a_full_sync_fetches_files_after_its_messages_and_the_next_run_goes_on(
    gateway: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "full"]) == 0
    assert "Files:" in capsys.readouterr().out
    assert gateway.count("media") > 50
    histories = [seen.at for seen in gateway.requests if seen.method == "getChatHistory"]
    assert min(seen.at for seen in gateway.requests if seen.method == "media") > max(histories)
    asked = gateway.count("media")
    assert main(["sync", "recent"]) == 0
    assert gateway.count("media") == asked


async def test_a_sync_does_not_fail_where_no_file_can_be_had(gateway: Gateway, tmp_path: Path) -> None:
    gateway.faults.expired_media = True
    home = tmp_path
    extras = Extras(media=MediaWishes(home, "127.0.0.1", 1000))
    with OpenWriter(home / "whatsapp_chats.db", extras) as writer:
        async with GreenApi(
            Credentials(gateway.url, gateway.id_instance, gateway.token), rate_scale=1000, clock=Hurried()
        ) as api:
            full = await full_sync(api, writer, Hurried())
            recent = await sync_recent(api, writer, Hurried())
    assert (full.state, recent.state) == ("complete", "complete")
    assert any("tried again later" in note for note in full.notes)
    assert files(home) == []


def test_only_the_kinds_that_are_wanted_come(synced: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: Any, home: Path) -> None:
    monkeypatch.setenv("MEDIA_KINDS", "sticker, document")
    said(capsys, "media", "download")
    assert {path.parent.name for path in files(home)} <= {"stickers", "documents"}
    report = said(capsys, "media", "status")
    assert any("MEDIA_KINDS" in reason["why"] for reason in report["reasons"])


def test_again_tries_what_has_expired(synced: Gateway, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    import sqlite3

    with sqlite3.connect(home / "whatsapp_chats.db") as connection:
        connection.execute("UPDATE media_download_queue SET download_status = 'expired'")
    connection.close()
    assert said(capsys, "media", "download")["stored"] == 0
    assert said(capsys, "media", "download", "--again", "--limit", "5")["stored"] == 5


def test_clean_shows_what_it_would_remove_and_removes_it_only_after_a_yes(
    synced: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "media", "download", "--limit", "5")
    kept = set(files(home))
    orphan, part = home / "media/images/0123456789abcdef0123456789abcdef.jpg", home / "media/temp/x.part"
    orphan.write_bytes(bytes(2_000))
    part.write_bytes(bytes(500))
    assert main(["media", "clean"]) == 0
    shown = capsys.readouterr().out
    assert "1 orphaned file, 2.0 kB" in shown
    assert "1 temporary file, 500 bytes" in shown
    assert "Nothing was removed" in shown
    assert orphan.exists()
    assert said(capsys, "media", "clean", "--yes") | {"files": []} == {"files": [], "removed": 2, "freed_bytes": 2_500}
    assert set(files(home)) == kept
    assert said(capsys, "media", "clean", "--yes")["removed"] == 0


def test_clean_never_touches_what_is_not_in_its_folders(
    synced: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "media", "download", "--limit", "1")
    mine = [home / "media/notes.txt", home / "media/images/mine/x.jpg", home / "exports/x.zip"]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert main(["media", "clean", "--yes"]) == 0
    assert all(path.exists() for path in mine)


def test_verify_sees_a_missing_file_at_once_and_a_changed_letter_when_it_is_thorough(
    synced: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "media", "download", "--limit", "10")
    assert said(capsys, "verify", "--thorough")["clean"]
    one, other = files(home)[:2]
    content = bytearray(one.read_bytes())
    content[-1] ^= 1
    one.write_bytes(content)
    assert said(capsys, "verify")["clean"]
    (finding,) = said(capsys, "verify", "--thorough", code=1)["findings"]
    assert (finding["rung"], one.name in finding["what"]) == ("media", True)
    other.unlink()
    (finding,) = said(capsys, "verify", code=1)["findings"]
    assert (finding["rung"], other.name in finding["what"]) == ("media", True)


def test_a_lost_file_is_fetched_again(synced: Gateway, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "media", "download")
    lost = files(home)[0]
    lost.unlink()
    assert said(capsys, "media", "download")["stored"] >= 1
    assert lost.exists()
    assert said(capsys, "verify", "--thorough")["clean"]


def test_status_and_doctor_tell_of_files(synced: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "media", "download", "--limit", "5")
    status = said(capsys, "status")
    assert status["files"]["stored"] == 5
    assert main(["status"]) == 0
    assert "Files        5 stored" in capsys.readouterr().out
    checks = said(capsys, "doctor", code=main(["doctor"]))["checks"]
    (check,) = [check for check in checks if check["name"] == "files"]
    assert check["finding"].startswith("5 files are stored")


def test_an_export_packs_the_stored_files_once(synced: Gateway, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3
    from zipfile import ZipFile

    said(capsys, "media", "download")
    connection = sqlite3.connect(home / "whatsapp_chats.db")
    chat, count = connection.execute(
        "SELECT chat_id, count(DISTINCT local_media_path) FROM messages WHERE local_media_path IS NOT NULL"
        " GROUP BY chat_id ORDER BY count(*) DESC LIMIT 1"
    ).fetchone()
    connection.close()
    export = said(capsys, "export", str(chat), "--include-media")
    assert export["files"] == count
    with ZipFile(export["path"]) as pack:
        assert len(pack.namelist()) == count + 1


def test_without_an_archive_each_command_says_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["download"], ["status"], ["clean"]):
        assert main(["--home", str(home), "media", *words]) != 0
        assert "Traceback" not in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("MEDIA_KINDS", "pictures"), ("MEDIA_MAX_FILE_MB", "0"), ("MEDIA_MAX_TOTAL_GB", "much"), ("MEDIA_DOWNLOAD", "maybe")],
)
def test_a_setting_that_cannot_be_meant_is_named(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["--home", str(home), "media", "status"]) == 2
    assert name in capsys.readouterr().err
