"""An ordinary program that sends its content as log records, and what is found and shown of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from command import Ended, Up, driftline

pytestmark = pytest.mark.e2e

# Books one flight twice, then asks a model that does not answer. What the tool was given and gave, and why the model
# failed, stand in log records alone; the one program sends spans over HTTP and logs over the protocol it is told.
PROGRAM = """
import json, sys
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

endpoint, logs_first = sys.argv[1], sys.argv[2] == "first"
if sys.argv[3]:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    exporter = OTLPLogExporter(sys.argv[3], insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    exporter = OTLPLogExporter(endpoint + "/v1/logs")
spans, logs = TracerProvider(), LoggerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint + "/v1/traces")))
logs.add_log_record_processor(BatchLogRecordProcessor(exporter))
tracer, logger = spans.get_tracer("travel"), logs.get_logger("travel")

def say(name, attributes, **more):
    logger.emit(LogRecord(event_name=name, attributes=attributes, severity_number=SeverityNumber.WARN,
        severity_text="WARN", **more))

agent = {"gen_ai.operation.name": "invoke_agent"}
with tracer.start_as_current_span("invoke_agent traveller", attributes=agent) as root:
    for _ in range(2):
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book_flight"}
        with tracer.start_as_current_span("execute_tool book_flight", attributes=tool):
            say("", {"gen_ai.tool.call.arguments": {"order": 2, "seats": 1}}, body="calling <book_flight>")
            say("gen_ai.choice", {}, body={"message": {"content": json.dumps({"booking": 7})}})
    with tracer.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}) as chat:
        say("gen_ai.client.operation.exception", {"exception.type": "RateLimited", "exception.message": "slow down"})
        chat.set_status(Status(StatusCode.ERROR))
for provider in (logs, spans) if logs_first else (spans, logs):
    provider.shutdown()
print(format(root.get_span_context().trace_id, "032x"))
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    found = Up(tmp_path_factory.mktemp("logs") / "data")
    yield found
    found.stop()


@pytest.fixture(scope="module", params=["first", "last, by gRPC"])
def run(request: pytest.FixtureRequest, up: Up) -> str:
    """A run whose log records came before its spans, or after them."""
    order, _, grpc = request.param.partition(", ")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, up.otlp, order, up.otlp_grpc if grpc else ""],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def until(condition: Callable[[], Any]) -> Any:
    """Wait for it."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.3)
    return found


def page(up: Up, path: str) -> Any:
    """The JSON twin of a page."""
    with urllib.request.urlopen(up.web + path) as answer:
        return json.load(answer)


def test_what_only_logs_hold_is_judged(up: Up, run: str) -> None:
    """Two calls with equal arguments: the server itself finds them while the records come in."""
    group = until(lambda: [one for one in page(up, "/findings.json")["groups"] if one["anomaly"] == "repeated_effect"])
    until(lambda: run in json.dumps(page(up, f"/findings/{group[0]['id']}.json")))


def _whole(ended: Ended) -> str:
    """What was shown, when all five records are."""
    assert ended.code == 0, ended.err
    return ended.out if ended.out.count("log WARN") == 5 else ""


def test_show_tells_what_happened(up: Up, run: str) -> None:
    """Below each span its records, marked as logs; a failure that only a record explains is explained in the tree."""
    until(lambda: len(page(up, "/runs.json")["runs"]) and driftline("show", run, "--data", up.data).code == 0)
    shown = until(lambda: _whole(driftline("show", run, "--events", "--data", up.data)))
    assert shown.count("log WARN  calling <book_flight>") == 2
    assert "log WARN  gen_ai.client.operation.exception  RateLimited: slow down" in shown
    assert "FAILED RateLimited" in shown
    assert "log WARN" not in driftline("show", run, "--data", up.data).out
    told = driftline("show", run, "--events", "--format", "json", "--data", up.data).json
    assert sorted(event["log"] for event in told["events"]) == ["WARN"] * 5
