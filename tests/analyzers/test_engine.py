"""The engine: verdicts, severities, one finding a defect, and the same answer whichever way the spans were read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases import Case, read_cases
from histories import framed, fresh_store, judge, report, requests

from driftline.analyzers import Config, Report, Scope, analyse, engine
from driftline.analyzers.detector import Detector
from driftline.analyzers.finding import Explanation, Finding, NotChecked, SpanRef, Verdict
from driftline.analyzers.groups import group_findings

_REPEATED = """
P1 run(order)
  P1 tool(charge) args=o1 effect=write eo=applied target=order/1
  P1 tool(charge) args=o1 effect=write eo=applied target=order/1
"""
_CLEAN = "P1 run(order)\n  P1 tool(charge) args=o1 effect=write eo=applied target=order/1\n"


def test_nothing_to_judge_is_unknown_and_never_a_pass() -> None:
    assert report("P1 span(request) run=- noseq scope=http\n").verdict == "unknown"
    assert analyse(fresh_store()).verdict == "unknown"


def test_an_empty_store_says_so() -> None:
    found = analyse(fresh_store())
    assert (found.checked.runs, found.checked.spans, found.findings) == (0, 0, ())
    assert found.runs.height == 0


def test_a_clean_run_passes_and_a_harmful_one_fails() -> None:
    assert report(_CLEAN).verdict == "pass"
    assert report(_REPEATED).verdict == "fail"


def test_fail_on_and_severities_decide_what_fails() -> None:
    assert report(_REPEATED, Config(severity={"duplicate_effect": "info"})).verdict == "pass"
    assert report(_REPEATED, Config(severity={"duplicate_effect": "warning"}, fail_on="warning")).verdict == "fail"
    off = report(_REPEATED, Config(severity={"duplicate_effect.repeated_effect": "off"}))
    assert (off.verdict, off.findings) == ("pass", ())


def test_what_was_looked_at_is_counted() -> None:
    found = report(_REPEATED + "  P1 read(notes/plan@v1, notes/todo@v2)\n")
    assert (found.checked.runs, found.checked.spans, found.checked.memory_ops, found.checked.effects) == (1, 4, 2, 2)
    (run,) = found.runs.iter_rows(named=True)
    assert (run["workflow"], run["findings_error"], run["findings_warning"], run["incomplete"]) == ("order", 1, 0, [])


def test_detectors_that_are_not_built_are_named() -> None:
    named = {entry.detector: entry.reason for entry in report(_CLEAN).not_checked}
    assert "not part of this version" in named["timing_drift"]


def test_synthetic_clocks_are_the_reason_why_time_is_not_judged() -> None:
    text = "".join(f"{line} clock=synthetic\n" for line in _CLEAN.splitlines())
    named = {entry.detector: entry.reason for entry in report(text).not_checked}
    assert "synthetic" in named["timing_drift"]
    assert "not part of this version" in named["policy"]


def test_judging_twice_says_the_same() -> None:
    store = fresh_store()
    store.insert_requests(framed(requests(_REPEATED)), "twice")
    first, second = analyse(store), analyse(store)
    assert first.findings == second.findings
    assert first.not_checked == second.not_checked
    assert first.runs.equals(second.runs)


def test_a_window_holds_the_spans_that_began_in_it() -> None:
    found = report(_REPEATED)
    (began,) = found.runs["started_at"].to_list()
    store = fresh_store()
    store.insert_requests(framed(requests(_REPEATED)), "window")
    assert analyse(store, Scope(until=began)).checked.spans == 0
    assert analyse(store, Scope(since=began)).checked.spans == 3
    assert analyse(store, Scope(traces=("unknown",))).checked.spans == 0


_FAILING = Detector("duplicate_effect", "DE", {}, lambda record, config: 1 / 0)  # type: ignore[arg-type, return-value]


def test_a_failing_detector_is_an_error_unless_it_shall_be_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    every = tuple(_FAILING if d.name == "duplicate_effect" else d for d in engine.detectors())
    batches = requests(_REPEATED)
    monkeypatch.setattr(engine, "detectors", lambda: every)
    with pytest.raises(ZeroDivisionError):
        judge(batches)
    store = fresh_store()
    store.insert_requests(framed(batches), "failing")
    found = analyse(store, pass_over_failing=True)
    assert found.failed == ("duplicate_effect",)
    assert found.verdict == "unknown"
    assert NotChecked(
        "duplicate_effect", "failed with ZeroDivisionError: division by zero; please report it", "r1"
    ) in (found.not_checked)


def _finding(**how: Any) -> Finding:
    said = Finding(
        detector="duplicate_effect", anomaly="loop", grade="possible", severity="info", run_id="r1", workflow="",
        subject="order/1", title="x", explanation=Explanation((), (), ""), spans=(SpanRef("t", "s1", "first"),),
        signature=("charge",), prefix="DE",
    )  # fmt: skip
    return replace(said, **how)


def _with(monkeypatch: pytest.MonkeyPatch, text: str, *findings: Finding) -> Report:
    """The report of a record in which one detector says *findings*."""
    detector = Detector("duplicate_effect", "DE", {}, lambda record, config: Verdict(findings, judged=1))
    real = engine.detectors()[0]
    assert real.name == "duplicate_effect"
    monkeypatch.setattr(engine, "detectors", lambda: (detector,))
    return report(text)


def test_one_defect_of_one_run_is_one_finding_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    worse = _finding(grade="definite", severity="error", spans=(SpanRef("t", "s2", "first"),))
    for order in ((_finding(), worse), (worse, _finding())):
        (kept,) = _with(monkeypatch, _CLEAN, *order).findings
        assert kept.grade == "definite"
        assert kept.occurrences == (("r1", (SpanRef("t", "s1", "first"),)),)
        monkeypatch.undo()


def test_findings_are_sorted_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _with(
        monkeypatch, _CLEAN,
        _finding(subject="c"),
        _finding(subject="b", severity="warning"),
        _finding(subject="a", severity="warning", grade="definite"),
        _finding(subject="d", severity="error"),
    )  # fmt: skip
    assert [finding.subject for finding in found.findings] == ["d", "a", "b", "c"]


def test_the_same_defect_in_many_runs_is_one_group_with_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"P{n} run(order) run=r{n}\n" for n in range(4)) + "P9 run(other) run=r9\n"
    found = _with(
        monkeypatch, text,
        _finding(run_id="r0"),
        _finding(run_id="r2", severity="warning"),
        _finding(run_id="r2", subject="order/2"),
        _finding(run_id="r9"),
        _finding(run_id="r1", signature=("ship",)),
    )  # fmt: skip
    groups = {group.id: group for group in group_findings(found)}
    shared = groups[found.findings[0].id]
    assert (shared.runs, shared.of_runs, len(shared.findings), shared.severity) == (2, 4, 3, "warning")
    assert shared.first.run_id == "r2"
    assert sorted(group.of_runs for group in groups.values()) == [1, 4, 4]


_READ_APART = [case for case in read_cases() if not case.configured]


def _everything(found: Report) -> dict[str, Any]:
    return {
        "findings": [finding.to_json() for finding in found.findings],
        "not_checked": found.not_checked,
        "verdict": found.verdict,
        "checked": found.checked,
        "runs": found.runs.drop("incomplete", "last_span_at").to_dicts(),
    }


@pytest.mark.parametrize("case", [None, *(case for case in read_cases() if case.configured)], ids=str)
def test_reading_candidates_only_says_exactly_what_reading_all_says(case: Case | None) -> None:
    """Over all cases of all detectors: those without settings as one record, the others each by itself."""
    from history_batch import apart

    owner: dict[str, tuple[int, str]] = {}
    config = case.config() if case else Config()
    chosen = [case] if case else _READ_APART
    batches = [
        batch
        for number, one in enumerate(chosen)
        for batch in apart(requests(one.history), f"h{number}~", owner, number)
    ]
    store = fresh_store()
    store.insert_requests(framed(batches), "candidates")
    assert _everything(analyse(store, config=config, read_all_below=0)) == _everything(analyse(store, config=config))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("P1 run(order)\n  P1 read(notes/plan@v1)\n", "pass"),
        ("P1 run(order)\n  P1 llm(m)\n", "pass"),
        ("P1 span(request) run=- noseq scope=http\n", "unknown"),
        ("P1 llm(m) run=- noseq scope=http\n", "unknown"),
    ],
)
def test_a_record_without_candidates_passes_if_there_was_something_to_judge(text: str, verdict: str) -> None:
    assert report(text, read_all_below=0).verdict == report(text).verdict == verdict
