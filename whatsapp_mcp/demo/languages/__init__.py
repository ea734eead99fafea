"""The words of the invented account: what its people are called and what they write, in five languages."""

from __future__ import annotations

from whatsapp_mcp.demo.languages.arabic import ARABIC
from whatsapp_mcp.demo.languages.english import ENGLISH
from whatsapp_mcp.demo.languages.hebrew import HEBREW
from whatsapp_mcp.demo.languages.language import Language
from whatsapp_mcp.demo.languages.russian import RUSSIAN
from whatsapp_mcp.demo.languages.spanish import SPANISH

LANGUAGES: tuple[Language, ...] = (HEBREW, ENGLISH, RUSSIAN, ARABIC, SPANISH)
"""All five, the most spoken in the account first."""

SHARES: tuple[float, ...] = (0.42, 0.24, 0.15, 0.10, 0.09)
"""How much of the account each of `LANGUAGES` has; they add up to 1."""

__all__ = ["ARABIC", "ENGLISH", "HEBREW", "LANGUAGES", "RUSSIAN", "SHARES", "SPANISH", "Language"]
