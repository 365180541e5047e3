"""Every value in every place and in both encodings, and values that are not quite right: what is stored of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fuzzing_seeds
import plain_decoding
import pytest
import stored_spans
from fake_store import FakeStore
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_requests import request, span

from driftline.collector import Collector, otlp
from driftline.collector.store import Store


def through(store: Any, folder: Path, body: bytes, kind: str) -> otlp.Accepted:
    """A body on the whole way from the receiver to the store."""
    collector = Collector(store, folder)
    collector.start()
    accepted = collector.receive(body, kind)
    assert collector.flush(60)
    assert collector.stats()["dead_letters"] == 0
    collector.stop(10)
    return accepted


@pytest.mark.parametrize("kind", [otlp.PROTOBUF, otlp.JSON])
def test_every_value_is_stored_alike(store: Store, tmp_path: Path, kind: str) -> None:
    """Empty, bytes, nested maps and arrays, 64-bit integers, NaN; on spans, events, resources, scopes."""
    sent = fuzzing_seeds.traces()
    body = sent.SerializeToString() if kind == otlp.PROTOBUF else json.dumps(fuzzing_seeds.as_json(sent)).encode()
    accepted = through(store, tmp_path, body, kind)
    assert (accepted.items, accepted.rejected) == (2, 1)
    expected = {row["SpanName"]: stored_spans.comparable(row) for row in plain_decoding.rows(sent)}
    found = stored_spans.stored(store)
    assert set(found) == {"whole", "bare"}
    for name, row in expected.items():
        assert {column: found[name][column] for column in row} == row
    assert [found["whole"][f"Dropped{what}"] for what in ("Attributes", "Events", "Links")] == [7, 7, 7]


@pytest.mark.parametrize("kind", [otlp.PROTOBUF, otlp.JSON])
def test_of_a_key_given_twice_the_last_value_stays(store: Store, tmp_path: Path, kind: str) -> None:
    """Whatever its type; of a member given twice in JSON, too."""
    one = span("one", {"a": "first", "b": 1})
    one.attributes.add(key="a").value.int_value = 2
    one.attributes.add(key="a").value.double_value = 2.5
    sent = request(one)
    body = sent.SerializeToString() if kind == otlp.PROTOBUF else json.dumps(fuzzing_seeds.as_json(sent)).encode()
    through(store, tmp_path, body.replace(b'"name": "one"', b'"name": "zero", "name": "one"'), kind)
    assert stored_spans.stored(store)["one"]["SpanAttributes"] == {"a": "2.5", "b": "1"}


def test_what_a_newer_protocol_adds_is_ignored(tmp_path: Path) -> None:
    """Fields and members that we do not know, at every depth; enums beyond ours."""
    sent = request(span("one"))
    sent.resource_spans[0].scope_spans[0].spans[0].kind = 99
    data = fuzzing_seeds.as_json(sent)
    for holder in (data, data["resourceSpans"][0], data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]):
        holder["fromTheFuture"] = {"a": [1, {"b": None}]}
    store = FakeStore()
    assert through(store, tmp_path / "json", json.dumps(data).encode(), otlp.JSON).items == 1
    assert through(store, tmp_path / "protobuf", sent.SerializeToString() + b"\xfa\x7f\x01x", otlp.PROTOBUF).items == 1
    first, second = store.batches.values()
    assert first == second == otlp.framed(sent.SerializeToString())


def test_evicted_attributes_reach_the_steps(store: Store, tmp_path: Path) -> None:
    """An SDK keeps 128 and says how many it did not: such a run is judged as incomplete (analyzers/completeness.py)."""
    one = span("invoke_workflow", {"gen_ai.operation.name": "invoke_workflow", "driftline.run.id": "r"})
    one.dropped_attributes_count = 3
    through(store, tmp_path, request(one).SerializeToString(), otlp.PROTOBUF)
    assert store.value("SELECT dropped_attributes FROM steps FINAL") == 3


# -- not quite right


def wrong_text(name: bytes) -> bytes:
    """A request whose second span has *name*, beside good ones."""
    sent = request(span("good"), span("WRONG"), span("also good")).SerializeToString()
    assert len(name) == 5
    return sent.replace(b"WRONG", name)


@pytest.mark.parametrize("name", [b"\xff\xfe\xfd\xfc\xfb", b"caf\xc3e", b"\xed\xa0\x80ab"])
def test_text_that_is_no_utf8_costs_no_span(tmp_path: Path, name: bytes) -> None:
    """Text cut in the middle of a character: protobuf refuses the whole request, we mend the text and say so."""
    store = FakeStore()
    accepted = through(store, tmp_path, wrong_text(name), otlp.PROTOBUF)
    assert (accepted.items, accepted.rejected) == (3, 0)
    assert accepted.reason == "1 texts were not Unicode; U+FFFD stands where they were not"
    names = [found.name for found in accepted.request.resource_spans[0].scope_spans[0].spans]
    assert names == ["good", name.decode("utf-8", "replace"), "also good"]
    assert "\ufffd" in names[1]


@pytest.mark.parametrize("text", [b"\\ud83d", b"\xff", b"\\ude00 \\ud83d", b"\xc3"])
def test_half_a_character_costs_no_span_in_json_either(tmp_path: Path, text: bytes) -> None:
    """JavaScript cuts strings between the halves of an emoji and sends it so."""
    data = json.dumps(fuzzing_seeds.as_json(request(span("good"), span("WRONG", {"a": "WRONG"})))).encode()
    accepted = through(FakeStore(), tmp_path, data.replace(b"WRONG", text), otlp.JSON)
    assert (accepted.items, accepted.rejected) == (2, 0)
    assert accepted.reason == "2 texts were not Unicode; U+FFFD stands where they were not"


def test_integers_beyond_64_bits_are_doubles(tmp_path: Path) -> None:
    """JavaScript's SDK takes 1e300 for an integer."""
    sent = fuzzing_seeds.as_json(request(span("one", {"a": 1, "b": {"c": 2}}), span("two")))
    body = json.dumps(sent).replace('"1"', "1e300").replace('"2"', "9223372036854775808")
    accepted = through(FakeStore(), tmp_path, body.encode(), otlp.JSON)
    assert accepted.reason == "2 integers did not fit 64 bits and became doubles"
    first, second = accepted.request.resource_spans[0].scope_spans[0].spans[0].attributes
    assert (first.value.double_value, second.value.string_value) == (1e300, '{"c":9223372036854776000}')


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_mending_changes_nothing_but_texts(data: st.DataObject) -> None:
    """A byte changed anywhere: what is read afterwards is what protobuf reads of it, or a mended text."""
    wire = fuzzing_seeds.traces().SerializeToString()
    place, byte = data.draw(st.integers(0, len(wire) - 1)), data.draw(st.integers(128, 255))
    body, notes = wire[:place] + bytes([byte]) + wire[place + 1 :], list[str]()
    try:
        found = otlp.parse(body, otlp.PROTOBUF, otlp.TRACES, notes)
    except otlp.UnreadableBody:
        return
    if not notes:
        assert found == ExportTraceServiceRequest.FromString(body)
    else:
        assert b"\xef\xbf\xbd" in found.SerializeToString()
