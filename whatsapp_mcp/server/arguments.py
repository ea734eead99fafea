"""The parameters that several tools share, each described once: what it accepts, with an example."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field


def _as_text(given: object) -> object:
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


AsText: TypeAlias = Annotated[str, BeforeValidator(_as_text)]
"""Text to the client, so that one that knows single types only can use it; ids, numbers and years are taken as numbers too."""
ChatName: TypeAlias = Annotated[
    AsText, Field(description='Chat: its name, phone number or id, e.g. "Book club", "+1 555 010 0199", 12.')
]
OptionalChat: TypeAlias = Annotated[
    AsText | None, Field(description="Only this chat: its name, phone number or id. Default: all chats.")
]
OptionalSender: TypeAlias = Annotated[
    AsText | None,
    Field(description='Only what this person wrote: name, phone number or contact id; "me" for the owner. Default: everybody.'),
]
OptionalContact: TypeAlias = Annotated[
    AsText | None,
    Field(description="Only messages with this person: name, phone number or contact id. Default: everybody."),
]
After: TypeAlias = Annotated[
    AsText | None,
    Field(
        description="From when on, in the user's zone: 2025-08, 2025-08-14, RFC 3339, today, yesterday, last week, "
        "last 30 days. A named day or month is included whole."
    ),
]
Before: TypeAlias = Annotated[
    AsText | None,
    Field(description="Until when, written like `after`. A named day or month is included whole; an instant is excluded."),
]
Cursor: TypeAlias = Annotated[
    str | None, Field(description="The `cursor` of the answer before, with all other arguments unchanged, to go on from there.")
]
Handle: TypeAlias = Annotated[AsText, Field(description='The handle that stands at a message in every answer, e.g. "m4711".')]
OptionalHandle: TypeAlias = Annotated[
    AsText | None,
    Field(
        description='Show what was said around this message: its handle, e.g. "m4711", or date, e.g. 2025-08-14. '
        "Not with after or before."
    ),
]
TokenBudget: TypeAlias = Annotated[
    int | None,
    Field(
        ge=1, le=20_000, description="The most tokens of an answer (characters / 3.5; 150 more for the header). Default 20000."
    ),
]
Form: TypeAlias = Annotated[
    Literal["text", "json"],
    Field(description="text: compact lines. json: the same facts as one JSON document, about 8 times longer."),
]
Kind: TypeAlias = Literal[
    "text", "image", "video", "audio", "voice", "document", "sticker", "location", "contact",
    "poll", "call", "group_invite", "buttons", "list", "template", "system", "unknown",
]  # fmt: skip
Kinds: TypeAlias = Annotated[
    list[Kind] | None, Field(description='Only messages of these kinds, e.g. ["document", "image"]. Default: all kinds.')
]
State: TypeAlias = Literal["edited", "deleted", "forwarded", "quoted", "reacted", "sent", "received", "private", "group"]
States: TypeAlias = Annotated[
    list[State] | None,
    Field(description='Only messages that are all of these, e.g. ["edited"]; quoted: it answers another. Default: any.'),
]
Breakdown: TypeAlias = Annotated[
    list[Literal["contact", "chat", "day", "month", "type"]] | None,
    Field(description='Which tables to count, e.g. ["contact", "month"]. Default: contact, chat, month, type.'),
]
