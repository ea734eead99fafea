"""What the status says of gaps and of the queue, as JSON values and as lines that say the same; also for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.export.objects import hole_object, party_object, rfc3339
from whatsapp_mcp.server.answers import minute
from whatsapp_mcp.server.fencing import literal
from whatsapp_mcp.server.lines import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import ChatGaps, Coverage, Queue, Status

HOLES_SHOWN: Final = 5
"""So many holes of a chat are told, the newest ones."""
_NAME: Final = 40
_MODES: Final = {"queue": "the notification queue", "webhook": "the webhook"}


@dataclass(frozen=True, slots=True)
class Ways:
    """What a reader can call or type to mend a gap."""

    recent: str
    full: str


TOOLS: Final = Ways("sync_recent", "start_full_sync mode=resume")
COMMANDS: Final = Ways("`whatsapp-mcp sync recent`", "`whatsapp-mcp sync full`")


def gaps_object(status: Status, ways: Ways, chat_object: Callable[[ChatGaps], dict[str, Any]]) -> dict[str, Any]:
    """What is suspected to be missing, in counts, by chat as `chat_object` tells it, and with the ``next_step``."""
    known, gaps = status.coverage, status.gaps
    return {
        "missing": known.missing,
        "by_kind": dict(gaps.by_kind),
        "unobtainable": known.unobtainable,
        "shrunk": known.shrunk,
        "with_holes": known.with_holes,
        "chats": [chat_object(one) for one in gaps.chats],
        "chats_total": gaps.chats_total,
        "next_step": " ".join(gaps_advice(known, ways)),
    }


def chat_gaps_object(one: ChatGaps, zone: ZoneInfo) -> dict[str, Any]:
    """The gaps of one chat, only where there are any, with the newest holes."""
    shown: dict[str, Any] = {"chat": party_object(one.chat)}
    shown |= {name: count for name in ("missing", "unobtainable") if (count := getattr(one, name))}
    if one.holes:
        shown["holes"] = [hole_object(hole, zone) for hole in one.holes[-HOLES_SHOWN:]]
        shown["holes_total"] = len(one.holes)
    if one.shrunk_from is not None:
        shown |= {"shrunk_from": one.shrunk_from, "shrunk_to": one.shrunk_to}
    return shown


def gaps_lines(status: Status, zone: ZoneInfo, ways: Ways) -> list[str]:
    """The same as text; nothing where nothing is suspected to be missing."""
    known, gaps = status.coverage, status.gaps
    counts = [
        (known.missing, f"{counted(known.missing, 'message')} known to be missing{_kinds(status)}"),
        (known.unobtainable, f"{known.unobtainable:,} that cannot be had any more"),
        (known.with_holes, f"some time never fetched in {counted(known.with_holes, 'chat')}"),
        (known.shrunk, f"the history of {counted(known.shrunk, 'chat')} shorter than before"),
    ]
    told = [text for count, text in counts if count]
    if not told:
        return []
    lines = [f"Gaps: {'; '.join(told)}. {' '.join(gaps_advice(known, ways))}"]
    lines += [f"gap in {one.chat.id} {literal(one.chat.name, _NAME)}: {_chat_text(one, zone)}" for one in gaps.chats]
    more = gaps.chats_total - len(gaps.chats)
    return [*lines, f"… and {counted(more, 'more chat')} with gaps"] if more > 0 else lines


def _kinds(status: Status) -> str:
    kinds = ", ".join(f"{count:,} by a {kind}" for kind, count in status.gaps.by_kind.items())
    return f" (noticed: {kinds})" if kinds else ""


def _chat_text(one: ChatGaps, zone: ZoneInfo) -> str:
    told = []
    if one.missing:
        told.append(f"{one.missing:,} missing")
    if one.unobtainable:
        told.append(f"{one.unobtainable:,} unobtainable")
    if one.holes:
        shown = one.holes[-HOLES_SHOWN:]
        earlier = f" and {len(one.holes) - len(shown)} earlier" if len(one.holes) > len(shown) else ""
        times = ", ".join(f"{minute(hole.start, zone)} to {minute(hole.end, zone)}" for hole in shown)
        told.append(f"never fetched {times}{earlier}")
    if one.shrunk_from is not None:
        told.append(f"history shrank from {one.shrunk_from:,} to {one.shrunk_to or 0:,} records")
    return "; ".join(told)


def gaps_advice(known: Coverage, ways: Ways) -> list[str]:
    """What to do about each kind of gap that there is, a sentence for each."""
    advice = []
    if known.with_holes:
        advice.append(f"{ways.full} asks all chats again and closes the times that were never fetched.")
    if known.missing:
        advice.append(f"{ways.recent} asks Green API for the missing messages, three times within about a week.")
    if known.unobtainable:
        advice.append("`whatsapp-mcp import PATH` can add what Green API does not have from a chat export.")
    if known.shrunk:
        advice.append(f"What was stored of a history that shrank is kept; {ways.full} compares again.")
    return advice


def queue_object(queue: Queue, zone: ZoneInfo) -> dict[str, Any]:
    """How the archive listens, what it was told and what it missed, and a ``suspicion`` where there is one."""
    moments = {"since": queue.since, "read_at": queue.read_at}
    counts = ("told_incoming", "told_outgoing", "missed_incoming", "missed_outgoing")
    return {
        "mode": queue.mode or "never",
        "listens_now": queue.listens_now,
        **{name: rfc3339(moment, zone) for name, moment in moments.items() if moment is not None},
        **{name: getattr(queue, name) for name in counts},
        **({"suspicion": f"{queue.note} {QUEUE_ADVICE}"} if queue.note else {}),
    }


def queue_lines(queue: Queue, zone: ZoneInfo) -> list[str]:
    """The same as text."""
    if queue.mode not in _MODES:
        why = "notifications go to another webhook address" if queue.mode else "never"
        lines = [f"Listening: {why}; `whatsapp-mcp listen` receives messages as they come."]
    else:
        since = "" if queue.since is None else f" since {minute(queue.since, zone)}"
        read = "" if queue.read_at is None else f", all known until {minute(queue.read_at, zone)}"
        now = "now" if queue.listens_now else "not now; last"
        lines = [f"Listening: {now} to {_MODES[queue.mode]}{since}{read}{_heard(queue)}"]
    return [*lines, f"Suspicion: {queue.note} {QUEUE_ADVICE}"] if queue.note else lines


def _heard(queue: Queue) -> str:
    told, missed = queue.told_incoming + queue.told_outgoing, queue.missed_incoming + queue.missed_outgoing
    if not told and not missed:
        return ""
    return (
        f"; of the last 30 days it brought {told:,} messages, and journals {missed:,} more"
        if missed
        else f"; {told:,} messages"
    )


QUEUE_ADVICE: Final = (
    "Let only one program read it: stop the other one or give it an instance of its own. Journals and histories still bring"
    " what it took, only later; `whatsapp-mcp doctor` says more."
)
