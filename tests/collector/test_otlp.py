"""Bodies to requests: what is right is read whole, what is wrong is refused with a reason, and nothing else happens."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_requests import request, span

from driftline.collector import otlp
from driftline.collector.nested import empty_references, flatten_nested

SENT = request(span("one", {"a": 1, "b": ["x", {"c": b"\xff"}]}, trace=1, number=2), span("two", trace=1, number=3))


def as_json(sent: Any = SENT) -> dict[str, Any]:
    """The request in OTLP/JSON: ids in hex."""
    data = MessageToDict(sent)
    for group in data["resourceSpans"]:
        for scoped in group["scopeSpans"]:
            for found in scoped["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in found:
                        found[name] = base64.b64decode(found[name]).hex()
                found["kind"] = 1
    return data


@pytest.mark.parametrize("kind", ["application/x-protobuf", "Application/X-Protobuf ; charset=utf-8"])
def test_protobuf_is_read(kind: str) -> None:
    """Whatever stands behind the type."""
    assert otlp.parse(SENT.SerializeToString(), kind) == SENT


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"]
)
def test_json_is_read(kind: str) -> None:
    """With its ids in hex."""
    assert otlp.parse(json.dumps(as_json()).encode(), kind) == SENT


def test_json_ids_may_be_upper_case_and_numbers_plain_or_text() -> None:
    """Both are written by somebody."""
    data = as_json()
    first = data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    first["traceId"] = first["traceId"].upper()
    first["startTimeUnixNano"] = int(first["startTimeUnixNano"])
    first["attributes"][0]["value"] = {"intValue": 1}
    first["madeUp"] = {"by": ["a newer protocol"]}
    assert otlp.parse_json(json.dumps(data)) == SENT


def test_json_numbers_beyond_json_are_text() -> None:
    """NaN and the infinities."""
    data = as_json(request(span("n", trace=1, number=2)))
    data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = [
        {"key": word, "value": {"doubleValue": word}} for word in ("NaN", "Infinity", "-Infinity")
    ]
    found = otlp.parse_json(json.dumps(data)).resource_spans[0].scope_spans[0].spans[0]
    assert [str(pair.value.double_value) for pair in found.attributes] == ["nan", "inf", "-inf"]


def test_an_empty_body_is_an_empty_request() -> None:
    """In protobuf no bytes are a message without fields; in JSON it takes braces."""
    assert otlp.accept(otlp.parse(b"", otlp.PROTOBUF)).items == 0
    assert otlp.accept(otlp.parse(b"{}", otlp.JSON)).items == 0
    with pytest.raises(otlp.UnreadableBody):
        otlp.parse(b"", otlp.JSON)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream", "application/grpc"])
def test_other_content_types_are_named(kind: str) -> None:
    """415, and what to use."""
    with pytest.raises(otlp.UnsupportedEncoding, match="use application/x-protobuf or application/json") as error:
        otlp.parse(b"", kind)
    assert error.value.http == 415


NO_REQUESTS: list[str] = [
    "", "nonsense", "[]", "1", "null", '"text"', '{"resourceSpans": 5}', '{"resourceSpans": [5]}',
    '{"resourceSpans": {"a": 1}}', '{"resourceSpans": [{"scopeSpans": "x"}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 12}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": ["x"]}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"\\ud800": 1}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "-1"}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": 1e30}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": "a", "value": "bare"}]}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": "a", "value": {"intValue": "x"}}]}]}]}]}',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": Infinity}]}]}]}', '{"resourceSpans": ["\\ud800"]}',
    '{"a":' * 100_000,
    "\x00", "\ufeff{}x",
]  # fmt: skip


@pytest.mark.parametrize("body", NO_REQUESTS, ids=range(len(NO_REQUESTS)))
def test_json_that_is_no_request_is_refused(body: str) -> None:
    """400, never an error of ours."""
    with pytest.raises(otlp.UnreadableBody) as error:
        otlp.parse(body.encode(), otlp.JSON)
    assert error.value.http == 400
    assert len(otlp.failure(error.value, otlp.JSON)[0]) < 5000


@settings(max_examples=300, deadline=None)
@given(
    noise=st.binary(max_size=200),
    kind=st.sampled_from([otlp.PROTOBUF, otlp.JSON, "x"]),
    encoding=st.sampled_from(["", "gzip", "deflate", "br", "identity"]),
)
def test_noise_is_read_or_refused(noise: bytes, kind: str, encoding: str) -> None:
    """And nothing else happens."""
    try:
        accepted = otlp.accept(otlp.parse(otlp.decompress(noise, encoding), kind))
    except otlp.RefusedRequest as error:
        assert error.http in (400, 413, 415)
        assert otlp.failure(error, kind)[0]
    else:
        assert accepted.items >= 0


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_request_cut_or_changed_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever is read can be written again, flattened or not."""
    wire = SENT.SerializeToString()
    cut = data.draw(st.integers(0, len(wire)))
    place, byte = data.draw(st.integers(0, len(wire) - 1)), data.draw(st.integers(0, 255))
    for body in (wire[:cut], wire[:place] + bytes([byte]) + wire[place + 1 :]):
        try:
            found = otlp.parse(body, otlp.PROTOBUF)
        except otlp.UnreadableBody:
            continue
        flatten_nested(found)
        otlp.accept(found).request.SerializeToString()


