"""Reading again until the newer version is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from driftline.analyzers.memory_history import MemoryHistory
    from driftline.analyzers.record import Record


class Polling:
    """Tells reads that were only repeated from reads that something was done with, by the ticks of one process."""

    def __init__(self, record: Record, history: MemoryHistory) -> None:
        self._spans = record.spans
        self._reads = history.reads["row"]
        self._doings: dict[tuple[str, str], np.ndarray] | None = None

    def went_on(self, row: int, rereads: list[int]) -> bool:
        """Whether the program did nothing between read *row* and the first of *rereads*, in one process."""
        at = self._spans
        proc, run, begins = at["proc"][row], at["run"][row], at["seq"][row]
        after = [at["seq"][other] for other in rereads if at["proc"][other] == proc and at["seq"][other] > begins]
        if not proc or not after:
            return False
        doings = self._by_process().get((proc, run), np.empty(0))
        between = np.searchsorted(doings, [begins, min(after)], side="right")
        return bool(between[0] == between[1])

    def _by_process(self) -> dict[tuple[str, str], np.ndarray]:
        """The ticks at which each process began something else than a read, by run."""
        if self._doings is None:
            ticks = (
                self._spans.filter((pl.col("proc") != "") & ~pl.col("row").is_in(self._reads.implode()))
                .sort("seq")
                .group_by("proc", "run", maintain_order=True)
                .agg("seq")
            )
            self._doings = {(proc, run): np.array(seq) for proc, run, seq in ticks.iter_rows()}
        return self._doings
