"""The receiver as a client of OTLP/HTTP sees it: status, content type, body, headers."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_store import FakeStore
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToJson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from otlp_requests import request, span
from starlette.testclient import TestClient

from driftline.collector import Collector, create_receiver
from driftline.collector.otlp import framed

PROTOBUF, JSON = "application/x-protobuf", "application/json"
SENT = request(span("one", {"a": 1}, trace=1, number=2))
BODY = SENT.SerializeToString()
JSON_BODY = (
    b'{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"tests"}}]},'
    b'"scopeSpans":[{"scope":{},"spans":[{"traceId":"' + b"0" * 31 + b'1","spanId":"' + b"0" * 15 + b'2","name":"one",'
    b'"kind":1,"startTimeUnixNano":"1790000000000000000","endTimeUnixNano":"1790000000001000000",'
    b'"attributes":[{"key":"a","value":{"intValue":"1"}}],"status":{}}]}]}]}'
)


class Served:
    """A receiver over a store that remembers."""

    def __init__(self, folder: Path) -> None:
        self.store = FakeStore()
        self.collector = Collector(self.store, folder)
        self.collector.start()
        self.client = TestClient(create_receiver(self.collector, max_body=100_000), raise_server_exceptions=True)

    def post(self, body: bytes, kind: str = PROTOBUF, path: str = "/v1/traces", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=body, headers={"content-type": kind, **named})

    def stored(self) -> bytes:
        assert self.collector.flush(60)
        return self.store.content


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path)
    yield found
    found.collector.stop(5)


def status_of(answer: Any) -> tuple[int, str]:
    """Code and message of a google.rpc.Status in the answer's own encoding."""
    if answer.headers["content-type"] == JSON:
        said = json.loads(answer.content)
        return said["code"], said["message"]
    assert answer.headers["content-type"] == PROTOBUF
    # Any has the fields of Status by other names: 1 is text there, so the code is read by hand.
    assert answer.content[0] == 0x08
    found = AnyMessage.FromString(answer.content[2:])
    return answer.content[1], found.value.decode()


@pytest.mark.parametrize(
    ("pack", "encoding"), [(bytes, ""), (gzip.compress, "gzip"), (zlib.compress, "deflate"), (bytes, "identity")]
)
@pytest.mark.parametrize(
    ("body", "kind"), [(BODY, PROTOBUF), (JSON_BODY, JSON), (JSON_BODY, "application/json; charset=utf-8")]
)
def test_every_encoding_is_taken_and_answered_in_its_own(
    served: Served, body: bytes, kind: str, pack: Any, encoding: str
) -> None:
    """200, an empty response message, the same bytes to the store."""
    answer = served.post(pack(body), kind, **({"content_encoding": encoding} if encoding else {}))
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind.partition(";")[0])
    assert answer.content == (b"" if kind == PROTOBUF else b"{}")
    assert served.stored() == framed(BODY)


def test_an_empty_request_is_a_success(served: Served) -> None:
    """In both encodings, and nothing is stored."""
    assert (served.post(b"").status_code, served.post(b"{}", JSON).status_code) == (200, 200)
    assert served.stored() == b""


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_a_partial_success_counts_what_was_left_out(served: Served, kind: str) -> None:
    """200, because the client must not send it again; the good span is stored."""
    both = request(*SENT.resource_spans[0].scope_spans[0].spans, span("zero", trace=bytes(16)))
    body = (
        both.SerializeToString() if kind == PROTOBUF else JSON_BODY.replace(b'"spans":[', b'"spans":[{"traceId":"00"},')
    )
    answer = served.post(body, kind)
    assert answer.status_code == 200
    if kind == JSON:
        said = answer.json()["partialSuccess"]
        assert said["rejectedSpans"] == "1"
        assert "1 spans have no valid trace id" in said["errorMessage"]
    else:
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        assert partial.rejected_spans == 1
        assert "1 spans have no valid trace id" in partial.error_message
    assert served.stored() == framed(BODY)


REFUSED: list[tuple[bytes, str, dict[str, str], int, int, str]] = [
    (b"garbage", PROTOBUF, {}, 400, 3, "not an OTLP trace request in protobuf"),
    (BODY[:-3], PROTOBUF, {}, 400, 3, "is it cut short"),
    (b"garbage", JSON, {}, 400, 3, "not valid JSON"),
    (JSON_BODY[:-3], JSON, {}, 400, 3, "not valid JSON"),
    (b"", JSON, {}, 400, 3, "not valid JSON"),
    (BODY, "text/plain", {}, 415, 3, "content type 'text/plain' is not supported"),
    (BODY, "", {}, 415, 3, "content type '' is not supported"),
    (BODY, PROTOBUF, {"content_encoding": "br"}, 415, 3, "content encoding 'br' is not supported"),
    (BODY, PROTOBUF, {"content_encoding": "gzip"}, 400, 3, "not valid gzip"),
    (gzip.compress(BODY)[:-4], PROTOBUF, {"content_encoding": "gzip"}, 400, 3, "cut short"),
    (gzip.compress(bytes(10**7)), PROTOBUF, {"content_encoding": "gzip"}, 413, 8, "send smaller batches"),
    (bytes(100_001), PROTOBUF, {}, 413, 8, "send smaller batches"),
]


