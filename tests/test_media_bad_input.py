"""What a stranger may send as a file, and what a host may answer: refused or contained, recorded, one line in the log."""

from __future__ import annotations

import logging
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from media_host import QUICK, media_desk, picture

from whatsapp_mcp.media.addresses import Refused, checked, redirected
from whatsapp_mcp.media.contents import by_signature, identify

if TYPE_CHECKING:
    from pathlib import Path

    from media_host import MediaDesk

NAMES = [
    "../../../../etc/cron.d/x.jpg", "/etc/passwd", r"C:\Windows\System32\x.dll", r"..\..\x.exe", "CON", "NUL.jpg", "a" * 500,
    "invoice\u202egpj.exe", "", "   ", ".", "..", "x\0y.jpg", "a/b/c.jpg", "-rf", "x.jpg\n", "~/.ssh/id", "$(x).jpg", "|x",
]  # fmt: skip


def big_png(side: int) -> bytes:
    """A PNG of that many pixels square in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_name_from_outside_is_never_a_part_of_a_path(home: Path, name: str) -> None:
    async with media_desk(home) as desk:
        path = desk.offer(1, picture(1))
        desk.send(desk.message(2, desk.host.url + path, "document", fileName=name))
        assert (await desk.download()).stored == 2
        (stored,) = desk.stored()
        assert stored.rpartition("/")[2].partition(".")[0].isalnum()
        assert len(stored) < 60
        assert only_ours(home)


def only_ours(home: Path) -> bool:
    """Nothing stands beside the archive, and in it nothing but the database and the media folder."""
    inside = {path.relative_to(home).parts[0].removesuffix("-wal").removesuffix("-shm") for path in home.rglob("*")}
    return inside <= {"media", "whatsapp_chats.db"} and list(home.parent.iterdir()) == [home]


async def test_a_gif_that_says_it_is_a_pdf_is_stored_as_a_gif_and_noted(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with media_desk(home) as desk:
        path = desk.offer(1, b"GIF89a" + bytes(50))
        desk.send(desk.message(1, desk.host.url + path, "document", fileName="report.pdf", mimeType="application/pdf"))
        assert (await desk.download()).stored == 1
        (stored,) = desk.stored()
        assert stored.endswith(".gif")
        assert desk.rows("SELECT mime_type FROM media_files") == [("image/gif",)]


async def test_zero_bytes_are_no_file(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"")
        outcome = await desk.download()
        assert (outcome.stored, outcome.put_off) == (0, 1)
        assert desk.state()[3] == "The file is empty."
        assert desk.stored() == {}


async def test_a_picture_of_a_billion_pixels_is_stored_and_not_unpacked(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, big_png(30_000))
        assert (await desk.download()).stored == 1
        assert next(iter(desk.stored())).endswith(".png")


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://other.example/x", "another host"), ("file:///etc/passwd", "leads to file"), ("ftp://x.example/x", "to ftp"),
        ("http://169.254.169.254/latest", "into this computer or its network"), ("http://localhost/x", "into this computer"),
        ("http://user:secret@127.0.0.1/x", "no plain host"), ("http://[::1]/x", "into this computer"),
        ("http://[bad", "no address"), ("http://2130706433/x", "into this computer"), ("gopher:", "leads to gopher"),
    ],
)  # fmt: skip
async def test_a_redirect_out_of_bounds_is_refused_and_recorded(
    home: Path, location: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with media_desk(home) as desk:
        desk.offer(1, b"", status=302, location=location)
        assert (await desk.download()).failed == 1
        assert why in desk.state()[3]
        lines = [record.getMessage() for record in caplog.records if "The file of m1" in record.getMessage()]
        assert len(lines) == 1
        assert desk.host.url not in caplog.text
        assert "secret" not in caplog.text


async def test_a_redirect_in_a_circle_ends(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"", status=302, location="/file1")
        assert (await desk.download()).failed == 1
        assert desk.host.count("/file1") == 5


async def test_a_redirect_within_the_host_is_followed(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"", status=307, location="/file2")
        desk.offer(2, picture(2))
        assert (await desk.download()).stored == 2


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:image/png;base64,AA", "javascript:1", "http://127.0.0.2/x", "http:"]
)
async def test_a_link_that_leads_elsewhere_than_to_a_public_host_is_not_asked(home: Path, url: str) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"")
        with desk.writer() as writer:
            writer.store.connection.execute("UPDATE media_download_queue SET media_url = ?", (url,))
        outcome = await desk.download()
        assert (outcome.failed, desk.host.asked) == (1, [])


async def test_a_host_that_sends_for_ever_is_cut_off_at_the_limit(home: Path) -> None:
    async with media_desk(home, file_bytes=1_000_000) as desk:
        desk.offer(1, JPEG_START, endless=True, length=-1)
        outcome = await desk.download()
        assert outcome.skipped == 1
        assert desk.state()[0::3] == ("skipped", "It is larger than MEDIA_MAX_FILE_MB.")
        assert desk.host.sent < 20_000_000
        assert desk.stored() == {}


JPEG_START = picture(1, 2_000)


async def test_a_page_of_a_proxy_is_not_taken_for_a_picture(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, b"<!DOCTYPE html><html><body>Please log in</body></html>")
        assert (await desk.download()).put_off == 1
        assert desk.state()[3] == "A web page came instead of the file."
        assert desk.stored() == {}


async def test_a_body_that_is_packed_although_nobody_asked_for_it_is_refused(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, zlib.compress(bytes(10_000_000)), headers={"Content-Encoding": "deflate"})
        assert (await desk.download()).put_off == 1
        assert desk.stored() == {}


async def test_no_address_and_no_name_stand_in_the_log(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with media_desk(home) as desk:
        populate(desk)
        await desk.download(limits=QUICK)
        ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "asyncio")
        assert "/file" not in ours
        assert "private" not in ours


def populate(desk: MediaDesk) -> None:
    path = desk.offer(1, picture(1))
    desk.send(desk.message(2, desk.host.url + path, fileName="private.jpg", mimeType="private/secret"))
    desk.offer(3, b"", status=404)
    desk.offer(4, b"", status=302, location="file:///private")


@pytest.mark.parametrize(
    ("head", "mime_type", "ending"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(20), "image/jpeg", ".jpg"), (b"GIF89a" + bytes(20), "image/gif", ".gif"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "image/png", ".png"), (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp", ".webp"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video/mp4", ".mp4"), (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4", ".m4a"),
        (b"%PDF-1.7\n", "application/pdf", ".pdf"), (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg", ".mp3"),
        ("Grüße, 你好\n".encode(), "text/plain", ".txt"),
        (b"\x01\x02\x03\x99\x98\x00\x7f\x1b", "application/octet-stream", ".bin"),
        (b"", "application/octet-stream", ".bin"), (b"BEGIN:VCARD\nVERSION:3.0\n", "text/vcard", ".vcf"),
        (b"MZ is how this text begins", "text/plain", ".txt"), (b"BMX is a sport", "text/plain", ".txt"),
    ],
)  # fmt: skip
def test_a_type_is_what_the_content_says(head: bytes, mime_type: str, ending: str) -> None:
    assert by_signature(head) == (mime_type, ending)


@pytest.mark.parametrize("ending", ["jpg", "webp", "ogg", "mp3", "mp4", "pdf", "zip"])
def test_the_files_of_the_simulated_account_are_known(tmp_path: Path, ending: str) -> None:
    from whatsapp_mcp.demo.pictures import file_bytes

    path = tmp_path / "x"
    body = file_bytes(f"x.{ending}")
    path.write_bytes(body)
    assert identify(path).ending == f".{ending}"


def test_a_zip_that_lies_about_itself_is_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for body in (b"PK\x03\x04", b"PK\x05\x06" + b"\xff" * 18, b"PK\x03\x04" + bytes(5_000)):
        path.write_bytes(body)
        assert identify(path).ending == ".zip"


def test_an_ole_file_is_read_without_belief_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "x"
    body = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 600
    path.write_bytes(body)
    assert identify(path).ending == ".ole"


def test_a_storage_may_be_redirected_to_and_a_stranger_may_not() -> None:
    own = "7105.api.greenapi.com"
    assert redirected(f"https://{own}/x", "https://sw-media.storage.yandexcloud.net/1/a.jpg", own)
    for bad in (
        "https://yandexcloud.net.evil.example/",
        "http://sw-media.storage.yandexcloud.net/x",
        "https://evilyandexcloud.net/",
    ):
        with pytest.raises(Refused):
            redirected(f"https://{own}/x", bad, own)
    with pytest.raises(Refused):
        checked("http://127.0.0.1/x", own)
    assert checked("http://127.0.0.1:1/x", "127.0.0.1")
