"""Hosts and files that mean harm: ways into this network, files made of two, waits without end, runs that one file ends."""

from __future__ import annotations

import asyncio
import io
import lzma
import os
import socket
import stat
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from media_host import QUICK, Hurried, Served, id_of, link_to, media_desk, picture

from whatsapp_mcp.media.addresses import Refused, checked, leads_inside
from whatsapp_mcp.media.contents import identify
from whatsapp_mcp.media.downloading import Limits
from whatsapp_mcp.media.files import Part
from whatsapp_mcp.media.housekeeping import litter, losses
from whatsapp_mcp.media.transfer import Patience, Transfers, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from media_host import MediaDesk

OWN = "7105.api.greenapi.com"
NOBODY = "http://127.0.0.1:9/x"
IMPATIENT = Limits(patience=Patience(least=0.5, most=0.5, grace=0.1), reserve=0)


@dataclass
class Script:
    """A host that says the next of its lines to each connection, and what it was asked."""

    lines: list[list[bytes]]
    """For each connection the pieces that are sent; the last one again and again where `endless`."""
    endless: bool = False
    heads: list[str] = field(default_factory=list)
    url: str = ""
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self.tasks.append(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
            pieces = self.lines[min(len(self.heads), len(self.lines)) - 1]
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while self.endless and not writer.is_closing():
                await asyncio.sleep(0.01)
                writer.write(pieces[-1])
                await writer.drain()
        writer.close()


@asynccontextmanager
async def saying(*lines: list[bytes], endless: bool = False) -> AsyncIterator[Script]:
    script = Script(list(lines), endless)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        await asyncio.gather(*script.tasks)


def answer(
    status: int, body: bytes, *, length: int | None = None, told: dict[str, str] | None = None, **headers: str
) -> list[bytes]:
    named = {"Content-Length": str(len(body) if length is None else length), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in {**headers, **(told or {})}.items()}
    return [
        "".join([f"HTTP/1.1 {status} Said\r\n", *(f"{name}: {value}\r\n" for name, value in named.items()), "\r\n"]).encode(),
        body,
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost./x", "HTTP://LOCALHOST./x", "http://printer.local./x", "http://127.0.0.1./x", "http://nas.home.arpa/x",
        "http://[::ffff:127.0.0.1]/x", "http://[::ffff:7f00:1]/x", "http://[64:ff9b::7f00:1]/x", "http://[2002:7f00:1::]/x",
        "http://[::127.0.0.1]/x", "http://[fec0::1]/x", "http://[fe80::1%25eth0]/x", "http://224.0.0.1/x", "http://[ff02::1]/x",
        "http://0/x", "http://127.1/x", "http://0x7f000001/x", "http://0177.0.0.1/x", "http://100.64.0.1/x", "http://198.18.0.1/x",
        "http://public.example\\@127.0.0.1/x",
    ],
)  # fmt: skip
def test_no_spelling_of_an_address_leads_into_this_computer_or_its_network(url: str) -> None:
    with pytest.raises(Refused):
        checked(url, OWN)


@pytest.mark.parametrize(
    ("host", "peer", "inside"),
    [
        ("files.example", "127.0.0.1", True), ("files.example", "::ffff:10.0.0.1", True),
        ("files.example", "fe80::1%eth0", True),
        ("files.example", "", True), ("files.example", "64:ff9b::a00:1", True), ("files.example", "8.8.8.8", False),
        ("files.example", "64:ff9b::808:808", False), ("files.example", "198.18.0.7", False), (OWN, "10.0.0.1", False),
        ("sw-media.storage.yandexcloud.net", "10.0.0.1", False), ("yandexcloud.net.example", "10.0.0.1", True),
    ],
)  # fmt: skip
def test_where_a_connection_ended_decides_and_not_the_name_it_was_made_to(host: str, peer: str, *, inside: bool) -> None:
    assert leads_inside(host, peer, OWN) is inside


