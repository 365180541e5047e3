"""The JSON report: the contract of `driftline check --format json` (docs/wire.md), schema 1."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.cli.formats import Shown

SCHEMA = 1


def render(shown: Shown) -> str:
    """One object; on one line, with its file, where each file is judged alone."""
    if shown.file:
        return json.dumps({"file": shown.file, **document(shown.report)}, ensure_ascii=False)
    return json.dumps(document(shown.report), indent=2, ensure_ascii=False)


def document(report: Report) -> dict[str, Any]:
    """The report as data."""
    return {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "checked": asdict(report.checked),
        "findings": [finding.to_json() for finding in report.findings],
        "not_checked": [
            {"detector": entry.detector, "reason": entry.reason, **({"run_id": entry.run_id} if entry.run_id else {})}
            for entry in report.not_checked
        ],
    }


def failure(file: str, what: str, todo: str) -> str:
    """The line of a file that could not be read: nothing was judged, and it says why."""
    return json.dumps(
        {
            "file": file,
            "schema": SCHEMA,
            "verdict": "unknown",
            "checked": {"runs": 0, "spans": 0, "memory_ops": 0, "effects": 0},
            "findings": [],
            "not_checked": [],
            "error": {"what": what, "todo": todo},
        },
        ensure_ascii=False,
    )
