"""What the recording of each run is known to lack: consulted before anything is concluded from an absence.

A positive witness (two writes, a read that came after one) survives lost spans. A negative one (nobody undid it, no
step met the promise) does not: it is proved only where the record is shown to be whole. The proof rests on the
logical clock: `driftline.seq` ticks by exactly 1 at every start and end, so a gap shows a lost span.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    # Ticks and the two ends of each reach on one axis: what lies between the ends is counted by a running sum.
    axis = pl.concat(
        [
            ticks.unique().select(proc="instance", at="tick", place=pl.lit(1), run=pl.lit(None, dtype=pl.String)),
            reach.select("proc", at="low", place=pl.lit(0), run="run"),
            reach.select("proc", at="high", place=pl.lit(2), run="run"),
        ]
    ).sort("proc", "at", "place")
    counted = (
        axis.with_columns(passed=(pl.col("place") == 1).cum_sum().over("proc").cast(pl.Int64))
        .filter(pl.col("place") != 1)
        .group_by("run", "proc")
        .agg(found=pl.col("passed").max() - pl.col("passed").min(), between=pl.col("at").max() - pl.col("at").min())
    )
    gaps = counted.filter((pl.col("between") < 0) | (pl.col("found") <= pl.col("between"))).select("run", "proc")
    unended = timed.filter(pl.col("seq_end").is_null() & ~pl.col("pending")).select("run", "proc").unique()
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
