"""Clients as they are: a server in real use has silent, slow and half-closed ones, and the others must not notice."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest
from command import Up
from otlp_requests import request, span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftline.cli import listening

HEADER = (
    b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n"
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One server for the module."""
    found = Up(tmp_path_factory.mktemp("data"))
    yield found
    found.stop()


def connect(address: str) -> socket.socket:
    """An open connection that says nothing yet."""
    place = urlsplit(address)
    return socket.create_connection((place.hostname or "", place.port or 0), timeout=60)


def body() -> bytes:
    """A request of one span."""
    return request(span("one")).SerializeToString()


def post(address: str) -> int:
    """Send a request as an ordinary client; the status of the answer."""
    sent = urllib.request.Request(f"{address}/v1/traces", body(), {"Content-Type": "application/x-protobuf"})
    with urllib.request.urlopen(sent, timeout=60) as answer:
        return int(answer.status)


def until_closed(client: socket.socket) -> bytes:
    """Everything the server sends until it closes."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.e2e
def test_a_half_closed_client_gets_its_answer(up: Up) -> None:
    """It has sent its request and said that no more will come; the server answers, then closes."""
    sent = body()
    with connect(up.otlp) as client:
        client.sendall(HEADER % len(sent) + sent)
        client.shutdown(socket.SHUT_WR)
        assert until_closed(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.e2e
def test_a_client_that_ends_amid_its_request_is_let_go(up: Up) -> None:
    """Nothing of it is taken, and nothing of it stays open."""
    sent = body()
    with connect(up.otlp) as client:
        client.sendall(HEADER % (len(sent) + 5) + sent)
        client.shutdown(socket.SHUT_WR)
        assert b"200 OK" not in until_closed(client)
    assert post(up.otlp) == 200


@pytest.mark.e2e
def test_a_thousand_idle_connections_harm_nobody(up: Up) -> None:
    """More than the 1,024 files that a process may open where nobody asks for more, half of them amid a request."""
    with ExitStack() as stack:
        for number in range(1100):
            client = stack.enter_context(connect(up.otlp))
            if number % 2:
                client.sendall(HEADER % 100 + b"half")
        assert post(up.otlp) == 200
        with urllib.request.urlopen(f"{up.otlp}/healthz", timeout=60) as answer:
            assert answer.status == 200


@pytest.mark.e2e
def test_a_client_that_drips_delays_nobody(up: Up) -> None:
    """Byte by byte; its own request is taken in the end."""
    sent = body()
    with connect(up.otlp) as slow:
        slow.sendall(HEADER % len(sent))
        for place in range(20):
            slow.sendall(sent[place : place + 1])
            assert post(up.otlp) == 200
        slow.sendall(sent[20:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "said", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_silent_client_is_dropped(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its request, in the middle of its header, in the middle of its body; one that waits for us is not."""
    monkeypatch.setattr(listening, "_SILENCE", 0.3)

    async def answer(asked: Request) -> Response:
        await asked.body()
        return PlainTextResponse("done")

    port = free_port()
    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    with listening.listening("127.0.0.1", [(app, port)]), connect(f"http://127.0.0.1:{port}") as client:
        client.sendall(said)
        assert b"done" not in until_closed(client)


def test_a_client_that_waits_for_a_long_answer_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is silent because it is our turn."""
    monkeypatch.setattr(listening, "_SILENCE", 0.1)

    def answer(_: Request) -> Response:
        time.sleep(0.5)
        return PlainTextResponse("done")

    port = free_port()
    app = Starlette(routes=[Route("/", answer)])
    with (
        listening.listening("127.0.0.1", [(app, port)]),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as found,
    ):
        assert found.read() == b"done"


def test_ports_close_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not end holds up its own port for the grace; by then the others are closed."""
    monkeypatch.setattr(listening, "_GRACE", 1)
    first, second = free_port(), free_port()
    begun = threading.Event()
    refused: list[bool] = []

    async def hold(_: Request) -> Response:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            with suppress(OSError), connect(f"http://127.0.0.1:{second}"):
                refused.append(False)
            refused.append(True)
        return PlainTextResponse("never")

    holding = Starlette(routes=[Route("/", hold)])
    with ExitStack() as stack, listening.listening("127.0.0.1", [(holding, first), (Starlette(), second)]):
        client = stack.enter_context(connect(f"http://127.0.0.1:{first}"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert begun.wait(60)
    assert refused == [True]


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
