"""OTLP to the OpenTelemetry ClickHouse exporter's rows in plain Python: slow, obvious, and independent of ours.

Text forms after the exporter (pdata's `AsString`): strings as they are, `true`/`false`, integers, doubles as ECMAScript
writes them, bytes in base64, arrays and maps as JSON with sorted members, nothing for the empty value.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

KINDS = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"]
STATUSES = ["Unset", "Ok", "Error"]
LATEST = 2**63 - 1  # nanoseconds: the last moment a DateTime64(9) has


def rows(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """One row a span with valid ids, by column name; times in nanoseconds, attributes as `Text`."""
    found = []
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                if (
                    len(span.trace_id) != 16
                    or len(span.span_id) != 8
                    or not any(span.trace_id)
                    or not any(span.span_id)
                ):
                    continue
                found.append(
                    {
                        "Timestamp": min(span.start_time_unix_nano, LATEST),
                        "TraceId": span.trace_id.hex(),
                        "SpanId": span.span_id.hex(),
                        "ParentSpanId": span.parent_span_id.hex() if any(span.parent_span_id) else "",
                        "TraceState": span.trace_state,
                        "SpanName": span.name,
                        "SpanKind": KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "Unspecified",
                        "ServiceName": resource.get("service.name", ""),
                        "ResourceAttributes": resource,
                        "ScopeName": scoped.scope.name,
                        "ScopeVersion": scoped.scope.version,
                        "SpanAttributes": _attributes(span.attributes),
                        "Duration": max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
                        "StatusCode": STATUSES[span.status.code] if 0 <= span.status.code < 3 else "Unset",
                        "StatusMessage": span.status.message,
                        "Events.Timestamp": [min(event.time_unix_nano, LATEST) for event in span.events],
                        "Events.Name": [event.name for event in span.events],
                        "Events.Attributes": [_attributes(event.attributes) for event in span.events],
                        "Links.TraceId": [link.trace_id.hex() for link in span.links],
                        "Links.SpanId": [link.span_id.hex() for link in span.links],
                        "Links.TraceState": [link.trace_state for link in span.links],
                        "Links.Attributes": [_attributes(link.attributes) for link in span.links],
                        "Flags": span.flags,
                        "DroppedAttributes": span.dropped_attributes_count,
                        "DroppedEvents": span.dropped_events_count,
                        "DroppedLinks": span.dropped_links_count,
                    }
                )
    return found


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key: text_of(pair.value) for pair in pairs}  # of a key given twice the last value stays


def text_of(value: AnyValue) -> str:
    """The value as the exporter writes it at the top."""
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    if plain is None:
        return ""
    if isinstance(plain, float):
        return ecmascript(plain)
    return _json(plain)


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def _json(plain: Any) -> str:
    if isinstance(plain, list):
        return "[" + ",".join(_json(item) for item in plain) + "]"
    if isinstance(plain, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_json(plain[key])}" for key in sorted(plain)) + "}"
    if isinstance(plain, float):
        return ecmascript(plain) if math.isfinite(plain) else f'"{ecmascript(plain)}"'
    return json.dumps(plain)


def ecmascript(number: float) -> str:
    """A double as ECMAScript's Number::toString writes it; what is not finite as ClickHouse does (and -0 likewise)."""
    if not math.isfinite(number):
        return str(number)
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    mantissa, _, exponent = repr(number).partition("e")
    digits = mantissa.lstrip("-").replace(".", "").strip("0")
    whole = mantissa.lstrip("-").partition(".")[0]
    leading = len(mantissa.lstrip("-").replace(".", "")) - len(mantissa.lstrip("-").replace(".", "").lstrip("0"))
    point = len(whole) - leading + int(exponent or 0)
    sign = "-" if number < 0 else ""
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
