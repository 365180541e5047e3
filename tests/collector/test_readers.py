"""Readers see one row a span: every statement over a table that may hold copies merges them, or only names ids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = "otel_traces|steps|memory_ops|runs|run_traces|findings|not_checked"
_READ = re.compile(rf"(?<!DELETE )\b(?:FROM|JOIN)\s+({TABLES})\b(?!\s*\.)(\s+(?:AS\s+\w+\s+)?FINAL\b)?", re.IGNORECASE)

# A statement that says which traces or ids there are, and nothing about what is in them, may read copies: a superseded
# copy names none that its successor does not name. These words may stand in its select lists.
IDS = frozenset(
    ("distinct", "as", "arrayjoin", "max", "trace_id", "run_id", "run_parent_id", "id", "fingerprint", "effect_key",
     "call_id", "effect_compensates", "store", "key", "destination", "message_id", "link_traces", "other",
     "ingested_at", "last_span_at")
)  # fmt: skip
# In code: the newest of all, and whether there is anything at all.
_IN_CODE = re.compile(r"SELECT (max\(\w+\)|count\(\)) FROM \w+\Z")


def statements() -> list[Path]:
    found = [path for folder in ("analyzers", "collector", "web", "cli") for path in (ROOT / folder).rglob("*.sql")]
    return [path for path in found if "migrations" not in path.parts]


@pytest.mark.parametrize("path", statements(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_statement_merges_copies(path: Path) -> None:
    """FINAL behind the table's name; views that fill a table see each copy once and are no readers."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    copies = [match[0] for match in _READ.finditer(text) if match[2] is None]
    if "CREATE MATERIALIZED VIEW" in text or not copies:
        return
    # A list of ids given as a parameter is a select without a table.
    text = re.sub(r"\(SELECT arrayJoin\(\{\w+:Array\(String\)\}\)\)", "()", text)
    text = re.sub(r"count\(\) AS \w+ FROM \(SELECT DISTINCT", "trace_id FROM (SELECT DISTINCT", text)
    text = re.sub(r"WITH near AS \(SELECT \* FROM", "WITH near AS (SELECT trace_id FROM", text)
    text = re.sub(r"\b[a-z]+\.", "", text)  # aliases of tables
    for selected in re.findall(r"SELECT\s+(.*?)\s+FROM", text, re.DOTALL):
        assert set(re.findall(r"\w+", selected.lower())) <= IDS, f"{copies[0]} without FINAL: {selected}"


def test_the_scope_reads_merged_tables() -> None:
    """`$steps` and `$memory_ops` in the analyzers' statements stand for these."""
    assert "FROM {table} FINAL WHERE" in (ROOT / "analyzers" / "scope.py").read_text(encoding="utf-8")


def test_statements_in_code_are_few_and_merge_too() -> None:
    """SQL lives in files; what little stands in code obeys the same rule."""
    for folder in ("analyzers", "collector", "web", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for match in _READ.finditer(text):
                assert match[2] or _IN_CODE.search(text[: match.end()]), f"{path}: {match[0]}"
