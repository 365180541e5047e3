"""Answers, in the encoding of the request."""

from __future__ import annotations

import json

from driftline.collector.otlp.bodies import JSON, PROTOBUF, media_type
from driftline.collector.otlp.errors import RefusedRequest
from driftline.collector.otlp.framing import varint
from driftline.collector.otlp.signals import TRACES, Signal, camel

_LONGEST_MESSAGE = 1000


def success(content_type: str, rejected: int = 0, message: str = "", signal: Signal = TRACES) -> tuple[bytes, str]:
    """The body and content type of a 200 answer. A *message* with nothing *rejected* is a warning."""
    if media_type(content_type) == JSON:
        partial = (
            {"partialSuccess": {camel(signal.rejected): str(rejected), "errorMessage": message}} if message else {}
        )
        return json.dumps(partial).encode(), JSON
    return response(signal, rejected, message), PROTOBUF


def response(signal: Signal, rejected: int = 0, message: str = "") -> bytes:
    """The serialized response message of *signal*."""
    found = signal.response()
    if message:
        setattr(found.partial_success, signal.rejected, rejected)
        found.partial_success.error_message = message
    data: bytes = found.SerializeToString()
    return data


def failure(error: RefusedRequest, content_type: str) -> tuple[bytes, str]:
    """The `google.rpc.Status` body of a refusal (JSON for a content type we do not know)."""
    message = told(error)
    if media_type(content_type) != PROTOBUF:
        return json.dumps({"code": error.code, "message": message}).encode(), JSON
    text = message.encode("utf-8", "replace")
    return bytes([0x08, error.code]) + b"\x12" + varint(len(text)) + text, PROTOBUF


def told(error: RefusedRequest) -> str:
    """What a sender is told. The error may quote what was sent, so it is cut."""
    message = str(error)
    return message[:_LONGEST_MESSAGE] + "…" if len(message) > _LONGEST_MESSAGE else message
