"""Twice-delivered data is normal: whatever is repeated, readers see one row a span, and the right one."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_requests import request, span

from driftline.collector.otlp import framed
from driftline.collector.store import BatchRefused, Store

MEMORY = {
    "gen_ai.operation.name": "read_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a", "b"],
    "driftline.memory.versions": ["v1", "v2"],
}  # fmt: skip


def batch(*spans: Span, scope: str = "driftline") -> bytes:
    return framed(request(*spans, scope=scope).SerializeToString())


def insert(store: Store, *batches: bytes) -> None:
    for one in batches:
        store.insert_requests(one, uuid.uuid4().hex)


def counted(store: Store) -> tuple[int, int, int]:
    """Rows in the three tables as readers see them."""
    tables = ("otel_traces", "steps", "memory_ops")
    return tuple(store.value(f"SELECT count() FROM {table} FINAL") for table in tables)  # type: ignore[return-value]


def on_disk(store: Store) -> tuple[int, int, int]:
    """Rows in the three tables without merging copies."""
    tables = ("otel_traces", "steps", "memory_ops")
    return tuple(store.value(f"SELECT count() FROM {table}") for table in tables)  # type: ignore[return-value]


def test_the_same_request_twice_is_one_row(store: Store) -> None:
    """An OTLP retry after a lost answer."""
    sent = batch(span("read", MEMORY, trace=1, number=1))
    insert(store, sent, sent)
    assert counted(store) == (1, 1, 2)


def test_a_span_in_two_requests_keeps_the_richer_copy(store: Store) -> None:
    """In either order."""
    poor, rich = span("poor", trace=1, number=1), span("rich", {"a": 1, "b": 2}, trace=1, number=1)
    for order in ((poor, rich), (rich, poor)):
        store.command("TRUNCATE TABLE otel_traces")
        store.command("TRUNCATE TABLE steps")
        insert(store, *(batch(copy) for copy in order))
        assert store.rows("SELECT SpanName FROM otel_traces FINAL") == [{"SpanName": "rich"}]
        assert store.rows("SELECT name FROM steps FINAL") == [{"name": "rich"}]


def test_a_copy_in_another_month_is_still_the_same_span(store: Store) -> None:
    """Parts of two months are never merged; reading with FINAL sees one row."""
    late = span("late", {"a": 1}, trace=1, number=1, start=1_797_000_000_000_000_000)
    insert(store, batch(span("early", trace=1, number=1)), batch(late))
    assert counted(store)[:2] == (1, 1)
    assert store.value("SELECT name FROM steps FINAL") == "late"


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", ["pending first", "final first"])
def test_a_pending_copy_gives_way_to_the_final_span(store: Store, order: str, together: bool) -> None:
    """Whichever arrives first, in one request or in two; its memory operations are not counted twice."""
    open_copy = span("read", {**MEMORY, "driftline.pending": True, "x": 1, "y": 2, "z": 3}, trace=1, number=1, ms=0)
    final = span("read", MEMORY, trace=1, number=1, ms=5)
    copies = [open_copy, final] if order == "pending first" else [final, open_copy]
    insert(store, *([batch(*copies)] if together else [batch(copy) for copy in copies]))
    assert counted(store) == (1, 1, 2)
    (row,) = store.rows("SELECT pending, ended_at > started_at AS ended FROM steps FINAL")
    assert (row["pending"], bool(row["ended"])) == (False, True)


def test_a_pending_copy_left_alone_is_an_open_span(store: Store) -> None:
    """It is a step that has not ended; it has not read or written anything yet."""
    insert(store, batch(span("read", {**MEMORY, "driftline.pending": True}, ms=0)))
    assert counted(store) == (1, 1, 0)
    assert store.value("SELECT pending FROM steps FINAL") is True


def test_a_token_inserted_again_adds_nothing_anywhere(store: Store) -> None:
    """A crash between the insert and the removal of the log file: not even copies on disk."""
    sent = batch(*(span("read", MEMORY, trace=1, number=number + 1) for number in range(50)))
    for _ in range(3):
        store.insert_requests(sent, "a token")
    assert on_disk(store) == (50, 50, 100)


@pytest.mark.parametrize("missing", ["canonical_steps", "canonical_memory_ops"])
def test_a_crash_amid_an_insert_is_healed_by_the_repeat(store: Store, missing: str) -> None:
    """The first try reached otel_traces but not a table behind it; the second fills that one and adds nothing else."""
    sent = batch(*(span("read", MEMORY, trace=1, number=number + 1) for number in range(20)))
    statement = store.value(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {n:String}",
        {"n": missing},
    )
    store.command(f"DROP TABLE {missing}")
    try:
        store.insert_requests(sent, "torn")
    finally:
        store.command(statement)
    store.insert_requests(sent, "torn")
    assert on_disk(store) == (20, 20, 40)


def test_a_batch_larger_than_a_block_is_repeated_exactly(store: Store) -> None:
    """Many requests, spans of several months: every block of it has its own part of the token."""
    month = 30 * 86_400 * 10**9

    def spans(trace: int) -> list[Span]:
        start = 1_700_000_000_000_000_000 + trace % 7 * month
        return [span("read", MEMORY, trace=trace, number=number + 1, start=start) for number in range(200)]

    requests = b"".join(batch(*spans(trace)) for trace in range(1, 61))
    for _ in range(2):
        store.insert_requests(requests, "large")
    assert on_disk(store) == (12_000, 12_000, 24_000)


@pytest.mark.parametrize(
    "poison", [b"\xff", b"\x05\x0a\x63", b"\x02\x0a\x05"], ids=["no frame", "wrong length", "cut short"]
)
def test_a_corrupt_batch_is_refused_whole(store: Store, poison: bytes) -> None:
    """By name, so that the collector sets it aside; nothing of it is stored."""
    with pytest.raises(BatchRefused):
        store.insert_requests(batch(span("good")) + poison, "poisoned")
    assert on_disk(store) == (0, 0, 0)


@pytest.mark.parametrize("copies", list(itertools.permutations(range(3))))
def test_the_order_of_arrival_never_matters(store: Store, copies: tuple[int, ...]) -> None:
    """Of three copies of one span the same one stays."""
    versions: list[dict[str, Any]] = [{"driftline.pending": True}, {"a": 1}, {"a": 1, "b": 2}]
    insert(store, *(batch(span(f"copy {place}", versions[place], trace=1, number=1)) for place in copies))
    assert store.rows("SELECT name FROM steps FINAL") == [{"name": "copy 2"}]
