"""What a client's SDK held in its hands, and what `otel_traces` says of it, in one form that can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import plain_decoding
from opentelemetry.sdk.trace import ReadableSpan
from otlp_requests import any_value

from driftline.collector.store import Store

_TIMES = ("Timestamp", "Events.Timestamp")
_TEXTS = ("ResourceAttributes", "SpanAttributes")
_LISTS = ("Events.Attributes", "Links.Attributes")


def stored(store: Store) -> dict[str, dict[str, Any]]:
    """Every column of every span, by the span's name."""
    found = store.rows(
        "SELECT *, toUnixTimestamp64Nano(Timestamp) AS Began,"
        " arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`) AS Happened FROM otel_traces FINAL"
    )
    for row in found:
        row["Timestamp"], row["Events.Timestamp"] = row.pop("Began"), row.pop("Happened")
    return {row["SpanName"]: comparable(row) for row in found}


def comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute texts that are JSON as their values: white space in them is the engine's choice."""
    out = {name: list(value) if isinstance(value, (list, tuple)) else value for name, value in row.items()}
    for name in _TEXTS:
        out[name] = {key: _value(text) for key, text in row[name].items()}
    for name in _LISTS:
        out[name] = [{key: _value(text) for key, text in attributes.items()} for attributes in row[name]]
    return out


def of_python(span: ReadableSpan) -> dict[str, Any]:
    """The row of a span of the Python SDK."""
    context, parent, scope = span.get_span_context(), span.parent, span.instrumentation_scope
    assert context is not None and scope is not None and span.end_time is not None and span.start_time is not None
    return _row(
        name=span.name, kind=plain_decoding.KINDS[span.kind.value + 1],
        ids=[f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{parent.span_id:016x}" if parent else ""],
        times=[span.start_time, span.end_time], status=span.status.status_code.value,
        message=span.status.description or "", attributes=span.attributes or {},
        events=[(event.name, event.timestamp, event.attributes or {}) for event in span.events],
        links=[
            (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", link.attributes or {})
            for link in span.links
        ],
        dropped=[span.dropped_attributes, span.dropped_events, span.dropped_links],
        resource=span.resource.attributes, scope=[scope.name, scope.version or ""],
    )  # fmt: skip


def of_javascript(span: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a span as `javascript/send.mjs` prints it."""
    return _row(
        name=span["name"], kind=plain_decoding.KINDS[span["kind"] + 1],
        ids=[span["traceId"], span["spanId"], span["parentSpanId"]], times=[int(span["start"]), int(span["end"])],
        status=span["status"]["code"], message=span["status"].get("message", ""), attributes=span["attributes"],
        events=[(event["name"], int(event["time"]), event["attributes"]) for event in span["events"]],
        links=[(link["traceId"], link["spanId"], link["attributes"]) for link in span["links"]],
        dropped=span["dropped"], resource=span["resource"], scope=span["scope"],
    )  # fmt: skip


def _row(
    *, name: str, kind: str, ids: list[str], times: list[int], status: int, message: str, attributes: Mapping[str, Any],
    events: list[tuple[str, int, Any]], links: list[tuple[str, str, Any]], dropped: list[int],
    resource: Mapping[str, Any], scope: list[str],
) -> dict[str, Any]:  # fmt: skip
    return comparable(
        {
            "SpanName": name, "SpanKind": kind, "TraceId": ids[0], "SpanId": ids[1], "ParentSpanId": ids[2],
            "Timestamp": times[0], "Duration": times[1] - times[0], "StatusCode": plain_decoding.STATUSES[status],
            "StatusMessage": message, "SpanAttributes": _texts(attributes), "ResourceAttributes": _texts(resource),
            "ServiceName": resource["service.name"], "ScopeName": scope[0], "ScopeVersion": scope[1],
            "Events.Name": [event[0] for event in events], "Events.Timestamp": [event[1] for event in events],
            "Events.Attributes": [_texts(event[2]) for event in events],
            "Links.TraceId": [link[0] for link in links], "Links.SpanId": [link[1] for link in links],
            "Links.Attributes": [_texts(link[2]) for link in links],
            "DroppedAttributes": dropped[0], "DroppedEvents": dropped[1], "DroppedLinks": dropped[2],
        }
    )  # fmt: skip


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {key: plain_decoding.text_of(any_value(value)) for key, value in attributes.items()}


def _value(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return text
    try:
        return ("JSON", json.loads(text))
    except ValueError:
        return text
