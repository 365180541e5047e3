"""Attribute values that have no columns: maps, and arrays inside arrays, become JSON text before they are stored.

ClickHouse reads scalars and flat arrays itself; a recursive type it cannot, and an empty array it cannot tell from
none. Most requests hold no such value, so the bytes are searched for one first, and only a request with a candidate is
walked in Python. The text is that of the OpenTelemetry ClickHouse exporter: members sorted, 1.0 written as 1.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from driftline.collector.otlp.signals import Request
from driftline.collector.wire_search import may_hold_nested, may_hold_reference

_LONG = 1e21  # from here on a double is written with an exponent; below, with its shortest digits and zeros


def flatten_nested(request: Request, wire: bytes | None = None) -> bool:
    """Rewrite nested values in *request* as JSON text; true if there was one. *wire*: its bytes, if at hand."""
    if not may_hold_nested(request.SerializeToString() if wire is None else wire):
        return False
    return sum(_rewrite(value) for value in _values(request)) > 0


def _values(request: Request) -> Iterator[AnyValue]:
    """Every value in a request for traces or logs."""
    for group in (*getattr(request, "resource_spans", ()), *getattr(request, "resource_logs", ())):
        yield from _of(group.resource)
        for scoped in (*getattr(group, "scope_spans", ()), *getattr(group, "scope_logs", ())):
            yield from _of(scoped.scope)
            for span in getattr(scoped, "spans", ()):
                yield from _of(span)
                for part in (*span.events, *span.links):
                    yield from _of(part)
            for record in getattr(scoped, "log_records", ()):
                yield record.body
                yield from _of(record)


def _of(holder: Any) -> Iterator[AnyValue]:
    for attribute in holder.attributes:
        yield attribute.value


def empty_references(request: Request, wire: bytes) -> int:
    """Empty the values that refer to a table of strings (profiles have one); how many there were."""
    found = 0
    for value in _values(request) if may_hold_reference(wire) else ():
        if value.WhichOneof("value") == "string_value_strindex":
            value.Clear()
            found += 1
    return found


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
    if isinstance(plain, float):
        if not math.isfinite(plain):
            return str(plain)
        return int(Decimal(repr(plain))) if plain.is_integer() and abs(plain) < _LONG else plain
    return plain


def _rewrite(value: AnyValue) -> bool:
    if value.HasField("kvlist_value") or (value.HasField("array_value") and _has_no_columns(value.array_value.values)):
        value.string_value = json.dumps(value_of(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return True
    return False


def _has_no_columns(elements: Any) -> bool:
    return not elements or any(item.HasField("array_value") or item.HasField("kvlist_value") for item in elements)
