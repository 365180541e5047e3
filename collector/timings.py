"""How long things take, counted into buckets as Prometheus wants them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


@dataclass(frozen=True)
class Spread:
    """How often something took up to so many seconds, shorter ones included; how often at all; how long together."""

    buckets: tuple[tuple[float, int], ...]
    count: int
    total: float


class Histogram:
    """Counts durations, in seconds, from several threads."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._total = 0.0
        self._lock = threading.Lock()

    def observe(self, seconds: float) -> None:
        """It took *seconds*."""
        with self._lock:
            self._counts[bisect_left(_BOUNDS, seconds)] += 1
            self._total += max(0.0, seconds)

    def spread(self) -> Spread:
        """What was counted."""
        with self._lock:
            counts, total = list(self._counts), self._total
        running, buckets = 0, []
        for bound, count in zip(_BOUNDS, counts, strict=False):
            running += count
            buckets.append((bound, running))
        return Spread(tuple(buckets), running + counts[-1], total)


@dataclass(frozen=True)
class Timings:
    """Of a collector: *commit*, writing a group of requests down until it is on disk; *insert*, a segment of the log
    into ClickHouse; *lag*, from the first request of a segment until it can be queried.
    """

    commit: Histogram = field(default_factory=Histogram)
    insert: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
