"""From ended spans to OTLP: our exporter beside whatever the program already has."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from driftline import attributes as at
from driftline._guard import guarded, warn_once
from driftline._process import process_resource

_QUEUE = 8192
_DELAY_MS = 500.0


class ProcessResourceExporter(SpanExporter):
    """Adds to every span's resource what its provider left out.

    A provider's resource cannot be changed, and it lacks `service.instance.id`, the scope of the logical clock. What
    the provider does say is kept. After a fork the child's spans get the child's identity.
    """

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._merged: dict[tuple[int, int], Resource] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export *spans* with whole resources; a failure is logged once and never raised."""
        result = SpanExportResult.FAILURE
        with guarded("exporting spans"):
            result = self._inner.export([self._complete(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            warn_once("export", "driftline cannot reach its collector; spans are dropped until it answers")
        return result

    def shutdown(self) -> None:
        """Close the transport."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the transport."""
        return self._inner.force_flush(timeout_millis)

    def _complete(self, span: ReadableSpan) -> ReadableSpan:
        key = (id(span.resource), os.getpid())
        if key not in self._merged:
            own = process_resource()
            said = {**own, **span.resource.attributes, "service.instance.id": own["service.instance.id"]}
            said["process.pid"] = own["process.pid"]
            self._merged[key] = Resource(said, span.resource.schema_url)
        return _copy(span, resource=self._merged[key])


class Exporting:
    """The processor driftline added to a provider, and how to flush and end it."""

    def __init__(self, provider: TracerProvider, exporter: SpanExporter) -> None:
        self.provider = provider
        self.processor: SpanProcessor = BatchSpanProcessor(
            ProcessResourceExporter(exporter), max_queue_size=_QUEUE, schedule_delay_millis=_DELAY_MS
        )
        provider.add_span_processor(self.processor)
        atexit.register(self.close, 5.0)

    def announce(self, span: Any) -> None:
        """Export a pending copy of a span that has just begun, so that a crash leaves a trace of it."""
        if isinstance(span, Span):
            copy = _copy(span, attributes={**(span.attributes or {}), at.PENDING: True}, end_time=span.start_time)
            self.processor.on_end(copy)

    def flush(self, timeout: float) -> bool:
        """Send what has ended; false if that took longer than *timeout* seconds."""
        return bool(self.processor.force_flush(int(timeout * 1000)))

    def close(self, timeout: float) -> None:
        """Flush and end the processor. Safe to call twice."""
        atexit.unregister(self.close)
        with guarded("shutting down"):
            self.flush(timeout)
            self.processor.shutdown()


def _copy(span: ReadableSpan, **changes: Any) -> ReadableSpan:
    parts: dict[str, Any] = {
        "name": span.name,
        "context": span.get_span_context(),
        "parent": span.parent,
        "resource": span.resource,
        "attributes": span.attributes,
        "events": span.events,
        "links": span.links,
        "kind": span.kind,
        "status": span.status,
        "start_time": span.start_time,
        "end_time": span.end_time,
        "instrumentation_scope": span.instrumentation_scope,
    }
    return ReadableSpan(**{**parts, **changes})


def provider_in_use() -> TracerProvider | None:
    """The program's own SDK provider, if it has set one."""
    found = trace.get_tracer_provider()
    return found if isinstance(found, TracerProvider) else None
