"""Promises of partial_completion that a single history cannot show: losses, narrowing, severities, real recordings."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import histories
import pytest
from history_batch import judge_each

from driftline.analyzers import Report, load_catalogue
from driftline.analyzers.finding import Finding
from driftline.cli.importers.tau import Trajectory, read_trajectories
from driftline.cli.importers.tau_spans import request_of

_CASES = Path(__file__).parents[2] / "analyzers" / "detectors" / "partial_completion" / "cases.md"
_SHARED = Path(os.environ.get("DRIFTLINE_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))

_UNFINISHED = """
P1 run(order) outcome=complete
  P1 step(publish) open
    P1 tool(render)
  P1 tool(mail)
"""


def found(report: Report, anomaly: str = "") -> list[Finding]:
    """What this detector found, of *anomaly* if given."""
    mine = [finding for finding in report.findings if finding.detector == "partial_completion"]
    return [finding for finding in mine if anomaly in ("", finding.anomaly)]


def unknown(report: Report) -> list[str]:
    """What this detector says it could not judge."""
    return [entry.reason for entry in report.not_checked if entry.detector == "partial_completion"]


def test_a_parent_that_never_came_is_unfinished_if_only_its_start_is_missing_in_the_count() -> None:
    """The process went on to count, and the end of the span is not among the ticks that are missing."""
    (finding,) = found(histories.report(_UNFINISHED, drop=[1]))
    assert (finding.anomaly, finding.grade) == ("unfinished_step", "possible")
    assert finding.title == "the span around tool render began and never ended, and the run claims complete"
    assert finding.evidence["open"]["how"] == "never_came"


def test_a_parent_that_was_lost_is_not_called_unfinished() -> None:
    """Start and end are missing: the span ended and got lost."""
    assert found(histories.report(_UNFINISHED.replace(" open", ""), drop=[1])) == []


def test_a_promise_is_unknown_where_the_span_that_kept_it_may_be_the_lost_one() -> None:
    """Nothing was tried as far as the record goes, and the record has a gap."""
    text = """
P1 run(order) outcome=complete expects=tool:charge
  P1 agent(billing)
    P1 tool(charge) effect=write eo=applied
    P1 llm(m)
"""
    report = histories.report(text, drop=[2])
    assert found(report) == []
    assert "tool:charge is not in the record, and spans were lost (gaps in driftline.seq)" in unknown(report)


def test_a_promise_that_was_tried_and_failed_stays_possible_in_a_record_with_losses() -> None:
    """The failure is there; a second try may be among what was lost."""
    text = """
P1 run(order) outcome=complete expects=tool:charge
  P1 agent(billing)
    P1 tool(charge) effect=write error=Declined
    P1 tool(charge) effect=write eo=applied
    P1 llm(m)
"""
    (finding,) = found(histories.report(text, drop=[3]))
    assert (finding.anomaly, finding.grade, finding.severity) == ("false_success", "possible", "warning")


def test_what_comparable_runs_do_is_named_as_not_learned() -> None:
    """The learned form of missing_step is never passed over in silence."""
    report = histories.report("P1 run(order) outcome=complete")
    assert any("not learned yet" in reason for reason in unknown(report))


@pytest.mark.parametrize(
    ("call", "severity"),
    [
        ("tool(charge) effect=write target=order/1", "error"),
        ("tool(charge) effect=write error=TimeoutError target=order/1", "warning"),
        ("tool(get_prices) effect=read", "info"),
        ("tool(analyse)", "info"),
        ("step(enrich)", "warning"),
    ],
)
def test_only_a_write_that_is_known_to_have_failed_fails_a_build(call: str, severity: str) -> None:
    """Failed reads are information, whatever the run claims."""
    error = "" if "error=" in call else " error=ValueError"
    (finding,) = found(histories.report(f"P1 run(order) outcome=complete\n  P1 {call}{error}"))
    assert (finding.anomaly, finding.severity) == ("swallowed_failure", severity)


def test_one_defect_in_two_runs_has_one_fingerprint() -> None:
    """Fingerprints name what promised and what was promised, never a run."""
    text = "\n".join(
        f"P{n} run(order) run=r{n} outcome=complete expects=tool:charge\n  P{n} agent(billing)" for n in (1, 2)
    )
    one, other = found(histories.report(text))
    assert one.id == other.id
    assert one.run_id != other.run_id


def test_renamed_agents_and_runs_are_judged_alike() -> None:
    """Names of agents decide nothing: a failed `primary` is not made up for by a `backup`."""
    text = """
P1 run(order) outcome=complete
  P1 agent(primary) error=Boom
  P1 agent(backup)
"""
    plain = found(histories.report(text))
    renamed = found(histories.report(text, rename=lambda said: said.replace("backup", "zeta").replace("order", "x")))
    assert [(f.anomaly, f.grade) for f in plain] == [(f.anomaly, f.grade) for f in renamed] != []


def test_the_candidates_hold_every_trace_that_matters() -> None:
    """Reading only what `candidates.sql` names changes no finding, over all cases at once."""
    blocks = [dict(re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL)) for part in _CASES.read_text().split("\n## ")]
    texts = [
        block["history"] for block in blocks if block and "catalog" not in block and "run=-" not in block["history"]
    ]
    every = judge_each([histories.requests(text) for text in texts])
    narrowed = judge_each([histories.requests(text) for text in texts], read_all_below=0)
    assert len(texts) > 100
    for text, one, other in zip(texts, every, narrowed, strict=True):
        mine = [sorted(str(s) for s in judged.said if s.detector == "partial_completion") for judged in (one, other)]
        assert mine[0] == mine[1], text


@pytest.mark.parametrize("recording", ["tau_airline_even", "tau_retail"])
def test_real_agents_that_promised_nothing_get_no_finding(recording: str) -> None:
    """Refused calls, failed look-ups and empty thoughts of real agents are their normal life."""
    runs = _trajectories(recording)
    catalogue = load_catalogue(_SHARED / "tau_tools.toml")
    report = histories.judge([request_of(run, catalogue, "m") for run in runs])
    assert report.checked.runs == len(runs) >= 50
    assert found(report) == []


@pytest.mark.parametrize("recording", ["tau_airline_even", "tau_retail"])
def test_real_agents_that_promised_the_expected_writes_are_held_to_them(recording: str) -> None:
    """Exactly those that say complete and did fewer of the expected writes, counted from the recording."""
    runs = _trajectories(recording)
    catalogue = load_catalogue(_SHARED / "tau_tools.toml")
    report = histories.judge([request_of(run, catalogue, "m", expects=True) for run in runs])
    short = {(run.run, tool) for run in runs if run.outcome == "complete" for tool in _fell_short(run)}
    said = {(f.run_id, f.subject.removeprefix("tool:")) for f in found(report)}
    assert said == short != set()
    assert {(f.anomaly, f.grade) for f in found(report)} == {("false_success", "definite")}


def _trajectories(recording: str) -> list[Trajectory]:
    file = _SHARED / f"{recording}.json.gz"
    if not file.exists():
        pytest.skip("the recordings are not here")
    return read_trajectories(str(file), load_catalogue(_SHARED / "tau_tools.toml").groups)


def _fell_short(run: Trajectory) -> list[str]:
    """The tools that *run* was expected to write with and used less often than expected."""
    tools = load_catalogue(_SHARED / "tau_tools.toml").tools
    writes = {name for name, tool in tools.items() if tool.effect in ("write", "destructive")}
    done = Counter(call.tool for _, calls in run.turns for call in calls if not call.refused)
    return [tool for tool, times in Counter(run.expected).items() if tool in writes and done[tool] < times]
