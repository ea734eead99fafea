"""Where reports are sent to, and through which mail server, as the settings say it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS: Final[Mapping[str, int]] = {"starttls": 587, "tls": 465, "none": 25}
"""How the way to the mail server may be protected, and on which port that is usual (RFC 8314)."""

_LOOPBACK: Final = re.compile(r"localhost|127\.[0-9.]+|::1", re.IGNORECASE)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail server with who writes to whom; no part of it can hold a line break."""

    host: str
    port: int
    security: str
    """A key of `PORTS`: ``starttls``, ``tls`` or ``none``."""
    sender: tuple[str, str]
    """The name to show, which may be empty, and the bare address."""
    recipients: tuple[tuple[str, str], ...]
    user: str = ""
    """Empty where the server wants no login."""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""

    @property
    def bare_password(self) -> bool:
        """Whether the password would travel over a network that others can listen to."""
        return bool(self.user) and self.security == "none" and not _LOOPBACK.fullmatch(self.host)


def mailbox(values: Mapping[str, str]) -> Mailbox:
    """What the settings ``SMTP_…`` and ``REPORT_…`` mean; raises `SettingsError` for what is missing or wrong."""
    host = values.get("SMTP_HOST", "").removeprefix("[").removesuffix("]")
    if not host:
        raise SettingsError("SMTP_HOST is not set, so no report can be sent.")
    if not _HOST.fullmatch(host):
        raise SettingsError("SMTP_HOST is no host name like smtp.example.com.")
    security = values.get("SMTP_SECURITY", "starttls").casefold()
    if security not in PORTS:
        raise SettingsError("SMTP_SECURITY is neither starttls nor tls nor none.")
    user, password = values.get("SMTP_USER", ""), values.get("SMTP_PASSWORD", "")
    if bool(user) != bool(password):
        there, missing = ("SMTP_USER", "SMTP_PASSWORD") if user else ("SMTP_PASSWORD", "SMTP_USER")
        raise SettingsError(f"{there} is set and {missing} is not.")
    recipients = _recipients(values.get("REPORT_TO", ""))
    return Mailbox(
        host, _port(values.get("SMTP_PORT", ""), security), security,
        sender=_sender(values.get("REPORT_FROM", ""), user, recipients), recipients=recipients,
        user=user, password=password, ca_file=_ca_file(values.get("SMTP_CA_FILE", "")),
    )  # fmt: skip


def _port(value: str, security: str) -> int:
    if not value:
        return PORTS[security]
    port = int(value) if re.fullmatch("[0-9]{1,5}", value) else 0
    if 0 < port < 65_536:
        return port
    raise SettingsError("SMTP_PORT is no port: a number from 1 to 65535.")


def _recipients(value: str) -> tuple[tuple[str, str], ...]:
    if not value:
        raise SettingsError("REPORT_TO is not set, so nobody would get a report.")
    return tuple(_addresses("REPORT_TO", value))


def _sender(value: str, user: str, recipients: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Who writes: as told, else the account at the mail server, else the first recipient, to whom it all belongs."""
    if value:
        first, *others = _addresses("REPORT_FROM", value)
        if others:
            raise SettingsError("REPORT_FROM holds several addresses; one writes the reports.")
        return first
    return ("", user if _ADDRESS.fullmatch(user) else recipients[0][1])


def _addresses(setting: str, value: str) -> list[tuple[str, str]]:
    found = getaddresses([value])
    if value.isprintable() and all(_ADDRESS.fullmatch(address) for _, address in found):
        return found
    raise SettingsError(f"{setting} holds something that is no e-mail address.", advice="Write it like me@example.com.")


def _ca_file(value: str) -> Path | None:
    if not value:
        return None
    try:
        path = Path(value).expanduser().absolute()
    except RuntimeError:
        path = Path(value)
    if path.is_file():
        return path
    raise SettingsError(f"SMTP_CA_FILE: there is no file {path}.", advice="Name a PEM file with the certificates to trust.")
