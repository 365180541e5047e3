"""Laws of stale_context, tried on its own cases: what may not change a verdict does not."""

from __future__ import annotations

import re
from pathlib import Path

import histories
import pytest
from many_records import Frames, frames_of

from driftline.analyzers import Config
from driftline.analyzers.detectors.stale_context import DETECTOR
from driftline.analyzers.finding import Finding

_CASES = Path(__file__).parents[2] / "analyzers" / "detectors" / "stale_context" / "cases.md"
_TOLD = """
P1 run(report)
  P1 agent(planner)
    P1 write(notes/plan@v1 <- init)
    P1 write(notes/plan@v2 <- v1)
    P1 send(q) #m1
P2 process(q) #m1
  P2 agent(writer)
    P2 read(notes/plan@v1)
"""


@pytest.fixture(scope="module")
def frames() -> list[Frames]:
    """The histories of all cases that need neither catalogue nor config."""
    sections = re.split(r"^## ", _CASES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    plain = [section for section in sections if "```catalog" not in section and "```config" not in section]
    return frames_of([re.findall(r"```history\n(.*?)```", section, re.DOTALL)[0] for section in plain])


def _proved(findings: tuple[Finding, ...]) -> set[str]:
    """The spans that a definite finding, or an occurrence of it, calls stale."""
    definite = [finding for finding in findings if finding.grade == "definite"]
    spans = [span for finding in definite for span in finding.spans]
    spans += [span for finding in definite for _, more in finding.occurrences for span in more]
    return {span.span_id for span in spans if span.role in ("reader", "effect")}


def _findings(frames: Frames, without: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    return DETECTOR.analyse(frames.record(without), Config()).findings


def test_no_lost_span_makes_a_definite_finding(frames: list[Frames]) -> None:
    """Every third span of every case, lost alone; and every process but the last, lost as a whole."""
    for number, history in enumerate(frames):
        proved = _proved(_findings(history))
        ids = history.spans["span_id"].to_list()
        processes = history.spans["instance"].unique(maintain_order=True).to_list()[:-1]
        by_process = history.spans.group_by("instance", maintain_order=True).agg("span_id")
        whole = [tuple(members) for name, members in by_process.iter_rows() if name in processes]
        for lost in [(span,) for span in ids[number % 3 :: 3]] + whole:
            assert _proved(_findings(history, lost)) <= proved, f"without {lost} of history {number}"


def test_a_lost_span_of_the_witness_leaves_no_proof() -> None:
    """Without the message nothing orders the two processes."""
    history = frames_of([_TOLD])[0]
    sent = history.spans.filter(history.spans["kind"] == "send")["span_id"].to_list()
    assert _proved(_findings(history))
    assert not _findings(history, tuple(sent))


def test_nothing_found_in_a_run_with_gaps_is_only_possible() -> None:
    """A deletion may be among the lost spans."""
    history = frames_of([_TOLD.replace("read(notes/plan@v1)", "read(notes/plan@init)")])[0]
    gap = history.memory.filter(history.memory["version"] == "v2")["span_id"].to_list()
    assert [finding.grade for finding in _findings(history)] == ["definite"]
    assert [finding.grade for finding in _findings(history, tuple(gap))] == ["possible"]


def test_a_reference_that_fits_two_stores_is_only_possible() -> None:
    """`files/docs/plan` may be a key of `files` and one of `files/docs`."""
    text = """
P1 run(report)
  P1 agent(planner)
    P1 write(files/docs/plan@v1 <- init)
    P1 write(files/docs/plan@v2 <- v1)
    P1 tool(publish) effect=write eo=applied used=files/docs/plan@v1
"""
    batches = histories.requests(text)
    (resource,) = batches[0].resource_spans
    spans = resource.scope_spans[0].spans
    other = spans.add()
    other.CopyFrom(next(span for span in spans if span.name.startswith("update_memory")))
    other.span_id = b"another1"
    for attribute in other.attributes:
        if attribute.key == "gen_ai.memory.store.id":
            attribute.value.string_value = "files/docs"
        if attribute.key == "driftline.memory.keys":
            attribute.value.array_value.values[0].string_value = "plan"
        if attribute.key.startswith("driftline.seq"):
            attribute.value.int_value += 100
    found = [finding for finding in histories.judge(batches).findings if finding.detector == "stale_context"]
    assert [finding.grade for finding in found] == ["possible"]
    assert "the reference may name a key of two stores" in found[0].evidence["doubts"]


@pytest.mark.parametrize("skew", [3_600_000.0, -3_600_000.0])
def test_no_clock_moves_a_proof(skew: float) -> None:
    """An hour more or less on one process' clock changes nothing of what happens-before proves."""
    moved = histories.report(_TOLD, shift_ms={"P2": skew}).findings
    assert [(f.anomaly, f.grade) for f in moved] == [("handoff_stale", "definite")]


def test_arrival_order_doubles_and_names_change_nothing() -> None:
    """Shuffled, delivered twice, and with other names: the same finding."""
    plain = histories.report(_TOLD).findings
    shuffled = histories.report(_TOLD, shuffle=7, double=range(7)).findings
    renamed = histories.report(_TOLD, rename=lambda text: text.replace("writer", "zoe").replace("P2", "A0")).findings
    assert [f.to_json() for f in plain] == [f.to_json() for f in shuffled]
    assert [(f.anomaly, f.grade, f.subject) for f in plain] == [(f.anomaly, f.grade, f.subject) for f in renamed]


def test_candidates_first_says_the_same() -> None:
    """The traces that SQL picks out hold all that the verdict needs."""
    small, large = histories.report(_TOLD), histories.report(_TOLD, read_all_below=0)
    assert [f.to_json() for f in small.findings] == [f.to_json() for f in large.findings]


def test_candidates_first_finds_a_path_through_a_run_that_touched_nothing() -> None:
    """The newer plan was knowable by a document of another run, which itself has nothing to do with the plan."""
    text = """
P1 run(plan) run=r1
  P1 agent(planner)
    P1 write(notes/plan@v1 <- init)
    P1 write(notes/plan@v2 <- v1)
    P1 write(notes/figure@f1 <- init)
P3 run(draw) run=r3
  P3 agent(illustrator)
    P3 read(notes/figure@f1)
    P3 write(notes/page@g1 <- init)
P2 run(answer) run=r2
  P2 agent(writer)
    P2 read(notes/page@g1)
  P2 agent(writer)
    P2 read(notes/plan@v1)
"""
    small, large = histories.report(text), histories.report(text, read_all_below=0)
    found = [(f.anomaly, f.grade) for f in small.findings if f.detector == "stale_context"]
    assert found == [("causal_stale_read", "definite")]
    assert [f.to_json() for f in small.findings] == [f.to_json() for f in large.findings]
