"""Whatever arrives, the normaliser answers with records that the store can take."""

from __future__ import annotations

import json
import string
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from whatsapp_mcp.normalise import JOURNALS, NOTIFICATIONS, records_of
from whatsapp_mcp.normalise.directory import DIRECTORIES
from whatsapp_mcp.records import DELIVERY_STATES, KINDS, Call, Message, Receipt, Record, Unreadable

Container: TypeAlias = Any
Key: TypeAlias = Any

GOLDENS = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted((Path(__file__).parent / "goldens").glob("*/*.json"))
]
ORIGINS = sorted(JOURNALS | NOTIFICATIONS | DIRECTORIES.keys())
CONTEXTS: tuple[dict[str, str], ...] = (
    {},
    {"chatId": "447700900142@c.us"},
    {"groupId": "120363777000000314@g.us"},
    {"chatId": "null@c.us", "count": ""},
)
KEYS = sorted({key for case in GOLDENS for key in case["payload"] if isinstance(case["payload"], dict)} | {"", "unheard"})

any_text = st.text(st.characters(exclude_categories=()), max_size=30)  # halves of surrogate pairs, too
tricky = st.sampled_from([
    "", "null", "{{SWE001}}", "null@c.us", "447700900142@c.us", "status@broadcast", "611000000000042@lid", "yes", "-1",
    "1e400", "NaN", "99999999999999999999999", "٣٤", "²", "a\0b", "\ud83c", 0, -1, 2**63, -(2**70), 1_756_600_000_123, 1e308,
])  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | any_text | tricky
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | any_text, inner, max_size=4),
    max_leaves=8,
)


def places(value: object) -> list[tuple[Any, Any]]:
    """Every (container, key) within a value."""
    if isinstance(value, dict | list):
        inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        return [place for key, entry in inner for place in [(value, key), *places(entry)]]
    return []


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    case = draw(st.sampled_from(GOLDENS))
    payload = json.loads(json.dumps(case["payload"]))
    for _ in range(draw(st.integers(0, 4))):
        found = places(payload)
        if not found:
            break
        mangle(draw, *draw(st.sampled_from(found)))
    text = json.dumps(payload, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    origin = case["origin"] if draw(st.integers(0, 4)) else draw(st.sampled_from(ORIGINS))
    return origin, text, case["context"]


def mangle(draw: st.DrawFn, container: Container, key: Key) -> None:
    how = draw(st.sampled_from(["replace", "wrap", "stringify", "drop", "rename"]))
    if how == "replace":
        container[key] = draw(values)
    elif how == "wrap":
        container[key] = draw(st.sampled_from([[container[key]], {"text": container[key]}, {"low": container[key]}]))
    elif how == "stringify":
        container[key] = str(container[key])
    elif isinstance(container, list):
        del container[key]
    else:
        moved = container.pop(key)
        if how == "rename":
            container[draw(st.sampled_from(KEYS))] = moved


def check(records: object) -> None:
    assert isinstance(records, list)
    for record in records:
        assert isinstance(record, get_args(Record))
        check_values(record)
        if isinstance(record, Message):
            assert record.kind in KINDS
            assert record.delivery in {"", *DELIVERY_STATES}
            assert record.chat
            assert record.id
            assert record.sent_at > 0
        if isinstance(record, Receipt):
            assert record.status in DELIVERY_STATES
        if isinstance(record, Call):
            assert record.status != "hangUp"
        if isinstance(record, Unreadable):
            assert not record.reason.startswith("reader failed"), record.reason
            assert records == [record]


def check_values(value: object) -> None:
    if isinstance(value, tuple):
        for entry in value:
            check_values(entry)
    elif isinstance(value, str):
        assert "\0" not in value
        value.encode("utf-8")
    elif isinstance(value, int):
        assert -(2**63) <= value < 2**63
    elif isinstance(value, float):
        assert isfinite(value)
    else:
        assert value is None


@settings(max_examples=600, deadline=None)
@given(mangled())
def test_mangled_payloads_become_records_that_can_be_stored(case: tuple[str, str, dict[str, str]]) -> None:
    origin, text, context = case
    records = records_of(origin, text, received_at=1_759_000_000, context=context)
    check(records)
    assert records_of(origin, text, received_at=1_759_000_000, context=context) == records


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*ORIGINS, "", "unheardOf"]), values, st.sampled_from(CONTEXTS))
def test_any_json_becomes_records_that_can_be_stored(origin: str, value: object, context: dict[str, str]) -> None:
    check(records_of(origin, json.dumps(value), received_at=1_759_000_000, context=context))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ORIGINS), st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
def test_any_bytes_become_records_that_can_be_stored(origin: str, body: bytes) -> None:
    for text in (body.decode("utf-8", "replace"), body.decode("utf-8", "surrogateescape"), body.decode("latin-1")):
        check(records_of(origin, text, received_at=1_759_000_000, context={}))
