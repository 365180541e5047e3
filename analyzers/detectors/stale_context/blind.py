"""Writes that do not say what they were derived from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from driftline.analyzers.detectors.stale_context.touches import Touch
from driftline.analyzers.lineage import Lineage, Write
from driftline.analyzers.order import EFFECT, START, HappensBefore

# So many of them are looked at after one version.
_MOST = 16


class BlindWrites:
    """The blind writes of each key, by when they took effect at the earliest."""

    def __init__(self, order: HappensBefore) -> None:
        self._order = order
        self._of_key: dict[int, tuple[list[Write], npt.NDArray[np.int64]]] = {}

    def after(self, touch: Touch, lineage: Lineage, newer: dict[str, None]) -> tuple[list[Write], Write | None]:
        """The nearest blind writes that may have replaced what *touch* saw; and the write that made what it saw."""
        sources = lineage.producers(touch.version)
        if len(sources) != 1:
            return [], None
        writes, moments = self._blind(lineage)
        first = np.searchsorted(moments, self._order.moment[3 * sources[0].row + EFFECT], side="left")
        last = np.searchsorted(moments, self._order.moment[3 * touch.row + START], side="right")
        found = [
            write
            for write in writes[first : min(last, first + _MOST)]
            if write.version not in newer
            and write.version != touch.version
            and not lineage.precedes(write.version, touch.version)
        ]
        return found, sources[0]

    def _blind(self, lineage: Lineage) -> tuple[list[Write], npt.NDArray[np.int64]]:
        known = self._of_key.get(id(lineage))
        if known is None:
            writes = [w for w in lineage.writes if w.blind and w.committed and w.native and w.alone]
            moments = self._order.moment[[3 * write.row + EFFECT for write in writes]] if writes else np.empty(0)
            order = np.argsort(moments, kind="stable")
            known = ([writes[place] for place in order.tolist()], moments[order].astype(np.int64))
            self._of_key[id(lineage)] = known
        return known
