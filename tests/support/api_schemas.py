"""What each HTTP API promises, as OpenAPI descriptions, and a machine that tries to break it (schemathesis)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

TEXT: dict[str, Any] = {"type": "string"}
STATUS = {
    "type": "object", "required": ["code", "message"], "additionalProperties": False,
    "properties": {"code": {"type": "integer"}, "message": TEXT},
}  # fmt: skip
COUNT = {"type": "string", "pattern": "^[0-9]+$"}
_PROTOBUF = {"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}}


def try_to_break(address: str, described: dict[str, Any], *, examples: int = 20) -> int:
    """Call every operation with what its description allows and with what it forbids; how many operations there are.

    An answer must have a status, a content type and a body that the description names, and none may be a 5xx but 503.
    """
    loaded = schemathesis.openapi.from_dict(described)
    loaded.config.update(base_url=address)
    operations = [result.ok() for result in loaded.get_all_operations()]
    with requests.Session() as session:
        for operation in operations:
            _call(operation, GenerationMode.POSITIVE, examples, session)
            if operation.body:  # text in an address cannot be wrong in its kind
                _call(operation, GenerationMode.NEGATIVE, examples, session)
    return len(operations)


def _call(operation: Any, mode: GenerationMode, examples: int, session: requests.Session) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def called(case: Any) -> None:
        response = case.call(session=session)
        if response.status_code != 503:
            case.validate_response(response, checks=checks)

    called()


def description(paths: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document."""
    return {"openapi": "3.1.0", "info": {"title": "driftline", "version": "1"}, "paths": paths}


def receiver() -> dict[str, Any]:
    """The OTLP/HTTP receiver."""
    any_value: dict[str, Any] = {
        "type": "object",
        "properties": {
            "stringValue": TEXT, "boolValue": {"type": "boolean"}, "intValue": {"type": ["string", "integer"]},
            "doubleValue": {"type": ["number", "string"]}, "bytesValue": TEXT,
            "arrayValue": {"type": "object", "properties": {"values": {"type": "array", "items": {"type": "object"}}}},
        },
    }  # fmt: skip
    attributes = _array({"key": TEXT, "value": any_value})
    identified = {
        "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "spanId": {"type": "string", "pattern": "^[0-9A-F]{16}$"},
        "attributes": attributes,
    }
    span = {
        **identified, "name": TEXT, "kind": {"type": "integer", "minimum": 0, "maximum": 5},
        "startTimeUnixNano": COUNT, "endTimeUnixNano": COUNT,
        "events": _array({"name": TEXT, "attributes": attributes}), "links": _array(identified),
    }  # fmt: skip
    record = {**identified, "body": any_value, "severityNumber": {"type": "integer"}, "timeUnixNano": COUNT}
    point = {"asInt": COUNT, "attributes": attributes, "exemplars": {"type": "array", "items": {"type": "object"}}}
    gauge = {"type": "object", "properties": {"dataPoints": _array(point)}}
    paths = {
        "/v1/traces": _export("resourceSpans", "scopeSpans", "spans", span, "rejectedSpans"),
        "/v1/logs": _export("resourceLogs", "scopeLogs", "logRecords", record, "rejectedLogRecords"),
        "/v1/metrics": _export(
            "resourceMetrics", "scopeMetrics", "metrics", {"name": TEXT, "gauge": gauge}, "rejectedDataPoints"
        ),
        "/healthz": {"get": {"responses": _json({"200": {"type": "object"}})}},
        "/readyz": {"get": {"responses": _json({"200": {"type": "object"}})}},
    }
    return description(paths)


def _array(properties: dict[str, Any], least: int = 0) -> dict[str, Any]:
    """Objects with at least their first two members."""
    item = {"type": "object", "properties": properties, "required": list(properties)[:2]}
    return {"type": "array", "items": item, "minItems": least, "maxItems": 3}


def _json(schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        status: {"description": "", "content": {"application/json": {"schema": schema}}}
        for status, schema in schemas.items()
    }


def _export(groups: str, scoped: str, items: str, item: dict[str, Any], rejected: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "object",
        "properties": {groups: _array({scoped: _array({items: _array(item, 1)}, 1)}, 1)},
    }
    body["required"] = [groups]
    partial = {"type": "object", "properties": {rejected: COUNT, "errorMessage": TEXT}, "additionalProperties": False}
    success = {"type": "object", "properties": {"partialSuccess": partial}, "additionalProperties": False}
    responses = _json({"200": success, **dict.fromkeys(("400", "404", "405", "413", "415"), STATUS)})
    for answer in responses.values():
        answer["content"].update(_PROTOBUF)
    encodings = {"type": "string", "enum": ["identity"]}
    return {
        "post": {
            "parameters": [{"name": "content-encoding", "in": "header", "schema": encodings}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}, **_PROTOBUF}},
            "responses": responses,
        }
    }


def interface(statements: Iterable[str]) -> dict[str, Any]:
    """The read-only ClickHouse interface: *statements* are run, and what is made of them."""
    query = {"anyOf": [{"type": "string", "enum": list(statements)}, TEXT]}
    responses = {status: {"description": ""} for status in ("200", "400", "403", "404", "405", "413")}
    wanted = [
        {"name": "query", "in": "query", "schema": query},
        {"name": "param_name", "in": "query", "schema": TEXT},
        {"name": "default_format", "in": "query", "schema": {"enum": ["JSON", "TSV", "JSONEachRow", "Null", "x"]}},
        {"name": "max_block_size", "in": "query", "schema": TEXT},
        {"name": "database", "in": "query", "schema": TEXT},
    ]
    bodies = {kind: {"schema": query} for kind in ("text/plain", "multipart/form-data")}
    return description(
        {
            "/": {
                "get": {"parameters": wanted, "responses": responses},
                "post": {"parameters": wanted, "requestBody": {"content": bodies}, "responses": responses},
            },
            "/ping": {"get": {"responses": responses}},
        }
    )


def pages(app: Any, filters: dict[str, dict[str, list[str]]], places: dict[str, list[str]]) -> dict[str, Any]:
    """The web pages: every route with its JSON twin.

    *filters*: by address, what the query may say and values that mean something; *places*: likewise for the parts of
    addresses.
    """
    found: dict[str, Any] = app.openapi()
    for path, methods in found["paths"].items():
        content = {"application/json": {"schema": {"type": "object"}}} if path.endswith(".json") else {"text/html": {}}
        operation = methods["get"]
        operation["responses"] = {
            status: {"description": "", "content": content} for status in ("200", "400", "404", "405")
        }
        parts = [{**one, "schema": _either(places[one["name"]])} for one in operation.get("parameters", ())]
        asked = filters[path.removesuffix(".json")].items()
        operation["parameters"] = parts + [
            {"name": name, "in": "query", "schema": _either(values)} for name, values in asked
        ]
    return found


def _either(values: list[str]) -> dict[str, Any]:
    return {"anyOf": [{"type": "string", "enum": values}, TEXT]} if values else TEXT
