"""The time axis of a waterfall: linear while something happens, idle stretches squeezed and labelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Nanos = npt.NDArray[np.int64]
Percent = npt.NDArray[np.float64]

_GAP_WIDTH = 3.0  # percent of the axis one squeezed stretch takes
_LABEL_ROOM = 12.0  # percent between labels that do not touch
_MOST_GAPS = 8
_SHORTEST_GAP_NS = 250_000_000
_TICKS = (0.0, 25.0, 50.0, 75.0, 100.0)


@dataclass(frozen=True)
class Gap:
    """A squeezed stretch: where it is drawn (percent), how long nothing happened, whether there is room to say so."""

    x: float
    width: float
    length_ns: int
    labelled: bool = True


@dataclass(frozen=True)
class Tick:
    """A mark on the axis: where (percent) and the time since the start of the run."""

    x: float
    elapsed_ns: int


@dataclass(frozen=True)
class Timeline:
    """A monotone map from nanoseconds to 0…100 percent, given by its corner points."""

    times: Nanos
    places: Percent
    gaps: tuple[Gap, ...]

    @classmethod
    def over(cls, start: Nanos, end: Nanos, *, squeeze: bool = True) -> Timeline:
        """The axis over the intervals *start*…*end*. Only what runs inside nothing else should be given: a parent that
        merely waits for its children would hide that nothing happens.

        A stretch without any interval is squeezed when it is longer than 0.25 s and than a quarter of the busy time.
        """
        if not len(start):
            return cls(np.array([0, 1]), np.array([0.0, 100.0]), ())
        low, high = int(start.min()), int(max(end.max(), start.min() + 1))
        holes = _holes(start, end) if squeeze else np.empty((0, 2), dtype=np.int64)
        lengths = holes[:, 1] - holes[:, 0]
        chosen = np.argsort(-lengths, kind="stable")[:_MOST_GAPS]
        busy = (high - low) - int(lengths[chosen].sum())
        chosen = np.sort(chosen[(lengths[chosen] > _SHORTEST_GAP_NS) & (lengths[chosen] * 4 > busy)])
        holes = holes[chosen]
        return cls._squeezed(low, high, holes)

    @classmethod
    def _squeezed(cls, low: int, high: int, holes: Nanos) -> Timeline:
        squeezed = int((holes[:, 1] - holes[:, 0]).sum())
        scale = (100.0 - _GAP_WIDTH * len(holes)) / max(high - low - squeezed, 1)
        times, places = [low], [0.0]
        gaps: list[Gap] = []
        for begin, finish in holes.tolist():
            x = places[-1] + (begin - times[-1]) * scale
            times += [begin, finish]
            places += [x, x + _GAP_WIDTH]
            said = next((gap.x for gap in reversed(gaps) if gap.labelled), -_LABEL_ROOM)
            gaps.append(Gap(x, _GAP_WIDTH, finish - begin, labelled=x - said >= _LABEL_ROOM))
        return cls(np.array([*times, high]), np.array([*places, 100.0]), tuple(gaps))

    def at(self, moments: Nanos) -> Percent:
        """Where *moments* lie on the axis, in percent; what lies outside goes to the nearer end."""
        return np.interp(moments, self.times, self.places)

    def ticks(self) -> tuple[Tick, ...]:
        """Marks at even places, each with the time it stands for."""
        moments = np.interp(_TICKS, self.places, self.times - self.times[0])
        return tuple(Tick(x, int(moment)) for x, moment in zip(_TICKS, moments, strict=True))


def _holes(start: Nanos, end: Nanos) -> Nanos:
    """The stretches no interval covers, as rows of (begin, end)."""
    order = np.argsort(start, kind="stable")
    begins, reach = start[order], np.maximum.accumulate(end[order])
    open_after = begins[1:] > reach[:-1]
    return np.stack([reach[:-1][open_after], begins[1:][open_after]], axis=1).astype(np.int64)
