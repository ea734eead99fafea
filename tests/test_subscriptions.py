"""A client that subscribes hears of new messages that another process stores, and of nothing else; over real stdio."""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from book_club import DANA_COHEN, DANA_LEVI, GROUP, book_club, incoming, open_archive, receive
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated
from small_archive import SmallArchive, at
from test_server_stdio import INITIALIZE, SERVER, Child, child, environment

from whatsapp_mcp.queries import watching
from whatsapp_mcp.queries.watching import Place, Watch
from whatsapp_mcp.server import subscriptions
from whatsapp_mcp.server.build import build_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.app import Archive

SECONDS = 20.0
"""Longer than anything here takes: it only bounds what has gone wrong."""


class Listener:
    """A client of 2025 that reads all the time."""

    def __init__(self, server: Child) -> None:
        self.server = server
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self.number = 0
        self.capabilities: dict[str, Any] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.server.process.stdout is not None
        for line in self.server.process.stdout:
            self.lines.put(json.loads(line))

    def next(self) -> dict[str, Any]:
        return self.lines.get(timeout=SECONDS)

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self.number += 1
        self.server.tell(method, params, id=self.number)
        answer = self.next()
        assert answer.get("id") == self.number, f"heard {answer} instead of the answer"
        return answer

    def begin(self) -> None:
        self.capabilities = self.ask("initialize", INITIALIZE)["result"]["capabilities"]
        self.server.tell("notifications/initialized")

    def subscribe(self, uri: str) -> dict[str, Any]:
        return self.ask("resources/subscribe", {"uri": uri})

    def updated(self) -> str:
        heard = self.next()
        assert heard["method"] == "notifications/resources/updated"
        return str(heard["params"]["uri"])


@pytest.fixture
def listener(home: Path) -> Iterator[Listener]:
    with child(home) as server:
        heard = Listener(server)
        heard.begin()
        yield heard


def store(archive: Archive, chat: str, sender: str, number: int) -> None:
    with archive.writer() as writer:
        receive(writer, chat, [incoming(number, f"news {number}", chat=chat, sender=sender)])


def number_of(archive: Archive, chat: str) -> int:
    return archive.queries.find_chat(chat).id


def test_a_client_of_2025_hears_of_its_chat_until_it_unsubscribes(home: Path, listener: Listener) -> None:
    archive = book_club(home)
    dana, group = (f"whatsapp://chats/{number_of(archive, chat)}" for chat in (DANA_LEVI, GROUP))
    assert listener.capabilities["resources"] == {"subscribe": True, "listChanged": False}
    assert listener.subscribe(dana)["result"] == {}
    store(archive, DANA_COHEN, DANA_COHEN, 901)
    store(archive, DANA_LEVI, DANA_LEVI, 902)
    assert listener.updated() == dana
    read = listener.ask("resources/read", {"uri": dana})["result"]["contents"][0]["text"]
    assert "news 902" in read
    assert listener.ask("resources/unsubscribe", {"uri": dana})["result"] == {}
    assert listener.ask("resources/unsubscribe", {"uri": dana})["result"] == {}
    listener.subscribe(group)
    store(archive, DANA_LEVI, DANA_LEVI, 903)
    store(archive, GROUP, DANA_LEVI, 904)
    assert listener.updated() == group
    assert listener.lines.empty()


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("whatsapp://chats/99", "There is no chat"),
        ("whatsapp://chats/x", "One can subscribe to"),
        ("whatsapp://status", "One can subscribe to"),
        ("whatsapp://chats/1/messages/2025-13", "no such date"),
        ("https://example.org/chats/1", "One can subscribe to"),
    ],
)
async def test_what_cannot_be_subscribed_to_is_refused_in_one_line(home: Path, uri: str, told: str) -> None:
    server, _ = build_server(book_club(home))
    async with Client(server, mode="legacy") as client:
        with pytest.raises(MCPError) as refused:
            await client.subscribe_resource(uri)
    assert refused.value.code == -32602
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_subscription_outlives_an_archive_that_is_missing_and_one_that_is_exchanged(home: Path, listener: Listener) -> None:
    assert "There is no archive yet." in listener.subscribe("whatsapp://chats/1")["error"]["message"]
    listener.subscribe("whatsapp://chats")
    archive = book_club(home)
    assert listener.updated() == "whatsapp://chats"
    archive.queries.close()
    database = archive.database
    copy = database.read_bytes()
    listener.subscribe("whatsapp://chats/1")
    for path in home.glob(f"{database.name}*"):
        path.unlink()
    assert "error" in listener.ask("resources/read", {"uri": "whatsapp://chats/1"})
    other = home / "other.db"
    other.write_bytes(copy)
    other.replace(database)
    heard = {listener.updated(), listener.updated()}
    assert heard == {"whatsapp://chats", "whatsapp://chats/1"}


