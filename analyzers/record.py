"""The normalised record of some runs: what every detector builds on, computed once.

`Record.spans` is one row a span in canonical terms, sorted by start; its row number is the span's number everywhere
(`SpanTree`, happens-before, calls). Added to the columns of `record_steps.sql`:

- `row`: that number; `parent`: the row of the parent span, -1 without one in the record
- `run`: the run the span belongs to (its own word, else its nearest ancestor's, else its trace's)
- `agent`, `agent_instance`: of the span or its nearest ancestor; an instance nobody named is run + agent name. A
  receipt that is a child of its sending takes neither over, nor the sender's unit of work
- `uow`: the unit of work: the nearest word on it, else the nearest enclosing agent turn, tool call or step
- `proc`: the process (`service.instance.id`), the scope of `seq`; '' where a span has no `seq`

`Record.memory` is one row an operation on one key, with the span's `row` and its `run`, `agent_instance`, `uow`,
`proc`, `seq`, `seq_end`, `start_ns`, `end_ns`, `host`, `clock`, `failed`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from driftline.analyzers.calls import executions
from driftline.analyzers.completeness import Completeness
from driftline.analyzers.scope import Scope, scoped
from driftline.analyzers.tree import Mask, SpanTree

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.collector.store import Store

_UOW_KINDS = ("agent", "tool", "step")


class Record:
    """Spans and memory operations of some runs, with the tree over them."""

    def __init__(
        self, spans: pl.DataFrame, memory: pl.DataFrame, trace_runs: pl.DataFrame, ticks: pl.DataFrame
    ) -> None:
        self.tree = SpanTree.of(spans)
        self.trace_runs = trace_runs
        self.spans = _resolve(spans, self.tree, trace_runs)
        self.memory = _join_memory(memory, self.spans)
        self.ticks = ticks
        self._store: Store | None = None
        self._executions: tuple[Config, pl.DataFrame] | None = None

    @classmethod
    def load(cls, store: Store, scope: Scope, trace_runs: pl.DataFrame, traces: list[str] | None = None) -> Record:
        """Read the runs in scope, or only those of *traces*, from the store."""
        package = __package__ or ""
        params = {**scope.params(), "wanted": traces or []}
        spans = store.frame(scoped(package, "sql/record_steps.sql"), params)
        memory = store.frame(scoped(package, "sql/record_memory.sql"), params)
        instances = spans.filter(pl.col("seq").is_not_null() & (pl.col("instance") != ""))["instance"].unique()
        ticks = store.frame(scoped(package, "sql/instance_ticks.sql"), {"instances": instances.to_list()})
        record = cls(spans, memory, trace_runs, ticks)
        record._store = store
        return record

    @cached_property
    def completeness(self) -> Completeness:
        """What of each run the recording is known to lack."""
        return Completeness.of(self.spans, self.ticks)

    def executions(self, config: Config) -> pl.DataFrame:
        """Every execution of a call with its effect (see `calls.executions`), computed once a record and config."""
        if self._executions is None or self._executions[0] is not config:
            self._executions = (config, executions(self, config))
        return self._executions[1]

    def payloads(self, rows: list[int]) -> pl.DataFrame:
        """Arguments and results of the spans *rows*: columns `row`, `arguments`, `result` (text, '' = not captured)."""
        wanted = self.spans[rows].select("row", "trace_id", "span_id", "tool")
        if self._store is None or wanted.is_empty():
            return wanted.select("row", arguments=pl.lit(""), result=pl.lit(""))
        found = self._store.frame(
            scoped(__package__ or "", "sql/payloads.sql"),
            {"traces": wanted["trace_id"].unique().to_list(), "spans": wanted["span_id"].unique().to_list()},
        )
        return wanted.join(found, on=["trace_id", "span_id"], how="left").select(
            "row", pl.col("arguments").fill_null(""), pl.col("result").fill_null("")
        )

    @property
    def runs(self) -> list[str]:
        """The ids of the runs in this record, sorted."""
        return sorted(self.spans["run"].unique().to_list())


def _resolve(spans: pl.DataFrame, tree: SpanTree, trace_runs: pl.DataFrame) -> pl.DataFrame:
    only_run = trace_runs.group_by("trace_id").agg(
        run_of_trace=pl.when(pl.len() == 1).then(pl.col("run_id").first()).otherwise(pl.lit(""))
    )
    by_trace = (
        spans.select("trace_id").join(only_run, on="trace_id", how="left", maintain_order="left")["run_of_trace"]
    ).fill_null("")
    received = _received(spans, tree)
    agent = tree.inherited(spans["said_agent"], until=received)
    spans = spans.with_row_index("row").with_columns(
        pl.col("row").cast(pl.Int64),
        parent=pl.Series(tree.parent),
        run=tree.inherited(spans["said_run"]),
        by_trace=by_trace,
        agent=agent,
        proc=pl.when(pl.col("seq").is_not_null()).then(pl.col("instance")).otherwise(pl.lit("")),
    )
    # A span whose ancestors name no run, in a trace that names several, cannot be placed: it stands for itself.
    spans = spans.with_columns(
        run=pl.when(pl.col("run") != "")
        .then("run")
        .when(pl.col("by_trace") != "")
        .then("by_trace")
        .otherwise("trace_id")
    )
    key = spans["trace_id"] + "/" + spans["span_id"]
    return spans.with_columns(
        agent_instance=_agent_instance(spans, tree, received), uow=_unit_of_work(spans, tree, key, received)
    ).drop("by_trace")


def _received(spans: pl.DataFrame, tree: SpanTree) -> Mask:
    """Receipts that are children of what they receive: their work is the receiver's, not that of the sender's turn."""
    kind = spans["kind"].to_numpy()
    parent = tree.parent
    return np.asarray(
        (kind == "process") & (parent >= 0) & (kind[np.where(parent < 0, 0, parent)] == "send"), dtype=bool
    )


def _agent_instance(spans: pl.DataFrame, tree: SpanTree, received: Mask) -> pl.Series:
    """The living agent: the nearest instance said at or below the nearest agent name, else run + agent name."""
    said = tree.nearest((spans["said_instance"] != "").to_numpy())
    named = tree.nearest((spans["said_agent"] != "").to_numpy() | received)
    depth = tree.depth()
    safe = np.where(said < 0, 0, said)
    # An instance said above the span that names another agent belongs to that other agent.
    holds = (said >= 0) & ((named < 0) | (depth[safe] >= depth[np.where(named < 0, 0, named)]))
    instance = spans["said_instance"].gather(safe) if spans.height else spans["said_instance"]
    default = pl.select(
        pl.when(spans["agent"] == "").then(pl.lit("")).otherwise(spans["run"] + "/" + spans["agent"])
    ).to_series()
    return pl.select(pl.when(pl.Series(holds)).then(instance).otherwise(default)).to_series()


def _unit_of_work(spans: pl.DataFrame, tree: SpanTree, key: pl.Series, received: Mask) -> pl.Series:
    kinds = spans["kind"].is_in(_UOW_KINDS).to_numpy() | received
    enclosing = tree.nearest(kinds)
    said = tree.nearest((spans["said_uow"] != "").to_numpy())
    depth = tree.depth()
    own = np.arange(spans.height)
    default = key.gather(np.where(enclosing < 0, own, enclosing)) if spans.height else key
    safe = np.where(said < 0, 0, said)
    # A unit said on an outer span ends where a nearer agent turn, call or step begins, unless that names one itself.
    holds = (said >= 0) & ((enclosing < 0) | (depth[safe] >= depth[np.where(enclosing < 0, 0, enclosing)]))
    named = (spans["run"] + "/" + spans["said_uow"].gather(safe)) if spans.height else key
    return pl.select(pl.when(pl.Series(holds)).then(named).otherwise(default)).to_series()


def _join_memory(memory: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    columns = ["trace_id", "span_id", "row", "run", "workflow", "agent", "agent_instance", "uow", "proc", "instance"]
    columns += ["host", "clock", "seq", "seq_end", "start_ns", "end_ns", "kind", "operation"]
    return memory.join(
        spans.select(*columns, failed=pl.col("status") == "error"), on=["trace_id", "span_id"], how="inner"
    ).sort("row", "position")
