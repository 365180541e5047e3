"""How much a key may send: token buckets, in memory. A restart fills them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_BURST = 10.0  # seconds of its rate that a bucket holds: exporters send in bursts, one batch every few seconds
_MOST = 10_000  # buckets kept; those of keys that are long gone make room


@dataclass
class _Bucket:
    rate: float
    level: float
    at: float

    def fill(self, now: float) -> None:
        most = max(self.rate * _BURST, 1.0)
        self.level = min(most, self.level + (now - self.at) * self.rate)
        self.at = now


class Quotas:
    """Buckets by name. What a request takes may exceed what is there, once: it is paid back before the next one.

    So a limit holds on average, and no request is too large for its bucket.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, wanted: dict[str, tuple[float, float]]) -> tuple[str, float] | None:
        """Take from all buckets or from none: *wanted* maps a bucket to its rate a second and the amount.

        None if it was granted; else the bucket that is empty, and the seconds until it is not.
        """
        now = self._clock()
        with self._lock:
            buckets = {name: self._bucket(name, rate, now) for name, (rate, _) in wanted.items() if rate > 0}
            # Every bucket lets a request in as soon as it holds one token, whatever the request then takes.
            waits = {name: (1.0 - found.level) / found.rate for name, found in buckets.items() if found.level < 1.0}
            if waits:
                slowest = max(waits, key=lambda name: waits[name])
                return slowest, waits[slowest]
            for name, found in buckets.items():
                found.level -= wanted[name][1]
            return None

    def _bucket(self, name: str, rate: float, now: float) -> _Bucket:
        found = self._buckets.get(name)
        if found is None or found.rate != rate:
            if len(self._buckets) >= _MOST:
                del self._buckets[min(self._buckets, key=lambda each: self._buckets[each].at)]
            found = self._buckets[name] = _Bucket(rate, max(rate * _BURST, 1.0), now)
        found.fill(now)
        return found
