"""What the recording of each run is known to lack: consulted before anything is concluded from an absence.

A positive witness (two writes, a read that came after one) survives lost spans. A negative one (nobody undid it, no
step met the promise) does not: it is proved only where the record is shown to be whole. The proof rests on the
logical clock: `driftline.seq` ticks by exactly 1 at every start and end, so a gap shows a lost span.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

LOST_SPANS = "spans were lost (gaps in driftline.seq)"
NO_CLOCK = "spans carry no driftline.seq, so lost ones would not show"
MISSING_PARENT = "spans name a parent that is not in the record"
OPEN_MESSAGE = "a message was sent and its receipt is not in the record"
DROPPED_ATTRIBUTES = "attributes were dropped at their source"
OPEN_SPANS = "spans have not ended"


@dataclass(frozen=True)
class Completeness:
    """By run, the reasons why its record is not whole. A run that is not in `reasons` is whole."""

    reasons: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, spans: pl.DataFrame, ticks: pl.DataFrame) -> Completeness:
        """Judge a record's *spans* (see `record.Record`) by all *ticks* (`instance`, `tick`) of its processes."""
        found = pl.concat(
            [
                _runs(_lost(spans, ticks), LOST_SPANS),
                _runs(_clockless(spans), NO_CLOCK),
                _runs(_orphans(spans), MISSING_PARENT),
                _runs(_open_messages(spans), OPEN_MESSAGE),
                _runs(spans.filter(pl.col("dropped_attributes") > 0), DROPPED_ATTRIBUTES),
                _runs(spans.filter(pl.col("pending")), OPEN_SPANS),
            ]
        )
        grouped = found.group_by("run").agg(pl.col("reason"))
        return cls({run: tuple(reasons) for run, reasons in grouped.iter_rows()})

    def whole(self, run: str, *, ignoring: tuple[str, ...] = ()) -> bool:
        """Whether nothing of *run* is known to be missing, apart from the reasons *ignoring*."""
        return not self.lacks(run, ignoring=ignoring)

    def lacks(self, run: str, *, ignoring: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Why the record of *run* is not whole."""
        return tuple(reason for reason in self.reasons.get(run, ()) if reason not in ignoring)


def _runs(spans: pl.DataFrame, reason: str) -> pl.DataFrame:
    return spans.select("run").unique().with_columns(reason=pl.lit(reason))


def _lost(spans: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Runs between whose first and last tick in some process a tick is missing."""
    timed = spans.filter((pl.col("proc") != "") & pl.col("seq").is_not_null())
    reach = timed.group_by("run", "proc").agg(
        low=pl.col("seq").min(), high=pl.max_horizontal(pl.col("seq").max(), pl.col("seq_end").max())
    )
    if reach.is_empty():
        return reach
    ordered = ticks.unique().sort("instance", "tick")
    codes = {name: code for code, name in enumerate(ordered["instance"].unique(maintain_order=True).to_list())}
    # One sorted axis for all processes: a process' ticks lie behind those of the one before it.
    step = int(max(ordered["tick"].max() or 0, reach["high"].max() or 0)) + 2  # type: ignore[arg-type]
    axis = (
        ordered["instance"].replace_strict(codes, return_dtype=pl.Int64).to_numpy() * step + ordered["tick"].to_numpy()
    )
    base = reach["proc"].replace_strict(codes, default=len(codes), return_dtype=pl.Int64).to_numpy() * step
    low = np.searchsorted(axis, base + reach["low"].to_numpy(), side="left")
    high = np.searchsorted(axis, base + reach["high"].to_numpy(), side="right")
    expected = (reach["high"] - reach["low"] + 1).to_numpy()
    unended = timed.filter(pl.col("seq_end").is_null() & ~pl.col("pending")).select("run", "proc").unique()
    gaps = reach.filter(pl.Series((high - low) < expected)).select("run", "proc")
    return pl.concat([gaps, unended]).unique()


def _clockless(spans: pl.DataFrame) -> pl.DataFrame:
    own = spans.filter((pl.col("dialect") == "driftline") & (pl.col("proc") == ""))
    timed = spans.filter(pl.col("proc") != "").select("run").unique()
    return pl.concat([own.select("run"), spans.select("run").join(timed, on="run", how="anti")]).unique()


def _orphans(spans: pl.DataFrame) -> pl.DataFrame:
    # What called a workflow run is no part of it, so a run's own root may name a parent we never see.
    return spans.filter((pl.col("parent_id") != "") & (pl.col("parent") < 0) & (pl.col("kind") != "run"))


def _open_messages(spans: pl.DataFrame) -> pl.DataFrame:
    sent = spans.filter((pl.col("kind") == "send") & ~pl.col("pending"))
    taken = spans.filter(pl.col("kind") == "process")
    linked = (
        taken.select("link_traces", "link_spans")
        .filter(pl.col("link_traces").list.len() > 0)
        .explode("link_traces", "link_spans")
        .unique()
    )
    by_id = taken.filter(pl.col("message_id") != "").select("destination", "message_id").unique()
    children = taken.filter(pl.col("parent") >= 0).select(row="parent").unique()
    return (
        sent.join(linked, left_on=["trace_id", "span_id"], right_on=["link_traces", "link_spans"], how="anti")
        .join(by_id, on=["destination", "message_id"], how="anti")
        .join(children, on="row", how="anti")
    )
