"""Runs rolled up while spans come in: the same as counting spans, however often and in whatever order they came."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from histories import framed, fresh_store, requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from driftline.analyzers.roll_up import VIEW, install_roll_up
from driftline.collector.store import Store, read_sql

_TRIP = """
P1 run(trip) outcome=complete run=r1 conversation=c1
  P1 tool(book) run=r1 args=o1 effect=write eo=failed target=order/1 error=Timeout
  P1 tool(book) run=r1 args=o1 effect=write eo=applied target=order/1
"""
_LONE = """
P1 tool(book) args=o2 run=r2
"""
_ROLLED_UP = """
SELECT
    run_id, toUInt64(uniqCombinedMerge(12)(spans)) AS spans, toUInt64(uniqCombinedMerge(12)(errors)) AS errors,
    min(started_at) AS began, max(ended_at) AS ended, max(last_span_at) AS last, argMaxMerge(status) AS status,
    max(outcome) AS outcome, argMaxMerge(name) AS name
FROM run_parts GROUP BY trace_id, run_id ORDER BY run_id
SETTINGS prefer_column_name_to_alias = 1
"""
_COUNTED = """
SELECT
    run_id, count() AS spans, countIf(status = 'error') AS errors, min(started_at) AS began, max(ended_at) AS ended,
    max(ingested_at) AS last
FROM steps FINAL GROUP BY trace_id, run_id ORDER BY run_id
"""


@pytest.fixture
def store() -> Store:
    return fresh_store()


def _insert(store: Store, text: str, token: str = "") -> None:
    store.insert_requests(framed(requests(text)), token or secrets.token_hex(8))


def _rolled_up(store: Store) -> list[dict[str, Any]]:
    return store.rows(_ROLLED_UP)


def _agrees(store: Store) -> bool:
    counted = store.rows(_COUNTED)
    return bool(counted) and counted == [{key: row[key] for key in counted[0]} for row in _rolled_up(store)]


def test_it_says_what_counting_spans_says(store: Store) -> None:
    _insert(store, _TRIP)
    _insert(store, _LONE)
    assert [(row["run_id"], row["spans"], row["errors"]) for row in _rolled_up(store)] == [("r1", 3, 1), ("r2", 1, 0)]
    assert _agrees(store)


def test_a_span_that_comes_twice_counts_once(store: Store) -> None:
    for _ in range(3):
        _insert(store, _TRIP)
    assert _agrees(store)
    store.command("OPTIMIZE TABLE run_parts FINAL")
    assert _agrees(store)


def test_a_batch_that_is_repeated_adds_no_row(store: Store) -> None:
    _insert(store, _TRIP, "the same")
    before = store.value("SELECT count() FROM run_parts")
    _insert(store, _TRIP, "the same")
    assert store.value("SELECT count() FROM run_parts") == before == 1


def test_a_run_is_open_while_only_pending_copies_of_it_are_here(store: Store) -> None:
    store.insert_requests(framed(requests(_TRIP, unended={0})), "pending")
    assert [row["status"] for row in _rolled_up(store)] == ["open"]
    _insert(store, _TRIP)
    assert [(row["status"], row["outcome"], row["name"]) for row in _rolled_up(store)] == [
        ("unset", "complete", "invoke_workflow trip")
    ]
    assert _agrees(store)


def test_what_is_stored_already_is_rolled_up_when_the_view_is_new(store: Store) -> None:
    _insert(store, _TRIP)
    store.command(f"DROP TABLE {VIEW}")
    try:
        _insert(store, _LONE)  # as by a driftline that did not have the view
        assert not _agrees(store)
    finally:
        assert install_roll_up(store)
    assert _agrees(store)
    assert not install_roll_up(store)


def _spans(*spans: tuple[str, dict[str, str], str]) -> ExportTraceServiceRequest:
    """Spans in traces named by a digit, with these attributes, linked to the trace of another digit ('' = none)."""
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    for number, (trace, attributes, other) in enumerate(spans, start=1):
        span = scoped.spans.add(trace_id=bytes.fromhex(trace * 32), span_id=number.to_bytes(8, "big"), name="work")
        span.kind = {"send": span.SPAN_KIND_PRODUCER, "process": span.SPAN_KIND_CONSUMER}.get(
            attributes.get("kind", ""), 1
        )
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
        if other:
            span.links.add(trace_id=bytes.fromhex(other * 32), span_id=bytes(7) + b"\1")
    return request


def test_the_traces_of_a_run_are_found_from_any_of_them(store: Store) -> None:
    message = {"messaging.destination.name": "orders", "messaging.message.id": "m1"}
    store.insert_requests(
        framed(
            [
                _spans(
                    ("1", {"driftline.run.id": "r"}, ""),
                    ("2", {"driftline.run.id": "r"}, ""),
                    ("3", {}, "4"),
                    ("4", {}, ""),
                    ("5", {"kind": "send", **message}, ""),
                    ("6", {"kind": "process", **message}, ""),
                    ("7", {"driftline.run.id": "parent"}, ""),
                    ("8", {"driftline.run.id": "child", "driftline.run.parent_id": "parent"}, ""),
                    ("9", {}, ""),
                )
            ]
        ),
        "related",
    )
    related = read_sql("driftline.analyzers", "sql/related_traces.sql")
    for one, other in ("12", "34", "56", "78"):
        for trace in (one, other):
            found = {row["trace_id"][0] for row in store.rows(related, {"traces": [trace * 32]})}
            assert found | {trace} == {one, other}
    assert {row["trace_id"][0] for row in store.rows(related, {"traces": ["9" * 32]})} <= {"9"}
