"""The traps of normalisation: what looks equal and is not, what looks different and is the same."""

from __future__ import annotations

import json
from typing import Any

import histories
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from normalised import fields, step, steps, stored
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_requests import MS, START, request, span

from driftline.canonical import digest

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge"}
ARGUMENTS = {"order": 991}


def findings(*requests: ExportTraceServiceRequest) -> list[tuple[str, str]]:
    """Anomaly and grade of what is found in a record, information left out."""
    report = histories.judge(requests)
    return sorted((one.anomaly, str(one.grade)) for one in report.findings if str(one.severity) != "info")


def call(number: int, arguments: Any, *, at: float = 0, ms: float = 1, parent: int = 1, **more: Any) -> Any:
    """A call of `charge`."""
    return span(
        "execute_tool charge",
        {**TOOL, "gen_ai.tool.call.arguments": arguments, **more},
        number=number,
        parent=parent,
        start=START + int(at * MS),
        ms=ms,
    )


def root(ms: float = 100) -> Any:
    return span("invoke_agent billing", {"gen_ai.operation.name": "invoke_agent"}, number=1, ms=ms)


# -- 1, 2: one call, seen by several


def test_nested_layers_of_one_call_are_one(wrote_twice: list[tuple[str, str]]) -> None:
    """Framework, MCP client, MCP server: three spans on one chain, arguments on one of them only."""
    outer = call(2, ARGUMENTS, at=1, ms=50)
    tools_call = {"mcp.method.name": "tools/call"}
    client = span("tools/call charge", tools_call, number=3, parent=2, start=START + 2 * MS, ms=40)
    server = span("tools/call charge", {**TOOL, **tools_call}, number=4, parent=3, start=START + 3 * MS, ms=30)
    found = findings(
        request(root(), outer, scope="my.framework"), request(client, scope="mcp"), request(server, scope="mcp.server")
    )
    assert found == []
    assert wrote_twice == [("repeated_effect", "possible")]


def test_two_instrumentations_of_one_call_are_one(wrote_twice: list[tuple[str, str]]) -> None:
    """OpenInference and OTel side by side, the same call id, the same moment."""
    one = call(2, ARGUMENTS, at=1, ms=50, **{"gen_ai.tool.call.id": "c1"})
    said = {"openinference.span.kind": "TOOL", "tool.name": "charge", "tool.id": "c1"}
    said["input.value"] = json.dumps(ARGUMENTS)
    other = span("charge", said, number=3, parent=1, start=START + 2 * MS, ms=40)
    found = findings(
        request(root(), one, scope="my.framework"), request(other, scope="openinference.instrumentation.x")
    )
    assert found == []
    assert wrote_twice == [("repeated_effect", "possible")]


@pytest.fixture(scope="module")
def wrote_twice() -> list[tuple[str, str]]:
    """The control: the same call twice, one after the other, is found."""
    return findings(request(root(), call(2, ARGUMENTS, at=1), call(3, ARGUMENTS, at=10), scope="my.framework"))


# -- 3: equality of arguments

EQUAL: list[tuple[str, Any, Any]] = [
    ("order of keys", '{"a": 1, "b": 2}', '{"b":2,"a":1}'),
    ("white space", '{ "a" : [ 1 , 2 ] }', '{"a":[1,2]}'),
    ("ints and floats", '{"a": 1.0, "b": [2.0, 3]}', '{"a": 1, "b": [2, 3]}'),
    ("a map and its text", {"a": {"b": [1, "x"]}}, '{"a":{"b":[1,"x"]}}'),
    ("an array and its text", ["x", {"a": 1}], '["x",{"a":1}]'),
    ("a flat array and its text", ["x", "y"], '["x", "y"]'),
    ("JSON inside a string", json.dumps('{"a": 1}'), '{"a": 1}'),
    ("escapes", '{"a": "\\u00e9\\/x"}', '{"a": "é/x"}'),
    ("a string and its JSON", '"hello"', "hello"),
]
DIFFERENT: list[tuple[str, Any, Any]] = [
    ("values", '{"a": 1}', '{"a": 2}'),
    ("a number and its text", '{"a": 1}', '{"a": "1"}'),
    ("a path and a dotted key", '{"a": {"b": 1}}', '{"a.b": 1}'),
    ("times written in two ways", '{"t": "2026-01-01T00:00:00Z"}', '{"t": "2026-01-01 00:00:00"}'),
    ("order in a list", '{"a": [1, 2]}', '{"a": [2, 1]}'),
    ("case", '{"a": "X"}', '{"a": "x"}'),
    ("a key given twice", '{"a": 1, "a": 2}', '{"a": 2}'),
    ("true beside a number and one", '{"a": [true, 5]}', '{"a": [1, 5]}'),
    ("true beside a text and its text", '{"a": [true, "x"]}', '{"a": ["true", "x"]}'),
    ("large integers", '{"a": 9007199254740993}', '{"a": 9007199254740992}'),
    ("very large integers", '{"a": 123456789012345678901234}', '{"a": 123456789012345678901235}'),
]


