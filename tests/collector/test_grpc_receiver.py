"""The gRPC receiver as clients see it: the OpenTelemetry exporter, and calls of every wrong kind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from fake_store import FakeStore
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from otlp_requests import request, span

from driftline.collector import Collector, grpc_receiver
from driftline.collector.door import KeyNeeded
from driftline.collector.grpc_receiver import PortNotOpened, receiving
from driftline.collector.otlp import framed

SENT = request(span("one", {"a": 1}, trace=1, number=2))
SERVICE = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
TRACES, LOGS, METRICS = (
    SERVICE.format(*names) for names in (("trace", "Trace"), ("logs", "Logs"), ("metrics", "Metrics"))
)


class Served:
    """A receiver over a store that remembers."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.store = FakeStore()
        self.collector = Collector(self.store, folder)
        self.collector.start()
        stack.callback(self.collector.stop, 5)
        self.port = stack.enter_context(receiving(self.collector, "127.0.0.1:0", max_body=100_000))
        self.channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{self.port}"))

    def call(self, body: bytes, method: str = TRACES, **how: Any) -> bytes:
        """The serialized answer of one call."""
        answer: bytes = self.channel.unary_unary(method)(body, timeout=20, **how)
        return answer


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with contextlib.ExitStack() as stack:
        yield Served(tmp_path, stack)


def refused(served: Served, body: bytes, method: str = TRACES, **how: Any) -> Any:
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        served.call(body, method, **how)
    return caught.value


def trailer(error: Any, name: str) -> bytes | None:
    """One of the trailing metadata."""
    return dict(error.trailing_metadata() or ()).get(name)


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_a_request_is_written_down_as_it_came(served: Served, compression: Any) -> None:
    """Whatever it was compressed with; full success leaves the partial success unset."""
    answer = served.call(SENT.SerializeToString(), compression=compression)
    assert answer == b""
    assert served.collector.flush(10)
    assert served.store.content == framed(SENT.SerializeToString())


def test_an_empty_request_is_a_success(served: Served) -> None:
    """Nothing to store is nothing wrong."""
    assert served.call(b"") == b""


def test_spans_without_ids_are_a_partial_success(served: Served) -> None:
    """The rest is stored; the answer counts them."""
    bad = request(span("one"), span("none"))
    bad.resource_spans[0].scope_spans[0].spans[1].span_id = b"\0" * 8
    partial = ExportTraceServiceResponse.FromString(served.call(bad.SerializeToString())).partial_success
    assert (partial.rejected_spans, "no valid trace id" in partial.error_message) == (1, True)


def test_metrics_are_left_out_in_whole(served: Served) -> None:
    """And the message says so."""
    sent = ExportMetricsServiceRequest()
    sent.resource_metrics.add().scope_metrics.add().metrics.add(name="n").sum.data_points.add(as_int=1)
    partial = ExportMetricsServiceResponse.FromString(served.call(sent.SerializeToString(), METRICS)).partial_success
    assert (partial.rejected_data_points, "no metrics" in partial.error_message) == (1, True)


def test_log_records_go_their_own_way(served: Served) -> None:
    """Written down as logs."""
    sent = ExportLogsServiceRequest()
    sent.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "said"
    assert (
        ExportLogsServiceResponse.FromString(served.call(sent.SerializeToString(), LOGS)) == ExportLogsServiceResponse()
    )
    assert served.collector.flush(10)
    assert served.store.content == framed(sent.SerializeToString())


def test_garbage_is_an_invalid_argument(served: Served) -> None:
    """With a BadRequest that says why, for clients that look there."""
    error = refused(served, b"\xff\xff garbage")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = Status.FromString(trailer(error, "grpc-status-details-bin"))
    found = BadRequest()
    assert (status.code, status.details[0].Unpack(found)) == (3, True)
    assert "not an OTLP trace request" in found.field_violations[0].description
    assert served.collector.stats()["refused"] == {"UnreadableBody": 1}


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_too_large_is_resource_exhausted_for_good(served: Served, compression: Any) -> None:
    """After decompression; without RetryInfo, which would ask the client to send it again."""
    error = refused(served, bytes(200_000), compression=compression)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert trailer(error, "google.rpc.retryinfo-bin") is None


def test_a_full_log_is_unavailable_with_a_time_to_come_back(served: Served) -> None:
    """In both places where clients look for it."""
    served.collector._limit = -1
    error = refused(served, SENT.SerializeToString())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert RetryInfo.FromString(trailer(error, "google.rpc.retryinfo-bin")).retry_delay.seconds == 2
    found = RetryInfo()
    assert Status.FromString(trailer(error, "grpc-status-details-bin")).details[0].Unpack(found)
    assert found.retry_delay.seconds == 2


