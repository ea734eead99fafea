"""Who we are at Green API, and how that is kept out of every text.

The token is a part of each URL (Green API docs, "before you start"), and error bodies echo the path, so a text from outside is
cleaned of it before anybody sees it; long numbers go too, because they may be somebody's phone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

from whatsapp_mcp.errors import SettingsError

_LONG_NUMBER: Final = re.compile(r"\d{5,}")
_LONGEST_EXCERPT: Final = 160


@dataclass(frozen=True, slots=True)
class Credentials:
    """The three values on the instance's page in the console; `repr` hides the token."""

    url: str
    """The instance's host: ``https://7105.api.greenapi.com``."""
    id_instance: str
    token: str = field(repr=False)

    def check(self) -> None:
        """Raise `SettingsError` unless a request could be made with these."""
        parts = _split(self.url)
        if parts is None:
            raise SettingsError("GREEN_API_URL must be the instance's host, such as https://7105.api.greenapi.com.")
        if not self.id_instance.isascii() or not self.id_instance.isdigit():
            raise SettingsError("GREEN_API_ID_INSTANCE must be the instance's number.")
        if not self.token or quote(self.token, safe="") != self.token:
            raise SettingsError("GREEN_API_TOKEN_INSTANCE must be the instance's token, without blanks or slashes.")

    @property
    def host(self) -> str:
        """The host's name alone, for messages."""
        return urlsplit(self.url).hostname or ""

    def address(self, method: str, tail: str = "") -> str:
        """The full URL of a call; it holds the token and must not leave this room."""
        path = f"/waInstance{self.id_instance}/{method}/{self.token}"
        return self.url.rstrip("/") + path + (f"/{quote(tail, safe='')}" if tail else "")

    def redact(self, text: str) -> str:
        """One short line of `text` without the token and without numbers that could be a phone's."""
        clean = text.replace(self.token, "[token]") if self.token else text
        clean = _LONG_NUMBER.sub("…", clean)
        clean = " ".join("".join(letter if letter.isprintable() else " " for letter in clean).split())
        return clean if len(clean) <= _LONGEST_EXCERPT else clean[: _LONGEST_EXCERPT - 1] + "…"


def _split(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    spare = parts.query or parts.fragment or parts.username or parts.password or "wainstance" in parts.path.lower()
    clean = url.isprintable() and " " not in url and not spare
    return parts.hostname if clean and parts.scheme in {"http", "https"} and port != 0 else None
