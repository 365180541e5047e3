"""Whether the embedded engine is at work: a process that ends in the middle of a call crashes in the engine's own end.

Nothing is lost then, as the log repeats what was under way; but a server that was told to stop should not end so.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_lock = threading.Lock()
_calls = 0


@contextmanager
def engine_call() -> Iterator[None]:
    """A call of the engine lasts as long as the block."""
    global _calls  # noqa: PLW0603 - there is one engine in a process
    with _lock:
        _calls += 1
    try:
        yield
    finally:
        with _lock:
            _calls -= 1


def leave_at_once(code: int) -> None:
    """End the process here with *code* if a call is under way, without what else would run at its end."""
    if not _calls:
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
