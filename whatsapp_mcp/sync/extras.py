"""What a run fetches at its end only because the settings say so: statuses (stories), and profile pictures.

Then files, if they are wanted: after the run has ended, since messages are complete without them, and for a bounded time.

Nothing of it makes a run fail: messages come first, and what could not be had is noted and asked for again by the next run.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, MissingExtra, RequestRefused
from whatsapp_mcp.normalise import avatar_link
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.discovery import damaged_note
from whatsapp_mcp.sync.instance import done_without

if TYPE_CHECKING:
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.media.portraits import Portraits
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.sync.running import Run

STATUSES_CURSOR: Final = "statuses_since"
"""The cursor that keeps when both lists of statuses were last had whole, in unix seconds."""
AVATARS_CURSOR: Final = "avatars_asked"
"""The cursor that keeps when each person's avatar was last asked for: JSON, WhatsApp's id to unix seconds."""
RECENT_FILES_SECONDS: Final = 120.0
"""How long a run that only catches up fetches files."""
FULL_FILES_SECONDS: Final = 900.0
"""How long a full one does: about 4,500 files at the documented pace."""
_MEANING_SECONDS: Final = 10.0
"""How long a run reads what new messages mean: some thousands."""
AVATARS_A_RUN: Final = 50
AVATARS_KEPT: Final = 30 * 86_400
"""Seconds after which a person's avatar is asked for again."""

_LONGEST_MINUTES: Final = 30 * 24 * 60
"""The gateway keeps statuses for 30 days (Green API docs, GetIncomingStatuses)."""
_OVERLAP_MINUTES: Final = 10
_PEOPLE: Final = re.compile(r"(?!0@)[0-9]+@(c\.us|lid)")
"""Not ``0@c.us``, WhatsApp itself."""
_GROUPS: Final = re.compile(r"[0-9-]+@g\.us")
_LOST: Final = 3
"""So many pictures in a row that cannot be fetched mean that the network, or their host, is away."""
_PICTURES_LATER: Final = "Profile pictures could not be fetched from their host; the next sync tries again."
_WORKERS: Final = 5


def ask_again(store: Store, people: set[str], now: int) -> None:
    """Let the next sync that fetches avatars ask for those of these ids, whenever it last did: their pictures were lost."""
    saved = store.cursor(AVATARS_CURSOR)
    asked = json.loads(saved) if saved else {}
    if people & asked.keys():
        left = {chat: at for chat, at in asked.items() if chat not in people}
        store.mark_chat(Mark(now, cursors={AVATARS_CURSOR: json.dumps(left)}))


async def fetch_extras(gateway: GreenApi, run: Run) -> None:
    """The one call that a full or recent sync makes before it ends its run: fetches what `run.pen.extras` asks for.

    Makes no request where the settings ask for nothing. Raises no error of the gateway: it becomes a note of the run.
    """
    wanted = run.pen.extras
    if wanted.statuses or wanted.avatars:
        await run.enter("extras")
    if wanted.statuses:
        await _fetch_statuses(gateway, run)
    if wanted.avatars:
        await _Avatars(gateway, run).fetch_due()


async def fetch_files(gateway: GreenApi, run: Run, seconds: float) -> None:
    """The call that a sync makes after it ended its run: files that are due, for so many seconds; the next run goes on.

    Raises nothing that the network or the disk does: it becomes a note of the outcome.
    """
    wishes = run.pen.extras.media
    if wishes is None or not wishes.with_sync:
        return
    from whatsapp_mcp.media.downloading import Limits, download_media  # it needs this package in its turn

    brought = await download_media(
        gateway,
        run.pen.writer,
        run.clock,
        report=lambda progress: run.tell_of_files(progress.done, progress.total),
        limits=Limits(seconds),
    )
    for note in brought.lines():
        run.note(note)


