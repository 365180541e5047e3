"""What is known to be missing of the record of a run, and of the runs that it started or handed work to."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.partial_completion.reach import came_from

if TYPE_CHECKING:
    from driftline.analyzers.record import Record


class Wholeness:
    """Consulted before anything is concluded from an absence."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._known: dict[str, tuple[str, ...]] = {}

    def lacks(self, run: str) -> tuple[str, ...]:
        """Why an absence in *run* proves nothing; empty where everything that could speak against it is there."""
        if run not in self._known:
            reasons = (reason for one in self.reached(run) for reason in self._record.completeness.lacks(one))
            self._known[run] = tuple(dict.fromkeys(reasons))
        return self._known[run]

    def reached(self, run: str) -> list[str]:
        """*run* and every run that work went to from there, nearest first."""
        found = [run]
        for one in found:
            found += [other for other in self._handed_to.get(one, ()) if other not in found]
        return found

    @cached_property
    def _handed_to(self) -> dict[str, list[str]]:
        spans = self._record.spans
        runs = spans.select("row", "run")
        crossing = (
            came_from(spans)
            .join(runs, on="row")
            .join(runs.rename({"row": "up", "run": "from"}), on="up")
            .select("from", "run")
        )
        started = spans.filter((pl.col("run_parent_id") != "") & (pl.col("kind") == "run")).select(
            "run", **{"from": pl.col("run_parent_id")}
        )
        pairs = pl.concat([crossing, started.select("from", "run")]).filter(pl.col("from") != pl.col("run")).unique()
        found: dict[str, list[str]] = defaultdict(list)
        for source, run in pairs.sort("from", "run").iter_rows():
            found[source].append(run)
        return found
