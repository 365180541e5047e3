"""Which run a trace and a span belong to: its own word, its trace's, its neighbours'; a run is not a trace."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from histories import parse, report

from driftline.analyzers.runs import join_traces


def _joined(traces: Sequence[tuple[str, list[str]]], *links: tuple[str, str]) -> dict[str, list[str]]:
    """The runs of each trace, for traces (id, runs its spans name) in order of beginning."""
    frame = pl.DataFrame(
        {"trace_id": [trace for trace, _ in traces], "run_ids": [runs for _, runs in traces]},
        schema={"trace_id": pl.String, "run_ids": pl.List(pl.String)},
    )
    pairs = pl.DataFrame(
        {"trace_id": [link[0] for link in links], "other": [link[1] for link in links]},
        schema={"trace_id": pl.String, "other": pl.String},
    )
    found: dict[str, list[str]] = {}
    for trace, run in join_traces(frame, pairs).select("trace_id", "run_id").iter_rows():
        found.setdefault(trace, []).append(run)
    return found


def test_a_trace_without_any_run_id_is_a_run_of_its_own() -> None:
    assert _joined([("t1", []), ("t2", [])]) == {"t1": ["t1"], "t2": ["t2"]}


def test_one_run_may_span_many_traces() -> None:
    assert _joined([("t1", ["r"]), ("t2", ["r"])]) == {"t1": ["r"], "t2": ["r"]}


def test_a_trace_may_hold_several_runs() -> None:
    assert _joined([("t1", ["a", "b"])]) == {"t1": ["a", "b"]}


def test_links_join_nameless_traces_under_the_one_that_began_first() -> None:
    found = _joined([("t9", []), ("t1", []), ("t5", [])], ("t1", "t9"), ("t5", "t1"))
    assert found == {"t9": ["t9"], "t1": ["t9"], "t5": ["t9"]}


def test_a_nameless_trace_joins_the_run_it_links_to() -> None:
    assert _joined([("t1", ["r"]), ("t2", [])], ("t2", "t1"))["t2"] == ["r"]
    assert _joined([("t1", ["r"]), ("t2", [])], ("t1", "t2"))["t2"] == ["r"]


def test_named_runs_are_never_merged() -> None:
    assert _joined([("t1", ["a"]), ("t2", ["b"])], ("t2", "t1")) == {"t1": ["a"], "t2": ["b"]}


def test_between_two_runs_the_nearer_one_wins() -> None:
    found = _joined(
        [("t1", ["a"]), ("t2", []), ("t3", []), ("t4", []), ("t5", ["b"])],
        ("t2", "t1"), ("t3", "t2"), ("t4", "t3"), ("t4", "t5"),
    )  # fmt: skip
    assert found["t2"] == ["a"]
    assert found["t4"] == ["b"]


def test_equally_near_to_two_runs_a_trace_belongs_to_neither() -> None:
    """A consumer that takes messages of two runs in one trace: whose it is cannot be told."""
    found = _joined([("t1", ["a"]), ("t2", ["b"]), ("t3", []), ("t4", [])], ("t3", "t1"), ("t3", "t2"), ("t4", "t3"))
    assert found["t3"] == found["t4"] == ["t3"]


def test_a_long_chain_is_one_run() -> None:
    size = 5_000
    traces = [(f"t{n:05}", []) for n in range(size)]
    links = [(f"t{n + 1:05}", f"t{n:05}") for n in range(size - 1)]
    assert {run for runs in _joined(traces, *links).values() for run in runs} == {"t00000"}
    named = [("t00000", ["r"]), *traces[1:]]
    assert {run for runs in _joined(named, *links).values() for run in runs} == {"r"}


def test_a_link_to_a_trace_nobody_saw_joins_nothing() -> None:
    assert _joined([("t1", [])], ("t1", "unseen")) == {"t1": ["t1"]}


def _runs(text: str) -> dict[str, int]:
    return dict(report(text).runs.select("run_id", "spans").iter_rows())


def _trace(text: str, name: str) -> str:
    return next(span.trace_id.hex() for span in parse(text) if span.trace == name)


def test_a_message_id_joins_what_no_link_does() -> None:
    text = """
P1 send(q) msgid=m1 run=r1 trace=t1
P2 process(q) msgid=m1 run=- trace=t2
"""
    assert _runs(text) == {"r1": 2}


def test_a_message_id_of_another_destination_joins_nothing() -> None:
    text = """
P1 send(q) msgid=m1 run=r1 trace=t1
P2 process(p) msgid=m1 run=- trace=t2
"""
    assert _runs(text) == {"r1": 1, _trace(text, "t2"): 1}


def test_a_conversation_groups_runs_and_never_merges_them() -> None:
    text = """
P1 agent(a) run=- trace=t1 conversation=c1
P1 agent(a) run=- trace=t2 conversation=c1
"""
    assert _runs(text) == {_trace(text, "t1"): 1, _trace(text, "t2"): 1}


def test_in_a_trace_of_several_runs_a_span_belongs_to_its_nearest_ancestors() -> None:
    """Spans of other instrumentations carry no run id; they are counted where they hang, memory and errors too."""
    text = """
P1 span(request) run=- trace=t1
  P1 run(order) run=r1
    P1 tool(charge) run=-
      P1 write(notes/plan@v1 <- init) run=-
    P1 run(refund) run=r2 parent_run=r1
      P1 llm(m) run=- status=error
"""
    runs = {row["run_id"]: row for row in report(text).runs.iter_rows(named=True)}
    outside = _trace(text, "t1")
    assert {run: row["spans"] for run, row in runs.items()} == {"r1": 3, "r2": 2, outside: 1}
    assert {run: row["memory_ops"] for run, row in runs.items()} == {"r1": 1, "r2": 0, outside: 0}
    assert {run: row["errors"] for run, row in runs.items()} == {"r1": 0, "r2": 1, outside: 0}
    assert (runs["r2"]["parent_id"], runs["r2"]["status"]) == ("r1", "ok")


def test_findings_name_runs_that_are_listed() -> None:
    """Also for spans that cannot be placed: what repeats above two runs is a repeat in the trace itself."""
    text = """
P1 span(request) run=- trace=t1
  P1 tool(charge) args=a effect=write eo=applied run=-
  P1 tool(charge) args=a effect=write eo=applied run=-
  P1 run(one) run=r1
  P1 run(two) run=r2
"""
    found = report(text)
    assert {finding.run_id for finding in found.findings} == {_trace(text, "t1")}
    assert {finding.run_id for finding in found.findings} <= set(found.runs["run_id"].to_list())
