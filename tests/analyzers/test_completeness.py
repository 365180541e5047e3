"""What the recording of a run is known to lack; and that a whole record is known to be whole."""

from __future__ import annotations

import polars as pl
import pytest
from histories import framed, fresh_store, record, requests

from driftline.analyzers import Scope
from driftline.analyzers.completeness import (
    DROPPED_ATTRIBUTES,
    LOST_SPANS,
    MISSING_PARENT,
    NO_CLOCK,
    OPEN_MESSAGE,
    OPEN_SPANS,
    Completeness,
)
from driftline.analyzers.record import Record
from driftline.analyzers.runs import resolve_runs

_TWO_PROCESSES = """
P1 run(order)
  P1 agent(planner)
    P1 tool(charge)
    P1 send(q) #m1
P2 process(q) #m1
  P2 agent(writer)
    P2 tool(ship)
"""


@pytest.mark.parametrize(
    ("drop", "reasons"),
    [
        ((), set()),
        ((2,), {LOST_SPANS}),
        ((6,), {LOST_SPANS}),
        ((1,), {LOST_SPANS, MISSING_PARENT}),
        ((4, 5, 6), {OPEN_MESSAGE}),
        ((4,), {MISSING_PARENT, OPEN_MESSAGE}),
        ((3,), {LOST_SPANS}),
    ],
)
def test_what_is_lost_shows(drop: tuple[int, ...], reasons: set[str]) -> None:
    completeness = record(_TWO_PROCESSES, drop=drop).completeness
    assert set(completeness.lacks("r1")) == reasons
    assert completeness.whole("r1") is (not reasons)


def test_reasons_can_be_ignored_by_those_who_know_better() -> None:
    completeness = record(_TWO_PROCESSES, drop=(4, 5, 6)).completeness
    assert not completeness.whole("r1")
    assert completeness.whole("r1", ignoring=(OPEN_MESSAGE,))


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("P1 run(a)\n  P1 tool(t) open\n", {OPEN_SPANS}),
        ("P1 run(a)\n  P1 tool(t) dropped=2\n", {DROPPED_ATTRIBUTES}),
        ("P1 run(a) noseq\n  P1 tool(t) noseq\n", {NO_CLOCK}),
        ("P1 run(a) #r\n  P2 tool(t) noseq parent=r\n", {NO_CLOCK}),
        ("P1 run(a) #r\n  P2 llm(m) noseq parent=r run=- scope=other\n", set()),
        ("P1 span(a) noseq run=- scope=other\n  P1 tool(t) noseq run=- scope=other\n", {NO_CLOCK}),
    ],
)
def test_other_reasons(text: str, reasons: set[str]) -> None:
    found = record(text)
    (run,) = found.runs
    assert set(found.completeness.lacks(run)) == reasons


def test_an_end_that_never_came_is_a_lost_span_unless_the_span_is_known_to_be_open() -> None:
    """A final copy without its last tick was cut off at its source."""
    spans = record(_TWO_PROCESSES).spans
    ticks = pl.DataFrame({"instance": ["P1"] * 8 + ["P2"] * 6, "tick": [*range(1, 9), *range(1, 7)]})
    assert Completeness.of(spans, ticks).whole("r1")
    cut = spans.with_columns(seq_end=pl.when(pl.col("row") == 2).then(None).otherwise("seq_end"))
    assert Completeness.of(cut, ticks).lacks("r1") == (LOST_SPANS,)


def test_ticks_of_other_runs_fill_no_gap_of_theirs() -> None:
    """One process serves two runs by turns; each run's reach holds the other's ticks."""
    text = """
P1 run(a) run=r1 stay #a
P1 run(b) run=r2 stay #b
P1 tool(t) run=r1
P1 tool(u) run=r2
P1 end #a
P1 end #b
"""
    completeness = record(text).completeness
    assert completeness.whole("r1")
    assert completeness.whole("r2")
    lost = record(text, drop=(3,)).completeness
    assert lost.lacks("r1") == lost.lacks("r2") == (LOST_SPANS,)


def test_ticks_out_of_scope_still_prove_that_nothing_was_lost() -> None:
    text = """
P1 run(a) run=r1 trace=t1 stay #a
P1 run(b) run=r2 trace=t2
P1 end #a
"""
    store = fresh_store()
    store.insert_requests(framed(requests(text)), "out of scope")
    (trace,) = store.frame("SELECT trace_id FROM steps WHERE run_id = 'r1'")["trace_id"].to_list()
    scope = Scope(traces=(trace,))
    found = Record.load(store, scope, resolve_runs(store, scope))
    assert found.runs == ["r1"]
    assert found.completeness.whole("r1")


def test_a_run_that_was_called_by_what_nobody_recorded_is_whole() -> None:
    """The caller of a workflow run is no part of it."""
    text = "P1 span(request) run=-\n  P1 run(a) run=r1\n    P1 tool(t)\n"
    assert record(text, drop=(0,)).completeness.whole("r1")


@pytest.mark.parametrize("high", [2**62, 2**63 - 1])
def test_absurd_clocks_are_a_loss_and_no_error(high: int) -> None:
    spans = record("P1 run(a)\n  P1 tool(t)\n").spans
    absurd = spans.with_columns(
        seq=pl.when(pl.col("row") == 0).then(-(2**62)).otherwise("seq"),
        seq_end=pl.when(pl.col("row") == 1).then(high).otherwise("seq_end"),
    )
    ticks = pl.DataFrame({"instance": ["P1"] * 4, "tick": [-(2**62), 2, high, 4]})
    assert LOST_SPANS in Completeness.of(absurd, ticks).lacks("r1")


def test_a_message_is_received_by_link_by_id_or_as_a_child() -> None:
    by_id = "P1 run(a)\n  P1 send(q) msgid=m1\nP2 process(q) msgid=m1\n"
    as_child = "P1 run(a)\n  P1 send(q) #s\n    P2 process(q) parent=s\n"
    elsewhere = "P1 run(a)\n  P1 send(q) msgid=m1\nP2 process(p) msgid=m1\n"
    assert record(by_id).completeness.whole("r1")
    assert record(as_child).completeness.whole("r1")
    assert record(elsewhere).completeness.lacks("r1") == (OPEN_MESSAGE,)
