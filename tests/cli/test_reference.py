"""docs/cli.md says of every command what the command itself says. `DRIFTLINE_ACCEPT_GOLDEN=1` rewrites its tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from driftline.cli import exit_codes
from driftline.cli.app import create_app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
_BLOCK = re.compile(r"(<!-- options: ([a-z -]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def _commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    found = command or get_command(create_app())
    inner = getattr(found, "commands", None)
    if inner is None:
        yield " ".join(path), found
    for name, one in (inner or {}).items():
        yield from _commands(one, (*path, name))


def _table(command: Any) -> str:
    """What a command takes, as Markdown: from the same parameters that `--help` prints."""
    rows = []
    for parameter in command.params:
        help_text = getattr(parameter, "help", None) or ""
        if parameter.param_type_name == "argument":
            name, default = (parameter.metavar or parameter.name).upper(), "required"
        else:
            name = ", ".join(parameter.opts)
            value = parameter.default() if callable(parameter.default) else parameter.default
            default = "required" if parameter.required else "" if value in (None, False, (), []) else f"`{value}`"
            metavar = "" if getattr(parameter, "is_flag", False) else parameter.metavar
            name = f"{name} {metavar}" if metavar else name
        if getattr(parameter, "envvar", None):
            help_text = f"{help_text} Environment: `{parameter.envvar}`."
        rows.append(f"| `{_cell(name)}` | {_cell(help_text)} | {default} |")
    head = f"{' '.join((command.help or '').split())}\n\n"
    table = "| | | default |\n|---|---|---|\n" + "\n".join(rows).replace("  |", " |") + "\n"
    return head + (table if rows else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def test_every_table_is_what_the_command_says() -> None:
    """Names, meanings and defaults of all options of all commands."""
    page = PAGE.read_text(encoding="utf-8")
    commands = dict(_commands())
    written = _BLOCK.sub(lambda block: block[1] + _table(commands[block[2]]) + block[4], page)
    if os.environ.get("DRIFTLINE_ACCEPT_GOLDEN"):
        PAGE.write_text(written, encoding="utf-8")
        page = written
    assert page == written


def test_every_command_has_its_table() -> None:
    """A command that is added is described."""
    described = [block[2] for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    assert sorted(described) == sorted(name for name, _ in _commands())


def test_every_exit_code_is_in_the_table() -> None:
    """And no other."""
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    said = re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(map(int, said)) == sorted(codes)
