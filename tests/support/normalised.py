"""Spans as they come out of the dialect views."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_requests import request, span
from shared_store import fresh_store

from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import framed
from driftline.collector.store import Store


def stored(*requests: ExportTraceServiceRequest) -> Store:
    """A store with nothing but these requests in it, sent the collector's way."""
    store = fresh_store()
    for one in requests:
        flatten_nested(one)
    batch = b"".join(framed(one.SerializeToString()) for one in requests)
    store.insert_requests(batch, uuid.uuid4().hex)
    return store


def steps(*spans: Span, scope: str = "", resource: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of `steps` for spans of one scope, in the order given."""
    store = stored(request(*spans, scope=scope, resource=resource))
    rows = {(row["trace_id"], row["span_id"]): row for row in store.rows("SELECT * FROM steps FINAL")}
    return [
        rows[one.trace_id.hex(), one.span_id.hex()] for one in spans if (one.trace_id.hex(), one.span_id.hex()) in rows
    ]


def step(attributes: Mapping[str, Any], *, name: str = "work", scope: str = "", **how: Any) -> dict[str, Any]:
    """The row of one span."""
    (row,) = steps(span(name, attributes, **how), scope=scope)
    return row


def fields(row: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    """Some columns of a row."""
    return tuple(row[name] for name in names)
