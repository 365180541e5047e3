"""Requests of an agent program's spans, for benchmarks: 12 attributes each, events, links, values that are lists."""

from __future__ import annotations

import json
import random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SPANS = 512  # in a request: the batch size of OpenTelemetry's own processor


def requests(count: int, seed: int = 1) -> list[bytes]:
    """Serialized requests; the same for the same seed."""
    chance = random.Random(seed)
    return [_request(chance).SerializeToString() for _ in range(count)]


def _request(chance: random.Random) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    resource = {"service.name": "shop-agents", "service.version": "2026.11", "host.name": f"node-{chance.randrange(8)}"}
    resource["service.instance.id"] = chance.randbytes(8).hex()
    _fill(group.resource.attributes, resource)
    scoped = group.scope_spans.add()
    scoped.scope.name = "driftline"
    clock = 1_790_000_000_000_000_000 + chance.randrange(10**14)
    while len(scoped.spans) < SPANS:
        run, trace, parent = chance.randbytes(6).hex(), chance.randbytes(16), b""
        for number in range(min(16, SPANS - len(scoped.spans))):
            span = scoped.spans.add(trace_id=trace, span_id=chance.randbytes(8), parent_span_id=parent)
            span.start_time_unix_nano = clock
            clock += chance.randrange(10**5, 10**8)
            span.end_time_unix_nano = clock
            _shape(chance, span, run, number)
            parent = parent or span.span_id
    return request


def _shape(chance: random.Random, span: Span, run: str, number: int) -> None:
    """One of four shapes in turn: agent turn, model call, tool call, memory read; 12 attributes each."""
    common = {"driftline.run.id": run, "driftline.seq": 2 * number, "driftline.seq.end": 2 * number + 1}
    common["gen_ai.agent.name"] = chance.choice(("planner", "researcher", "writer", "reviewer"))
    code = {"code.file.path": "agents/work.py", "code.line.number": chance.randrange(400), "code.function.name": "act"}
    if number % 4 == 0:
        span.name, span.kind = "invoke_agent planner", Span.SPAN_KIND_INTERNAL
        said = {"gen_ai.operation.name": "invoke_agent", "driftline.outcome": "complete", "driftline.variant": "b"}
        said |= {"gen_ai.conversation.id": run, "driftline.expects": ["tool:charge", "step:review*2"]}
        if span.parent_span_id:
            span.links.add(trace_id=span.trace_id, span_id=span.parent_span_id)
    elif number % 4 == 1:
        span.name, span.kind = "chat gpt-5", Span.SPAN_KIND_CLIENT
        said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5", "gen_ai.provider.name": "openai"}
        said |= {"gen_ai.usage.input_tokens": chance.randrange(9000), "gen_ai.response.finish_reasons": ["stop"]}
        event = span.events.add(name="gen_ai.choice", time_unix_nano=span.end_time_unix_nano)
        _fill(event.attributes, {"finish_reason": "stop", "index": 0})
    elif number % 4 == 2:
        span.name, span.kind = "execute_tool charge", Span.SPAN_KIND_INTERNAL
        said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge", "driftline.effect": "write"}
        said["gen_ai.tool.call.arguments"] = json.dumps({"order": chance.randrange(10**6), "note": "x" * 40})
        said["driftline.effect.targets"] = [f"order/{chance.randrange(10**6)}"]
        if chance.random() < 0.05:
            span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "timed out"
    else:
        span.name, span.kind = "read_memory notes", Span.SPAN_KIND_CLIENT
        said = {"gen_ai.operation.name": "read_memory", "gen_ai.memory.store.id": "notes"}
        said |= {"driftline.memory.keys": ["plan", "facts"], "driftline.memory.versions": ["v3", "v9"]}
        said["driftline.memory.version_kind"] = "native"
    _fill(span.attributes, {**common, **said, **code})


def _fill(target: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        slot = target.add(key=key).value
        if isinstance(value, list):
            slot.array_value.SetInParent()
            for item in value:
                slot.array_value.values.add(string_value=item)
        elif isinstance(value, int):
            slot.int_value = value
        else:
            slot.string_value = value
