"""The one store that all tests of a process share."""

from __future__ import annotations

import tempfile

from driftline.analyzers import install_views
from driftline.collector.store import Store, open_store

_shared: list[tuple[tempfile.TemporaryDirectory[str], Store]] = []
_TABLES = (
    "otel_traces", "otel_logs", "steps", "memory_ops", "span_facts", "run_parts", "runs", "run_traces", "findings",
    "not_checked",
)  # fmt: skip


def fresh_store() -> Store:
    """An empty store with all views. One engine path a process is all chDB allows, so one store serves all tests."""
    if not _shared:
        folder = tempfile.TemporaryDirectory(prefix="driftline-test-")
        store = open_store(folder.name)
        install_views(store)
        _shared.append((folder, store))
    store = _shared[0][1]
    for table in _TABLES:
        store.command(f"TRUNCATE TABLE {table}")
    return store


def close_shared_store() -> None:
    """Give the engine path free for a test that opens a store of its own."""
    while _shared:
        folder, store = _shared.pop()
        store.close()
        folder.cleanup()
