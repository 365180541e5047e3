"""Takes requests, writes them down, hands them to the store; two threads, one for each half."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from driftline.collector.nested import flatten_nested
from driftline.collector.otlp import Accepted, LogFull, accept, framed, parse
from driftline.collector.store.errors import BatchRefused
from driftline.collector.wal import Segment, WriteAheadLog

_log = logging.getLogger("driftline.collector")

_SEGMENT_BYTES = 16 * 2**20
_IDLE = 0.1  # seconds without a request after which a segment is handed on: what was sent is soon seen
_GROUP = 512  # requests that share one fsync at most
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)


class SpanStore(Protocol):
    """Where batches go."""

    def insert_requests(self, framed: bytes, token: str) -> None:
        """Insert a batch, whole or not at all; the same token twice adds nothing."""


@dataclass
class Stats:
    """Counters since the collector began. Sizes in bytes."""

    received: int = 0
    acknowledged: int = 0
    stored: int = 0
    rejected: int = 0
    refused: dict[str, int] = field(default_factory=Counter)
    log_bytes: int = 0
    waiting_segments: int = 0
    dead_letters: int = 0
    last_insert: float = 0.0
    trouble: str = ""


class Collector:
    """The way of a request: `submit` returns when it is on disk; a moment later it can be queried."""

    def __init__(self, store: SpanStore, folder: str | Path, *, log_limit: int = 4 * 2**30) -> None:
        self._store = store
        self._folder = Path(folder)
        self._limit = log_limit
        self._wal = WriteAheadLog(self._folder / "log")
        self._queue: queue.Queue[tuple[bytes, int, Future[None]] | None] = queue.Queue(maxsize=4096)
        self._segments: queue.Queue[Segment | None] = queue.Queue()
        self._unstored = 0
        self._settled = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stats = Stats(dead_letters=len(list(self.dead_letters.glob("*.wal"))))

    @property
    def dead_letters(self) -> Path:
        """The folder of batches that ClickHouse refused, each with its reason."""
        return self._folder / "dead-letter"

    def start(self) -> None:
        """Begin; what an earlier process left in the log is stored first."""
        for segment in self._wal.closed_segments():
            self._hand_on(segment)
        for target in (self._write, self._drain):
            thread = threading.Thread(target=target, name=f"driftline-{target.__name__[1:]}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 30.0) -> None:
        """Take nothing more, store what was acknowledged as far as *timeout* allows; the rest stays in the log."""
        self._queue.put(None)
        self._threads[0].join(timeout)
        self.flush(timeout)
        self._stopping.set()
        self._segments.put(None)
        self._threads[1].join(timeout)

    def receive(self, body: bytes, content_type: str) -> Accepted:
        """Read, check and write down one request body; returns when it is on disk.

        Raises:
            RefusedRequest: one of its kinds; says what is wrong.
        """
        with self._settled:
            self._stats.received += 1
        request = parse(body, content_type)
        flatten_nested(request)
        accepted = accept(request)
        self._stats.rejected += accepted.rejected
        if accepted.spans:
            self.submit(accepted.request.SerializeToString(), accepted.spans)
        return accepted

    def submit(self, request: bytes, spans: int) -> None:
        """Write down a serialized, checked request; returns when it is on disk.

        Raises:
            LogFull: the log has reached its limit, or the disk refused.
        """
        if self._wal.size > self._limit:
            self.refuse("log full")
            raise LogFull(f"the write-ahead log is at its limit of {self._limit // 2**20} MiB", "retry later")
        done: Future[None] = Future()
        try:
            self._queue.put((framed(request), spans, done), timeout=10)
        except queue.Full:
            self.refuse("overload")
            raise LogFull("too many requests wait for the disk", "retry later") from None
        try:
            done.result()
        except OSError as error:
            self.refuse("disk")
            raise LogFull(f"the log cannot be written: {error.strerror}", "free disk space; retry later") from error

    def refuse(self, reason: str) -> None:
        """Count a request that was not taken."""
        self._stats.refused[reason] += 1

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything acknowledged can be queried; false if that took longer than *timeout* seconds."""
        with self._settled:
            return self._settled.wait_for(lambda: self._unstored == 0, timeout)

    def stats(self) -> dict[str, Any]:
        """The counters, as JSON-able data."""
        self._stats.log_bytes = self._wal.size
        self._stats.waiting_segments = self._segments.qsize()
        return asdict(self._stats)

    # -- writer thread

    def _write(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=_IDLE)
            except queue.Empty:
                self._rotate()
                continue
            if first is None:
                self._rotate()
                return
            group = [first]
            ending = False
            while len(group) < _GROUP:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    ending = True
                    break
                group.append(item)
            self._append(group)
            if ending:
                self._rotate()
                return

    def _append(self, group: list[tuple[bytes, int, Future[None]]]) -> None:
        spans = sum(count for _, count, _ in group)
        try:
            self._wal.append([(payload, count) for payload, count, _ in group])
        except OSError as error:
            for _, _, done in group:
                done.set_exception(error)
            return
        with self._settled:
            self._unstored += spans
            self._stats.acknowledged += spans
        for _, _, done in group:
            done.set_result(None)
        if self._wal.open_size > _SEGMENT_BYTES:
            self._rotate()

    def _rotate(self) -> None:
        segment = self._wal.rotate()
        if segment:
            self._segments.put(segment)

    def _hand_on(self, segment: Segment) -> None:
        with self._settled:
            self._unstored += segment.read()[1]
        self._segments.put(segment)

    # -- drain thread

    def _drain(self) -> None:
        while (segment := self._segments.get()) is not None:
            payload, spans = segment.read()
            for wait in self._waits():
                try:
                    self._store.insert_requests(payload, segment.token)
                except BatchRefused as refusal:
                    self._quarantine(segment, refusal)
                except Exception as error:  # noqa: BLE001 - whatever ails the store, the log keeps the batch
                    self._stats.trouble = str(error).splitlines()[0]
                    _log.warning("ClickHouse did not take a batch, it stays in the log: %s", self._stats.trouble)
                    if self._stopping.wait(wait):
                        return
                    continue
                else:
                    self._stats.stored += spans
                    self._stats.trouble = ""
                    self._stats.last_insert = time.time()
                    self._wal.forget(segment)
                break
            with self._settled:
                self._unstored -= spans
                self._settled.notify_all()

    def _waits(self) -> Any:
        yield from _BACKOFF
        while True:
            yield _BACKOFF[-1]

    def _quarantine(self, segment: Segment, refusal: BatchRefused) -> None:
        """Store what can be stored of a refused batch, request by request, and set the rest aside."""
        bad: list[bytes] = []
        for number, payload in enumerate(segment.records()):
            try:
                self._store.insert_requests(payload, f"{segment.token}-{number}")
            except BatchRefused:
                bad.append(payload)
        self.dead_letters.mkdir(exist_ok=True)
        if bad:
            (self.dead_letters / segment.path.name).write_bytes(b"".join(bad))
            reason = {"token": segment.token, "requests": len(bad), "reason": str(refusal), "at": time.time()}
            (self.dead_letters / f"{segment.token}.json").write_text(json.dumps(reason, indent=1))
            self._stats.dead_letters += 1
            _log.error("%d requests were set aside in %s: %s", len(bad), self.dead_letters, refusal)
        self._wal.forget(segment)
