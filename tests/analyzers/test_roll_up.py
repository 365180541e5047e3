"""Runs rolled up while spans come in: the same as counting spans, however often and in whatever order they came."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from histories import framed, fresh_store, requests

from driftline.analyzers.roll_up import VIEW, install_roll_up
from driftline.collector.store import Store

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
