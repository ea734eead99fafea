"""Statuses (stories): what the people of the phone book and the owner showed for a day (Green API docs, statuses, beta).

They are kept for 30 days and stand in no chat's history and no journal of messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.demo.pictures import thumbnail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whatsapp_mcp.demo.account import Account
    from whatsapp_mcp.demo.people import Person

Fields = dict[str, Any]

KEPT_FOR: Final = 30 * 86_400
"""Seconds for which a story can be read."""

_HOUR: Final = 3600
_STYLE: Final = {"backgroundColor": "#228B22", "font": "SERIF"}


class Stories:
    """All stories so far, and those that are posted later."""

    def __init__(self, account: Account, url: str) -> None:
        """Begin with a few stories of the last days of `account`; pictures are told to lie under `url`."""
        self._owner = account.owner
        self._url = url
        self._made = 0
        self._told: list[tuple[int, bool, Fields]] = []
        """When, whether by the owner, and the item."""
        self._viewers: dict[str, tuple[int, list[str]]] = {}
        saved = [person for person in account.people if person.phonebook_name and not person.hidden]
        self._begin(saved, account.now)

    def _begin(self, saved: Sequence[Person], now: int) -> None:
        friends = saved[:3]
        self.post(friends[0], "Fresh bread from the oven", now - 40 * _HOUR)
        self.post(friends[1], "שבת שלום לכולם", now - 20 * _HOUR)
        self.post_picture(friends[0], "View from the ferry", now - 6 * _HOUR)
        taken_back = self.post(friends[2], "A mistake", now - 5 * _HOUR)
        self.take_back(friends[2], taken_back, now - 4 * _HOUR)
        self.post(None, "Back on Monday", now - 3 * _HOUR, viewers=[friend.id for friend in friends])

    def post(self, author: Person | None, text: str, at: int, *, viewers: Sequence[str] = ()) -> str:
        """A text by `author` (None: the owner, shown to `viewers`) at `at`, unix seconds; the answer is its id."""
        extended: Fields = {"text": text, **_STYLE}
        if author is None:
            extended["participants"] = list(viewers)
        return self._add(author, "extendedTextMessage", at, {"textMessage": text, "extendedTextMessage": extended}, viewers)

    def post_picture(self, author: Person | None, caption: str, at: int, *, viewers: Sequence[str] = ()) -> str:
        """A picture by `author` with a caption; otherwise like `post`."""
        name = f"story-{self._made}.jpg"
        fields: Fields = {} if author is not None else {"participants": list(viewers)}
        picture = {
            "downloadUrl": f"{self._url}/media/{name}", "caption": caption, "fileName": name, "jpegThumbnail": thumbnail(1),
            "mimeType": "image/jpeg",
        }  # fmt: skip
        return self._add(author, "imageMessage", at, {**fields, **picture}, viewers)

    def take_back(self, author: Person | None, story: str, at: int) -> None:
        """`author` deletes `story`: its item gives way to one that says only that it was deleted."""
        self._told = [told for told in self._told if told[2]["idMessage"] != story]
        item = self._item(author, "deletedMessage", at, story)
        self._told.append((at, author is None, item))

    def _add(self, author: Person | None, type_message: str, at: int, fields: Fields, viewers: Sequence[str]) -> str:
        self._made += 1
        story = f"{'BAE5' if author is None else '3A'}57010000000{self._made:05X}"
        item = {**self._item(author, type_message, at, story), **fields}
        # The delivery stands behind the content of an own story (docs, GetOutgoingStatuses).
        for name in ("statusMessage", "sendByApi"):
            if name in item:
                item[name] = item.pop(name)
        self._told.append((at, author is None, item))
        self._viewers[story] = (at, list(viewers))
        return story

    def _item(self, author: Person | None, type_message: str, at: int, story: str) -> Fields:
        kind, chat = ("outgoing", self._owner.id) if author is None else ("incoming", author.id)
        item: Fields = {
            "type": kind, "idMessage": story, "timestamp": at, "typeMessage": type_message, "chatId": chat,
        }  # fmt: skip
        if author is None:
            return {**item, "statusMessage": "read", "sendByApi": True}
        names = {"senderName": author.profile_name, "senderContactName": author.phonebook_name}
        return {**item, "senderId": author.id, **names}

    def told(self, *, from_me: bool, since: int, now: int) -> list[Fields]:
        """The items that GetIncomingStatuses or GetOutgoingStatuses gives, newest first; from `since` on, unix seconds."""
        earliest = max(since, now - KEPT_FOR)
        found = [(at, item) for at, mine, item in self._told if mine is from_me and earliest <= at <= now]
        return [item for _, item in sorted(found, key=lambda told: -told[0])]

    def statistic(self, story: str) -> list[Fields]:
        """Who saw an own story (docs, GetStatusStatistic); nobody for an unknown one."""
        at, viewers = self._viewers.get(story, (0, []))
        return [{"participant": viewer, "timestamp": at + 60, "status": "read"} for viewer in viewers]
