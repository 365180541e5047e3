"""A store for one check: made in a temporary folder, gone when it is over."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from driftline.cli.input import Contents, framed_batches

if TYPE_CHECKING:
    from typing_extensions import Self

    from driftline.collector.store import Store

_TABLES = ("otel_traces", "otel_logs", "steps", "memory_ops", "span_facts", "run_parts")


class Scratch:
    """An empty store with all views, opened when the first spans come: a file that cannot be read is known before."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The store itself."""
        if self._store is None:
            from driftline.analyzers import install_views
            from driftline.collector.store import open_store

            folder = tempfile.TemporaryDirectory(prefix="driftline-check-", ignore_cleanup_errors=True)
            self._store = open_store(self._stack.enter_context(folder))
            self._stack.callback(self._store.close)
            install_views(self._store)
        return self._store

    def load(self, name: str) -> Contents:
        """Put the spans and log records of a file into the store. The same bytes a second time add nothing.

        Raises:
            UnreadableFile: it is not what its name says; what was read before that stays in the store.
        """
        contents = Contents(name)
        for signal, batch in framed_batches(contents):
            self.store.insert_requests(batch, hashlib.sha256(batch).hexdigest(), signal)
        return contents

    def empty(self) -> None:
        """Forget all spans."""
        if self._store is not None:
            for table in _TABLES:
                self._store.command(f"TRUNCATE TABLE {table}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()


def read_file(name: str) -> Contents:
    """Read a file without keeping its spans: is it what its name says?

    Raises:
        UnreadableFile: it is not.
    """
    contents = Contents(name)
    for _ in framed_batches(contents):
        pass
    return contents
