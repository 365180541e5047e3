"""Bodies of requests to messages (opentelemetry-proto `docs/specification.md`)."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError

from driftline.collector.otlp.errors import UnreadableBody, UnsupportedEncoding
from driftline.collector.otlp.mending import mend_json, mend_protobuf
from driftline.collector.otlp.signals import TRACES, Request, Signal, camel

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_DEEPEST = 200  # messages inside messages


def media_type(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def parse(body: bytes, content_type: str, signal: Signal = TRACES, notes: list[str] | None = None) -> Request:
    """Read a body of the given content type. What had to be mended is told in *notes*.

    Raises:
        UnsupportedEncoding: the type is neither protobuf nor JSON.
        UnreadableBody: the body is not a request of that signal; says where, as far as can be told.
    """
    kind = media_type(content_type)
    if kind == PROTOBUF:
        return _from_protobuf(body, signal, notes)
    if kind == JSON:
        return parse_json(body, signal, notes)
    raise UnsupportedEncoding(f"content type {content_type[:100]!r} is not supported", f"use {PROTOBUF} or {JSON}")


def _from_protobuf(body: bytes, signal: Signal, notes: list[str] | None) -> Request:
    try:
        return signal.request.FromString(body)
    except DecodeError as refusal:
        error = refusal
    mended, texts = mend_protobuf(body, signal.request.DESCRIPTOR)
    try:
        if texts:
            request = signal.request.FromString(mended)
            _note(notes, texts, 0)
            return request
    except DecodeError:
        pass
    raise UnreadableBody(
        f"the body ({len(body)} bytes) is not an OTLP {signal.noun} request in protobuf", "is it cut short?"
    ) from error


def parse_json(body: bytes | str, signal: Signal = TRACES, notes: list[str] | None = None) -> Request:
    """Read an OTLP/JSON request (ids in hex of any case, enums as numbers, unknown members ignored).

    Raises:
        UnreadableBody: not JSON, or not a request of that signal.
    """
    try:
        try:
            data = json.loads(body)
        except UnicodeDecodeError:
            data = json.loads(bytes(body).decode("utf-8", "surrogateescape"))  # type: ignore[arg-type]  # text is not decoded
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"the body is not valid JSON: {error}", "send one OTLP/JSON request") from error
    return request_from(data, signal, notes)


def request_from(data: Any, signal: Signal = TRACES, notes: list[str] | None = None) -> Request:
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
        except (ParseError, ValueError):  # ValueError: what protobuf makes of half a character
            data, texts, numbers = mend_json(data)
            if not texts + numbers:
                raise
            request = _message(data, signal)
            _note(notes, texts, numbers)
    except (ParseError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, SystemError) as error:
        # SystemError: what protobuf makes of a member whose name is a lone surrogate.
        raise UnreadableBody(
            f"the JSON is not an OTLP {signal.name} request: {error}", "see opentelemetry-proto"
        ) from error
    return request


def _note(notes: list[str] | None, texts: int, numbers: int) -> None:
    if notes is not None:
        notes += [f"{texts} texts were not Unicode; U+FFFD stands where they were not"] if texts else []
        notes += [f"{numbers} integers did not fit 64 bits and became doubles"] if numbers else []


def _message(data: dict[str, Any], signal: Signal) -> Request:
    request = signal.request()
    ParseDict(data, request, ignore_unknown_fields=True, max_recursion_depth=_DEEPEST)
    return request


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
