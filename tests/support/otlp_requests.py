"""OTLP trace requests by hand, for tests of the collector and of the dialects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

START = 1_790_000_000_000_000_000
MS = 1_000_000

_numbers = itertools.count(1)


def span(
    name: str = "work",
    attributes: Mapping[str, Any] | None = None,
    *,
    trace: int | bytes = 1,
    number: int | bytes | None = None,
    parent: int | bytes | None = None,
    kind: str = "INTERNAL",
    start: int = START,
    ms: float = 1,
    status: str = "UNSET",
    message: str = "",
    events: Iterable[tuple[str, Mapping[str, Any]]] = (),
    links: Iterable[tuple[int, int]] = (),
    flags: int = 0,
) -> Span:
    """A span; ids are numbers (or bytes as they are), a fresh one for each span unless given."""
    found = Span(
        name=name,
        trace_id=_id(trace, 16),
        span_id=_id(next(_numbers) if number is None else number, 8),
        parent_span_id=b"" if parent is None else _id(parent, 8),
        kind=getattr(Span, f"SPAN_KIND_{kind}"),
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(ms * MS),
        flags=flags,
    )
    found.status.code = getattr(Status, f"STATUS_CODE_{status}")
    found.status.message = message
    fill(found.attributes, attributes or {})
    for event_name, values in events:
        event = found.events.add(name=event_name, time_unix_nano=start)
        fill(event.attributes, values)
    for trace_number, span_number in links:
        found.links.add(trace_id=_id(trace_number, 16), span_id=_id(span_number, 8))
    return found


def request(
    *spans: Span, resource: Mapping[str, Any] | None = None, scope: str = "", version: str = ""
) -> ExportTraceServiceRequest:
    """One request of one resource and one scope."""
    found = ExportTraceServiceRequest()
    group = found.resource_spans.add()
    fill(group.resource.attributes, {"service.name": "tests"} if resource is None else resource)
    scoped = group.scope_spans.add()
    scoped.scope.name, scoped.scope.version = scope, version
    scoped.spans.extend(spans)
    return found


def fill(target: Any, values: Mapping[str, Any]) -> None:
    """Add attributes of plain Python values."""
    for key, value in values.items():
        target.add(key=key).value.CopyFrom(any_value(value))


def any_value(value: Any) -> AnyValue:
    """A Python value as OTLP writes it: None is the empty value, a dict a kvlist."""
    found = AnyValue()
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, str):
        found.string_value = value
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, (list, tuple)):
        found.array_value.SetInParent()
        found.array_value.values.extend(any_value(item) for item in value)
    elif isinstance(value, Mapping):
        found.kvlist_value.SetInParent()
        for key, item in value.items():
            found.kvlist_value.values.add(key=key).value.CopyFrom(any_value(item))
    elif value is not None:
        raise TypeError(f"{type(value).__name__} is no OTLP value")
    return found


def _id(number: int | bytes, length: int) -> bytes:
    return number if isinstance(number, bytes) else number.to_bytes(length, "big")
