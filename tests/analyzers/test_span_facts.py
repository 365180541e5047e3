"""What only log records say about a span completes it, whenever they come and however often."""

from __future__ import annotations

from typing import Any

import pytest
from histories import fresh_store
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_requests import START, any_value, fill, request, span

from driftline.analyzers import Scope, analyse
from driftline.analyzers.record import Record
from driftline.analyzers.runs import resolve_runs
from driftline.collector.otlp import framed
from driftline.collector.store import Store

DETAILS, FAILED = "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"
OUTPUT = '[{"role":"assistant","parts":[],"finish_reason":"length"}]'
CHAT = span("chat", {"gen_ai.operation.name": "chat", "driftline.run.id": "r"}, trace=1, number=2)
BROKEN = span("chat", {"gen_ai.operation.name": "chat", "driftline.run.id": "r"}, trace=1, number=2, status="ERROR")
SAYS_ITSELF = span(
    "chat",
    {"gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 5,
     "error.type": "Timeout"},
    trace=1, number=2, status="ERROR", message="too late",
)  # fmt: skip


def log(name: str, said: dict[str, Any], body: Any = None, *, at: int = START) -> ExportLogsServiceRequest:
    """One record of span 2 of trace 1."""
    sent = ExportLogsServiceRequest()
    record = sent.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=at, event_name=name)
    record.trace_id, record.span_id = (1).to_bytes(16, "big"), (2).to_bytes(8, "big")
    fill(record.attributes, said)
    record.body.CopyFrom(any_value(body))
    return sent


def store_of(*sent: Any) -> Store:
    """A store that got these requests, in this order, each in a batch of its own."""
    store = fresh_store()
    for number, one in enumerate(sent):
        signal = "logs" if isinstance(one, ExportLogsServiceRequest) else "traces"
        wire = one.SerializeToString()
        store.insert_requests(framed(wire), f"facts-{number}-{hash(wire)}", signal)
    return store


def step(store: Store) -> dict[str, Any]:
    """The only span as detectors see it."""
    found = Record.load(store, Scope(), resolve_runs(store, Scope())).spans
    assert found.height == 1
    return found.row(0, named=True)


@pytest.mark.parametrize(
    ("said", "body", "name"),
    [
        ({"gen_ai.response.finish_reasons": ["length"]}, None, DETAILS),
        ({"gen_ai.output.messages": OUTPUT}, None, DETAILS),
        ({"finish_reason": "length"}, None, "gen_ai.choice"),
        ({}, '{"index":0,"finish_reason":"length","message":{"content":"an"}}', "gen_ai.choice"),
    ],
)
def test_why_a_model_stopped(said: dict[str, Any], body: Any, name: str) -> None:
    """However the instrumentation of the day writes it."""
    assert step(store_of(request(CHAT), log(name, said, body)))["finish_reasons"] == ["length"]


def test_tokens() -> None:
    """Spans may leave them to the event."""
    found = step(
        store_of(request(CHAT), log(DETAILS, {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 2}))
    )
    assert (found["tokens_input"], found["tokens_output"]) == (7, 2)


def test_a_failure_that_only_a_log_explains() -> None:
    """The span says that it failed, the record why."""
    why = log(FAILED, {"exception.type": "RateLimited", "exception.message": "slow down"})
    found = step(store_of(request(BROKEN), why))
    assert (found["error_type"], found["status_message"]) == ("RateLimited", "slow down")


def test_a_logged_exception_is_no_failure() -> None:
    """Programs log what they handled."""
    found = step(
        store_of(request(CHAT), log("", {"exception.type": "KeyError", "exception.message": "'a'"}, "handled"))
    )
    assert (found["status"], found["error_type"], found["status_message"]) == ("unset", "", "")


def test_what_the_span_says_itself_counts() -> None:
    """Records complete, they do not correct."""
    said = {"gen_ai.response.finish_reasons": ["length"], "gen_ai.usage.input_tokens": 99, "exception.type": "Other"}
    found = step(store_of(request(SAYS_ITSELF), log(DETAILS, {**said, "exception.message": "else"})))
    assert (found["finish_reasons"], found["tokens_input"]) == (["stop"], 5)
    assert (found["error_type"], found["status_message"]) == ("Timeout", "too late")


def test_records_come_before_after_and_twice() -> None:
    """The order of arrival tells nothing; of two records the earlier made counts."""
    first = log(DETAILS, {"gen_ai.response.finish_reasons": ["length"]})
    later = log(DETAILS, {"gen_ai.response.finish_reasons": ["stop"]}, at=START + 5)
    for order in ((request(CHAT), first, later), (later, first, request(CHAT)), (first, request(CHAT), later, first)):
        assert step(store_of(*order))["finish_reasons"] == ["length"]


def test_a_finding_may_rest_on_a_record_alone() -> None:
    """A model cut off in the middle, which only its event tells; also where runs are narrowed first."""
    spans = request(
        span(
            "run",
            {"driftline.kind": "run", "driftline.run.id": "r", "driftline.outcome": "complete"},
            trace=1,
            number=1,
        ),
        span("chat", {"gen_ai.operation.name": "chat"}, trace=1, number=2, parent=1),
    )
    cut = log(DETAILS, {"gen_ai.response.finish_reasons": ["length"]})
    for below in (200_000, 0):
        whole = analyse(store_of(spans, cut), read_all_below=below)
        assert [finding.anomaly for finding in whole.findings] == ["empty_result"]
        assert not analyse(store_of(spans), read_all_below=below).findings
