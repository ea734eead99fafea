"""The sweep: what the queue and the journals missed shows only when histories are compared with the archive, chat by chat.

Some messages stand in the history and never came any other way (Green API tracker #1118). A history costs a second, so each run
asks a share only: the chats that were active since their last comparison, once a day and only back to it, and the chats whose
whole history was had longest ago, so many that a daily sweep comes round within a month. A group's members come with its
history.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import GatewayError, RateLimited, RequestRefused, Unreachable, UnreadableAnswer
from whatsapp_mcp.sync.discovery import ASKABLE
from whatsapp_mcp.sync.extras import RECENT_FILES_SECONDS, fetch_files, make_meanings
from whatsapp_mcp.sync.instance import concerns_one_method, done_without, ensure_ready
from whatsapp_mcp.sync.needs import listed_chats
from whatsapp_mcp.sync.recent import nothing_synced
from whatsapp_mcp.sync.reconciling import Reconciliation, Wanted
from whatsapp_mcp.sync.running import Run, closing
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.store.gaps import ChatState
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer

COUNTS: Final = (200, 1_000, 5_000, 25_000)
EVERY: Final = 20 * 3_600
"""Seconds after which an active chat is compared again: a day, for a job that does not begin on the second."""
ROUND: Final = 28
"""Runs, one a day, after which every chat's whole history was compared."""
AT_ONCE: Final = 1_000
"""Histories in one run, a quarter of an hour and more; what is due beyond waits for the next."""
_TRIES: Final = 3
"""A chat that failed as often in a row comes round with its like alone, so that such chats do not take the whole share."""
_CONCERN_ONE_GROUP: Final = (Unreachable, RateLimited, UnreadableAnswer)


async def sweep(gateway: GreenApi, writer: Writer, clock: Clock, *, report: Report | None = None) -> Outcome:
    """Compare the histories of the chats that are due with the archive, and store what was missed; the notes tell how much.

    Raises `UsageError` where nothing was synced yet, and what the gateway said where it concerns the whole instance; a quota
    on histories in the middle is noted, and the run is ``partial``.
    """
    run = Run(gateway, Pen(writer), clock, report)
    if not await run.pen.call(_is_synced, run.pen.store, run.now):
        raise nothing_synced()
    async with closing(run):
        await run.begin("sweep")
        run.tell()
        await _check(gateway, run)
        await run.enter("discovering")
        listed = await listed_chats(gateway, run) or {}
        states = await run.pen.call(run.pen.store.gaps.chats, run.now)
        wanted = due(states, listed, run.now)
        if len(wanted) > AT_ONCE:
            run.note(f"{len(wanted) - AT_ONCE} more chats are due; the next sweep goes on with them.", missing=True)
        await run.enter("histories")
        await _compare(gateway, run, wanted[:AT_ONCE], {chat for chat, state in states.items() if state.is_done})
        await run.end_as_it_went()
    await fetch_files(gateway, run, RECENT_FILES_SECONDS)
    await make_meanings(run)
    return run.outcome()


def _is_synced(store: Store, now: int) -> bool:
    return any(state.progress for state in store.gaps.chats(now).values())


async def _check(gateway: GreenApi, run: Run) -> None:
    said: Payload | None = None
    try:
        said = await gateway.get_wa_settings()
    except Unreachable:
        raise
    except GatewayError:  # what it means is said by the instance's state
        said = None
    for payload in await ensure_ready(gateway, run.pen, run.clock, said):
        await run.pen.receive(payload)


def due(states: Mapping[str, ChatState], listed: Mapping[str, str], now: int) -> list[Wanted]:
    """The chats to ask, those that were verified longest ago first.

    A chat that is only listed is new. What an import alone knows, and nobody lists, is not the gateway's.
    """
    known = [state for chat, state in states.items() if ASKABLE.fullmatch(chat) and (state.progress or chat in listed)]
    new = [Wanted(chat, None, asked_as) for chat, asked_as in listed.items() if chat not in states]
    healthy = [state for state in known if state.errors < _TRIES]
    share = {state.chat for state in [*_share(healthy, len(healthy) + len(new), now), *_failing(known)]}
    active = [state for state in healthy if state.verified_at <= now - EVERY and state.last_message_at > state.verified_at]
    chosen = {state.chat: state for state in [*active, *known] if state in active or state.chat in share}
    order = sorted(chosen.values(), key=lambda state: state.verified_at)
    return [
        *new,
        *(Wanted(one.chat, None if one.chat in share else one.verified_at or None, listed.get(one.chat, "")) for one in order),
    ]


def _share(known: Sequence[ChatState], chats: int, now: int) -> Iterable[ChatState]:
    """The chats whose whole history is due: those had longest ago, less what was had today by whatever way."""
    old = [state for state in known if state.whole_at <= now - EVERY]
    old.sort(key=lambda state: state.whole_at)
    today = len(known) - len(old)
    return old[: max(0, ceil(chats / ROUND) - today)]


def _failing(known: Sequence[ChatState]) -> Iterable[ChatState]:
    """Of the chats that always fail those that were tried least, so that each has its turn within a round."""
    failing = sorted((state for state in known if state.errors >= _TRIES), key=lambda state: state.errors)
    return failing[: ceil(len(failing) / ROUND)]


async def _compare(gateway: GreenApi, run: Run, wanted: Sequence[Wanted], done: Collection[str]) -> None:
    covered = await run.pen.call(run.pen.store.gaps.covered)
    asking = Reconciliation(gateway, run, COUNTS, told_until=covered[-1][1] if covered else 0)
    asking.plan(one.chat for one in wanted)
    await asking.ask_all(wanted)
    await _fetch_members(gateway, run, [one.asked_as or one.chat for one in wanted if one.chat in asking.asked])
    if missed := sum(asking.missed[chat] for chat in done):
        run.note(f"The queue and the journals had missed {missed} messages; they are here now.")


async def _fetch_members(gateway: GreenApi, run: Run, chats: Iterable[str]) -> None:
    """Who is in the groups now; a group that was left does not tell, and that is no failure."""
    for group in (chat for chat in chats if chat.endswith("@g.us")):
        try:
            payload = await gateway.get_group_data(group)
        except RequestRefused:
            continue
        except GatewayError as error:
            if not isinstance(error, _CONCERN_ONE_GROUP) and not await concerns_one_method(gateway, error):
                raise
            run.note(f"Members of groups are missing: {done_without('getGroupData', error)}")
            return
        await run.pen.receive(payload)