def test_a_client_that_leaves_with_subscriptions_leaves_nothing_behind(home: Path) -> None:
    book_club(home)
    with child(home) as server:
        server.ask("initialize", INITIALIZE)
        server.ask("resources/subscribe", {"uri": "whatsapp://chats/1"})
        out, err = server.process.communicate(timeout=SECONDS)
    assert (server.process.returncode, out, err) == (0, "", "")


async def test_a_client_of_2026_hears_of_its_chat_and_of_new_chats_while_it_listens(home: Path) -> None:
    archive = book_club(home)
    dana = f"whatsapp://chats/{number_of(archive, DANA_LEVI)}"
    month = f"{dana}/messages/2025-08"
    other = f"{dana}/messages/2025-07"
    parameters = StdioServerParameters(command=sys.executable, args=[SERVER], env=environment(home), cwd=home.parent)
    async with Client(parameters) as client:
        with anyio.fail_after(SECONDS):
            assert client.server_capabilities.resources is not None
            assert client.server_capabilities.resources.subscribe
            addresses = [dana, month, other, "whatsapp://chats/99"]
            async with client.listen(resource_subscriptions=addresses, resources_list_changed=True) as heard:
                assert heard.honored.resource_subscriptions == [dana, month, other]
                await anyio.to_thread.run_sync(store, archive, DANA_LEVI, DANA_LEVI, 902)
                events = {await anext(heard), await anext(heard)}
                assert events == {ResourceUpdated(dana), ResourceUpdated(month)}
                await anyio.to_thread.run_sync(store, archive, "15550100045@c.us", DANA_LEVI, 903)
                assert await anext(heard) == ResourcesListChanged()
            with pytest.raises(MCPError, match="There is no chat"):
                async with client.listen(resource_subscriptions=["whatsapp://chats/99"]):
                    pass
            listed = {each.uri for each in (await client.list_resources()).resources}
    assert f"whatsapp://chats/{number_of(archive, '15550100045@c.us')}" in listed


