"""Spans as the real instrumentations write them, normalised to the same canonical fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from normalised import fields, step, steps, stored
from otlp_requests import request, span

from driftline.analyzers.dialects import load_dialects
from driftline.canonical import digest

ARGUMENTS = {"order": 991, "amount": 12.5}
SCHEMA = json.dumps({"type": "object", "properties": {"order": {"type": "integer"}}})

# One tool call, as each source writes it: scope, span name, attributes.
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "driftline": (
        "driftline",
        "execute_tool charge",
        {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge", "gen_ai.tool.call.id": "call_1",
            "driftline.run.id": "r1", "driftline.seq": 3, "driftline.call.args_digest": digest(ARGUMENTS),
            "driftline.call.result_digest": digest("done"),
        },
    ),
    "gen_ai": (
        "opentelemetry.util.genai.handler",
        "execute_tool charge",
        {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge", "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.type": "function", "gen_ai.tool.call.arguments": json.dumps(ARGUMENTS),
            "gen_ai.tool.call.result": "done",
        },
    ),
    "gen_ai, arguments as a map": (
        "my.tracer",
        "execute_tool charge",
        {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge", "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.call.arguments": ARGUMENTS, "gen_ai.tool.call.result": "done",
        },
    ),
    "gen_ai, without operation": (
        "autogen",
        "charge",
        {
            "gen_ai.system": "autogen", "gen_ai.tool.name": "charge", "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.call.arguments": json.dumps(ARGUMENTS), "gen_ai.tool.call.result": "done",
        },
    ),
    "mcp server": (
        "mcp",
        "tools/call charge",
        {
            "mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge",
            "gen_ai.tool.call.id": "call_1", "mcp.session.id": "transport", "gen_ai.tool.call.arguments": ARGUMENTS,
            "gen_ai.tool.call.result": "done",
        },
    ),
    "openinference": (
        "openinference.instrumentation.openai_agents",
        "charge",
        {
            "openinference.span.kind": "TOOL", "tool.name": "charge", "tool.id": "call_1", "tool.parameters": SCHEMA,
            "input.value": json.dumps(ARGUMENTS, indent=1), "input.mime_type": "application/json",
            "output.value": "done", "output.mime_type": "text/plain",
        },
    ),
    "openinference, dual write": (
        "openinference.instrumentation.openai_agents",
        "charge",
        {
            "openinference.span.kind": "TOOL", "tool.name": "charge", "tool.id": "call_1", "tool.parameters": SCHEMA,
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": SCHEMA,
            "input.value": json.dumps(ARGUMENTS), "output.value": "done",
        },
    ),
    "langfuse": (
        "langfuse-sdk",
        "charge",
        {
            "langfuse.observation.type": "tool", "langfuse.observation.input": json.dumps(ARGUMENTS),
            "langfuse.observation.output": "done", "gen_ai.tool.name": "charge", "gen_ai.tool.call.id": "call_1",
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def calls() -> dict[str, dict[str, Any]]:
    """The row of each source's call."""
    requests = [
        request(span(name, attributes, trace=number, number=number), scope=scope)
        for number, (scope, name, attributes) in enumerate(CALLS.values(), 1)
    ]
    rows = {int(row["trace_id"], 16): row for row in stored(*requests).rows("SELECT * FROM steps FINAL")}
    return {source: rows[number] for number, source in enumerate(CALLS, 1)}


@pytest.mark.parametrize("source", CALLS)
def test_a_tool_call_is_one_whoever_wrote_it(calls: dict[str, dict[str, Any]], source: str) -> None:
    """Kind, tool, call id, and digests that are equal over all sources and equal to the SDK's own."""
    assert fields(calls[source], "kind", "tool", "tool_call_id", "args_state", "args_digest", "result_digest") == (
        "tool", "charge", "call_1", "known", digest(ARGUMENTS), digest("done"),
    )  # fmt: skip
    assert fields(calls[source], "result_empty", "status", "result_error") == (False, "unset", False)


