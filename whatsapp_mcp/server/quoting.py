"""What ``verify_quote`` answers: whether a sentence really stands in a message, by whom and when, and where else if not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.server.answers import chat_title, coverage_text, minute
from whatsapp_mcp.server.fencing import fence, literal
from whatsapp_mcp.server.lines import Style, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.queries.quoting import Checked

_LONGEST: Final = 1_200
"""Characters of a message that is shown as proof; the whole has its own address."""
_MISSING_SHOWN: Final = 12


def quote_answer(archive: Archive, checked: Checked, enclose: Callable[[str], str] = fence) -> str:
    """Answer ``verify_quote``; a terminal needs no fence: `enclose` says how."""
    zone, message = archive.settings.timezone, checked.message
    sender = "you" if message.from_me else literal(message.sender.name) if message.sender else "an unknown sender"
    taken_back = "" if message.deleted_at is None else f"deleted {minute(message.deleted_at, zone)}"
    facts = [verdict_text(checked), f"by {sender}", minute(message.sent_at, zone), taken_back, chat_title(message.chat)]
    if not checked.is_there:
        covered = archive.queries.coverage(message.chat.id)
        facts.append(coverage_text(covered, zone))
    shown = [message, *checked.elsewhere]
    lines = write_lines(shown, Style(zone, with_chat=len({one.chat.id for one in shown}) > 1, longest=_LONGEST))
    return "\n".join([" · ".join(filter(None, facts)), enclose("\n".join(lines))])


def verdict_text(checked: Checked) -> str:
    """Return the finding in one sentence of our own words."""
    handle = checked.message.handle
    if checked.verdict == "elsewhere":
        others = ", ".join(one.handle for one in checked.elsewhere)
        return f"No, not in {handle}: these words stand in {others}"
    if checked.verdict == "within words":
        others = ", ".join(one.handle for one in checked.elsewhere)
        also = f"; as whole words it stands in {others}" if others else ""
        return f"No: {handle} has these letters only as part of longer words{also}"
    if checked.verdict == "not found":
        missing = ", ".join(literal(word, 30) for word in checked.missing[:_MISSING_SHOWN])
        lacking = f"; it lacks the words {missing}" if missing else "; it has the words, but not in a row"
        return f"No: {handle} does not say so, and no other archived message does{lacking}"
    return {
        "exact": f"Yes: {handle} says so, letter by letter",
        "same words": f"Yes: {handle} has these words in a row; letter case, accents, punctuation or blanks differ",
        "cut": f"Yes, but for what … leaves out: {handle} has these words in this order; see what stands there",
        "earlier version": f"No longer: {handle} said so before it was edited",
        "quoted there": f"Not by its sender: {handle} only quotes it from the message that it answers",
        "in its file": f"Not in the message: it stands in the text that was read out of the file of {handle}",
    }[checked.verdict]