@pytest.mark.parametrize(("body", "kind", "headers", "http", "code", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_wrong_is_refused_with_a_status(
    served: Served, body: bytes, kind: str, headers: dict[str, str], http: int, code: int, words: str
) -> None:
    """A google.rpc.Status in the request's encoding, JSON where that is unknown; nothing is stored."""
    answer = served.post(body, kind, **headers)
    assert answer.status_code == http
    assert answer.headers["content-type"] == (PROTOBUF if kind == PROTOBUF else JSON)
    assert status_of(answer)[0] == code
    assert words in status_of(answer)[1]
    assert served.stored() == b""
    assert sum(served.collector.stats()["refused"].values()) == 1


def test_a_body_without_a_length_is_measured_as_it_comes(served: Served) -> None:
    """Chunks that add up to too much."""
    answer = served.client.post(
        "/v1/traces", content=(bytes(1000) for _ in range(200)), headers={"content-type": PROTOBUF}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_metrics_are_left_out_in_whole(served: Served, kind: str) -> None:
    """A partial success: no exporter repeats it or logs an error; the message says what to do."""
    sent = ExportMetricsServiceRequest()
    metric = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="tokens")
    metric.gauge.data_points.add(as_int=1)
    metric.gauge.data_points.add(as_int=2)
    body = sent.SerializeToString() if kind == PROTOBUF else MessageToJson(sent).encode()
    answer = served.post(body, kind, "/v1/metrics")
    assert answer.status_code == 200
    if kind == PROTOBUF:
        partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        said, rejected = partial.error_message, str(partial.rejected_data_points)
    else:
        said, rejected = (answer.json()["partialSuccess"][name] for name in ("errorMessage", "rejectedDataPoints"))
    assert rejected == "2"
    assert said == "driftline stores traces and logs, no metrics: turn this exporter off or send it elsewhere"


def test_what_is_no_metrics_request_is_refused_all_the_same(served: Served) -> None:
    """Garbage is 400 on every path; profiles have none."""
    assert served.post(b"nonsense", PROTOBUF, "/v1/metrics").status_code == 400
    assert served.post(b"", PROTOBUF, "/v1development/profiles").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "http"),
    [("GET", "/v1/traces", 405), ("PUT", "/v1/traces", 405), ("POST", "/", 404), ("DELETE", "/v1/logs", 405)],
)
def test_a_wrong_path_or_method_has_a_status_body_too(served: Served, method: str, path: str, http: int) -> None:
    """And says where traces go."""
    answer = served.client.request(method, path, headers={"content-type": PROTOBUF})
    assert answer.status_code == http
    assert "traces to /v1/traces and logs to /v1/logs" in status_of(answer)[1]
    if http == 405:
        assert "POST" in answer.headers["allow"]


def test_a_full_log_is_503_with_a_time_to_come_back(served: Served) -> None:
    """Which exporters honour; the span is not lost, it stays with them."""
    served.collector._limit = -1
    answer = served.post(BODY)
    assert (answer.status_code, answer.headers["retry-after"], status_of(answer)[0]) == (503, "2", 14)
    served.collector._limit = 10**9
    assert served.post(BODY).status_code == 200


def test_health_and_readiness(served: Served) -> None:
    """Ready says the counters, also after refusals; not ready while the store does not take batches."""
    served.post(b"garbage")
    assert served.client.get("/healthz").json() == {"status": "ok"}
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()["refused"]) == (200, {"UnreadableBody": 1})
    served.collector._tally.store_troubled(RuntimeError("ClickHouse is down"))
    assert served.client.get("/readyz").status_code == 503


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.one_of(
        st.binary(max_size=100),
        st.integers(0, len(BODY)).map(lambda cut: BODY[:cut]),
        st.integers(0, len(JSON_BODY)).map(lambda cut: JSON_BODY[:cut]),
        st.text(max_size=50).map(
            lambda text: json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": text}]}]}).encode()
        ),
    ),
    kind=st.sampled_from([PROTOBUF, JSON, "application/json; charset=utf-8", "text/html", "", ";"]),
    encoding=st.sampled_from(["", "gzip", "deflate", "identity", "br"]),
    pack=st.booleans(),
)
def test_no_input_is_a_fault_of_the_server(served: Served, body: bytes, kind: str, encoding: str, pack: bool) -> None:
    """Every answer is 200 or a 4xx, with a body of the encoding it announces."""
    headers = {"content_encoding": encoding} if encoding else {}
    answer = served.post(gzip.compress(body) if pack else body, kind, **headers)
    assert answer.status_code in (200, 400, 413, 415)
    if answer.status_code != 200:
        assert status_of(answer)[0] in (3, 8)


def test_a_client_that_goes_away_leaves_no_trace(served: Served) -> None:
    """No fault is logged, nothing stored; the next one is served."""
    import asyncio

    async def gone() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        messages = iter([{"type": "http.request", "body": BODY[:5], "more_body": True}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/traces", "raw_path": b"/v1/traces", "query_string": b"",
            "headers": [(b"content-type", PROTOBUF.encode())], "http_version": "1.1", "scheme": "http", "root_path": "",
        }  # fmt: skip
        await served.client.app(scope, receive, send)  # type: ignore[arg-type]
        return sent

    asyncio.run(gone())
    assert served.stored() == b""
    assert served.post(BODY).status_code == 200


def test_requests_at_once_are_all_stored(served: Served) -> None:
    """Forty senders, each span exactly once."""
    from concurrent.futures import ThreadPoolExecutor

    bodies = [request(span(f"n{number}", trace=1, number=number + 1)).SerializeToString() for number in range(40)]
    with ThreadPoolExecutor(10) as pool:
        assert {answer.status_code for answer in pool.map(served.post, bodies)} == {200}
    data, names = served.stored(), []
    while data:
        length = data[0] if data[0] < 128 else (data[0] & 127) + 128 * data[1]
        begin = 1 if data[0] < 128 else 2
        found = ExportTraceServiceRequest.FromString(data[begin : begin + length])
        names.append(found.resource_spans[0].scope_spans[0].spans[0].name)
        data = data[begin + length :]
    assert sorted(names) == sorted(f"n{number}" for number in range(40))
