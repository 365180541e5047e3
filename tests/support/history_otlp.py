"""From the spans of a history to the OTLP requests a program would have sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from history_notation import MS, HistorySpan
from history_words import OPERATIONS
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def framed(batches: Iterable[ExportTraceServiceRequest]) -> bytes:
    """Requests in ClickHouse's length-delimited form."""
    bodies = [batch.SerializeToString() for batch in batches]
    return b"".join(part for body in bodies for part in (_varint(len(body)), body))


def request_of(process: str, spans: list[HistorySpan], shift_ms: float) -> ExportTraceServiceRequest:
    """The spans of one process as an OTLP request; *shift_ms* moves its wall clock."""
    request = ExportTraceServiceRequest()
    by_scope: dict[tuple[str, str, str], Any] = {}
    for span in spans:
        scope, service = span.words.get("scope", "driftline"), span.words.get("service", "agents")
        clock = span.words.get("clock", "")
        if (scope, service, clock) not in by_scope:
            group = request.resource_spans.add()
            resource = {"service.name": service, "service.instance.id": process, "host.name": span.host}
            if clock:
                resource["driftline.clock"] = clock
            fill(group.resource.attributes, resource)
            by_scope[scope, service, clock] = group.scope_spans.add()
            by_scope[scope, service, clock].scope.name = scope
        _fill_span(by_scope[scope, service, clock].spans.add(), span, int(shift_ms * MS))
    return request


def _fill_span(out: Span, span: HistorySpan, shift: int) -> None:
    operation, kind, _ = OPERATIONS[span.what]
    out.trace_id, out.span_id = span.trace_id, span.span_id
    if span.parent:
        out.parent_span_id = span.parent.span_id
    named = span.attributes.get("gen_ai.memory.store.id", span.subject)
    out.name = f"{operation} {named}".strip() or span.subject
    out.kind = getattr(Span, f"SPAN_KIND_{kind}")
    out.start_time_unix_nano = span.start + shift
    out.end_time_unix_nano = (span.end or span.start) + shift
    out.dropped_attributes_count = int(span.words.get("dropped", 0))
    if span.words.get("status") == "error" or "error" in span.words:
        out.status.code = Status.STATUS_CODE_ERROR
    if span.link:
        link = out.links.add()
        link.trace_id, link.span_id = span.link.trace_id, span.link.span_id
    fill(out.attributes, span.attributes)


def fill(target: Any, attributes: dict[str, Any]) -> None:
    """Append *attributes* to a repeated `KeyValue` field."""
    for key, value in attributes.items():
        slot = target.add()
        slot.key = key
        _set(slot.value, value)


def _set(slot: Any, value: Any) -> None:
    if isinstance(value, bool):
        slot.bool_value = value
    elif isinstance(value, int):
        slot.int_value = value
    elif isinstance(value, list):
        slot.array_value.SetInParent()
        for element in value:
            _set(slot.array_value.values.add(), element)
    else:
        slot.string_value = str(value)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
