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


def exit_code(report: Report) -> int:
    """The exit code that goes with a report's verdict. Nothing judged is not a pass: it ends like an empty record."""
    if report.verdict == "fail":
        return FINDINGS
    return CLEAN if report.verdict == "pass" else NOTHING_TO_CHECK
