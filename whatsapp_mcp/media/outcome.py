"""How far a run of downloads has come, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What a run did so far."""

    total: int = 0
    """Files that were due when it began."""
    stored: int = 0
    """Messages that have their file now."""
    same: int = 0
    """Those of them whose content was there already."""
    bytes_stored: int = 0
    renewed: int = 0
    """Links that the gateway gave anew."""
    expired: int = 0
    failed: int = 0
    skipped: int = 0
    put_off: int = 0
    """Tried in vain, and tried again later."""
    no_room: int = 0
    """Files that MEDIA_MAX_TOTAL_GB left out."""
    bytes_without_room: int = 0
    notes: list[str] = field(default_factory=list)

    def say(self, note: str) -> None:
        """Add a line for people, once."""
        if note not in self.notes:
            self.notes.append(note)

    @property
    def done(self) -> int:
        """Files that were dealt with."""
        return self.stored + self.expired + self.failed + self.skipped + self.put_off


@dataclass(frozen=True, slots=True)
class MediaProgress:
    """A moment in a run."""

    done: int
    total: int
    stored: int
    bytes_stored: int


@dataclass(frozen=True, slots=True)
class MediaOutcome:
    """What a run of downloads brought."""

    stored: int = 0
    same: int = 0
    bytes_stored: int = 0
    renewed: int = 0
    expired: int = 0
    failed: int = 0
    skipped: int = 0
    put_off: int = 0
    left: int = 0
    """Files that are due and were not reached."""
    requests: int = 0
    """Requests to the hosts of files, and downloadFile calls."""
    seconds: float = 0.0
    stopped: str = ""
    """Why the run ended before its time, with what to do; empty where it came to its end."""
    is_failure: bool = False
    """It was stopped by the disk or the network, not by its limits."""
    notes: tuple[str, ...] = field(default=())
    """One line each: what was skipped and why."""

    def lines(self) -> list[str]:
        """What there is to say, for people; nothing where nothing was due."""
        said = []
        if self.stored:
            said.append(f"Files: {self.stored:,} stored ({self.bytes_stored / (1 << 20):,.1f} MB).")
        for count, what in (
            (self.put_off, "could not be had now and are tried again later"),
            (self.expired, "have expired: neither WhatsApp nor Green API has them any more"),
            (self.failed, "failed for good"),
            (self.skipped, "were skipped"),
            (self.left, "are still to be fetched: the next sync or `whatsapp-mcp media download` goes on"),
        ):
            if count:
                said.append(f"Files: {count:,} {what}.")
        if self.stopped and self.is_failure:
            said.append(self.stopped)
        return [*said, *self.notes]
