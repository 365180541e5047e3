"""Recognises a request that was acknowledged before: an exporter that lost our answer sends the same bytes again.

Nobody can know whether such a request is a repeat or new but equal: its spans have the same ids either way, so taking
it once is right in both cases.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from driftline.collector.records import Record

_CAPACITY = 65_536  # requests: minutes under the heaviest load, where exporters give up after one or two
_SIZE = 16  # bytes of a digest


def digest(record: Record) -> bytes:
    """What tells *record* from all others."""
    return hashlib.blake2b(record.payload, digest_size=_SIZE, person=record.signal.encode()).digest()


class Repeats:
    """The digests of requests that are acknowledged, or about to be; the oldest are forgotten beyond *capacity*.

    The log itself tells a new process about the requests that are still in it; *file* about those that were stored. It
    is not synced: what a power cut takes from it costs a second copy on disk, which readers do not see.
    """

    def __init__(self, file: Path, capacity: int = _CAPACITY) -> None:
        self._file = file
        self._capacity = capacity
        self._known: OrderedDict[bytes, Future[None] | None] = OrderedDict()  # None: acknowledged
        self._lock = threading.Lock()
        with suppress(OSError):
            data = file.read_bytes()
            whole = len(data) - len(data) % _SIZE
            if whole < len(data):
                os.truncate(file, whole)  # else every digest behind the torn one would be read askew
            for start in range(0, whole, _SIZE):
                self._keep(data[start : start + _SIZE])

    def claim(self, which: bytes) -> tuple[Future[None] | None, bool]:
        """The fate of the request *which* (None: acknowledged), and whether the caller is the one to see to it.

        The first caller settles the future it gets; whoever comes meanwhile waits for that.
        """
        with self._lock:
            if which in self._known:
                return self._known[which], False
            fate: Future[None] = Future()
            self._known[which] = fate
            self._trim()
        fate.add_done_callback(lambda done: self._settle(which, done))
        return fate, True

    def remember(self, which: Iterable[bytes]) -> None:
        """These are acknowledged."""
        with self._lock:
            for one in which:
                self._keep(one)

    def forget(self, which: Iterable[bytes] | None = None) -> None:
        """These are not stored, and may be sent again; None: nobody knows which."""
        with self._lock:
            for one in list(self._known) if which is None else which:
                if one in self._known and self._known[one] is None:
                    del self._known[one]

    def save(self, which: Iterable[bytes]) -> None:
        """Let the next process know these when the log no longer tells of them."""
        with suppress(OSError):  # a full disk: see above, at the power cut
            if self._file.exists() and self._file.stat().st_size >= 2 * self._capacity * _SIZE:
                with self._lock:
                    known = b"".join(one for one, fate in self._known.items() if fate is None)
                partial = self._file.with_suffix(".new")
                partial.write_bytes(known)
                partial.replace(self._file)
            file = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            try:
                os.write(file, b"".join(which))
            finally:
                os.close(file)

    def _settle(self, which: bytes, done: Future[None]) -> None:
        with self._lock:
            if self._known.get(which) is done:
                if done.exception() is None:
                    self._known[which] = None
                else:
                    del self._known[which]

    def _keep(self, which: bytes) -> None:
        self._known[which] = None
        self._trim()

    def _trim(self) -> None:
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