def test_equal_arguments_have_equal_digests() -> None:
    """In whatever form the one value came."""
    rows = steps(*(span("t", {**TOOL, "gen_ai.tool.call.arguments": value}) for _, *pair in EQUAL for value in pair))
    pairs = zip(EQUAL, rows[::2], rows[1::2], strict=True)
    assert [name for (name, *_), one, other in pairs if not one["args_digest"] == other["args_digest"] != ""] == []


def test_different_arguments_have_different_digests() -> None:
    """However alike they look."""
    rows = steps(*(span("t", {**TOOL, "gen_ai.tool.call.arguments": v}) for _, *pair in DIFFERENT for v in pair))
    pairs = zip(DIFFERENT, rows[::2], rows[1::2], strict=True)
    assert [name for (name, *_), one, other in pairs if one["args_digest"] == other["args_digest"]] == []


# What the engine writes in another way than RFC 8785 (and so agrees with itself, not with the SDK): control characters,
# and the order of keys of which one continues the other with a character before the dot (`order`, `order-id`).
names = st.text("ab_cé", min_size=1, max_size=3)
printed = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**50), 2**50), printed)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("xyz", min_size=1, max_size=2), plain, max_size=3)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(values=st.lists(objects, min_size=20, max_size=60))
def test_the_views_digest_is_the_sdks(values: list[dict[str, Any]]) -> None:
    """RFC 8785 by two hands, whatever order the keys came in: layers of one call agree, whoever wrote them."""
    rows = steps(*(span("t", {**TOOL, "gen_ai.tool.call.arguments": json.dumps(_reversed(value))}) for value in values))
    known = [(row["args_state"], row["args_digest"]) for row in rows]
    wrong = [value for value, found in zip(values, known, strict=True) if found != ("known", digest(value))]
    assert wrong == []


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


# -- 4: what is not whole never compares equal

NOT_WHOLE: list[tuple[str, Any, str]] = [
    ("scrubbed", "[Scrubbed due to 'auth']", "scrubbed"),
    ("scrubbed inside", '{"a": "[Scrubbed due to \'auth\']"}', "scrubbed"),
    ("redacted", "<REDACTED>", "scrubbed"),
    ("redacted inside", '{"a": "[REDACTED]"}', "scrubbed"),
    ("redacted in a map", {"a": ["__REDACTED__"]}, "scrubbed"),
    ("not specified", "<not specified>", "scrubbed"),
    ("object cut short", '{"a": "long te', "truncated"),
    ("object cut behind a brace", '{"a": {"b": 1}', "truncated"),
    ("list cut short", '["a", "b', "truncated"),
    ("string cut short", '"hello', "truncated"),
    ("dots at the end", "the beginning of a long text...", "truncated"),
    ("an ellipsis at the end", "the beginning of a long text…", "truncated"),
    ("an ellipsis inside", '{"a": "the beginning…"}', "truncated"),
    ("says so", "text [truncated]", "truncated"),
    ("exactly as long as a limit", "x" * 128, "truncated"),
    ("exactly as long as a limit, in characters", "é" * 1024, "truncated"),
    ("empty", "", "missing"),
    ("a schema", '{"type": "object", "properties": {"a": {}}}', "missing"),
]


def test_values_that_are_not_whole_have_no_digest() -> None:
    """Neither as arguments nor as results."""
    rows = steps(
        *(
            span("t", {**TOOL, "gen_ai.tool.call.arguments": value, "gen_ai.tool.call.result": value})
            for _, value, _ in NOT_WHOLE
        )
    )
    found = {name: fields(row, "args_state", "args_digest") for row, (name, _, _) in zip(rows, NOT_WHOLE, strict=True)}
    assert found == {name: (state, "") for name, _, state in NOT_WHOLE}
    results = {name: row["result_digest"] for row, (name, _, _) in zip(rows, NOT_WHOLE, strict=True)}
    assert {name for name, found in results.items() if found} == {"a schema"}  # as a result that is a whole value


