"""Takes requests, writes them down, hands them to the store; two threads, one for each half."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from driftline.collector.dead_letters import DeadLetters
from driftline.collector.drain import Drain
from driftline.collector.nested import empty_references, flatten_nested
from driftline.collector.otlp import SIGNALS, Accepted, LogFull, ShuttingDown, accept, framed, parse
from driftline.collector.records import Record
from driftline.collector.repeats import Repeats, digest
from driftline.collector.sieve import SpanStore
from driftline.collector.tally import Tally
from driftline.collector.timings import Timings
from driftline.collector.wal import WriteAheadLog

_log = logging.getLogger("driftline.collector")

_SEGMENT_BYTES = 16 * 2**20
_IDLE = 0.1  # seconds without a request after which a segment is handed on: what was sent is soon seen
_SEGMENT_AGE = 0.5  # seconds after which it is handed on although requests keep coming
_GROUP = 512  # requests that share one fsync at most
_GROUP_BYTES = 64 * 2**20
_NEARLY_FULL = 0.9  # of the log's limit: said before senders are refused
_PROBE = 1.0  # seconds between looks at a disk that refused

_Item = tuple[Record, "Future[None]"]


class Collector:
    """The way of a request: `submit` returns when it is on disk; a moment later it can be queried.

    Args:
        log_limit: bytes of the log beyond which nothing more is taken.
        disk_reserve: free bytes that the log leaves on its disk, so that ClickHouse can still empty it.
    """

    def __init__(
        self, store: SpanStore, folder: str | Path, *, log_limit: int = 4 * 2**30, disk_reserve: int = 64 * 2**20
    ) -> None:
        self._limit = log_limit
        self._tally = Tally()
        self._wal = WriteAheadLog(Path(folder) / "log", disk_reserve)
        self._dead = DeadLetters(Path(folder) / "dead-letter")
        self._repeats = Repeats(Path(folder) / "acknowledged")
        self._drain = Drain(store, self._wal, self._dead, self._repeats, self._tally)
        self._queue: queue.Queue[_Item | None] = queue.Queue(maxsize=4096)
        self._door = threading.Lock()  # nothing enters the queue behind the word that ends it
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._probed = 0.0

    @property
    def dead_letters(self) -> DeadLetters:
        """What ClickHouse refused, each batch with its reason."""
        return self._dead

    def start(self) -> None:
        """Begin; what an earlier process left in the log is stored first.

        Raises:
            LogInUse: another process has the log.
        """
        self._wal.hold()
        before = self._wal.size
        for segment, contents in self._wal.closed_segments():
            self._repeats.remember(digest(record) for record in contents.records)
            self._tally.count(unstored=segment.items)
            self._drain.put(segment)
        if before:
            _log.warning(
                "%d batches, %.1f MiB, were acknowledged before this start: they are stored now",
                self._drain.waiting, before / 2**20,
            )  # fmt: skip
        for name, target in (("write", self._write), ("drain", self._store)):
            thread = threading.Thread(target=target, name=f"driftline-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 30.0) -> None:
        """Take nothing more, store what was acknowledged as far as *timeout* and ClickHouse allow; the rest stays."""
        with self._door:
            if self._closed or not self._threads:
                self._closed = True
                return
            self._closed = True
        self._queue.put(None)
        self._threads[0].join(timeout)
        self._tally.wait_stored(timeout, while_well=True)
        self._drain.end()
        self._threads[1].join(timeout)
        self._wal.release()

    def receive(self, body: bytes, content_type: str, signal: str = "traces") -> Accepted:
        """Read, check and write down one request body (of `otlp.SIGNALS`); returns when it is on disk.

        Raises:
            RefusedRequest: one of its kinds; says what is wrong.
        """
        self._tally.count(received=1)
        kind = SIGNALS[signal]
        notes: list[str] = []
        request = parse(body, content_type, kind, notes)
        request.DiscardUnknownFields()  # what a newer protocol adds, ClickHouse's reader need not know
        wire = request.SerializeToString()
        emptied = empty_references(request, wire)
        changed = flatten_nested(request, wire) or emptied > 0
        accepted = accept(request, kind, emptied, notes)
        if accepted.items:
            changed = changed or accepted.changed
            self.submit(accepted.request.SerializeToString() if changed else wire, accepted.items, signal)
        self._tally.count(rejected=accepted.rejected)
        return accepted

    def submit(self, request: bytes, items: int, signal: str = "traces") -> None:
        """Write down a serialized, checked request of so many spans or log records; returns when it is on disk.

        One that was acknowledged before, byte for byte, is on disk already.

        Raises:
            LogFull: the log has reached its limit, or the disk refused.
            ShuttingDown: `stop` was called.
        """
        record = Record(framed(request), items, signal)
        fate, mine = self._repeats.claim(digest(record))
        if mine and fate is not None:
            try:
                self._enter(record, fate)
            except Exception as refusal:
                fate.set_exception(refusal)  # whoever waits with the same request hears it too
                raise
        if fate is not None:
            self._await(fate)
        if not mine:
            self._tally.count(repeated=1)

    def refuse(self, reason: str) -> None:
        """Count a request that was not taken."""
        self._tally.refuse(reason)

    @property
    def timings(self) -> Timings:
        """How long its work takes."""
        return self._tally.timings

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything acknowledged can be queried; false if that took longer than *timeout* seconds."""
        return self._tally.wait_stored(timeout)

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until what is in the log now can be queried, whatever comes meanwhile; false if it took too long."""
        deadline = time.monotonic() + timeout
        waiting = self._wal.paths()
        while any(path.exists() for path in waiting):
            if time.monotonic() > deadline:
                return False
            time.sleep(_IDLE / 2)
        return True

    def stats(self) -> dict[str, Any]:
        """The counters (`tally.Stats`), as JSON-able data."""
        found = self._tally.stats()
        size = self._wal.size
        full = f"the log is {100 * size / self._limit:.0f} % full" if size > _NEARLY_FULL * self._limit else ""
        return {
            **found,
            "trouble": found["trouble"] or self._drain.hangs or full,
            "log_bytes": size,
            "log_limit": self._limit,
            "oldest_unstored": max(self._drain.oldest, self._wal.open_age),
            "waiting_segments": self._drain.waiting,
            "dead_letters": self._dead.count(),
            "newest_dead_letter": self._dead.newest(),
        }

    def _enter(self, record: Record, fate: Future[None]) -> None:
        """Into the queue of the writer thread."""
        if self._wal.size > self._limit:
            self.refuse("log full")
            raise LogFull(f"the write-ahead log is at its limit of {self._limit // 2**20} MiB", "retry later")
        try:
            with self._door:
                if self._closed:
                    raise ShuttingDown("the collector is stopping", "retry later")
                self._queue.put_nowait((record, fate))
        except queue.Full:
            self.refuse("overload")
            raise LogFull("too many requests wait for the disk", "retry later") from None

    def _await(self, fate: Future[None]) -> None:
        try:
            fate.result()
        except (LogFull, ShuttingDown):
            raise
        except Exception as error:
            self.refuse("disk")
            why = getattr(error, "strerror", None) or error
            raise LogFull(
                f"the log cannot be written: {why}", "see to the disk and the data folder; retry later"
            ) from error

    # -- drain thread

    def _store(self) -> None:
        self._drain.run(meanwhile=self._replay)

    def _replay(self) -> None:
        """Take one letter back that somebody wants replayed."""
        try:
            for letter in self._dead.wanted()[:1]:
                self._dead.replay(letter, self)
                _log.info("%s was replayed: %d requests", letter.name, letter.requests)
        except Exception:  # noqa: BLE001 - it stays, and is tried again
            _log.exception("a dead letter cannot be replayed at present")

    # -- writer thread

    def _write(self) -> None:
        ending = False
        while not ending:
            group, ending = self._next_group()
            if group:
                self._append(group)
            elif self._tally.log_ails:
                self._probe()
            if ending or self._wal.open_size > _SEGMENT_BYTES or (self._is_due(group) and self._drain.idle):
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
        begun = time.monotonic()
        try:
            self._wal.append([record for record, _ in group])
        except Exception as error:  # noqa: BLE001 - the sender is told; the next group finds a fresh segment
            self._tally.log_troubled(error)
            self._rotate()
            for _, fate in group:
                fate.set_exception(error)
            return
        self._tally.timings.commit.observe(time.monotonic() - begun)
        self._tally.log_troubled(None)
        self._tally.count(unstored=items, acknowledged=items)
        for _, fate in group:
            fate.set_result(None)

    def _probe(self) -> None:
        """See whether the disk that refused takes writes again, though nobody sends while we say that it does not."""
        if time.monotonic() - self._probed < _PROBE:
            return
        self._probed = time.monotonic()
        try:
            self._wal.probe()
        except OSError as error:
            self._tally.log_troubled(error)
        else:
            self._tally.log_troubled(None)

    def _rotate(self) -> None:
        segment = self._wal.rotate()
        if segment:
            self._drain.put(segment)
