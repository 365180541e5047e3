"""`driftline up` in its weakest moments, drawn out so that a kill finds them.

Merges of every table are always under way, the views will seem outdated to the next start, and time passes between the
insert of a segment and its removal from the log.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import driftline.collector.store as stores
from driftline.cli import main
from driftline.collector.wal import Segment, WriteAheadLog

TABLES = ("otel_traces", "steps", "memory_ops", "otel_logs")
_open = stores.open_store
_forget = WriteAheadLog.forget


def opened(*how: Any, **more: Any) -> stores.Store:
    """The store, with merges under way from now on."""
    store = _open(*how, **more)
    threading.Thread(target=merge, args=(store,), daemon=True).start()
    return store


def merge(store: stores.Store) -> None:
    """Until the process ends."""
    while True:
        for table in TABLES:
            store.command(f"OPTIMIZE TABLE {table} FINAL")
        store.command(
            "INSERT INTO installed_views (name, text_hash) SELECT DISTINCT name, 'outdated' FROM installed_views"
        )


def forget(log: WriteAheadLog, segment: Segment) -> None:
    """Remove a segment whose items are stored, a while later."""
    time.sleep(0.3)
    _forget(log, segment)


if __name__ == "__main__":
    stores.open_store = opened
    WriteAheadLog.forget = forget  # type: ignore[method-assign]
    sys.exit(main())