def test_a_blanked_result_is_unknown_and_an_empty_one_empty() -> None:
    """Things that look alike: blanked, empty in several ways, not sent."""
    texts = ("<REDACTED>", "", "{}", "null", " [] ", "None", '{"a": "<REDACTED>"}')
    rows = steps(*(span("t", {**TOOL, "gen_ai.tool.call.result": text}) for text in texts), span("t", TOOL))
    assert [row["result_empty"] for row in rows] == [None, True, True, True, True, True, False, None]


def test_a_blanked_value_gives_way_to_the_next_key() -> None:
    """Another instrumentation may have kept it."""
    blanked = {"gen_ai.tool.call.arguments": "<REDACTED>", "session.id": "[Scrubbed due to 'session']"}
    row = step({**TOOL, **blanked, "input.value": '{"a": 1}', "langfuse.session.id": "conv"})
    assert fields(row, "args_state", "args_digest", "conversation_id") == ("known", digest({"a": 1}), "conv")


def test_whole_values_that_look_cut_are_known() -> None:
    """A Python dict as text, dots inside JSON, JSON exactly as long as a limit."""
    texts = ["{'a': 1, 'b': [2]}", '{"q": "please wait..."}', json.dumps({"a": "x" * 119}), "short", "[see above]"]
    rows = steps(*(span("t", {**TOOL, "gen_ai.tool.call.arguments": text}) for text in texts))
    assert {row["args_state"] for row in rows} == {"known"}
    assert len(texts[2]) == 128


def test_blanked_arguments_make_no_repeat() -> None:
    """Two calls of which nobody knows whether they are the same."""
    for blank in ("<REDACTED>", '{"a": "cut sho', "[Scrubbed due to 'auth']"):
        assert findings(request(root(), call(2, blank, at=1), call(3, blank, at=10), scope="my.framework")) == []


# -- 5: usage is counted once


def test_totals_of_agents_are_not_added_to_their_parts() -> None:
    """The agent span repeats the usage of its model calls; a run's tokens are those of the calls."""
    usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 4}
    agent = {"gen_ai.operation.name": "invoke_agent", **usage, "gen_ai.aggregated_usage.input_tokens": 99}
    spans = [
        span("invoke_agent a", agent, number=1),
        span("chat m", {"gen_ai.operation.name": "chat", **usage}, number=2, parent=1),
    ]
    store = stored(request(*spans, scope="pydantic-ai"))
    sums = store.rows("SELECT kind, sum(tokens_input) AS i, sum(tokens_output) AS o FROM steps FINAL GROUP BY kind")
    assert {row["kind"]: (row["i"], row["o"]) for row in sums} == {"agent": (10, 4), "llm": (10, 4)}
    report = histories.judge([request(*spans, scope="pydantic-ai")])
    assert report.checked.runs == 1


# -- 6, 7, 8


def test_a_copy_made_when_a_span_begins_is_no_span() -> None:
    """Logfire's pending spans have ids of their own; a memory write in one is no write."""
    memory = {"gen_ai.operation.name": "update_memory", "gen_ai.memory.store.id": "m", "driftline.memory.keys": ["k"]}
    store = stored(
        request(
            span("work", {**memory, "logfire.span_type": "pending_span"}, number=1, ms=0),
            span("work", {**memory, "logfire.span_type": "span"}, number=2),
        )
    )
    assert store.rows("SELECT span_id FROM steps FINAL") == [{"span_id": f"{2:016x}"}]
    assert store.rows("SELECT span_id FROM memory_ops FINAL") == [{"span_id": f"{2:016x}"}]


def test_a_span_delivered_twice_makes_no_repeat() -> None:
    """An OTLP retry: the same ids in two requests."""
    one, two = call(2, ARGUMENTS, at=1), call(2, ARGUMENTS, at=1)
    assert findings(request(root(), one, scope="f"), request(two, scope="f")) == []


def test_a_models_own_retry_is_no_repeat_of_the_call() -> None:
    """New call id, other arguments: possible intent at most, and here not even that."""
    first = call(2, {"order": 991, "note": "first try"}, at=1, **{"gen_ai.tool.call.id": "c1"})
    second = call(3, {"order": 991, "note": "second try"}, at=10, **{"gen_ai.tool.call.id": "c2"})
    found = findings(request(root(), first, second, scope="f"))
    assert "repeated_effect" not in {anomaly for anomaly, _ in found}


def test_a_span_that_ended_early_orders_nothing_definitely() -> None:
    """OpenInference ends a generator's span at the call: overlapping or not, times alone prove nothing."""
    early = call(2, ARGUMENTS, at=1, ms=0)
    other = call(3, ARGUMENTS, at=1.5, ms=20)
    assert "definite" not in {grade for _, grade in findings(request(root(), early, other, scope="f"))}
