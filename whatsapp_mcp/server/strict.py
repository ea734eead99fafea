"""The SDK's server, made strict: unknown arguments are refused with the nearest name, and our own errors reach the model whole.

In mcp 2.3 an unknown argument is ignored in silence, a bad one is answered in pydantic's words with a link, and every exception
that is not a ``ToolError`` becomes a bare "Error executing tool". Here each is one line that says what to do next. What nobody
foresaw stays masked, and its traceback goes to the log.
"""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ResourceNotFoundError,
    ToolError,
    UnexpectedResourceError,
    UnexpectedToolError,
)
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, TextContent, ToolAnnotations
from pydantic import ValidationError

from whatsapp_mcp.errors import ArchiveError, NotFound
from whatsapp_mcp.server.accesses import address_told
from whatsapp_mcp.server.fencing import clean
from whatsapp_mcp.server.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult, GetPromptResult, InputRequiredResult
    from pydantic.networks import AnyUrl
    from pydantic_core import ErrorDetails

    from whatsapp_mcp.server.accesses import Accesses

Json: TypeAlias = Any
"""A JSON schema or a part of one."""

_SPEC: Final = "_tool_spec"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What the surface says of a tool beside its docstring and its parameters."""

    title: str
    reads_only: bool = True
    idempotent: bool = True
    open_world: bool = True
    """True also for whatever returns text of strangers, which is nearly everything here."""
    structured: bool = False
    is_quick: bool = False
    """Answered within milliseconds, so it takes its `turns`."""


def tool(
    title: str, *, reads_only: bool = True, idempotent: bool = True, structured: bool = False, is_quick: bool = False
) -> Callable[..., Any]:
    """Mark a method as a tool; its docstring is what the model reads."""

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        setattr(method, _SPEC, ToolSpec(title, reads_only, idempotent, structured=structured, is_quick=is_quick))
        return method

    return mark


class StrictServer(MCPServer[Any]):
    """An `MCPServer` whose refusals help, and whose resources know their types."""

    type_of: Callable[[str], str | None] = staticmethod(lambda _uri: None)
    """Gives the MIME type of a resource's URI where the template cannot know it."""
    access: Accesses
    """Keeps account of what is read; to be set before anything is asked."""
    _turns: Turns | None = None

    def add_tools(self, room: object) -> None:
        """Register every method of `room` that `tool` has marked, in the order in which they are written."""
        for name in type(room).__dict__:
            method = getattr(room, name)
            if spec := getattr(method, _SPEC, None):
                self._add(method, spec)

    def _add(self, method: Callable[..., Any], spec: ToolSpec) -> None:
        annotations = ToolAnnotations(
            title=spec.title,
            read_only_hint=spec.reads_only,
            destructive_hint=False,
            idempotent_hint=spec.idempotent,
            open_world_hint=spec.open_world,
        )
        self.add_tool(
            method,
            title=spec.title,
            description=flowing(inspect.getdoc(method) or ""),
            annotations=annotations,
            structured_output=spec.structured,
        )
        added = self._tool_manager.get_tool(method.__name__)
        if added is None:
            raise LookupError(method.__name__)
        model = added.fn_metadata.arg_model
        model.model_config["extra"] = "forbid"
        model.model_rebuild(force=True)
        added.parameters = tidied(model.model_json_schema(by_alias=True))
        if added.fn_metadata.output_schema is not None:
            added.fn_metadata.output_schema = tidied(added.fn_metadata.output_schema)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; raises `ToolError` with one helpful line, and only a crash stays a crash."""
        told = name if self._tool_manager.get_tool(name) else "unknown"
        with self.access.of("tool", told, context) as access:
            async with self._turn_of(told):
                answer = await self._call(name, arguments, context)
            access.texts = _texts_of(getattr(answer, "content", ()))
            return answer

    def _turn_of(self, name: str) -> AbstractAsyncContextManager[None]:
        known = self._tool_manager.get_tool(name)
        if known is None or not getattr(known.fn, _SPEC).is_quick:
            return nullcontext()
        self._turns = self._turns or Turns()  # belongs to the loop that asks first
        return self._turns.turn()

    async def _call(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError as crash:
            known = foreseen(crash.__cause__)
            if known is None:
                raise
            raise ToolError(known) from crash.__cause__
        except ToolError as refusal:
            raise ToolError(self._refusal(name, refusal)) from refusal.__cause__

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; an unknown one is "not found", and our own errors keep their words."""
        with self.access.of("resource", address_told(str(uri)), context) as access:
            contents = await self._read(uri, context)
            access.texts = tuple(one.content for one in contents if isinstance(one.content, str))
            return contents

    async def _read(self, uri: AnyUrl | str, context: Context[Any, Any] | None) -> list[ReadResourceContents]:
        try:
            contents = await super().read_resource(uri, context)
        except UnexpectedResourceError as crash:
            cause = _root(crash)
            known = foreseen(cause)
            if known is None:
                raise
            raise (ResourceNotFoundError if isinstance(cause, NotFound) else ResourceError)(known) from cause
        return list(self._typed(str(uri), cast("Iterable[ReadResourceContents]", contents)))

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Return a prompt; a missing or unknown argument is named, which the SDK would hide behind "Internal server error"."""
        prompt = self._prompt_manager.get_prompt(name)
        if prompt is None:
            known = [each.name for each in self._prompt_manager.list_prompts()]
            raise MCPError(INVALID_PARAMS, f"unknown prompt {name!r} - {_hint(name, known)}")
        given = arguments or {}
        expected = prompt.arguments or []
        names = [argument.name for argument in expected]
        if unknown := [key for key in given if key not in names]:
            raise MCPError(INVALID_PARAMS, f"unknown argument {unknown[0]!r} - {_hint(unknown[0], names)}")
        if missing := [each.name for each in expected if each.required and not str(given.get(each.name) or "").strip()]:
            raise MCPError(INVALID_PARAMS, f"missing argument {missing[0]!r}")
        with self.access.of("prompt", name, context):
            return await super().get_prompt(name, arguments, context)

    def completion(self) -> Callable[..., Any]:
        """Register what answers completions, and keep account of these as well."""
        register = cast("Callable[..., Any]", super().completion())  # type: ignore[no-untyped-call]

        def registering(complete: Callable[..., Any]) -> Any:  # noqa: ANN401 - the SDK leaves it untyped
            async def accounted(ref: object, argument: object, context: object) -> Any:  # noqa: ANN401
                with self.access.of("completion", type(ref).__name__):
                    return await complete(ref, argument, context)

            return register(accounted)

        return registering

    def _typed(self, uri: str, contents: Iterable[ReadResourceContents]) -> Iterator[ReadResourceContents]:
        for content in contents:
            content.mime_type = self.type_of(uri) or content.mime_type
            yield content

    def _refusal(self, name: str, refusal: ToolError) -> str:
        """The words of a refusal: ours as they are, those of pydantic made readable."""
        tool_called = self._tool_manager.get_tool(name)
        if tool_called is None:
            known = [each.name for each in self._tool_manager.list_tools()]
            return f"unknown tool {name!r} - {_hint(name, known)}"
        if not isinstance(refusal.__cause__, ValidationError):
            return clean(str(refusal).removeprefix(f"Error executing tool {name}: "))
        known = list(tool_called.parameters.get("properties", {}))
        problems = refusal.__cause__.errors(include_url=False, include_context=False)
        return "; ".join(dict.fromkeys(explained(problem, known) for problem in problems))


def _texts_of(blocks: Iterable[object]) -> tuple[str, ...]:
    return tuple(block.text for block in blocks if isinstance(block, TextContent))


def foreseen(error: BaseException | None) -> str | None:
    """Return the text of an error of ours, also from within a task group's group; None for anything else."""
    if isinstance(error, ArchiveError):
        return clean(str(error))
    if isinstance(error, BaseExceptionGroup):
        return next((text for text in map(foreseen, error.exceptions) if text), None)
    return None


