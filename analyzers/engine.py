"""Runs all detectors over a part of the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import polars as pl

from driftline.analyzers.config import Config
from driftline.analyzers.detector import Detector, detectors, planned
from driftline.analyzers.finding import GRADES, SEVERITIES, Finding, NotChecked, Severity, Verdict
from driftline.analyzers.record import Record
from driftline.analyzers.run_summary import summarise_runs
from driftline.analyzers.runs import resolve_runs
from driftline.analyzers.scope import Scope, scoped

if TYPE_CHECKING:
    from driftline.collector.store import Store

_log = logging.getLogger("driftline.analysis")

Progress = Callable[[str, int, int], None]

# Below this many spans reading them all costs less than asking each detector for its candidates first.
READ_ALL_BELOW = 200_000


@dataclass(frozen=True)
class Checked:
    """How much was looked at."""

    runs: int = 0
    spans: int = 0
    memory_ops: int = 0
    effects: int = 0


@dataclass(frozen=True)
class Report:
    """What the detectors said of a part of the store.

    `runs` has the columns of table `runs`; `trace_runs` (`trace_id`, `run_id`) is how traces were joined. Findings are
    sorted worst first. `verdict` is `unknown` when nothing could be judged, which is never a pass. `failed` names
    detectors that came to grief and were passed over.
    """

    findings: tuple[Finding, ...]
    not_checked: tuple[NotChecked, ...]
    checked: Checked
    runs: pl.DataFrame
    trace_runs: pl.DataFrame
    verdict: Literal["pass", "fail", "unknown"]
    failed: tuple[str, ...] = ()


def analyse(
    store: Store,
    scope: Scope | None = None,
    config: Config | None = None,
    progress: Progress | None = None,
    *,
    read_all_below: int = READ_ALL_BELOW,
    pass_over_failing: bool = False,
) -> Report:
    """Judge the runs in scope. The result depends on the data and the config alone.

    With *pass_over_failing* a detector that raises is logged and named under `not_checked`, and the others still judge;
    what they say is then never a pass.
    """
    scope, config = scope or Scope(), config or Config()
    say = progress or (lambda _stage, _done, _total: None)
    every = detectors()
    say("joining runs", 0, len(every) + 1)
    trace_runs = resolve_runs(store, scope)
    runs = summarise_runs(store, scope, trace_runs)
    checked = Checked(
        runs=runs.height,
        spans=int(runs["spans"].sum()),
        memory_ops=int(runs["memory_ops"].sum()),
        effects=int(runs["effects"].sum()),
    )
    traces = None if checked.spans < read_all_below else _candidates(store, scope, every, trace_runs)
    record = Record.load(store, scope, trace_runs, traces) if traces is None or traces else None
    findings: list[Finding] = []
    not_checked: list[NotChecked] = []
    failed: list[str] = []
    judged = 0 if traces is None else _passed_unread(runs, trace_runs, traces)
    for number, detector in enumerate(every, start=1):
        say(detector.name, number, len(every) + 1)
        if record is None:
            continue
        verdict = _judge(detector, record, config, failed if pass_over_failing else None)
        findings.extend(verdict.findings)
        not_checked.extend(verdict.not_checked)
        judged += verdict.judged
    synthetic = runs.height > 0 and bool((runs["clock"] == "synthetic").all())
    settled = _settle(findings, runs, config)
    say("done", len(every) + 1, len(every) + 1)
    harmful = any(config.fails(finding.severity) for finding in settled)
    return Report(
        findings=settled,
        not_checked=(*_merged(not_checked), *planned(synthetic_clocks=synthetic)),
        checked=checked,
        runs=_with_findings(runs, settled, record),
        trace_runs=trace_runs,
        verdict="fail" if harmful else "pass" if judged and not failed else "unknown",
        failed=tuple(failed),
    )


def _judge(detector: Detector, record: Record, config: Config, failed: list[str] | None) -> Verdict:
    """What *detector* says; if it raises and *failed* is a list, its name is put there."""
    if failed is None:
        return detector.analyse(record, config)
    try:
        return detector.analyse(record, config)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other detectors shall have their say
        _log.exception("%s failed on %s", detector.name, ", ".join(record.runs[:3]))
        failed.append(detector.name)
        reason = f"failed with {type(error).__name__}: {error}; please report it"
        return Verdict(not_checked=tuple(NotChecked(detector.name, reason, run) for run in record.runs))


def _passed_unread(runs: pl.DataFrame, trace_runs: pl.DataFrame, traces: list[str]) -> int:
    """Runs that hold something to judge and that no detector wanted to read: nothing in them can be a finding."""
    read = trace_runs.filter(pl.col("trace_id").is_in(traces)).select("run_id").unique()
    return (
        runs.join(read, on="run_id", how="anti")
        .filter((pl.col("memory_ops") > 0) | ((pl.col("units") > 0) & (pl.col("status") != "open")))
        .height
    )


def _candidates(store: Store, scope: Scope, every: tuple[Detector, ...], trace_runs: pl.DataFrame) -> list[str]:
    """The traces of every run that some detector wants to read."""
    found = pl.concat(
        [
            store.frame(scoped(detector.package, "candidates.sql"), scope.params()).select("trace_id")
            for detector in every
        ]
    ).unique()
    runs = trace_runs.join(found, on="trace_id", how="semi").select("run_id").unique()
    return trace_runs.join(runs, on="run_id", how="semi")["trace_id"].unique().sort().to_list()


def _settle(findings: list[Finding], runs: pl.DataFrame, config: Config) -> tuple[Finding, ...]:
    """Names of workflows and releases, severities as configured, one finding a defect and run, worst first."""
    facts = {row["run_id"]: row for row in runs.select("run_id", "workflow", "service_version").iter_rows(named=True)}
    best: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        fact = facts.get(finding.run_id, {})
        named = replace(finding, workflow=fact.get("workflow", ""), service_version=fact.get("service_version", ""))
        severity = config.severity_for(named.detector, named.anomaly, named.severity)
        if severity == "off":
            continue
        named = replace(named, severity=_severity(severity))
        key = (named.run_id, named.id, named.subject)
        kept = best.get(key)
        best[key] = named if kept is None else _merge(kept, named)
    return tuple(sorted(best.values(), key=_rank))


def _merge(one: Finding, other: Finding) -> Finding:
    first, second = sorted((one, other), key=_rank)
    return replace(first, occurrences=(*first.occurrences, (second.run_id, second.spans), *second.occurrences))


def _rank(finding: Finding) -> tuple[int, int, str, str, str, str, str, tuple[str, ...]]:
    return (
        SEVERITIES.index(finding.severity),
        GRADES.index(finding.grade),
        finding.detector,
        finding.anomaly,
        finding.run_id,
        finding.subject,
        finding.id,
        tuple(span.span_id for span in finding.spans),
    )


def _severity(word: str) -> Severity:
    return SEVERITIES[SEVERITIES.index(word)]


def _merged(not_checked: list[NotChecked]) -> list[NotChecked]:
    return sorted(set(not_checked), key=lambda entry: (entry.detector, entry.reason, entry.run_id))


def _with_findings(runs: pl.DataFrame, findings: tuple[Finding, ...], record: Record | None) -> pl.DataFrame:
    counts = pl.DataFrame(
        {"run_id": [f.run_id for f in findings], "severity": [f.severity for f in findings]},
        schema={"run_id": pl.String, "severity": pl.String},
    )
    by_run = counts.group_by("run_id").agg(
        *((pl.col("severity") == severity).sum().alias(f"findings_{severity}") for severity in SEVERITIES)
    )
    reasons = record.completeness.reasons if record else {}
    incomplete = pl.DataFrame(
        {"run_id": list(reasons), "incomplete": [list(why) for why in reasons.values()]},
        schema={"run_id": pl.String, "incomplete": pl.List(pl.String)},
    )
    return (
        runs.drop("units")
        .join(by_run, on="run_id", how="left", maintain_order="left")
        .join(incomplete, on="run_id", how="left", maintain_order="left")
        .with_columns(
            *(pl.col(f"findings_{severity}").fill_null(0) for severity in SEVERITIES),
            pl.col("incomplete").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        )
    )
