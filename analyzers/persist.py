"""Writes a report into the store: runs, findings, what was not checked, and how traces were joined."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from driftline.analyzers.engine import Report
    from driftline.analyzers.finding import Finding
    from driftline.collector.store import Store

_FINDING_COLUMNS = (
    "run_id", "fingerprint", "occurrence", "detector", "anomaly", "grade", "severity", "workflow", "service_version",
    "subject", "title", "trace_id", "span_id", "occurred_at", "body", "retracted",
)  # fmt: skip
_NOT_CHECKED_COLUMNS = ("run_id", "detector", "reason", "retracted")


def persist(store: Store, report: Report) -> None:
    """Store *report*. What an earlier analysis of the same runs said and this one does not is marked as retracted."""
    runs = report.runs["run_id"].to_list()
    store.insert_frame("run_traces", report.trace_runs)
    new = {(f.run_id, f.id, f.occurrence): f for f in report.findings}
    gone = [row for row in _stored(store, runs) if (row["run_id"], row["fingerprint"], row["occurrence"]) not in new]
    store.insert_rows(
        "findings",
        _FINDING_COLUMNS,
        [*(_finding_row(f) for f in new.values()), *([*(row[c] for c in _FINDING_COLUMNS[:-1]), True] for row in gone)],
    )
    said = {(entry.run_id, entry.detector, entry.reason) for entry in report.not_checked}
    before = store.rows(
        "SELECT run_id, detector, reason FROM not_checked FINAL WHERE NOT retracted AND (run_id = '' OR run_id IN {runs:Array(String)})",
        {"runs": runs},
    )
    unsaid = {(row["run_id"], row["detector"], row["reason"]) for row in before} - said
    store.insert_rows(
        "not_checked",
        _NOT_CHECKED_COLUMNS,
        [*([*entry, False] for entry in sorted(said)), *([*entry, True] for entry in sorted(unsaid))],
    )
    store.insert_frame("runs", report.runs.with_columns(pl.col("incomplete").cast(pl.List(pl.String))))


def _stored(store: Store, runs: list[str]) -> list[dict[str, object]]:
    columns = ", ".join(_FINDING_COLUMNS[:-1])
    return store.rows(
        f"SELECT {columns} FROM findings FINAL WHERE NOT retracted AND run_id IN {{runs:Array(String)}}", {"runs": runs}
    )


def _finding_row(finding: Finding) -> list[object]:
    first = finding.spans[0] if finding.spans else None
    return [
        finding.run_id,
        finding.id,
        finding.occurrence,
        finding.detector,
        finding.anomaly,
        finding.grade,
        finding.severity,
        finding.workflow,
        finding.service_version,
        finding.subject,
        finding.title,
        first.trace_id if first else "",
        first.span_id if first else "",
        datetime.fromtimestamp(finding.occurred_ns / 1e9, timezone.utc),
        json.dumps(finding.to_json(), ensure_ascii=False),
        False,
    ]
