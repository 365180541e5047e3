"""Where imported spans go: to the server that has the store open, or nowhere, and then it is said."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from driftline.analyzers import Config
from driftline.cli.context import Server
from driftline.cli.importers import delivery
from driftline.cli.importers.langfuse import read_trace
from driftline.cli.importers.otlp import any_value, json_line, key_values
from driftline.collector.nested import value_of
from driftline.collector.otlp import parse_json

DATA = Path(__file__).parents[1] / "data"
RECORDING, TOOLS = DATA / "tau_hotel" / "trajectories.json", DATA / "tau_hotel" / "tools.toml"
EXPORT = str(DATA / "langfuse" / "hotel.trace.json")


def free_ports(number: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def driftline(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as its user would."""
    return subprocess.run(
        [sys.executable, "-m", "driftline", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@contextmanager
def serving(data: Path) -> Iterator[None]:
    """A server that has *data* open while the block runs."""
    options = zip(("--otlp-port", "--web-port", "--clickhouse-port", "--grpc-port"), free_ports(4), strict=True)
    arguments = [str(word) for option in options for word in option]
    process = subprocess.Popen(
        [sys.executable, "-m", "driftline", "up", "--data", str(data), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while not (data / "server.json").is_file():
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.mark.e2e
def test_a_server_that_has_the_store_open_takes_and_judges_them(tmp_path: Path) -> None:
    """Imported while `driftline up` runs, twice: the runs are there once, with the findings of its own analysis."""
    data = tmp_path / "data"
    with serving(data):
        for _ in range(2):
            said = driftline("import", "tau", RECORDING, "--catalog", TOOLS, "--data", data)
            assert said.returncode == 0, said.stderr
            assert "the server judges them in a moment: http://127.0.0.1:" in said.stdout
        found: list[dict[str, Any]] = []
        while not any(finding["anomaly"] == "double_intent" for finding in found):
            found = json.loads(driftline("findings", "--data", data, "--format", "json").stdout)
        runs = json.loads(driftline("runs", "--data", data, "--format", "json").stdout)
    assert {run["run_id"]: run["spans"] for run in runs} == {
        "tau-hotel-0-0": 19, "tau-hotel-0-1": 9, "tau-hotel-1-0": 6,
    }  # fmt: skip


class Receiver(BaseHTTPRequestHandler):
    """Answers with the codes in `answers`, one a request, and keeps the bodies."""

    answers: list[int]
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.answers.pop(0))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver(patch: pytest.MonkeyPatch, *answers: int) -> Iterator[type[Receiver]]:
    """A receiver that gives *answers* and passes for the running server, also when it has gone."""
    handler = type("Handler", (Receiver,), {"answers": list(answers), "bodies": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    running = Server(pid=0, web=address, otlp=address, clickhouse=address)
    patch.setattr(delivery, "running_server", lambda _data: running)
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


def deliver(data: Path) -> delivery.Delivered:
    """Hand the export over."""
    return delivery.deliver(read_trace(EXPORT), str(data), Config(), lambda *_: None)


def test_a_busy_server_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 means later: the same request is sent again, whole."""
    monkeypatch.setattr(delivery, "_WAITS", (0.0, 0.0))
    with receiver(monkeypatch, 503, 429, 200) as handler:
        assert deliver(tmp_path).spans == 6
    assert len(handler.bodies) == 3
    assert len(set(handler.bodies)) == 1


def test_a_server_that_refuses_or_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal, and a port nobody listens on any more: what, where, what to do."""
    monkeypatch.setattr(delivery, "_WAITS", (0.0,))
    with receiver(monkeypatch, 400), pytest.raises(delivery.NotDelivered, match="/v1/traces answered 400"):
        deliver(tmp_path)
    with pytest.raises(delivery.NotDelivered, match="did not answer"):
        deliver(tmp_path)


def test_any_json_value_survives_the_way_to_otlp_json_and_back() -> None:
    """Numbers, null, nested objects, integers beyond 64 bits, lone surrogates: nothing is refused, types are kept."""
    value = {"a": [1, 2.5, None, True, {"b": "ü"}], "c": -(2**63), "d": {}}
    assert value_of(any_value(value)) == value
    assert value_of(any_value(2**70)) == str(2**70)
    assert value_of(any_value("\ud800x")) == "?x"
    (request,) = read_trace(EXPORT)[:1]
    request.resource_spans[0].resource.attributes.extend(key_values({"nested": value}))
    assert parse_json(json_line(request)) == request
