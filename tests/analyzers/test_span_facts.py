"""What only log records say about a span completes it, whenever they come and however often."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from histories import fresh_store
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_requests import MS, START, any_value, fill, request, span

from driftline.analyzers import Scope, analyse
from driftline.analyzers.loop import AnalysisLoop
from driftline.analyzers.record import Record
from driftline.analyzers.runs import resolve_runs
from driftline.collector.nested import flatten_nested
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


def log(name: str, said: dict[str, Any], body: Any = None, *, at: int = START, of: int = 2) -> ExportLogsServiceRequest:
    """One record of a span of trace 1, flattened as the collector does."""
    sent = ExportLogsServiceRequest()
    record = sent.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=at, event_name=name)
    record.trace_id, record.span_id = (1).to_bytes(16, "big"), of.to_bytes(8, "big")
    fill(record.attributes, said)
    record.body.CopyFrom(any_value(body))
    flatten_nested(sent)
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


TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge", "driftline.run.id": "r"}
APPLIED = {**TOOL, "driftline.effect": "write", "driftline.effect.outcome": "applied"}
CALL = span("execute_tool charge", TOOL, trace=1, number=2)
GIVEN = {"order": 1, "notes": [True, None]}


@pytest.mark.parametrize(
    ("name", "said", "body"),
    [
        ("", {"gen_ai.tool.call.arguments": GIVEN, "gen_ai.tool.call.result": "{}"}, None),
        ("", {"gen_ai.tool.call.arguments": json.dumps(GIVEN), "gen_ai.tool.call.result": "{}"}, "called"),
        ("gen_ai.tool.message", {"content": json.dumps(GIVEN, indent=1)}, None),
        ("gen_ai.tool.message", {}, {"content": json.dumps(GIVEN), "id": "c"}),
        ("gen_ai.tool.message", {}, {"content": GIVEN}),
    ],
)
def test_what_a_tool_was_given(name: str, said: dict[str, Any], body: Any) -> None:
    """The digest is the one the span's own attribute would have had, whatever form the record has."""
    own = {**TOOL, "gen_ai.tool.call.arguments": json.dumps(GIVEN), "gen_ai.tool.call.result": "{}"}
    expected = step(store_of(request(span("execute_tool charge", own, trace=1, number=2))))
    found = step(store_of(request(CALL), log(name, said, body)))
    assert (found["args_state"], found["args_digest"]) == ("known", expected["args_digest"])
    if len(said) == 2:
        assert (found["result_digest"], found["result_empty"]) == (expected["result_digest"], True)


@pytest.mark.parametrize(("said", "body"), [({"message": "paid"}, None), ({}, {"message": {"content": "paid"}})])
def test_what_a_tool_gave(said: dict[str, Any], body: Any) -> None:
    """`gen_ai.choice` on the span of a tool is its result; its arguments stay unknown."""
    own = step(store_of(request(span("t", {**TOOL, "gen_ai.tool.call.result": "paid"}, trace=1, number=2))))
    found = step(store_of(request(CALL), log("gen_ai.choice", said, body)))
    assert (found["result_digest"], found["result_empty"]) == (own["result_digest"], False)
    assert (found["args_state"], found["args_digest"]) == ("missing", "")


def test_arguments_that_are_not_known_whole_stay_unknown() -> None:
    """Cut short or scrubbed, as on spans; and those of a model's messages are no tool's."""
    cut = step(store_of(request(CALL), log("", {"gen_ai.tool.call.arguments": '{"order": "abc...'})))
    assert (cut["args_state"], cut["args_digest"]) == ("truncated", "")
    model = step(store_of(request(CHAT), log("gen_ai.tool.message", {"content": "{}"})))
    assert (model["args_state"], model["result_digest"]) == ("missing", "")


def test_an_agent_that_says_nothing() -> None:
    """By its messages; of several records one that says something is enough."""
    agent = request(span("a", {"gen_ai.operation.name": "invoke_agent", "driftline.run.id": "r"}, trace=1, number=2))
    silent = log(DETAILS, {"gen_ai.output.messages": OUTPUT})
    spoke = '[{"role":"assistant","parts":[{"type":"text","content":"found"}]}]'
    says = log(DETAILS, {"gen_ai.output.messages": spoke}, at=START + 5)
    assert step(store_of(agent, silent))["result_empty"] is True
    assert step(store_of(agent, silent, says))["result_empty"] is False


def twice_charged(*, logged: bool) -> list[Any]:
    """One call made twice in a run; what it was given stands in logs, or nowhere."""
    spans = request(
        span("run", {"driftline.kind": "run", "driftline.run.id": "r", "driftline.outcome": "complete"}, trace=1,
             number=1, ms=9),
        span("execute_tool charge", APPLIED, trace=1, number=2, parent=1, start=START + MS),
        span("execute_tool charge", APPLIED, trace=1, number=3, parent=1, start=START + 4 * MS),
    )  # fmt: skip
    given = {"gen_ai.tool.call.arguments": {"order": 1}}
    other = {"gen_ai.tool.call.arguments": {"order": 2}}
    logs = [log("", said, of=number, at=at) for said, at in ((given, START), (other, START + 1)) for number in (2, 3)]
    return [spans, *logs] if logged else [spans]


def test_doubling_and_shuffling_records_changes_nothing() -> None:
    """Arguments that only logs hold prove the repetition, in whatever order and however often the records come."""
    whole = [(found.id, found.anomaly) for found in analyse(store_of(*twice_charged(logged=True))).findings]
    assert [anomaly for _, anomaly in whole] == ["repeated_effect"]
    assert not analyse(store_of(*twice_charged(logged=False))).findings
    dice = random.Random(7)
    for _ in range(2):
        told = twice_charged(logged=True)
        told += dice.sample(told, 3)
        dice.shuffle(told)
        assert [(found.id, found.anomaly) for found in analyse(store_of(*told)).findings] == whole


def test_late_records_call_for_another_look() -> None:
    """The loop judges a trace again when records of its spans come after it was judged."""
    spans, *logs = twice_charged(logged=True)
    store = store_of(spans)
    loop = AnalysisLoop(store)
    assert loop.run_once(ignore_quiet=True) == 1
    loop.run_once(ignore_quiet=True)  # its revisits
    while loop.run_once(ignore_quiet=True):
        pass
    assert not store.value("SELECT count() FROM findings FINAL")
    for number, one in enumerate(logs):
        store.insert_requests(framed(one.SerializeToString()), f"late-{number}", "logs")
    assert loop.run_once(ignore_quiet=True) == 1
    assert store.value("SELECT anomaly FROM findings FINAL WHERE NOT retracted") == "repeated_effect"


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
