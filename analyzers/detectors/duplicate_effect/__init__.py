"""The same intended effect applied more than once.

What: a payment charged twice, a booking made again by an agent that forgot, a message sent by each of two runs.
Why: retries, redeliveries, resumed runs and models repeat calls; a receiver that is not idempotent acts each time.
Evidence and grades: executions are calls put together again (`analyzers.calls`). Two are one intended effect if they
share a logical call, an idempotency key, or tool, arguments and target. `definite` needs both outcomes said to be
applied, a record from which nothing is known to be missing, and no compensation; presumed outcomes, effects known by
name only and resemblance give `possible`.
Limits: arguments that were not captured are not compared, and said to be so. Two runs may act on different worlds, so
only an idempotency key proves a repeat over runs. A compensation in a run of its own counts if it names the call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from driftline.analyzers.detector import Detector
from driftline.analyzers.detectors.duplicate_effect import across_runs, informative, intents, unjudged
from driftline.analyzers.detectors.duplicate_effect.evidence import evidence_of, role_of
from driftline.analyzers.detectors.duplicate_effect.executions import Execution, Payloads, calls_of, writes_of
from driftline.analyzers.detectors.duplicate_effect.repeated import judge_run, without_nested
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion
from driftline.analyzers.detectors.duplicate_effect.ties import candidates
from driftline.analyzers.detectors.duplicate_effect.undone import Compensations
from driftline.analyzers.detectors.duplicate_effect.version_text import finding_of
from driftline.analyzers.detectors.duplicate_effect.versions import duplicate_versions
from driftline.analyzers.detectors.duplicate_effect.words import explanation, title
from driftline.analyzers.finding import Finding, Source, SpanRef, Verdict, severity_of, stable_name

if TYPE_CHECKING:
    import polars as pl

    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

_NAME, _PREFIX = "duplicate_effect", "DE"


def analyse(record: Record, config: Config) -> Verdict:
    """Judge the effects of a record."""
    calls = calls_of(record, config)
    whole = cache(record.completeness.whole)
    payloads = Payloads(record)
    suspicions, undecided = _suspicions(record, config, calls, payloads, whole)
    versions, seen = duplicate_versions(record, calls, whole)
    payloads.load(e for suspicion in suspicions for e in (*suspicion.live[:20], *suspicion.aside[:20]))
    findings = (
        *(_finding(suspicion, record, payloads) for suspicion in suspicions),
        *(finding_of(found, _NAME, _PREFIX) for found in versions),
    )
    not_checked = unjudged.reasons(_NAME, calls, undecided)
    return Verdict(findings, not_checked, unjudged.judged(calls) + seen)


def _suspicions(
    record: Record, config: Config, calls: pl.DataFrame, payloads: Payloads, whole: Callable[[str], bool]
) -> tuple[list[Suspicion], list[list[Execution]]]:
    writes = writes_of(calls)
    same = payloads.corrected(candidates(writes))
    over_runs = {
        way: payloads.corrected(tied) for way, tied in across_runs.candidates(writes, config.catalogue).items()
    }
    by_intent = [e for e in payloads.corrected(intents.candidates(writes, config.catalogue)) if e.applied]
    suspected = [*same, *by_intent, *(e for tied in over_runs.values() for e in tied)]

    @cache
    def compensations() -> Compensations:
        return Compensations(record, calls, suspected, config.catalogue, payloads)

    by_run: dict[str, list[Execution]] = defaultdict(list)
    for execution in same:
        by_run[execution.run].append(execution)
    repeated: list[Suspicion] = []
    undecided: list[list[Execution]] = []
    for run, executions in by_run.items():
        found, unknown = judge_run(executions, compensations(), whole=whole(run))
        repeated.extend(found)
        undecided.extend(unknown)
    return [
        *without_nested(repeated, _enclosing(record, repeated)),
        *across_runs.judge(over_runs, compensations, whole),
        *intents.judge(by_intent, config.catalogue, compensations, payloads, whole),
        *informative.redundant(calls, record, config.loop_min),
    ], undecided


def _enclosing(record: Record, suspicions: list[Suspicion]) -> Callable[[Execution], set[int]]:
    """The rows of the suspected executions around an execution."""
    suspected = {e.row for suspicion in suspicions for e in suspicion.live}
    parents = record.tree.parent

    def around(execution: Execution) -> set[int]:
        found: set[int] = set()
        row, steps = int(parents[execution.row]), 0
        while row >= 0 and steps < record.tree.size:
            if row in suspected:
                found.add(row)
            row, steps = int(parents[row]), steps + 1
        return found

    return around


def _finding(suspicion: Suspicion, record: Record, payloads: Payloads) -> Finding:
    evidence = evidence_of(suspicion, record, payloads)
    second = suspicion.live[1]
    undoing = {e.row: e for e in suspicion.undone.values()}
    undone = [e for e in suspicion.aside if e.row in suspicion.undone]
    return Finding(
        detector=_NAME,
        anomaly=suspicion.anomaly,
        grade=suspicion.grade,
        severity=suspicion.severity or severity_of(suspicion.grade),
        run_id=suspicion.run,
        workflow="",
        subject=evidence["subject"],
        title=title(suspicion.anomaly, suspicion.grade, evidence),
        explanation=explanation(suspicion.anomaly, suspicion.grade, evidence),
        spans=(
            *(SpanRef(e.trace_id, e.span_id, role_of(n)) for n, e in enumerate(suspicion.live)),
            *(SpanRef(e.trace_id, e.span_id, "undone") for e in undone),
            *(SpanRef(e.trace_id, e.span_id, "compensation") for e in undoing.values()),
        ),
        signature=(second.tool, *sorted({stable_name(target.partition("/")[0]) for target in second.targets})),
        prefix=_PREFIX,
        evidence=evidence,
        source=Source(second.code_file, second.code_line)
        if second.code_file and second.code_line is not None
        else None,
        occurred_ns=second.start_ns,
    )


DETECTOR = Detector(
    name=_NAME,
    prefix=_PREFIX,
    anomalies={
        "repeated_effect": "two executions of one intended effect in a run, both applied",
        "repeated_across_runs": "an effect applied in a run although an earlier run had applied it",
        "double_intent": "one intent acted on twice with different arguments, the first neither failed nor undone",
        "duplicate_version": "one version of a memory record made by two writes that no retry links",
        "retry_after_success": "an attempt begun after an earlier one of the same call had been applied",
        "refused_repeat": "an identical call refused each time (information)",
        "redundant_read": "a read made again although nothing had changed (information)",
        "loop": "the same call again and again with no change in between (information)",
    },
    analyse=analyse,
)