def test_each_call_has_its_dialect(calls: dict[str, dict[str, Any]]) -> None:
    """By the scope that made the span, else by its marker attributes."""
    found = {source: row["dialect"] for source, row in calls.items()}
    assert found == {
        "driftline": "driftline", "gen_ai": "gen_ai", "gen_ai, arguments as a map": "gen_ai",
        "gen_ai, without operation": "gen_ai", "mcp server": "gen_ai", "openinference": "openinference",
        "openinference, dual write": "openinference", "langfuse": "langfuse",
    }  # fmt: skip


# -- model calls

MODEL_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "gen_ai": (
        "opentelemetry.instrumentation.genai.openai",
        {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5-0801", "gen_ai.conversation.id": "conv", "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_write.input_tokens": 5, "gen_ai.usage.reasoning.output_tokens": 7,
            "gen_ai.response.finish_reasons": ["stop"],
        },
    ),
    "gen_ai, older names": (
        "semantic_kernel",
        {
            "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.response.model": "gpt-5-0801",
            "gen_ai.conversation.id": "conv", "gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 60, "gen_ai.usage.cache_creation.input_tokens": 5,
            "gen_ai.usage.reasoning.output_tokens": 7, "gen_ai.response.finish_reasons": '["stop"]',
        },
    ),
    "openinference": (
        "openinference.instrumentation.openai",
        {
            "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "gpt-5-0801",
            "session.id": "conv", "llm.token_count.prompt": 100, "llm.token_count.completion": 20,
            "llm.token_count.total": 120, "llm.token_count.prompt_details.cache_read": 60,
            "llm.token_count.prompt_details.cache_write": 5, "llm.token_count.completion_details.reasoning": 7,
            "gen_ai.response.finish_reasons": ["stop"],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", MODEL_CALLS)
def test_a_model_call_is_one_whoever_wrote_it(source: str) -> None:
    """Model as answered, tokens once: cached and reasoning tokens are part of input and output, never added."""
    scope, attributes = MODEL_CALLS[source]
    row = step(attributes, name="chat gpt-5", scope=scope, kind="CLIENT")
    assert fields(row, "kind", "model", "provider", "conversation_id", "finish_reasons") == (
        "llm", "gpt-5-0801", "openai", "conv", ["stop"],
    )  # fmt: skip
    tokens = ("tokens_input", "tokens_output", "tokens_cache_read", "tokens_cache_write", "tokens_reasoning")
    assert fields(row, *tokens) == (100, 20, 60, 5, 7)


def test_langfuse_usage_is_read_from_its_json() -> None:
    """Numbers inside a JSON text."""
    attributes = {
        "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-5",
        "langfuse.observation.usage_details": '{"input": 100, "output": 20, "total": 120}', "session.id": "conv",
        "langfuse.trace.name": "booking",
    }  # fmt: skip
    row = step(attributes, scope="langfuse-sdk")
    assert fields(row, "kind", "model", "tokens_input", "tokens_output") == ("llm", "gpt-5", 100, 20)
    assert fields(row, "conversation_id", "workflow") == ("conv", "booking")


def test_tokens_not_said_are_not_zero() -> None:
    """And zero is a number."""
    row = step({"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 0})
    assert fields(row, "tokens_input", "tokens_output") == (None, 0)


# -- what kind of work a span is

KINDS: list[tuple[str, dict[str, Any], str]] = [
    *((word, {"gen_ai.operation.name": word}, kind) for word, kind in {
        "invoke_workflow": "run", "invoke_agent": "agent", "create_agent": "agent", "plan": "step", "chat": "llm",
        "generate_content": "llm", "text_completion": "llm", "embeddings": "llm", "retrieval": "retrieval",
        "search_memory": "memory", "create_memory": "memory", "update_memory": "memory", "upsert_memory": "memory",
        "delete_memory": "memory", "read_memory": "memory", "step": "step", "validate": "validation",
        "a_newer_operation": "other",
    }.items()),
    *((word, {"openinference.span.kind": word}, kind) for word, kind in {
        "LLM": "llm", "EMBEDDING": "llm", "TOOL": "tool", "AGENT": "agent", "CHAIN": "step", "RETRIEVER": "retrieval",
        "RERANKER": "step", "GUARDRAIL": "validation", "EVALUATOR": "validation", "UNKNOWN": "other",
    }.items()),
    *((word, {"langfuse.observation.type": word}, kind) for word, kind in {
        "generation": "llm", "embedding": "llm", "agent": "agent", "tool": "tool", "chain": "step",
        "retriever": "retrieval", "evaluator": "validation", "guardrail": "validation",
    }.items()),
    ("unknown operation with a tool", {"gen_ai.operation.name": "new", "gen_ai.tool.name": "t"}, "tool"),
    ("memory without operation", {"gen_ai.memory.store.id": "m", "gen_ai.memory.record.id": "r"}, "memory"),
    ("model without operation", {"gen_ai.request.model": "gpt-5"}, "llm"),
    ("message sent", {"messaging.operation.type": "send"}, "send"),
    ("message taken", {"messaging.operation.type": "process"}, "process"),
    ("nothing said", {"http.request.method": "GET"}, "other"),
]  # fmt: skip


def test_kinds() -> None:
    """From every source's own word; an operation nobody knows is kept by its name."""
    rows = steps(*(span(name, attributes) for name, attributes, _ in KINDS))
    assert {name: row["kind"] for row, (name, _, _) in zip(rows, KINDS, strict=True)} == {
        name: kind for name, _, kind in KINDS
    }
    assert next(row for row in rows if row["name"] == "a_newer_operation")["operation"] == "a_newer_operation"


def test_kinds_from_span_names_and_span_kinds() -> None:
    """The last resort, when attributes say nothing."""
    rows = steps(
        span("execute_tool charge"),
        span("invoke_agent billing"),
        span("invoke_workflow order"),
        span("q", kind="PRODUCER"),
        span("q", kind="CONSUMER"),
        span("tools/call charge", {"mcp.method.name": "tools/call"}, kind="CLIENT"),
    )
    assert [fields(row, "kind", "tool", "agent", "workflow") for row in rows] == [
        ("tool", "charge", "", ""), ("agent", "", "billing", ""), ("run", "", "", "order"), ("send", "", "", ""),
        ("process", "", "", ""), ("tool", "charge", "", ""),
    ]  # fmt: skip


# -- who, where, how it ended


def test_identity() -> None:
    """Agent, run, conversation, step: each by its sources' keys in order."""
    rows = steps(
        span("1", {"gen_ai.agent.name": "planner", "agent.name": "other", "gen_ai.agent.call.id": "run-7"}),
        span("2", {"openinference.span.kind": "AGENT", "graph.node.id": "planner"}),
        span("3", {"openinference.span.kind": "CHAIN", "graph.node.id": "planner"}),
        span("4", {"openinference.span.kind": "CHAIN", "metadata": '{"thread_id": 7, "langgraph_node": "plan"}'}),
        span("5", {"temporalWorkflowID": "wf"}),
        span("6", {"dbos.operation.workflow_id": "wf"}),
        span("7", {"operationUUID": "wf", "driftline.run.id": "ours"}),
    )
    named = ("agent", "agent_instance", "step_name", "conversation_id", "run_id", "dialect")
    assert [fields(row, *named) for row in rows] == [
        ("planner", "run-7", "", "", "", "other"), ("planner", "", "planner", "", "", "openinference"),
        ("", "", "planner", "", "", "openinference"), ("", "", "plan", "7", "", "openinference"),
        ("", "", "", "", "wf", "durable"), ("", "", "", "", "wf", "other"), ("", "", "", "", "ours", "driftline"),
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["langsmith.trace.session_id", "mcp.session.id", "db.cassandra.session"])
def test_what_looks_like_a_conversation_and_is_none(key: str) -> None:
    """A project, a transport, a database connection."""
    assert step({key: "x", "gen_ai.operation.name": "chat"})["conversation_id"] == ""


def test_errors() -> None:
    """Status and type; UNSET is no failure, an error inside a result is told apart, Langfuse has a level."""
    exception = [("exception", {"exception.type": "TimeoutError", "exception.message": "too late"})]
    rows = steps(
        span("1", {"error.type": "tool_error"}, status="ERROR", message="broken"),
        span("2", status="ERROR", events=exception),
        span("3", {"gen_ai.tool.call.result": {"isError": True, "content": []}}),
        span("4", {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "no"}),
        span("5", {"langfuse.observation.level": "WARNING"}),
        span("6", status="OK"),
    )
    named = ("status", "status_message", "error_type", "result_error")
    assert [fields(row, *named) for row in rows] == [
        ("error", "broken", "tool_error", False), ("error", "", "TimeoutError", False), ("unset", "", "", True),
        ("error", "no", "", False), ("unset", "", "", False), ("ok", "", "", False),
    ]  # fmt: skip


def test_general_conventions() -> None:
    """Both generations of names for HTTP, databases, source code; deliveries and resends as attempts."""
    rows = steps(
        span("new", {"http.request.method": "post", "http.response.status_code": 201, "http.request.resend_count": 2,
                     "db.operation.name": "insert", "code.file.path": "a.py", "code.line.number": 7,
                     "code.function.name": "f"}),
        span("old", {"http.method": "POST", "http.status_code": 201, "db.operation": "INSERT", "code.filepath": "a.py",
                     "code.lineno": 7, "code.function": "f", "messaging.gcp_pubsub.message.delivery_attempt": 3}),
    )  # fmt: skip
    named = ("http_method", "http_status", "db_operation", "code_file", "code_line", "code_function", "attempt")
    assert [fields(row, *named) for row in rows] == [("POST", 201, "INSERT", "a.py", 7, "f", 3)] * 2


def test_resource_and_flags() -> None:
    """Service, instance, host, made-up clocks; a remote parent; what was dropped; where the links lead."""
    one = span("x", trace=5, links=[(7, 8)], flags=0x301)
    one.dropped_attributes_count = 4
    resource = {
        "service.name": "shop", "service.version": "1", "service.instance.id": "i", "host.id": "h",
        "driftline.clock": "synthetic",
    }  # fmt: skip
    (row,) = steps(one, scope="s", resource=resource)
    assert fields(row, "service", "service_version", "instance", "host", "clock", "scope") == (
        "shop", "1", "i", "h", "synthetic", "s",
    )  # fmt: skip
    assert fields(row, "remote_parent", "dropped_attributes") == (True, 4)
    assert (row["link_traces"], row["link_spans"]) == ([f"{7:032x}"], [f"{8:016x}"])


def test_our_own_vocabulary_reaches_its_columns() -> None:
    """Every `driftline.*` attribute of a tool call, numbers as numbers, lists as lists."""
    said: dict[str, Any] = {
        "run.id": "r", "run.parent_id": "p", "agent.instance": "a1", "variant": "v", "seq": 4, "seq.end": 9,
        "uow": "u", "uow.atomic": True, "step.name": "s", "outcome": "Complete", "expects": ["tool:x", "step:y*2"],
        "call.id": "c", "attempt": 2, "attempt.max": 3, "attempt.reason": "timeout", "replayed": True,
        "effect": "write", "effect.idempotent": False, "effect.key": "k", "effect.targets": ["order/1"],
        "effect.outcome": "applied", "effect.compensates": "c0", "effect.used": ["notes/a@v1"],
        "validation.name": "check", "validation.verdict": "PASS", "validation.targets": ["call:c"],
        "context.tools_offered": 5, "context.items": 6,
    }  # fmt: skip
    row = step({f"driftline.{key}": value for key, value in said.items()}, scope="driftline")
    columns = {
        "run.id": "run_id", "run.parent_id": "run_parent_id", "step.name": "step_name", "effect.used": "used",
        "validation.name": "validation", "context.tools_offered": "context_tools",
    }  # fmt: skip
    found = {key: row[columns.get(key, key.replace(".", "_"))] for key in said}
    assert found == {**said, "outcome": "complete", "validation.verdict": "pass"}


def test_a_key_two_sources_share_has_one_place_in_its_field() -> None:
    """Two orders for one key would make the result a matter of luck; a wider condition may come later."""
    places: dict[tuple[str, str, str], set[int]] = {}
    for dialect in load_dialects():
        for key in dialect.keys:
            if not key.only and not key.when:
                places.setdefault((key.field, key.attribute, key.member), set()).add(key.order)
    assert {at: orders for at, orders in places.items() if len(orders) > 1} == {}
