"""HTTP/1.1 as it goes over the wire: connections that are kept, requests behind one another, methods, browsers."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from fake_store import FakeStore
from otlp_requests import request, span
from serving_apps import free_port

from driftline.cli.listening import listening
from driftline.collector import Collector, create_receiver

PROTOBUF = "application/x-protobuf"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A receiver behind the server that `driftline up` uses."""
    collector = Collector(FakeStore(), tmp_path_factory.mktemp("wire"))
    collector.start()
    port = free_port()
    with listening("127.0.0.1", [(create_receiver(collector, max_body=100_000), port)]):
        yield "127.0.0.1", port
    collector.stop(5)


def body(number: int = 1) -> bytes:
    """A request of one span."""
    return request(span("one", trace=1, number=number)).SerializeToString()


def post(data: bytes, *more: str, kind: str = PROTOBUF, path: str = "/v1/traces") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + data


def answers(address: tuple[str, int], sent: bytes, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    """That many answers to what was sent on one connection."""
    found = []
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(sent)
        file = connection.makefile("rb")
        for _ in range(count):
            status = int(file.readline().split()[1])
            headers = {}
            while line := file.readline().strip().decode():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            found.append((status, headers, file.read(int(headers.get("content-length", 0)))))
    return found


def test_requests_behind_one_another_are_answered_in_order(address: tuple[str, int]) -> None:
    """On one connection, without waiting: good, bad, in the other encoding, on another path, good again."""
    sent = (
        post(body(1)) + post(b"garbage") + post(b"{}", kind="application/json") + post(b"", path="/nowhere")
        + post(gzip.compress(body(2)), "Content-Encoding: gzip")
    )  # fmt: skip
    found = answers(address, sent, 5)
    assert [status for status, _, _ in found] == [200, 400, 200, 404, 200]
    assert [said[2] for said in found[::2]] == [b"", b"{}", b""]


def test_a_connection_is_kept_after_every_kind_of_answer(address: tuple[str, int]) -> None:
    """Exporters hold one; a refused request does not cost them it."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    for number in range(3):
        for data, kind, status in ((body(number + 1), PROTOBUF, 200), (b"x", PROTOBUF, 400), (b"x", "text/plain", 415)):
            connection.request("POST", "/v1/traces", data, {"Content-Type": kind})
            sock = connection.sock
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, connection.sock is sock) == (status, True)
    connection.close()


def test_a_body_in_chunks_and_a_client_that_asks_first(address: tuple[str, int]) -> None:
    """`Transfer-Encoding: chunked`, as many clients send; `Expect: 100-continue`, as curl does."""
    data = body()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (data[:5], data[5:])) + b"0\r\n\r\n"
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answers(address, head.encode() + chunks, 1)[0][0] == 200
    said = answers(address, post(data, "Expect: 100-continue"), 2)
    assert [status for status, _, _ in said] == [100, 200]


@pytest.mark.parametrize("claimed", ["100001", "99999999999999999999"])
def test_a_body_said_to_be_too_large_is_refused_before_it_comes(address: tuple[str, int], claimed: str) -> None:
    """413; nothing of it is waited for."""
    sent = post(b"").replace(b"Content-Length: 0", b"Content-Length: " + claimed.encode())
    status, headers, _ = answers(address, sent, 1)[0]
    assert (status, headers["content-type"]) == (413, PROTOBUF)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_other_methods_are_405_and_say_which_one_it_is(address: tuple[str, int], method: str, path: str) -> None:
    """Also to a browser that asks whether it may: nothing is offered to pages of other sites."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    connection.request(method, path, headers=asked)
    answer = connection.getresponse()
    said = answer.read()
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
    assert said == b"" if method == "HEAD" else json.loads(said)["code"] == 5
    connection.request("HEAD", "/healthz")  # the connection is where it should be
    assert (found := connection.getresponse()).status == 200
    assert found.read() == b""
    connection.close()


@pytest.mark.parametrize("line", ["\0\0\0", "GET", "POST /v1/traces HTTP/1.1\r\nno header"])
def test_what_is_no_http_is_refused(address: tuple[str, int], line: str) -> None:
    """400 or a closed connection; the next client is served."""
    with socket.create_connection(address, timeout=20) as connection, suppress(ConnectionResetError):
        connection.sendall(line.encode() + b"\r\n\r\n")
        assert connection.recv(65536)[:12] in (b"", b"HTTP/1.1 400")
    assert answers(address, post(body()), 1)[0][0] == 200
