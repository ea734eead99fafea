"""A real mail server on loopback that keeps what it gets, and others that behave badly; each in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP as POLICY
from typing import TYPE_CHECKING, Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from email.message import EmailMessage
    from pathlib import Path

USER, PASSWORD = "sam@example.com", "correct-horse-4711"
READER = "reader@example.com"


@dataclass
class Sink:  # its methods are called by aiosmtpd, with all that it knows
    """What a server got, and what it is to say to some addresses."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    refuse_recipients: tuple[str, ...] = ()
    refuse_data: Callable[[EmailMessage], str | None] = lambda _: None
    refuse_sender: str = ""

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802, ARG002
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802, ARG002
        if address in self.refuse_recipients:
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        assert isinstance(envelope.content, bytes)
        letter: Any = message_from_bytes(envelope.content, policy=POLICY)
        if refusal := self.refuse_data(letter):
            return refusal
        self.bodies.append(envelope.content)
        self.letters.append(letter)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:  # noqa: ARG002
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


@dataclass(frozen=True)
class Authority:
    """A private authority: what its server shows, and the file by which a client trusts it."""

    server: ssl.SSLContext
    ca_file: Path


def authority(folder: Path, *names: str) -> Authority:
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
    path = folder / "authority.pem"
    ca.cert_pem.write_to_path(str(path))
    return Authority(context, path)


@contextmanager
def mail_server(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False, **how: Any
) -> Iterator[Sink]:
    """A server for mail: with STARTTLS, with TLS from the start, or bare; `login`: it knows `USER` with `PASSWORD`."""
    sink = Sink(**how)

    def session() -> SMTP:
        return SMTP(
            sink, hostname="mail.example.com", tls_context=starttls, require_starttls=starttls is not None,
            auth_required=login and starttls is not None, auth_require_tls=starttls is not None,
            authenticator=sink.authenticate if login else None, auth_exclude_mechanism=None if login else ["LOGIN", "PLAIN"],
        )  # fmt: skip

    async def begin() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls)

    with _running(begin) as sink.port:
        yield sink


@contextmanager
def silent_server(greeting: bytes = b"") -> Iterator[int]:
    """The port of a server that says `greeting` and then nothing at all."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with suppress(asyncio.CancelledError, ConnectionError):
            await reader.read()
        writer.close()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(greet, "127.0.0.1", 0)

    with _running(begin) as port:
        yield port


@contextmanager
def dropping_server(greeting: bytes = b"") -> Iterator[int]:
    """The port of a server that says `greeting` and hangs up."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(greet, "127.0.0.1", 0)

    with _running(begin) as port:
        yield port


@contextmanager
def _running(begin: Callable[[], Coroutine[Any, Any, asyncio.Server]]) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)
