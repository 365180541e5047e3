"""One row a run: what lists, rates and findings say of it. Aggregated by trace in ClickHouse, merged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.finding import stable_name
from driftline.analyzers.runs import runs_of_spans
from driftline.analyzers.scope import Scope, scoped

if TYPE_CHECKING:
    from driftline.collector.store import Store


def summarise_runs(store: Store, scope: Scope, trace_runs: pl.DataFrame) -> pl.DataFrame:
    """The runs in scope, with the columns of table `runs` that do not come from findings.

    And `units`: how many spans are work of some kind (a run, an agent turn, a step, a call, a message, a check).
    """
    package = __package__ or ""
    by_trace = trace_runs.group_by("trace_id").agg(run_of_trace=pl.col("run_id").min())
    by_span = runs_of_spans(store, scope)
    parts = store.frame(scoped(package, "sql/run_parts.sql"), scope.params())
    parts = _placed(parts, by_trace, by_span).with_columns(
        run_id=pl.when(pl.col("said_run") != "").then("said_run").otherwise("run_id")
    )
    memory = _placed(store.frame(scoped(package, "sql/memory_counts.sql"), scope.params()), by_trace, by_span)
    runs = (
        parts.sort(pl.col("lone") != "", "started_at", "trace_id", "lone")
        .group_by("run_id", maintain_order=True)
        .agg(
            parent_id=pl.col("parent_id").max(),
            conversation_id=pl.col("conversation_id").max(),
            workflow=_first_said("workflow"),
            first_name=pl.col("first_name").first(),
            service=_first_said("service"),
            service_version=_first_said("service_version"),
            variant=_first_said("variant"),
            outcome=pl.col("outcome").filter(pl.col("outcome") != "").last().fill_null(""),
            failed=((pl.col("root_status") == "error") & (pl.col("lone") == pl.col("lone").min())).any(),
            open=pl.col("open").sum(),
            clock=pl.col("clock").max(),
            started_at=pl.col("started_at").min(),
            ended_at=pl.col("ended_at").max(),
            traces=pl.col("trace_id").n_unique(),
            spans=pl.col("spans").sum(),
            agents=pl.col("agents").explode().drop_nulls().unique().sort(),
            units=pl.col("units").sum(),
            tools=pl.col("tools").sum(),
            effects=pl.col("effects").sum(),
            retries=pl.col("retries").sum(),
            errors=pl.col("errors").sum(),
            tokens_input=pl.col("tokens_input").fill_null(0).sum(),
            tokens_output=pl.col("tokens_output").fill_null(0).sum(),
            last_span_at=pl.col("last_span_at").max(),
        )
    )
    ops = memory.group_by("run_id").agg(pl.col("memory_ops").sum())
    return (
        runs.join(ops, on="run_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("memory_ops").fill_null(0),
            # Nobody named the workflow: its first span's name does, without what may change from run to run.
            workflow=pl.when(pl.col("workflow") == "")
            .then(pl.col("first_name").map_elements(stable_name, return_dtype=pl.String))
            .otherwise("workflow"),
            status=pl.when(pl.col("open") > 0)
            .then(pl.lit("open"))
            .when("failed")
            .then(pl.lit("error"))
            .otherwise(pl.lit("ok")),
        )
        .drop("first_name", "failed", "open")
    )


def _placed(parts: pl.DataFrame, by_trace: pl.DataFrame, by_span: pl.DataFrame) -> pl.DataFrame:
    """*parts* with the run that each belongs to, unless its spans name another: their own, else their trace's."""
    lone = by_span.select("trace_id", lone="span_id", run_of_span="run_id")
    return (
        parts.join(lone, on=["trace_id", "lone"], how="left", maintain_order="left")
        .join(by_trace, on="trace_id", how="left", maintain_order="left")
        .with_columns(run_id=pl.coalesce("run_of_span", "run_of_trace", "trace_id"))
    )


def _first_said(column: str) -> pl.Expr:
    return pl.col(column).filter(pl.col(column) != "").first().fill_null("")
