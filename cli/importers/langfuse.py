"""Traces exported from Langfuse back to the spans that were sent to it.

Langfuse keeps the original OpenTelemetry attributes of a span (an "observation") under `metadata.attributes`, every
value turned into a string, beside the resource's attributes and the scope. Input and output, which it moved into
columns of its own, are put back under Langfuse's attribute names where the attributes lack them; for the spans of
Langfuse's own SDK also kind, model, usage and metadata.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from driftline import attributes as at
from driftline.cli.importers.otlp import key_values, resource_spans
from driftline.cli.importers.source import UnreadableRecording, expect, read_json

_HEX = re.compile(r"[0-9a-f]+")
_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

# Attributes that their convention types as something else than text.
_INTEGERS = re.compile(
    r"gen_ai\.(aggregated_)?usage\..+|llm\.token_count\..+|ai\.usage\..+|.*\.status_code|(server|network\.peer)\.port"
    r"|gen_ai\.request\.(max_tokens|top_k|seed|choice\.count)|gen_ai\.embeddings\.dimension\.count|code\.(line\.number|lineno)"
    r"|driftline\.(seq(\.end)?|attempt(\.max)?|memory\.epoch|context\..+)|http\.request\.resend_count"
)
_DOUBLES = re.compile(r"gen_ai\.request\.(temperature|top_p|frequency_penalty|presence_penalty)|llm\.cost\..+")
_BOOLEANS = re.compile(
    r"driftline\.(pending|replayed|uow\.atomic|effect\.idempotent)|gen_ai\.request\.stream|gen_ai\.conversation\.compacted"
)
_LISTS = re.compile(
    r"gen_ai\.response\.finish_reasons|gen_ai\.request\.(stop_sequences|encoding_formats)|(tag|tool)\.tags"
    r"|driftline\.(expects|effect\.(targets|used)|memory\.(keys|versions|parents|ordinals|digests)|validation\.targets)"
)

# Where a span's own attributes may hold what Langfuse shows as input and output.
_INPUTS = ("langfuse.observation.input", "input.value", at.TOOL_ARGUMENTS, "gen_ai.input.messages", "ai.toolCall.args")
_OUTPUTS = (
    "langfuse.observation.output",
    "output.value",
    at.TOOL_RESULT,
    "gen_ai.output.messages",
    "ai.toolCall.result",
)
_CONVERSATIONS = (at.CONVERSATION, "session.id", "langfuse.session.id")
_OWN_METADATA = ("attributes", "resourceAttributes", "scope")


def read_trace(name: str) -> list[ExportTraceServiceRequest]:
    """The spans of the exported trace in file *name*: `{"trace": {…}, "observations": […]}`.

    Raises:
        UnreadableRecording: the file is no such export; says at which observation.
    """
    document = expect(read_json(name), dict, name, "an exported trace: an object with trace and observations")
    trace = expect(document.get("trace", document), dict, f"{name}: trace", "an object")
    observations = document.get("observations", trace.get("observations"))
    expect(observations, list, f"{name}: observations", "an array of observations")
    if not observations:
        raise UnreadableRecording(f"{name}: the trace has no observations", "there is nothing to import")
    groups: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], list[Span]]] = {}
    for number, observation in enumerate(observations):
        where = f"{name}: observations[{number}]"
        expect(observation, dict, where, "an observation")
        metadata = _object(observation.get("metadata"), f"{where}.metadata")
        resource = _object(metadata.get("resourceAttributes"), f"{where}.metadata.resourceAttributes")
        scope = _object(metadata.get("scope"), f"{where}.metadata.scope")
        span = _span(where, trace, observation, metadata, str(scope.get("name") or ""))
        key = json.dumps([resource, scope], sort_keys=True)
        groups.setdefault(key, (resource, scope, []))[2].append(span)
    return [
        ExportTraceServiceRequest(resource_spans=[resource_spans(_typed(resource), [_scoped(scope, spans)])])
        for resource, scope, spans in groups.values()
    ]


def _scoped(scope: Mapping[str, Any], spans: list[Span]) -> ScopeSpans:
    scoped = ScopeSpans(spans=spans)
    scoped.scope.name = str(scope.get("name") or "")
    scoped.scope.version = str(scope.get("version") or "")
    return scoped


def _span(
    where: str, trace: Mapping[str, Any], observation: Mapping[str, Any], metadata: Mapping[str, Any], scope: str
) -> Span:
    identity = expect(observation.get("id"), str, f"{where}.id", "the id of the observation")
    trace_id = expect(observation.get("traceId") or trace.get("id"), str, f"{where}.traceId", "the id of the trace")
    started = _nanoseconds(observation.get("startTime"), f"{where}.startTime")
    parent = observation.get("parentObservationId")
    attributes = _typed(_object(metadata.get("attributes"), f"{where}.metadata.attributes"))
    attributes.update(_put_back(attributes, observation, metadata, scope))
    if not parent:
        attributes.update(_of_trace(attributes, trace))
    ended = observation.get("endTime")
    if ended is None and observation.get("type") != "EVENT":
        attributes[at.PENDING] = True
    span = Span(
        trace_id=_id(trace_id, 16),
        span_id=_id(identity, 8),
        parent_span_id=_id(str(parent), 8) if parent else b"",
        name=str(observation.get("name") or ""),
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=started,
        end_time_unix_nano=started if ended is None else max(started, _nanoseconds(ended, f"{where}.endTime")),
        attributes=key_values(attributes),
    )
    if observation.get("level") == "ERROR":
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = str(observation.get("statusMessage") or "")
    return span


def _put_back(
    attributes: Mapping[str, Any], observation: Mapping[str, Any], metadata: Mapping[str, Any], scope: str
) -> Iterator[tuple[str, Any]]:
    """What Langfuse took out of the attributes into columns, under its own attribute names."""

    def lacks(*names: str) -> bool:
        return not any(attributes.get(name) not in (None, "") for name in names)

    if observation.get("input") is not None and lacks(*_INPUTS):
        yield "langfuse.observation.input", _text(observation["input"])
    if observation.get("output") is not None and lacks(*_OUTPUTS):
        yield "langfuse.observation.output", _text(observation["output"])
    if not scope.startswith("langfuse"):
        # Of other programs' spans Langfuse guesses kind and usage itself; a guess is no record.
        return
    columns = {
        "type": str(observation.get("type") or "").lower(),
        "model.name": observation.get("model"),
        "usage_details": observation.get("usageDetails"),
    }
    more = {f"metadata.{name}": value for name, value in metadata.items() if name not in _OWN_METADATA}
    for name, value in {**columns, **more}.items():
        if value and lacks(f"langfuse.observation.{name}"):
            yield f"langfuse.observation.{name}", _text(value)


def _of_trace(attributes: Mapping[str, Any], trace: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was said of the whole trace; its root carries it."""
    if trace.get("sessionId") and not any(attributes.get(name) for name in _CONVERSATIONS):
        yield "langfuse.session.id", str(trace["sessionId"])
    if trace.get("name") and not attributes.get(at.WORKFLOW):
        yield "langfuse.trace.name", str(trace["name"])


