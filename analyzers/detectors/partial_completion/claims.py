"""Who says what of a run: whether it is over, whether it says done, and who admitted that something is missing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_ADMITTED = ("partial", "failed", "cancelled")

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Claims:
    """By row of a span.

    `home`: the span that speaks for its run: the nearest run span around it, else the run's last one, else the root
    that began first; -1: none is in the record. `over`: the run has ended. `admitted`: the span, something around it
    or its run says `partial`, `failed` or `cancelled`, or ended in an error. `admitted_above`: the same without the
    span itself. `claimant`: the nearest span around it, or its home, that says `complete`; -1: none.
    """

    def __init__(self, record: Record) -> None:
        self._spans = record.spans
        self._tree = record.tree
        spans = record.spans
        # A server's answer of 400 and more is an error to its caller, although the status of its span is unset.
        answered = (pl.col("kind") == "other") & (pl.col("http_status") >= 400)
        failed = ((pl.col("status") == "error") | answered.fill_null(value=False)) & (pl.col("outcome") != "complete")
        self.own: Mask = _mask(spans, ~pl.col("pending") & (pl.col("outcome").is_in(_ADMITTED) | failed))
        self.complete: Mask = _mask(spans, ~pl.col("pending") & (pl.col("outcome") == "complete"))
        self._ended: Mask = _mask(spans, ~pl.col("pending"))
        run_home = self._run_homes()
        nearest = self._tree.nearest(_mask(spans, pl.col("kind") == "run"))
        self.home: Rows = np.where(nearest >= 0, nearest, run_home).astype(np.int64)
        self.over: Mask = self._at(run_home, self._ended)
        rows = np.arange(spans.height)
        by_home = self._at(self.home, self.own) | self._parent_run_admits()
        self.admitted: Mask = (self._tree.nearest(self.own) >= 0) | by_home
        above = self._tree.nearest(self.own, strict=True) >= 0
        self.admitted_above: Mask = above | (by_home & (self.home != rows))

    @cached_property
    def claimant(self) -> Rows:
        """See the class."""
        around = self._tree.nearest(self.complete, strict=True)
        homes = np.where(self._at(self.home, self.complete), self.home, -1)
        return np.where(around >= 0, around, homes).astype(np.int64)

    def _run_homes(self) -> Rows:
        """For each span the last run span of its run, else the run's first root."""
        spans = self._spans
        roots = spans.filter((pl.col("parent_id") == "") & (pl.col("kind") != "process"))
        tops = pl.concat(
            [
                spans.filter(pl.col("kind") == "run").group_by("run").agg(home=pl.col("row").max(), rank=pl.lit(0)),
                roots.group_by("run").agg(home=pl.col("row").min(), rank=pl.lit(1)),
            ]
        )
        best = tops.sort("run", "rank").unique("run", keep="first")
        found = spans.select("run").join(best, on="run", how="left", maintain_order="left")["home"]
        return found.fill_null(-1).to_numpy()

    def _parent_run_admits(self) -> Mask:
        """Whether a run that started this span's run admits that something is missing."""
        spans = self._spans
        runs = spans.filter((pl.col("kind") == "run") & (pl.col("run_parent_id") != ""))
        parents = dict(runs.select("run", "run_parent_id").iter_rows())
        if not parents:
            return np.zeros(spans.height, dtype=bool)
        admits = spans.select("run", own=pl.Series(self._at(self._run_homes(), self.own))).unique("run")
        said = {run for run, own in admits.iter_rows() if own}
        found = {run for run in parents if any(above in said for above in lineage(run, parents)[1:])}
        return spans["run"].is_in(list(found)).to_numpy()

    def _at(self, rows: Rows, of: Mask) -> Mask:
        """*of* at *rows*; false where there is no row."""
        if not len(of):
            return np.zeros(0, dtype=bool)
        return (rows >= 0) & of[np.where(rows < 0, 0, rows)]


def lineage(run: str, parents: dict[str, str]) -> list[str]:
    """*run*, the run that started it, and so on; a cycle ends by itself."""
    found = [run]
    while (above := parents.get(found[-1], "")) and above not in found:
        found.append(above)
    return found


def _mask(spans: pl.DataFrame, condition: pl.Expr) -> Mask:
    return spans.select(found=condition.fill_null(value=False))["found"].to_numpy()
