"""What one execution is: layers put together, attempts and equal calls kept apart."""

from __future__ import annotations

from typing import Any

from histories import MS, T0, record

from driftline.analyzers import Config


def _calls(text: str, **how: Any) -> list[dict[str, Any]]:
    return record(text, **how).executions(Config()).to_dicts()


def _layers(text: str) -> list[int]:
    """How many spans each execution has, in order of start."""
    return [len(call["rows"]) for call in _calls(text)]


def test_layers_inside_each_other_are_one_execution() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a scope=framework
    P1 tool(charge) args=a scope=mcp.client
      P1 tool(charge) args=a scope=mcp.server
"""
    (call,) = _calls(text)
    assert len(call["rows"]) == 3
    assert call["row"] == call["rows"][0] == 1


def test_client_and_server_in_two_processes_are_one_execution() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a scope=mcp.client #c
    P2 tool(charge) args=a parent=c effect=write eo=applied
"""
    (call,) = _calls(text)
    assert (len(call["rows"]), call["outcome"], call["outcome_source"]) == (2, "applied", "explicit")


def test_a_step_between_layers_parts_nothing() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a
    P1 step(prepare)
      P1 tool(charge) args=a scope=other
"""
    assert _layers(text) == [2]


def test_a_tool_inside_another_is_a_call_of_its_own() -> None:
    text = """
P1 run(order)
  P1 tool(checkout) args=a
    P1 tool(charge) args=a
"""
    assert [call["tool"] for call in _calls(text)] == ["checkout", "charge"]


def test_a_tool_that_calls_itself_with_other_arguments_is_two_calls() -> None:
    assert _layers("P1 run(r)\n  P1 tool(walk) args=a\n    P1 tool(walk) args=b\n") == [1, 1]


def test_copies_side_by_side_are_one_execution() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a at=10 for=50
  P1 tool(charge) args=a at=12 for=45 scope=other
"""
    assert _layers(text) == [2]


def test_equal_calls_one_after_the_other_are_not_copies() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a at=10 for=5
  P1 tool(charge) args=a at=20 for=5 scope=other
"""
    assert _layers(text) == [1, 1]


def test_parallel_equal_calls_of_one_instrumentation_stay_apart() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a stay at=10 for=50
  P1 tool(charge) args=a stay at=11 for=50
"""
    assert _layers(text) == [1, 1]


def test_parallel_equal_calls_seen_twice_are_two_executions() -> None:
    """Two instrumentations each saw both: paired one to one, not thrown together."""
    text = """
P1 run(order)
  P1 tool(charge) args=a at=10 for=50
  P1 tool(charge) args=a at=11 for=50
  P1 tool(charge) args=a at=12 for=50 scope=other
  P1 tool(charge) args=a at=13 for=50 scope=other
"""
    assert _layers(text) == [2, 2]


def test_a_copy_that_got_lost_shifts_no_other() -> None:
    """The second call was seen once only; the third call's copy still goes to the third."""
    text = """
P1 run(order)
  P1 tool(charge) args=a at=10 for=5
  P1 tool(charge) args=a at=11 for=5 scope=other
  P1 tool(charge) args=a at=20 for=5
  P1 tool(charge) args=a at=30 for=5
  P1 tool(charge) args=a at=31 for=5 scope=other
"""
    assert _layers(text) == [2, 1, 2]


def test_three_instrumentations_side_by_side_are_one() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a at=10 for=50
  P1 tool(charge) args=a at=11 for=40 scope=b
  P1 tool(charge) args=a at=12 for=30 scope=c
"""
    assert _layers(text) == [3]


def test_the_models_call_id_pairs_copies_without_arguments() -> None:
    text = """
P1 run(order)
  P1 tool(charge) tcid=x at=10 for=50
  P1 tool(charge) tcid=y at=11 for=50
  P1 tool(charge) tcid=y at=12 for=50 scope=other
  P1 tool(charge) tcid=x at=13 for=50 scope=other
"""
    assert sorted(tuple(call["rows"]) for call in _calls(text)) == [(1, 4), (2, 3)]


def test_a_reused_call_id_pairs_nothing_by_itself() -> None:
    text = """
