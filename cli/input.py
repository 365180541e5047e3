"""Files of OTLP traces to framed requests: `.json`/`.jsonl` (one request a line), `.pb` (length-delimited), `.gz` of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import UnreadableBody, accept, framed, gunzip, parse_json
from driftline.errors import DriftlineError


class UnreadableFile(DriftlineError):
    """A file to check is missing, or is not OTLP; the message says where it goes wrong."""


def read_requests(name: str) -> Iterator[ExportTraceServiceRequest]:
    """The trace requests in file *name*; `-` is standard input.

    Raises:
        UnreadableFile: it cannot be opened, or a part of it is not OTLP.
    """
    data = _read(name)
    try:
        if data[:2] == b"\x1f\x8b":
            data = gunzip(data)
    except UnreadableBody as error:
        raise UnreadableFile(f"{name}: {error.what}", error.todo) from error
    if _is_protobuf(name, data):
        yield from _protobuf(name, data)
    else:
        yield from _json(name, data)


def framed_requests(name: str) -> tuple[bytes, int, int]:
    """All requests of a file, framed for the store; how many spans; how many were left out for want of valid ids."""
    parts, spans, rejected = [], 0, 0
    for request in read_requests(name):
        flatten_nested(request)
        accepted = accept(request)
        spans += accepted.spans
        rejected += accepted.rejected
        if accepted.spans:
            parts.append(framed(accepted.request.SerializeToString()))
    return b"".join(parts), spans, rejected


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {error.strerror}", "check the path") from error


def _is_protobuf(name: str, data: bytes) -> bool:
    stem = name.removesuffix(".gz")
    if stem.endswith(".pb"):
        return True
    return not stem.endswith((".json", ".jsonl")) and not data.lstrip()[:1] in (b"{", b"")


def _json(name: str, data: bytes) -> Iterator[ExportTraceServiceRequest]:
    lines = data.splitlines()
    if len(lines) > 1 and _opens_only(lines):
        # One request, written over many lines.
        yield _one(name, 1, data)
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _one(name, number, line)


def _opens_only(lines: list[bytes]) -> bool:
    first = next((line for line in lines if line.strip()), b"")
    return first.count(b"{") != first.count(b"}")


def _one(name: str, number: int, text: bytes) -> ExportTraceServiceRequest:
    try:
        return parse_json(text)
    except UnreadableBody as error:
        raise UnreadableFile(
            f"{name}, line {number}: {error.what}", "each line must be one OTLP/JSON request"
        ) from error


def _protobuf(name: str, data: bytes) -> Iterator[ExportTraceServiceRequest]:
    position, number = 0, 0
    while position < len(data):
        number += 1
        start = position
        length, position = _varint(data, position)
        body = data[position : position + length]
        try:
            if length < 0 or len(body) != length:
                raise DecodeError
            yield ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            raise UnreadableFile(
                f"{name}, message {number} at byte {start} is not a length-delimited OTLP trace request",
                "is the file cut short?",
            ) from error
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at *position* and where it ends; -1 when there is none."""
    number = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7
    return -1, position