def _typed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with the types their convention gives them."""
    return {name: _value(name, value) for name, value in attributes.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _parsed(name, value)
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        return value
    # A span attribute holds no objects: Langfuse read them out of the text that was sent.
    return _text(value) if isinstance(value, (list, dict)) else value


def _parsed(name: str, text: str) -> Any:
    if _INTEGERS.fullmatch(name) and _INTEGER.fullmatch(text):
        return int(text)
    if _DOUBLES.fullmatch(name) and _NUMBER.fullmatch(text):
        return float(text)
    if _BOOLEANS.fullmatch(name) and text in ("true", "false", "True", "False"):
        return text.lower() == "true"
    if _LISTS.fullmatch(name) and text.startswith("["):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return items if all(isinstance(item, (str, int, float, bool)) for item in items) else text
    return text


def _object(value: Any, where: str) -> Mapping[str, Any]:
    """An object, or the JSON text of one; nothing counts as empty."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (ValueError, RecursionError) as error:
            raise UnreadableRecording(f"{where}: this is not JSON: {error}", "is the export whole?") from error
    found: Mapping[str, Any] = expect({} if value is None else value, dict, where, "an object or its JSON text")
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _id(text: str, length: int) -> bytes:
    """An OpenTelemetry id as it is; any other name (older SDKs chose their own) as a digest of it."""
    digits = text.replace("-", "").lower()
    if len(digits) == 2 * length and _HEX.fullmatch(digits) and int(digits, 16):
        return bytes.fromhex(digits)
    return hashlib.sha256(text.encode()).digest()[:length]


def _nanoseconds(value: Any, where: str) -> int:
    text = expect(value, str, where, "a time (RFC 3339)")
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", text)
    if not match:
        raise UnreadableRecording(f"{where}: {text!r} is no time", "expected RFC 3339, as 2025-06-11T14:01:32.598Z")
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise UnreadableRecording(f"{where}: {text!r} is no time: {error}", "expected RFC 3339") from error
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        moment -= (1 if zone[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes)
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
