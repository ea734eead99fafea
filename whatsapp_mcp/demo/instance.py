"""The instance behind the gateway: what has happened in the account so far, and how each method answers.

It begins with the account's history and grows by `Instance.deliver`. Answers are JSON bodies of Green API; a refusal is raised.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.demo import directory, shapes
from whatsapp_mcp.demo.entry import Entry, TrueMessage, true_message
from whatsapp_mcp.demo.journal import Fields, Teller, encode
from whatsapp_mcp.demo.pictures import RENEWED
from whatsapp_mcp.demo.stories import Stories
from whatsapp_mcp.demo.tickets import KEPT_FOR, Queue, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from whatsapp_mcp.demo.account import Account
    from whatsapp_mcp.demo.faults import Faults
    from whatsapp_mcp.demo.people import Group, Person

_MOST_CALLS: Final = 10_000
_LATEST_ACTION: Final = 600
"""No outgoing message of the account has its last action later than this many seconds after it."""

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
    """One instance; not for two threads at once except for what happens in the account, which only adds."""

    def __init__(self, account: Account, faults: Faults, url: str, id_instance: int) -> None:
        """Serve `account`; files are told to lie under `url`."""
        self.account = account
        self.faults = faults
        self._url = url
        self.now = account.now
        """The gateway's present, unix seconds: windows of minutes are counted back from here."""
        self.settings = directory.settings(account.owner)
        self.queue = Queue()
        """Waiting notifications."""
        self.stolen: list[Ticket] = []
        """Notifications that another program took and deleted."""
        self.stories = Stories(account, url)
        self._people = {person.id: person for person in account.contacts}
        self._canonical = {person.lid: person.id for person in account.contacts}
        self._groups = {group.id: group for group in account.groups}
        self._history: dict[str, list[Entry]] = {chat: list(entries) for chat, entries in account.history.items()}
        self._encoded: dict[str, list[bytes | None]] = {}
        self._forget_encoded()
        self._not_told: dict[str, set[tuple[str, str]]] = {"history": set(), "journal": set()}
        self._made = 0
        self._enqueued: Counter[str] = Counter()
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
            "getIncomingStatuses": lambda arguments: self._stories(arguments, from_me=False),
            "getOutgoingStatuses": lambda arguments: self._stories(arguments, from_me=True),
            "getStatusStatistic": self._get_status_statistic,
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
            self.tell_again(entry)
        return entry

    def deliver_status_first(self, entry: Entry, status: str) -> Entry:
        """Let the outgoing `entry` happen while the queue tells its delivery before the message itself (tracker #656)."""
        self.deliver(entry._replace(status=status), queue=False)
        self.enqueue(self._teller.status_notification(entry, status, self.now))
        self.tell_again(entry)
        return entry

    def tell_again(self, entry: Entry) -> int:
        """Put the notification of `entry` into the queue, once more if it was told before (tracker #737, #882)."""
        return self.enqueue(self._teller.notification(entry, chat_name=self._name(entry.chat)))

    def report_status(self, entry: Entry, status: str) -> None:
        """Let the outgoing `entry` come as far as `status` now: a notification, and a later time in the journal."""
        self.now += 1
        self._replace(entry, entry._replace(status=status, action_at=self.now))
        self.enqueue(self._teller.status_notification(entry, status, self.now))

    def change_group(
        self,
        group: Group | str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        promote: Iterable[str] = (),
        demote: Iterable[str] = (),
        subject: str | None = None,
    ) -> Group:
        """Let people (by id) come, go, become admins or be it no longer, or name the group anew; the answer is the group now.

        No notification tells it, as with Green API: the next GetGroupData does. Without the account's owner it is forbidden.
        """
        known = self._groups[group if isinstance(group, str) else group.id]
        gone = set(remove)
        members = tuple(dict.fromkeys(member for member in (*known.members, *add) if member not in gone))
        admins = ((known.admins | set(promote)) - set(demote)) & set(members)
        changed = known._replace(
            members=members,
            admins=admins,
            subject=known.subject if subject is None else subject,
            left=self.account.owner.id not in members,
        )
        self._groups[known.id] = changed
        return changed

    def rename(self, person: Person | str, *, phonebook: str | None = None, profile: str | None = None) -> Person:
        """Name a person anew in the phone book, or as they call themself; later messages and the directories tell it."""
        known = self._people[person if isinstance(person, str) else person.id]
        changed = known._replace(
            phonebook_name=known.phonebook_name if phonebook is None else phonebook,
            profile_name=known.profile_name if profile is None else profile,
        )
        self._teller.remember(known, self.now)
        self._people[known.id] = changed
        return changed

    def enqueue(self, body: Fields) -> int:
        """Put any notification into the queue; the answer is its receipt id."""
        return self.enqueue_raw(encode(body).decode())

    def enqueue_raw(self, text: str) -> int:
        """Put a notification whose ``body`` is `text` as it stands, JSON or not; the answer is its receipt id.

        A lone surrogate from U+DC80 to U+DCFF stands for the byte that is no UTF-8 (``surrogateescape``).
        """
        ticket = self.queue.put(text, self.now)
        if self._is_turn("stolen", self.faults.stolen):
            self._steal(ticket)
        elif self._is_turn("duplicates", self.faults.duplicates):
            self.queue.put(text, self.now)
        return ticket.receipt

    def steal(self, share: float) -> int:
        """Another program takes and deletes this share (0 to 1) of what waits now, evenly; the answer is how many."""
        taken = 0
        for place, ticket in enumerate(self.queue, start=1):
            if int(place * share) > taken:
                self._steal(ticket)
                taken += 1
        return taken

    def next_ticket(self) -> Ticket | None:
        """The head of the queue, after what is older than a day was dropped."""
        if self.faults.queue_expiry:
            self.queue.drop_older(self.now - KEPT_FOR)
        return self.queue.head()

    def _steal(self, ticket: Ticket) -> None:
        self.stolen.append(ticket)
        self.queue.remove(str(ticket.receipt))

    def _is_turn(self, what: str, nth: int) -> bool:
        self._enqueued[what] += 1
        return nth > 0 and self._enqueued[what] % nth == 0

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
        listed = directory.contacts(self._people.values(), self._groups.values(), group=group)
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
        caps = (count, self.faults.history_cap, self.faults.short_histories.get(chat))
        return _array(self._newest(chat, min(cap for cap in caps if cap is not None)))

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
        hole = where == "journal" and entry.id in self.faults.journal_holes
        return entry.kind != "call" and not (late or hole) and (entry.chat, entry.id) not in self._not_told[where]

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
        if entry is None or entry.id in self.faults.unknown_messages:
            raise Refusal(400, "ID message notfound")
        return encode(self._teller.record(entry))

    def _last_incoming_messages(self, arguments: Arguments) -> bytes:
        return self._journal(self._last(arguments, from_me=False))

    def _last_outgoing_messages(self, arguments: Arguments) -> bytes:
        return self._journal(self._last(arguments, from_me=True))

    def _journal(self, found: Iterable[tuple[int, bytes]]) -> bytes:
        return _array([told for _, told in sorted(found, reverse=True)][: self.faults.journal_cap])

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
        return _array([self._told(chat, place) for _, place, chat in newest][: self.faults.journal_cap])

    def _get_group_data(self, arguments: Arguments) -> bytes:
        group = self._groups.get(str(arguments.get("groupId", "")))
        if group is None:
            return encode("Error: item-not-found")
        if group.left:
            return encode("Error: forbidden")
        return encode(directory.group_data(group, self._people))

    def _get_avatar(self, arguments: Arguments) -> bytes:
        chat = self._chat_argument(arguments)
        shown = f"{self._url}/media/avatar-{chat.partition('@')[0]}.jpg" if chat in self._history else ""
        return encode({"urlAvatar": shown, "available": bool(shown)})

    def _download_file(self, arguments: Arguments) -> bytes:
        chat, message = self._chat_argument(arguments), str(arguments.get("idMessage", ""))
        entry = self._find(chat, message)
        if entry is None or entry.fields is None or "downloadUrl" not in entry.fields:
            text = f"File message encrypted url not found by chatId {chat} and idMessage {message}"
            raise Refusal(400, text)
        url = self._teller.record(entry)["downloadUrl"]
        if self.faults.expired_media or not str(url).startswith("http"):
            raise Refusal(500, "Internal server error")
        if self.faults.stale_links:
            url = str(url).replace("/media/", f"/media/{RENEWED}", 1)
        return encode({"downloadUrl": url})

    def _receive_notification(self, _: Arguments) -> bytes:
        if self.settings["webhookUrl"]:
            raise Refusal(400, "custom webhook url is set")
        ticket = self.next_ticket()
        if ticket is None:
            return b"null"
        if self.faults.empty_polls:
            self.faults.empty_polls -= 1
            return b"null"
        return ticket.answer()

    def _delete_notification(self, arguments: Arguments) -> bytes:
        deleted = self.queue.remove(str(arguments.get("receiptId", "")))
        return encode({"result": True} if deleted else {"result": False, "reason": "not found"})

    def _get_webhooks_count(self, _: Arguments) -> bytes:
        self.next_ticket()
        return encode({"\u0441ount" if self.faults.cyrillic_count else "count": len(self.queue)})

    def _stories(self, arguments: Arguments, *, from_me: bool) -> bytes:
        since = self.now - 60 * _number(arguments, "minutes", 1440)
        return encode(self.stories.told(from_me=from_me, since=since, now=self.now))

    def _get_status_statistic(self, arguments: Arguments) -> bytes:
        story = str(arguments.get("idMessage", ""))
        if not story:
            raise _invalid("'idMessage' is required")
        return encode(self.stories.statistic(story))

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