def test_deep_nesting_is_read_as_text_or_refused() -> None:
    """However deep: a value is JSON text afterwards, or the request is a bad one."""
    for depth in (1, 10, 45, 60, 90, 150, 5000):
        value: dict[str, Any] = {"stringValue": "x"}
        text = '{"stringValue":"x"}'
        for _ in range(depth):
            text = '{"arrayValue":{"values":[' + text + "]}}"
        body = (
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"' + "01" * 16 + '","spanId":"' + "02" * 8
            + '","attributes":[{"key":"a","value":' + text + "}]}]}]}]}"
        )  # fmt: skip
        try:
            found = otlp.parse(body.encode(), otlp.JSON)
        except otlp.UnreadableBody:
            assert depth > 30, value
            continue
        flatten_nested(found)
        attribute = found.resource_spans[0].scope_spans[0].spans[0].attributes[0]
        assert attribute.value.string_value in ("[" * depth + '"x"' + "]" * depth, "")
        assert otlp.parse(found.SerializeToString(), otlp.PROTOBUF) == found


# -- spans that cannot be kept


def test_spans_without_valid_ids_are_left_out_and_the_rest_kept() -> None:
    """Zero, short and long ids; the answer counts them and says why."""
    good = span("good")
    bad = [
        span("zero trace", trace=bytes(16)), span("zero span", number=bytes(8)), span("no trace", trace=b""),
        span("short", number=b"\1" * 4), span("long", trace=b"\1" * 17),
    ]  # fmt: skip
    accepted = otlp.accept(request(bad[0], good, *bad[1:], span("also good")))
    kept = [found.name for found in accepted.request.resource_spans[0].scope_spans[0].spans]
    assert (kept, accepted.items, accepted.rejected) == (["good", "also good"], 2, 5)
    assert "5 spans have no valid trace id" in accepted.reason


def test_a_log_request_sent_here_is_told_so() -> None:
    """ResourceLogs and ResourceSpans share field numbers: log records decode as spans without ids."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = "hello"
    try:
        accepted = otlp.accept(otlp.parse(logs.SerializeToString(), otlp.PROTOBUF))
    except otlp.UnreadableBody:
        return
    assert (accepted.items, accepted.rejected) == (0, 1)


# -- content encodings


@pytest.mark.parametrize("word", ["gzip", "GZIP", "x-gzip", " gzip "])
def test_gzip_of_one_member_or_several(word: str) -> None:
    """Members one behind the other are one body (RFC 1952)."""
    assert otlp.decompress(gzip.compress(b"one ") + gzip.compress(b"two"), word) == b"one two"


def test_deflate_and_identity() -> None:
    """zlib's format, and none at all."""
    assert otlp.decompress(zlib.compress(b"body"), "deflate") == b"body"
    assert otlp.decompress(b"body", "identity") == otlp.decompress(b"body", "") == b"body"


@pytest.mark.parametrize(
    "body",
    [b"", b"noise", gzip.compress(b"body" * 99)[:-9], gzip.compress(b"x") + b"tail"],
    ids=["empty", "noise", "cut short", "followed"],  # a gzip header holds the time
)
def test_a_broken_encoding_is_refused(body: bytes) -> None:
    """Empty, garbage, cut short, followed by something else."""
    with pytest.raises(otlp.UnreadableBody):
        otlp.decompress(body, "gzip")


