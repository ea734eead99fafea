"""What a reply means: take it, ask again, or give up. Pure.

Statuses and texts are those of Green API's docs ("common-errors", the pages of the methods) and of its tracker; texts are
compared in lower case and by their telling words only, because they differ between versions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import (
    CredentialsError,
    GatewayError,
    InstanceGone,
    InstanceStarting,
    NotAuthorized,
    QuotaReached,
    RateLimited,
    RequestRefused,
    Unreachable,
    UnreadableAnswer,
)
from whatsapp_mcp.greenapi.methods import Shape
from whatsapp_mcp.payload import cut_items

if TYPE_CHECKING:
    from whatsapp_mcp.greenapi.credentials import Credentials
    from whatsapp_mcp.greenapi.methods import Method
    from whatsapp_mcp.greenapi.transport import Reply

_SAID_UNDER: Final = ("error", "message", "description", "detail", "msg")
"""Where error bodies keep their text (the order of Green API's own MCP gateway)."""

_BLANKS: Final = " \t\r\n\ufeff"
_NO_TICKET: Final = frozenset({"", "null", "[]", "{}"})
_NEVER_EMPTY: Final = frozenset({"getContacts", "getChats"})
_NO_TROUBLE: Final = frozenset({"authorized", "suspended", "yellowCard", "starting", "sleepMode"})
"""A suspended number still receives; the rest is a restart (Green API docs, GetStateInstance)."""


class Again(Enum):
    """Why the same call is worth another try."""

    NO = "no"
    THROTTLED = "too many requests a second"
    SERVER = "the gateway or the network failed"
    STARTING = "the instance is restarting"
    DAMAGED = "the answer is broken JSON"
    EMPTY = "nothing yet"
    TICKET = "the head of the queue is broken JSON; it stays the head until it is acknowledged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a reply: after the last try `error` is raised, or else `items` are taken as they are."""

    items: tuple[str, ...] = ()
    damaged: bool = False
    error: GatewayError | None = None
    again: Again = Again.NO
    ask_state: bool = False
    """The text may mean "starting" or "not authorised"; the instance's state decides (Green API docs, common errors)."""


class Judge:
    """Reads the replies to one instance's calls."""

    def __init__(self, credentials: Credentials) -> None:
        """Clean all texts of the secrets in `credentials`."""
        self._redact = credentials.redact
        self._host = credentials.host

    def verdict(self, method: Method, reply: Reply) -> Verdict:
        """What `reply` means as an answer to `method`."""
        if reply.status == 0:
            return Verdict(error=Unreachable(reply.trouble), again=Again.SERVER)
        if 200 <= reply.status < 300:
            return self._answered(method, reply)
        if reply.status == 429:
            return Verdict(error=RateLimited(f"{method.name} is called too often (429)."), again=Again.THROTTLED)
        if reply.status >= 500 or reply.status in {408, 499}:
            return self._failed(method, reply)
        return self._denied(method, reply)

    def _failed(self, method: Method, reply: Reply) -> Verdict:
        if method.name == "downloadFile" and reply.status == 500:  # tracker #724: WhatsApp no longer serves the file
            # Not asked again here: thousands of old files answer so, and the queue of downloads has its own plan for them.
            return Verdict(error=RequestRefused("WhatsApp no longer serves this file (500)."))
        return Verdict(error=Unreachable(f"{self._host} could not answer {method.name} ({reply.status})."), again=Again.SERVER)

    def _denied(self, method: Method, reply: Reply) -> Verdict:
        if reply.status == 466:
            return Verdict(error=_quota(method, reply.text))
        if reply.status == 401:
            return Verdict(error=CredentialsError("Green API does not accept the token, or the instance was deleted (401)."))
        if reply.status == 403:
            what = f"Green API refuses {method.name} (403): wrong instance id or host, or the plan does not include it."
            return Verdict(error=CredentialsError(what))
        if reply.status == 404 or reply.status < 400:
            what = f"There is no such instance at {self._host} ({reply.status}): wrong host or instance id."
            return Verdict(error=CredentialsError(what))
        return self._refused(method, reply)

    def _refused(self, method: Method, reply: Reply) -> Verdict:
        said = _said(reply.text).lower()
        if "starting" in said:
            starting = InstanceStarting("The instance is restarting.")
            return Verdict(error=starting, again=Again.STARTING, ask_state="authori" in said)
        if "not authori" in said:
            return Verdict(error=NotAuthorized("The instance is not linked to a phone."), ask_state=True)
        if gone := _gone(said):
            return Verdict(error=InstanceGone(gone))
        why = self._redact(_said(reply.text)).rstrip(".") or "no reason given"
        return Verdict(error=RequestRefused(f"Green API refused {method.name} ({reply.status}): {why}."))

    def _answered(self, method: Method, reply: Reply) -> Verdict:
        items, damaged = cut_items(reply.text)
        damaged = damaged or not reply.encoded_well
        start = reply.text.lstrip(_BLANKS)[:1]
        if method.shape is Shape.TICKET:
            return self._ticket(method, reply.text.strip(_BLANKS), damaged=damaged)
        if start == '"' and not damaged:
            return self._bare_text(method, items[0])
        if method.shape in {Shape.LIST, Shape.JOURNAL}:
            return self._list(method, start, items, damaged=damaged)
        return self._object(method, start, items, damaged=damaged)

    def _bare_text(self, method: Method, item: str) -> Verdict:
        why = self._redact(str(json.loads(item))).rstrip(".")
        if method.shape is Shape.ABOUT_ONE:  # getGroupData: "Error: item-not-found" with status 200
            return Verdict(error=RequestRefused(f"Green API refused {method.name}: {why}."))
        return Verdict(error=UnreadableAnswer(f"Green API answered {method.name} with {why!r}."), again=Again.DAMAGED)

    def _list(self, method: Method, start: str, items: tuple[str, ...], *, damaged: bool) -> Verdict:
        if start == "[" and not damaged:
            # getContacts: an empty array means "try again" (Green API docs, GetContacts); no account is without chats either.
            return Verdict(items, again=Again.EMPTY if method.name in _NEVER_EMPTY and not items else Again.NO)
        if not items and start != "[":  # an empty body, or null
            return Verdict(again=Again.EMPTY)
        if method.shape is Shape.JOURNAL and start == "[" and any(_readable(item) or _is_whole(item) for item in items):
            return Verdict(items, damaged=True, again=Again.DAMAGED)
        return self._unreadable(method)

    def _object(self, method: Method, start: str, items: tuple[str, ...], *, damaged: bool) -> Verdict:
        if start == "{" and not damaged:
            return Verdict(items)
        if items or start == "[":
            return self._unreadable(method)
        if method.shape is Shape.MAYBE:
            return Verdict()
        if method.shape is Shape.ABOUT_ONE:
            return Verdict(error=RequestRefused(f"Green API knows nothing that {method.name} could tell."))
        return Verdict(error=InstanceStarting(f"Green API has no answer to {method.name} yet."), again=Again.EMPTY)

    def _ticket(self, method: Method, text: str, *, damaged: bool) -> Verdict:
        """Whatever lies at the head of the queue is handed over: what is refused here would block all that waits behind it."""
        if text in _NO_TICKET:
            return Verdict()
        if text.startswith("<"):  # a page of a proxy, or of a hotel's network: not from the queue
            return self._unreadable(method)
        if text.startswith("{") and not damaged:
            return Verdict((text,))
        return Verdict((text,), damaged=True, again=Again.TICKET)

    def _unreadable(self, method: Method) -> Verdict:
        what = f"{self._host} answered {method.name} with something that cannot be read as JSON."
        return Verdict(error=UnreadableAnswer(what), again=Again.DAMAGED)


def _quota(method: Method, text: str) -> QuotaReached:
    if "correspondents" in text.lower():
        return QuotaReached("The plan's number of chats for this month is used up (466).")
    return QuotaReached(f"The plan's number of {method.name} calls for this month is used up (466).")


def _gone(said: str) -> str:
    about_us = "instance" in said or "account" in said
    for word, what in (
        ("expired", "The instance has expired: it is not paid for."),
        ("deleted", "The instance was deleted."),
        ("blocked", "WhatsApp has blocked the number of this instance."),
    ):
        if about_us and word in said:
            return what
    return ""


def _said(text: str) -> str:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    if isinstance(body, str):
        return body
    if not isinstance(body, dict):
        return ""
    return next((str(body[key]) for key in _SAID_UNDER if isinstance(body.get(key), str) and body[key]), "")


def state_trouble(items: tuple[str, ...]) -> GatewayError | None:
    """What a getStateInstance answer says against the instance, while its other methods only say that they cannot serve."""
    states = [value.get("stateInstance") for value in map(_read, items) if isinstance(value, dict)]
    if "blocked" in states:
        return InstanceGone("WhatsApp has blocked the number of this instance.")
    if "notAuthorized" in states or "pendingCode" in states:
        return NotAuthorized("The instance is not linked to a phone.")
    if any(isinstance(state, str) and state not in _NO_TROUBLE for state in states):
        advice = "Look at the instance in the Green API console."
        return NotAuthorized("The instance is in a state that this program does not know.", advice=advice)
    return None


def _read(item: str) -> object:
    try:
        return json.loads(item)
    except (ValueError, RecursionError):
        return None


def _is_whole(item: str) -> bool:
    """An object that only Python does not read: a number of 5,000 digits, a depth of 1,000. Asking again is no help."""
    return item.startswith("{") and item.endswith("}")


def _readable(item: str) -> bool:
    return isinstance(_read(item), dict)