def lead_to_loopback(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A resolver that says these names are this computer."""
    ask = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return ask("127.0.0.1" if name in names else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


async def test_a_public_name_that_leads_into_this_computer_is_told_nothing_and_tried_again_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later, because the network of a hotel answers so for every name until somebody has logged in."""
    lead_to_loopback(monkeypatch, "files.example")
    async with media_desk(home) as desk:
        path = desk.offer(1, picture(1))
        give_link(desk, desk.host.url.replace("127.0.0.1", "files.example") + path)
        desk.offer(2, picture(2))
        outcome = await desk.download(with_gateway=False)
        assert (outcome.stored, outcome.put_off) == (1, 1)
        assert desk.host.count(path) == 0
        assert "into this computer" in desk.state(1)[3]


async def test_a_proxy_of_this_network_is_asked_for_a_public_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with media_desk(home) as desk:
        monkeypatch.setenv("HTTP_PROXY", desk.host.url)
        desk.host.files["http://files.example/x"] = Served(picture(1))
        desk.send(desk.message(1, "http://files.example/x"))
        assert (await desk.download()).stored == 1


def give_link(desk: MediaDesk, url: str, number: int = 1) -> None:
    with desk.writer() as writer:
        writer.store.connection.execute(
            "UPDATE media_download_queue SET media_url = ? WHERE message_id = (SELECT message_id FROM messages"
            " WHERE whatsapp_message_id = ?)",
            (url, id_of(number)),
        )


@pytest.mark.parametrize("told", [{"ETag": '"a"'}, {"Last_Modified": "Mon, 01 Sep 2025 10:00:00 GMT"}], ids=["etag", "date"])
async def test_two_states_of_a_file_are_never_put_together_although_their_length_is_the_same(
    home: Path, told: dict[str, str]
) -> None:
    """A storage that knows no If-Range goes on with the new state where the old one was cut."""
    old, new = picture(1, 60_000), picture(2, 60_000)
    name, value = next(iter(told.items()))
    later = {name: value.replace("a", "b").replace("01", "02")}
    async with (
        media_desk(home) as desk,
        saying(
            answer(200, old[:20_000], length=60_000, told=told),
            answer(206, new[20_000:], Content_Range="bytes 20000-59999/60000", told=later),
            answer(200, new, told=later),
        ) as host,
    ):
        desk.send(desk.message(1, host.url + "/x"))
        assert (await desk.download()).stored == 1
        assert list(desk.stored().values()) == [new]
        assert f"if-range: {value.lower()}\r\n" in host.heads[1]
        assert "range:" not in host.heads[2]


async def test_a_rest_of_a_file_of_another_length_is_not_put_to_its_beginning(home: Path) -> None:
    old, new = picture(1, 60_000), picture(2, 50_000)
    async with (
        media_desk(home) as desk,
        saying(
            answer(200, old[:20_000], length=60_000),
            answer(206, new[20_000:], Content_Range="bytes 20000-49999/50000"),
            answer(200, new),
        ) as host,
    ):
        desk.send(desk.message(1, host.url + "/x"))
        assert (await desk.download()).stored == 1
        assert list(desk.stored().values()) == [new]


async def test_a_rest_whose_host_does_not_say_the_whole_length_is_held_against_the_length_said_before(home: Path) -> None:
    body = picture(1, 60_000)
    async with (
        media_desk(home) as desk,
        saying(
            answer(200, body[:20_000], length=60_000),
            answer(206, body[20_000:40_000], Content_Range="bytes 20000-39999/*"),
            answer(206, body[40_000:], Content_Range="bytes 40000-59999/*"),
        ) as host,
    ):
        desk.send(desk.message(1, host.url + "/x"))
        assert (await desk.download()).stored == 1
        assert list(desk.stored().values()) == [body]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nX: ", b"x"],
        [b"HTTP/1.1 103 Early\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"],
    ],
    ids=["a header without an end", "preliminary answers", "a chunk's header without an end", "a body that drips"],
)
async def test_a_host_that_never_falls_silent_and_never_gets_anywhere_is_given_up(home: Path, pieces: list[bytes]) -> None:
    async with media_desk(home) as desk, saying(pieces, endless=True) as host:
        desk.send(desk.message(1, host.url + "/x"))
        outcome = await asyncio.wait_for(desk.download(limits=IMPATIENT), 30)
        assert (outcome.stored, outcome.put_off) == (0, 1)
        assert desk.state()[3] == "The file comes too slowly."


async def test_a_file_that_comes_steadily_may_take_longer_than_the_first_wait(home: Path) -> None:
    body = picture(1, 100_000)
    pieces = [*answer(200, body)[:1], *(body[at : at + 1_000] for at in range(0, 100_000, 1_000))]
    limits = Limits(patience=Patience(least=0.5, most=0.5, grace=0.5, slowest=100), reserve=0)
    async with media_desk(home) as desk, dripping(pieces) as url:
        desk.send(desk.message(1, url + "/x"))
        assert (await desk.download(limits=limits)).stored == 1


@asynccontextmanager
async def dripping(pieces: list[bytes]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.007)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_no_cookie_of_a_host_is_kept(home: Path) -> None:
    async with (
        media_desk(home) as desk,
        saying(answer(302, b"", Location="/2", Set_Cookie="who=you"), answer(200, picture(1))) as host,
    ):
        desk.send(desk.message(1, host.url + "/1"))
        assert (await desk.download()).stored == 1
        assert len(host.heads) == 2
        assert not [head for head in host.heads if "cookie" in head]


