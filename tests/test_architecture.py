"""The shape of the house: who may import whom, how big a module may grow, what every module says of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# sdk <- collector <- analyzers <- web, cli: a folder may import itself and what stands after the colon.
ARROWS = {
    "sdk": set(),
    "collector": {"sdk"},
    "analyzers": {"sdk", "collector"},
    "web": {"sdk", "collector", "analyzers"},
    "cli": {"sdk", "collector", "analyzers", "web"},
}
# What an `import driftline` may cost a program that only wants to be traced.
# requests is the HTTP client of OpenTelemetry's exporter, a dependency of its own; sdk/_session.py can do without.
SDK_ALONE = ("opentelemetry", "requests", "typing_extensions")
HARD_CAP = 400
SIZED = (".py", ".js", ".css", ".html", ".sql")


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module name that *path* imports, wherever in the file, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def folder_of(module: str) -> str:
    part = module.partition(".")[2].partition(".")[0]
    return part if part in ARROWS and part != "sdk" else "sdk"


@pytest.mark.parametrize("folder", ARROWS)
def test_arrows_point_one_way(folder: str) -> None:
    """No module imports a folder that stands above its own."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(folder)
        for line, name in imports(path)
        if name.split(".")[0] == "driftline" and folder_of(name) not in ARROWS[folder] | {folder}
    ]
    assert [] == wrong


def test_the_sdk_needs_opentelemetry_and_nothing_else() -> None:
    """Whoever installs the thin package gets no server library through the back door."""
    import sys

    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules("sdk")
        for line, name in imports(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "driftline", *SDK_ALONE}
    ]
    assert [] == wrong


def test_no_file_outgrows_one_job() -> None:
    """300 lines are the soft cap; at 400 a file is split, by job."""
    folders = [*ARROWS, "tests", "bench", "examples"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in SIZED]
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files
        if not {"vendor", "__pycache__", "node_modules"} & set(path.parts)
    }
    assert sizes, "no file was looked at"
    assert {} == {name: lines for name, lines in sizes.items() if lines > HARD_CAP}


@pytest.mark.parametrize("folder", [*ARROWS, "tests"])
def test_every_module_says_what_it_is_for(folder: str) -> None:
    """A module begins with a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for path in modules(folder)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert [] == silent


def test_sql_lives_in_sql_files_with_a_header() -> None:
    """Each statement's file begins with a comment that says what it returns or makes."""
    files = [path for folder in ARROWS for path in (ROOT / folder).rglob("*.sql")]
    assert files
    assert [] == [
        str(path.relative_to(ROOT)) for path in files if not path.read_text(encoding="utf-8").startswith("--")
    ]
