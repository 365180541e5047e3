"""`/metrics` as Prometheus reads it, and `/readyz` as a probe does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_store import FakeStore
from otlp_requests import request, span
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from driftline.collector import Collector, create_receiver
from driftline.collector.metrics import Watch, Watched, exposition
from driftline.collector.timings import Histogram

BODY = request(span("one"), span("two", number=2)).SerializeToString()
PROTOBUF = {"content-type": "application/x-protobuf"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """Every sample, by name and labels; each is there once, and of a family that says what it is."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    found = Collector(FakeStore(), tmp_path)
    found.start()
    yield found
    found.stop(5)


def test_what_came_in_is_counted_as_prometheus_reads_it(collector: Collector) -> None:
    client = TestClient(create_receiver(collector))
    client.post("/v1/traces", content=BODY, headers=PROTOBUF)
    client.post("/v1/traces", content=BODY, headers=PROTOBUF)
    client.post("/v1/traces", content=b"\xff", headers=PROTOBUF)
    assert collector.flush(60)
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = read(answer.text)
    assert of(found, "driftline_requests_received_total", project="default") == 3
    assert of(found, "driftline_requests_repeated_total", project="default") == 1
    assert of(found, "driftline_items_acknowledged_total", project="default") == 2
    assert of(found, "driftline_items_stored_total", project="default") == 2
    assert of(found, "driftline_requests_refused_total", project="default", reason="UnreadableBody") == 1
    assert of(found, "driftline_log_limit_bytes", project="default") == 4 * 2**30
    assert of(found, "driftline_trouble", project="default") == 0
    assert of(found, "process_resident_memory_bytes") > 2**20
    assert of(found, "process_open_fds") > 2


def test_each_commit_and_each_insert_is_timed(collector: Collector) -> None:
    collector.receive(BODY, PROTOBUF["content-type"])
    assert collector.flush(60)
    found = read(exposition(Watch(lambda: [Watched("default", collector)])))
    for name in ("log_commit", "insert", "insert_lag"):
        count = of(found, f"driftline_{name}_seconds_count", project="default")
        assert count == of(found, f"driftline_{name}_seconds_bucket", project="default", le="+Inf") == 1
        assert of(found, f"driftline_{name}_seconds_sum", project="default") > 0


def test_buckets_hold_what_is_in_the_ones_before() -> None:
    histogram = Histogram()
    for seconds in (0.001, 0.002, 0.2, 9_999.0):
        histogram.observe(seconds)
    spread = histogram.spread()
    counts = dict(spread.buckets)
    assert (counts[0.001], counts[0.0025], counts[0.25], counts[1800.0], spread.count) == (1, 2, 3, 3, 4)
    assert spread.total == pytest.approx(9_999.203)


def test_a_key_reads_the_projects_it_opens_and_no_other(collector: Collector) -> None:
    watch = Watch(lambda: [Watched("default", collector), Watched("other", collector)])
    projects = {dict(labels).get("project") for _, labels in read(exposition(watch, ["other"]))}
    assert projects == {"other", None}
    assert 'project="default"' in exposition(watch)


def test_labels_hold_any_text(collector: Collector) -> None:
    reason = 'quo"te \\ and\na line'
    collector.refuse(reason)
    found = read(exposition(Watch(lambda: [Watched("default", collector)], refused=lambda: {reason: 3})))
    assert of(found, "driftline_requests_refused_total", project="default", reason=reason) == 1
    assert of(found, "driftline_door_refused_total", reason=reason) == 3


def test_what_waits_is_seen_with_its_age_and_a_nearly_full_log_is_trouble(tmp_path: Path) -> None:
    """A store that refuses: the log grows, and says so before senders are refused."""
    store = FakeStore(lambda _batch, _token: ConnectionError("away"))
    collector = Collector(store, tmp_path, log_limit=len(BODY) + 20)
    collector.start()
    try:
        client = TestClient(create_receiver(collector))
        client.post("/v1/traces", content=BODY, headers=PROTOBUF)
        stats = collector.stats()
        assert stats["log_bytes"] > 0.9 * stats["log_limit"]
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"]
        found = read(client.get("/metrics").text)
        assert of(found, "driftline_trouble", project="default") == 1
        assert of(found, "driftline_log_oldest_age_seconds", project="default") > 0
        assert of(found, "driftline_log_bytes", project="default") == stats["log_bytes"]
    finally:
        collector.stop(0.1)
