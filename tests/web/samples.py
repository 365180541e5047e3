"""A small store for the pages: clean runs, one run of each kind of finding, hostile text, made-up clocks.

Spans go the real way (OTLP into the engine). Findings are written here, so that pages are tested against the contract
of the evidence and not against what a detector happens to say.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import histories
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driftline.analyzers import persist
from driftline.analyzers.engine import Checked, Report, _with_findings
from driftline.analyzers.finding import Explanation, Finding, NotChecked, Source, SpanRef
from driftline.analyzers.run_summary import summarise_runs
from driftline.analyzers.runs import resolve_runs
from driftline.analyzers.scope import Scope
from driftline.collector.store import Store

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp.exe 😈{{7*7}}"

# ruff: noqa: E501 - a line of the notation is a span
_CLEAN = """
P1 run(trip) outcome=complete run={run} service=planner at=0 for=4200 expects=tool:book_flight
  P1 agent(planner) run={run} service=planner at=10 for=900
    P1 llm(small-model) run={run} service=planner at=20 for=400
    P1 write(notes/plan@v1 <- init) run={run} service=planner at=450 for=5
    P1 send(research) #m1 run={run} service=planner at=500 for=2
P2 process(research) #m1 run={run} trace=b-{run} service=research at=560 for=1500
  P2 agent(researcher) run={run} trace=b-{run} service=research at=570 for=1400
    P2 read(notes/plan@v1) run={run} trace=b-{run} service=research at=580 for=3
    P2 tool(search_flights) run={run} trace=b-{run} service=research call=s-{run} attempt=1 max=3 error=Timeout at=600 for=300
    P2 tool(search_flights) run={run} trace=b-{run} service=research call=s-{run} attempt=2 max=3 at=1000 for=200
    P2 tool(book_flight) run={run} trace=b-{run} service=research effect=write eo=applied target=order/991 at=1300 for=250
"""

_DUPLICATE = """
P1 run(trip) outcome=complete run=dup service=planner at=0 for=9000
  P1 agent(planner) run=dup service=planner at=10 for=8800
    P1 llm(small-model) run=dup service=planner at=20 for=400
    P1 tool(book_flight) #first run=dup service=planner call=c1 attempt=1 max=3 effect=write eo=applied target=order/991 argtext={args1} error=Timeout at=700 for=900
    P1 tool(book_flight) #second run=dup service=planner call=c1 attempt=2 max=3 effect=write eo=applied target=order/991 argtext={args2} resulttext={result} at=6500 for=700
    P1 tool(ping) run=dup service=planner at=7300 for=10
    P1 tool(ping) run=dup service=planner at=7320 for=10
    P1 tool(ping) run=dup service=planner at=7340 for=10
    P1 tool(ping) run=dup service=planner at=7360 for=10
    P1 tool(ping) run=dup service=planner at=7380 for=10
    P1 tool(ping) run=dup service=planner at=7400 for=10
"""

_STALE = """
P1 run(trip) outcome=complete run=stale service=planner at=0 for=5000
  P1 agent(planner) run=stale service=planner at=10 for=1500
    P1 write(notes/plan@v1 <- init) #v1 run=stale service=planner at=100 for=5
    P1 write(notes/plan@v2 <- v1) #v2 run=stale service=planner at=900 for=5
    P1 send(drafts) #m run=stale service=planner at=1000 for=3
P2 process(drafts) #m run=stale trace=b-stale service=writing at=1200 for=2500
  P2 agent(writer) run=stale trace=b-stale service=writing at=1210 for=2400
    P2 read(notes/plan@v1) #reader run=stale trace=b-stale service=writing at=1300 for=4
    P2 llm(small-model) run=stale trace=b-stale service=writing at=1400 for=1500
"""

_PARTIAL = """
P1 run(trip) #root outcome=complete run=partial service=planner at=0 for=3000 expects=tool:book_flight,validate:price,agent:reviewer
  P1 agent(planner) run=partial service=planner at=10 for=2000
    P1 tool(book_flight) #book run=partial service=planner effect=write eo=applied at=100 for=200
    P1 validate(price) #check run=partial service=planner verdict=fail status=error at=500 for=50
