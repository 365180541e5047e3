"""OTLP/HTTP bodies to trace requests, and answers back (opentelemetry-proto `docs/specification.md`)."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from driftline.errors import DriftlineError

MAX_BODY = 64 * 1024 * 1024
PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_LONGEST_MESSAGE = 1000

# google.rpc.Code
INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE = 3, 5, 8, 12, 14


class RefusedRequest(DriftlineError):
    """A request we do not take: with the HTTP status and google.rpc code that say so."""

    http, code = 400, INVALID_ARGUMENT


class UnreadableBody(RefusedRequest):
    """The body is not what its headers say."""


class UnsupportedEncoding(RefusedRequest):
    """A content type or content encoding we do not speak."""

    http = 415


class BodyTooLarge(RefusedRequest):
    """More bytes than we accept, after decompression."""

    http, code = 413, RESOURCE_EXHAUSTED


class WrongPlace(RefusedRequest):
    """A path or method that takes nothing."""

    http, code = 404, NOT_FOUND


class SignalNotSupported(RefusedRequest):
    """Logs or metrics: not taken, and said so, as nothing acknowledged may be lost."""

    http, code = 501, UNIMPLEMENTED


class ShuttingDown(RefusedRequest):
    """The collector takes no more."""

    http, code = 503, UNAVAILABLE


class LogFull(RefusedRequest):
    """The write-ahead log has reached its limit or the disk is full."""

    http, code = 503, UNAVAILABLE


@dataclass(frozen=True)
class Accepted:
    """A request worth storing: its message, how many spans it holds, how many were left out and why."""

    request: ExportTraceServiceRequest
    spans: int
    rejected: int
    reason: str


def decompress(body: bytes, encoding: str, limit: int = MAX_BODY) -> bytes:
    """Undo the content encoding, never producing more than *limit* bytes.

    Raises:
        UnsupportedEncoding: neither identity, gzip nor deflate.
        BodyTooLarge: it unpacks to more than *limit*.
        UnreadableBody: it is corrupt or cut short.
    """
    word = encoding.strip().lower()
    if word in ("", "identity"):
        data = body
    elif word in ("gzip", "x-gzip", "deflate"):
        try:
            data = _unpack(body, limit + 1)
        except EOFError as error:
            raise UnreadableBody(f"the {word} body is cut short", "send it whole") from error
        except zlib.error as error:
            raise UnreadableBody(f"the body is not valid {word}: {error}", "check Content-Encoding") from error
    else:
        raise UnsupportedEncoding(f"content encoding {encoding!r} is not supported", "use gzip or none")
    if len(data) > limit:
        raise BodyTooLarge(f"the body is larger than {limit // 2**20} MiB", "send smaller batches")
    return data


def _unpack(body: bytes, limit: int) -> bytes:
    """Unpack gzip (of one member or several) or zlib data; stops at *limit* bytes."""
    parts, room = [], limit
    while True:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        part = unpacker.decompress(body, room)
        parts.append(part)
        room -= len(part)
        if room <= 0:
            break
        if not unpacker.eof:
            raise EOFError
        body = unpacker.unused_data
        if not body:
            break
    return b"".join(parts)


def parse(body: bytes, content_type: str) -> ExportTraceServiceRequest:
    """Read a body of the given content type.

    Raises:
        UnsupportedEncoding: the type is neither protobuf nor JSON.
        UnreadableBody: the body is not a trace request; says where, as far as can be told.
    """
    kind = media_type(content_type)
    if kind == PROTOBUF:
        try:
            request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            raise UnreadableBody(
                f"the body ({len(body)} bytes) is not an OTLP trace request in protobuf", "is it cut short?"
            ) from error
        return request
    if kind == JSON:
        return parse_json(body)
    raise UnsupportedEncoding(f"content type {content_type!r} is not supported", f"use {PROTOBUF} or {JSON}")


def parse_json(body: bytes | str) -> ExportTraceServiceRequest:
    """Read an OTLP/JSON trace request (ids in hex of any case, enums as numbers, unknown members ignored).

    Raises:
        UnreadableBody: not JSON, or not a trace request.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"the body is not valid JSON: {error}", "send one OTLP/JSON request") from error
    return request_from(data)


