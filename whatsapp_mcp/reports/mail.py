"""Handing messages to the mail server, and what can go wrong there in words that say what to do.

Nothing that the server says is repeated, for it may quote an address or a login; its three-digit code is.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import MailError, MailUnreachable
from whatsapp_mcp.mailbox import PORTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from email.message import EmailMessage

    from aiosmtplib import SMTP

    from whatsapp_mcp.mailbox import Mailbox

    Send = Callable[[EmailMessage], Awaitable[int]]

DEADLINE: Final = 30.0
"""Seconds for everything together, from the first look at the name to the goodbye: a server that hangs costs no more."""

_GOODBYE: Final = 2.0
"""Seconds that the server may take to say goodbye."""

UNPROTECTED: Final = "The password for the mail server travels unprotected: set SMTP_SECURITY to starttls or tls."


class MessageRefused(MailError):
    """The server takes mail, but not this message."""


@asynccontextmanager
async def connected(mailbox: Mailbox, *, deadline: float = DEADLINE) -> AsyncIterator[Send]:
    """A function that sends a message and returns how many recipients were refused, over one connection.

    Raises `MailError` or `MailUnreachable`, within `deadline` seconds whatever the server does.
    """
    import anyio

    client = _client(mailbox, deadline)
    try:
        with anyio.fail_after(deadline):
            with _explained(mailbox):
                await client.connect()
                if mailbox.user:
                    await client.login(mailbox.user, mailbox.password)

            async def send(message: EmailMessage) -> int:
                with _explained(mailbox):
                    return await _send(client, mailbox, message)

            yield send
            await _goodbye(client)
    except TimeoutError:
        raise MailUnreachable(f"{_server(mailbox)} did not answer within {deadline:g} seconds.") from None
    finally:
        client.close()


async def send_one(mailbox: Mailbox, message: EmailMessage, *, deadline: float = DEADLINE) -> int:
    """Send `message` and nothing else; returns how many recipients were refused. Raises `MailError` like `connected`."""
    async with connected(mailbox, deadline=deadline) as send:
        return await send(message)


def _client(mailbox: Mailbox, deadline: float) -> SMTP:
    from aiosmtplib import SMTP

    protected = mailbox.security != "none"
    return SMTP(
        hostname=mailbox.host,
        port=mailbox.port,
        timeout=deadline,
        use_tls=mailbox.security == "tls",
        start_tls=mailbox.security == "starttls",  # True insists: a server or a man in between cannot talk us out of it
        tls_context=_trust(mailbox) if protected else None,
        local_hostname="localhost",  # the computer's own name is nobody's business, and looking for it can take long
    )


def _trust(mailbox: Mailbox) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=mailbox.ca_file)
    except (OSError, ssl.SSLError):
        raise MailError(f"{mailbox.ca_file} holds no certificates.", advice="Set SMTP_CA_FILE to a PEM file.") from None


async def _send(client: SMTP, mailbox: Mailbox, message: EmailMessage) -> int:
    recipients = [address for _, address in mailbox.recipients]
    refused, _ = await client.sendmail(mailbox.sender[1], recipients, message.as_bytes())
    return len(refused)


async def _goodbye(client: SMTP) -> None:
    """All is said and acknowledged: a server that is not polite changes nothing."""
    import anyio
    from aiosmtplib import SMTPException

    with suppress(SMTPException, OSError), anyio.move_on_after(_GOODBYE):
        await client.quit()


@contextmanager
def _explained(mailbox: Mailbox) -> Iterator[None]:
    """Turn what the library raises within the block into a `MailError` with its remedy."""
    try:
        yield
    except Exception as error:
        known = _explain(error, mailbox)
        if known is None:
            raise
        raise known from None  # the library's error quotes addresses and what the server said


def _explain(error: Exception, mailbox: Mailbox) -> MailError | None:
    from aiosmtplib import SMTPException, SMTPResponseException

    deeper = _root(error)
    for kind, explain in _ROOTS.items():
        if isinstance(deeper, kind):
            return explain(mailbox)
    if isinstance(error, SMTPResponseException):
        return _refusal(error.code, type(error).__name__, mailbox)
    if isinstance(error, SMTPException):
        return _of_library(error, mailbox)
    return MailUnreachable(f"{_server(mailbox)} cannot be reached.") if isinstance(error, OSError) else None


def _root(error: BaseException) -> BaseException:
    """The first error that led to this one: the system's, where the library only says that it could not connect."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


