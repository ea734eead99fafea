"""Who may post: whoever sends the token in the Authorization header.

Green API builds that header from the instance's ``webhookUrlToken``: a text that begins with ``Bearer`` or ``Basic`` is sent as
it is, any other as ``Bearer`` and the text (Green API docs, webhook endpoint). Both sides may hold the scheme or leave it out.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from typing import Final

_SCHEMES: Final = (b"bearer", b"basic")


class Admission:
    """Compares Authorization headers with the token, in a time that says nothing of how much of it was right."""

    def __init__(self, token: str) -> None:
        """Admit whoever knows `token`; an empty one admits everybody."""
        self._expected = _split(token.encode("utf-8", "surrogateescape").strip())[1]

    def __repr__(self) -> str:
        return f"Admission({'a token' if self.needs_token else 'everybody'})"

    @property
    def needs_token(self) -> bool:
        """Whether anything is compared at all."""
        return bool(self._expected)

    def admits(self, header: bytes | None) -> bool:
        """Whether the header (None where there is none) holds the token: bare, behind its scheme, or packed as in RFC 7617."""
        if not self.needs_token:
            return True
        scheme, said = _split((header or b"").strip())
        candidates = [said, *(_unpacked(said) if scheme == b"basic" else ())]
        fits = [hmac.compare_digest(candidate, self._expected) for candidate in candidates]  # all, whichever of them fits
        return any(fits)


def _split(header: bytes) -> tuple[bytes, bytes]:
    scheme, _, rest = header.partition(b" ")
    rest = rest.strip()
    return (scheme.lower(), rest) if rest and scheme.lower() in _SCHEMES else (b"", header)


def _unpacked(said: bytes) -> list[bytes]:
    """What a real Basic header carries: the whole pair, and the password alone."""
    try:
        pair = b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        return []
    return [pair, pair.partition(b":")[2]]
