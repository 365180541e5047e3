"""Whether the loss of a span would show: what nobody can miss must not decide whether a finding is definite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import Execution

if TYPE_CHECKING:
    from driftline.analyzers.record import Record


class Losses:
    """What of a record would be missed.

    Inside the outermost span of a process a lost span leaves a gap in the logical clock. A lost receipt leaves a
    message without one. Another run, a process that was called by other means, or one of two that took the same
    message, can be lost without a trace.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._spans = record.spans.select("row", "trace_id", "span_id", "kind", "proc", "link_traces", "link_spans")

    def would_show(self, execution: Execution, beside: Iterable[Execution]) -> bool:
        """Whether the run of *beside* would be known to lack *execution* if nothing of it had arrived."""
        known = {self._outermost(e.row) for e in beside if e.run == execution.run and e.proc}
        if not execution.proc or not known:
            return False
        fresh, seen = [self._outermost(execution.row)], set[int]()
        while fresh:
            root = fresh.pop()
            if root in known:
                return True
            if root not in seen:
                seen.add(root)
                fresh.extend(self._outermost(row) for row in self._senders.get(root, ()))
        return False

    def _outermost(self, row: int) -> int:
        """The outermost span around *row* without leaving its process."""
        parents, process = self._record.tree.parent, self._spans["proc"][row]
        for _ in range(self._record.tree.size):
            above = int(parents[row])
            if above < 0 or self._spans["proc"][above] != process:
                break
            row = above
        return row

    @cached_property
    def _senders(self) -> dict[int, list[int]]:
        """By receipt the sends that would lack one without it. Of two receipts of a message either can go unmissed."""
        taken = (
            self._spans.filter((pl.col("kind") == "process") & (pl.col("link_spans").list.len() > 0))
            .explode("link_traces", "link_spans")
            .select("row", trace_id="link_traces", span_id="link_spans")
        )
        sent = self._spans.filter(pl.col("kind") == "send").select("trace_id", "span_id", send="row")
        pairs = taken.join(sent, on=["trace_id", "span_id"]).select("row", "send").unique()
        found: dict[int, list[int]] = defaultdict(list)
        for row, send in pairs.filter(pl.len().over("send") == 1).iter_rows():
            found[row].append(send)
        return found
