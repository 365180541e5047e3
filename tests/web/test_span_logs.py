"""Log records stand beside the events of their span, in order of time, and are told apart."""

from __future__ import annotations

import histories
import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_requests import START, any_value, fill, request, span

from driftline.collector.otlp import framed
from driftline.collector.store import Store
from driftline.web import create_app

TRACE, SPAN = "0" * 31 + "1", "0" * 15 + "2"


@pytest.fixture
def pages() -> TestClient:
    """A span with one event and three records, one of another span."""
    store: Store = histories.fresh_store()
    one = span("work", {"driftline.run.id": "r"}, trace=1, number=2, events=[("tried", {"n": 1})])
    store.insert_requests(framed(request(one).SerializeToString()), "span-logs")
    sent = ExportLogsServiceRequest()
    records = sent.resource_logs.add().scope_logs.add().log_records
    for at, number, name, body, said in (
        (START + 5, 2, "", "the <b>second</b>\nline", {"user": "<script>alert(1)</script>"}),
        (START - 5, 2, "gen_ai.choice", {"finish_reason": "stop"}, {}),
        (START, 3, "", "of another span", {}),
    ):
        record = records.add(time_unix_nano=at, event_name=name, severity_text="WARN" if said else "")
        record.trace_id, record.span_id = (1).to_bytes(16, "big"), number.to_bytes(8, "big")
        record.body.CopyFrom(any_value(body))
        fill(record.attributes, said)
    store.insert_requests(framed(sent.SerializeToString()), "span-logs-2", "logs")
    return TestClient(create_app(store))


def test_records_stand_among_the_events(pages: TestClient) -> None:
    """By time; a record without a name is called by its first line."""
    events = pages.get(f"/runs/r/spans/{TRACE}/{SPAN}.json").json()["span"]["events"]
    assert [(event["name"], event["log"]) for event in events] == [
        ("gen_ai.choice", "log"),
        ("tried", ""),
        ("the <b>second</b>", "WARN"),
    ]
    assert events[0]["attributes"][0]["name"] == "body"


def test_what_records_say_is_never_markup(pages: TestClient) -> None:
    """It may come from anybody."""
    page = pages.get(f"/runs/r/spans/{TRACE}/{SPAN}").text
    assert "log, WARN" in page
    assert "<b>second" not in page
    assert "<script>alert" not in page
