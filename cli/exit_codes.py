"""What the `driftline` command ends with, and the one function that decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers import Report

CLEAN = 0
FINDINGS = 1
USAGE = 2
INTERNAL = 3
NOTHING_TO_CHECK = 5
INTERRUPTED = 130

# Of several files: one we failed on says most, then one that could not be read, then one with findings; one unjudged
# file is not a pass.
_WORST_FIRST = (INTERNAL, USAGE, FINDINGS, NOTHING_TO_CHECK, CLEAN)


def exit_code(report: Report) -> int:
    """The exit code that goes with a report's verdict. Nothing judged is not a pass: it ends like an empty record."""
    if report.failed:
        return INTERNAL
    if report.verdict == "fail":
        return FINDINGS
    return CLEAN if report.verdict == "pass" else NOTHING_TO_CHECK


def worst(codes: list[int]) -> int:
    """The exit code of several reports, each with a code of its own."""
    return min(codes, key=_WORST_FIRST.index)
