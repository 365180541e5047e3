"""OTLP to the letter: bodies to messages, what of them is taken, and the answers (opentelemetry-proto 1.x)."""

from driftline.collector.otlp.accepting import Accepted, accept
from driftline.collector.otlp.answers import failure, response, success, told
from driftline.collector.otlp.bodies import JSON, PROTOBUF, media_type, parse, parse_json, request_from
from driftline.collector.otlp.encodings import ENCODINGS, MAX_BODY, decompress, gunzip
from driftline.collector.otlp.errors import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    BodyTooLarge,
    LogFull,
    RefusedRequest,
    ShuttingDown,
    UnreadableBody,
    UnsupportedEncoding,
    WrongPlace,
)
from driftline.collector.otlp.framing import framed, varint
from driftline.collector.otlp.signals import LOGS, METRICS, SIGNALS, TRACES, Signal

__all__ = [
    "ENCODINGS",
    "INVALID_ARGUMENT",
    "JSON",
    "LOGS",
    "MAX_BODY",
    "METRICS",
    "NOT_FOUND",
    "PROTOBUF",
    "RESOURCE_EXHAUSTED",
    "SIGNALS",
    "TRACES",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "Accepted",
    "BodyTooLarge",
    "LogFull",
    "RefusedRequest",
    "ShuttingDown",
    "Signal",
    "UnreadableBody",
    "UnsupportedEncoding",
    "WrongPlace",
    "accept",
    "decompress",
    "failure",
    "framed",
    "gunzip",
    "media_type",
    "parse",
    "parse_json",
    "request_from",
    "response",
    "success",
    "told",
    "varint",
]
