"""The store: payloads in, rows, index and marks out, together or not at all."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from store_fixtures import ALICE, OWNER, RECEIVED_AT, answer, history, incoming, outgoing

from whatsapp_mcp.errors import DatabaseCorrupt, DatabaseTooNew, StorageError
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.normalise import records_of
from whatsapp_mcp.records import ME, Alias, Chat, Group, Message
from whatsapp_mcp.schema.semantic import LARGE
from whatsapp_mcp.store import Mark, Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.records import Record

LID = "900000000000002@lid"
BOB = "15550100003@c.us"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "whatsapp_chats.db") as opened:
        yield opened
        assert verify(opened, thorough=True) == []


def rows(store: Store, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return store.connection.execute(query, values).fetchall()


def words(store: Store, word: str) -> list[str]:
    return [text for (text,) in rows(
        store, "SELECT content FROM messages WHERE message_id IN"
        " (SELECT rowid FROM message_index WHERE message_index MATCH ?)", word,
    )]  # fmt: skip


def test_a_history_becomes_searchable_rows(store: Store) -> None:
    applied = Ingest(store).receive(history([incoming(1, "See you at the harbour"), outgoing(2, "Gladly")]))
    assert (applied.items, applied.unseen, applied.messages) == (2, 2, 2)
    assert words(store, "harbour") == ["See you at the harbour"]
    assert rows(store, "SELECT message_count, last_message_at, name FROM chats") == [(2, 1_750_000_002, "Alice Example")]


def test_the_timestamp_column_is_the_utc_text_of_sent_at(store: Store) -> None:
    Ingest(store).receive(history([incoming(1, "x")]))
    assert rows(store, "SELECT timestamp FROM messages") == [("2025-06-15 15:06:41",)]


def test_the_same_history_again_changes_nothing_and_stores_nothing(store: Store) -> None:
    payload = history([incoming(1, "one"), outgoing(2, "two")])
    Ingest(store).receive(payload)
    before = census(store.connection), rows(store, "SELECT count(*) FROM payloads")
    applied = Ingest(store).receive(payload)
    assert (applied.unseen, applied.messages) == (0, 0)
    assert (census(store.connection), rows(store, "SELECT count(*) FROM payloads")) == before


def test_a_longer_history_adds_only_what_is_new(store: Store) -> None:
    Ingest(store).receive(history([incoming(1, "one")]))
    applied = Ingest(store).receive(history([incoming(2, "two"), incoming(1, "one")], received_at=RECEIVED_AT + 60))
    assert (applied.items, applied.unseen, applied.messages) == (2, 1, 1)


def test_rows_payload_and_mark_commit_together_or_not_at_all(store: Store) -> None:
    run = store.begin_run("full", RECEIVED_AT)
    store.connection.execute("CREATE TEMP TRIGGER refuse BEFORE INSERT ON sync_status BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(sqlite3.IntegrityError):
        Ingest(store).receive(history([incoming(1, "one")]), Mark(at=RECEIVED_AT, chat=ALICE, progress="complete", run_id=run))
    store.connection.execute("DROP TRIGGER refuse")
    assert rows(
        store, "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM payloads), (SELECT count(*) FROM chats)"
    ) == [(0, 0, 0)]
    Ingest(store).receive(history([incoming(1, "one")]), Mark(at=RECEIVED_AT, chat=ALICE, progress="complete", run_id=run))
    assert rows(store, "SELECT sync_progress, oldest_sent_at FROM sync_status") == [("complete", 1_750_000_001)]


def test_an_edit_keeps_every_version_and_the_search_finds_the_latest(store: Store) -> None:
    item = incoming(1, "Dinner at seven")
    Ingest(store).receive(history([item]))
    edit = incoming(
        9, "", typeMessage="editedMessage", editedMessageData={"textMessage": "Dinner at eight", "stanzaId": item["idMessage"]}
    )
    Ingest(store).receive(history([edit]))
    assert words(store, "eight") == ["Dinner at eight"]
    assert words(store, "seven") == []
    assert rows(store, "SELECT content FROM message_versions ORDER BY source DESC") == [
        ("Dinner at seven",),
        ("Dinner at eight",),
    ]
    assert rows(store, "SELECT edited_at FROM messages") == [(1_750_000_009,)]


def test_an_edit_that_comes_first_waits_for_its_message(store: Store) -> None:
    item = incoming(1, "old text")
    edit = incoming(
        9, "", typeMessage="editedMessage", editedMessageData={"textMessage": "new text", "stanzaId": item["idMessage"]}
    )
    Ingest(store).receive(history([edit]))
    assert rows(store, "SELECT count(*) FROM messages") == [(0,)]
    Ingest(store).receive(history([item]))
    assert words(store, "text") == ["new text"]


def test_a_deleted_message_keeps_its_text(store: Store) -> None:
    item = incoming(1, "Forget this")
    deletion = incoming(5, "", typeMessage="deletedMessage", deletedMessageData={"stanzaId": item["idMessage"]})
    Ingest(store).receive(history([deletion]))
    Ingest(store).receive(history([item]))
    Ingest(store).receive(history([{**item, "textMessage": "", "isDeleted": True}], received_at=RECEIVED_AT + 5))
    assert rows(store, "SELECT content, deleted_at FROM messages") == [("Forget this", 1_750_000_005)]


def test_a_quote_points_to_its_message_even_when_that_comes_later(store: Store) -> None:
    first = incoming(1, "Which book?")
    reply = incoming(2, "The blue one", quotedMessage={"stanzaId": first["idMessage"], "participant": ALICE})
    Ingest(store).receive(history([reply]))
    assert rows(store, "SELECT quoted_message_id, quoted_whatsapp_message_id FROM messages") == [(None, first["idMessage"])]
    Ingest(store).receive(history([first]))
    assert rows(store, "SELECT q.content FROM messages AS m JOIN messages AS q ON q.message_id = m.quoted_message_id") == [
        ("Which book?",)
    ]


def test_the_gateways_marker_gives_way_to_the_real_text(store: Store) -> None:
    Ingest(store).receive(history([incoming(1, "{{SWE001}}")]))
    assert rows(store, "SELECT content, marker FROM messages") == [("", "SWE001")]
    Ingest(store).receive(history([incoming(1, "Here it is")]))
    assert words(store, "here") == ["Here it is"]


def test_a_privacy_id_and_a_number_become_one_person_and_one_chat(store: Store) -> None:
    ingest = Ingest(store)
    ingest.receive(history([incoming(1, "from the hidden number", chat=LID, senderId=LID, senderName="Alice")], chat=LID))
    ingest.receive(history([incoming(1, "from the hidden number"), incoming(2, "from the number")]))
    assert rows(store, "SELECT count(*) FROM chats") == [(2,)]
    members = [{"id": ALICE, "lid": LID, "isAdmin": False, "isSuperAdmin": False}]
    group = {
        "groupId": "120363000000000001@g.us",
        "owner": OWNER,
        "subject": "Club",
        "creation": 1_600_000_000,
        "participants": members,
    }
    ingest.receive(answer("getGroupData", group, chatId="120363000000000001@g.us"))
    assert rows(store, "SELECT whatsapp_chat_id, message_count FROM chats WHERE chat_type = 'private'") == [(ALICE, 2)]
    assert rows(store, "SELECT count(*) FROM contacts WHERE whatsapp_id = ?", ALICE) == [(1,)]
    assert rows(store, "SELECT * FROM aliases") == [(LID, ALICE)]
    ingest.receive(history([incoming(3, "later, hidden again", chat=LID, senderId=LID)], chat=LID))
    assert rows(store, "SELECT message_count FROM chats WHERE whatsapp_chat_id = ?", ALICE) == [(3,)]


def test_outgoing_messages_belong_to_the_owner_once_the_account_is_known(store: Store) -> None:
    Ingest(store).receive(history([outgoing(1, "mine")]))
    assert store.owner() is None
    store.apply([Alias(ME, OWNER)], RECEIVED_AT)
    Ingest(store).receive(answer("getSettings", {"wid": OWNER}))
    assert store.owner() == OWNER
    assert rows(
        store, "SELECT c.whatsapp_id, c.phone_number FROM messages JOIN contacts AS c ON contact_id = sender_contact_id"
    ) == [(OWNER, "15550100001")]


def test_unreadable_items_are_kept_and_counted(store: Store) -> None:
    applied = Ingest(store).receive(answer("getChatHistory", '[{"type":"outgoing","typeMessage":""}, {"broken', chatId=ALICE))
    assert (applied.unreadable, applied.damaged) == (2, True)
    assert rows(store, "SELECT item_count, unreadable_count, damaged FROM payloads") == [(2, 2, 1)]


def test_an_unchanged_directory_answer_is_kept_as_a_reference(store: Store) -> None:
    contacts = [{"id": ALICE, "name": "Alice", "contactName": "Alice", "type": "user"}]
    for day in range(3):
        Ingest(store).receive(answer("getContacts", contacts, received_at=RECEIVED_AT + day))
    assert [size for (size,) in rows(store, "SELECT encoding FROM payloads")] == [1, 2, 2]
    assert rows(store, "SELECT updated_at - created_at FROM contacts WHERE whatsapp_id = ?", ALICE) == [(2,)]


def test_a_rebuild_gives_the_same_archive_with_the_same_numbers(store: Store) -> None:
    ingest = Ingest(store)
    ingest.receive(history([incoming(1, "hidden", chat=LID, senderId=LID)], chat=LID))
    ingest.receive(history([incoming(2, "open"), outgoing(3, "answer")]))
    members = [{"id": ALICE, "lid": LID, "isAdmin": True, "isSuperAdmin": False}]
    ingest.receive(
        answer(
            "getGroupData", {"groupId": "120363000000000001@g.us", "owner": ALICE, "subject": "Club", "participants": members}
        )
    )
    store.connection.execute("UPDATE messages SET local_media_path = 'media/images/a.jpg' WHERE content = 'open'")
    numbers = "SELECT message_id, chat_id, whatsapp_message_id, local_media_path FROM messages ORDER BY message_id"
    before = census(store.connection), rows(store, numbers)
    rebuild(store)
    assert (census(store.connection), rows(store, numbers)) == before


def test_a_rebuild_repairs_what_somebody_changed(store: Store) -> None:
    Ingest(store).receive(history([incoming(1, "the truth")]))
    store.connection.execute("UPDATE messages SET content = 'the trust'")
    assert [finding.rung for finding in verify(store, thorough=True)] == ["messages"]
    rebuild(store)
    assert words(store, "truth") == ["the truth"]


def test_verify_names_the_rung_that_was_damaged(store: Store) -> None:
    Ingest(store).receive(history([incoming(1, "one two"), incoming(2, "three")]))
    write = store.connection.execute
    damages = {
        "figures": ("UPDATE chats SET message_count = message_count + 1", "UPDATE chats SET message_count = message_count - 1"),
        "payloads": ("UPDATE payloads SET digest = digest + 1", "UPDATE payloads SET digest = digest - 1"),
        "references": ("UPDATE messages SET quoted_message_id = 99", "UPDATE messages SET quoted_message_id = NULL"),
    }
    for rung, (damage, repair) in damages.items():
        write(damage)
        assert {finding.rung for finding in verify(store)} == {rung}
        write(repair)
    write(
        "INSERT INTO message_index (message_index, rowid, content, attachment) "
        " SELECT 'delete', message_id, 'one two', '' FROM messages WHERE content = 'one two'"
    )
    assert {finding.rung for finding in verify(store, thorough=True)} >= {"message_index"}
    rebuild(store)


def test_a_second_connection_reads_while_a_transaction_is_open(store: Store, tmp_path: Path) -> None:
    Ingest(store).receive(history([incoming(1, "one")]))
    with store.transaction():
        store.apply([Message(ALICE, "Y", 5, content="not yet")], RECEIVED_AT)
        reader = sqlite3.connect(f"file:{tmp_path / 'whatsapp_chats.db'}?mode=ro", uri=True, timeout=0)
        assert reader.execute("SELECT count(*) FROM messages").fetchone() == (1,)
        reader.close()
        raise_after = store.connection.execute("SELECT count(*) FROM messages").fetchone()
    assert raise_after == (2,)
    store.connection.execute("DELETE FROM messages WHERE content = 'not yet'")
    rebuild(store)


def test_a_database_of_a_later_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseTooNew):
        Store(path)


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is not a database, it only has its name" * 100)
    with pytest.raises(DatabaseCorrupt) as refusal:
        Store(path)
    assert "\n" not in str(refusal.value)


def test_a_missing_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="--home"):
        Store(tmp_path / "nowhere" / "whatsapp_chats.db")


def test_a_history_whose_items_name_the_privacy_id_belongs_to_the_number_it_was_asked_for(store: Store) -> None:
    ingest = Ingest(store)
    leaked = [incoming(1, "hello", chat=LID, senderId=LID)]
    ingest.receive(answer("lastIncomingMessages", leaked))
    assert rows(store, "SELECT whatsapp_chat_id FROM chats") == [(LID,)]
    ingest.receive(history(leaked, chat=ALICE))
    assert rows(store, "SELECT whatsapp_chat_id, message_count FROM chats") == [(ALICE, 1)]
    assert ingest.receive(history(leaked, chat=ALICE)).unseen == 0
    before = rows(store, "SELECT message_id, chat_id FROM messages")
    rebuild(store)
    assert rows(store, "SELECT message_id, chat_id FROM messages") == before


def people(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT whatsapp_id FROM contacts WHERE whatsapp_id <> 'me' ORDER BY whatsapp_id")


def members_of(*pairs: tuple[str, str]) -> Payload:
    participants = [{"id": number, "lid": lid, "isAdmin": False, "isSuperAdmin": False} for number, lid in pairs]
    return answer("getGroupData", {"groupId": "120363000000000001@g.us", "subject": "Club", "participants": participants})


def test_two_numbers_are_never_one_person_whatever_a_list_says(store: Store) -> None:
    Ingest(store).receive(members_of((ALICE, LID), (BOB, LID)))
    chats = [{"id": ALICE, "newChatId": BOB, "name": "", "type": "user"}]
    Ingest(store).receive(answer("getChats", chats))
    assert people(store) == [(ALICE,), (BOB,)]


def test_one_stray_item_in_a_history_joins_nobody(store: Store) -> None:
    Ingest(store).receive(history([incoming(2, "stray", chat=LID, senderId=LID), incoming(1, "mine")]))
    assert rows(store, "SELECT whatsapp_chat_id FROM chats ORDER BY 1") == [(ALICE,), (LID,)]


@pytest.mark.parametrize(
    "first",
    [
        {"type": "outgoing", "typeMessage": ""},
        incoming(3, "", chat=LID, senderId=LID, typeMessage="reactionMessage", extendedTextMessageData={"text": "👍"},
                 quotedMessage={"stanzaId": "3AX"}),
    ],
)  # fmt: skip
def test_a_leaked_privacy_id_is_recognised_behind_any_first_item(store: Store, first: dict[str, Any]) -> None:
    Ingest(store).receive(history([first, incoming(1, "hello", chat=LID, senderId=LID)]))
    assert rows(store, "SELECT whatsapp_chat_id FROM chats") == [(ALICE,)]


def test_the_other_side_of_a_private_chat_is_one_person_also_under_a_privacy_id(store: Store) -> None:
    Ingest(store).receive(answer("lastIncomingMessages", [incoming(1, "hidden sender", senderId=LID)]))
    assert people(store) == [(ALICE,)]
    assert rows(store, "SELECT whatsapp_id FROM messages JOIN contacts ON contact_id = sender_contact_id") == [(ALICE,)]


def test_the_number_of_a_message_that_was_joined_away_is_never_given_out_again(tmp_path: Path) -> None:
    path = tmp_path / "again.db"
    with Store(path) as store:
        store.apply([Message(ALICE, "X", 1, content="one")], RECEIVED_AT)
        store.apply([Message(LID, "X", 1, content="one")], RECEIVED_AT)
        store.apply([Alias(ALICE, LID)], RECEIVED_AT)
    with Store(path) as store:
        store.apply([Message(ALICE, "Y", 2, content="two")], RECEIVED_AT)
        assert rows(store, "SELECT message_id, content FROM messages") == [(1, "one"), (3, "two")]


def test_many_people_found_to_be_known_are_joined_at_once(store: Store) -> None:
    pairs = [(f"1555010{number:04}@c.us", f"90000000{number:07}@lid") for number in range(20)]
    for number, lid in pairs:
        store.apply([Message("120363000000000001@g.us", f"N{number}", 1, sender=number, content="by number")], RECEIVED_AT)
        store.apply([Message("120363000000000001@g.us", f"L{number}", 2, sender=lid, content="hidden")], RECEIVED_AT)
    store.apply([Alias(*pair) for pair in pairs], RECEIVED_AT)
    assert rows(store, "SELECT count(DISTINCT sender_contact_id), count(*) FROM messages") == [(20, 40)]
    assert rows(store, "SELECT count(*) FROM sqlite_master WHERE name = 'messages_by_sender'") == [(0,)]
    for table in ("messages", "message_index_docsize"):
        store.connection.execute(f"DELETE FROM {table}")
    rebuild(store)


def test_a_part_of_an_answer_that_is_stored_joins_nobody_whom_the_whole_did_not(store: Store) -> None:
    mine, stray = incoming(1, "mine"), incoming(2, "stray", chat=LID, senderId=LID)
    Ingest(store).receive(history([mine]))
    Ingest(store).receive(history([stray, mine], received_at=RECEIVED_AT + 60))
    rebuild(store)
    assert rows(store, "SELECT whatsapp_chat_id FROM chats ORDER BY 1") == [(ALICE,), (LID,)]


def test_a_listener_and_its_catching_up_are_two_runs_that_both_live(tmp_path: Path) -> None:
    path = tmp_path / "whatsapp_chats.db"
    with Store(path) as first:
        first.begin_run("listen", 100)
        inner = first.begin_run("recent", 160)
        first.end_run(inner, "complete", 170)
        assert first.connection.execute("SELECT kind, state FROM runs ORDER BY run_id").fetchall() == [
            ("listen", "running"), ("recent", "complete"),
        ]  # fmt: skip
    with Store(path) as second:
        second.begin_run("listen", 200)
        states = second.connection.execute("SELECT state FROM runs WHERE kind = 'listen' ORDER BY run_id").fetchall()
        assert states == [("interrupted",), ("running",)]


def test_a_payload_that_was_kept_unread_stands_in_nobodys_way_when_all_is_replayed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_a_mistake(origin: str, item: str, **said: Any) -> list[Record]:
        impossible = [Group("120363000000000001@g.us", 2**70, "Choir")]
        return [*records_of(origin, item, **said), *(impossible if "stumble" in item else [])]

    Ingest(store).receive(history([incoming(1, "before"), incoming(2, "after")]))
    stumbling = history([incoming(3, "stumble")])
    with store.transaction():
        store.payloads.keep(stumbling, store.payloads.unseen(stumbling), 1)
    monkeypatch.setattr("whatsapp_mcp.ingest.records_of", with_a_mistake)
    rebuild(store)
    assert rows(store, "SELECT content FROM messages ORDER BY sent_at") == [("before",), ("after",)]
    assert verify(store, thorough=True) == []
    monkeypatch.undo()
    rebuild(store)  # the mistake is mended: what was kept is read now
    assert rows(store, "SELECT content FROM messages ORDER BY sent_at") == [("before",), ("after",), ("stumble",)]


def test_an_attempt_that_fails_is_undone_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "whatsapp_chats.db")
    with store, store.transaction():
        store.apply([Chat(ALICE, 1, "Alice")], 1)
        with pytest.raises(OverflowError), store.attempt():
            store.apply([Group("120363000000000001@g.us", 2**70, "Choir"), Chat("15550100009@c.us", 1)], 1)
        store.apply([Chat("15550100010@c.us", 1, "Bo")], 1)
    with sqlite3.connect(tmp_path / "whatsapp_chats.db") as connection:
        chats = connection.execute("SELECT whatsapp_chat_id FROM chats ORDER BY chat_id").fetchall()
        groups = connection.execute("SELECT count(*) FROM groups").fetchone()
    connection.close()
    assert chats == [(ALICE,), ("15550100010@c.us",)]
    assert groups == (0,)


def test_at_a_full_disk_an_attempt_says_so_and_nothing_of_its_transaction_is_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "whatsapp_chats.db") as store:
        store.connection.execute("PRAGMA cache_size = 10")  # pages are written early, so SQLite must give all of it up
        pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
        store.connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        many = [Chat(f"1555010{number:04}@c.us", 1, "x" * 500) for number in range(2_000)]
        with pytest.raises(StorageError, match="The disk is full"), store.transaction(), store.attempt():
            store.apply(many, 1)
        assert rows(store, "SELECT count(*) FROM chats") == [(0,)]


def given_up(store: Store) -> None:
    """As SQLite does where memory ends."""
    store.connection.execute("ROLLBACK")
    raise MemoryError


def test_nobody_goes_on_in_a_transaction_that_sqlite_gave_up(tmp_path: Path) -> None:
    with Store(tmp_path / "whatsapp_chats.db") as store:
        with pytest.raises(StorageError, match="gave up"), store.transaction(), store.attempt():
            given_up(store)
        assert not store.connection.in_transaction


def test_only_a_very_large_archive_gets_the_indexes_that_only_such_a_one_needs() -> None:
    def indexes(store: Store) -> set[str]:
        return {name for (name,) in store.connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}

    with Store(":memory:") as store:
        store.compact()
        assert not {"messages_by_sender", "messages_by_kind"} & indexes(store)
        store.connection.execute("INSERT INTO chats (chat_id, whatsapp_chat_id, chat_type) VALUES (1, 'x', 'private')")
        store.connection.execute(
            "INSERT INTO messages (message_id, chat_id, whatsapp_message_id, from_me, content, message_type, sent_at)"
            " VALUES (?, 1, 'A', 0, '', 'text', 1)",
            (LARGE,),
        )
        store.compact()
        assert {"messages_by_sender", "messages_by_kind"} <= indexes(store)
        store.compact()