"""

_SYNTHETIC = """
P1 run(imported) run=synthetic clock=synthetic service=import
  P1 agent(assistant) run=synthetic clock=synthetic service=import
    P1 tool(a) run=synthetic clock=synthetic service=import
    P1 tool(b) run=synthetic clock=synthetic service=import
"""


def fill(store: Store) -> None:
    """Put everything into *store*, judged."""
    texts = [_CLEAN.format(run=f"clean{n}") for n in range(6)]
    texts += [
        _DUPLICATE.format(
            args1='"{~flight~:~HAT136~,~seats~:2}"',
            args2='"{~flight~:~HAT136~,~seats~:2}"',
            result='"{~booking~:~ZX81~}"',
        ),
        _STALE, _PARTIAL, _SYNTHETIC,
    ]  # fmt: skip
    batches = [batch for text in texts for batch in histories.requests(text)]
    for batch in batches:
        _mend_quotes(batch)
    batches.append(hostile_request())
    store.insert_requests(histories.framed(batches), secrets.token_hex(8))
    judge(store, [duplicate(), stale(), partial(), hostile(), possible()])


def judge(store: Store, findings: list[Finding]) -> None:
    """Write runs as analysis would, with *findings* in place of what detectors find."""
    trace_runs = resolve_runs(store, Scope())
    runs = summarise_runs(store, Scope(), trace_runs)
    report = Report(
        findings=tuple(findings),
        not_checked=(
            NotChecked("stale_context", "2 reads carry no version", "clean1"),
            NotChecked("timing_drift", "not part of this version of driftline"),
            NotChecked("policy", "not part of this version of driftline"),
        ),
        checked=Checked(),
        runs=_with_findings(runs, tuple(findings), None),
        trace_runs=trace_runs,
        verdict="fail",
    )
    persist(store, report)


def key(text: str, label: str) -> tuple[str, str]:
    """Trace and span id of the line labelled *label*."""
    span = next(span for span in histories.parse(text) if span.label == label)
    return span.trace_id.hex(), span.span_id.hex()


def ref(text: str, label: str, role: str) -> SpanRef:
    """A reference to that line."""
    return SpanRef(*key(text, label), role)


def _finding(run: str, detector: str, prefix: str, anomaly: str, **more: Any) -> Finding:
    fields: dict[str, Any] = {
        "grade": "definite", "severity": "error", "workflow": "trip", "subject": "order/991", "signature": (anomaly,),
        "occurred_ns": histories.T0,
    }  # fmt: skip
    return Finding(detector=detector, prefix=prefix, anomaly=anomaly, run_id=run, **{**fields, **more})


def duplicate() -> Finding:
    """A retried booking that had been applied."""
    text = _DUPLICATE.format(args1='"x"', args2='"x"', result='"x"')
    first, second = key(text, "first"), key(text, "second")
    execution = {
        "tool": "book_flight", "agent": "planner", "service": "planner", "call_id": "c1", "outcome": "applied",
        "targets": ["order/991"], "stays_live": True, "undone_by": None,
    }  # fmt: skip
    return _finding(
        "dup", "duplicate_effect", "DE", "repeated_effect",
        title="book_flight was applied twice for order/991: attempt 2 ran although attempt 1 had been applied",
        explanation=Explanation(
            let=("attempt 1 of book_flight, reported as failed (Timeout), its effect applied",
                 "attempt 2 of the same call, applied too"),
            then=("both carry call id c1 and equal arguments", "neither is idempotent, neither was undone"),
            however="one logical call must be applied once; order/991 now has two bookings",
        ),
        spans=(SpanRef(*first, "first"), SpanRef(*second, "second")),
        source=Source("agents/booking.py", 88),
        evidence={
            "executions": [
                {**execution, "role": "first", "trace_id": first[0], "span_id": first[1], "attempt": 1,
                 "started_at": "2026-09-21T14:13:20.700Z",
                 "arguments": {"flight": "HAT136", "seats": 2, "payer": {"card": "c-1", "note": "window"}},
                 "result": None},
                {**execution, "role": "second", "trace_id": second[0], "span_id": second[1], "attempt": 2,
                 "started_at": "2026-09-21T14:13:26.500Z",
                 "arguments": {"flight": "HAT136", "seats": 2, "payer": {"card": "c-2"}, "rush": True},
                 "result": {"booking": "ZX81"}},
            ],
            "chain": [{"trace_id": first[0], "span_id": first[1], "tool": "book_flight", "note": "timed out, applied"},
                      {"trace_id": second[0], "span_id": second[1], "tool": "book_flight", "note": "retried"}],
            "repeated_by": "a retry after Timeout",
            "intent": {"flight": "HAT136"},
        },
    )  # fmt: skip


def stale() -> Finding:
    """A writer that read v1 although the message it acted on was sent after v2."""
    v1, v2, reader = key(_STALE, "v1"), key(_STALE, "v2"), key(_STALE, "reader")
    return _finding(
        "stale", "stale_context", "SC", "handoff_stale",
        subject="notes/plan",
        title="writer read notes/plan at v1 although v2 had been written before it was handed the work",
        explanation=Explanation(
            let=("v2 of notes/plan, derived from v1 by planner", "the message drafts from planner to writer"),
            then=("v2 was written before the message was sent", "the message was sent before writer read"),
            however="writer read v1, which v2 had replaced",
        ),
        spans=(SpanRef(*reader, "reader"), SpanRef(*v2, "newer_write"), SpanRef(*v1, "observed_write")),
        evidence={
            "key": {"store": "notes", "key": "plan"},
            "versions": [
                {"version": "v2", "parents": ["v1"], "role": "newer", "read_by": [],
                 "writer": {"trace_id": v2[0], "span_id": v2[1], "agent": "planner"}},
                {"version": "v1", "parents": ["init"], "role": "observed",
                 "writer": {"trace_id": v1[0], "span_id": v1[1], "agent": "planner"},
                 "read_by": [{"trace_id": reader[0], "span_id": reader[1], "agent": "writer"}]},
            ],
            "path": [
                {"rule": "H1", "from": {"trace_id": v2[0], "span_id": v2[1], "what": "write of v2"},
                 "to": {"what": "send drafts"}, "because": "seq.end 4 < seq 5 in process P1"},
                {"rule": "H4", "from": {"what": "send drafts"}, "to": {"what": "process drafts"}},
            ],
            "window": {"read_ns": histories.T0, "replaced_ns": histories.T0 + 200_000_000, "acted_ns": histories.T0 + 400_000_000, "length_ms": 400.0},
        },
    )  # fmt: skip


def partial() -> Finding:
    """A run that says complete with a promised review missing."""
    root, book, check = key(_PARTIAL, "root"), key(_PARTIAL, "book"), key(_PARTIAL, "check")
    return _finding(
        "partial", "partial_completion", "PC", "false_success",
        subject="agent:reviewer",
        title="the run says complete, but agent reviewer never ran",
        explanation=Explanation(("the run promised agent:reviewer",), ("no such agent ran",), "it says complete"),
        spans=(SpanRef(*root, "declared_by"),),
        evidence={
            "obligation": {"declared_by": {"trace_id": root[0], "span_id": root[1]}, "text": "agent:reviewer",
                           "needed": 1, "met": 0},
            "course": [
                {"name": "book_flight", "kind": "tool", "state": "done", "trace_id": book[0], "span_id": book[1]},
                {"name": "price", "kind": "validation", "state": "failed", "trace_id": check[0], "span_id": check[1]},
                {"name": "reviewer", "kind": "agent", "state": "missing"},
            ],
        },
    )  # fmt: skip


def possible() -> Finding:
    """The same booking in two runs, not proved; a span that is gone; no evidence."""
    return _finding(
        "clean3", "duplicate_effect", "DE", "repeated_across_runs",
        grade="possible", severity="warning", title="book_flight may have been applied for order/991 by two runs",
        explanation=Explanation(("a", "b"), ("c",), "d"), spans=(SpanRef("f" * 32, "e" * 16, "first"),),
        margin_ms=12.5,
    )  # fmt: skip


def hostile() -> Finding:
    """Markup in every text."""
    span = SpanRef(*_HOSTILE_KEY, HOSTILE)
    return _finding(
        HOSTILE, "duplicate_effect", "DE", "repeated_effect",
        subject=HOSTILE, workflow=HOSTILE, title=HOSTILE, signature=(HOSTILE,), severity="info", grade="possible",
        explanation=Explanation((HOSTILE,), (HOSTILE,), HOSTILE), spans=(span,), source=Source(HOSTILE, 1),
        evidence={
            "executions": [
                {"role": HOSTILE, "trace_id": span.trace_id, "span_id": span.span_id, "tool": HOSTILE, "agent": HOSTILE,
                 "arguments": {HOSTILE: HOSTILE}, "targets": [HOSTILE], "undone_by":
                 {"trace_id": span.trace_id, "span_id": span.span_id, "tool": HOSTILE}},
                {"role": HOSTILE, "trace_id": span.trace_id, "span_id": span.span_id, "tool": HOSTILE, "agent": "x",
                 "arguments": HOSTILE},
            ],
            "chain": [{"trace_id": "t", "span_id": "s", "tool": HOSTILE, "note": HOSTILE}],
            "repeated_by": HOSTILE, "intent": {HOSTILE: HOSTILE},
        },
    )  # fmt: skip


_HOSTILE_KEY = ("a" * 32, "b" * 16)


def hostile_request() -> ExportTraceServiceRequest:
    """A one-span run whose every text is hostile, and one very long attribute."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    scope = resource.scope_spans.add()
    scope.scope.name = HOSTILE
    span = scope.spans.add()
    span.trace_id, span.span_id = bytes.fromhex(_HOSTILE_KEY[0]), bytes.fromhex(_HOSTILE_KEY[1])
    span.name, span.kind = HOSTILE, 1
    span.start_time_unix_nano, span.end_time_unix_nano = histories.T0, histories.T0 + 10**9
    span.status.code, span.status.message = 2, HOSTILE
    event = span.events.add()
    event.name, event.time_unix_nano = HOSTILE, histories.T0
    histories.fill(event.attributes, {HOSTILE: HOSTILE})
    histories.fill(resource.resource.attributes, {"service.name": HOSTILE, HOSTILE: HOSTILE})
    histories.fill(
        span.attributes,
        {
            "driftline.run.id": HOSTILE, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": HOSTILE,
            "gen_ai.agent.name": HOSTILE, "gen_ai.workflow.name": HOSTILE, "error.type": HOSTILE, HOSTILE: HOSTILE,
            "gen_ai.tool.call.arguments": HOSTILE, "driftline.effect": "write", "driftline.effect.outcome": HOSTILE,
            "long": "x" * 50_000,
        },
    )  # fmt: skip
    return request


