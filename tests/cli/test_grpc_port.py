"""The gRPC port of `driftline up`: there by itself where it can be, an error where it was asked for and cannot."""

from __future__ import annotations

import importlib.util
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Up, driftline, free_ports
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from driftline.cli import listening_grpc
from driftline.cli.context import PortInUse
from driftline.cli.listening_grpc import GrpcNotInstalled, chosen_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def no_grpcio(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install 'driftline[server]'`."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "grpc" else find(name))


def test_a_port_that_was_asked_for_is_the_port() -> None:
    """And 0 means none."""
    (free,) = free_ports(1)
    assert chosen_port("127.0.0.1", free) == free
    assert chosen_port("127.0.0.1", 0) == 0


def test_the_usual_port_is_done_without_if_somebody_has_it(
    taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An OpenTelemetry Collector, say: a remark, and no port."""
    monkeypatch.setattr(listening_grpc, "USUAL", taken)
    assert chosen_port("127.0.0.1", None) == 0
    assert "no OTLP/gRPC: " in capsys.readouterr().err
    with pytest.raises(PortInUse, match="--grpc-port"):
        chosen_port("127.0.0.1", taken)


@pytest.mark.usefixtures("no_grpcio")
def test_without_grpcio_there_is_a_remark_or_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Which says what to install."""
    assert chosen_port("127.0.0.1", None) == 0
    assert "pip install 'driftline[grpc]'" in capsys.readouterr().err
    with pytest.raises(GrpcNotInstalled, match="OTLP/gRPC needs grpcio"):
        chosen_port("127.0.0.1", free_ports(1)[0])
    assert chosen_port("127.0.0.1", 0) == 0


@pytest.mark.e2e
def test_a_server_takes_spans_over_grpc(tmp_path: Path) -> None:
    """They are runs like any other; a second server cannot have the port; what was taken last survives the stop."""
    up = Up(tmp_path / "data")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(up.otlp_grpc, insecure=True)))
    try:
        _work(provider, "first")
        port = up.otlp_grpc.rpartition(":")[2]
        second = driftline("up", "--data", tmp_path / "other", "--grpc-port", port)
        assert (second.code, f"port {port}" in second.err) == (2, True)
        end = time.monotonic() + 60
        while [run["run_id"] for run in driftline("runs", "--data", up.data, "--format", "json").json] != ["first"]:
            assert time.monotonic() < end
            time.sleep(0.3)
        _work(provider, "last")
    finally:
        ended = up.stop()
    provider.shutdown()
    assert ended.code == 0
    kept = driftline("runs", "--data", up.data, "--format", "json").json
    assert "first" in {run["run_id"] for run in kept}
    shown = driftline("show", "last", "--data", up.data, "--format", "json")
    assert shown.code == 0, shown.err


def _work(provider: TracerProvider, run: str) -> None:
    attributes = {"gen_ai.operation.name": "invoke_workflow", "driftline.run.id": run}
    with provider.get_tracer("app").start_as_current_span("invoke_workflow", attributes=attributes):
        pass
