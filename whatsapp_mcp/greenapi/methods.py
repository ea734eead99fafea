"""The closed list of what is asked of Green API: verb, limit and the shape of the answer.

Limits are requests a second for each instance (Green API docs, "ratelimiter"); the calls journals are not listed there and are
taken to allow one. Nothing stands here that changes anything at WhatsApp: ``deleteNotification`` only acknowledges an entry of
the notification queue that was stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Shape(Enum):
    """What a good answer looks like."""

    LIST = "a list"
    JOURNAL = "a list that arrives damaged at times (Green API tracker #505, #800)"
    OBJECT = "an object"
    ABOUT_ONE = "an object about the chat or message that was named: null or a bare string means there is none"
    MAYBE = "an object, or null where there is nothing"
    TICKET = "an object, or null where there is nothing; a damaged one must be acknowledged all the same"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the gateway."""

    name: str
    verb: str
    per_second: float
    shape: Shape
    waits: bool = False
    """Its answer waits for something to happen, so that the time that it takes says nothing."""


_ALL: Final = (
    Method("getStateInstance", "GET", 1, Shape.MAYBE),
    Method("getSettings", "GET", 1, Shape.OBJECT),
    Method("getWaSettings", "GET", 1, Shape.OBJECT),
    Method("getContacts", "GET", 1, Shape.LIST),
    Method("getContactInfo", "POST", 1, Shape.ABOUT_ONE),
    Method("getChats", "GET", 1, Shape.LIST),
    Method("getChatHistory", "POST", 1, Shape.JOURNAL),
    Method("getMessage", "POST", 10, Shape.ABOUT_ONE),
    Method("lastIncomingMessages", "GET", 1, Shape.JOURNAL),
    Method("lastOutgoingMessages", "GET", 1, Shape.JOURNAL),
    Method("lastIncomingCalls", "GET", 1, Shape.JOURNAL),
    Method("lastOutgoingCalls", "GET", 1, Shape.JOURNAL),
    Method("getIncomingStatuses", "GET", 1, Shape.JOURNAL),
    Method("getOutgoingStatuses", "GET", 1, Shape.JOURNAL),
    Method("getGroupData", "POST", 1, Shape.ABOUT_ONE),
    Method("getAvatar", "POST", 10, Shape.ABOUT_ONE),
    Method("downloadFile", "POST", 5, Shape.ABOUT_ONE),
    Method("receiveNotification", "GET", 100, Shape.TICKET, waits=True),
    Method("deleteNotification", "DELETE", 100, Shape.MAYBE),
    Method("getWebhooksCount", "GET", 1, Shape.OBJECT),
)

METHODS: Final = {method.name: method for method in _ALL}
"""Every method by its name at the gateway."""
