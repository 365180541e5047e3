"""Loads the embedded engine as one step."""

from __future__ import annotations

import signal
import sys
import threading


def load_engine() -> None:
    """Import the embedded engine, if it is not here yet. A Ctrl-C meanwhile is heeded as soon as it is loaded.

    In the middle of the import it would leave the engine half loaded, which then looks as if it was not installed.

    Raises:
        ImportError: it is not installed.
        KeyboardInterrupt: what came meanwhile (or whatever the program's own handler raises).
    """
    if "chdb" in sys.modules or threading.current_thread() is not threading.main_thread():
        _import()
        return
    waiting: list[int] = []

    def note(number: int, _frame: object) -> None:
        waiting.append(number)

    before = signal.signal(signal.SIGINT, note)
    if before is None:  # not set from Python: nothing that could be put back
        before = signal.SIG_DFL
    try:
        _import()
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        signal.raise_signal(signal.SIGINT)


def _import() -> None:
    import chdb  # noqa: F401 - for its effect
    import clickhouse_connect  # noqa: F401
