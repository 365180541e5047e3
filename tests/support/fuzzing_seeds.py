"""Requests from which a fuzzer begins: every kind of value in every place, in protobuf and in OTLP/JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from otlp_requests import any_value, fill, request, span

VALUES: dict[str, Any] = {
    "text": "é", "yes": True, "whole": 2**63 - 1, "negative": -(2**63), "half": 0.5, "nan": float("nan"),
    "inf": float("inf"), "bytes": b"\x00\xff", "empty": None, "list": ["a", "b"], "none": [],
    "map": {"a": {"b": [1, None, {"c": b"x"}]}, "d": {}}, "mixed": [1, "a", [2.5], {"e": True}],
}  # fmt: skip
_IDS = ("traceId", "spanId", "parentSpanId")


def traces() -> Any:
    """Two spans, events, links; one with every value, one with none."""
    whole = span(
        "whole", VALUES, trace=1, number=2, parent=3, kind="CLIENT", status="ERROR", message="why", flags=257,
        events=[("exception", VALUES)], links=[(5, 6)],
    )  # fmt: skip
    whole.dropped_attributes_count = whole.dropped_events_count = whole.dropped_links_count = 7
    found = request(whole, span("bare", trace=1, number=3), span("no id", trace=bytes(16)), scope="s", version="1")
    fill(found.resource_spans[0].scope_spans[0].scope.attributes, VALUES)
    return found


def logs() -> Any:
    """Records with each kind of body, and an event."""
    found = ExportLogsServiceRequest()
    records = found.resource_logs.add().scope_logs.add().log_records
    for value in VALUES.values():
        record = records.add(time_unix_nano=1, trace_id=b"\1" * 16, span_id=b"\2" * 8, event_name="gen_ai.choice")
        record.body.CopyFrom(any_value(value))
        fill(record.attributes, VALUES)
    records.add(trace_id=b"short", span_id=b"\2" * 8)
    return found


def metrics() -> Any:
    """A sum and a gauge."""
    found = ExportMetricsServiceRequest()
    held = found.resource_metrics.add().scope_metrics.add().metrics
    point = held.add(name="tokens").sum.data_points.add(as_int=1)
    point.exemplars.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, as_double=0.5)
    held.add(name="heat").gauge.data_points.add(as_double=0.5)
    return found


def as_json(message: Any) -> dict[str, Any]:
    """A request in OTLP/JSON: ids in hex, enums as numbers."""
    data: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    _to_hex(data)
    return data


def bodies() -> Iterator[tuple[str, str, bytes]]:
    """Signal, content type and body of each."""
    for signal, message in (("traces", traces()), ("logs", logs()), ("metrics", metrics())):
        yield signal, "application/x-protobuf", message.SerializeToString()
        yield signal, "application/json", json.dumps(as_json(message)).encode()


def _to_hex(data: Any) -> None:
    if isinstance(data, list):
        for item in data:
            _to_hex(item)
    elif isinstance(data, dict):
        for name, value in data.items():
            if name in _IDS:
                data[name] = base64.b64decode(value).hex()
            else:
                _to_hex(value)
