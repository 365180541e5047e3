"""Loads the spans of one run: the one place that decides which spans belong to it."""

from __future__ import annotations

import polars as pl

from driftline.analyzers.tree import SpanTree
from driftline.web.queries import Reader


def load_run_spans(reader: Reader, run_id: str) -> pl.DataFrame:
    """The spans of *run_id* in order of start, with the columns of `run_spans.sql` and besides:

    `agent` (its own or the nearest ancestor's) and `touched` (memory references, '' = none). A span belongs to the run
    it names, else to its nearest ancestor's, else to the only run its trace was resolved to, else to itself.
    """
    traces = reader.frame("run_trace_ids", run=run_id)["trace_id"].to_list() or [run_id]
    spans = reader.frame("run_spans", traces=traces)
    if spans.is_empty():
        return spans.with_columns(agent="said_agent", touched=pl.lit(""), write_status=pl.lit(""))
    tree = SpanTree.of(spans)
    resolved = (
        reader.frame("trace_runs", traces=traces)
        .group_by("trace_id")
        .agg(by_trace=pl.when(pl.len() == 1).then(pl.col("run_id").first()).otherwise(pl.lit("")))
    )
    said = tree.inherited(spans["said_run"])
    spans = spans.with_columns(agent=tree.inherited(spans["said_agent"]), run=said).join(
        resolved, on="trace_id", how="left", maintain_order="left"
    )
    belongs = pl.coalesce(pl.col("run").replace("", None), pl.col("by_trace").replace("", None), pl.col("trace_id"))
    memory = reader.frame("run_memory", traces=traces)
    return (
        spans.filter(belongs == run_id)
        .drop("run", "by_trace")
        .join(memory, on=["trace_id", "span_id"], how="left", maintain_order="left")
        .with_columns(pl.col("touched", "write_status").fill_null(""))
    )
