"""What a detector says: findings with their evidence, and what it could not judge.

A finding is data first (spans with roles, evidence); its text is rendered from that data by the detector's `explain`.
The form that leaves the program is `Finding.to_json`, the contract of `driftline check` (docs/wire.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Grade = Literal["definite", "definite_within_skew", "possible"]
Severity = Literal["error", "warning", "info"]

GRADES: tuple[Grade, ...] = ("definite", "definite_within_skew", "possible")
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

_VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{12,}\b|\b(?=\w*\d)[0-9A-Z]{6,}\b|\d+",
)


@dataclass(frozen=True)
class SpanRef:
    """A span the finding rests on, and the part it plays in it (`reader`, `newer_write`, `first`, `second`, …)."""

    trace_id: str
    span_id: str
    role: str


@dataclass(frozen=True)
class Explanation:
    """The argument in three steps: what is given, what follows, and why that contradicts what should hold."""

    let: tuple[str, ...]
    then: tuple[str, ...]
    however: str


@dataclass(frozen=True)
class Source:
    """The call site in the user's program, as the SDK recorded it."""

    file: str
    line: int


@dataclass(frozen=True)
class Finding:
    """One defect in one run.

    `signature` holds what makes it the same defect in another run: names of agents, tools, stores, never ids of one
    run. `evidence` is JSON-able and detector-specific; the finding page and the text are drawn from it.
    """

    detector: str
    anomaly: str
    grade: Grade
    severity: Severity
    run_id: str
    workflow: str
    subject: str
    title: str
    explanation: Explanation
    spans: tuple[SpanRef, ...]
    signature: tuple[str, ...]
    prefix: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    margin_ms: float | None = None
    source: Source | None = None
    occurred_ns: int = 0
    service_version: str = ""
    occurrences: tuple[tuple[str, tuple[SpanRef, ...]], ...] = ()

    @property
    def id(self) -> str:
        """The fingerprint: detector prefix and 8 hex digits over anomaly, workflow and signature."""
        parts = (self.detector, self.anomaly, self.workflow, *self.signature)
        digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:8]
        return f"{self.prefix}-{digest}"

    @property
    def occurrence(self) -> str:
        """Tells findings of one fingerprint in one run apart."""
        return hashlib.sha256(self.subject.encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        """The finding as `driftline check --format json` prints it, plus `workflow` and `evidence`."""
        out: dict[str, Any] = {
            "id": self.id,
            "detector": self.detector,
            "anomaly": self.anomaly,
            "grade": self.grade,
            "severity": self.severity,
            "run_id": self.run_id,
            "workflow": self.workflow,
            "subject": self.subject,
            "title": self.title,
            "explanation": {
                "let": list(self.explanation.let),
                "then": list(self.explanation.then),
                "however": self.explanation.however,
            },
            "spans": [_span_json(span) for span in self.spans],
            "margin_ms": self.margin_ms,
            "source": {"file": self.source.file, "line": self.source.line} if self.source else None,
            "evidence": dict(self.evidence),
        }
        if self.occurrences:
            out["occurrences"] = [
                {"run_id": run_id, "spans": [_span_json(span) for span in spans]} for run_id, spans in self.occurrences
            ]
        return out


@dataclass(frozen=True)
class NotChecked:
    """Something a detector could not judge, and why. An empty *run_id* speaks of the whole record."""

    detector: str
    reason: str
    run_id: str = ""


@dataclass(frozen=True)
class Verdict:
    """What one detector says of one record. *judged* counts the things it could decide; 0 means it knows nothing."""

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    judged: int = 0


def severity_of(grade: Grade, *, harmful: bool = True) -> Severity:
    """The default severity: `error` is definite and harmful, `warning` harmful but not definite, `info` the rest."""
    if not harmful:
        return "info"
    return "warning" if grade == "possible" else "error"


def stable_name(text: str) -> str:
    """*text* with the parts that change from run to run (numbers, uuids, hashes, record codes) replaced by `#`."""
    return _VOLATILE.sub("#", text)


def _span_json(span: SpanRef) -> dict[str, str]:
    return {"trace_id": span.trace_id, "span_id": span.span_id, "role": span.role}
