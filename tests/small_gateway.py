"""A small account behind a gateway that a test can spoil: a real HTTP server, a few chats, and every fault on demand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from loopback import Answer, Asked

ID = "7105000001"
TOKEN = "fictional0token0do0not0use0000000000000000000000"
OWNER = "15550100001@c.us"
BEGAN = 1_789_000_000

Faults = dict[str, Answer | Callable[[Asked], Answer | None]]


def person(number: int) -> str:
    return f"1555010{number:04d}@c.us"


def group(number: int) -> str:
    return f"12036300000000{number:04d}@g.us"


def message(chat: str, number: int) -> dict[str, object]:
    return {
        "type": "incoming",
        "idMessage": f"3A{number:06d}",
        "timestamp": BEGAN + number,
        "typeMessage": "textMessage",
        "chatId": chat,
        "senderId": chat if chat.endswith("@c.us") else person(2),
        "senderName": "Noor Example",
        "textMessage": f"message {number}",
    }


@dataclass
class SmallGateway:
    """`faults` maps ``method`` or ``method chatId`` to an answer, or to a function that gives one or None."""

    histories: dict[str, int] = field(default_factory=dict)
    contacts: list[str] | None = None
    """Whom getContacts names; without a list of its own, those of the histories."""
    listed: list[dict[str, object]] | None = None
    recent: list[str] = field(default_factory=list)
    state: str = "authorized"
    owner: str = OWNER
    cap: int | None = None
    faults: Faults = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Answer:
        about = asked.body if isinstance(asked.body, dict) else {}
        chat = str(about.get("chatId") or about.get("groupId") or "")
        for key in (f"{asked.method} {chat}", asked.method):
            fault = self.faults.get(key)
            answer = fault(asked) if callable(fault) else fault
            if answer is not None:
                return answer
        return 200, json.dumps(self._answer(asked.method, chat, about))

    def _answer(self, method: str, chat: str, about: dict[str, object]) -> object:
        answers: dict[str, Callable[[], object]] = {
            "getStateInstance": lambda: {"stateInstance": self.state},
            "getSettings": lambda: {"wid": self.owner, "incomingWebhook": "yes"},
            "getWaSettings": lambda: {
                "phone": self.owner.split("@")[0],
                "stateInstance": self.state,
                "avatar": "",
                "deviceId": "",
            },
            "getChats": self._chats,
            "getContacts": lambda: [
                {"id": one, "name": "Sam Example", "contactName": "", "type": "user"}
                for one in (self.histories if self.contacts is None else self.contacts)
            ],
            "lastIncomingMessages": lambda: [message(one, number) for number, one in enumerate(self.recent)],
            "lastOutgoingMessages": list,
            "lastIncomingCalls": list,
            "lastOutgoingCalls": list,
            "getGroupData": lambda: {
                "groupId": chat,
                "subject": "Example Choir",
                "owner": OWNER,
                "participants": [{"id": OWNER, "isAdmin": True, "isSuperAdmin": True}, {"id": person(2)}],
            },
            "getContactInfo": lambda: {"chatId": chat, "name": "Noor Example", "contactName": ""},
            "getChatHistory": lambda: self._history(chat, about),
        }
        return answers[method]()

    def _chats(self) -> list[dict[str, object]]:
        if self.listed is not None:
            return self.listed
        return [{"id": chat, "name": "", "archive": False} for chat in self.histories]

    def _history(self, chat: str, about: dict[str, object]) -> list[dict[str, object]]:
        length = min(self.histories.get(chat, 0), int(str(about["count"])), self.cap or 10**9)
        newest = self.histories.get(chat, 0)
        return [message(chat, number) for number in range(newest, newest - length, -1)]
