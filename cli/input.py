"""Files of OTLP traces to framed requests: `.json`/`.jsonl` (one a line), `.pb` (length-delimited), `.gz` of both.

Requests for logs may stand among those for traces, in JSON: in protobuf nothing tells the two apart.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import LOGS, TRACES, Signal, UnreadableBody, accept, framed, gunzip, request_from
from driftline.errors import DriftlineError

STANDARD_INPUT = "-"

_BATCH_BYTES = 32 * 2**20  # what is handed to the store at once: bounds memory, not meaning
_LONGEST = 300  # characters of a parser's message: it may quote half the file
_MEMBERS = {TRACES: "resourceSpans", LOGS: "resourceLogs"}
_SPACE = re.compile(r"\s*")
_JSON_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[{\]])")
_BYTE_ORDER_MARK = "\ufeff"


class UnreadableFile(DriftlineError):
    """A file to check is missing, or is not OTLP; the message says where it goes wrong."""


@dataclass
class Contents:
    """What was seen in a file.

    Spans and log records taken, spans without valid ids, members of JSON objects that are no requests.
    """

    name: str
    spans: int = 0
    records: int = 0
    rejected: int = 0
    strange: set[str] = field(default_factory=set)

    def remark(self) -> str:
        """What a person should know of it; '' when there is nothing to say."""
        if self.rejected:
            return f"{self.name}: {self.rejected} spans without a valid trace or span id were left out"
        if self.spans:
            return ""
        if self.strange:
            seen = ", ".join(sorted(self.strange)[:5])
            return f"{self.name} holds no spans: its objects have {seen}, an OTLP trace request has resourceSpans"
        if self.records:
            return f"{self.name} holds no spans, only log records: they tell of spans in other files, if at all"
        return f"{self.name} holds no spans"


def framed_batches(contents: Contents) -> Iterator[tuple[str, bytes]]:
    """The requests of the file *contents* is named after, framed for the store, each batch with its signal.

    Fills in *contents* as it reads.

    Raises:
        UnreadableFile: it cannot be opened, or a part of it is not OTLP.
    """
    parts: dict[str, list[bytes]] = {TRACES.name: [], LOGS.name: []}
    size = 0
    for signal, request in _requests(contents):
        flatten_nested(request)
        accepted = accept(request, signal)
        if signal is LOGS:
            contents.records += accepted.items
        else:
            contents.spans += accepted.items
            contents.rejected += accepted.rejected
        if accepted.items:
            parts[signal.name].append(framed(accepted.request.SerializeToString()))
            size += len(parts[signal.name][-1])
        if size > _BATCH_BYTES:
            yield from _taken(parts)
            size = 0
    yield from _taken(parts)


def _taken(parts: dict[str, list[bytes]]) -> Iterator[tuple[str, bytes]]:
    for signal, found in parts.items():
        if found:
            yield signal, b"".join(found)
            found.clear()


def _requests(contents: Contents) -> Iterator[tuple[Signal, Any]]:
    name = contents.name
    data = _read(name)
    if data[:2] == b"\x1f\x8b" or (name.endswith(".gz") and not data):
        try:
            data = gunzip(data) if data else gunzip(b"\x1f\x8b")
        except UnreadableBody as error:
            raise UnreadableFile(f"{name}: {error.what}", error.todo) from error
    if _is_protobuf(name, data):
        return ((TRACES, request) for request in _protobuf(name, data))
    return _json(contents, data)


def _read(name: str) -> bytes:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise UnreadableFile(f"{name or '.'} is a folder", f"name the files in it: {path / '*.jsonl'}") from error
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {error.strerror}", "check the path") from error
    except ValueError as error:
        raise UnreadableFile(f"{name!r} is no file name: {error}", "check the path") from error


def _is_protobuf(name: str, data: bytes) -> bool:
    stem = name.removesuffix(".gz")
    if stem.endswith(".pb"):
        return True
    # A name that says nothing (standard input): a message may begin with the length 123, which is `{`.
    return not stem.endswith((".json", ".jsonl")) and bool(data.strip()) and not _JSON_BEGINS.match(data)


def _json(contents: Contents, data: bytes) -> Iterator[tuple[Signal, Any]]:
    """One request a line as a rule; what is written over many lines is read as well."""
    name = contents.name
    try:
        text = data.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"{name} is not JSON: byte {error.start} is not UTF-8", "name it .pb if it is length-delimited protobuf"
        ) from error
    decoder = json.JSONDecoder()
    position, line, counted = _past_space(text, 0), 1, 0
    while position < len(text):
        line += text.count("\n", counted, position)
        counted = position
        try:
            found, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            cut = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
            raise UnreadableFile(
                f"{name}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}",
                "is the file cut short?" if cut else "each line must be one OTLP/JSON request",
            ) from error
        except RecursionError as error:
            raise UnreadableFile(
                f"{name}, line {line}: the JSON is nested too deeply", "is it an OTLP/JSON request?"
            ) from error
        except ValueError as error:  # a number of thousands of digits
            raise UnreadableFile(
                f"{name}, line {line}: not valid JSON: {error}", "is it an OTLP/JSON request?"
            ) from error
        for signal in _signals(found):
            yield signal, _request(contents, line, found, signal)
        position = _past_space(text, position)


def _past_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _signals(found: object) -> list[Signal]:
    """What a line holds: spans, log records or both; what holds neither is read as spans, to be told what it lacks."""
    members = found if isinstance(found, dict) else {}
    return [signal for signal, member in _MEMBERS.items() if member in members] or [TRACES]


def _request(contents: Contents, line: int, found: object, signal: Signal) -> Any:
    where = f"{contents.name}, line {line}"
    if isinstance(found, list):
        raise UnreadableFile(
            f"{where}: a JSON array; expected one OTLP/JSON request a line",
            f"take it apart: jq -c '.[]' {contents.name}",
        )
    if signal is TRACES and isinstance(found, dict) and "resourceSpans" not in found:
        contents.strange.update(str(name) for name in found)
    try:
        return request_from(found, signal)
    except UnreadableBody as error:
        raise UnreadableFile(f"{where}: {error.what[:_LONGEST]}", "each line must be one OTLP/JSON request") from error


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
            raise _not_requests(name, data, number, start) from error
        position += length


def _not_requests(name: str, data: bytes, number: int, start: int) -> UnreadableFile:
    if number == 1 and not name.removesuffix(".gz").endswith(".pb"):
        return UnreadableFile(
            f"{name} is neither OTLP/JSON nor length-delimited OTLP protobuf", "give a .json, .jsonl or .pb of traces"
        )
    return UnreadableFile(
        f"{name}, message {number} at byte {start} is not a length-delimited OTLP trace request",
        "write the length before each request" if _is_bare(data) else "is the file cut short?",
    )


def _is_bare(data: bytes) -> bool:
    """Whether *data* is one request without its length before it."""
    try:
        return len(ExportTraceServiceRequest.FromString(data).resource_spans) > 0
    except DecodeError:
        return False


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