def request_from(data: Any) -> ExportTraceServiceRequest:
    """As `parse_json`, for JSON already read. *data* is changed.

    Raises:
        UnreadableBody: not a trace request.
    """
    if not isinstance(data, dict):
        raise UnreadableBody("the JSON body is not an object", 'expected {"resourceSpans": [...]}')
    try:
        _ids_to_base64(data)
        request = ExportTraceServiceRequest()
        ParseDict(data, request, ignore_unknown_fields=True, max_recursion_depth=200)
    except (ParseError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, SystemError) as error:
        # SystemError: what protobuf makes of a member whose name is a lone surrogate.
        raise UnreadableBody(f"the JSON is not an OTLP trace request: {error}", "see opentelemetry-proto") from error
    return request


def accept(request: ExportTraceServiceRequest) -> Accepted:
    """Leave out spans without valid ids; keep the rest."""
    spans = rejected = 0
    for group in request.resource_spans:
        for scoped in group.scope_spans:
            bad = [
                n for n, span in enumerate(scoped.spans) if not _valid(span.trace_id, 16) or not _valid(span.span_id, 8)
            ]
            for number in reversed(bad):
                del scoped.spans[number]
            rejected += len(bad)
            spans += len(scoped.spans)
    reason = (
        f"{rejected} spans have no valid trace id (16 bytes) or span id (8 bytes), not all zero" if rejected else ""
    )
    return Accepted(request, spans, rejected, reason)


def success(content_type: str, rejected: int = 0, message: str = "") -> tuple[bytes, str]:
    """The body and content type of a 200 answer, in the request's encoding."""
    kind = media_type(content_type)
    if kind == JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}} if message else {}
        return json.dumps(partial).encode(), JSON
    response = ExportTraceServiceResponse()
    if message:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    return response.SerializeToString(), PROTOBUF


def failure(error: RefusedRequest, content_type: str) -> tuple[bytes, str]:
    """The `google.rpc.Status` body of a refusal, in the request's encoding (JSON for an unknown one)."""
    message = str(error)
    if len(message) > _LONGEST_MESSAGE:  # it may quote what was sent
        message = message[:_LONGEST_MESSAGE] + "…"
    if media_type(content_type) != PROTOBUF:
        return json.dumps({"code": error.code, "message": message}).encode(), JSON
    text = message.encode("utf-8", "replace")
    return bytes([0x08, error.code]) + b"\x12" + varint(len(text)) + text, PROTOBUF


def media_type(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def framed(request: bytes) -> bytes:
    """A serialized request as ClickHouse's `Protobuf` format frames it: varint length, then the message."""
    return varint(len(request)) + request


def varint(number: int) -> bytes:
    """*number* in protobuf's base-128 form."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def gunzip(data: bytes) -> bytes:
    """A whole gzip file.

    Raises:
        UnreadableBody: it is corrupt or cut short.
    """
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableBody(f"the file is not valid gzip: {error}", "is it cut short?") from error


def _valid(identifier: bytes, length: int) -> bool:
    return len(identifier) == length and any(identifier)


def _ids_to_base64(data: dict[str, Any]) -> None:
    """OTLP/JSON writes ids in hex where the protobuf JSON mapping wants base64. What has another form is left alone."""
    for group in _members(data, "resourceSpans"):
        for scoped in _members(group, "scopeSpans"):
            for span in _members(scoped, "spans"):
                _convert(span, "traceId", "spanId", "parentSpanId")
                _expect_values(span)
                for link in _members(span, "links"):
                    _convert(link, "traceId", "spanId")


def _members(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = holder.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _expect_values(span: dict[str, Any]) -> None:
    """protobuf's JSON reader takes a bare string where an attribute's value object belongs, and loses it."""
    for attribute in _members(span, "attributes"):
        if isinstance(attribute.get("value"), (str, list)):
            raise ParseError(f"the value of attribute {attribute.get('key')!r} is not an object")


def _convert(holder: dict[str, Any], *names: str) -> None:
    for name in names:
        if holder.get(name):
            try:
                holder[name] = base64.b64encode(bytes.fromhex(holder[name])).decode()
            except (ValueError, TypeError) as error:
                raise ParseError(f"{name} {holder[name]!r} is not hexadecimal, as OTLP/JSON writes ids") from error
