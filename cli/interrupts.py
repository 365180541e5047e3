"""Ctrl-C that is heeded wherever it strikes, and leaves no traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SOON = 0.05  # seconds: past the callback that could not be interrupted


@contextmanager
def heeded() -> Iterator[None]:
    """While the block runs a Ctrl-C always reaches it as KeyboardInterrupt; after it, Ctrl-C ends the process at once.

    Python drops an exception that strikes inside a callback of its own (an import lock, a finalizer) and prints it;
    such an interrupt is sent again a moment later.
    """
    before = sys.unraisablehook

    def again(unraisable: UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(_SOON, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            before(unraisable)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        with suppress(ValueError):  # not the main thread: somebody else's process, and signals
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
