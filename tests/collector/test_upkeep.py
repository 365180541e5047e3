"""Retention and compaction on the real engine: what is due goes from every table, what is not stays."""

from __future__ import annotations

import time
import uuid

import histories
import pytest
from shared_store import fresh_store

from driftline.analyzers import Scope, analyse, persist
from driftline.collector.otlp import framed
from driftline.collector.store import Store
from driftline.collector.upkeep import (
    TABLES,
    InvalidRetention,
    Retention,
    apply_retention,
    compact,
    days_by_table,
    parse_days,
    retention_of,
    sizes,
)

# Tables that say how the store is built: they do not grow with what comes in.
_BUILT = {"schema_migrations", "installed_views", "redaction"}
_CAME = {
    "otel_traces": "IngestedAt", "otel_logs": "IngestedAt", "steps": "ingested_at", "memory_ops": "ingested_at",
    "span_facts": "ingested_at", "runs": "analysed_at", "findings": "analysed_at", "not_checked": "analysed_at",
    "run_traces": "resolved_at", "run_parts": "last_span_at",
}  # fmt: skip
_HISTORY = """
P1 run(trip) outcome=complete run={0} service={0}
  P1 tool(book) run={0} service={0} call=c1 attempt=1 effect=write eo=applied target=order/{0}
  P1 tool(book) run={0} service={0} call=c1 attempt=2 effect=write eo=applied target=order/{0}
  P1 write(notes/{0}@v1 <- init) run={0} service={0}
"""


@pytest.fixture
def store() -> Store:
    """A store whose tables keep all until a test says otherwise."""
    found = fresh_store()
    apply_retention(found, Retention())
    return found


def load(store: Store, history: str) -> None:
    """The spans of *history*, the way requests go in."""
    framed_ones = [framed(request.SerializeToString()) for request in histories.requests(history)]
    store.insert_requests(b"".join(framed_ones), uuid.uuid4().hex)


def rows(store: Store) -> dict[str, int]:
    return {table: store.value(f"SELECT count() FROM {table}") for table in TABLES}


def wait_for_mutations(store: Store) -> None:
    deadline = time.monotonic() + 60
    while store.value("SELECT count() FROM system.mutations WHERE NOT is_done AND database = currentDatabase()"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fill(store: Store) -> None:
    """One row that came 40 days ago, and one that came today, in every table."""
    for table, came in _CAME.items():
        key = "TraceId" if came == "IngestedAt" else "run_id" if came == "analysed_at" else "trace_id"
        store.command(f"TRUNCATE TABLE {table}")  # what views made of the tables before
        for name, days in (("old", 40), ("young", 0)):
            store.command(f"INSERT INTO {table} ({key}, {came}) SELECT '{name}', now64(3) - INTERVAL {days} DAY")


def test_every_table_that_grows_has_a_time_to_live(store: Store) -> None:
    """A new table must say how its rows come to be too old."""
    every = {
        row["name"]
        for row in store.rows(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        )
    }
    assert every - _BUILT == set(TABLES) == set(_CAME)


def test_what_is_due_goes_from_every_table_and_what_is_not_stays(store: Store) -> None:
    fill(store)
    assert set(rows(store).values()) == {2}
    assert apply_retention(store, Retention(30, 30))
    wait_for_mutations(store)
    compact(store, lambda _said: None)
    assert rows(store) == dict.fromkeys(TABLES, 1)
    assert apply_retention(store, Retention())


def test_findings_may_be_kept_longer_than_spans(store: Store) -> None:
    fill(store)
    assert apply_retention(store, Retention(30, 365))
    wait_for_mutations(store)
    left = rows(store)
    spans = ("otel_traces", "otel_logs", "steps", "memory_ops", "span_facts", "run_parts")
    assert {table for table in TABLES if left[table] == 1} == set(spans)
    apply_retention(store, Retention())


def test_retention_is_changed_and_taken_back(store: Store) -> None:
    """Asking for what is in force does nothing: no part is rewritten for it."""
    assert apply_retention(store, Retention(30, 365))
    assert retention_of(store) == Retention(30, 365)
    wait_for_mutations(store)
    before = store.value("SELECT count() FROM system.mutations")
    assert not apply_retention(store, Retention(30, 365))
    assert store.value("SELECT count() FROM system.mutations") == before
    store.command("ALTER TABLE steps REMOVE TTL")  # a crash between two tables
    assert apply_retention(store, Retention(30, 365))
    assert set(days_by_table(store)) == set(TABLES)
    assert apply_retention(store, Retention(7, None))
    assert retention_of(store) == Retention(7, None)
    assert apply_retention(store, Retention())
    assert days_by_table(store) == {}


def test_findings_are_not_deleted_before_what_proves_them(store: Store) -> None:
    for wanted in (Retention(30, 7), Retention(None, 7)):
        with pytest.raises(InvalidRetention, match="before the spans that prove them"):
            apply_retention(store, wanted)
    assert days_by_table(store) == {}


@pytest.mark.parametrize(
    ("text", "days"), [("30d", 30), ("6w", 42), ("3m", 90), ("1y", 365), ("90", 90), ("forever", None)]
)
def test_times_are_written_as_people_write_them(text: str, days: int | None) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize("text", ["", "0d", "-3d", "3 fortnights", "1.5d", "d", "999999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRetention, match="is no time"):
        parse_days(text)


def test_all_that_one_span_made_has_the_time_it_came(store: Store) -> None:
    """Rows of different tables go together, and a backup can tell what came before it."""
    load(store, _HISTORY.format("one"))
    moments = {str(store.value(f"SELECT groupUniqArray({_CAME[table]}) FROM {table}"))
               for table in ("otel_traces", "steps", "memory_ops")}  # fmt: skip
    assert len(moments) == 1


def test_compaction_leaves_one_part_a_partition_and_every_row(store: Store) -> None:
    store.command("SYSTEM STOP MERGES otel_traces")
    for number in range(6):
        load(store, _HISTORY.format(f"run{number}"))
    assert sizes(store)["otel_traces"]["parts"] == 6
    store.command("SYSTEM START MERGES otel_traces")
    persist(store, analyse(store, Scope()))
    before = {table: store.value(f"SELECT count() FROM {table} FINAL") for table in TABLES}
    said: list[str] = []
    found = compact(store, said.append)
    partitions = store.rows(
        "SELECT table, partition_id, count() AS parts FROM system.parts WHERE active AND database = currentDatabase()"
        " GROUP BY ALL"
    )
    assert {row["parts"] for row in partitions} == {1}
    assert {table: store.value(f"SELECT count() FROM {table} FINAL") for table in TABLES} == before
    assert found["after"] == dict(sizes(store))
    assert any(line.startswith("otel_traces ") for line in said)