async def make_meanings(run: Run) -> None:
    """The last thing that a sync does where the settings ask for search by meaning: vectors of new messages, for a while.

    A library that is missing becomes a note of the outcome.
    """
    if not run.pen.extras.meanings:
        return
    from whatsapp_mcp.meanings import index_for  # numpy and a model: only for those who want it

    try:
        done = await run.pen.call(index_for, run.pen.store, _MEANING_SECONDS, run.clock.monotonic)
    except MissingExtra as error:
        run.note(str(error))
        return
    if done.left:
        run.note("Search by meaning does not know all messages yet: `whatsapp-mcp index` makes the rest.")


async def _fetch_statuses(gateway: GreenApi, run: Run) -> None:
    began = run.now
    since = await run.pen.call(run.pen.store.cursor, STATUSES_CURSOR)
    seconds = began - int(since) if since is not None else _LONGEST_MINUTES * 60
    minutes = min(max(seconds, 0) // 60 + 1 + _OVERLAP_MINUTES, _LONGEST_MINUTES)
    whole = True
    for name, fetch in (
        ("getIncomingStatuses", gateway.get_incoming_statuses),
        ("getOutgoingStatuses", gateway.get_outgoing_statuses),
    ):
        try:
            payload = await fetch(minutes)
        except GatewayError as error:
            run.note(done_without(name, error))
            whole = False
            continue
        applied = await run.pen.receive(payload)
        run.counters.received(applied.items, applied.messages)
        if payload.damaged:
            run.note(damaged_note(name))
            whole = False
    if whole:
        await run.pen.call(run.pen.store.mark_chat, Mark(began, cursors={STATUSES_CURSOR: str(began)}))


class _Avatars:
    """The avatars of one run."""

    def __init__(self, gateway: GreenApi, run: Run) -> None:
        self._gateway = gateway
        self._run = run
        self._asked: dict[str, int] = {}
        self._due: deque[str] = deque()
        self._portraits: Portraits | None = None
        self._lost = 0

    async def fetch_due(self) -> None:
        """Ask for those never asked for, or not for 30 days, the most recently active first, and fetch what they show.

        Where the writer is not told where files go, only the addresses of people are asked for.
        """
        store, call = self._run.pen.store, self._run.pen.call
        saved = await call(store.cursor, AVATARS_CURSOR)
        self._asked = json.loads(saved) if saved else {}
        long_ago = self._run.now - AVATARS_KEPT
        known = await call(store.known_chats)
        wishes = self._run.pen.extras.media
        due = [
            chat
            for chat in known
            if (_PEOPLE.fullmatch(chat) or (wishes and _GROUPS.fullmatch(chat)))
            and not long_ago < self._asked.get(chat, 0) <= self._run.now
        ]
        self._due.extend(due[:AVATARS_A_RUN])
        try:
            if wishes is None or not self._due:
                await self._work_all()
            else:
                from whatsapp_mcp.media.portraits import Portraits  # it needs this package in its turn

                async with Portraits(self._run.pen, self._run.clock, wishes) as self._portraits:
                    await self._work_all()
        finally:
            with anyio.CancelScope(shield=True):
                told = json.dumps({chat: at for chat, at in self._asked.items() if chat in known})
                await call(store.mark_chat, Mark(self._run.now, cursors={AVATARS_CURSOR: told}))

    async def _work_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(_WORKERS):
                tasks.start_soon(self._work)

    async def _fetch(self, chat: str, url: str) -> bool:
        """Whether the picture at `url` was had, or never can be."""
        try:
            if self._portraits is None or not url or await self._portraits.keep(chat, url):
                self._lost = 0
                return True
        except OSError as error:
            self._run.note(f"Profile pictures could not be stored ({type(error).__name__}).")
            self._due.clear()
            return False
        self._lost += 1
        if self._lost == _LOST:
            self._run.note(_PICTURES_LATER)
            self._due.clear()
        return False

    async def _work(self) -> None:
        while self._due:
            chat = self._due.popleft()
            try:
                answer = await self._gateway.get_avatar(chat)
                await self._run.pen.receive(answer)
                if not await self._fetch(chat, avatar_link(answer)):
                    continue
            except RequestRefused:  # nobody of that number, or a picture that is hidden
                pass
            except GatewayError as error:
                self._run.note(done_without("getAvatar", error))
                self._due.clear()
                return
            self._asked[chat] = self._run.now
