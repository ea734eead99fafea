"""What can go wrong at Green API, to be switched on in tests: each with where it was reported.

Tracker numbers are issues of ``github.com/green-api/issues``; "docs" is Green API's page on common errors or on the method.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

ANY: Final = "*"
"""Stands for every method in `Faults.next` and `Faults.every`."""


class Fault(Enum):
    """One call's misfortune."""

    TOO_MANY = "429 although the limit was kept (docs: the limit is per instance, another program may use it)"
    BAD_GATEWAY = "502 with a page of HTML (docs, common errors)"
    SERVER_ERROR = "500 (docs; tracker #485, #724 for downloadFile)"
    UNAVAILABLE = "503 with an empty body (docs, common errors)"
    NO_ANSWER = "the connection stays open and nothing comes"
    BROKEN_CONNECTION = "the connection ends in the middle of the body"
    CUT_OFF = "a complete answer whose JSON ends in the middle (tracker #505, #634)"
    STRAY_COMMA = "two commas between items of an array (tracker #800)"
    EMPTY = "an empty array (docs, GetContacts: try again)"
    EMPTY_ITEM = 'an item {"type":"outgoing","typeMessage":""} among the others (tracker #505)'


@dataclass
class Faults:
    """The plan of what goes wrong; change it at any time while the gateway runs."""

    state: str | None = "authorized"
    """What getStateInstance says: ``authorized``, ``notAuthorized``, ``starting``, ``blocked``, ``yellowCard``, ``suspended``;
    None for the JSON ``null`` of a new instance (console source). ``expired`` and ``removed`` answer 400 to everything (docs),
    ``deleted`` answers 401 (tracker #397)."""
    history_cap: int | None = None
    """No history is longer, and nothing says so (no maximum of ``count`` is documented)."""
    largest_count: int | None = None
    """A larger ``count`` is refused with 400 (not documented, but never ruled out)."""
    failing_chats: dict[str, int] = field(default_factory=dict)
    """The HTTP status with which this chat's history is always refused."""
    quotas: dict[str, int] = field(default_factory=dict)
    """How many calls of a method the month still allows: then 466 (docs, 466 error)."""
    correspondents_used_up: bool = False
    """466 for every further chat of the Developer plan (docs, 466 error)."""
    leaking_lids: bool = False
    """Everybody is told by the privacy id (tracker #826, #954, #982, #1032, #1043)."""
    hidden_chats: set[str] = field(default_factory=set)
    """Chats that getChats does not list (tracker #629, #919)."""
    expired_media: bool = False
    """WhatsApp serves no file any more: downloadFile answers 500, the addresses 404 (tracker #724)."""
    stale_links: bool = False
    """The addresses that records tell answer 404; those that downloadFile gives lead to the files (links age)."""
    journal_lag: int = 0
    """By how many seconds histories and journals are behind (docs: up to two minutes)."""
    journal_cap: int | None = None
    """Each journal tells only so many of the newest, and nothing says so (no maximum is documented)."""
    journal_holes: set[str] = field(default_factory=set)
    """Ids of messages that the journals do not tell (tracker #601, #1020)."""
    short_histories: dict[str, int] = field(default_factory=dict)
    """How many of its newest messages this chat's history still tells: it shrank, as after linking anew (tracker #506)."""
    unknown_messages: set[str] = field(default_factory=set)
    """Ids for which getMessage answers 400 ``ID message notfound``."""
    queue_expiry: bool = True
    """The queue drops what is older than 24 hours of the gateway's time (docs, ReceiveNotification)."""
    empty_polls: int = 0
    """So many more polls are answered as if the queue were empty although it is not (tracker #1115)."""
    stolen: int = 0
    """Every so-manieth notification is taken and deleted by another program on the same queue; 0 for none."""
    duplicates: int = 0
    """Every so-manieth notification comes twice (tracker #64, #541, #683, #684, #717); 0 for none."""
    cyrillic_count: bool = False
    """getWebhooksCount's key begins with a Cyrillic letter, as its documentation prints it."""
    _next: dict[str, deque[Fault]] = field(default_factory=dict, repr=False)
    _every: dict[str, tuple[Fault, int]] = field(default_factory=dict, repr=False)
    _calls: Counter[str] = field(default_factory=Counter, repr=False)

    def next(self, method: str, fault: Fault, *, times: int = 1) -> None:
        """The next `times` calls of `method` meet `fault`."""
        self._next.setdefault(method, deque()).extend([fault] * times)

    def every(self, method: str, fault: Fault, *, nth: int = 1) -> None:
        """Every `nth` call of `method` meets `fault`, from now on."""
        self._every[method] = (fault, nth)
        self._calls[method] = 0

    def clear(self) -> None:
        """Forget what `next` and `every` planned; the lasting states stay."""
        self._next.clear()
        self._every.clear()

    def take(self, method: str) -> Fault | None:
        """The fault that this call of `method` meets, which is then used up."""
        for name in (method, ANY):
            waiting = self._next.get(name)
            if waiting:
                return waiting.popleft()
        return self._take_regular(method) or self._take_regular(ANY)

    def _take_regular(self, name: str) -> Fault | None:
        if name not in self._every:
            return None
        fault, nth = self._every[name]
        self._calls[name] += 1
        return fault if self._calls[name] % nth == 0 else None


_READABLE: Final = frozenset({"authorized", "yellowCard", "suspended"})
_ALWAYS: Final = frozenset(
    {"getStateInstance", "getSettings", "getWaSettings", "receiveNotification", "deleteNotification", "getWebhooksCount"}
)
_TEXTS: Final = {
    "expired": "Instance account is expired. Renew your instance from personal area",
    "removed": "Instance is deleted",
    "starting": "instance in starting process try later",
}


def refusal(state: str | None, method: str) -> str | None:
    """The text of the 400 with which an instance in `state` refuses `method`, or None (docs, common errors)."""
    if state in ("expired", "removed"):
        return _TEXTS[state]
    if state is None or state in _READABLE or method in _ALWAYS:
        return None
    return _TEXTS.get(state, "instance is starting or not authorized")


def spoil(body: bytes, fault: Fault) -> bytes:
    """A good answer's `body` as `fault` leaves it; other faults leave it whole."""
    if fault is Fault.EMPTY:
        return b"[]"
    if fault is Fault.CUT_OFF:
        return body[: max(1, len(body) * 2 // 3)]
    if fault is Fault.STRAY_COMMA:
        return body.replace(b"},{", b"},,{", 1)
    if fault is Fault.EMPTY_ITEM and body.startswith(b"["):
        item = b'{"type":"outgoing","typeMessage":""}'
        return b"[" + item + (b"]" if body == b"[]" else b"," + body[1:])
    return body
