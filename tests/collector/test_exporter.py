"""The OpenTelemetry SDK's own exporter against the real receiver and the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from serving_apps import listening

from driftline.collector import Collector, create_receiver
from driftline.collector.store import Store


@pytest.fixture
def collector(store: Store, tmp_path: Path) -> Iterator[Collector]:
    found = Collector(store, tmp_path)
    found.start()
    yield found
    found.stop(10)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_what_the_exporter_sends_is_in_the_store(store: Store, collector: Collector, compression: Compression) -> None:
    """Names, kinds, times, statuses, attributes of every type, events, links, resource and scope."""
    with listening(create_receiver(collector)) as address:
        exporter = OTLPSpanExporter(f"{address}/v1/traces", compression=compression)
        provider = TracerProvider(resource=Resource({"service.name": "shop", "service.version": "1.2"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("my.scope", "3.4")
        with tracer.start_as_current_span("outer") as outer:
            linked = Link(outer.get_span_context(), {"why": "test"})
            with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, links=[linked]) as inner:
                inner.set_attributes({"text": "é", "yes": True, "many": ["a", "b"], "whole": 3, "half": 0.5})
                inner.add_event("happened", {"n": 1})
                inner.set_status(Status(StatusCode.ERROR, "broken"))
        provider.shutdown()
        assert collector.flush(60)
    found = {
        row["SpanName"]: row
        for row in store.rows("SELECT *, toUnixTimestamp64Nano(Timestamp) AS ns FROM otel_traces FINAL")
    }
    row = found["inner"]
    assert set(found) == {"outer", "inner"}
    assert row["SpanAttributes"] == {"text": "é", "yes": "true", "many": '["a","b"]', "whole": "3", "half": "0.5"}
    assert (row["SpanKind"], row["StatusCode"], row["StatusMessage"]) == ("Client", "Error", "broken")
    assert (row["ServiceName"], row["ScopeName"], row["ScopeVersion"]) == ("shop", "my.scope", "3.4")
    assert row["ParentSpanId"] == found["outer"]["SpanId"] == row["Links.SpanId"][0]
    assert row["Links.Attributes"][0] == {"why": "test"}
    assert (list(row["Events.Name"]), row["Events.Attributes"][0]) == (["happened"], {"n": "1"})
    read: Any = inner
    assert (row["ns"], row["Duration"]) == (read.start_time, read.end_time - read.start_time)


def test_an_exporter_told_to_wait_comes_back(store: Store, collector: Collector) -> None:
    """503 while the log is full; the exporter tries again by itself and the span is stored once."""
    collector._limit = -1
    answers: list[int] = []
    receiver = create_receiver(collector)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                answers.append(message["status"])
                collector._limit = 10**9
            await send(message)

        await receiver(scope, receive, watched)

    with listening(app) as address:
        exporter = OTLPSpanExporter(f"{address}/v1/traces")
        provider = TracerProvider()
        with provider.get_tracer("t").start_as_current_span("patient") as span:
            pass
        assert exporter.export([span]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
    assert answers == [503, 200]
    assert collector.flush(60)
    assert store.value("SELECT count() FROM otel_traces") == 1
