"""Which run a trace belongs to: a run is not a trace, and one run may span many.

A span's own run id always decides. A trace without one joins the run of the traces it links to or exchanges messages
with; failing that, linked traces form a run of their own, named after the one that began first (WIRE, "Identity of a
run"). A conversation groups runs and never merges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from driftline.analyzers.scope import Scope, scoped

if TYPE_CHECKING:
    from driftline.collector.store import Store


def resolve_runs(store: Store, scope: Scope) -> pl.DataFrame:
    """The runs of every trace in scope: columns `trace_id`, `run_id`; several rows where a trace names several."""
    package = __package__ or ""
    traces = store.frame(scoped(package, "sql/trace_runs.sql"), scope.params()).sort("began", "trace_id")
    links = store.frame(scoped(package, "sql/trace_links.sql"), scope.params())
    return join_traces(traces, links)


def join_traces(traces: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """*traces* (`trace_id`, `run_ids`, in order of beginning) joined over *links* (`trace_id`, `other`)."""
    named = traces.select("trace_id", pl.col("run_ids").alias("run_id")).explode("run_id").drop_nulls("run_id")
    nameless = traces.filter(pl.col("run_ids").list.len() == 0)
    if nameless.is_empty():
        return named
    both = pl.concat([links, links.select(pl.col("other").alias("trace_id"), pl.col("trace_id").alias("other"))])
    labels = nameless.select("trace_id").with_columns(run_id=pl.lit(None, dtype=pl.String))
    known = traces.filter(pl.col("run_ids").list.len() == 1).select("trace_id", run_id=pl.col("run_ids").list.first())
    while True:
        reached = (
            both.join(known, left_on="other", right_on="trace_id")
            .join(labels.filter(pl.col("run_id").is_null()).select("trace_id"), on="trace_id")
            .group_by("trace_id")
            .agg(found=pl.col("run_id").min())
        )
        if reached.is_empty():
            break
        labels = labels.join(reached, on="trace_id", how="left").select("trace_id", pl.coalesce("run_id", "found"))
        known = reached.rename({"found": "run_id"})
    rest = labels.filter(pl.col("run_id").is_null()).select("trace_id")
    labels = labels.drop_nulls("run_id")
    return pl.concat([named, labels, _own_runs(rest, both)])


def _own_runs(rest: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Runs of traces that reach no named run: one for each connected set, named after its first trace."""
    numbered = rest.with_row_index("n")
    edges = links.join(numbered, on="trace_id").join(numbered.rename({"trace_id": "other", "n": "m"}), on="other")
    size = numbered.height
    if not size:
        return rest.with_columns(run_id=pl.lit("", dtype=pl.String))
    graph = coo_array(
        (np.ones(edges.height, dtype=np.int8), (edges["n"].to_numpy(), edges["m"].to_numpy())), (size, size)
    )
    _, component = connected_components(graph, directed=False)
    return (
        numbered.with_columns(component=pl.Series(component))
        .with_columns(run_id=pl.col("trace_id").first().over("component"))
        .select("trace_id", "run_id")
    )