def big_request(spans: int, run: str = "big") -> ExportTraceServiceRequest:
    """One run of *spans* spans: 30 agents, each with turns of model and tool calls under it."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add()
    histories.fill(scope.resource.attributes, {"service.name": "big"})
    scope = scope.scope_spans.add()
    trace = hashlib.sha256(run.encode()).digest()[:16]

    def add(number: int, parent: int | None, name: str, start: int, end: int, **attributes: Any) -> None:
        span = scope.spans.add()
        span.trace_id, span.span_id = trace, (number + 1).to_bytes(8, "big")
        if parent is not None:
            span.parent_span_id = (parent + 1).to_bytes(8, "big")
        span.name, span.kind = name, 1
        span.start_time_unix_nano, span.end_time_unix_nano = histories.T0 + start * 10**6, histories.T0 + end * 10**6
        histories.fill(span.attributes, {"driftline.run.id": run, **attributes})

    add(0, None, "invoke_workflow big", 0, spans, **{"gen_ai.operation.name": "invoke_workflow"})
    agent = turn = 0
    for number in range(1, spans):
        if number % 1000 == 1:
            agent = number
            add(number, 0, f"invoke_agent a{number}", number, number + 999, **{
                "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": f"agent {number // 1000:02d}"})  # fmt: skip
        elif number % 20 == 2:
            turn = number
            add(number, agent, f"turn {number}", number, number + 19, **{"gen_ai.operation.name": "step"})
        else:
            name = f"execute_tool t{number % 3}"
            add(number, turn or agent, name, number, number + 1, **{"gen_ai.operation.name": "execute_tool"})
    return request


def _mend_quotes(batch: ExportTraceServiceRequest) -> None:
    """The notation has no way to write a double quote inside a value; ~ stands for it."""
    for resource in batch.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                for attribute in span.attributes:
                    if "~" in attribute.value.string_value:
                        attribute.value.string_value = attribute.value.string_value.replace("~", '"')
