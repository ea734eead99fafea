"""What the documents promise is what there is."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from importlib.metadata import requires
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from whatsapp_mcp import __version__
from whatsapp_mcp.cli.parser import JOBS, build_parser
from whatsapp_mcp.config import NAMES
from whatsapp_mcp.schema import SECOND, TABLES
from whatsapp_mcp.schema.measures import THIRD
from whatsapp_mcp.schema.media import FOURTH
from whatsapp_mcp.schema.semantic import FIFTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = [path for path in (ROOT / "README.md", ROOT / ".env.example", *ROOT.glob("examples/**/*")) if path.is_file()]


def block(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert found, f"README.md has no part between <!-- {name} --> and <!-- /{name} -->"
    return found[1]


def rows(name: str) -> dict[str, str]:
    """The table between the marks: the first cell without its backticks, and the second."""
    cells = (line.strip("|").split("|", 1) for line in block(name).splitlines()[2:] if line.startswith("|"))
    return {first.strip().strip("`"): second.strip() for first, second in cells}


def commands(parser: argparse.ArgumentParser, prefix: str = "") -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, below in action.choices.items():
                deeper = list(commands(below, f"{prefix}{name} "))
                yield from deeper or [f"{prefix}{name}"]


def test_the_readme_lists_exactly_the_commands_that_there_are() -> None:
    assert sorted(rows("commands")) == sorted(commands(build_parser()))


def test_the_readme_lists_exactly_the_jobs_of_the_scheduler() -> None:
    assert sorted(rows("scheduler")) == sorted(f"--once {job}" for job in JOBS)


def test_the_readme_explains_every_setting_in_the_words_of_the_code() -> None:
    assert rows("settings") == dict(NAMES)


def test_the_example_of_an_env_file_names_every_setting() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE) == list(NAMES)


def test_the_example_of_an_env_file_holds_no_secret() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert "GREEN_API_TOKEN_INSTANCE=\n" in example
    assert "GREEN_API_ID_INSTANCE=\n" in example


def test_the_readme_names_only_tables_that_exist() -> None:
    section = README.partition("## The tables")[2].partition("\n## ")[0]
    named = set(
        re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `")))
    )
    made = set(re.findall(r"CREATE (?:TABLE|VIEW) (\w+)", TABLES + SECOND + THIRD + FOURTH + FIFTH))
    assert named
    assert named <= made


def test_both_commands_of_the_readme_are_one_line_each_and_pinned() -> None:
    for name in ("demo-command", "test-command"):
        (line,) = [line for line in block(name).splitlines() if line and not line.startswith("```")]
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q -c requirements.lock ")


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__


def test_the_lock_pins_everything_and_says_nothing_of_the_machine() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.match(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+( ; .*)?$", line) for line in lines)


def wanted() -> list[Requirement]:
    """What pyproject.toml asks for, in any extra and on any system."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(one) for one in chain(project["dependencies"], *extras)]


def below(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    """The requirements, and what each of them needs in its turn on this system."""
    seen: set[str] = set()
    waiting = list(requirements)
    while waiting:
        one = waiting.pop()
        yield one
        if str(one) in seen or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        seen.add(str(one))
        for text in requires(one.name) or ():
            needed = Requirement(text)
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                waiting.append(needed)


def test_the_lock_covers_every_dependency_and_what_each_needs_in_its_turn() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pinned}
    for one in below(wanted()):
        assert canonicalize_name(one.name) in versions, f"requirements.lock does not pin {one.name}"
        version = versions[canonicalize_name(one.name)]
        assert one.specifier.contains(version, prereleases=True), f"requirements.lock has {one.name} {version}, {one} is wanted"


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.json")), ids=lambda path: path.name)
def test_the_example_configurations_are_json(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_document_names_a_folder_of_somebodys_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|Users|root|work)/\w", text)


async def test_the_readme_lists_exactly_the_tools_that_the_server_has(home: Path) -> None:
    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.server.build import build_server

    server, _ = build_server(Archive.open(Settings.load({"WHATSAPP_MCP_HOME": str(home)}, home.parent)))
    assert sorted(rows("tools")) == sorted(tool.name for tool in await server.list_tools())
