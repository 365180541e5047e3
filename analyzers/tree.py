"""The span tree of many traces at once, as arrays: parents, depths, nearest ancestors. No loop over spans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class SpanTree:
    """Spans numbered 0…n-1 by their row; `parent[i]` is the row of i's parent, -1 without one in the record."""

    def __init__(self, parent: Index) -> None:
        self.parent = parent
        self.size = len(parent)

    @classmethod
    def of(cls, spans: pl.DataFrame) -> SpanTree:
        """The tree over *spans* (`trace_id`, `span_id`, `parent_id`), whose row order gives the numbers."""
        rows = spans.select("trace_id", "span_id").with_row_index("row")
        found = spans.select("trace_id", "parent_id").join(
            rows, left_on=["trace_id", "parent_id"], right_on=["trace_id", "span_id"], how="left", maintain_order="left"
        )
        return cls(found["row"].cast(pl.Int64).fill_null(-1).to_numpy().copy())

    def nearest(self, wanted: Mask, *, strict: bool = False) -> Index:
        """For each span the row of the nearest ancestor (itself first, unless *strict*) where *wanted*; -1: none.

        Pointer doubling: the number of passes is the logarithm of the depth. A cycle of parents leads to -1.
        """
        nowhere = self.size
        jump = np.where(self.parent < 0, nowhere, self.parent)
        jump = np.append(np.where(wanted, np.arange(self.size), jump), nowhere)
        for _ in range(max(1, self.size.bit_length() + 1)):
            further = jump[jump]
            if np.array_equal(further, jump):
                break
            jump = further
        target = jump[:-1]
        if strict:
            target = np.append(target, nowhere)[np.where(self.parent < 0, nowhere, self.parent)]
        settled = np.append(wanted, False)[target]
        return np.where(settled, target, -1).astype(np.int64)

    def depth(self) -> Index:
        """Distance of each span from its root; spans on a cycle of parents get the number of passes made."""
        nowhere = self.size
        jump = np.append(np.where(self.parent < 0, nowhere, self.parent), nowhere)
        steps = np.append((self.parent >= 0).astype(np.int64), 0)
        for _ in range(max(1, self.size.bit_length() + 1)):
            if (jump == nowhere).all():
                break
            steps = steps + steps[jump]
            jump = jump[jump]
        return steps[:-1]

    def inherited(
        self, values: Sequence[str] | pl.Series, *, strict: bool = False, until: Mask | None = None
    ) -> pl.Series:
        """For each span the nearest non-empty value among it and its ancestors; '' where there is none.

        Nothing is inherited from above a span where *until*.
        """
        series = pl.Series(values, dtype=pl.String)
        wanted = (series != "").to_numpy()
        where = self.nearest(wanted if until is None else wanted | until, strict=strict)
        taken = series.gather(np.where(where < 0, 0, where)) if self.size else series
        return pl.select(pl.when(pl.Series(where) >= 0).then(taken).otherwise(pl.lit(""))).to_series()
