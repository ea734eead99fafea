"""Messages that something refers to and that were never seen are asked for one by one.

A quote, a receipt, an edit, a reaction or a vote names its message by id, and getMessage gives one message by its id, ten a
second where a history costs a second (Green API docs, "ratelimiter"). What the gateway does not have is asked for again after a
day and after a week, and is then called unobtainable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import (
    CredentialsError,
    GatewayError,
    QuotaReached,
    RateLimited,
    RequestRefused,
    Unreachable,
    UnreadableAnswer,
)
from whatsapp_mcp.sync.instance import concerns_one_method, done_without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync.running import Run

AT_ONCE: Final = 20
"""Messages asked for in one run: two seconds."""
_WORKERS: Final = 5
_NOT_THERE: Final = ("not found", "notfound", "knows nothing")
"""``chatId not found``, ``ID message notfound`` (Green API docs, GetMessage); an answer of ``null``."""


async def repair(gateway: GreenApi, run: Run, *, limit: int = AT_ONCE) -> int:
    """Ask for at most `limit` missing messages, the newest first; returns how many are there now.

    A quota on getMessage, or a network that fails, ends it with a note. Raises what concerns the whole instance.
    """
    gaps = await run.pen.call(run.pen.store.gaps.missing, limit, run.now)
    repairs = _Repairs(gateway, run, iter(gaps))
    async with anyio.create_task_group() as tasks:
        for _ in range(min(_WORKERS, len(gaps))):
            tasks.start_soon(repairs.work)
    if repairs.stopped_by is not None:
        await repairs.explain(repairs.stopped_by)
    return repairs.found


class _Repairs:
    def __init__(self, gateway: GreenApi, run: Run, gaps: Iterator[tuple[str, str]]) -> None:
        self._gateway = gateway
        self._run = run
        self._gaps = gaps
        self.found = 0
        self.stopped_by: GatewayError | None = None

    async def work(self) -> None:
        for chat, message in self._gaps:
            if self.stopped_by is not None:
                return
            try:
                outcome = await self._ask(chat, message)
            except GatewayError as error:
                self.stopped_by = error
                return
            await self._run.pen.call(self._run.pen.store.note_repair, chat, message, outcome, self._run.now)

    async def _ask(self, chat: str, message: str) -> str:
        try:
            payload = await self._gateway.get_message(chat, message)
        except RequestRefused as error:
            said = error.what.lower()
            return "not_found" if any(words in said for words in _NOT_THERE) else "failed"
        except UnreadableAnswer:
            return "failed"
        applied = await self._run.pen.receive(payload)
        self._run.counters.received(applied.items, applied.messages)
        # Right after sending, the answer may be an empty shell (Green API tracker #505).
        if not await self._run.pen.call(self._run.pen.store.gaps.has_message, chat, message):
            return "failed"
        self.found += 1
        return "found"

    async def explain(self, error: GatewayError) -> None:
        """Say why no more is asked for; raises the error where it is not about this method alone."""
        is_passing = isinstance(error, Unreachable | RateLimited)
        is_about_it = isinstance(error, QuotaReached | CredentialsError) and await concerns_one_method(self._gateway, error)
        if not is_passing and not is_about_it:
            raise error
        self._run.note(f"Missing messages were not asked for: {done_without('getMessage', error)}")
