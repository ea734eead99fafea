"""Files of strangers are opened in a process of their own: whatever they do there, the server goes on and ends as it should."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from book_club import book_club
from files_of_strangers import endless_jpeg, pdf, photograph
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp.types import ImageContent, TextContent
from odd_readers import same, told_and_hanging
from test_media_answers import SHA, sent

from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.errors import UnreadableFile
from whatsapp_mcp.media.aside import Aside
from whatsapp_mcp.media.looking import NO_FACTS, Facts
from whatsapp_mcp.media.seeing import Eyes, see_stored
from whatsapp_mcp.media.thumbnails import Seen, thumbnail_path
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.server.pictures import media_answer
from whatsapp_mcp.server.viewing import Viewer
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.app import Archive

SERVER = str(Path(__file__).parents[1] / "server.py")
STARTER = """
import sys
sys.path[:0] = {path!r}
from odd_readers import chatter, told_and_hanging
from whatsapp_mcp.media.aside import Aside
if __name__ == "__main__":
    with Aside(chatter) as reader:
        reader.call(60)
    Aside(told_and_hanging).call(600, sys.argv[1])
"""


def number_in(path: Path) -> int:
    """The number in a file that is about to be written."""
    for _ in range(6000):
        with suppress(OSError):
            return int(path.read_text(encoding="ascii"))
        time.sleep(0.01)
    raise TimeoutError(path)


def ends(pid: int) -> bool:
    """Whether a process is gone within a minute; one that nobody has asked after yet counts as gone."""
    for _ in range(6000):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if not state.stdout.strip() or state.stdout.startswith("Z"):
            return True
        time.sleep(0.01)
    return False


def test_a_reader_writes_nothing_to_the_output_of_its_starter_and_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "starter.py"
    script.write_text(STARTER.format(path=[str(Path(__file__).parent), str(Path(__file__).parents[1])]), encoding="utf-8")
    starter = subprocess.Popen([sys.executable, script, tmp_path / "pid"], stdout=subprocess.PIPE)
    try:
        reader = number_in(tmp_path / "pid")
    finally:
        starter.kill()
        said, _ = starter.communicate(timeout=60)
    assert ends(reader)
    assert said == b""


def test_a_reader_is_ended_by_another_thread_in_the_middle_of_a_file_and_leaves_no_process(tmp_path: Path) -> None:
    reader, said = Aside(told_and_hanging), list[str]()

    def call() -> None:
        try:
            reader.call(600, str(tmp_path / "pid"))
        except UnreadableFile as error:
            said.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    pid = number_in(tmp_path / "pid")
    reader.end()
    thread.join(60)
    assert not thread.is_alive()
    assert "crash" in said[0]
    with pytest.raises(ProcessLookupError):  # it was waited for, or it would still be there
        os.kill(pid, 0)


def test_threads_take_turns_at_one_reader() -> None:
    with Aside(same) as reader:
        got: list[tuple[int, int]] = []
        threads = [threading.Thread(target=lambda n=n: got.append((n, reader.call(60, n)))) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(got) == [(n, n) for n in range(20)]


def test_a_picture_that_takes_for_ever_is_not_shown_and_the_next_one_is(home: Path) -> None:
    archive = book_club(home)
    handle = sent(archive, "imageMessage", photograph())
    file = home / "media/documents/x.bin"
    file.write_bytes(endless_jpeg())
    viewer = Viewer(0.5)
    try:
        facts, *others = media_answer(archive, handle, viewer).content
        assert isinstance(facts, TextContent)
        assert "It cannot be shown: Reading the file took too long." in facts.text
        assert not [one for one in others if isinstance(one, ImageContent)]
        file.write_bytes(photograph())
        patient = Viewer()
        assert any(isinstance(one, ImageContent) for one in media_answer(archive, handle, patient).content)
        patient.end()
    finally:
        viewer.end()


def test_a_file_that_takes_for_ever_is_looked_at_in_vain_and_the_next_one_is_seen(home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "a").write_bytes(endless_jpeg())
    with Eyes(0.5) as eyes:
        assert eyes.see(home, SHA, "a", "image/jpeg") == Seen(NO_FACTS, None)
    (home / "a").write_bytes(photograph((300, 200)))
    with Eyes() as eyes:
        assert eyes.see(home, SHA, "a", "image/jpeg") == Seen(Facts(300, 200), thumbnail_path(SHA))
        assert eyes.see(home, SHA, "a", "text/plain").facts == NO_FACTS


async def test_a_thumbnail_that_the_disk_refuses_is_made_another_time(home: Path) -> None:
    archive = book_club(home)
    handle = sent(archive, "imageMessage", photograph())
    (home / thumbnail_path(SHA)).unlink()
    (home / thumbnail_path(SHA)).mkdir()
    with archive.writer() as writer:
        writer.store.connection.execute("UPDATE media_files SET looked_at = NULL")
        writer.store.connection.commit()
        with pytest.raises(OSError):  # noqa: PT011 - which one is the system's choice
            await see_stored(Pen(writer), home, SystemClock())
        (home / thumbnail_path(SHA)).rmdir()
        assert await see_stored(Pen(writer), home, SystemClock()) == 1
    media = archive.queries.get_message(handle).media
    assert media is not None
    assert media.thumbnail == thumbnail_path(SHA)


@pytest.mark.parametrize(
    "path", ["../outside.png", "/etc/passwd", "media", "whatsapp_chats.db", "media/\0x", "media/" + "a" * 5000]
)
async def test_a_path_that_is_none_is_no_stored_file(home: Path, path: str) -> None:
    archive = book_club(home)
    handle = sent(archive, "imageMessage", photograph())
    with archive.writer() as writer:
        writer.store.connection.execute("UPDATE messages SET local_media_path = ? WHERE message_id = ?", (path, handle[1:]))
        writer.store.connection.commit()
    (facts,) = media_answer(archive, handle, Viewer()).content
    assert isinstance(facts, TextContent)
    assert "gone from the disk" in facts.text


async def test_a_link_in_the_media_folder_that_leads_out_of_it_is_no_stored_file(home: Path) -> None:
    archive = book_club(home)
    handle = sent(archive, "imageMessage", photograph())
    file = home / "media/documents/x.bin"
    file.rename(home.parent / "secret.jpg")
    file.symlink_to(home.parent / "secret.jpg")
    (facts,) = media_answer(archive, handle, Viewer()).content
    assert isinstance(facts, TextContent)
    assert "gone from the disk" in facts.text


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="only on POSIX are there such rights")
async def test_a_file_that_may_not_be_read_is_said_to_be_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        archive = book_club(home)
        handle = sent(archive, "imageMessage", photograph())
        archive.queries.close()
        open_to_all(Path(folder))
        (home / "media/documents/x.bin").chmod(0)
        server, _ = build_server(archive)
        with somebody_else():
            async with Client(server) as client:
                with pytest.raises(MCPError, match="cannot be read: Permission denied"):
                    await client.read_resource(f"whatsapp://media/{handle[1:]}")
                assert not (await client.call_tool("get_media", {"message": handle})).is_error


def open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything, so root becomes nobody meanwhile; anybody else is already somebody without that right."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


# The server as clients start it


def served(archive: Archive, tmp_path: Path) -> StdioServerParameters:
    env = {"WHATSAPP_MCP_HOME": str(archive.home), "PATH": os.environ["PATH"]}
    return StdioServerParameters(command=sys.executable, args=[SERVER], env=env, cwd=str(tmp_path))


async def test_over_stdio_pictures_come_by_the_same_connection_as_everything_else(home: Path, tmp_path: Path) -> None:
    archive = book_club(home)
    handle = sent(archive, "imageMessage", photograph())
    file = home / "media/documents/x.bin"
    async with Client(served(archive, tmp_path)) as client:
        for data in (photograph((1200, 800)), b"\xff\xd8\xff" + bytes(500), pdf("Invoice")):
            file.write_bytes(data)
            answer = await client.call_tool("get_media", {"message": handle})
            assert not answer.is_error
            assert answer.structured_content is None
            assert any(isinstance(one, ImageContent) for one in answer.content) == (len(data) != 503)
        (content,) = (await client.read_resource(f"whatsapp://media/{handle[1:]}")).contents
        assert content.mime_type == "application/pdf"
        with file.open("wb") as large:
            large.truncate(100_000_000)
        with pytest.raises(MCPError, match="too large to be shown here; it is at"):
            await client.read_resource(f"whatsapp://media/{handle[1:]}")


async def test_while_a_file_takes_for_ever_other_questions_are_answered_and_the_server_ends_at_once(
    home: Path, tmp_path: Path
) -> None:
    archive = book_club(home)
    handle = sent(archive, "imageMessage", photograph())
    (home / "media/documents/x.bin").write_bytes(endless_jpeg())
    async with Client(served(archive, tmp_path)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "get_media", {"message": handle})
        reader = await anyio.to_thread.run_sync(reader_of_our_server)
        assert not (await client.call_tool("list_chats", {})).is_error
        tasks.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(ends, reader)


def reader_of_our_server() -> int:
    """The process that our server's child is, once it is there."""
    for _ in range(6000):
        listed = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        servers = {pid for pid, parent, what in rows if SERVER in what and parent == str(os.getpid())}
        for pid, parent, what in rows:
            if parent in servers and "spawn_main" in what:
                return int(pid)
        time.sleep(0.01)
    raise TimeoutError
