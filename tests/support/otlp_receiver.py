"""A tiny OTLP/HTTP receiver: what a program really put on the wire, decoded again."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import Self


@dataclass
class Received:
    """One span as it arrived."""

    span: Span
    resource: dict[str, Any]
    scope: str

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def attributes(self) -> dict[str, Any]:
        return {pair.key: plain(pair.value) for pair in self.span.attributes}


@dataclass
class Receiver:
    """Listens on a free port; *answers* are given to requests in turn, the last for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    delay: float = 0.0
    bodies: list[bytes] = field(default_factory=list)
    requests: int = 0

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = receiver.answers[min(receiver.requests, len(receiver.answers) - 1)]
                receiver.requests += 1
                time.sleep(receiver.delay)
                if answer == 200:
                    receiver.bodies.append(body)
                self.send_response(answer)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def spans(self, *, pending: bool = False) -> list[Received]:
        """What has arrived, in order; without pending copies."""
        return [one for one in self._all() if pending or not one.attributes.get("driftline.pending")]

    def _all(self) -> Iterator[Received]:
        for body in self.bodies:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = {pair.key: plain(pair.value) for pair in group.resource.attributes}
                for scope in group.scope_spans:
                    for span in scope.spans:
                        yield Received(span, resource, scope.scope.name)


def plain(value: AnyValue) -> Any:
    """*value* as a Python value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(element) for element in value.array_value.values]
    return getattr(value, kind) if kind else None
