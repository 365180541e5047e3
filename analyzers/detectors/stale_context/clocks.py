"""Orders by wall clocks: never definite, and only where it is known how far two clocks may be apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.lineage import Write
    from driftline.analyzers.order import HappensBefore
    from driftline.analyzers.record import Record


class Clocks:
    """The wall clocks of a record's spans."""

    def __init__(self, record: Record, config: Config, order: HappensBefore) -> None:
        spans = record.spans
        self._host, self._clock = spans["host"].to_list(), spans["clock"].to_list()
        self._start, self._end = spans["start_ns"].to_list(), spans["end_ns"].to_list()
        self._skew_ms = config.skew_ms
        self._order = order

    def apart(self, row: int, writes: Iterable[Write]) -> list[tuple[float, Write]]:
        """How long after the end of each of *writes* span *row* began, in milliseconds, by their clocks.

        Left out are times that were made up, and spans of one process, whose ticks know better.
        """
        return [
            (self._after_ms(row, write.row), write)
            for write in writes
            if "synthetic" not in (self._clock[row], self._clock[write.row])
            and not self._order.same_process(row, write.row)
        ]

    def _after_ms(self, row: int, other: int) -> float:
        return float((self._start[row] - self._ended(other)) / 1e6)

    def _ended(self, row: int) -> int:
        return int(max(self._start[row], self._end[row]))

    def bound_ms(self, row: int, other: int) -> float | None:
        """By how much the end of span *other* and the start of span *row* may be misjudged; None: unknown.

        Instances of one host share a clock. A time cut off to milliseconds (or microseconds) may have been later.
        """
        ended = self._ended(other)
        resolution = 1.0 if ended % 1_000_000 == 0 else 0.001 if ended % 1_000 == 0 else 0.0
        if self._host[row] and self._host[row] == self._host[other]:
            return resolution
        return None if self._skew_ms is None else self._skew_ms + resolution