def flowing(text: str) -> str:
    """Return a docstring with each paragraph on one line, as a model needs it."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def explained(problem: ErrorDetails, known: list[str]) -> str:
    """Return one of pydantic's findings as a line that says what would be right."""
    where = str(problem["loc"][0]) if problem["loc"] else "arguments"
    if problem["type"] == "extra_forbidden":
        return f"unknown argument {where!r} - {_hint(where, known)}"
    if problem["type"] in ("missing", "missing_argument"):
        return f"{where}: this argument is required"
    return f"{where}: {problem['msg'].removeprefix('Input ').replace('should be', 'must be')}"


def tidied(schema: Json) -> Json:
    """Return a JSON schema without what only costs tokens: titles, null alternatives, null defaults and what is allowed anyway.

    Alternatives stay in ``anyOf``: a list of types would be shorter, but clients that know one type each, as Gemini's function
    declarations do, refuse the tool or drop the constraint (MCP Inspector, ``tools/list --strict``).
    """
    if isinstance(schema, list):
        return [tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shorter = {key: tidied(part) for key, part in schema.items() if not (key == "title" and isinstance(part, str))}
    if shorter.get("default", ...) is None:
        del shorter["default"]
    if shorter.get("additionalProperties") is True:
        del shorter["additionalProperties"]
    choices = shorter.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del shorter["anyOf"]
        shorter |= rest[0] if len(rest) == 1 else {"anyOf": rest}
    return shorter


def _hint(wrong: str, known: list[str]) -> str:
    nearest = get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else f"valid: {', '.join(known) or 'none'}"


def _root(error: BaseException) -> BaseException:
    while isinstance(error, UnexpectedResourceError) and error.__cause__ is not None:
        error = error.__cause__
    return error
