"""The instance behind the gateway: what has happened in the account so far, and how each method answers.

It begins with the account's history and grows by `Instance.deliver`. Answers are JSON bodies of Green API; a refusal is raised.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.demo import directory, shapes
from whatsapp_mcp.demo.entry import Entry, TrueMessage, true_message
from whatsapp_mcp.demo.journal import Fields, Teller, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from whatsapp_mcp.demo.account import Account
    from whatsapp_mcp.demo.faults import Faults
    from whatsapp_mcp.demo.people import Group, Person

_MOST_CALLS: Final = 10_000
_LATEST_ACTION: Final = 600
"""No outgoing message of the account has its last action later than this many seconds after it."""
_FIRST_RECEIPT: Final = 1_234_567

Arguments = Mapping[str, Any]


class Refusal(Exception):
    """The answer is not 200: a status, and a message (JSON) or nothing."""

    def __init__(self, status: int, message: str = "", *, body: Fields | None = None, brief: bool = True) -> None:
        """A `brief` message comes without time and path; `body` replaces the usual form."""
        self.status = status
        self.message = message
        self.body = body
        self.brief = brief
        super().__init__(message)


class Instance:
    """One instance; not for two threads at once except `deliver` and `enqueue`, which only add."""

    def __init__(self, account: Account, faults: Faults, url: str, id_instance: int) -> None:
        """Serve `account`; files are told to lie under `url`."""
        self.account = account
        self.faults = faults
        self.now = account.now
        """The gateway's present, unix seconds: windows of minutes are counted back from here."""
        self.settings = directory.settings(account.owner)
        self.queue: deque[tuple[int, Fields]] = deque()
        """Waiting notifications: receipt id and body."""
        self._people = {person.id: person for person in account.contacts}
        self._canonical = {person.lid: person.id for person in account.contacts}
        self._groups = {group.id: group for group in account.groups}
        self._history: dict[str, list[Entry]] = {chat: list(entries) for chat, entries in account.history.items()}
        self._encoded: dict[str, list[bytes | None]] = {}
        self._forget_encoded()
        self._not_told: dict[str, set[tuple[str, str]]] = {"history": set(), "journal": set()}
        self._receipts = _FIRST_RECEIPT
        self._made = 0
        self._teller = Teller(account.owner, self._people, url, id_instance)
        self._answers: dict[str, Callable[[Arguments], bytes]] = {
            "getStateInstance": self._get_state_instance,
            "getSettings": self._get_settings,
            "getWaSettings": self._get_wa_settings,
            "getContacts": self._get_contacts,
            "getContactInfo": self._get_contact_info,
            "getChats": self._get_chats,
            "getChatHistory": self._get_chat_history,
            "getMessage": self._get_message,
            "lastIncomingMessages": self._last_incoming_messages,
            "lastOutgoingMessages": self._last_outgoing_messages,
            "lastIncomingCalls": self._last_incoming_calls,
            "lastOutgoingCalls": self._last_outgoing_calls,
            "getGroupData": self._get_group_data,
            "getAvatar": self._get_avatar,
            "downloadFile": self._download_file,
            "receiveNotification": self._receive_notification,
            "deleteNotification": self._delete_notification,
            "getWebhooksCount": self._get_webhooks_count,
        }

    # What happens: used by tests and the demo

    def compose(self, chat: str, text: str, *, from_me: bool = False, sender: str = "", at: int | None = None) -> Entry:
        """A text for `deliver`, one second after the gateway's present unless `at` says otherwise."""
        self._made += 1
        author = self.account.owner.id if from_me else sender or chat
        moment = self.now + 1 if at is None else at
        return Entry(chat, f"3AD0000000{self._made:010X}", moment, author, from_me, content=text)

    def compose_edit(self, target: Entry, text: str) -> Entry:
        """An edit of `target` for `deliver`."""
        return self._compose_extra(target, "editedMessage", shapes.edit_fields(text, target.id))

    def compose_deletion(self, target: Entry) -> Entry:
        """A deletion of `target` for everyone, for `deliver`."""
        return self._compose_extra(target, "deletedMessage", shapes.deletion_fields(target.id))

    def compose_reaction(self, target: Entry, emoji: str, *, from_me: bool = False) -> Entry:
        """A reaction to `target` by its chat's other side (or the owner), for `deliver`; ``""`` takes it back."""
        reaction = self._compose_extra(target, "reactionMessage", shapes.reaction_fields(emoji, target))
        sender = self.account.owner.id if from_me else target.chat
        return reaction._replace(from_me=from_me, sender=sender, target="")

    def _compose_extra(self, target: Entry, type_message: str, fields: Fields) -> Entry:
        extra = self.compose(target.chat, "", from_me=target.from_me, sender=target.sender)
        return extra._replace(kind="", type_message=type_message, fields=fields, target=target.id)

    def deliver(self, entry: Entry, *, history: bool = True, journal: bool = True, queue: bool = True) -> Entry:
        """Let `entry` happen: in the history, the journals and the queue, each unless switched off (tracker #1020, #1118)."""
        entries = self._history.setdefault(entry.chat, [])
        encoded = self._encoded.setdefault(entry.chat, [])
        self._change_target(entry)
        place = len(entries)
        while place and entries[place - 1].sent_at > entry.sent_at:
            place -= 1
        entries.insert(place, entry)
        encoded.insert(place, None)
        for where, wanted in (("history", history), ("journal", journal)):
            if not wanted:
                self._not_told[where].add((entry.chat, entry.id))
        self.now = max(self.now, entry.sent_at)
        if queue:
            self.enqueue(self._teller.notification(entry, chat_name=self._name(entry.chat)))
        return entry

    def report_status(self, entry: Entry, status: str) -> None:
        """Let the outgoing `entry` come as far as `status` now: a notification, and a later time in the journal."""
        self.now += 1
        self._replace(entry, entry._replace(status=status, action_at=self.now))
        self.enqueue(self._teller.status_notification(entry, status, self.now))

    def enqueue(self, body: Fields) -> int:
        """Put any notification into the queue; the answer is its receipt id."""
        self._receipts += 1
        self.queue.append((self._receipts, body))
        return self._receipts

    def truth(self) -> list[TrueMessage]:
        """The account's truth with everything delivered since."""
        return [true_message(entry) for entries in self._history.values() for entry in entries if entry.kind]

    def prepare(self) -> None:
        """Write all records now, so that no later answer is slower for being the first."""
        for chat, entries in self._history.items():
            for place in range(len(entries)):
                self._told(chat, place)

    def leak_lids(self, *, leaking: bool) -> None:
        """Tell everybody by the privacy id, or no longer."""
        if self._teller.leaking_lids != leaking:
            self._teller.leaking_lids = leaking
            self._forget_encoded()

    def _forget_encoded(self) -> None:
        self._encoded = {chat: [None] * len(entries) for chat, entries in self._history.items()}

    def _change_target(self, entry: Entry) -> None:
        target = self._find(entry.chat, entry.target) if entry.target else None
        if target is None:
            return
        if entry.type_message == "editedMessage" and entry.fields is not None:
            text = str(entry.fields["editedMessageData"]["textMessage"])
            self._replace(target, target._replace(content=text, shown=target.content, edited=True))
        elif entry.type_message == "deletedMessage":
            self._replace(target, target._replace(content="", shown=None, deleted=True))

    def _replace(self, old: Entry, new: Entry) -> None:
        place = next(place for place, entry in enumerate(self._history[old.chat]) if entry.id == old.id)
        self._history[old.chat][place] = new
        self._encoded[old.chat][place] = None

    # What the methods answer

    def answer(self, method: str, arguments: Arguments) -> bytes:
        """The body with which `method` answers; raises `Refusal`, and KeyError for a method that does not exist."""
        return self._answers[method](arguments)

    def _get_state_instance(self, _: Arguments) -> bytes:
        return encode(None if self.faults.state is None else {"stateInstance": self.faults.state})

    def _get_settings(self, _: Arguments) -> bytes:
        return encode(self.settings)

    def _get_wa_settings(self, _: Arguments) -> bytes:
        return encode(directory.wa_settings(self.account.owner, self.faults.state or ""))

    def _get_contacts(self, arguments: Arguments) -> bytes:
        group = {"true": True, "false": False}.get(str(arguments.get("group", "")).lower())
        listed = directory.contacts(self.account.contacts, self.account.groups, group=group)
        return encode(listed[: _count(arguments, len(listed))])

    def _get_contact_info(self, arguments: Arguments) -> bytes:
        chat = self._chat_argument(arguments)
        if chat.endswith("@g.us"):
            raise _invalid("The method GetContactInfo does not support group chat")
        person = self._people.get(chat)
        if person is None:
            raise Refusal(400, "chatId not found")
        return encode(directory.contact_info(person, archived=chat in self.account.archived))

    def _get_chats(self, arguments: Arguments) -> bytes:
        shown = [chat for chat, entries in self._history.items() if entries and chat not in self.faults.hidden_chats]
        shown.sort(key=lambda chat: -self._history[chat][-1].sent_at)
        return encode([self._chat_line(chat) for chat in shown[: _count(arguments, len(shown))]])

    def _chat_line(self, chat: str) -> Fields:
        party: Person | Group | None = self._people.get(chat) or self._groups.get(chat)
        if party is None:
            return directory.unnamed_chat(chat)
        return directory.chat(party, archived=chat in self.account.archived)

    def _get_chat_history(self, arguments: Arguments) -> bytes:
        chat = self._chat_argument(arguments)
        count = _count(arguments, 100)
        if chat in self.faults.failing_chats:
            raise Refusal(self.faults.failing_chats[chat], "chatId not found")
        if self.faults.largest_count is not None and count > self.faults.largest_count:
            raise _invalid(f"'count' must be less than or equal to {self.faults.largest_count}")
        cap = count if self.faults.history_cap is None else min(count, self.faults.history_cap)
        return _array(self._newest(chat, cap))

    def _newest(self, chat: str, count: int) -> list[bytes]:
        told: list[bytes] = []
        entries = self._history.get(chat, [])
        place = len(entries)
        while place and len(told) < count:
            place -= 1
            if self._visible(entries[place], "history"):
                told.append(self._told(chat, place))
        return told

    def _visible(self, entry: Entry, where: str) -> bool:
        late = entry.sent_at > self.now - self.faults.journal_lag
        return entry.kind != "call" and not late and (entry.chat, entry.id) not in self._not_told[where]

    def _told(self, chat: str, place: int) -> bytes:
        known = self._encoded[chat][place]
        if known is None:
            known = encode(self._teller.record(self._history[chat][place]))
            self._encoded[chat][place] = known
        return known

    def _get_message(self, arguments: Arguments) -> bytes:
        chat = self._chat_argument(arguments)
        if chat not in self._history:
            raise Refusal(400, "chatId not found")
        entry = self._find(chat, str(arguments.get("idMessage", "")))
        if entry is None:
            raise Refusal(400, "ID message notfound")
        return encode(self._teller.record(entry))

    def _last_incoming_messages(self, arguments: Arguments) -> bytes:
        return _array(told for _, told in sorted(self._last(arguments, from_me=False), reverse=True))

    def _last_outgoing_messages(self, arguments: Arguments) -> bytes:
        return _array(told for _, told in sorted(self._last(arguments, from_me=True), reverse=True))

    def _last(self, arguments: Arguments, *, from_me: bool) -> list[tuple[int, bytes]]:
        since = self.now - 60 * _number(arguments, "minutes", 1440)
        found: list[tuple[int, bytes]] = []
        for chat, entries in self._history.items():
            for place in range(len(entries) - 1, -1, -1):
                entry = entries[place]
                if entry.sent_at < since - _LATEST_ACTION:
                    break
                at = entry.action_at or entry.sent_at
                if at >= since and entry.from_me is from_me and self._visible(entry, "journal"):
                    found.append((at, self._told_last(chat, place)))
        return found

    def _told_last(self, chat: str, place: int) -> bytes:
        entry = self._history[chat][place]
        return encode(self._teller.record(entry, last_action=True)) if entry.action_at else self._told(chat, place)

    def _last_incoming_calls(self, arguments: Arguments) -> bytes:
        return self._calls(arguments, from_me=False)

    def _last_outgoing_calls(self, arguments: Arguments) -> bytes:
        return self._calls(arguments, from_me=True)

    def _calls(self, arguments: Arguments, *, from_me: bool) -> bytes:
        since = self.now - 60 * _number(arguments, "minutes", 1440)
        calls = [
            (entry.sent_at, place, chat)
            for chat, entries in self._history.items()
            for place, entry in enumerate(entries)
            if entry.kind == "call" and entry.from_me is from_me and entry.sent_at >= since
        ]
        newest = sorted(calls, reverse=True)[:_MOST_CALLS]
        return _array(self._told(chat, place) for _, place, chat in newest)

    def _get_group_data(self, arguments: Arguments) -> bytes:
        group = self._groups.get(str(arguments.get("groupId", "")))
        if group is None:
            return encode("Error: item-not-found")
        if group.left:
            return encode("Error: forbidden")
        return encode(directory.group_data(group, self._people))

    def _get_avatar(self, arguments: Arguments) -> bytes:
        known = self._chat_argument(arguments) in self._history
        return encode({"urlAvatar": directory.AVATAR if known else "", "available": known})

    def _download_file(self, arguments: Arguments) -> bytes:
        chat, message = self._chat_argument(arguments), str(arguments.get("idMessage", ""))
        entry = self._find(chat, message)
        if entry is None or entry.fields is None or "downloadUrl" not in entry.fields:
            text = f"File message encrypted url not found by chatId {chat} and idMessage {message}"
            raise Refusal(400, text)
        url = self._teller.record(entry)["downloadUrl"]
        if self.faults.expired_media or not str(url).startswith("http"):
            raise Refusal(500, "Internal server error")
        return encode({"downloadUrl": url})

    def _receive_notification(self, _: Arguments) -> bytes:
        if self.settings["webhookUrl"]:
            raise Refusal(400, "custom webhook url is set")
        if not self.queue:
            return b"null"
        receipt, body = self.queue[0]
        return encode({"receiptId": receipt, "body": body})

    def _delete_notification(self, arguments: Arguments) -> bytes:
        receipt = str(arguments.get("receiptId", ""))
        for waiting in self.queue:
            if str(waiting[0]) == receipt:
                self.queue.remove(waiting)
                return encode({"result": True})
        return encode({"result": False, "reason": "not found"})

    def _get_webhooks_count(self, _: Arguments) -> bytes:
        return encode({"\u0441ount" if self.faults.cyrillic_count else "count": len(self.queue)})

    def _chat_argument(self, arguments: Arguments) -> str:
        chat = arguments.get("chatId")
        if not isinstance(chat, str) or "@" not in chat:
            raise _invalid("'chatId' is required and must be a chat id")
        return self._canonical.get(chat, chat)

    def _find(self, chat: str, message: str) -> Entry | None:
        return next((entry for entry in reversed(self._history.get(chat, [])) if entry.id == message), None)

    def _name(self, chat: str) -> str:
        if chat in self._groups:
            return self._groups[chat].subject
        return self._people[chat].name if chat in self._people else ""


def _array(items: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _invalid(details: str) -> Refusal:
    return Refusal(400, f"Bad Request Validation failed. Details: {details}", brief=False)


def _count(arguments: Arguments, default: int) -> int:
    return _number(arguments, "count", default)


def _number(arguments: Arguments, name: str, default: int) -> int:
    try:
        number = int(arguments.get(name, default))
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise _invalid(f"'{name}' must be a positive number")
    return number


def error_body(refusal: Refusal, path: str) -> bytes:
    """The JSON of a refusal; the longer form carries the path and with it the token, as Green API's own does."""
    if refusal.body is not None:
        return encode(refusal.body)
    if not refusal.message:
        return b""
    if refusal.brief:
        return encode({"statusCode": refusal.status, "message": refusal.message})
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    return encode({"statusCode": refusal.status, "timestamp": at, "path": path, "message": refusal.message})
