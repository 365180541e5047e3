"""Readers see one row a span: every statement over a table that may hold copies merges them, or counts nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = "otel_traces|steps|memory_ops|runs|run_traces|findings|not_checked"
_READ = re.compile(rf"\b(?:FROM|JOIN)\s+({TABLES})\b(?!\s*\.)(\s+(?:AS\s+\w+\s+)?FINAL\b)?", re.IGNORECASE)

# Statements that ask which traces or ids there are, not what is in them: a superseded copy names none that its
# successor does not name, and `changed_traces` is about arrivals.
SETS_OF_IDS = {"related_traces.sql", "changed_traces.sql", "run_trace_ids.sql", "ids_like.sql", "unjudged_traces.sql"}
# In code: the newest of all, and whether there is anything at all.
IN_CODE = ("SELECT max(last_span_at) FROM runs", "SELECT count() FROM steps")


def statements() -> list[Path]:
    found = [path for folder in ("analyzers", "collector", "web", "cli") for path in (ROOT / folder).rglob("*.sql")]
    return [path for path in found if "migrations" not in path.parts]


@pytest.mark.parametrize("path", statements(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_statement_merges_copies(path: Path) -> None:
    """FINAL behind the table's name; views that fill a table see each copy once and are no readers."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    if "CREATE MATERIALIZED VIEW" in text:
        return
    for match in _READ.finditer(text):
        if match[2] is None:
            assert path.name in SETS_OF_IDS, f"{path.name}: {match[0]} without FINAL"
            assert not re.search(r"\b(sum|avg|quantile)\w*\(", text), path.name


def test_the_scope_reads_merged_tables() -> None:
    """`$steps` and `$memory_ops` in the analyzers' statements stand for these."""
    assert "FROM {table} FINAL WHERE" in (ROOT / "analyzers" / "scope.py").read_text(encoding="utf-8")


def test_statements_in_code_are_few_and_merge_too() -> None:
    """SQL lives in files; what little stands in code obeys the same rule."""
    for folder in ("analyzers", "collector", "web", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for match in _READ.finditer(text):
                known = any(text[: match.end()].endswith(statement) for statement in IN_CODE)
                assert match[2] or known, f"{path}: {match[0]}"
