"""Plain data to OTLP: attribute values, requests, and requests as OTLP/JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

_ID_MEMBERS = ("traceId", "spanId", "parentSpanId")
_INT64 = range(-(2**63), 2**63)


def any_value(value: Any) -> AnyValue:
    """JSON-able data as an attribute value; None is the empty value, an integer beyond 64 bits is text."""
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value) if value in _INT64 else AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    return AnyValue(string_value=_encodable(str(value)))


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes in the order of the mapping."""
    return [KeyValue(key=_encodable(str(key)), value=any_value(value)) for key, value in attributes.items()]


def resource_spans(resource: Mapping[str, Any], scopes: Iterable[ScopeSpans]) -> ResourceSpans:
    """The spans of one resource."""
    group = ResourceSpans(scope_spans=scopes)
    group.resource.attributes.extend(key_values(resource))
    return group


def json_line(request: ExportTraceServiceRequest) -> str:
    """*request* in OTLP/JSON on one line: ids in hex, enums as numbers."""
    data = MessageToDict(request, use_integers_for_enums=True)
    for group in data.get("resourceSpans", []):
        for scoped in group.get("scopeSpans", []):
            for span in scoped.get("spans", []):
                for holder in (span, *span.get("links", [])):
                    for member in _ID_MEMBERS:
                        if member in holder:
                            holder[member] = base64.b64decode(holder[member]).hex()
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _encodable(text: str) -> str:
    """*text* without lone surrogates, which JSON may hold and UTF-8 may not."""
    return text.encode("utf-8", "replace").decode("utf-8") if any("\ud800" <= c <= "\udfff" for c in text) else text