@pytest.mark.parametrize("word", ["br", "gzip, gzip", "snappy"])
def test_other_encodings_are_named(word: str) -> None:
    """415, and what to use."""
    with pytest.raises(otlp.UnsupportedEncoding, match="use one of identity, gzip, deflate, zstd"):
        otlp.decompress(b"", word)


@pytest.mark.parametrize("members", [1, 3])
def test_a_bomb_is_never_unpacked_beyond_the_limit(members: int) -> None:
    """413 after the limit, however much was still to come, in one member or in several."""
    bomb = gzip.compress(bytes(10**6)) * members
    with pytest.raises(otlp.BodyTooLarge):
        otlp.decompress(bomb, "gzip", limit=members * 10**6 - 1)
    assert len(otlp.decompress(bomb, "gzip", limit=members * 10**6)) == members * 10**6


def _zstd(data: bytes, *, size: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=size).compress(data)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("size", [True, False])
def test_zstd_is_unpacked_within_the_limit(frames: int, size: bool) -> None:
    """One frame or several, with or without their size; never more than the limit."""
    data = bytes(10**6)
    packed = _zstd(data, size=size) * frames
    assert otlp.decompress(packed, "zstd", limit=frames * 10**6) == data * frames
    with pytest.raises(otlp.BodyTooLarge):
        otlp.decompress(packed, "zstd", limit=frames * 10**6 - 1)


@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_zstd_that_is_cut_short_is_told(cut: int) -> None:
    """400 and why."""
    with pytest.raises(otlp.UnreadableBody, match="cut short"):
        otlp.decompress(_zstd(b"a span" * 1000)[:cut], "zstd")


def test_garbage_is_no_zstd() -> None:
    """400, whichever way it is wrong."""
    with pytest.raises(otlp.UnreadableBody, match="not valid zstd"):
        otlp.decompress(b"no zstd at all", "zstd")
    with pytest.raises(otlp.UnreadableBody, match="not valid zstd"):
        otlp.decompress(_zstd(b"a") + b"trailing garbage", "zstd")


def test_a_small_zstd_body_cannot_fill_the_memory() -> None:
    """A gigabyte of zeros in a few kilobytes: unpacking ends near the limit."""
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(otlp.BodyTooLarge):
            otlp.decompress(bomb, "zstd", limit=2**20)
        assert tracemalloc.get_traced_memory()[1] < 150 * 2**20
    finally:
        tracemalloc.stop()


def test_what_some_call_deflate() -> None:
    """zlib data, as the standard has it, and the bare stream that many send."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bare = packer.compress(b"spans") + packer.flush()
    assert otlp.decompress(zlib.compress(b"spans"), "deflate") == otlp.decompress(bare, "deflate") == b"spans"


def test_ids_of_log_records() -> None:
    """In JSON they are hex; what is no id belongs to no span, and the record is kept."""
    data = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {"traceId": "0A" * 16, "spanId": "0b" * 8, "body": {"stringValue": "one"}},
                            {"traceId": "00" * 16, "spanId": "0b" * 8},
                            {"traceId": "0a" * 16, "spanId": "0b" * 4},
                            {},
                        ]
                    }
                ]
            }
        ]
    }
    accepted = otlp.accept(otlp.request_from(data, otlp.LOGS), otlp.LOGS)
    assert (accepted.items, accepted.rejected, accepted.reason) == (4, 0, "")
    ids = [(record.trace_id, record.span_id) for record in accepted.request.resource_logs[0].scope_logs[0].log_records]
    assert ids == [(b"\n" * 16, b"\x0b" * 8), (b"", b""), (b"\n" * 16, b""), (b"", b"")]


def test_a_value_from_a_table_of_strings_is_a_warning() -> None:
    """Profiles refer to a table; traces have none: kept, empty, and told."""
    sent = otlp.parse_json('{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a"}]}]}]}]}')
    one = sent.resource_spans[0].scope_spans[0].spans[0]
    one.trace_id, one.span_id = b"\1" * 16, b"\2" * 8
    one.attributes[0].value.string_value_strindex = 7
    emptied = empty_references(sent, sent.SerializeToString())
    accepted = otlp.accept(sent, otlp.TRACES, emptied)
    assert (accepted.items, accepted.rejected) == (1, 0)
    assert accepted.reason.startswith("1 values refer to a table of strings")
    assert one.attributes[0].value.WhichOneof("value") is None
