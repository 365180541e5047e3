"""Hand-offs: the run travels with the message, a link ties both ends, the traces stay two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from otlp_receiver import Receiver
from recorded_spans import Recorded

import driftline


def test_carrier(spans: Recorded) -> None:
    """It names the sending span and the run."""
    with driftline.run("r", id="run 1/ü"), driftline.send("q") as message:
        carrier = message.carrier
    sent = spans.one("send q").context
    assert f"00-{sent.trace_id:032x}-{sent.span_id:016x}-0" in carrier["traceparent"]
    with driftline.receive("q", carrier):
        assert driftline.current_run() == "run 1/ü"
    assert spans.said("process q")["driftline.run.id"] == "run 1/ü"


def test_link_run_and_trace(spans: Recorded) -> None:
    """The receiving span links to the sender and is in its run, in a trace of its own."""
    with driftline.run("r", id="r"), driftline.send("q") as message:
        carrier = message.carrier
    with driftline.receive("q", carrier), driftline.agent("worker"), driftline.tool("t"):
        pass
    sent, received = spans.one("send q"), spans.one("process q")
    (link,) = received.links
    assert (sent.context.trace_id, sent.context.span_id) == (link.context.trace_id, link.context.span_id)
    assert received.parent is None
    assert sent.context.trace_id != received.context.trace_id
    assert spans.said("execute_tool t")["driftline.run.id"] == "r"
    assert driftline.current_run() == ""


def test_received_in_a_span_of_the_receivers(spans: Recorded) -> None:
    """A receiver inside a span of its own keeps that as parent; the message's run goes over its own."""
    with driftline.run("r", id="sender"), driftline.send("q") as message:
        carrier = message.carrier
    with driftline.run("loop", id="receiver"), driftline.receive("q", carrier):
        pass
    process, loop = spans.one("process q"), spans.one("invoke_workflow loop")
    assert process.parent is not None
    assert loop.context.span_id == process.parent.span_id
    assert process.attributes["driftline.run.id"] == "sender"


def test_the_carrier_after_the_end(spans: Recorded) -> None:
    """It is still the send's, not that of whatever is current by then."""
    with driftline.run("r", id="r"):
        with driftline.send("q") as message:
            pass
        with driftline.step("other"):
            carrier = message.carrier
    assert f"{spans.one('send q').context.span_id:016x}" in carrier["traceparent"]
    assert carrier["baggage"] == "driftline.run.id=r"


def test_inject_into_headers(spans: Recorded) -> None:
    """What is there already stays."""
    headers = {"content-type": "text/plain"}
    with driftline.run("r", id="r"), driftline.send("q") as message:
        assert headers is message.inject(headers)
    assert {"content-type", "traceparent", "baggage"} == set(headers)


def test_inject_and_extract(spans: Recorded) -> None:
    """Over a call instead of a message: the extracted context is a parent like any other."""
    with driftline.run("r", id="r"), driftline.step("caller"):
        carrier = driftline.inject()
    token = otel_context.attach(driftline.extract(carrier))
    with driftline.tool("callee"):
        pass
    otel_context.detach(token)
    callee = spans.one("execute_tool callee")
    assert callee.parent is not None
    assert spans.one("step caller").context.span_id == callee.parent.span_id
    assert callee.attributes["driftline.run.id"] == "r"


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda carrier: {name.title(): value for name, value in carrier.items()},
        lambda carrier: {name.encode(): value.encode() for name, value in carrier.items()},
        lambda carrier: {**carrier, "other": 1, 5: None},
    ],
)
@pytest.mark.usefixtures("in_production")
def test_headers_as_others_write_them(rewrite: Any, spans: Recorded) -> None:
    """Capitals, bytes and strangers among the headers do not lose the run."""
    with driftline.run("r", id="r"), driftline.send("q") as message:
        carrier = rewrite(message.carrier)
    with driftline.receive("q", carrier):
        pass
    assert spans.said("process q")["driftline.run.id"] == "r"
    assert len(spans.one("process q").links) == 1


@pytest.mark.parametrize(
    "carrier", [{}, None, {"traceparent": "garbage", "baggage": "=;=,,"}, [], "text", {"traceparent": None}, 5]
)
@pytest.mark.usefixtures("in_production")
def test_what_is_no_carrier(carrier: Any, spans: Recorded) -> None:
    """A message from elsewhere, or none at all, is received without link and run."""
    with driftline.receive("q", carrier):
        pass
    span = spans.one("process q")
    assert tuple(span.links) == ()
    assert "driftline.run.id" not in span.attributes


def test_one_receive_for_many_messages(spans: Recorded) -> None:
    """Each message's processing has its own link."""
    carriers = []
    for run in ("r1", "r2"):
        with driftline.run("r", id=run), driftline.send("q") as message:
            carriers.append(message.carrier)
    for carrier in carriers:
        with driftline.receive("q", carrier):
            pass
    assert [s.attributes["driftline.run.id"] for s in spans.all() if s.name == "process q"] == ["r1", "r2"]


def test_other_baggage_comes_along(spans: Recorded) -> None:
    """What else the sender's program put into baggage reaches the receiver."""
    from opentelemetry import baggage

    token = otel_context.attach(baggage.set_baggage("tenant", "t1"))
    with driftline.send("q") as message:
        carrier = message.carrier
    otel_context.detach(token)
    with driftline.receive("q", carrier):
        assert baggage.get_baggage("tenant") == "t1"


WORKER = """
import json, sys
import driftline
driftline.init("worker")
with driftline.receive("jobs", json.loads(sys.argv[1]), message_id="m1"):
    with driftline.agent("worker"), driftline.tool("work"):
        pass
"""


def test_across_processes() -> None:
    """A message to another process: one run, two traces, two instances, one link."""
    with Receiver() as receiver:
        driftline.init("boss", tracer_provider=TracerProvider(shutdown_on_exit=False), endpoint=receiver.endpoint)
        with driftline.run("r", id="r-1"), driftline.send("jobs", message_id="m1") as message:
            carrier = json.dumps(message.carrier)
        assert driftline.flush()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        environment["DRIFTLINE_ENDPOINT"] = receiver.endpoint
        subprocess.run([sys.executable, "-c", WORKER, carrier], env=environment, check=True, timeout=60)
        found = {span.name: span for span in receiver.spans()}
    sent, taken = found["send jobs"], found["process jobs"]
    assert [(sent.span.trace_id, sent.span.span_id)] == [(link.trace_id, link.span_id) for link in taken.span.links]
    assert sent.span.trace_id != taken.span.trace_id
    assert {"r-1"} == {span.attributes["driftline.run.id"] for span in found.values()}
    assert sent.resource["service.instance.id"] != taken.resource["service.instance.id"]
    assert (sent.resource["service.name"], taken.resource["service.name"]) == ("boss", "worker")
    assert taken.attributes["driftline.seq"] == 1


def test_switched_off(spans: Recorded) -> None:
    """The program's own trace still travels when driftline is off."""
    driftline.init(enabled=False)
    tracer = trace.get_tracer("own", tracer_provider=TracerProvider(shutdown_on_exit=False))
    with tracer.start_as_current_span("own") as own, driftline.send("q") as message:
        assert f"{own.get_span_context().span_id:016x}" in message.carrier["traceparent"]
