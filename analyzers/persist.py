"""Writes a report into the store: runs, findings, what was not checked, and how traces were joined."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.collector.store import read_sql

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
    """Store *report*. What an earlier analysis of the same runs said and this one does not is marked as retracted.

    A finding stays if a part of what it rests on was not looked at this time, or if its detector failed. Runs that are
    parts of others by now, because a late span joined them, are taken away.
    """
    traces = report.trace_runs["trace_id"].unique().to_list()
    merged = _merged_runs(store, report, traces)
    runs = [*report.runs["run_id"].to_list(), *merged]
    new = {(f.run_id, f.id, f.occurrence): f for f in report.findings}
    gone = [
        row
        for row in store.rows(_sql("stored_findings"), {"runs": runs})
        if (row["run_id"], row["fingerprint"], row["occurrence"]) not in new
        and (row["run_id"] in merged or _looked_at(row, report, set(traces)))
    ]
    store.insert_rows(
        "findings",
        _FINDING_COLUMNS,
        [*(_finding_row(f) for f in new.values()), *([*(row[c] for c in _FINDING_COLUMNS[:-1]), True] for row in gone)],
    )
    said = {(entry.run_id, entry.detector, entry.reason) for entry in report.not_checked}
    before = store.rows(_sql("stored_not_checked"), {"runs": runs})
    unsaid = {(row["run_id"], row["detector"], row["reason"]) for row in before} - said
    store.insert_rows(
        "not_checked",
        _NOT_CHECKED_COLUMNS,
        [*([*entry, False] for entry in sorted(said)), *([*entry, True] for entry in sorted(unsaid))],
    )
    store.insert_frame("run_traces", report.trace_runs)
    # Last: a run whose row does not know its newest span is judged again after a crash.
    store.insert_frame("runs", report.runs.with_columns(pl.col("incomplete").cast(pl.List(pl.String))))


def _merged_runs(store: Store, report: Report, traces: list[str]) -> set[str]:
    """Forget the runs that *traces* were once said to be and are not any more; their ids."""
    now = report.trace_runs.select("trace_id", "run_id")
    stored = store.frame(_sql("stored_run_traces"), {"traces": traces})
    stale = stored.filter(pl.col("trace_id").is_in(traces)).join(now, on=["trace_id", "run_id"], how="anti")
    if stale.is_empty():
        return set()
    left = pl.concat([stored.join(stale, on=["trace_id", "run_id"], how="anti"), now])
    merged = stale.select("run_id").unique().join(left, on="run_id", how="anti")["run_id"].to_list()
    pairs = {"traces": stale["trace_id"].to_list(), "runs": stale["run_id"].to_list()}
    store.command(
        "DELETE FROM run_traces WHERE (trace_id, run_id) IN arrayZip({traces:Array(String)}, {runs:Array(String)})",
        pairs,
    )
    store.command("DELETE FROM runs WHERE run_id IN (SELECT arrayJoin({runs:Array(String)}))", {"runs": merged})
    return set(merged)


def _looked_at(row: dict[str, Any], report: Report, traces: set[str]) -> bool:
    """Whether this report is entitled to take the stored finding *row* back."""
    if row["detector"] in report.failed:
        return False
    return all(span["trace_id"] in traces for span in json.loads(row["body"])["spans"])


def _sql(name: str) -> str:
    return read_sql(__package__ or "", f"sql/{name}.sql")


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
