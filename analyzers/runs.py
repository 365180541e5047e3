"""Which run a trace belongs to: a run is not a trace, and one run may span many.

A span's own run id always decides. A trace without one joins the run of the traces it links to or exchanges messages
with, the nearest where it reaches several; failing that, linked traces form a run of their own, named after the one
that began first (docs/wire.md, "Identity of a run"). A conversation groups runs and never merges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from driftline.analyzers.scope import Scope, scoped
from driftline.analyzers.tree import SpanTree

if TYPE_CHECKING:
    from driftline.collector.store import Store


def resolve_runs(store: Store, scope: Scope) -> pl.DataFrame:
    """The runs of every trace in scope: columns `trace_id`, `run_id`; several rows where a trace names several."""
    package = __package__ or ""
    traces = store.frame(scoped(package, "sql/trace_runs.sql"), scope.params()).sort("began", "trace_id")
    links = store.frame(scoped(package, "sql/trace_links.sql"), scope.params())
    return join_traces(traces, links)


def runs_of_spans(store: Store, scope: Scope) -> pl.DataFrame:
    """In traces that name several runs, the run of every span: columns `trace_id`, `span_id`, `run_id`, `named`.

    A span that names none belongs to its nearest ancestor's; without one it cannot be placed and stands for itself,
    under the id of its trace. `named`: it says so itself.
    """
    spans = store.frame(scoped(__package__ or "", "sql/shared_traces.sql"), scope.params())
    return spans.select(
        "trace_id", "span_id", run_id=SpanTree.of(spans).inherited(spans["run_id"]), named=pl.col("run_id") != ""
    ).with_columns(run_id=pl.when(pl.col("run_id") != "").then("run_id").otherwise("trace_id"))


def join_traces(traces: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """*traces* (`trace_id`, `run_ids`, in order of beginning) joined over *links* (`trace_id`, `other`)."""
    named = traces.select("trace_id", run_id="run_ids").explode("run_id").drop_nulls("run_id")
    nameless = traces.filter(pl.col("run_ids").list.len() == 0).select("trace_id").with_row_index("began")
    if nameless.is_empty():
        return named
    both = pl.concat([links, links.select(trace_id="other", other="trace_id")])
    sources = traces.filter(pl.col("run_ids").list.len() == 1).select("trace_id", run_id=pl.col("run_ids").list.first())
    joined = _components(nameless, both).join(_reached(nameless, both, sources), on="trace_id", how="left")
    runs_near = pl.col("run_id").explode().drop_nulls().n_unique().over("component")
    alone = joined.filter(runs_near == 0)
    clear = joined.filter(runs_near == 1).with_columns(run_id=pl.col("run_id").list.first())
    between = joined.filter(runs_near > 1)
    return pl.concat(
        [
            named,
            clear.with_columns(pl.col("run_id").drop_nulls().first().over("component")).select("trace_id", "run_id"),
            *_nearest(between.select("began", "trace_id"), both, sources),
            _own_runs(alone),
        ]
    )


def _reached(nameless: pl.DataFrame, links: pl.DataFrame, sources: pl.DataFrame) -> pl.DataFrame:
    """The runs that nameless traces link to directly, as lists."""
    return (
        links.join(sources, left_on="other", right_on="trace_id")
        .join(nameless.select("trace_id"), on="trace_id", how="semi")
        .group_by("trace_id")
        .agg(pl.col("run_id").unique().sort())
    )


def _nearest(nameless: pl.DataFrame, links: pl.DataFrame, sources: pl.DataFrame) -> list[pl.DataFrame]:
    """Between several runs a trace belongs to the nearest one; equally near to two, to none of them."""
    found = [sources.clear()]
    open_ones, known = nameless, sources
    while not open_ones.is_empty():
        reached = (
            links.join(known, left_on="other", right_on="trace_id")
            .join(open_ones.select("trace_id"), on="trace_id", how="semi")
            .group_by("trace_id")
            .agg(run_id=pl.when(pl.col("run_id").n_unique() == 1).then(pl.col("run_id").first()).otherwise(pl.lit("")))
        )
        if reached.is_empty():
            break
        found.append(reached)
        open_ones, known = open_ones.join(reached, on="trace_id", how="anti"), reached
    unclear = nameless.join(pl.concat(found).filter(pl.col("run_id") != ""), on="trace_id", how="anti")
    return [*(near.filter(pl.col("run_id") != "") for near in found), _own_runs(_components(unclear, links))]


def _components(traces: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """*traces* (`began`, `trace_id`) with the number of the connected set each belongs to."""
    numbered = traces.with_columns(n=pl.int_range(pl.len()))
    size = numbered.height
    edges = links.join(numbered.select("trace_id", "n"), on="trace_id").join(
        numbered.select(other="trace_id", m="n"), on="other"
    )
    graph = coo_array(
        (np.ones(edges.height, dtype=np.int8), (edges["n"].to_numpy(), edges["m"].to_numpy())), (size, size)
    )
    labels = connected_components(graph, directed=False)[1] if size else np.empty(0, dtype=np.int32)
    return numbered.select("began", "trace_id", component=pl.Series(labels, dtype=pl.Int32))


def _own_runs(traces: pl.DataFrame) -> pl.DataFrame:
    """Traces that reach no named run: one run for each connected set, named after its first trace."""
    return traces.sort("began").select("trace_id", run_id=pl.col("trace_id").first().over("component"))
