"""Attribute values that have no columns: maps, and arrays inside arrays, become JSON text before they are stored.

ClickHouse reads scalars and flat arrays itself; a recursive type it cannot. Most requests hold no such value, so the
bytes are searched for one first, and only a request with a candidate is walked in Python.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

# A KeyValue's value (tag 0x12) that is a map (0x32), or an array's element (0x0A) that is an array or a map. Lengths
# follow each tag; a match counts only if the inner length fits the outer one, so text seldom looks like one.
_CANDIDATE = re.compile(
    rb"(?=(?:\x12(?P<outer>[\x80-\xff]{0,4}[\x00-\x7f])\x32(?P<inner>[\x80-\xff]{0,4}[\x00-\x7f]))"
    rb"|(?:\x0a(?P<outer2>[\x80-\xff]{0,4}[\x00-\x7f])[\x2a\x32](?P<inner2>[\x80-\xff]{0,4}[\x00-\x7f])))",
    re.DOTALL,
)


def flatten_nested(request: ExportTraceServiceRequest, wire: bytes | None = None) -> bool:
    """Rewrite nested values in *request* as JSON text; true if there was one. *wire*: its bytes, if at hand."""
    if not may_hold_nested(request.SerializeToString() if wire is None else wire):
        return False
    changed = False
    for group in request.resource_spans:
        changed |= _rewrite(group.resource.attributes)
        for scoped in group.scope_spans:
            changed |= _rewrite(scoped.scope.attributes)
            for span in scoped.spans:
                changed |= _rewrite(span.attributes)
                for part in (*span.events, *span.links):
                    changed |= _rewrite(part.attributes)
    return changed


def may_hold_nested(wire: bytes) -> bool:
    """Whether the bytes of a request may hold a nested value; never false when they do (minimal varints assumed)."""
    for match in _CANDIDATE.finditer(wire):
        first = match["outer"] is not None
        outer, inner = (match["outer"], match["inner"]) if first else (match["outer2"], match["inner2"])
        if _number(outer) == 1 + len(inner) + _number(inner):
            return True
    return False


def value_of(value: AnyValue) -> Any:
    """An AnyValue as JSON-able data; bytes as base64, NaN and infinities as text."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: value_of(item.value) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    plain = getattr(value, kind)
    if isinstance(plain, float) and not math.isfinite(plain):
        return str(plain)
    return plain


def _rewrite(attributes: Any) -> bool:
    changed = False
    for attribute in attributes:
        value = attribute.value
        if value.HasField("kvlist_value") or (
            value.HasField("array_value")
            and any(item.HasField("array_value") or item.HasField("kvlist_value") for item in value.array_value.values)
        ):
            value.string_value = json.dumps(value_of(value), ensure_ascii=False, separators=(",", ":"))
            changed = True
    return changed


def _number(varint: bytes) -> int:
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(varint))
