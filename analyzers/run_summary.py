"""One row a run: what lists, rates and findings say of it. Aggregated by trace in ClickHouse, merged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.scope import Scope, scoped

if TYPE_CHECKING:
    from driftline.collector.store import Store


def summarise_runs(store: Store, scope: Scope, trace_runs: pl.DataFrame) -> pl.DataFrame:
    """The runs in scope, with the columns of table `runs` that do not come from findings."""
    package = __package__ or ""
    parts = store.frame(scoped(package, "sql/run_parts.sql"), scope.params())
    memory = store.frame(scoped(package, "sql/memory_counts.sql"), scope.params())
    by_trace = trace_runs.group_by("trace_id").agg(run_of_trace=pl.col("run_id").min())
    parts = parts.join(by_trace, on="trace_id", how="left").with_columns(
        run_id=pl.when(pl.col("said_run") != "")
        .then("said_run")
        .otherwise(pl.col("run_of_trace").fill_null(pl.col("trace_id")))
    )
    runs = (
        parts.sort("started_at", "trace_id")
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
            failed=(pl.col("root_status") == "error").any(),
            open=pl.col("open").sum(),
            clock=pl.col("clock").max(),
            started_at=pl.col("started_at").min(),
            ended_at=pl.col("ended_at").max(),
            traces=pl.col("trace_id").n_unique(),
            spans=pl.col("spans").sum(),
            agents=pl.col("agents").explode().drop_nulls().unique().sort(),
            tools=pl.col("tools").sum(),
            effects=pl.col("effects").sum(),
            retries=pl.col("retries").sum(),
            errors=pl.col("errors").sum(),
            tokens_input=pl.col("tokens_input").fill_null(0).sum(),
            tokens_output=pl.col("tokens_output").fill_null(0).sum(),
            last_span_at=pl.col("last_span_at").max(),
        )
    )
    ops = (
        parts.select("trace_id", "run_id")
        .unique(subset="trace_id", keep="first", maintain_order=True)
        .join(memory, on="trace_id")
        .group_by("run_id")
        .agg(memory_ops=pl.col("memory_ops").sum())
    )
    return (
        runs.join(ops, on="run_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("memory_ops").fill_null(0),
            workflow=pl.when(pl.col("workflow") == "").then("first_name").otherwise("workflow"),
            status=pl.when(pl.col("open") > 0)
            .then(pl.lit("open"))
            .when("failed")
            .then(pl.lit("error"))
            .otherwise(pl.lit("ok")),
        )
        .drop("first_name", "failed", "open")
    )


def _first_said(column: str) -> pl.Expr:
    return pl.col(column).filter(pl.col(column) != "").first().fill_null("")
