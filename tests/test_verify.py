"""What verify notices, rung by rung, what it advises, and that it needs neither the lock nor a disk that can be written."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from store_fixtures import ALICE, OWNER, RECEIVED_AT, answer, history, incoming, outgoing

from whatsapp_mcp.errors import DatabaseCorrupt
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.store import Mark, Store
from whatsapp_mcp.store.census import census, differences
from whatsapp_mcp.store.payloads import Payloads
from whatsapp_mcp.verify import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUIET = "15550100077@c.us"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "whatsapp_chats.db"
    with Store(path) as store:
        ingest = Ingest(store)
        ingest.receive(answer("getSettings", {"wid": OWNER}))
        for day in range(3):
            contacts = [{"id": ALICE, "name": "Alice", "contactName": "Alice Example", "type": "user"}]
            ingest.receive(answer("getContacts", contacts, received_at=RECEIVED_AT + day))
        ingest.receive(history([incoming(1, "Which book?"), outgoing(2, "The blue one")]))
        ingest.receive(history([incoming(3, "Thank you")], received_at=RECEIVED_AT + 60))
        assert verify(store, thorough=True) == []
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as opened:
        yield opened


def damage(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(sql).rowcount != 0, sql


def findings(path: Path, *, thorough: bool = False) -> list[Finding]:
    with Store(path) as store:
        return verify(store, thorough=thorough)


LAST = "payload_id = (SELECT max(payload_id) FROM payloads)"
PAYLOAD_DAMAGES = [
    f"UPDATE payloads SET origin = 'getMessage' WHERE {LAST}",
    "UPDATE payloads SET context = replace(context, '1555', '1556') WHERE origin = 'getChatHistory'",
    f"UPDATE payloads SET context = '{{' WHERE {LAST}",
    f"UPDATE payloads SET context = '[1]' WHERE {LAST}",
    "UPDATE payloads SET received_at = received_at + 1 WHERE payload_id = 2",
    f"UPDATE payloads SET received_at = 'noon' WHERE {LAST}",
    f"UPDATE payloads SET unreadable_count = 1 WHERE {LAST}",
    f"UPDATE payloads SET damaged = 1 WHERE {LAST}",
    "UPDATE payloads SET item_count = item_count + 1 WHERE payload_id = 1",
    f"UPDATE payloads SET body = x'ff' WHERE {LAST}",
    f"UPDATE payloads SET body = x'' WHERE {LAST}",
    f"UPDATE payloads SET body = 'text' WHERE {LAST}",
    f"UPDATE payloads SET encoding = 2 WHERE {LAST}",
    f"UPDATE payloads SET encoding = 7 WHERE {LAST}",
    f"UPDATE payloads SET origin = CAST(x'ff' AS TEXT) WHERE {LAST}",
    "UPDATE payloads SET text_digest = text_digest + 1 WHERE payload_id = 2",
    "UPDATE payloads SET body = CAST(payload_id AS BLOB) WHERE encoding = 2",
    "UPDATE payloads SET body = CAST(payload_id + 1 AS BLOB) WHERE encoding = 2",
    "UPDATE payloads SET body = x'ff41' WHERE encoding = 2",
    "UPDATE payloads SET body = CAST('1' AS BLOB) WHERE encoding = 2",
    f"DELETE FROM payloads WHERE {LAST}",
    "DELETE FROM payloads WHERE payload_id = 3",
    "DELETE FROM payloads WHERE origin = 'getSettings'",
    "DELETE FROM payload_items WHERE digest = (SELECT max(digest) FROM payload_items)",
    "UPDATE payload_items SET digest = 'x' WHERE digest = (SELECT max(digest) FROM payload_items)",
]


@pytest.mark.parametrize("sql", PAYLOAD_DAMAGES)
def test_whatever_was_changed_in_a_payload_is_found_and_a_rebuild_is_not_advised(path: Path, sql: str) -> None:
    damage(path, sql)
    for thorough in (False, True):
        found = findings(path, thorough=thorough)
        assert {finding.rung for finding in found} == {"payloads"}, found
        assert not any("rebuild" in finding.advice for finding in found)


@pytest.mark.parametrize("sql", [sql for sql in PAYLOAD_DAMAGES if "payload_items" not in sql])
def test_a_rebuild_refuses_damaged_payloads_and_changes_nothing(path: Path, sql: str) -> None:
    damage(path, sql)
    with Store(path) as store:
        before = census(store.connection)
        with pytest.raises(DatabaseCorrupt):
            rebuild(store)
        assert census(store.connection) == before


@pytest.mark.parametrize(
    ("rung", "sql"),
    [
        ("messages", "UPDATE messages SET content = CAST(x'446561ff72' AS TEXT) WHERE content = 'Thank you'"),
        ("messages", "UPDATE messages SET sent_at = 'noon' WHERE content = 'Thank you'"),
        ("contacts", "UPDATE contacts SET name = CAST(x'41ff' AS TEXT) WHERE name IS NOT NULL"),
        ("contacts", "UPDATE contacts SET whatsapp_id = CAST(x'41ff' AS TEXT) WHERE name IS NOT NULL"),
        ("chats", "UPDATE chats SET whatsapp_chat_id = CAST(x'41ff' AS TEXT)"),
        ("aliases", "UPDATE aliases SET canonical_id = CAST(x'41ff' AS TEXT)"),
        ("schema", "DROP INDEX messages_by_chat"),
        ("schema", "DROP VIEW current_reactions"),
        ("schema", "DROP INDEX payloads_by_text"),
    ],
)
def test_damage_above_the_payloads_is_found_at_once_and_mended_by_a_rebuild(path: Path, rung: str, sql: str) -> None:
    with Store(path) as store:
        before = census(store.connection)
    damage(path, sql)
    found = findings(path)
    assert rung in {finding.rung for finding in found}
    assert all("rebuild" in finding.advice for finding in found)
    with Store(path) as store:
        rebuild(store)
        assert verify(store, thorough=True) == []
        assert census(store.connection) == before


def test_a_view_that_was_changed_and_a_trigger_of_a_stranger_are_found(path: Path) -> None:
    damage(path, "DROP VIEW current_poll_votes")
    damage(path, "CREATE VIEW current_poll_votes AS SELECT * FROM poll_votes")
    damage(path, "CREATE TRIGGER eager AFTER INSERT ON messages BEGIN DELETE FROM messages WHERE content = ''; END")
    damage(path, "CREATE TABLE recipes (title TEXT)")
    found = findings(path)
    assert [finding.rung for finding in found] == ["schema", "schema"]
    assert "changed" in found[0].what
    assert "DROP TRIGGER eager" in found[1].advice


def test_a_lost_table_is_named(path: Path) -> None:
    with Store(path) as store:
        store.connection.execute("DROP TABLE reactions")
        assert [(finding.rung, finding.what) for finding in verify(store)] == [
            ("tables", "The table reactions is missing.")
        ]  # fmt: skip
    with pytest.raises(DatabaseCorrupt, match="reactions"):
        Store(path)


def test_a_chat_that_only_a_mark_names_is_sound_and_keeps_its_state_through_a_rebuild(store: Store) -> None:
    run = store.begin_run("full", RECEIVED_AT)
    store.plan_chats(run, [QUIET])
    store.mark_chat(Mark(at=RECEIVED_AT, chat=QUIET, progress="failed", run_id=run), "chatId not found")
    query = (
        "SELECT c.chat_id, whatsapp_chat_id, sync_progress, error_count, last_error FROM sync_status JOIN chats AS c"
        " USING (chat_id) WHERE whatsapp_chat_id = ?"
    )
    before = store.connection.execute(query, (QUIET,)).fetchall()
    assert len(before) == 1
    assert verify(store, thorough=True) == []
    rebuild(store)
    assert store.connection.execute(query, (QUIET,)).fetchall() == before
    assert verify(store, thorough=True) == []


def test_an_answer_that_comes_again_is_found_by_its_letters_without_a_walk(store: Store) -> None:
    plan = store.connection.execute(
        "EXPLAIN QUERY PLAN SELECT payload_id FROM payloads WHERE text_digest = 1 AND origin = 'x' AND encoding = 1"
    ).fetchall()
    assert "payloads_by_text" in plan[0][3]
    stored = store.connection.execute("SELECT encoding FROM payloads WHERE origin = 'getContacts'")
    assert [encoding for (encoding,) in stored] == [1, 2, 2]


def test_two_archives_are_compared_without_holding_their_rows(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as one, Store(tmp_path / "other.db") as other:
        items = [incoming(number, f"word{number} and {number * 7} more words of message {number}") for number in range(4000)]
        for store in (one, other):
            Ingest(store).receive(history(items))
        other.connection.execute("UPDATE messages SET content = content || '!' WHERE message_id IN (5, 6)")
        other.connection.execute("DELETE FROM chats WHERE message_count = 0")
        tracemalloc.start()
        assert list(differences(one.connection, other.connection)) == [("messages", 2, 2)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_000_000, f"{peak:,} bytes for 4,000 messages"


def test_payloads_in_a_database_without_any_are_whole() -> None:
    with Store(":memory:") as store:
        assert list(Payloads(store.connection).replay()) == []
        assert verify(store, thorough=True) == []


def test_no_finding_quotes_a_message(path: Path) -> None:
    damage(path, "UPDATE messages SET content = CAST(x'73656372657420ff' AS TEXT) WHERE content = 'Thank you'")
    damage(path, "UPDATE contacts SET name = 'secret' WHERE name IS NOT NULL")
    said: Any = [(finding.what, finding.advice) for finding in findings(path, thorough=True)]
    assert said
    assert "secret" not in str(said)
