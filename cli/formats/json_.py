"""The JSON report: the contract of `driftline check --format json` (docs/wire.md), schema 1."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline.analyzers import Report


def render(report: Report) -> str:
    """One object."""
    return json.dumps(document(report), indent=2, ensure_ascii=False)


def document(report: Report) -> dict[str, Any]:
    """The report as data."""
    return {
        "schema": 1,
        "verdict": report.verdict,
        "checked": asdict(report.checked),
        "findings": [finding.to_json() for finding in report.findings],
        "not_checked": [
            {"detector": entry.detector, "reason": entry.reason, **({"run_id": entry.run_id} if entry.run_id else {})}
            for entry in report.not_checked
        ],
    }