def _server(mailbox: Mailbox) -> str:
    return f"The mail server {mailbox.host}, port {mailbox.port},"


def _unknown_host(mailbox: Mailbox) -> MailError:
    return MailUnreachable(f"There is no host {mailbox.host}, or no network.")


def _refused(mailbox: Mailbox) -> MailError:
    return MailUnreachable(f"No mail server answers at {mailbox.host}, port {mailbox.port}.")


def _untrusted(mailbox: Mailbox) -> MailError:
    advice = "Set SMTP_HOST to the name in the certificate, or SMTP_CA_FILE to the private authority that signed it."
    return MailError(f"{_server(mailbox)} has a certificate that cannot be trusted.", advice=advice)


def _no_tls(mailbox: Mailbox) -> MailError:
    other = "starttls" if mailbox.security == "tls" else "tls"
    advice = f"Try SMTP_SECURITY={other} with port {PORTS[other]}."
    return MailError(f"{_server(mailbox)} does not answer in TLS.", advice=advice)


def _hangs(mailbox: Mailbox) -> MailError:
    advice = "Check SMTP_PORT and SMTP_SECURITY: a server that waits for TLS says nothing without it."
    return MailUnreachable(f"{_server(mailbox)} did not answer in time.", advice=advice)


_ROOTS: Final[Mapping[type[BaseException], Callable[[Mailbox], MailError]]] = {
    socket.gaierror: _unknown_host,
    ssl.SSLCertVerificationError: _untrusted,
    ssl.SSLError: _no_tls,
    ConnectionRefusedError: _refused,
    TimeoutError: _hangs,
}
"""What the system says, the more special first, in our words."""


def _of_library(error: Exception, mailbox: Mailbox) -> MailError:
    """What has no code: refused recipients, a dropped connection, and what the server does not offer."""
    from aiosmtplib import SMTPRecipientsRefused, SMTPServerDisconnected

    if isinstance(error, SMTPRecipientsRefused):
        code = max((one.code for one in error.recipients), default=0)
        return _refusal(code, "SMTPRecipientRefused", mailbox)
    if isinstance(error, (SMTPServerDisconnected, ConnectionError)):
        return MailUnreachable(f"{_server(mailbox)} closed the connection.")
    if "STARTTLS" in str(error):
        return MailError(f"{_server(mailbox)} does not offer STARTTLS.", advice="Try SMTP_SECURITY=tls with port 465.")
    if "auth" in str(error).casefold():
        advice = "Leave out SMTP_USER and SMTP_PASSWORD, or protect the way with SMTP_SECURITY=starttls."
        return MailError(f"{_server(mailbox)} does not offer to log in.", advice=advice)
    return MailError(f"{_server(mailbox)} cannot be understood.")


_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "SMTPAuthenticationError": (
        "refused the user name or the password",
        "Check SMTP_USER and SMTP_PASSWORD; many providers want an app password made in the account's settings.",
    ),
    "SMTPSenderRefused": ("refused the sender", "Set REPORT_FROM to an address that this account may use."),
    "SMTPRecipientRefused": ("refused every recipient", "Check REPORT_TO, and whether the server wants a login."),
    "SMTPDataError": ("refused the message", "Ask its operator why."),
}


def _refusal(code: int, name: str, mailbox: Mailbox) -> MailError:
    """A reply that is a no: 4xx for now, 5xx for good (RFC 5321, 4.2.1)."""
    what, advice = _REFUSALS.get(name, ("refused to talk", "Check SMTP_HOST and SMTP_PORT, or try again later."))
    said = f"{_server(mailbox)} {what} ({code})."
    if 400 <= code < 500:
        return MailUnreachable(said, advice="It may accept the next report; this one is kept until then.")
    return MessageRefused(said, advice=advice) if name == "SMTPDataError" else MailError(said, advice=advice)
