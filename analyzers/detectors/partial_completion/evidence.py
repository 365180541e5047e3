"""From a shortfall to a finding: the evidence as data, which the text is then drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.analyzers.detectors.partial_completion.shortfall import Shortfall
from driftline.analyzers.detectors.partial_completion.words import explanation, title
from driftline.analyzers.finding import Finding, Source, SpanRef, severity_of

if TYPE_CHECKING:
    from driftline.analyzers.record import Record


def finding_of(shortfall: Shortfall, record: Record, detector: str) -> Finding:
    """The finding for *shortfall*; its source is the call site of its first span."""
    spans = record.spans
    evidence = {**shortfall.facts, "doubts": list(shortfall.doubts)}
    row = shortfall.spans[0][0]
    file, line = spans["code_file"][row], spans["code_line"][row]
    return Finding(
        detector=detector,
        anomaly=shortfall.anomaly,
        grade=shortfall.grade,
        severity=severity_of(shortfall.grade, harmful=shortfall.harmful),
        run_id=shortfall.run,
        workflow="",
        subject=shortfall.subject,
        title=title(shortfall.anomaly, evidence),
        explanation=explanation(shortfall.anomaly, evidence),
        spans=tuple(
            SpanRef(spans["trace_id"][place], spans["span_id"][place], role) for place, role in shortfall.spans
        ),
        signature=shortfall.signature,
        prefix="PC",
        evidence=evidence,
        source=Source(file, line) if file and line is not None else None,
        occurred_ns=spans["start_ns"][row],
    )