async def test_a_redirect_that_leads_nowhere_is_a_failure_and_tried_again(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1), status=304)
        assert (await desk.download()).put_off == 1
        assert desk.state()[3] == "The host answered 304."


async def test_a_link_that_is_no_text_is_refused(tmp_path: Path) -> None:
    async with Transfers(Hurried(), OWN) as transfers:
        with pytest.raises(Refused):
            await transfers.fetch(Wanted("https://files.example/\ud800", 10), Part(tmp_path))


async def test_a_host_that_is_no_more_is_asked_for_at_the_gateway(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.send(desk.message(1, NOBODY))
        desk.host.files["/fresh"] = Served(picture(1))
        desk.links[id_of(1)] = link_to(desk.host.url + "/fresh")
        outcome = await desk.download()
        assert (outcome.stored, outcome.renewed) == (1, 1)


async def test_files_of_a_host_that_is_no_more_hold_no_other_file_up(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        desk.send(*(desk.message(number, NOBODY) for number in range(2, 30)))
        outcome = await desk.download()
        assert (outcome.stored, outcome.put_off, outcome.stopped) == (1, 28, "")


async def test_a_network_that_is_away_with_the_gateway_costs_no_attempts_either(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.send(*(desk.message(number, NOBODY) for number in range(1, 30)))
        desk.gateway.url = "http://127.0.0.1:9"
        outcome = await desk.download()
        assert outcome.is_failure
        assert (outcome.left, desk.rows("SELECT max(attempts) FROM media_download_queue")) == (29, [(0,)])


async def test_fresh_links_to_a_host_that_is_away_are_not_asked_for_without_an_end(home: Path) -> None:
    async with media_desk(home) as desk:
        desk.send(*(desk.message(number, NOBODY) for number in range(1, 101)))
        desk.links["*"] = link_to(NOBODY)
        outcome = await desk.download()
        assert outcome.is_failure
        assert len(desk.gateway.asked) < 60


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
async def test_a_zip_with_a_broken_first_member_is_a_zip_and_does_not_end_the_run(home: Path, method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    body = bytearray(packed.getvalue())
    body[38:60] = bytes(22) if method == zipfile.ZIP_LZMA else b"\xff" * 22
    with pytest.raises((zlib.error, lzma.LZMAError, OSError, zipfile.BadZipFile)), zipfile.ZipFile(io.BytesIO(body)) as archive:
        archive.read("mimetype")
    async with media_desk(home) as desk:
        desk.offer(1, bytes(body), "document")
        desk.offer(2, picture(2))
        assert (await desk.download()).stored == 2
        assert sorted(path.rpartition(".")[2] for path in desk.stored()) == ["jpg", "zip"]


def test_a_zip_whose_directory_lists_one_member_a_million_times_costs_no_memory(tmp_path: Path) -> None:
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    listed = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    path, count = tmp_path / "x", 200_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65_535, 65_535, len(listed) * count, len(local), 0)
    path.write_bytes(local + listed * count + end)
    tracemalloc.start()
    try:
        assert identify(path).ending == ".zip"
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_a_final_name_would_outlast_a_power_cut_before_the_archive_says_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with media_desk(home) as desk:
        desk.offer(1, picture(1))
        synced, sync = [], os.fsync

        def noted(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                said = desk.rows("SELECT local_media_path FROM messages")
                synced.append((len([path for path in desk.stored() if path.startswith("images/")]), said))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", noted)
        assert (await desk.download()).stored == 1
        assert synced[:1] == [(1, [(None,)])]


async def test_files_of_others_in_a_folder_that_temp_is_a_link_to_are_left_alone(home: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "thesis.odt").write_bytes(b"years of work")
    (others / "00ff.part").write_bytes(b"half")
    async with media_desk(home) as desk:
        (home / "media").mkdir(parents=True)
        (home / "media" / "temp").symlink_to(others)
        desk.offer(1, picture(1))
        assert (await desk.download()).stored == 1
        with desk.writer() as writer:
            assert litter(writer.store, home) == []
        assert [path.name for path in others.iterdir()] == ["thesis.odt"]


async def test_the_media_folder_may_be_a_link_to_a_larger_disk(home: Path, tmp_path: Path) -> None:
    (tmp_path / "larger").mkdir()
    async with media_desk(home) as desk:
        desk.send()
        (home / "media").symlink_to(tmp_path / "larger")
        desk.offer(1, picture(1))
        assert (await desk.download(limits=QUICK)).stored == 1
        with desk.writer() as writer:
            assert losses(writer.store, home).missing == ()
