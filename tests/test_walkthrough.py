"""The demonstration as a person starts it, and the screenful of it that the README opens with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from whatsapp_mcp.demo.walkthrough import QUESTIONS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def demo(home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "whatsapp_mcp", "demo", "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=110, check=False, cwd=home.parent)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("demo") / "home"
    ended = demo(home)
    assert (ended.returncode, ended.stderr) == (0, "")
    return home, ended.stdout


def comparable(text: str) -> str:
    """Without what each run makes anew: handles and marks, the time of the sync, and where lines are broken.

    Nor with the numbers of chats: the lists are asked side by side, and the first answer gives them.
    """
    text = re.sub(r"\b[a-z0-9]{8}(?=>>| untrusted)", "MARK", text)
    text = re.sub(r"synced \d{4}-\d\d-\d\d \d\d:\d\d", "synced", text)
    text = re.sub(r"\(\d+, (?=private|group)", "(", text)
    return " ".join(re.sub(r"\bm\d+\b", "m", text).split())


def test_the_demonstration_syncs_everything_and_answers_every_question(walked: tuple[Path, str]) -> None:
    home, printed = walked
    assert "Synced 62,673 messages of 398 chats" in printed
    assert [line for line in printed.splitlines() if line.startswith("─── ")] == [f"─── {each.asked}" for each in QUESTIONS]
    assert f"--home {home} search oak table" in printed


def test_the_screenful_of_the_readme_is_what_the_demonstration_prints(walked: tuple[Path, str]) -> None:
    shown = re.search(r"<!-- screenful -->\n```text\n(.*?)```", README, re.DOTALL)
    assert shown
    passages = [comparable(part) for part in re.split(r"^You: +|…$", shown[1], flags=re.MULTILINE) if part.strip()]
    assert len(passages) >= 2
    printed = comparable(walked[1])
    for passage in passages:
        assert passage in printed, f"it differs after: {_shared(passage, printed)[-120:]}"


def _shared(passage: str, printed: str) -> str:
    """How far the passage is printed, with what is printed after that."""
    length = next((length for length in range(len(passage), 0, -1) if passage[:length] in printed), 0)
    place = printed.find(passage[:length])
    return f"{passage[:length]} | {printed[place + length : place + length + 60]}"


def test_an_archive_is_never_mixed_with_the_invented_one(walked: tuple[Path, str]) -> None:
    refused = demo(walked[0])
    assert refused.returncode == 2
    assert "already holds an archive" in refused.stderr
