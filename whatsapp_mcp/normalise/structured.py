"""Messages whose text is put together from parts: places, contacts, polls, invitations, buttons, lists and templates."""

from __future__ import annotations

from whatsapp_mcp.normalise.parts import Content
from whatsapp_mcp.normalise.values import Item, entries, lines, part, real, text

_BUTTON_OBJECTS = (
    "buttonsMessage",
    "buttonsMessageData",
    "interactiveButtons",
    "interactiveButtonsReply",
    "interactiveButtonReply",
)


def read_location(item: Item) -> Content:
    """A place: its name and address; coordinates in degrees, which some builds write as text."""
    place = part(item, "location", "locationMessageData", "locationMessage")
    name = text(place.get("nameLocation"))
    latitude, longitude = real(place.get("latitude")), real(place.get("longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        latitude = longitude = None
    return Content("location", lines(name, place.get("address")), latitude=latitude, longitude=longitude, place=name)


def read_contact(item: Item) -> Content:
    """One shared contact.

    One documented sample of an incoming one has the shared contact in the place of the sender's name.
    """
    return _contacts([part(item, "contact", "contactMessageData", "contactMessage", "senderContactName")])


def read_contacts(item: Item) -> Content:
    """Several shared contacts; in notifications they lie in a ``messageData`` within the ``messageData``."""
    for holder in (item, part(item, "messageData"), part(item, "contactsArrayMessageData", "contactsArrayMessage")):
        cards = entries(holder, "contacts")
        if cards:
            return _contacts(cards)
    return read_contact(item)


def _contacts(cards: list[object]) -> Content:
    found = [card for card in cards if isinstance(card, dict)]
    return Content("contact", lines(*map(_name_of, found)), vcards=lines(*(card.get("vcard") for card in found)))


def _name_of(card: Item) -> str:
    name = text(card.get("displayName"))
    if name:
        return name
    for line in text(card.get("vcard")).splitlines():
        if line.upper().startswith("FN"):
            return line.partition(":")[2].strip()
    return ""


def read_poll(item: Item) -> Content:
    """The question and each option; in 2023 the object was called ``pollCreationMessage``."""
    poll = part(item, "pollMessageData", "pollCreationMessage")
    return Content("poll", lines(poll.get("name"), *map(option_name, entries(poll, "options"))))


def option_name(option: object) -> str:
    """The text of a poll's option."""
    return text(option.get("optionName")) if isinstance(option, dict) else text(option)


def read_group_invite(item: Item) -> Content:
    """The words beside an invitation, and the group's name."""
    invite = part(item, "groupInviteMessageData", "groupInviteMessage")
    return Content("group_invite", lines(invite.get("caption"), invite.get("groupName")))


def read_buttons(item: Item) -> Content:
    """A text with buttons under it."""
    data = part(item, *_BUTTON_OBJECTS)
    return Content("buttons", lines(*_head(data), *_button_texts(data)))


def read_list(item: Item) -> Content:
    """A text with a list to choose from."""
    data = part(item, "listMessage", "listMessageData")
    sections = [section for section in entries(data, "sections") if isinstance(section, dict)]
    rows = [line for section in sections for line in (section.get("title"), *map(_row_text, entries(section, "rows")))]
    return Content("list", lines(*_head(data), data.get("buttonText"), *rows))


def _row_text(row: object) -> str:
    if not isinstance(row, dict):
        return text(row)
    return " – ".join(filter(None, (text(row.get("title")), text(row.get("description")))))


def read_template(item: Item) -> Content:
    """A business template; the outgoing variant of some accounts has only its parameters."""
    data = part(item, "templateMessage", "templateMessageData")
    return Content("template", lines(*_head(data), *_button_texts(data), *entries(data, "params")))


def _head(data: Item) -> tuple[object, ...]:
    # One page of the docs calls the three parts header, body and footer.
    return (
        data.get("titleText") or data.get("title") or data.get("header"),
        data.get("contentText") or data.get("body"),
        data.get("footerText") or data.get("footer"),
    )


def _button_texts(data: Item) -> list[str]:
    return [_button_text(button) for button in entries(data, "buttons")]


def _button_text(button: object) -> str:
    if not isinstance(button, dict):
        return text(button)
    shown = part(button, "urlButton", "callButton", "quickReplyButton") or button
    return text(shown.get("displayText")) or text(shown.get("buttonText"))


def read_buttons_reply(item: Item) -> Content:
    """The button that was chosen."""
    data = part(item, "buttonsResponseMessage", "buttonsResponseMessageData")
    return _choice("buttons", data, data.get("selectedButtonText"))


def read_interactive_reply(item: Item) -> Content:
    """The button that was chosen; the documented samples repeat all of them and do not say which."""
    data = part(item, "interactiveButtonsReply", "interactiveButtonReply", "interactiveButtons")
    chosen = text(data.get("selectedDisplayText")) or text(data.get("selectedButtonText"))
    return _choice("buttons", data, chosen or read_buttons(item).words)


def read_list_reply(item: Item) -> Content:
    """The row that was chosen."""
    data = part(item, "listResponseMessage", "listResponseMessageData")
    return _choice("list", data, data.get("title") or data.get("singleSelectReply"))


def read_template_reply(item: Item) -> Content:
    """The button of a template that was chosen; the object's name has one letter less than the type's."""
    data = part(item, "templateButtonReplyMessage", "templateButtonsReplyMessage")
    return _choice("template", data, data.get("selectedDisplayText"))


def _choice(kind: str, data: Item, chosen: object) -> Content:
    return Content(kind, text(chosen), text(data.get("stanzaId")))