def test_a_method_we_do_not_have(served: Served) -> None:
    """Profiles, for one."""
    method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    assert refused(served, b"", method).code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_port_that_is_taken_is_not_shared(served: Served, tmp_path: Path) -> None:
    """gRPC would let two servers split the senders between them."""
    with pytest.raises(PortNotOpened, match="--grpc-port"), receiving(served.collector, f"127.0.0.1:{served.port}"):
        pass


def test_an_exporter_told_to_wait_comes_back(served: Served) -> None:
    """UNAVAILABLE while the log is full; the exporter tries again by itself."""
    served.collector._limit = -1
    refuse, refusals = served.collector.refuse, []

    def make_room(reason: str) -> None:
        refusals.append(reason)
        refuse(reason)
        served.collector._limit = 10**9

    served.collector.refuse = make_room  # type: ignore[method-assign]
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{served.port}", insecure=True)
    provider = TracerProvider()
    with provider.get_tracer("t").start_as_current_span("patient") as patient:
        pass
    assert exporter.export([patient]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
    assert refusals == ["log full"]
    assert served.collector.flush(10)
    assert b"patient" in served.store.content


# -- clients as they are


def slow_call(served: Served, until: threading.Event) -> Any:
    """A call whose request comes when *until* is set."""

    def requests() -> Iterator[bytes]:
        until.wait(60)
        yield SENT.SerializeToString()

    return served.channel.stream_unary(TRACES).future(requests(), timeout=60)


def test_slow_clients_delay_nobody(served: Served) -> None:
    """More of them than there are threads; they are answered when they come to an end."""
    come = threading.Event()
    slow = [slow_call(served, come) for _ in range(100)]
    assert served.call(SENT.SerializeToString()) == b""
    assert not any(call.done() for call in slow)
    come.set()
    assert [call.result() for call in slow] == [b""] * 100


def test_a_request_that_never_comes_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for without end, and a call may not be empty."""
    monkeypatch.setattr(grpc_receiver, "_SILENCE", 0.2)
    with pytest.raises(grpc.RpcError) as silent:
        slow_call(served, threading.Event()).result()
    with pytest.raises(grpc.RpcError) as empty:
        served.channel.stream_unary(TRACES)(iter(()), timeout=20)
    assert silent.value.code() is empty.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert served.collector.stats()["refused"] == {"NeverSent": 2}


def test_more_than_can_be_followed_come_back_later(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """UNAVAILABLE and when; never RESOURCE_EXHAUSTED, after which a client may throw its spans away."""
    monkeypatch.setattr(grpc_receiver, "_ARRIVING", 0)
    error = refused(served, SENT.SerializeToString())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert trailer(error, "google.rpc.retryinfo-bin") is not None
    assert served.collector.stats()["refused"] == {"Crowded": 1}


def test_a_stranger_is_turned_away_before_his_request_is_read(tmp_path: Path) -> None:
    """However long he takes to send it."""

    class Locked:
        keyless = False

        def check(self, key: str | None, right: str) -> None:
            if key != "KEY":
                raise KeyNeeded("a key is needed", "send one")

        def enter(self, _key: str | None, _size: int) -> Collector:
            return collector

    collector = Collector(FakeStore(), tmp_path)
    collector.start()
    door: Any = Locked()
    with receiving(collector, "127.0.0.1:0", door=door) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        never = threading.Event()
        with pytest.raises(grpc.RpcError) as error:
            channel.stream_unary(TRACES)(iter(lambda: never.wait(60), True), timeout=20)
        never.set()
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
        for header in (("authorization", "Bearer KEY"), ("x-driftline-key", "KEY"), ("x-api-key", "KEY")):
            answer = channel.unary_unary(TRACES)(SENT.SerializeToString(), timeout=20, metadata=[header])
            assert answer == b""
    collector.stop(5)


def test_a_request_under_way_is_finished_when_the_server_ends(tmp_path: Path) -> None:
    """What comes behind it is told to come back."""
    collector = Collector(FakeStore(), tmp_path)
    collector.start()
    come = threading.Event()
    with contextlib.ExitStack() as ending:
        port = ending.enter_context(receiving(collector, "127.0.0.1:0"))
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        channel.unary_unary(TRACES)(b"", timeout=20)

        def requests() -> Iterator[bytes]:
            come.wait(60)
            yield SENT.SerializeToString()

        call = channel.stream_unary(TRACES).future(requests(), timeout=60)
        threading.Timer(0.3, come.set).start()
        ending.close()
        assert call.result() == b""
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary(TRACES)(b"", timeout=5)
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        channel.close()
    collector.stop(5)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.one_of(st.binary(max_size=100), st.integers(0, 200).map(lambda cut: SENT.SerializeToString()[:cut])),
    method=st.sampled_from([TRACES, LOGS, METRICS]),
)
def test_no_request_is_a_fault_of_the_server(served: Served, body: bytes, method: str) -> None:
    """OK or INVALID_ARGUMENT, whatever the bytes."""
    try:
        served.call(body, method)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
