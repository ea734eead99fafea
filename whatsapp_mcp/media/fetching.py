"""One file, from its entry in the queue to a whole file or a verdict: links, tries, and what is refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from whatsapp_mcp.errors import GatewayError, RateLimited, RequestRefused, Unreachable, UnreadableAnswer
from whatsapp_mcp.greenapi.pace import Pace
from whatsapp_mcp.media import judging
from whatsapp_mcp.media.addresses import Refused
from whatsapp_mcp.media.files import fits
from whatsapp_mcp.media.transfer import Broken, HostUnreachable, RangeRefused, Stale, TooLarge, Wanted
from whatsapp_mcp.normalise import download_link
from whatsapp_mcp.schema.media import TOO_LARGE_FOR_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import MediaWishes
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.media.files import Finished, Part
    from whatsapp_mcp.media.outcome import Tally
    from whatsapp_mcp.media.transfer import Transfers
    from whatsapp_mcp.store.media import Due, Verdict

_log = logging.getLogger(__name__)

PER_SECOND: Final = 5.0
"""Starts a second (Green API docs, rate limiter: downloadFile)."""
PAUSES: Final = (0.0, 0.0, 0.5, 2.0, 5.0)
"""Seconds before each request for a file in one run, a renewal among them."""
IN_VAIN: Final = 5
"""So many connections that cannot be made, before any host answered, mean that the network is away: those to where the gateway
says that files are today, or to any where it says nothing."""
_TOO_LARGE_MARKER: Final = "{{SWE002}}"
_CONCERN_ONE_CALL: Final = (Unreachable, UnreadableAnswer, RateLimited)


class Over(Exception):
    """There is no file now; `verdict` says what that means."""

    def __init__(self, verdict: Verdict) -> None:
        """End with `verdict`."""
        self.verdict = verdict
        super().__init__(verdict.why)


class NetworkAway(Exception):
    """Going on is in vain."""


class Fetching:
    """Fetches for all tasks of a run."""

    def __init__(
        self, gateway: GreenApi | None, clock: Clock, wishes: MediaWishes, transfers: Transfers, room: Callable[[], int]
    ) -> None:
        """`room` says how many bytes the next file may have."""
        self._gateway = gateway
        self._clock = clock
        self._wishes = wishes
        self._transfers = transfers
        self._room = room
        self._pace = Pace(PER_SECOND * wishes.rate_scale, clock)
        self._no_links = "" if gateway is not None else "Without the gateway no link is renewed."
        self._in_vain = 0
        self._is_gateway_away = False
        self._ever_answered = False

    async def fetch(self, due: Due, part: Part, tally: Tally) -> Finished:
        """The whole file; raises `Over` when there is none, `NetworkAway`, or an OSError when the disk refuses."""
        url, renewed, why, spare = due.url, None, "Its link has run out.", ""
        for tries, pause in enumerate(PAUSES):
            if pause:
                await self._clock.sleep(pause)
            try:
                if not url:
                    url = renewed = await self._renewed(due, tally)
                return await self._transferred(due, url, part, tries)
            except Stale:
                if renewed is not None:
                    raise Over(judging.gone(due, self._now, renewed)) from None
                url = ""
            except HostUnreachable as error:
                why = str(error)
                if self._reached_nobody(may_renew=renewed is None) and tries:
                    url, spare = "", url  # the host may be no more, and the gateway knows where files are today
            except Broken as error:
                why, url = str(error), url or spare
                if isinstance(error, RangeRefused):
                    await anyio.to_thread.run_sync(part.restart)
        raise Over(judging.failed(due, why, self._now, renewed))

    @property
    def _now(self) -> int:
        return int(self._clock.now())

    def _reached_nobody(self, *, may_renew: bool) -> bool:
        """Whether the gateway would say, as far as is known, where the file is today; raises `NetworkAway`."""
        if may_renew and self._gateway is not None and not self._no_links and not self._is_gateway_away:
            return True
        self._in_vain += 1
        if self._in_vain >= IN_VAIN and not self._ever_answered:
            raise NetworkAway
        return False

    async def _transferred(self, due: Due, url: str, part: Part, tries: int) -> Finished:
        largest = self._room()
        if due.size is not None and due.size > largest:
            raise Over(judging.too_large(due, due.size, largest, self._wishes.file_bytes))
        await self._pace.start()
        try:
            await self._transfers.fetch(Wanted(url, largest, due.size), part, tries)
        except TooLarge as error:
            raise Over(judging.too_large(due, error.size, largest, self._wishes.file_bytes)) from None
        except Refused as error:
            raise Over(judging.refused(due, str(error))) from None
        except HostUnreachable:
            raise
        except (Stale, Broken):
            self._ever_answered = True
            raise
        self._ever_answered = True
        finished = await anyio.to_thread.run_sync(part.finish)
        if finished.content.mime_type == "text/html" and due.kind != "document":  # the page of a proxy, or of a hotel's network
            await anyio.to_thread.run_sync(part.restart)
            raise Broken("A web page came instead of the file.")
        _note_pretence(due, finished)
        return finished

    async def _renewed(self, due: Due, tally: Tally) -> str:
        """A fresh link from the gateway."""
        if self._gateway is None or self._no_links:
            raise Over(judging.no_link(due, self._no_links, self._now))
        try:
            link = download_link(await self._gateway.download_file(due.chat, due.whatsapp_message_id))
        except RequestRefused:
            raise Over(judging.gone(due, self._now)) from None
        except _CONCERN_ONE_CALL as error:
            self._is_gateway_away = isinstance(error, Unreachable)
            raise Broken(error.what) from None
        except GatewayError as error:  # no quota, not linked, no such method in the plan: the same for every file
            self._no_links = error.what
            tally.say(f"Links that have run out are not renewed now: {error}")
            raise Over(judging.no_link(due, error.what, self._now)) from None
        self._is_gateway_away = False
        if link == _TOO_LARGE_MARKER:
            raise Over(judging.skipped(due, TOO_LARGE_FOR_GATEWAY, None))
        if not link or link.startswith("{{"):
            raise Over(judging.gone(due, self._now))
        tally.renewed += 1
        return link


def _note_pretence(due: Due, finished: Finished) -> None:
    """One line for a content that is not what its message says; the type is ours, the claim is not repeated."""
    said, found = due.mime_type.partition(";")[0].strip().lower(), finished.content.mime_type
    vague = found in ("application/octet-stream", "application/zip", "text/plain") or "/" not in said
    if not fits(due.kind, found) or (not vague and said.partition("/")[0] != found.partition("/")[0]):
        _log.info("The file of m%d is %s, which its message does not say.", due.message_id, found)
