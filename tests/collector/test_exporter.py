"""The Python SDK's own exporters against the real receivers and the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import stored_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from serving_apps import listening

from driftline.collector import Collector, create_receiver
from driftline.collector.grpc_receiver import receiving
from driftline.collector.store import Store


@pytest.fixture
def collector(store: Store, tmp_path: Path) -> Iterator[Collector]:
    found = Collector(store, tmp_path)
    found.start()
    yield found
    found.stop(10)


WAYS: list[tuple[str, Any]] = [
    *(("http", compression) for compression in Compression),
    ("grpc", grpc.Compression.NoCompression),
    ("grpc", grpc.Compression.Gzip),
]


def exporter_to(way: str, compression: Any, http: str, port: int) -> SpanExporter:
    """The SDK's exporter for one of `WAYS`."""
    if way == "http":
        return OTLPSpanExporter(f"{http}/v1/traces", compression=compression)
    return GrpcExporter(f"http://127.0.0.1:{port}", insecure=True, compression=compression)


@pytest.mark.parametrize(("way", "compression"), WAYS)
def test_what_the_exporter_sends_is_in_the_store(
    store: Store, collector: Collector, way: str, compression: Any
) -> None:
    """Field by field: attributes of every type, evicted ones, dropped events and links, resource and scope."""
    with listening(create_receiver(collector)) as http, receiving(collector, "127.0.0.1:0") as port:
        provider = TracerProvider(
            resource=Resource({"service.name": "shop", "service.version": "1.2"}),
            span_limits=SpanLimits(max_span_attributes=16, max_events=2, max_links=2),
        )
        kept = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        provider.add_span_processor(SimpleSpanProcessor(exporter_to(way, compression, http, port)))
        tracer = provider.get_tracer("my.scope", "3.4")
        with tracer.start_as_current_span("outer", kind=SpanKind.SERVER) as outer:
            link = Link(outer.get_span_context(), {"why": "test", "n": 3})
            with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, links=[link] * 3) as inner:
                inner.set_attributes({"text": 'é 漢 😀 "quoted" \\ \n', "yes": True, "no": False, "empty": ""})
                inner.set_attributes({"texts": ["a", "b"], "numbers": [1, 2], "halves": [0.5, 1.0], "none": []})
                inner.set_attributes({"most": 2**63 - 1, "least": -(2**63), "half": 0.5, "tiny": 5e-324, "huge": 1e300})
                inner.set_attributes({f"more.{number}": number for number in range(10)})
                for name in ("dropped", "second", "third"):
                    inner.add_event(name, {"of": name, "n": 1.25})
                inner.set_status(Status(StatusCode.ERROR, "broken: ü"))
            outer.set_status(StatusCode.OK)
        provider.shutdown()
        assert collector.flush(60)
    expected = {span.name: stored_spans.of_python(span) for span in kept.get_finished_spans()}
    found = stored_spans.stored(store)
    assert set(found) == set(expected) == {"outer", "inner"}
    for name, row in expected.items():
        assert {column: found[name][column] for column in row} == row
    assert min(expected["inner"][column] for column in ("DroppedAttributes", "DroppedEvents", "DroppedLinks")) > 0
    assert collector.stats()["refused"] == {}


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
