"""The archive in numbers as an OpenMetrics text, for programs that watch over a computer: ``metrics.prom`` in the home.

All are gauges, so the text is also valid in Prometheus' older format, which the textfile collector of its node exporter reads
(OpenMetrics 1.0, "Text Format"). The file is for its owner only, like all in the home: counts tell of a person's life too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.queries.measured import MeasuredRun, Now

METRICS_NAME: Final = "metrics.prom"

_PREFIX: Final = "whatsapp_mcp_"
_FILES: Final = ("stored", "pending", "expired", "failed", "skipped")
_WELL: Final = ("complete", "partial")


class _Sample(NamedTuple):
    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


_HELP: Final = {
    "messages": "Messages in the archive.",
    "chats": "Chats in the archive.",
    "payloads": "Answers and notifications that are kept as they came.",
    "unreadable": "Received items that are kept and were not understood.",
    "missing": "Messages that others refer to and that were never seen.",
    "files": "Files of messages, by what became of them.",
    "database_bytes": "Size of the database.",
    "media_bytes": "Size of the media files.",
    "measured_timestamp_seconds": "When these numbers were written.",
    "run_started_timestamp_seconds": "When the last run of a kind began.",
    "run_ended_timestamp_seconds": "When the last run of a kind ended.",
    "run_well": "Whether the last run of a kind ended well (complete or partial).",
    "run_succeeded_timestamp_seconds": "When a run of a kind last ended well.",
    "run_duration_seconds": "How long the last run of a kind took.",
    "run_messages_new": "New messages of the last run of a kind.",
    "run_chats_failed": "Chats that failed in the last run of a kind.",
    "run_requests": "Requests of the last run of a kind, by method of Green API.",
    "run_errors": "Requests without a usable answer.",
    "run_throttled": "Requests that were answered 429.",
    "run_call_seconds": "Time to an answer: the median and the 95th percentile.",
}
_UNITS: Final = ("bytes", "seconds")


def metrics(now: Now) -> str:
    """The whole text."""
    samples = [*_archive(now), *(sample for one in now.last for sample in _run(one))]
    samples += [_Sample("run_succeeded_timestamp_seconds", at, (("kind", kind),)) for kind, at in now.succeeded.items()]
    return "".join(_family(name, [one for one in samples if one.name == name]) for name in _HELP) + "# EOF\n"


def _archive(now: Now) -> Iterator[_Sample]:
    size = now.size
    for name in ("messages", "chats", "payloads", "database_bytes", "media_bytes"):
        yield _Sample(name, getattr(size, name))
    for state in _FILES:
        yield _Sample("files", getattr(now.files, state), (("state", state),))
    yield _Sample("unreadable", now.unreadable)
    yield _Sample("missing", now.missing)
    yield _Sample("measured_timestamp_seconds", size.measured_at)


def _run(measured: MeasuredRun) -> Iterator[_Sample]:
    run, kind = measured.run, ("kind", measured.run.kind)
    yield _Sample("run_started_timestamp_seconds", run.started_at, (kind,))
    if run.ended_at is not None:
        yield _Sample("run_ended_timestamp_seconds", run.ended_at, (kind,))
        yield _Sample("run_duration_seconds", run.ended_at - run.started_at, (kind,))
    yield _Sample("run_well", int(run.state in _WELL), (kind,))
    yield _Sample("run_messages_new", run.messages_new, (kind,))
    yield _Sample("run_chats_failed", run.chats_failed, (kind,))
    for calls in measured.calls:
        labels = (kind, ("method", calls.method))
        yield _Sample("run_requests", calls.requests, labels)
        yield _Sample("run_errors", calls.errors, labels)
        yield _Sample("run_throttled", calls.throttled, labels)
        for share, value in (("0.5", calls.median_ms), ("0.95", calls.p95_ms)):
            if value is not None:
                yield _Sample("run_call_seconds", value / 1_000, (*labels, ("quantile", share)))


def _family(name: str, samples: list[_Sample]) -> str:
    if not samples:
        return ""
    unit = next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "")
    lines = [f"# TYPE {_PREFIX}{name} gauge"]
    if unit:
        lines.append(f"# UNIT {_PREFIX}{name} {unit}")
    lines.append(f"# HELP {_PREFIX}{name} {_HELP[name]}")
    lines += [f"{_PREFIX}{name}{_labels(one.labels)} {round(one.value, 6)}" for one in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
