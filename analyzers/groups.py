"""The same defect in many runs is one group, with a rate that keeps its denominator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftline.analyzers.finding import GRADES, SEVERITIES, Finding, Severity

if TYPE_CHECKING:
    from driftline.analyzers.engine import Report


@dataclass(frozen=True)
class FindingGroup:
    """All findings of one fingerprint. *runs* have it, of *of_runs* runs of the same workflow that were looked at."""

    id: str
    severity: Severity
    findings: tuple[Finding, ...]
    runs: int
    of_runs: int

    @property
    def first(self) -> Finding:
        """The worst of them, the one to show."""
        return self.findings[0]


def group_findings(report: Report) -> list[FindingGroup]:
    """The findings of *report* by fingerprint, worst and most frequent first."""
    by_id: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_id.setdefault(finding.id, []).append(finding)
    sizes = dict(report.runs.group_by("workflow").len().iter_rows()) if report.runs.height else {}
    groups = [
        FindingGroup(
            id=fingerprint,
            severity=min((f.severity for f in members), key=SEVERITIES.index),
            findings=tuple(
                sorted(members, key=lambda f: (SEVERITIES.index(f.severity), GRADES.index(f.grade), f.run_id))
            ),
            runs=len({f.run_id for f in members}),
            of_runs=sizes.get(members[0].workflow, len({f.run_id for f in members})),
        )
        for fingerprint, members in by_id.items()
    ]
    return sorted(groups, key=lambda g: (SEVERITIES.index(g.severity), GRADES.index(g.first.grade), -g.runs, g.id))
