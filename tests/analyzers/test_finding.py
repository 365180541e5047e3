"""Findings: one fingerprint for one defect, whatever changes from run to run; and the form that leaves the program."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftline.analyzers.finding import Explanation, Finding, Source, SpanRef, severity_of, stable_name

_FINDING = Finding(
    detector="duplicate_effect",
    anomaly="repeated_effect",
    grade="definite",
    severity="error",
    run_id="r1",
    workflow="order",
    subject="order/991",
    title="charge ran twice",
    explanation=Explanation(("a", "b"), ("c",), "d"),
    spans=(SpanRef("t1", "s1", "first"), SpanRef("t1", "s2", "second")),
    signature=("charge", "order"),
    prefix="DE",
)


def test_the_same_defect_in_another_run_has_the_same_fingerprint() -> None:
    other = replace(
        _FINDING, run_id="r2", subject="order/17", title="other", spans=(SpanRef("t9", "s9", "first"),), occurred_ns=5,
        grade="possible", severity="warning", service_version="2.0", evidence={"x": 1}, margin_ms=3.0,
    )  # fmt: skip
    assert other.id == _FINDING.id
    assert other.id.startswith("DE-")
    assert len(other.id) == len("DE-") + 8


@pytest.mark.parametrize(
    "other",
    [
        {"detector": "stale_context"},
        {"anomaly": "loop"},
        {"workflow": "refund"},
        {"signature": ("charge",)},
        {"signature": ("charge", "user")},
        {"signature": ("chargeorder",)},
    ],
)
def test_another_defect_has_another_fingerprint(other: dict[str, object]) -> None:
    assert replace(_FINDING, **other).id != _FINDING.id  # type: ignore[arg-type]


def test_findings_of_one_fingerprint_in_one_run_are_told_apart_by_subject() -> None:
    assert replace(_FINDING, subject="order/17").occurrence != _FINDING.occurrence
    assert replace(_FINDING, title="other").occurrence == _FINDING.occurrence


@pytest.mark.parametrize(
    ("name", "stable"),
    [
        ("charge", "charge"),
        ("order/991", "order/#"),
        ("worker-12", "worker-#"),
        ("run 7f3a9c2b-11aa-4b5c-8d9e-0123456789ab", "run #"),
        ("blob deadbeefcafe", "blob #"),
        ("reservation/NM1VX1", "reservation/#"),
        ("PLANNER", "PLANNER"),
        ("Planner agent", "Planner agent"),
        ("", ""),
    ],
)
def test_a_stable_name_has_no_part_that_changes_from_run_to_run(name: str, stable: str) -> None:
    assert stable_name(name) == stable


def test_severity_follows_grade_and_harm() -> None:
    assert [severity_of(grade) for grade in ("definite", "definite_within_skew", "possible")] == [
        "error",
        "error",
        "warning",
    ]
    assert severity_of("definite", harmful=False) == "info"


def test_the_json_form_is_the_contract() -> None:
    said = replace(_FINDING, source=Source("a.py", 3), occurrences=(("r2", (SpanRef("t2", "s3", "first"),)),)).to_json()
    assert said["id"] == _FINDING.id
    assert said["explanation"] == {"let": ["a", "b"], "then": ["c"], "however": "d"}
    assert said["spans"][0] == {"trace_id": "t1", "span_id": "s1", "role": "first"}
    assert said["source"] == {"file": "a.py", "line": 3}
    assert said["margin_ms"] is None
    assert said["occurrences"] == [{"run_id": "r2", "spans": [{"trace_id": "t2", "span_id": "s3", "role": "first"}]}]
    assert "occurrences" not in _FINDING.to_json()
    assert _FINDING.to_json()["source"] is None
