"""A store for one check: made in a temporary folder, gone when it is over."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from driftline.cli.input import Contents, framed_batches

if TYPE_CHECKING:
    from driftline.collector.store import Store

_TABLES = ("otel_traces", "steps", "memory_ops")


@contextmanager
def scratch_store() -> Iterator[Store]:
    """An empty store with all views."""
    from driftline.analyzers import install_views
    from driftline.collector.store import open_store

    with tempfile.TemporaryDirectory(prefix="driftline-check-", ignore_cleanup_errors=True) as folder:
        store = open_store(folder)
        try:
            install_views(store)
            yield store
        finally:
            store.close()


def load_file(store: Store, name: str) -> Contents:
    """Put the spans of a file into *store*. The same bytes a second time add nothing.

    Raises:
        UnreadableFile: it is not what its name says; what was read before that stays in the store.
    """
    contents = Contents(name)
    for batch in framed_batches(contents):
        store.insert_requests(batch, hashlib.sha256(batch).hexdigest())
    return contents


def read_file(name: str) -> Contents:
    """Read a file without keeping its spans: is it what its name says?

    Raises:
        UnreadableFile: it is not.
    """
    contents = Contents(name)
    for _ in framed_batches(contents):
        pass
    return contents


def empty(store: Store) -> None:
    """Forget all spans."""
    for table in _TABLES:
        store.command(f"TRUNCATE TABLE {table}")
