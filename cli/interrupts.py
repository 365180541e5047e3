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
    from types import FrameType

_struck = threading.Event()
_SOON = 0.05  # seconds: past the callback that could not be interrupted


@contextmanager
def heeded() -> Iterator[None]:
    """While the block runs a Ctrl-C always reaches it as KeyboardInterrupt; after it, Ctrl-C ends the process at once.

    Python drops an exception that strikes inside a callback of its own (an import lock, a finalizer) and prints it;
    such an interrupt is sent again a moment later.
    """
    before = sys.unraisablehook
    resent: list[threading.Timer] = []

    def again(unraisable: UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            resent.append(threading.Timer(_SOON, os.kill, (os.getpid(), signal.SIGINT)))
            resent[-1].start()
        else:
            before(unraisable)

    _struck.clear()
    sys.unraisablehook = again
    with suppress(ValueError):  # as below
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _strike)
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in resent:  # what was sent again must not strike when nobody minds it any more
            timer.cancel()
            timer.join()
        with suppress(ValueError):  # not the main thread: somebody else's process, and signals
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.SIG_DFL)


def heed() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed and some library kept the exception to itself."""
    if _struck.is_set():
        raise KeyboardInterrupt


def _strike(number: int, frame: FrameType | None) -> None:
    _struck.set()
    signal.default_int_handler(number, frame)


def caused_by_interrupt(error: BaseException) -> bool:
    """Whether a Ctrl-C lies behind *error*: some libraries turn it into an error of their own."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None
