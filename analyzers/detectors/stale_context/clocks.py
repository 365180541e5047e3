"""Orders by wall clocks: never definite, and only where it is known how far two clocks may be apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record


class Clocks:
    """The wall clocks of a record's spans."""

    def __init__(self, record: Record, config: Config) -> None:
        spans = record.spans
        self._host, self._clock = spans["host"].to_list(), spans["clock"].to_list()
        self._start, self._end = spans["start_ns"].to_list(), spans["end_ns"].to_list()
        self._skew_ms = config.skew_ms

    def after_ms(self, row: int, other: int) -> float | None:
        """How long after the end of *other* span *row* began, by their clocks; None: the times were made up."""
        if "synthetic" in (self._clock[row], self._clock[other]):
            return None
        return float((self._start[row] - self._end[other]) / 1e6)

    def bound_ms(self, row: int, other: int) -> float | None:
        """How far the clocks of two spans may be apart; None: unknown. Instances of one host share a clock."""
        if self._host[row] and self._host[row] == self._host[other]:
            return 0.0
        return self._skew_ms
