"""The look through a request's bytes: no value that needs rewriting is passed over, wherever lengths grow by a byte."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from driftline.collector.wire_search import may_hold_nested, may_hold_reference

# Around the lengths at which a length needs another byte, for the value itself and for what holds it.
SIZES = [0, 1, 2, *range(110, 132), *range(16_360, 16_390), 2**21 + 5]


def _map(size: int) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(string_value="2" * size))]))


def _nested(size: int) -> AnyValue:
    inner = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="*" * size)]))
    return AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=5), inner]))


def _in_a_span(value: AnyValue) -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="s")
    span.attributes.add(key="k", value=value)
    return request.SerializeToString()


def _in_a_body(value: AnyValue) -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(body=value)
    return request.SerializeToString()


@pytest.mark.parametrize("hold", [_in_a_span, _in_a_body])
def test_maps_and_arrays_inside_arrays_are_found_at_any_size(hold: Callable[[AnyValue], bytes]) -> None:
    for size in SIZES:
        assert may_hold_nested(hold(_map(size))), size
        assert may_hold_nested(hold(_nested(size))), size


@pytest.mark.parametrize("hold", [_in_a_span, _in_a_body])
def test_empty_maps_and_arrays_are_found(hold: Callable[[AnyValue], bytes]) -> None:
    for value in (
        AnyValue(kvlist_value=KeyValueList()),
        AnyValue(array_value=ArrayValue()),
        AnyValue(array_value=ArrayValue(values=[AnyValue(array_value=ArrayValue())])),
    ):
        assert may_hold_nested(hold(value)), value


def test_flat_arrays_and_scalars_cost_no_walk() -> None:
    for size in SIZES:
        flat = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="x" * size), AnyValue(int_value=1)]))
        assert not may_hold_nested(_in_a_span(flat)), size
        assert not may_hold_nested(_in_a_span(AnyValue(string_value="x" * size))), size


def test_references_to_a_table_of_strings_are_found() -> None:
    for number in (0, 1, 127, 128, 2**31 - 1):
        assert may_hold_reference(_in_a_span(AnyValue(string_value_strindex=number)))
        assert may_hold_reference(_in_a_body(AnyValue(string_value_strindex=number)))
    assert not may_hold_reference(_in_a_span(AnyValue(string_value="@" * 50)))


def test_any_bytes_can_be_looked_through() -> None:
    chance = random.Random(1)
    telling = bytes([0x0A, 0x12, 0x2A, 0x32, 0x40, 0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF])
    for length in range(400):
        wire = bytes(chance.choice(telling) for _ in range(length % 40))
        may_hold_nested(wire)
        may_hold_reference(wire)
