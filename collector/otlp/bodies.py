"""Bodies of requests to messages (opentelemetry-proto `docs/specification.md`)."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError

from driftline.collector.otlp.errors import UnreadableBody, UnsupportedEncoding
from driftline.collector.otlp.signals import TRACES, Request, Signal, camel

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_DEEPEST = 200  # messages inside messages


def media_type(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def parse(body: bytes, content_type: str, signal: Signal = TRACES) -> Request:
    """Read a body of the given content type.

    Raises:
        UnsupportedEncoding: the type is neither protobuf nor JSON.
        UnreadableBody: the body is not a request of that signal; says where, as far as can be told.
    """
    kind = media_type(content_type)
    if kind == PROTOBUF:
        try:
            return signal.request.FromString(body)
        except DecodeError as error:
            raise UnreadableBody(
                f"the body ({len(body)} bytes) is not an OTLP {signal.noun} request in protobuf", "is it cut short?"
            ) from error
    if kind == JSON:
        return parse_json(body, signal)
    raise UnsupportedEncoding(f"content type {content_type[:100]!r} is not supported", f"use {PROTOBUF} or {JSON}")


def parse_json(body: bytes | str, signal: Signal = TRACES) -> Request:
    """Read an OTLP/JSON request (ids in hex of any case, enums as numbers, unknown members ignored).

    Raises:
        UnreadableBody: not JSON, or not a request of that signal.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"the body is not valid JSON: {error}", "send one OTLP/JSON request") from error
    return request_from(data, signal)


def request_from(data: Any, signal: Signal = TRACES) -> Request:
    """As `parse_json`, for JSON already read. *data* is changed.

    Raises:
        UnreadableBody: not a request of that signal.
    """
    if not isinstance(data, dict):
        raise UnreadableBody("the JSON body is not an object", f'expected {{"{camel(signal.groups)}": [...]}}')
    try:
        _mend(data, signal)
        try:
            request = _message(data, signal)
        except ParseError:
            if not _widen(data):
                raise
            request = _message(data, signal)
    except (ParseError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, SystemError) as error:
        # SystemError: what protobuf makes of a member whose name is a lone surrogate.
        raise UnreadableBody(
            f"the JSON is not an OTLP {signal.name} request: {error}", "see opentelemetry-proto"
        ) from error
    return request


def _message(data: dict[str, Any], signal: Signal) -> Request:
    request = signal.request()
    ParseDict(data, request, ignore_unknown_fields=True, max_recursion_depth=_DEEPEST)
    return request


def _widen(data: Any) -> int:
    """Make integers beyond 64 bits the doubles they were; how many. JavaScript's SDK sends 1e300 as an `intValue`."""
    if isinstance(data, list):
        return sum(_widen(item) for item in data)
    if not isinstance(data, dict):
        return 0
    number, found = data.get("intValue"), 0
    if isinstance(number, (int, float)) and not isinstance(number, bool) and not -(2**63) <= number < 2**63:
        data["doubleValue"] = float(data.pop("intValue"))
        found = 1
    return found + sum(_widen(item) for item in data.values())


def _mend(data: dict[str, Any], signal: Signal) -> None:
    """OTLP/JSON is not protobuf's JSON: ids are hex there, base64 here. What has another form is left alone."""
    for group in _members(data, camel(signal.groups)):
        for scoped in _members(group, camel(signal.scoped)):
            for item in _members(scoped, camel(signal.items)):
                _convert(item, "traceId", "spanId", "parentSpanId")
                _expect_values(item)
                for link in _members(item, "links"):
                    _convert(link, "traceId", "spanId")
                for points in item.values() if signal.name == "metrics" else ():
                    _mend_exemplars(points)


def _mend_exemplars(points: Any) -> None:
    for point in _members(points, "dataPoints") if isinstance(points, dict) else ():
        for exemplar in _members(point, "exemplars"):
            _convert(exemplar, "traceId", "spanId")


def _members(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = holder.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _expect_values(item: dict[str, Any]) -> None:
    """protobuf's JSON reader takes a bare string where a value object belongs, and loses it."""
    for attribute in _members(item, "attributes"):
        if isinstance(attribute.get("value"), (str, list)):
            raise ParseError(f"the value of attribute {attribute.get('key')!r} is not an object")
    if isinstance(item.get("body"), (str, list)):
        raise ParseError("the body of a log record is not an object")


def _convert(holder: dict[str, Any], *names: str) -> None:
    for name in names:
        if holder.get(name):
            try:
                holder[name] = base64.b64encode(bytes.fromhex(holder[name])).decode()
            except (ValueError, TypeError) as error:
                raise ParseError(f"{name} {holder[name]!r} is not hexadecimal, as OTLP/JSON writes ids") from error
