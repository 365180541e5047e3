"""Files of traces in every form `driftline check` reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import histories
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CLEAN = """
P1 run(order) outcome=complete run=fine at=0 for=50
  P1 agent(planner) at=1 for=40
    P1 tool(charge) effect=write eo=applied call=c1 attempt=1 target=order/1 args=a at=2 for=5
"""
FAULTY = """
P1 run(order) outcome=complete run=twice at=0 for=50
  P1 agent(planner) at=1 for=40
    P1 tool(charge) effect=write eo=applied call=c1 attempt=1 target=order/1 args=a at=2 for=5
    P1 tool(charge) effect=write eo=applied call=c1 attempt=2 target=order/1 args=a at=10 for=5
"""


def jsonl(history: str, **how: Any) -> bytes:
    """A history as the OpenTelemetry Collector's file exporter writes it: one OTLP/JSON request a line."""
    return b"".join(json.dumps(as_json(one)).encode() + b"\n" for one in histories.requests(history, **how))


def protobuf(history: str, **how: Any) -> bytes:
    """A history as length-delimited protobuf."""
    return histories.framed(histories.requests(history, **how))


def as_json(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """A request in OTLP/JSON: ids in hex, enums as numbers."""
    found: dict[str, Any] = MessageToDict(request, use_integers_for_enums=True)
    for holder in _holders(found):
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in holder:
                holder[name] = base64.b64decode(holder[name]).hex()
    return found


def _holders(value: Any) -> Iterable[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _holders(inner)
