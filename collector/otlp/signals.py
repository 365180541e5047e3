"""What OTLP carries, as data: where each signal is sent, and what its messages are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Request = Any  # one of the three; protobuf's messages share no useful type


@dataclass(frozen=True)
class Signal:
    """One kind of telemetry.

    *groups*, *scoped*, *items*: the fields that lead from a request to its spans, log records or metrics. *rejected*:
    the field of a partial success that counts what was left out.
    """

    name: str
    path: str
    service: str
    request: type[Any]
    response: type[Any]
    groups: str
    scoped: str
    items: str
    rejected: str

    @property
    def noun(self) -> str:
        """What one request of it is called: a trace, log or metric request."""
        return self.name.removesuffix("s")


TRACES = Signal(
    "traces",
    "/v1/traces",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    "resource_spans",
    "scope_spans",
    "spans",
    "rejected_spans",
)
LOGS = Signal(
    "logs",
    "/v1/logs",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    "resource_logs",
    "scope_logs",
    "log_records",
    "rejected_log_records",
)
METRICS = Signal(
    "metrics",
    "/v1/metrics",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    "resource_metrics",
    "scope_metrics",
    "metrics",
    "rejected_data_points",
)
SIGNALS = {signal.name: signal for signal in (TRACES, LOGS, METRICS)}


def camel(field: str) -> str:
    """A field's name in OTLP/JSON."""
    first, *rest = field.split("_")
    return first + "".join(word.title() for word in rest)
