"""What is sent is what is stored: the engine's rows against an independent decoding, over requests made at random."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import plain_decoding
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from otlp_requests import any_value, request, span
from otlp_values import attributes, counts, texts, times

from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import PROTOBUF, accept, framed, parse
from driftline.collector.store import Store

_TIMES = ("Timestamp", "Events.Timestamp")
_QUERY = f"""
SELECT {", ".join(f"`{name}`" for name in plain_decoding.rows(request(span()))[0] if name not in _TIMES)},
    toUnixTimestamp64Nano(Timestamp) AS started,
    arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`) AS happened
FROM otel_traces FINAL
"""
_tokens = (f"fidelity-{number}" for number in itertools.count())


def stored(store: Store, sent: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """The rows of a request that went the collector's way."""
    store.command("TRUNCATE TABLE otel_traces")
    found = parse(sent.SerializeToString(), PROTOBUF)
    found.DiscardUnknownFields()
    flatten_nested(found)
    store.insert_requests(framed(accept(found).request.SerializeToString()), next(_tokens))
    rows = []
    for row in store.rows(_QUERY):
        row["Timestamp"], row["Events.Timestamp"] = row.pop("started"), row.pop("happened")
        rows.append(row)
    return rows


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Attribute texts that are JSON as their values: white space and escapes are the engine's choice."""
    out = {name: list(value) if isinstance(value, (list, tuple)) else value for name, value in row.items()}
    for name in ("ResourceAttributes", "SpanAttributes"):
        out[name] = {key: _value(text) for key, text in row[name].items()}
    out["ServiceName"] = _value(row["ServiceName"])
    for name in ("Events.Attributes", "Links.Attributes"):
        out[name] = [{key: _value(text) for key, text in attributes.items()} for attributes in row[name]]
    return out


def _value(text: str) -> Any:
    if text[:1] in ("[", "{"):
        try:
            return ("JSON", json.dumps(json.loads(text), sort_keys=True))
        except ValueError:
            return text
    return text


def by_id(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["TraceId"], row["SpanId"]): comparable(row) for row in rows}


def differences(found: Any, expected: Any, place: str = "") -> list[str]:
    """Where the two differ, and how."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return [
            text
            for key in sorted({*found, *expected}, key=str)
            for text in differences(found.get(key), expected.get(key), f"{place}/{key}")
        ]
    return [] if found == expected else [f"{place}: stored {found!r}, sent {expected!r}"]


# -- requests made at random


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """Any request of up to two resources, with spans of every shape."""
    sent = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(1, 2))):
        group = sent.resource_spans.add()
        _fill(group.resource.attributes, draw(attributes))
        for _ in range(draw(st.integers(0, 2))):
            scoped = group.scope_spans.add()
            scoped.scope.name, scoped.scope.version = draw(texts), draw(texts)
            for _ in range(draw(st.integers(0, 3))):
                _span(draw, scoped.spans.add())
    return sent


def _span(draw: st.DrawFn, found: Any) -> None:
    found.trace_id, found.span_id = draw(st.binary(min_size=16, max_size=16)), draw(st.binary(min_size=8, max_size=8))
    found.parent_span_id = draw(st.sampled_from([b"", bytes(8), b"\xab" * 8, b"short"]))
    found.trace_state, found.name = draw(texts), draw(texts)
    found.kind = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 99]))
    found.start_time_unix_nano, found.end_time_unix_nano = draw(times), draw(times)
    found.status.code, found.status.message = draw(st.sampled_from([0, 1, 2, 3])), draw(texts)
    found.flags = draw(counts)
    found.dropped_attributes_count, found.dropped_events_count, found.dropped_links_count = (
        draw(counts) for _ in "123"
    )
    _fill(found.attributes, draw(attributes))
    for _ in range(draw(st.integers(0, 2))):
        event = found.events.add(name=draw(texts), time_unix_nano=draw(times))
        _fill(event.attributes, draw(attributes))
    for _ in range(draw(st.integers(0, 2))):
        link = found.links.add(trace_id=b"\xcd" * 16, span_id=b"\xef" * 8, trace_state=draw(texts))
        _fill(link.attributes, draw(attributes))


def _fill(target: Any, pairs: list[tuple[str, Any]]) -> None:
    for key, value in pairs:
        target.add(key=key).value.CopyFrom(any_value(value))


# Not shrunk: an insert takes a while, and the example is readable as it is.
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(sent=requests())
def test_rows_are_what_a_plain_decoding_gives(store: Store, sent: ExportTraceServiceRequest) -> None:
    """Every column of every span, whatever its values; spans without valid ids are left out."""
    expected = plain_decoding.rows(sent)
    found = by_id(stored(store, sent))
    if len(found) == len(expected):
        assert differences(found, by_id(expected)) == []
    else:  # two spans of one id: one row stays, and it is one of them
        options = [comparable(row) for row in expected]
        assert set(found) == set(by_id(expected))
        assert all(row in options for row in found.values())


# -- and each kind of value by name

VALUES: list[tuple[Any, str]] = [
    ("", ""),
    ("text", "text"),
    ("é😀\n'\"\\", "é😀\n'\"\\"),
    (0, "0"),
    (False, "false"),
    (True, "true"),
    (2**63 - 1, "9223372036854775807"),
    (-(2**63), "-9223372036854775808"),
    (0.0, "0"),
    (1.0, "1"),
    (0.1, "0.1"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (-2.5e-7, "-2.5e-7"),
    (math.nan, "nan"),
    (math.inf, "inf"),
    (-math.inf, "-inf"),
    (b"\x00\xff", "AP8="),
    (b"", ""),
    ([], "[]"),
    ({}, "{}"),
    (["a", 1, 1.0, True, None, b"\xff"], '["a",1,1,true,null,"/w=="]'),
    ([math.nan, 1e21], '["nan",1e+21]'),
    (["", 0, False], '["",0,false]'),
    ([[1, [2]], {}], "[[1,[2]],{}]"),
    ({"b": 1, "a": {"c": [None, "x"]}}, '{"a":{"c":[null,"x"]},"b":1}'),
    ({"whole": 2.0}, '{"whole":2}'),
    (None, ""),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=[repr(value)[:30] for value, _ in VALUES])
def test_each_kind_of_value_has_its_text(value: Any, text: str) -> None:
    """The reference decoding says the same, so the two guard each other."""
    assert plain_decoding.text_of(any_value(value)) == text


def test_each_kind_of_value_is_stored_as_that_text(store: Store) -> None:
    """On spans, resources, events and links alike."""
    given_values = {f"key {number}": value for number, (value, _) in enumerate(VALUES)}
    expected = {f"key {number}": text for number, (_, text) in enumerate(VALUES)}
    one = span(attributes=given_values, events=[("event", given_values)])
    link = one.links.add(trace_id=b"\1" * 16, span_id=b"\1" * 8)
    _fill(link.attributes, list(given_values.items()))
    (row,) = stored(store, request(one, resource=given_values))
    assert row["SpanAttributes"] == expected
    assert row["ResourceAttributes"] == expected
    assert row["Events.Attributes"][0] == expected
    assert row["Links.Attributes"][0] == expected


def test_ids_are_lower_hex_and_no_parent_is_no_text(store: Store) -> None:
    """An all-zero parent is none."""
    one = span(trace=b"\xab\xcd" * 8, number=b"\xef" * 8, parent=bytes(8))
    (row,) = stored(store, request(one))
    assert (row["TraceId"], row["SpanId"], row["ParentSpanId"]) == ("abcd" * 8, "ef" * 8, "")


def test_a_value_newer_than_we_know_is_empty_and_harms_no_neighbour(store: Store) -> None:
    """A string-table index (tag 8), which a trace should not hold; a map beside it is still read."""
    one = span(attributes={"known": {"a": 1}})
    odd = one.attributes.add(key="odd")
    odd.value.MergeFromString(b"\x40\x05")
    (row,) = stored(store, request(one))
    assert row["SpanAttributes"] == {"known": '{"a":1}', "odd": ""}


def test_of_a_oneof_given_twice_the_last_counts(store: Store) -> None:
    """As protobuf has it, whatever order ClickHouse would look in."""
    one = span(attributes={"a": "text"})
    one.attributes[0].value.MergeFrom(AnyValue(int_value=5))
    wire = request(one).SerializeToString()
    both = wire.replace(b"\x12\x02\x18\x05", b"\x12\x02\x18\x05")
    (row,) = stored(store, parse(both, PROTOBUF))
    assert row["SpanAttributes"] == {"a": "5"}


def test_a_batch_may_touch_any_number_of_months(store: Store) -> None:
    """Clocks of senders are what they are; one batch of 150 months is no reason to refuse it."""
    month = 31 * 86_400 * 10**9
    sent = request(*(span(trace=number + 1, start=number * month) for number in range(150)))
    assert len(stored(store, sent)) == 150
