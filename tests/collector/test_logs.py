"""Log records: stored as they were sent, once, and joined to what their spans say."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plain_decoding
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TraceFlags
from otlp_requests import any_value, fill
from otlp_values import attributes, counts, texts, times, values
from serving_apps import listening

from driftline.collector import Collector, create_receiver
from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import LOGS, PROTOBUF, accept, framed, parse
from driftline.collector.store import Store

_tokens = (f"logs-{number}" for number in itertools.count())
_QUERY = """
SELECT toUnixTimestamp64Nano(Timestamp) AS Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, Body,
    LogAttributes, ScopeAttributes, ResourceAttributes, EventName, DroppedAttributes
FROM otel_logs AS o
"""


@st.composite
def records(draw: st.DrawFn) -> ExportLogsServiceRequest:
    """Any request: bodies and attributes of every kind, ids that are none."""
    sent = ExportLogsServiceRequest()
    group = sent.resource_logs.add()
    fill(group.resource.attributes, dict(draw(attributes)))
    scoped = group.scope_logs.add()
    fill(scoped.scope.attributes, dict(draw(attributes)))
    for number in range(draw(st.integers(0, 3))):
        record = scoped.log_records.add(time_unix_nano=draw(times), observed_time_unix_nano=number + 1)
        record.trace_id = draw(st.sampled_from([b"", b"\1" * 16, bytes(16), b"short"]))
        record.span_id = draw(st.sampled_from([b"", b"\2" * 8, bytes(8), b"x"]))
        record.severity_number, record.severity_text = draw(st.sampled_from([0, 9, 24])), draw(texts)
        record.event_name, record.flags = draw(texts), draw(counts)
        record.dropped_attributes_count = draw(counts)
        fill(record.attributes, dict(draw(attributes)))
        record.body.CopyFrom(any_value(draw(values)))
    return sent


def expected(sent: ExportLogsServiceRequest) -> list[dict[str, Any]]:
    """The rows in plain Python."""

    def text(pairs: Any) -> dict[str, str]:
        return {pair.key: plain_decoding.text_of(pair.value) for pair in pairs}

    def identifier(found: bytes, length: int) -> str:
        return found.hex() if len(found) == length and any(found) else ""

    group = sent.resource_logs[0]
    scoped = group.scope_logs[0]
    return [
        {
            "Timestamp": min(record.time_unix_nano or record.observed_time_unix_nano, plain_decoding.LATEST),
            "TraceId": identifier(record.trace_id, 16),
            "SpanId": identifier(record.span_id, 8) if identifier(record.trace_id, 16) else "",
            "TraceFlags": record.flags & 255,
            "SeverityText": record.severity_text,
            "SeverityNumber": record.severity_number,
            "Body": plain_decoding.text_of(record.body),
            "LogAttributes": text(record.attributes),
            "ScopeAttributes": text(scoped.scope.attributes),
            "ResourceAttributes": text(group.resource.attributes),
            "EventName": record.event_name,
            "DroppedAttributes": record.dropped_attributes_count,
        }
        for record in scoped.log_records
    ]


def comparable(found: Any) -> Any:
    """JSON by value, as white space and escapes are the engine's choice."""
    if isinstance(found, dict):
        return {key: comparable(value) for key, value in found.items()}
    if isinstance(found, str) and found[:1] in ("[", "{"):
        try:
            return ("JSON", json.dumps(json.loads(found), sort_keys=True))
        except ValueError:
            return found
    return found


def stored(store: Store, sent: ExportLogsServiceRequest, token: str = "") -> None:
    """Put a request into the store the collector's way."""
    found = parse(sent.SerializeToString(), PROTOBUF, LOGS)
    found.DiscardUnknownFields()
    flatten_nested(found)
    accepted = accept(found, LOGS)
    store.insert_requests(framed(accepted.request.SerializeToString()), token or next(_tokens), "logs")


# Not shrunk: an insert takes a while, and the example is readable as it is.
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(sent=records())
def test_rows_are_what_a_plain_decoding_gives(store: Store, sent: ExportLogsServiceRequest) -> None:
    """Every column of every record; ids that are none are no ids."""
    store.command("TRUNCATE TABLE otel_logs")
    stored(store, sent)
    order = {"key": lambda row: json.dumps(row, sort_keys=True, default=str)}
    found = sorted((comparable(row) for row in store.rows(_QUERY)), **order)
    assert found == sorted((comparable(row) for row in expected(sent)), **order)


def test_a_batch_that_is_replayed_adds_nothing(store: Store) -> None:
    """The same token twice: no row more, in no table. Sent anew, under another: one row to readers."""
    sent = failed_call()
    for token in ("same", "same"):
        stored(store, sent, token)
    assert [store.value(f"SELECT count() FROM {table}") for table in ("otel_logs", "span_facts")] == [1, 1]
    stored(store, sent, "another")
    assert [store.value(f"SELECT count() FROM {table} FINAL") for table in ("otel_logs", "span_facts")] == [1, 1]


def failed_call() -> ExportLogsServiceRequest:
    """The exception event of a model call."""
    sent = ExportLogsServiceRequest()
    record = sent.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1_790_000_000_000_000_000)
    record.trace_id, record.span_id = b"\1" * 16, b"\2" * 8
    record.event_name = "gen_ai.client.operation.exception"
    fill(record.attributes, {"exception.type": "RateLimited", "exception.message": "slow down"})
    return sent


@pytest.fixture
def collector(store: Store, tmp_path: Path) -> Iterator[Collector]:
    found = Collector(store, tmp_path)
    found.start()
    yield found
    found.stop(10)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_what_the_exporter_sends_is_in_the_store(store: Store, collector: Collector, compression: Compression) -> None:
    """The OpenTelemetry SDK's own exporter for logs, the real receiver, the real engine."""
    with listening(create_receiver(collector)) as address:
        provider = LoggerProvider(Resource({"service.name": "shop"}))
        exporter = OTLPLogExporter(f"{address}/v1/logs", compression=compression)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        provider.get_logger("my.scope", "3.4").emit(
            LogRecord(
                timestamp=1_790_000_000_000_000_001,
                trace_id=1,
                span_id=2,
                trace_flags=TraceFlags(1),
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                body={"text": "é", "many": [1, True]},
                attributes={"gen_ai.operation.name": "chat", "n": 3},
                event_name="gen_ai.client.inference.operation.details",
            )
        )
        provider.shutdown()  # type: ignore[no-untyped-call]
        assert collector.flush(60)
    row = store.rows("SELECT *, toUnixTimestamp64Nano(Timestamp) AS ns FROM otel_logs FINAL")[0]
    assert (row["TraceId"], row["SpanId"], row["ns"]) == ("0" * 31 + "1", "0" * 15 + "2", 1_790_000_000_000_000_001)
    assert (row["SeverityText"], row["SeverityNumber"], row["TraceFlags"]) == ("WARN", 13, 1)
    assert json.loads(row["Body"]) == {"text": "é", "many": [1, True]}
    assert row["LogAttributes"] == {"gen_ai.operation.name": "chat", "n": "3"}
    assert (row["ServiceName"], row["ScopeName"], row["ScopeVersion"]) == ("shop", "my.scope", "3.4")
    assert row["EventName"] == "gen_ai.client.inference.operation.details"
    assert collector.stats()["stored"] == 1
