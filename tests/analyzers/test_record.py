"""The normalised record: whose span it is, which living agent's, and in which unit of work."""

from __future__ import annotations

from typing import Any

import polars as pl
from histories import parse, record, report


def _by_label(text: str, *columns: str) -> dict[str, Any]:
    """What the record says in *columns* of each labelled span."""
    rows = {row["span_id"]: row for row in record(text).spans.iter_rows(named=True)}
    found = {}
    for span in parse(text):
        if span.label:
            row = rows[span.span_id.hex()]
            found[span.label] = row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns)
    return found


def _key(text: str, label: str) -> str:
    span = next(span for span in parse(text) if span.label == label)
    return f"{span.trace_id.hex()}/{span.span_id.hex()}"


def test_the_agent_is_the_nearest_one_named_above() -> None:
    text = """
P1 run(order) #run
  P1 agent(planner) #planner
    P1 tool(charge) #call
    P1 agent(writer) #writer
      P1 step(draft) #draft
"""
    assert _by_label(text, "agent") == {
        "run": "", "planner": "planner", "call": "planner", "writer": "writer", "draft": "writer",
    }  # fmt: skip


def test_an_agent_nobody_told_apart_is_one_a_run() -> None:
    text = """
P1 run(order)
  P1 agent(planner) #one
  P1 agent(planner) #two
P2 run(order) run=r2
  P2 agent(planner) #other
"""
    assert _by_label(text, "agent_instance") == {"one": "r1/planner", "two": "r1/planner", "other": "r2/planner"}


def test_an_instance_said_above_does_not_hold_for_another_agent_below() -> None:
    text = """
P1 run(order)
  P1 agent(planner) instance=p-7 #planner
    P1 tool(charge) #call
    P1 agent(writer) #writer
"""
    assert _by_label(text, "agent_instance") == {"planner": "p-7", "call": "p-7", "writer": "r1/writer"}


def test_the_unit_of_work_is_the_nearest_turn_call_or_step() -> None:
    text = """
P1 run(order) #run
  P1 agent(planner) #turn
    P1 read(notes/plan@v1) #read
    P1 tool(charge) #call
      P1 write(notes/plan@v2 <- v1) #write
"""
    units = _by_label(text, "uow")
    assert units["run"] == _key(text, "run")
    assert units["turn"] == units["read"] == _key(text, "turn")
    assert units["call"] == units["write"] == _key(text, "call")


def test_a_unit_of_work_that_is_said_holds_until_a_nearer_one_begins() -> None:
    text = """
P1 run(order)
  P1 agent(planner) uow=job-1 #turn
    P1 read(notes/plan@v1) #read
    P1 step(inner) #inner
      P1 read(notes/plan@v1) #deep
  P1 agent(writer) uow=job-1 #other
"""
    units = _by_label(text, "uow")
    assert units["turn"] == units["read"] == units["other"] == "r1/job-1"
    assert units["inner"] == units["deep"] == _key(text, "inner")


def test_a_process_counts_only_where_its_clock_does() -> None:
    text = "P1 run(order) #timed\nP2 agent(a) noseq #untimed\n"
    assert _by_label(text, "proc", "instance") == {"timed": ("P1", "P1"), "untimed": ("", "P2")}


def test_one_memory_row_a_key_with_the_facts_of_its_span() -> None:
    memory = record("""
P1 run(order)
  P1 agent(planner)
    P1 read(notes/plan@v1, notes/todo@v4)
    P1 write(notes/plan@v2 <- v1) error=Boom
""").memory
    assert memory.select("row", "op", "key", "version", "agent_instance", "failed", "write_status").rows() == [
        (2, "read", "plan", "v1", "r1/planner", False, ""),
        (2, "read", "todo", "v4", "r1/planner", False, ""),
        (3, "write", "plan", "v2", "r1/planner", True, "unknown"),
    ]


def test_payloads_come_for_the_rows_that_are_asked_for() -> None:
    found = record('P1 run(order)\n  P1 tool(t) argtext={"a":1} resulttext=ok\n  P1 tool(t)\n')
    assert found.payloads([2, 1]).sort("row").rows() == [(1, '{"a":1}', "ok"), (2, "", "")]
    assert found.payloads([]).height == 0


def test_a_span_delivered_twice_is_one_row() -> None:
    text = "P1 run(order)\n  P1 tool(t)\n  P1 read(notes/plan@v1)\n"
    found = record(text, double=(0, 1, 2))
    assert (found.spans.height, found.memory.height) == (3, 1)


def test_rows_are_in_order_of_start_and_of_the_logical_clock_where_starts_tie() -> None:
    """A clock that stands still orders nothing; the ticks of its process do."""
    text = "P1 run(order) at=5 for=0\n" + "".join(f"  P1 tool(t{n}) at=5 for=0\n" for n in range(8))
    spans = record(text).spans
    assert spans["seq"].to_list() == sorted(spans["seq"].to_list())
    assert spans["row"].to_list() == list(range(spans.height))


def test_a_run_is_summed_up_over_its_traces() -> None:
    text = """
P1 run(order) trace=t1 outcome=complete
  P1 agent(planner) trace=t1
    P1 llm(m) trace=t1 attr.gen_ai.usage.input_tokens=7 attr.gen_ai.usage.output_tokens=3
P2 agent(writer) run=r1 trace=t2
  P2 tool(charge) run=r1 trace=t2 effect=write attempt=2 error=Boom
"""
    (run,) = report(text).runs.iter_rows(named=True)
    assert (run["workflow"], run["outcome"], run["status"], run["traces"], run["spans"]) == (
        "order", "complete", "ok", 2, 5,
    )  # fmt: skip
    assert (run["agents"], run["tools"], run["effects"], run["retries"], run["errors"]) == (
        ["planner", "writer"], 1, 1, 1, 1,
    )  # fmt: skip
    assert (run["tokens_input"], run["tokens_output"]) == (7, 3)


def test_a_workflow_nobody_named_is_called_by_its_first_span_without_what_changes() -> None:
    runs = report("P1 span(GET_order_991) run=- noseq scope=http\n").runs
    assert runs["workflow"].to_list() == ["GET_order_#"]


def test_a_run_whose_root_is_open_is_open_and_one_whose_root_failed_has_failed() -> None:
    text = "P1 run(a) run=r1 open\nP2 run(a) run=r2 error=Boom\nP3 run(a) run=r3\n  P3 tool(t) error=Boom\n"
    runs = report(text).runs
    assert dict(runs.select(pl.col("run_id"), "status").iter_rows()) == {"r1": "open", "r2": "error", "r3": "ok"}
