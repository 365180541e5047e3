"""Every `cases.md` under `analyzers/detectors`: a tiny history, and exactly what is said of it.

`DRIFTLINE_ACCEPT_CASES=1` rewrites the `expect` blocks; read the difference before you commit it.
Cases that ask for findings only are judged together, as one record: an engine call costs more than a history.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

import histories
import pytest
from cases import Case, read_cases
from history_batch import judge_each

from driftline.analyzers import known_anomalies

_CASES = read_cases()


@pytest.mark.parametrize("case", _CASES, ids=str)
def test_case_says_exactly_this(case: Case, together: dict[str, list[str]]) -> None:
    """The detector of the folder says what the expect block says, no more and no less."""
    if os.environ.get("DRIFTLINE_ACCEPT_CASES"):
        said, reasons = _alone(case)
        _accept(case, [*said, *(f"unknown: {reason}" for reason in reasons if case.unknown)])
        return
    said, reasons = (together[str(case)], []) if _plain(case) else _alone(case)
    assert case.expected == said
    for reason in case.unknown:
        assert any(reason in given for given in reasons), f"not among {reasons}"


def test_every_detector_has_cases() -> None:
    """A detector without a single case is not finished."""
    assert {case.detector for case in _CASES} == set(known_anomalies())


def _plain(case: Case) -> bool:
    return not case.configured and not case.unknown


@pytest.fixture(scope="module")
def together() -> dict[str, list[str]]:
    """What the detectors say of the plain cases, by case."""
    plain = [case for case in _CASES if _plain(case)]
    judged = judge_each([histories.requests(case.history) for case in plain])
    return {str(case): _lines(case, one.said) for case, one in zip(plain, judged, strict=True)}


def _alone(case: Case) -> tuple[list[str], list[str]]:
    report = histories.report(case.history, case.config())
    reasons = [entry.reason for entry in report.not_checked if entry.detector == case.detector]
    return _lines(case, report.findings), reasons


def _lines(case: Case, findings: Iterable[Any]) -> list[str]:
    lines = [f"{f.grade} {f.anomaly} {f.subject}: {f.title}" for f in findings if f.detector == case.detector]
    return sorted(lines) or ["nothing"]


def _accept(case: Case, lines: list[str]) -> None:
    text = case.file.read_text(encoding="utf-8")
    start = text.index(f"## {case.title}\n")
    end = text.find("\n## ", start)
    section = text[start:] if end < 0 else text[start:end]
    block = "```expect\n" + "\n".join(lines) + "\n```"
    changed = re.sub(r"```expect\n.*?```", lambda _: block, section, flags=re.DOTALL)
    case.file.write_text(text[:start] + changed + ("" if end < 0 else text[end:]), encoding="utf-8")
