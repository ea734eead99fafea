"""A month in a minute: one clock for the account, the computer and the scheduler, and everything that happens on the way.

The gateway and the mail server are real and on loopback, each behind a relay that is the network. Only time is not real: a
pause takes none, and whatever the script says until its end happens in it.
"""

from __future__ import annotations

import resource
import shutil
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import anyio
from anyio.lowlevel import checkpoint
from smtp_sink import READER, Sink, mail_server

from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import ANY, Fault, Faults
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.scheduler.running import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

FAST = 100_000


class Relay:
    """The way to a port: what comes in goes on, unless it is cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        self._end(other)

    @staticmethod
    def _end(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """From now on nobody answers at the port."""
        self._end(self._listener)
        self._listener.close()
        for one in self._open:
            self._end(one)
            one.close()
        self._open.clear()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._serve()


class Hooked(Faults):
    """Faults, and a look at each request before it is answered."""

    on_request: Callable[[str], None] = staticmethod(lambda _: None)

    def take(self, method: str) -> Fault | None:
        self.on_request(method)
        return super().take(method)


@dataclass
class World:
    """Its time, what is still to happen, and the parts that it happens to."""

    home: Path
    zone: ZoneInfo
    gateway: Gateway
    faults: Hooked
    mail: Sink
    to_gateway: Relay
    to_mail: Relay
    began: float
    ran: float = 0.0
    """Seconds for which the computer was awake."""
    slept: float = 0.0
    script: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    told: list[tuple[float, str]] = field(default_factory=list)
    """When which message was written."""
    settings: dict[str, str] = field(default_factory=dict)
    arrived: list[float] = field(default_factory=list)
    """When each mail came to the mail server."""
    stop: anyio.Event = field(default_factory=anyio.Event)
    process: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    restart_at: float | None = None

    # A clock

    def now(self) -> float:
        return self.began + self.ran + self.slept

    def monotonic(self) -> float:
        return self.ran

    def random(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        self._live_until(self.ran + seconds)
        await checkpoint()

    def _live_until(self, ran: float) -> None:
        while self.script and self.script[0][0] <= self.began + self.slept + ran:
            at, happen = self.script.pop(0)
            self.ran = max(self.ran, at - self.began - self.slept)
            self._tell_gateway(at)
            happen()
        self.ran = max(self.ran, ran)
        self._tell_gateway(self.now())

    def _tell_gateway(self, now: float) -> None:
        self.gateway.now = max(self.gateway.now, int(now))

    def _skip_to(self, moment: float) -> None:
        """The computer is not awake; what the account does meanwhile, it does."""
        while self.script and self.script[0][0] <= moment:
            at, happen = self.script.pop(0)
            self._tell_gateway(at)
            happen()
        self.slept += max(0.0, moment - self.now())
        self._tell_gateway(self.now())

    # What may happen

    def at(self, when: str, happen: Callable[[], object]) -> None:
        """Let something happen at a local time: ``10-03 07:00`` of the year in which it began."""
        self.script.append((self.instant(when), happen))
        self.script.sort(key=lambda one: one[0])

    def instant(self, when: str) -> float:
        year = datetime.fromtimestamp(self.began, self.zone).year
        return datetime.strptime(f"{year}-{when}", "%Y-%m-%d %H:%M").replace(tzinfo=self.zone).timestamp()

    def say(self, number: int, *, journal: bool = True) -> None:
        chats = self.gateway.account.chat_ids
        entry = self.gateway.compose(chats[number % 9], f"message {number}", from_me=number % 3 == 0, at=int(self.gateway.now))
        self.gateway.deliver(entry, journal=journal, queue=journal)
        self.told.append((self.gateway.now, entry.id))

    def computer_sleeps(self, start: str, end: str) -> None:
        self.at(start, lambda: self._skip_to(self.instant(end)))

    def gateway_fails(self, start: str, end: str) -> None:
        self.at(start, lambda: self.faults.every(ANY, Fault.BAD_GATEWAY))
        self.at(end, self.faults.clear)

    def network_fails(self, start: str, end: str) -> None:
        for relay in (self.to_gateway, self.to_mail):
            self.at(start, relay.cut)
            self.at(end, relay.mend)

    def mail_fails(self, start: str, end: str) -> None:
        self.at(start, self.to_mail.cut)
        self.at(end, self.to_mail.mend)

    def disk_is_full(self, start: str, end: str) -> None:
        """No file grows: every write is refused by the system itself."""
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.at(start, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, most)))
        self.at(end, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))

    def kill(self, start: str, method: str, *, restart: str) -> None:
        """From `start` on the next request of `method` is the last thing that the process does."""
        self.at(start, lambda: setattr(self.faults, "on_request", self._killer(method, self.instant(restart))))

    def _killer(self, method: str, restart: float) -> Callable[[str], None]:
        def look(asked: str) -> None:
            if asked == method:
                self.faults.on_request = lambda _: None
                shutil.copytree(self.home, self._remains)  # what a killed process leaves: its files as they are at this moment
                self.restart_at = restart
                self.faults.next(asked, Fault.NO_ANSWER)
                self._loop.call_soon_threadsafe(self.process.cancel)

        return look

    def stop_soon(self) -> None:
        """As a signal does: from whatever thread."""
        self._loop.call_soon_threadsafe(self.stop.set)

    @property
    def _remains(self) -> Path:
        return self.home.with_name("remains")

    # The life of the computer

    async def live_until(self, end: str) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self.at(end, lambda: self.stop.set())  # noqa: PLW0108 - the event of that time
        while not self.stop.is_set():
            await self._live_one_process()

    async def _live_one_process(self) -> None:
        with anyio.CancelScope() as self.process:
            await Scheduler(self.archive(), look=600).run(self.stop)
        if self.restart_at is not None:
            shutil.rmtree(self.home)
            self._remains.rename(self.home)
            self._skip_to(self.restart_at)
            self.restart_at = None

    def archive(self) -> Archive:
        told = {
            "GREEN_API_URL": f"http://127.0.0.1:{self.to_gateway.port}",
            "GREEN_API_ID_INSTANCE": self.gateway.id_instance,
            "GREEN_API_TOKEN_INSTANCE": self.gateway.token,
            "GREEN_API_RATE_SCALE": "1000",
            "WHATSAPP_MCP_TIMEZONE": self.zone.key,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.to_mail.port),
            "SMTP_SECURITY": "none",
            "REPORT_TO": READER,
            **self.settings,
        }
        return Archive.open(Settings.load(told, self.home.parent, home=self.home), self)

    # What came of it

    def mails(self) -> list[tuple[str, str]]:
        """Local time at which each was written, and its subject, in the order of their arrival."""
        return [(self.local(parsedate_to_datetime(one["Date"]).timestamp()), str(one["Subject"])) for one in self.mail.letters]

    def local(self, seconds: float) -> str:
        return f"{datetime.fromtimestamp(seconds, self.zone):%m-%d %H:%M}"


@contextmanager
def world(home: Path, *, zone: str, began: str, **settings: str) -> Iterator[World]:
    """A world that begins at a local time."""
    place = ZoneInfo(zone)
    start = datetime.strptime(began, "%Y-%m-%d %H:%M").replace(tzinfo=place).timestamp()
    faults = Hooked()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ExitStack() as stack:
        gateway = stack.enter_context(serve_gateway(make_account(size=SMALL), rate_scale=FAST, faults=faults))
        gateway.now = int(start)
        mail = stack.enter_context(mail_server())
        relays = Relay(int(gateway.url.rpartition(":")[2])), Relay(mail.port)
        for relay in relays:
            stack.callback(relay.cut)
        stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        made = World(home, place, gateway, faults, mail, *relays, began=start, settings=settings)
        mail.refuse_data = lambda _: made.arrived.append(made.now())
        yield made
