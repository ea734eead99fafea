"""Asks an MCP server everything that it offers, whatever that is: each tool, resource, template, prompt and completion.

What to fill in is found by the name of the parameter, so a tool that is added later is asked as well; one with a parameter that
nobody has a value for fails the walk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from mcp.server import MCPServer

Values = dict[str, list[Any]]
"""By the name of a parameter what to give for it, one after the other."""


@dataclass(frozen=True)
class Answer:
    """Something that came out of the server."""

    asked: str
    given: str
    texts: tuple[str, ...]
    links: tuple[str, ...] = ()
    structured: Any = None

    def __str__(self) -> str:
        return f"{self.asked} {self.given[:120]}"


async def everything(server: MCPServer[Any], values: Values) -> AsyncIterator[Answer]:
    """Every answer; tools come first, so that what they export is there to be read."""
    async with Client(server) as client:
        for answers in (tools(client, values), resources(client, values), prompts(client, values), completions(client, values)):
            async for answer in answers:
                yield answer


async def tools(client: Client, values: Values) -> AsyncIterator[Answer]:
    for tool in (await client.list_tools()).tools:
        for given in questions(tool.name, tool.input_schema, values):
            found = await client.call_tool(tool.name, given)
            texts = tuple(block.text for block in found.content if isinstance(block, TextContent))
            links = tuple(part for block in found.content if block.type == "resource_link" for part in (block.uri, block.name))
            yield Answer(tool.name, str(given), texts, links, found.structured_content)


def questions(tool: str, schema: Mapping[str, Any], values: Values) -> Iterator[dict[str, Any]]:
    """The required parameters with all their values, and that again for each form that an optional one may take."""
    required, known = schema.get("required", []), schema.get("properties", {})
    for name in known:
        assert name in values or name in NOT_ASKED, f"{tool} has a parameter {name!r}: surface_walk has no value for it"
    rows = list(filled({name: values[name] for name in required}))
    yield from rows
    for name in [name for name in known if name not in required and name in values]:
        for value in values[name]:
            yield rows[0] | {name: value}
    for form in known.get("format", {}).get("enum", []):
        yield from (row | {"format": form} for row in rows)


NOT_ASKED = {"cursor"}
"""Opaque: only a page before can give it."""


def filled(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """As many rows as the longest list has values; shorter ones begin anew."""
    count = max(map(len, values.values()), default=1)
    for place in range(count):
        yield {name: some[place % len(some)] for name, some in values.items()}


async def resources(client: Client, values: Values) -> AsyncIterator[Answer]:
    listed = (await client.list_resources()).resources
    for resource in listed:
        yield Answer("resources/list", resource.uri, (f"{resource.name}\n{resource.title}\n{resource.description}",))
    addresses = [resource.uri for resource in listed]
    for template in (await client.list_resource_templates()).resource_templates:
        addresses += [*expanded(template.uri_template, values)]
    for address in addresses:
        try:
            contents = (await client.read_resource(address)).contents
            texts = tuple(text for one in contents if (text := getattr(one, "text", None)) is not None)
        except MCPError as refused:
            texts = (str(refused),)
        yield Answer("resource", address, texts)


def expanded(template: str, values: Values) -> Iterator[str]:
    names = re.findall(r"\{\??&?(\w+(?:,\w+)*)\}", template)
    places = {name: values[name] for group in names for name in group.split(",") if name not in NOT_ASKED}
    for row in filled(places):
        address = re.sub(r"\{[?&][^}]*\}", "", template)
        for name, value in row.items():
            address = address.replace(f"{{{name}}}", quote(str(value), safe=""))
        yield address


async def prompts(client: Client, values: Values) -> AsyncIterator[Answer]:
    for prompt in (await client.list_prompts()).prompts:
        names = [argument.name for argument in prompt.arguments or []]
        for row in filled({name: values[name] for name in names}):
            found = await client.get_prompt(prompt.name, {name: str(value) for name, value in row.items()})
            texts = tuple(one.content.text for one in found.messages if isinstance(one.content, TextContent))
            yield Answer(f"prompt {prompt.name}", str(row), texts)


async def completions(client: Client, values: Values) -> AsyncIterator[Answer]:
    asked: list[tuple[Any, str]] = []
    for prompt in (await client.list_prompts()).prompts:
        asked += [(PromptReference(type="ref/prompt", name=prompt.name), one.name) for one in prompt.arguments or []]
    for template in (await client.list_resource_templates()).resource_templates:
        uri = template.uri_template
        asked += [(ResourceTemplateReference(type="ref/resource", uri=uri), name) for name in re.findall(r"\{(\w+)\}", uri)]
    for reference, name in asked:
        for typed in ("", *values["typed"]):
            found = await client.complete(reference, {"name": name, "value": typed})
            yield Answer(f"completion of {name}", typed, (), tuple(found.completion.values))
