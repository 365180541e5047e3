"""README says what happens: its commands are run as they stand there, and what they print is compared line by line.

In a `console` block a line that begins with `$ ` is run in a scratch folder of its own, with the repository's files
beside it; the lines below it are what it prints. A lone `…` stands for lines left out. What differs from run to run
(ports, folders, times, durations) is evened out on both sides. A command that goes on serving is ended by Ctrl-C when
it has said the last expected line.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

_CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_VOLATILE = (
    (re.compile(r"(https?://[\w.\[\]:-]+?):\d+"), r"\1:PORT"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?Z?"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "DURATION"),
    (re.compile(r"(/[\w.-]+)+/(?=driftline)"), ""),
    (re.compile(r"\s+"), " "),
)
# Set-up belongs to `make`; its recipe is what is run.
_SETS_UP = ("git clone", "pip install", "cd ", "make test", "make lint", "make bench")


@dataclass(frozen=True)
class Command:
    """One `$ ` line and what it prints."""

    line: str
    output: tuple[str, ...]


def commands() -> list[Command]:
    found: list[Command] = []
    for block in _CONSOLE.findall(README.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Command(line.strip(), tuple(row.rstrip() for row in output.splitlines() if row.strip())))
    return found


def evened(text: str) -> str:
    for pattern, stand_in in _VOLATILE:
        text = pattern.sub(stand_in, text)
    return text.strip()


def recipe(line: str) -> str:
    """What `make` would run for a target, in the environment these tests have."""
    if not line.startswith("make "):
        return line
    shown = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--assume-old=.venv/installed", *line.split()[1:]],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return "\n".join(row.removeprefix(".venv/bin/") for row in shown.splitlines() if row.startswith(".venv/bin/"))


def printed(command: str, folder: Path, last: str) -> list[str]:
    """The lines *command* prints; once it has printed *last* it is asked to end, as by Ctrl-C."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    watchdog = threading.Timer(240, process.kill)
    watchdog.start()
    lines = []
    assert process.stdout
    for row in process.stdout:
        if row.strip():
            lines.append(evened(row))
        if last and evened(row) == last:
            process.send_signal(signal.SIGINT)
            last = ""
    process.wait()
    watchdog.cancel()
    return lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scratch folder in which the repository's files can be named as README names them."""
    scratch = tmp_path_factory.mktemp("readme")
    for name in ("examples", "tests", "docs"):
        (scratch / name).symlink_to(ROOT / name)
    return scratch


@pytest.mark.e2e
@pytest.mark.parametrize("command", commands(), ids=lambda command: command.line)
def test_a_command_prints_what_readme_shows(command: Command, folder: Path) -> None:
    """Line by line, with `…` for what is left out."""
    if command.line.startswith(_SETS_UP):
        pytest.skip("set-up; the fresh-clone check does it")
    expected = [evened(row) for row in command.output]
    lines = printed(recipe(command.line), folder, expected[-1] if expected else "")
    place = 0
    anywhere = False
    for row in expected:
        if row == "…":
            anywhere = True
            continue
        assert row in lines[place:], f"{row!r} is not printed after {lines[max(0, place - 3) : place]}: {lines}"
        at = lines.index(row, place)
        assert anywhere or at == place, f"printed before {row!r}: {lines[place:at]}"
        place, anywhere = at + 1, False


def test_readme_leads_with_a_sentence_a_command_and_a_picture() -> None:
    """The first screen: what it is, the one command with what it prints, what that looks like."""
    text = README.read_text(encoding="utf-8")
    first, sentence = [line for line in text.splitlines() if line.strip()][:2]
    assert first == "# driftline"
    assert sentence.rstrip().endswith(".")
    assert commands()[0].line == "make demo"
    assert commands()[0].output
    assert text.index("```console") < text.index("![") < text.index("\n## ")


def test_readme_code_is_valid_python() -> None:
    """Blocks of code compile; the SDK guide's are run by its own test."""
    blocks = _PYTHON.findall(README.read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


@pytest.mark.parametrize("document", sorted([README, ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]), ids=str)
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    """No page refers to a file that is not there."""
    text = document.read_text(encoding="utf-8")
    gone = [link for link in _LINK.findall(text) if not (document.parent / link).exists()]
    assert [] == gone
