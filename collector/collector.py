"""Takes requests, writes them down, hands them to the store; two threads, one for each half."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from driftline.collector.dead_letters import DeadLetters
from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import Accepted, LogFull, ShuttingDown, SignalNotSupported, accept, framed, parse
from driftline.collector.store.errors import BatchRefused
from driftline.collector.wal import Contents, Record, Segment, WriteAheadLog

_log = logging.getLogger("driftline.collector")

_SEGMENT_BYTES = 16 * 2**20
_IDLE = 0.1  # seconds without a request after which a segment is handed on: what was sent is soon seen
_SEGMENT_AGE = 0.5  # seconds after which it is handed on although requests keep coming
_GROUP = 512  # requests that share one fsync at most
_GROUP_BYTES = 64 * 2**20
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)

_Item = tuple[Record, "Future[None]"]


class SpanStore(Protocol):
    """Where batches go."""

    def insert_requests(self, framed: bytes, token: str, signal: str = "traces") -> None:
        """Insert a batch of one signal, whole or not at all; the same token twice adds nothing."""


@dataclass
class Stats:
    """Counters since the collector began. Sizes in bytes."""

    received: int = 0
    acknowledged: int = 0
    stored: int = 0
    rejected: int = 0
    lost: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    log_bytes: int = 0
    waiting_segments: int = 0
    dead_letters: int = 0
    last_insert: float = 0.0
    trouble: str = ""


class Collector:
    """The way of a request: `submit` returns when it is on disk; a moment later it can be queried."""

    def __init__(self, store: SpanStore, folder: str | Path, *, log_limit: int = 4 * 2**30) -> None:
        self._store = store
        self._limit = log_limit
        self._wal = WriteAheadLog(Path(folder) / "log")
        self._dead = DeadLetters(Path(folder) / "dead-letter")
        self._queue: queue.Queue[_Item | None] = queue.Queue(maxsize=4096)
        self._segments: queue.Queue[Segment | None] = queue.Queue()
        self._unstored = 0
        self._settled = threading.Condition()
        self._door = threading.Lock()  # nothing enters the queue behind the word that ends it
        self._closed = False
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stats = Stats()

    @property
    def dead_letters(self) -> Path:
        """The folder of requests that ClickHouse refused, each batch with its reason."""
        return self._dead.folder

    def start(self) -> None:
        """Begin; what an earlier process left in the log is stored first."""
        for segment in self._wal.closed_segments():
            self._count(unstored=segment.items)
            self._segments.put(segment)
        for target in (self._write, self._drain):
            thread = threading.Thread(target=target, name=f"driftline-{target.__name__[1:]}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 30.0) -> None:
        """Take nothing more, store what was acknowledged as far as *timeout* allows; the rest stays in the log."""
        with self._door:
            if self._closed or not self._threads:
                self._closed = True
                return
            self._closed = True
        self._queue.put(None)
        self._threads[0].join(timeout)
        self.flush(timeout)
        self._stopping.set()
        self._segments.put(None)
        self._threads[1].join(timeout)

    def receive(self, body: bytes, content_type: str, signal: str = "traces") -> Accepted:
        """Read, check and write down one request body; returns when it is on disk.

        Raises:
            RefusedRequest: one of its kinds; says what is wrong.
        """
        self._count(received=1)
        if signal != "traces":
            raise SignalNotSupported(f"driftline takes traces, not {signal}", "turn this exporter off")
        request = parse(body, content_type)
        request.DiscardUnknownFields()  # what a newer protocol adds, ClickHouse's reader need not know
        flatten_nested(request)
        accepted = accept(request)
        if accepted.spans:
            self.submit(accepted.request.SerializeToString(), accepted.spans, signal)
        self._count(rejected=accepted.rejected)
        return accepted

    def submit(self, request: bytes, items: int, signal: str = "traces") -> None:
        """Write down a serialized, checked request of so many spans or log records; returns when it is on disk.

        Raises:
            LogFull: the log has reached its limit, or the disk refused.
            ShuttingDown: `stop` was called.
        """
        if self._wal.size > self._limit:
            self.refuse("log full")
            raise LogFull(f"the write-ahead log is at its limit of {self._limit // 2**20} MiB", "retry later")
        done: Future[None] = Future()
        try:
            with self._door:
                if self._closed:
                    raise ShuttingDown("the collector is stopping", "retry later")
                self._queue.put_nowait((Record(framed(request), items, signal), done))
        except queue.Full:
            self.refuse("overload")
            raise LogFull("too many requests wait for the disk", "retry later") from None
        try:
            done.result()
        except Exception as error:
            self.refuse("disk")
            why = getattr(error, "strerror", None) or error
            raise LogFull(
                f"the log cannot be written: {why}", "see to the disk and the data folder; retry later"
            ) from error

    def refuse(self, reason: str) -> None:
        """Count a request that was not taken."""
        with self._settled:
            self._stats.refused[reason] += 1

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything acknowledged can be queried; false if that took longer than *timeout* seconds."""
        with self._settled:
            return self._settled.wait_for(lambda: self._unstored == 0, timeout)

    def stats(self) -> dict[str, Any]:
        """The counters, as JSON-able data."""
        with self._settled:
            found = dict(vars(self._stats), refused=dict(self._stats.refused))
        found.update(log_bytes=self._wal.size, waiting_segments=self._segments.qsize(), dead_letters=self._dead.count())
        return found

    def _count(self, unstored: int = 0, **numbers: int) -> None:
        with self._settled:
            self._unstored += unstored
            for name, number in numbers.items():
                setattr(self._stats, name, getattr(self._stats, name) + number)
            if unstored < 0:
                self._settled.notify_all()

    # -- writer thread

    def _write(self) -> None:
        ending = False
        while not ending:
            group, ending = self._next_group()
            if group:
                self._append(group)
            if ending or self._wal.open_size > _SEGMENT_BYTES or (self._is_due(group) and self._segments.empty()):
                self._rotate()

    def _is_due(self, group: list[_Item]) -> bool:
        """Whether the open segment should be stored soon.

        It is not while another waits: an insert costs much the same for one request as for a thousand, so a store that
        is slow gets larger batches, not a longer queue.
        """
        return not group or self._wal.open_age > _SEGMENT_AGE

    def _next_group(self) -> tuple[list[_Item], bool]:
        """The requests that wait, to share one fsync; and whether they are the last."""
        group: list[_Item] = []
        size = 0
        try:
            item = self._queue.get(timeout=_IDLE)
            while item is not None:
                group.append(item)
                size += len(item[0].payload)
                if len(group) >= _GROUP or size >= _GROUP_BYTES:
                    return group, False
                item = self._queue.get_nowait()
        except queue.Empty:
            return group, False
        return group, True

    def _append(self, group: list[_Item]) -> None:
        items = sum(record.items for record, _ in group)
        try:
            self._wal.append([record for record, _ in group])
        except Exception as error:  # noqa: BLE001 - the sender is told; the next group finds a fresh segment
            self._rotate()
            for _, done in group:
                done.set_exception(error)
            return
        self._count(unstored=items, acknowledged=items)
        for _, done in group:
            done.set_result(None)

    def _rotate(self) -> None:
        segment = self._wal.rotate()
        if segment:
            self._segments.put(segment)

    # -- drain thread

    def _drain(self) -> None:
        while (segment := self._segments.get()) is not None:
            for wait in _waits():
                try:
                    contents = self._contents(segment)
                    if contents is None:
                        break
                    if contents.damaged:
                        self._dead.keep(segment.token, contents.damaged, "a record's checksum is wrong", "damaged")
                    stored = self._insert(segment.token, contents)
                    self._wal.forget(segment)
                except Exception as error:  # noqa: BLE001 - whatever ails the store, the log keeps the batch
                    self._troubled(error)
                    if self._stopping.wait(wait):
                        return
                else:
                    self._count(unstored=-segment.items, stored=stored)
                    break

    def _contents(self, segment: Segment) -> Contents | None:
        """What *segment* holds; None if somebody deleted it: nothing brings it back, nobody must wait for it."""
        try:
            return segment.read()
        except FileNotFoundError:
            pass
        self._wal.forget(segment)
        self._count(unstored=-segment.items, lost=segment.items)
        _log.error("%d spans are lost: somebody deleted %s before it was stored", segment.items, segment.path)
        return None

    def _insert(self, token: str, contents: Contents) -> int:
        """Store what a segment holds, one batch a signal; returns how many items went in."""
        stored = 0
        for signal, records in contents.batches.items():
            stored += self._insert_batch(token if signal == "traces" else f"{token}-{signal}", records, signal)
        with self._settled:
            self._stats.trouble, self._stats.last_insert = "", time.time()
        return stored

    def _insert_batch(self, token: str, records: tuple[Record, ...], signal: str) -> int:
        """Store a batch; if ClickHouse refuses it, its requests one by one, setting aside those it refuses again."""
        bad: list[Record] = []
        try:
            self._store.insert_requests(b"".join(record.payload for record in records), token, signal)
        except BatchRefused as refusal:
            bad = [r for n, r in enumerate(records) if not self._goes_in(r, f"{token}-{n}")]
            if bad:
                self._dead.keep(token, [record.payload for record in bad], str(refusal), "refused")
        return sum(record.items for record in records) - sum(record.items for record in bad)

    def _goes_in(self, record: Record, token: str) -> bool:
        try:
            self._store.insert_requests(record.payload, token, record.signal)
        except BatchRefused:
            return False
        return True

    def _troubled(self, error: Exception) -> None:
        text = (str(error) or type(error).__name__).splitlines()[0]
        with self._settled:
            self._stats.trouble = text
        _log.warning("ClickHouse did not take a batch, it stays in the log: %s", text)


def _waits() -> Any:
    yield from _BACKOFF
    while True:
        yield _BACKOFF[-1]