def test_a_hidden_chat_cannot_be_subscribed_to_and_is_told_like_one_that_does_not_exist(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = book_club(home)
    hidden, seen = (number_of(archive, chat) for chat in (DANA_LEVI, GROUP))
    settings = environment(home) | {"WHATSAPP_MCP_HIDDEN_CHATS": "Dana Levi"}
    monkeypatch.setattr("test_server_stdio.environment", lambda _home: settings)
    with child(home) as server:
        listener = Listener(server)
        listener.begin()
        refused, unknown = (listener.subscribe(f"whatsapp://chats/{chat}")["error"]["message"] for chat in (hidden, 99))
        assert refused == unknown.replace("99", str(hidden))
        listener.subscribe("whatsapp://chats")
        listener.subscribe(f"whatsapp://chats/{seen}")
        store(archive, DANA_LEVI, DANA_LEVI, 902)
        store(archive, GROUP, DANA_LEVI, 903)
        assert {listener.updated(), listener.updated()} == {"whatsapp://chats", f"whatsapp://chats/{seen}"}
        assert listener.lines.empty()


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_nobody_looks_before_the_first_subscription_and_after_the_last(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    looked, closed = anyio.Event(), anyio.Event()

    class Counted(Watch):
        def look(self, places: Any) -> Any:
            looks.append(len(places))
            anyio.from_thread.run_sync(looked.set)
            return super().look(places)

        def close(self) -> None:
            super().close()
            closed.set()

    monkeypatch.setattr("whatsapp_mcp.queries.Watch", Counted)
    monkeypatch.setattr(subscriptions, "LOOK_SECONDS", 0.01)
    book_club(home)
    server, _ = build_server(open_archive(home))
    async with Client(server, mode="legacy") as client:
        with anyio.fail_after(SECONDS):
            await client.read_resource("whatsapp://chats/1")
            assert looks == []
            await client.subscribe_resource("whatsapp://chats/1")
            await client.subscribe_resource("whatsapp://chats/1")
            await looked.wait()
            assert not closed.is_set()
            await client.unsubscribe_resource("whatsapp://chats/1")
            await closed.wait()
    assert set(looks) <= {1, 0}


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_client_cannot_hold_any_number_of_subscriptions(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 2)
    book_club(home)
    server, _ = build_server(open_archive(home))
    async with Client(server, mode="legacy") as client:
        await client.subscribe_resource("whatsapp://chats/1")
        await client.subscribe_resource("whatsapp://chats/2")
        with pytest.raises(MCPError, match="There are 2 subscriptions already"):
            await client.subscribe_resource("whatsapp://chats/3")


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_the_account_of_what_was_read_has_the_subscriptions_too(home: Path) -> None:
    server, _ = build_server(book_club(home))
    async with Client(server, mode="legacy") as client:
        await client.subscribe_resource("whatsapp://chats/1")
        with pytest.raises(MCPError):
            await client.subscribe_resource("whatsapp://chats/99")
    (log,) = (home / "logs").glob("access-*.log")
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(each["kind"], each["name"], each["ok"], each["chats"]) for each in told] == [
        ("subscription", "whatsapp://chats/1", True, [1]), ("subscription", "whatsapp://chats/99", False, []),
    ]  # fmt: skip


def test_a_watch_tells_each_place_once_and_only_what_is_new_in_it(tmp_path: Path) -> None:
    rows = SmallArchive(tmp_path)
    dana, noam = (rows.private(rows.contact(f"1555010001{number}", name)) for number, name in ((1, "Dana"), (2, "Noam")))
    rows.message(dana, 1, "2025-08-14 10:30", "before")
    month = Place(dana, at("2025-08-01 00:00"), at("2025-09-01 00:00"))
    places = {Place(), Place(dana), Place(noam), month}
    watch = Watch(rows.queries.database)
    watch.begin()
    assert watch.look(places).places == frozenset()
    rows.message(dana, 1, "2025-07-01 10:30", "an older one, fetched only now")
    assert watch.look(places).places == {Place(), Place(dana)}
    assert watch.look(places).places == frozenset()
    rows.message(dana, 1, "2025-08-15 10:30", "a new one")
    assert watch.look(places).places == {Place(), Place(dana), month}
    rows.connection.execute("UPDATE contacts SET name = 'Dana L.' WHERE contact_id = 1")
    found = watch.look(places)
    assert (found.places, found.has_new_chats) == (frozenset(), False)
    rows.private(rows.contact("15550100013", "Ruth"))
    assert watch.look(places).has_new_chats
    watch.close()
    rows.close()


def test_what_came_while_a_look_failed_is_told_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SmallArchive(tmp_path)
    dana = rows.private(rows.contact("15550100011", "Dana"))
    watch = Watch(rows.queries.database)
    watch.begin()
    rows.message(dana, 1, "2025-08-14 10:30", "new")
    with monkeypatch.context() as broken:
        broken.setattr(watching, "_NEW", "SELECT nothing FROM nowhere WHERE 1 > ?")
        assert watch.look({Place(dana)}).places == frozenset()
    assert watch.look({Place(dana)}).places == {Place(dana)}
    watch.close()
    rows.close()
