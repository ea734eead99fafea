"""What a client is told of the server: every tool, resource, prompt and completion, in both protocol eras."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from book_club import book_club, open_archive
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent, TextResourceContents

from whatsapp_mcp import __version__
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.server.strict import explained, tidied

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from whatsapp_mcp.app import Archive

GOLDEN = Path(__file__).parent / "goldens" / "tools.json"
TOOLS = [
    "list_chats", "find_contact", "read_chat", "search_messages", "analyze_range", "catch_up", "verify_quote", "export_chat",
    "get_media", "full_sync_status", "start_full_sync", "sync_chat", "sync_recent",
]  # fmt: skip
WRITING = {"start_full_sync", "sync_chat", "sync_recent", "export_chat"}
ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])


@pytest.fixture
def archive(home: Path) -> Archive:
    return book_club(home)


def text_of(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))


async def listed(archive: Archive, mode: str) -> list[dict[str, Any]]:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        tools = (await client.list_tools()).tools
    return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in tools]


@ERAS
async def test_the_tools_are_those_of_the_golden_file(home: Path, mode: str) -> None:
    """After a wanted change: ``WRITE_GOLDENS=1 pytest tests/test_server_surface.py``."""
    tools = await listed(open_archive(home), mode)
    if os.environ.get("WRITE_GOLDENS"):
        GOLDEN.write_text(json.dumps(tools, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert tools == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert [tool["name"] for tool in tools] == TOOLS


async def test_every_tool_says_what_it_is_when_to_use_it_and_what_each_parameter_means(home: Path) -> None:
    for tool in await listed(open_archive(home), "auto"):
        assert tool["title"]
        assert tool["annotations"]["readOnlyHint"] == (tool["name"] not in WRITING)
        assert tool["annotations"]["destructiveHint"] is False
        assert tool["annotations"]["openWorldHint"] is True
        assert "Use it " in tool["description"]
        assert any(other in tool["description"] for other in TOOLS if other != tool["name"])
        assert tool["inputSchema"]["additionalProperties"] is False
        Draft202012Validator.check_schema(tool["inputSchema"])
        for name, parameter in tool["inputSchema"].get("properties", {}).items():
            assert len(parameter["description"]) > 15, f"{tool['name']}.{name}"
        assert ("outputSchema" in tool) == (tool["name"] in {"full_sync_status", "analyze_range"})


def test_a_linter_of_tool_definitions_has_nothing_to_warn_of() -> None:
    tools = json.dumps({"tools": json.loads(GOLDEN.read_text(encoding="utf-8"))})
    command = [shutil.which("tdqs", path=str(Path(sys.executable).parent)) or "tdqs", "lint", "--fail-on", "warning"]
    linted = subprocess.run(
        [*command, "--file", "-", "--format", "text"], input=tools, capture_output=True, text=True, encoding="utf-8",
        timeout=60, check=False,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 errors, 0 warnings" in linted.stdout


async def test_the_whole_surface_costs_a_model_little(home: Path) -> None:
    """As it goes over the wire it has 22.9 kB; written with blanks, and all but ASCII as escapes, 23.7 kB."""
    tools = {"tools": await listed(open_archive(home), "auto")}
    assert len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")).encode()) < 24_000
    assert len(json.dumps(tools)) < 24_000


@ERAS
@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("read_chat", {"chat": "Book club", "limits": 3}, "unknown argument 'limits' - did you mean 'limit'?"),
        ("read_chat", {"chat": "Book club", "volume": 3}, "unknown argument 'volume' - valid: chat, after, before"),
        ("full_sync_status", {"chat": 1}, "unknown argument 'chat' - valid: none"),
        ("read_chat", {}, "chat: this argument is required"),
        ("read_chat", {"chat": "Book club", "limit": 0}, "limit: must be greater than or equal to 1"),
        ("read_chat", {"chat": "Dana"}, '1) "Dana Cohen"'),
        ("read_chat", {"chat": "Boat club"}, 'The nearest: "Book club".'),
        ("read_chat", {"chat": "Book club", "after": "someday"}, '"someday" is no date.'),
        ("read_chat", {"chat": "Book club", "cursor": "nonsense"}, "cursor"),
        ("search_messages", {"query": "x", "order": "best"}, "order: must be 'relevance', 'newest' or 'oldest'"),
        ("search_messages", {"query": "x", "kinds": ["picture"]}, "kinds: must be 'text', 'image'"),
        ("get_media", {"message": "m1"}, "carries no file. read_chat around=m1"),
        ("get_media", {"message": "m999"}, "There is no message"),
        ("export_chat", {"chat": "Book club", "format": "pdf"}, "format: must be 'json' or 'txt'"),
        ("read_chats", {}, "unknown tool 'read_chats' - did you mean 'read_chat'?"),
        ("start_full_sync", {}, "GREEN_API_URL"),
        ("sync_chat", {"chat": "Book club"}, "GREEN_API_URL"),
    ],
)
async def test_a_refusal_is_one_line_that_says_what_to_do(
    archive: Archive, mode: str, tool: str, arguments: dict[str, Any], told: str
) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    assert told in text_of(answer)
    assert "\n" not in text_of(answer)
    assert "pydantic" not in text_of(answer)


@pytest.mark.parametrize("chat", [1, "1", " 1 "])
async def test_an_id_may_be_given_as_a_number_though_the_schema_speaks_of_text(archive: Archive, chat: object) -> None:
    server, _ = build_server(archive)
    async with Client(server) as client:
        answer = await client.call_tool("read_chat", {"chat": chat, "around": 3})
        refused = await client.call_tool("read_chat", {"chat": True})
    assert 'Chat "Book club" (1, group)' in text_of(answer)
    assert "m3 " in text_of(answer)
    assert refused.is_error


@ERAS
async def test_before_the_first_sync_every_question_says_what_to_do(home: Path, mode: str) -> None:
    server, _ = build_server(open_archive(home))
    async with Client(server, mode=mode) as client:
        refused = await client.call_tool("search_messages", {"query": "chairs"})
        status = await client.call_tool("full_sync_status", {})
    assert refused.is_error
    assert "sync" in text_of(refused)
    assert not status.is_error
    assert status.structured_content is not None
    assert status.structured_content["state"] == "empty"
    assert "start_full_sync" in text_of(status)
    assert not await anyio.Path(home).exists()


@ERAS
async def test_the_server_names_itself_and_its_version(home: Path, mode: str) -> None:
    server, _ = build_server(open_archive(home))
    async with Client(server, mode=mode) as client:
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("whatsapp-mcp", __version__)


@ERAS
async def test_every_resource_can_be_read(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        resources = (await client.list_resources()).resources
        templates = {each.uri_template for each in (await client.list_resource_templates()).resource_templates}
        read = {}
        for uri in ("status", "schema", "chats", "chats/1", "chats/1/messages/2025-08", "contacts/1", "messages/1"):
            (content,) = (await client.read_resource(f"whatsapp://{uri}")).contents
            read[uri] = (content.mime_type, getattr(content, "text", ""))
    assert [each.uri for each in resources[:3]] == ["whatsapp://status", "whatsapp://schema", "whatsapp://chats"]
    assert {each.uri for each in resources[3:]} == {f"whatsapp://chats/{chat}" for chat in range(1, 5)}
    assert templates == {
        "whatsapp://chats/after/{chat_id}", "whatsapp://chats/{chat_id}", "whatsapp://chats/{chat_id}/messages/{month}",
        "whatsapp://chats/{chat_id}/messages/{month}/before/{message_id}", "whatsapp://contacts/{contact_id}",
        "whatsapp://messages/{message_id}", "whatsapp://media/{message_id}", "whatsapp://exports/{name}",
    }  # fmt: skip
    assert json.loads(read["status"][1])["messages"] == 67
    assert read["status"][0] == read["messages/1"][0] == "application/json"
    assert json.loads(read["messages/1"][1])["messages"][0]["handle"] == "m1"
    assert "messages" in read["schema"][1]
    assert '"Book club" group · 60 messages' in read["chats"][1]
    assert "60 messages" in read["chats/1/messages/2025-08"][1]
    assert '"Dana Levi" · +15550100040' in read["contacts/1"][1]


@ERAS
@pytest.mark.parametrize(
    "uri",
    [
        "chats/99",
        "chats/x",
        "chats/1/messages/August",
        "contacts/0",
        "messages/99999",
        "media/1",
        "exports/none.txt",
        "nothing/1",
    ],
)
async def test_an_address_without_anything_behind_it_is_not_found(archive: Archive, mode: str, uri: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(f"whatsapp://{uri}")
    assert refused.value.code == -32602


@pytest.mark.parametrize("name", ["..%2F..%2Fwhatsapp_chats.db", "..%2Fwhatsapp_chats.db", "%2Fetc%2Fpasswd", ".hidden"])
async def test_an_export_address_leads_nowhere_else(archive: Archive, name: str) -> None:
    server, _ = build_server(archive)
    (archive.home / "exports").mkdir()
    (archive.home / "exports" / ".hidden").write_text("no", encoding="utf-8")
    async with Client(server) as client:
        with pytest.raises(MCPError):
            await client.read_resource(f"whatsapp://exports/{name}")


PROMPTS = {
    "catch_me_up": ("catch_up", "read_chat", "sync_recent"),
    "who_have_i_not_answered": ("catch_up", "read_chat"),
    "summarize_chat": ("read_chat", "analyze_range"),
    "prepare_meeting": ("read_chat", "search_messages"),
    "find_promise": ("search_messages", "verify_quote"),
    "what_did_we_agree": ("search_messages", "read_chat"),
    "find_document": ("search_messages", "get_media"),
    "when_did_we_talk_about": ("search_messages",),
    "compare_months": ("analyze_range", "search_messages", "read_chat"),
    "who_do_i_write_with": ("analyze_range",),
}
"""With each the tools in the order in which it names them; only what comes before ``Only if`` is always called."""


@ERAS
async def test_every_prompt_can_be_had_and_names_the_tools_in_order(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        prompts = (await client.list_prompts()).prompts
        for prompt in prompts:
            assert prompt.title
            assert prompt.description
            assert all(argument.description for argument in prompt.arguments or [])
            given = {each.name: "last week" for each in prompt.arguments or []}
            got = await client.get_prompt(prompt.name, given)
            said = got.messages[0].content
            assert isinstance(said, TextContent)
            own = said.text.partition("Quote the deciding messages")[0]
            places = {tool: own.index(tool) for tool in TOOLS if tool in own}
            assert tuple(sorted(places, key=lambda tool: places[tool])) == PROMPTS[prompt.name]
            assert own.count('"last week"') >= len(given)
            assert "  " not in said.text
            assert "\n" not in said.text
    assert [prompt.name for prompt in prompts] == [*PROMPTS]


@ERAS
async def test_a_prompt_without_what_it_needs_says_what_is_missing(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        with pytest.raises(MCPError, match="missing argument 'contact'"):
            await client.get_prompt("what_did_we_agree", {})
        with pytest.raises(MCPError, match="did you mean 'period'"):
            await client.get_prompt("catch_me_up", {"periods": "today"})
        with pytest.raises(MCPError, match="did you mean 'catch_me_up'"):
            await client.get_prompt("catch_up", {})


@ERAS
async def test_chats_contacts_and_months_are_completed(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    month = ResourceTemplateReference(type="ref/resource", uri="whatsapp://chats/{chat_id}/messages/{month}")
    months = PromptReference(type="ref/prompt", name="compare_months")
    contact = ResourceTemplateReference(type="ref/resource", uri="whatsapp://contacts/{contact_id}")
    prompt = PromptReference(type="ref/prompt", name="what_did_we_agree")
    async with Client(server, mode=mode) as client:

        async def offered(ref: Any, name: str, value: str, known: dict[str, str] | None = None) -> list[str]:
            return (await client.complete(ref, {"name": name, "value": value}, context_arguments=known)).completion.values

        assert sorted(await offered(prompt, "contact", "dana"))[:2] == ["Dana Cohen", "Dana Levi"]
        assert "Dana Levi" in await offered(prompt, "contact", "")
        assert await offered(prompt, "chat", "book") == ["Book club"]
        assert await offered(prompt, "period", "last w") == ["last week"]
        assert await offered(month, "chat_id", "book") == ["1"]
        assert await offered(month, "month", "2025", {"chat_id": "1"}) == ["2025-08"]
        assert await offered(month, "month", "", {"chat_id": "99"}) == []
        assert await offered(months, "first", "2025-", {"chat": "Book club"}) == ["2025-08"]
        assert await offered(prompt, "period", "2025") == ["2025-08", "2025"]
        danas = [contact.party.id for contact in archive.queries.find_contacts("dana")]
        assert await offered(contact, "contact_id", "dana") == [str(each) for each in danas]
        assert set(map(str, danas)) <= set(await offered(contact, "contact_id", ""))
        assert await offered(prompt, "topic", "x") == []


async def test_a_period_left_empty_still_makes_a_call_that_the_tool_takes(archive: Archive) -> None:
    server, _ = build_server(archive)
    wanted = {
        "catch_me_up": ("period", 'catch_up since="yesterday"'),
        "who_have_i_not_answered": ("since", 'catch_up since="last 30 days"'),
        "who_do_i_write_with": ("period", "give 2009 to after and today to before"),
    }
    async with Client(server) as client:
        for name, (argument, call) in wanted.items():
            for given in ("", "  "):
                said = (await client.get_prompt(name, {argument: given})).messages[0].content
                assert isinstance(said, TextContent)
                assert call in said.text
        assert not (await client.call_tool("analyze_range", {"after": "2009", "before": "today"})).is_error


async def test_digits_complete_to_those_with_such_ids_and_a_text_longer_than_any_name_to_nobody(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = build_server(archive)
    prompt = PromptReference(type="ref/prompt", name="catch_me_up")
    async with Client(server) as client:
        assert "Book club" in (await client.complete(prompt, {"name": "chat", "value": "1"})).completion.values
        assert (await client.complete(prompt, {"name": "chat", "value": "2025"})).completion.values == []
        monkeypatch.setattr(type(archive.queries), "names_like", None)  # takes minutes for so long a text
        assert (await client.complete(prompt, {"name": "chat", "value": "x" * 100_000})).completion.values == []


async def test_behind_the_last_chat_the_list_says_that_there_are_no_more(archive: Archive) -> None:
    server, _ = build_server(archive)
    last = archive.queries.list_chats()[0][-1].party.id
    async with Client(server) as client:
        (content,) = (await client.read_resource(f"whatsapp://chats/after/{last}")).contents
    assert isinstance(content, TextResourceContents)
    assert content.text.endswith("There are no further chats.")


async def test_completions_without_an_archive_are_empty(home: Path) -> None:
    server, _ = build_server(open_archive(home))
    async with Client(server) as client:
        prompt = PromptReference(type="ref/prompt", name="catch_me_up")
        assert (await client.complete(prompt, {"name": "chat", "value": ""})).completion.values == []


@ERAS
async def test_an_export_comes_with_a_link_that_can_be_read(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        answer = await client.call_tool("export_chat", {"chat": "Dana Levi", "format": "json", "after": "2025-08"})
        link = answer.content[1]
        assert link.type == "resource_link"
        (content,) = (await client.read_resource(link.uri)).contents
    assert "5 messages" in text_of(answer)
    assert str(archive.home / "exports") in text_of(answer)
    assert content.mime_type == "application/json"
    assert json.loads(getattr(content, "text", ""))["message_count"] == 5


async def test_a_file_that_is_not_stored_is_described(archive: Archive) -> None:
    server, _ = build_server(archive)
    async with Client(server) as client:
        found = await client.call_tool("search_messages", {"query": "signed copy"})
        handle = next(word for word in text_of(found).split() if word[0] == "m" and word[1:].isdigit())
        answer = await client.call_tool("get_media", {"message": handle})
    assert 'name "lease 2025.pdf"' in text_of(answer)
    assert "Not downloaded yet" in text_of(answer)
    assert len(answer.content) == 1


def test_a_schema_is_told_without_titles_and_nulls() -> None:
    schema = {
        "title": "T",
        "properties": {
            "title": {"title": "Title", "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "default": None},
            "limit": {"title": "Limit", "type": "integer", "default": 50},
        },
    }
    assert tidied(schema) == {
        "properties": {
            "title": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "limit": {"type": "integer", "default": 50},
        }
    }


def test_a_finding_of_pydantic_is_told_in_plain_words() -> None:
    problem: Any = {"type": "int_parsing", "loc": ("limit",), "msg": "Input should be a valid integer", "input": "x"}
    assert explained(problem, ["limit"]) == "limit: must be a valid integer"
