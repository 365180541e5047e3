"""Reports made by hand, to see how formats treat what real records seldom hold."""

from __future__ import annotations

from typing import Any

import polars as pl

from driftline.analyzers.engine import Checked, Report
from driftline.analyzers.finding import Explanation, Finding, NotChecked, Source, SpanRef

# What each reader would obey: Markdown, HTML, XML, a workflow command, a terminal, a people's name, an issue number.
HOSTILE = (
    "|a| <b>&`x`* _y_ @team #12 ::error::%0A\n::set-env name=A::b\r\x1b[31m\x00\u2028 [l](http://x) ]]> \U0001f600"
)


def finding(number: int = 0, text: str = "", **more: Any) -> Finding:
    """A finding; *text* stands wherever text from a trace may stand."""
    fields: dict[str, Any] = {
        "detector": "duplicate_effect", "anomaly": "repeated_effect", "grade": "definite", "severity": "error",
        "run_id": text or f"r{number}", "workflow": text or "trip", "subject": text or f"order/{number}",
        "title": text or f"charge ran twice for order/{number}",
        "explanation": Explanation((text or "let",), (text or "then",), text or "however"),
        "spans": (SpanRef(f"{number:032x}", f"{number:016x}", text or "first"),),
        "signature": (str(number),), "prefix": "DE", "source": Source(text or "agents/a b,c:d.py", 7),
    }  # fmt: skip
    return Finding(**{**fields, **more})


def report(*findings: Finding, verdict: Any = "fail", not_checked: tuple[NotChecked, ...] = ()) -> Report:
    """A report of these findings, each in a run of its own workflow."""
    runs = {(one.run_id, one.workflow) for one in findings}
    frame = pl.DataFrame(
        {"run_id": [run for run, _ in sorted(runs)], "workflow": [workflow for _, workflow in sorted(runs)]},
        schema={"run_id": pl.String, "workflow": pl.String},
    )
    return Report(findings, not_checked, Checked(runs=len(runs), spans=9), frame, pl.DataFrame(), verdict)
