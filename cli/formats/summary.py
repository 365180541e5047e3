"""The sentences that several formats share: the verdict, what was looked at, what could not be judged."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from driftline.analyzers.finding import SEVERITIES
from driftline.analyzers.groups import FindingGroup

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.analyzers.finding import NotChecked

NOTHING_JUDGED = "nothing could be judged, which is not a pass"


def found(report: Report, groups: list[FindingGroup]) -> str:
    """How many defects of each severity, worst first; of a record that could not be judged, that."""
    if report.verdict == "unknown" and not groups:
        return NOTHING_JUDGED
    by_severity = Counter(group.severity for group in groups)
    said = [_plural(by_severity[word], word) for word in SEVERITIES if by_severity[word]]
    return ", ".join(said) or "nothing found"


def looked_at(report: Report) -> str:
    """How much was looked at."""
    checked = report.checked
    return ", ".join(
        _plural(number, word)
        for number, word in (
            (checked.runs, "run"),
            (checked.spans, "span"),
            (checked.effects, "effect"),
            (checked.memory_ops, "memory operation"),
        )
    )


def not_checked_lines(not_checked: tuple[NotChecked, ...]) -> list[str]:
    """What could not be judged, one line a reason, detectors with the number of runs it holds for."""
    by_reason: dict[tuple[str, str], int] = Counter((entry.detector, entry.reason) for entry in not_checked)
    shared: dict[str, list[str]] = {}
    for (detector, reason), count in sorted(by_reason.items()):
        shared.setdefault(reason, []).append(detector if count == 1 else f"{detector} ({count} runs)")
    return [f"{', '.join(detectors)}: {reason}" for reason, detectors in shared.items()]


def where_found(group: FindingGroup) -> str:
    """In how many runs of its workflow a defect was found."""
    return f"{group.runs:,} of {group.of_runs:,} runs of {group.first.workflow or 'the record'}"


def _plural(number: int, word: str) -> str:
    suffix = "" if number == 1 or word == "info" else "s"
    return f"{number:,} {word}{suffix}"
