"""The ladder of evidence: what a call did to the world, each step down weaker, and each saying so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from histories import framed, fresh_store, record, requests
from history_batch import apart

from driftline.analyzers import Config, Scope, load_catalogue
from driftline.analyzers.record import Record
from driftline.analyzers.runs import resolve_runs


def _calls(text: str, config: Config | None = None) -> list[dict[str, Any]]:
    return record(text).executions(config or Config()).to_dicts()


def _each(*lines: str) -> list[dict[str, Any]]:
    """The first execution of each of some one-call runs, judged as one record."""
    store = fresh_store()
    owner: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        text = "\n".join(["P1 run(r)", *(f"  {part}" for part in line.split("\n"))]) + "\n"
        store.insert_requests(framed(apart(requests(text), f"h{number}~", owner, number)), f"batch {number}")
    calls = Record.load(store, Scope(), resolve_runs(store, Scope())).executions(Config()).to_dicts()
    first: dict[int, dict[str, Any]] = {}
    for call in calls:
        first.setdefault(owner[call["trace_id"]][0], call)
    return [first[number] for number in range(len(lines))]


def test_the_effect_ladder() -> None:
    """The span's own word, then calls inside, then the tool's name; and nothing rather than a guess."""
    found = _each(
        "P1 tool(get_order) effect=write",
        "P1 tool(get_order) effect=none",
        "P1 tool(frobnicate)\n  P1 span(x) attr.http.request.method=POST",
        "P1 tool(frobnicate)\n  P1 span(x) attr.http.request.method=DELETE",
        "P1 tool(frobnicate)\n  P1 span(x) attr.http.request.method=GET",
        "P1 tool(frobnicate)\n  P1 span(x) attr.db.operation.name=INSERT",
        "P1 tool(get_order)\n  P1 span(x) attr.http.request.method=POST",
        "P1 tool(get_order)",
        "P1 tool(sendEmail)",
        "P1 tool(sender)",
        "P1 tool(frobnicate)",
    )
    assert [(call["effect"], call["effect_source"]) for call in found] == [
        ("write", "explicit"),
        ("none", "explicit"),
        ("write", "child"),
        ("destructive", "child"),
        ("unknown", ""),
        ("write", "child"),
        ("write", "child"),
        ("read", "name"),
        ("write", "name"),
        ("unknown", ""),
        ("unknown", ""),
    ]


def test_calls_inside_count_for_the_innermost_tool() -> None:
    text = """
P1 run(r)
  P1 tool(outer) args=a
    P1 tool(inner) args=b
      P1 span(x) attr.http.request.method=PUT
"""
    outer, inner = _calls(text)
    assert (outer["effect"], inner["effect"], inner["idempotent"]) == ("unknown", "write", True)


def test_calls_inside_count_whichever_layer_they_hang_under() -> None:
    text = """
P1 run(r)
  P1 tool(frobnicate) args=a at=10 for=50
  P1 tool(frobnicate) args=a at=12 for=40 scope=other
    P1 span(x) attr.http.request.method=POST at=15 for=5
"""
    (call,) = _calls(text)
    assert (call["effect"], call["effect_source"]) == ("write", "child")


def test_the_outcome_ladder() -> None:
    """The span's own word, then the status; an error after which nobody can tell is unknown, not failed."""
    found = _each(
        "P1 tool(t) effect=write eo=applied error=TimeoutError",
        "P1 tool(t) effect=write eo=refused",
        "P1 tool(t) effect=write eo=unknown",
        "P1 tool(t) effect=write eo=perhaps",
        "P1 tool(t) effect=write",
        "P1 tool(t) effect=write error=ValueError",
        "P1 tool(t) effect=write error=ReadTimeout",
        "P1 tool(t) effect=write error=ConnectionResetError",
        "P1 tool(t) effect=write error=503",
        "P1 tool(t) effect=write open",
    )
    assert [(call["outcome"], call["outcome_source"]) for call in found] == [
        ("applied", "explicit"),
        ("refused", "explicit"),
        ("unknown", "explicit"),
        ("applied", "status"),
        ("applied", "status"),
        ("failed", "status"),
        ("unknown", "status"),
        ("unknown", "status"),
        ("unknown", "status"),
        ("unknown", "status"),
    ]


def test_layers_that_contradict_each_other_leave_it_unknown() -> None:
    text = """
P1 run(r)
  P1 tool(t) args=a effect=write eo=applied scope=one
    P1 tool(t) args=a effect=write eo=refused
"""
    (call,) = _calls(text)
    assert (call["outcome"], call["outcome_source"]) == ("unknown", "explicit")


@pytest.fixture
def catalogue(tmp_path: Path) -> Config:
    file = tmp_path / "tools.toml"
    file.write_text("""
[shop.charge]
effect = "write"
idempotent = true
targets = [{ kind = "order", path = "$.order" }]
creates = [{ kind = "payment", path = "$.id" }]
refused_when = { prefix = "Error" }
[shop.get_price]
effect = "destructive"
""")
    return Config(catalogue=load_catalogue(file))


def test_the_catalogue_stands_between_the_spans_word_and_the_calls_inside(catalogue: Config) -> None:
    text = """
P1 run(r)
  P1 tool(charge) argtext={"order":"o1"} resulttext={"id":"p1"}
  P1 tool(charge) argtext={"order":"o1"} resulttext="Error:_no_funds"
  P1 tool(charge) effect=read idem=false target=order/9 argtext={"order":"o1"} eo=applied resulttext="Error"
  P1 tool(get_price)
"""
    first, refused, said, named = _calls(text, catalogue)
    assert (first["effect"], first["effect_source"], first["idempotent"]) == ("write", "catalogue", True)
    assert (first["targets"], first["created"]) == (["order/o1"], ["payment/p1"])
    assert (first["outcome"], first["outcome_source"]) == ("applied", "status")
    assert (refused["outcome"], refused["outcome_source"], refused["refused"]) == ("refused", "catalogue", True)
    assert (said["effect"], said["effect_source"], said["idempotent"]) == ("read", "explicit", False)
    assert (said["targets"], said["outcome"]) == (["order/9"], "applied")
    assert (named["effect"], named["effect_source"]) == ("destructive", "catalogue")


def test_arguments_that_were_not_captured_name_no_target(catalogue: Config) -> None:
    (call,) = _calls("P1 run(r)\n  P1 tool(charge) args=a\n", catalogue)
    assert (call["effect"], call["targets"], call["created"]) == ("write", [], [])
