"""A store that only remembers, and fails on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable

from driftline.collector.store import BatchRefused


class FakeStore:
    """What the collector needs of a store. *fails*: what to raise for a batch, or None."""

    def __init__(self, fails: Callable[[bytes, str], Exception | None] = lambda _batch, _token: None) -> None:
        self.fails = fails
        self.batches: dict[str, bytes] = {}
        self.signals: dict[str, str] = {}
        self.attempts: list[str] = []
        self.stored = threading.Event()

    def insert_requests(self, framed: bytes, token: str, signal: str = "traces") -> None:
        """Remember a batch; the same token again adds nothing."""
        self.attempts.append(token)
        error = self.fails(framed, token)
        if error is not None:
            raise error
        if framed == b"\0":  # a request of nothing adds nothing
            return
        self.batches.setdefault(token, framed)
        self.signals[token] = signal
        self.stored.set()

    @property
    def content(self) -> bytes:
        """Everything, in the order of arrival."""
        return b"".join(self.batches.values())


def refuse(word: bytes) -> Callable[[bytes, str], Exception | None]:
    """Refuse every batch that holds *word*, as ClickHouse refuses what it cannot parse."""
    return lambda batch, token: BatchRefused(f"cannot parse {token}", "") if word in batch else None
