"""The log forgets a batch when ClickHouse has it on disk, not merely in the page cache: power may go at any moment."""

from __future__ import annotations

import re
import uuid

from otlp_requests import request, span

from driftline.collector.otlp import framed
from driftline.collector.store import Store

MEMORY = {"gen_ai.operation.name": "read_memory", "gen_ai.memory.store.id": "notes", "driftline.memory.keys": ["a"]}
_TARGET = re.compile(r"CREATE MATERIALIZED VIEW \S+ TO (?:\S+\.)?`?(\w+)`?", re.IGNORECASE)


def targets(store: Store) -> dict[str, str]:
    """Every table that a view fills, with its engine in full."""
    views = store.rows(
        "SELECT name, create_table_query AS text FROM system.tables "
        "WHERE database = currentDatabase() AND engine = 'MaterializedView'"
    )
    assert views
    names = set()
    for view in views:
        found = _TARGET.match(view["text"])
        assert found, f"{view['name']} keeps a table of its own, which nothing makes durable: {view['text'][:200]}"
        names.add(found[1])
    engines = store.rows(
        "SELECT name, engine_full FROM system.tables "
        "WHERE database = currentDatabase() AND name IN {names:Array(String)}",
        {"names": sorted(names)},
    )
    return {row["name"]: row["engine_full"] for row in engines if "MergeTree" in row["engine_full"]}


def test_every_table_behind_the_inbox_is_synced_and_recognises_repeats(store: Store) -> None:
    """Whoever adds a table that a view fills gives it these settings."""
    found = targets(store)
    assert {"otel_traces", "steps", "memory_ops"} <= set(found)
    for name, engine in found.items():
        for setting in ("fsync_after_insert = 1", "fsync_part_directory = 1"):
            assert setting in engine, f"{name} lacks {setting}"
        window = re.search(r"non_replicated_deduplication_window = (\d+)", engine)
        assert window, f"{name} does not recognise a batch that is inserted again"
        assert int(window[1]) >= 1000, name


def test_an_insert_syncs_files_and_folders(store: Store) -> None:
    """The engine does what the settings say, in each of the tables."""
    before = _syncs(store)
    sent = request(span("read", MEMORY, trace=1, number=1), scope="driftline")
    store.insert_requests(framed(sent.SerializeToString()), uuid.uuid4().hex)
    after = _syncs(store)
    tables = sum(store.value(f"SELECT count() FROM {name}") > 0 for name in targets(store))
    assert tables >= 3
    assert after["FileSync"] - before["FileSync"] >= tables
    assert after["DirectorySync"] - before["DirectorySync"] >= tables


def _syncs(store: Store) -> dict[str, int]:
    rows = store.rows("SELECT event, value FROM system.events WHERE event IN ('FileSync', 'DirectorySync')")
    return {"FileSync": 0, "DirectorySync": 0} | {row["event"]: row["value"] for row in rows}
