"""The half that stores: segments of the log into ClickHouse, whatever ails the store or one of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from driftline.collector.dead_letters import DeadLetters
from driftline.collector.records import Contents, Record
from driftline.collector.repeats import Repeats, digest
from driftline.collector.sieve import PATIENCE, Case, Sieve, SpanStore
from driftline.collector.tally import Tally
from driftline.collector.wal import Segment, WriteAheadLog

_log = logging.getLogger("driftline.collector")

_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds; the last one again and again
_IDLE = 1.0  # seconds
_LONG = 30.0  # seconds after which an insert that has not ended is trouble


@dataclass(eq=False)
class _Waiting:
    """A segment that waits to be stored."""

    segment: Segment
    case: Case = field(default_factory=Case)


class Drain:
    """The line of segments that wait to be stored, and the work of storing them (`run`, in a thread of its own)."""

    def __init__(self, store: SpanStore, wal: WriteAheadLog, dead: DeadLetters, repeats: Repeats, tally: Tally) -> None:
        self._sieve = Sieve(store)
        self._wal = wal
        self._dead = dead
        self._repeats = repeats
        self._tally = tally
        self._line: deque[_Waiting] = deque()
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._begun = 0.0  # when the insert under way began, 0: none is

    def put(self, segment: Segment) -> None:
        """*segment* waits to be stored."""
        with self._news:
            self._line.append(_Waiting(segment))
            self._news.notify_all()

    def end(self) -> None:
        """Finish what is under way; the rest stays in the log."""
        with self._news:
            self._stopping.set()
            self._news.notify_all()

    @property
    def waiting(self) -> int:
        """How many segments wait."""
        return len(self._line)

    @property
    def oldest(self) -> float:
        """Seconds that the oldest request of those segments has waited; 0 when none waits."""
        with self._news:
            begun = min((waiting.segment.begun for waiting in self._line), default=0.0)
        return max(0.0, time.time() - begun) if begun else 0.0

    @property
    def idle(self) -> bool:
        """Whether none waits that was not tried yet: what is handed on now would be looked at soon."""
        with self._news:
            return all(waiting.case.tries for waiting in self._line)

    @property
    def hangs(self) -> str:
        """What is to be said of an insert that takes very long; '' when none does."""
        begun = self._begun
        seconds = time.monotonic() - begun if begun else 0.0
        return f"ClickHouse has not answered to an insert for {seconds:.0f} s" if seconds > _LONG else ""

    def run(self, meanwhile: Callable[[], None]) -> None:
        """Store segments until `end`; *meanwhile* is called about once a second while none waits."""
        failures = 0
        while (waiting := self._first(meanwhile)) is not None:
            self._begun = time.monotonic()
            try:
                stored = self._settle(waiting)
            except Exception as error:  # noqa: BLE001 - whatever ails the store, the log keeps the batch
                self._begun = 0.0
                self._tally.store_troubled(error)
                self._failed(waiting)
                if self._stopping.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)]):
                    return
                failures += 1
            else:
                self._tally.timings.insert.observe(time.monotonic() - self._begun)
                self._tally.timings.lag.observe(time.time() - waiting.segment.begun)
                failures, self._begun = 0, 0.0
                with self._news:
                    self._line.remove(waiting)
                self._tally.count(unstored=-waiting.segment.items, stored=stored)

    def _first(self, meanwhile: Callable[[], None]) -> _Waiting | None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._line or self._stopping.is_set(), _IDLE)
                if self._stopping.is_set():
                    return None
                if self._line:
                    return self._line[0]
            meanwhile()

    def _failed(self, waiting: _Waiting) -> None:
        with self._news:
            waiting.case.tries += 1
            if waiting.case.tries >= PATIENCE:  # it may be to blame: let others go first, and see
                self._line.remove(waiting)
                self._line.append(waiting)

    def _settle(self, waiting: _Waiting) -> int:
        """Store what a segment holds and forget it; returns how many items went in."""
        segment = waiting.segment
        try:
            contents = segment.read()
        except FileNotFoundError:
            return self._lost(segment)
        if contents.damaged:
            self._dead.keep(segment.token, contents.damaged, "a record's checksum is wrong", "damaged")
            self._repeats.forget()  # what was damaged may be sent again, and nobody knows what it was
        aside: list[Record] = []
        for signal, records in contents.batches.items():
            token = segment.token if signal == "traces" else f"{segment.token}-{signal}"
            bad = self._sieve.insert(records, token, waiting.case)
            if bad:
                self._dead.keep(token, [record.payload for record, _ in bad], _reasons(bad), "refused", signal)
                aside += [record for record, _ in bad]
        self._tally.inserted()
        self._forget(segment, contents, aside)
        return contents.items - sum(record.items for record in aside)

    def _lost(self, segment: Segment) -> int:
        """Somebody deleted *segment*: nothing brings it back, nobody must wait for it."""
        self._wal.forget(segment)
        self._repeats.forget()  # a sender that still has it may bring it back
        self._tally.count(lost=segment.items)
        _log.error("%d spans are lost: somebody deleted %s before it was stored", segment.items, segment.path)
        return 0

    def _forget(self, segment: Segment, contents: Contents, aside: list[Record]) -> None:
        """What is stored leaves the log, but is still recognised; what was set aside is taken if it is sent again."""
        bad = {digest(record) for record in aside}
        self._repeats.forget(bad)
        self._repeats.save([one for record in contents.records if (one := digest(record)) not in bad])
        self._wal.forget(segment)


def _reasons(bad: list[tuple[Record, str]]) -> str:
    """What was said of them, each thing once, a few at most."""
    return "\n".join(list(dict.fromkeys(said for _, said in bad))[:5])
