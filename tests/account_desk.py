"""A desk with the simulated account: its gateway, an archive, and a clock that shows the gateway's time unless it is set."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.demo.account import SMALL, Account, Size, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.sync import full_sync, sweep, sync_recent
from whatsapp_mcp.sync.listen import listen
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.entry import Entry
    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome

SCALE = 500
ONE_A_SECOND = frozenset({
    "getStateInstance", "getSettings", "getWaSettings", "getContacts", "getChats", "getChatHistory", "getGroupData",
    "lastIncomingMessages", "lastOutgoingMessages", "lastIncomingCalls", "lastOutgoingCalls",
})  # fmt: skip


class SetClock(Hurried):
    """The gateway's time, and an error in seconds."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.wrong = 0

    def now(self) -> float:
        return float(self._gateway.now + self.wrong)


@dataclass
class AccountDesk:
    path: Path
    gateway: Gateway
    account: Account
    clock: SetClock
    asked: Counter[str] = field(default_factory=Counter)
    """Requests of the last run, by method."""

    async def full(self) -> Outcome:
        return await self.run(full_sync)

    async def recent(self) -> Outcome:
        return await self.run(sync_recent)

    async def drain(self) -> Outcome:
        """Receive what waits in the queue."""
        return await self.run(partial(listen, drain=True))

    async def sweep(self) -> Outcome:
        return await self.run(sweep)

    async def run(self, flow: Callable[..., Awaitable[Outcome]]) -> Outcome:
        before = len(self.gateway.requests)
        credentials = Credentials(self.gateway.url, self.gateway.id_instance, self.gateway.token)
        try:
            with OpenWriter(self.path) as writer:
                async with GreenApi(credentials, rate_scale=SCALE, clock=self.clock) as api:
                    return await flow(api, writer, self.clock)
        finally:
            self.asked = Counter(request.method for request in self.gateway.requests[before:])

    @property
    def asked_slowly(self) -> int:
        """Requests of the last run to methods that allow one a second."""
        return sum(count for method, count in self.asked.items() if method in ONE_A_SECOND)

    def minutes(self) -> int:
        """The window for which incoming messages were asked last."""
        asked = [request.arguments["minutes"] for request in self.gateway.requests if request.method == "lastIncomingMessages"]
        return int(asked[-1])

    def deliver(self, chat: int, text: str, *, after: int = 1, **where: Any) -> Entry:
        """Let something be said in chat number `chat` so many seconds from now."""
        how = {name: where.pop(name) for name in ("from_me", "sender") if name in where}
        entry = self.gateway.compose(self.account.chat_ids[chat], text, at=self.gateway.now + after, **how)
        return self.gateway.deliver(entry, **where)

    def wait(self, seconds: int) -> None:
        self.gateway.now += seconds

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        found = connection.execute(sql).fetchall()
        connection.close()
        return found

    def texts(self) -> set[str]:
        return {text for (text,) in self.rows("SELECT content FROM messages")}

    def cursor(self, name: str) -> str | None:
        found = self.rows(f"SELECT value FROM cursors WHERE name = '{name}'")
        return found[0][0] if found else None

    def is_the_truth(self) -> bool:
        """Whether the archive holds every message that happened, and no other."""
        stored = self.rows("SELECT whatsapp_chat_id, whatsapp_message_id FROM messages JOIN chats USING (chat_id)")
        return set(stored) == {(message.chat, message.id) for message in self.gateway.truth()}


@contextmanager
def account_desk(folder: Path, size: Size = SMALL) -> Iterator[AccountDesk]:
    """A desk whose account was not synced yet; the archive is verified when the test is done with it."""
    account, path = make_account(size=size), folder / "whatsapp_chats.db"
    with serve_gateway(account, rate_scale=SCALE) as gateway:
        yield AccountDesk(path, gateway, account, SetClock(gateway))
    if path.exists():
        with OpenWriter(path) as writer:
            assert list(verify(writer.store, thorough=size is SMALL)) == []
