"""An ordinary program, instrumented with nothing but opentelemetry-sdk and GenAI attributes, and what is found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Up, driftline

pytestmark = pytest.mark.e2e

# Books a flight; the second run forgets that it has booked and books again. No import of ours.
PROGRAM = """
import json, sys
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource({"service.name": "travel", "service.version": "7"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1] + "/v1/traces")))
tracer = provider.get_tracer("travel.agent")

def book(order, call_id):
    with tracer.start_as_current_span("execute_tool book_flight") as span:
        span.set_attributes({
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book_flight", "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.call.arguments": json.dumps({"order": order, "seats": 2}),
        })
        span.set_attribute("gen_ai.tool.call.result", json.dumps({"booking": call_id}))

def think():
    usage = {"gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 9}
    named = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"}
    with tracer.start_as_current_span("chat gpt-5", attributes={**named, **usage}):
        pass

traces = []
for order, times in ((1, 1), (2, 2)):
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "traveller"}
    with tracer.start_as_current_span("invoke_agent traveller", attributes=agent) as root:
        traces.append(format(root.get_span_context().trace_id, "032x"))
        for time in range(times):
            think()
            book(order, f"call-{order}-{time}")
provider.shutdown()
assert not [name for name in sys.modules if name.startswith("driftline")]
print(json.dumps(traces))
"""

CATALOGUE = """
[travel.book_flight]
effect = "write"
idempotent = false
targets = [{ kind = "order", path = "$.order" }]
creates = [{ kind = "booking", path = "$.booking" }]
refused_when = { prefix = "Error" }
intent = ["$.order"]
"""


class Sent:
    """A server that has received the program's two runs, and judged them."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.options = options
        self.up = Up(folder / "data", *options)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, self.up.otlp], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        self.once, self.twice = json.loads(done.stdout)
        until(lambda: {run["run_id"] for run in self.page("/runs.json")["runs"]} >= {self.once, self.twice})

    def page(self, path: str) -> Any:
        """The JSON twin of a page."""
        with urllib.request.urlopen(self.up.web + path) as answer:
            return json.load(answer)

    def report(self) -> Any:
        """What `driftline report` says, reading through the running server."""
        return driftline("report", "--data", self.up.data, "--format", "json", *self.options).json


def until(condition: Callable[[], Any]) -> Any:
    """Wait for it."""
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module", params=["plain", "with a catalogue"])
def sent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "tools.toml").write_text(CATALOGUE)
    options = () if request.param == "plain" else ("--catalog", str(folder / "tools.toml"))
    found = Sent(folder, *options)
    yield found
    found.up.stop()


def test_the_booking_made_twice_is_found(sent: Sent) -> None:
    """In the run that made it and in no other, with both spans as evidence."""
    findings = [one for one in sent.report()["findings"] if one["anomaly"] == "repeated_effect"]
    assert [one["run_id"] for one in findings] == [sent.twice]
    assert "book_flight" in findings[0]["title"]
    assert len({span["span_id"] for span in findings[0]["spans"]}) == 2
    assert {span["trace_id"] for span in findings[0]["spans"]} == {sent.twice}


def test_its_grade_is_what_the_record_carries(sent: Sent) -> None:
    """Nobody said that both were applied, and a name or a status proves nothing: possible, with or without a catalogue.

    What the catalogue adds is the entity: both calls act on the same order.
    """
    (found,) = [one for one in sent.report()["findings"] if one["anomaly"] == "repeated_effect"]
    assert (found["grade"], found["severity"]) == ("possible", "warning")
    assert found["subject"] == ("order/2" if sent.options else "book_flight")


def test_a_possible_finding_fails_no_build(sent: Sent) -> None:
    """Only what is proved does, unless asked for."""
    assert driftline("report", "--data", sent.up.data, *sent.options).code == 0


def test_the_pages_say_the_same(sent: Sent) -> None:
    """The JSON twin of the findings, judged by the server itself while the spans came in."""
    groups = until(lambda: sent.page("/findings.json")["groups"])
    (group,) = [group for group in groups if group["anomaly"] == "repeated_effect"]
    assert (group["grade"], group["runs"], group["of_runs"]) == ("possible", 1, 2)
    page = json.dumps(sent.page(f"/findings/{group['id']}.json"))
    assert (sent.twice in page, sent.once in page) == (True, False)


def test_the_run_is_listed_with_what_it_did(sent: Sent) -> None:
    """Agent, service and tokens come from the GenAI attributes; the usage of the calls, once."""
    runs = {run["run_id"]: run for run in sent.page("/runs.json")["runs"]}
    twice = runs[sent.twice]
    assert (twice["agents"], twice["service"], twice["tools"], twice["tokens"]) == (["traveller"], "travel", 2, 118)