P1 run(order)
  P1 llm(m)
  P1 tool(charge) args=a tcid=call_1
  P1 llm(m)
  P1 tool(charge) args=b tcid=call_1
"""
    calls = _calls(text)
    assert len(calls) == 2
    assert calls[0]["call"] != calls[1]["call"]


def test_copies_whose_arguments_differ_are_two_calls() -> None:
    text = """
P1 run(order)
  P1 tool(charge) args=a tcid=x at=10 for=50
  P1 tool(charge) args=b tcid=x at=11 for=50 scope=other
"""
    assert _layers(text) == [1, 1]


def test_a_wrapper_around_several_attempts_is_none_of_them() -> None:
    """The attempts take from it what only it says."""
    text = """
P1 run(order)
  P1 tool(charge) args=a effect=write target=order/1 call=c1 scope=framework
    P1 tool(charge) args=a attempt=1 error=TimeoutError
    P1 tool(charge) args=a attempt=2
"""
    calls = _calls(text)
    assert [call["attempt"] for call in calls] == [1, 2]
    assert {(call["effect"], tuple(call["targets"]), call["call_id"]) for call in calls} == {
        ("write", ("order/1",), "c1")
    }
    assert calls[0]["call"] == calls[1]["call"]


def test_several_calls_inside_one_whose_arguments_nobody_knows_are_not_its_attempts() -> None:
    """A tool may hand parts of its work to itself; only arguments, ids or numbers make attempts."""
    text = """
P1 run(order)
  P1 tool(send) effect=write call=c1
    P1 tool(send) effect=write scope=other
    P1 tool(send) effect=write scope=other
"""
    calls = _calls(text)
    assert len(calls) == 3
    assert len({call["call"] for call in calls}) == 3


def test_attempts_of_a_logical_call_share_it_over_traces() -> None:
    text = """
P1 run(order) trace=t1
  P1 tool(charge) args=a call=c1 attempt=1
P2 run(order) trace=t2
  P2 tool(charge) args=a call=c1 attempt=2
"""
    first, second = _calls(text)
    assert first["call"] == second["call"]


def test_one_call_id_in_two_runs_is_two_logical_calls() -> None:
    text = "P1 run(a) run=r1\n  P1 tool(t) call=c1\nP2 run(a) run=r2\n  P2 tool(t) call=c1\n"
    first, second = _calls(text)
    assert first["call"] != second["call"]


def test_a_fragment_is_not_sure() -> None:
    """A call whose parent is missing may be a layer of another one."""
    text = "P1 run(order)\n  P1 agent(a)\n    P1 tool(charge) args=a\n"
    assert [call["sure"] for call in _calls(text)] == [True]
    assert [call["sure"] for call in _calls(text, drop={1})] == [False]


def test_the_clock_is_that_of_one_layer() -> None:
    """The client has no logical clock and the server has: its process, start and end belong together."""
    text = """
P1 run(order)
  P1 tool(charge) args=a noseq #c
    P2 step(receive) parent=c
      P2 tool(charge) args=a
"""
    (call,) = _calls(text)
    assert (call["proc"], call["seq"], call["seq_end"]) == ("P2", 2, 3)


def test_a_step_counts_as_a_call_if_it_has_an_effect_or_a_call_id() -> None:
    text = "P1 run(r)\n  P1 step(a)\n  P1 step(b) effect=write\n  P1 step(c) call=c1\n"
    assert [call["tool"] for call in _calls(text)] == ["b", "c"]


def test_a_run_without_calls_has_none() -> None:
    calls = record("P1 run(r)\n  P1 llm(m)\n").executions(Config())
    assert calls.height == 0
    assert {"call", "outcome", "effect", "targets", "created"} <= set(calls.columns)


def test_an_open_call_has_no_outcome_yet() -> None:
    (call,) = _calls("P1 run(r)\n  P1 tool(charge) args=a effect=write open\n")
    assert (call["status"], call["outcome"], call["sure"]) == ("open", "unknown", False)
    assert call["start_ns"] == call["end_ns"] == T0 + 2 * MS
