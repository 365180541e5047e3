"""The collector's counters, and the wait until nothing is left to store."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from driftline.collector.timings import Timings

_log = logging.getLogger("driftline.collector")


@dataclass
class Stats:
    """Counters since the collector began: requests, or the spans and log records in them. Sizes in bytes."""

    received: int = 0  # requests
    acknowledged: int = 0
    repeated: int = 0  # requests that were acknowledged before, byte for byte, and not taken again
    stored: int = 0
    rejected: int = 0
    lost: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # requests, by reason
    log_bytes: int = 0
    log_limit: int = 0  # bytes beyond which nothing more is taken
    oldest_unstored: float = 0.0  # seconds that the oldest request in the log has waited
    waiting_segments: int = 0
    dead_letters: int = 0  # batches
    newest_dead_letter: str = ""
    last_insert: float = 0.0  # seconds since 1970
    trouble: str = ""  # what ClickHouse, or the log's disk, says at present


class Tally:
    """Counts for several threads."""

    def __init__(self) -> None:
        self.timings = Timings()
        self._stats = Stats()
        self._unstored = 0
        self._store_trouble = ""
        self._log_trouble = ""
        self._settled = threading.Condition()

    def count(self, unstored: int = 0, **numbers: int) -> None:
        """Add to counters by name, and to what waits to be stored."""
        with self._settled:
            self._unstored += unstored
            for name, number in numbers.items():
                setattr(self._stats, name, getattr(self._stats, name) + number)
            if unstored < 0:
                self._settled.notify_all()

    def refuse(self, reason: str) -> None:
        """Count a request that was not taken."""
        with self._settled:
            self._stats.refused[reason] += 1

    def wait_stored(self, timeout: float, *, while_well: bool = False) -> bool:
        """Wait until nothing waits to be stored; false if that took longer than *timeout* seconds.

        With *while_well* no longer than ClickHouse takes batches.
        """
        with self._settled:
            self._settled.wait_for(lambda: self._unstored == 0 or (while_well and bool(self._store_trouble)), timeout)
            return self._unstored == 0

    def inserted(self) -> None:
        """ClickHouse took a batch: all is well."""
        with self._settled:
            self._store_trouble, self._stats.last_insert = "", time.time()

    def store_troubled(self, error: Exception) -> None:
        """ClickHouse did not take a batch, which stays in the log."""
        said = _first_line(error)
        with self._settled:
            news, self._store_trouble = said != self._store_trouble, said
            self._settled.notify_all()
        if news:
            _log.warning("ClickHouse did not take a batch, it stays in the log: %s", said)

    def log_troubled(self, error: Exception | None) -> None:
        """The log's disk refuses; None: it no longer does."""
        said = f"the log cannot be written: {_first_line(error)}" if error else ""
        with self._settled:
            news, self._log_trouble = said != self._log_trouble, said
        if news and error:
            _log.error("%s; senders get 503 meanwhile", said)
        elif news:
            _log.warning("the log can be written again")

    @property
    def log_ails(self) -> bool:
        """Whether the log's disk refused last time."""
        return bool(self._log_trouble)

    def stats(self) -> dict[str, Any]:
        """The counters, as JSON-able data."""
        with self._settled:
            trouble = self._log_trouble or self._store_trouble
            return dict(vars(self._stats), refused=dict(self._stats.refused), trouble=trouble)


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0] if str(text).strip() else type(error).__name__
