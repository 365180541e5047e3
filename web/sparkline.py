"""A trend as a row of small bars, drawn on the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_STEPS = (1, 10, 60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400)
_MOST_BARS = 30
_LEAST_BARS = 12


@dataclass(frozen=True)
class Buckets:
    """Even stretches of time: `count` of them from `start`, each `step` seconds long."""

    start: int
    step: int
    count: int

    @classmethod
    def over(cls, first: datetime | None, last: datetime | None) -> Buckets:
        """12 to 30 stretches of a length people use (1 s … 7 d), the last of which holds *last*.

        The first holds *first* or lies before it; only over more than 120 weeks is the beginning left out.
        """
        if first is None or last is None:
            return cls(0, 1, 1)
        low, high = _seconds(first), _seconds(last)
        step = next((step for step in _STEPS if high // step - low // step < _MOST_BARS), _STEPS[-1])
        count = max(_LEAST_BARS, min(high // step - low // step + 1, 4 * _MOST_BARS))
        return cls((high // step - count + 1) * step, step, count)

    @property
    def label(self) -> str:
        """What one bar stands for."""
        for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
            if self.step % size == 0:
                return word if self.step == size else f"{self.step // size} {word}s"
        return f"{self.step} seconds"

    def begins(self, number: int) -> datetime:
        """When stretch *number* begins."""
        return datetime.fromtimestamp(self.start, timezone.utc) + timedelta(seconds=self.step * number)

    def fill(self, counted: dict[int, int]) -> tuple[int, ...]:
        """Counts by number of stretch as a full row; what lies outside goes to the nearer end."""
        row = [0] * self.count
        for place, count in counted.items():
            row[min(max(place, 0), self.count - 1)] += count
        return tuple(row)


def _seconds(moment: datetime) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())
