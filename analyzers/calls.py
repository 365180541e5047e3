"""What a call is: the spans that one execution leaves, put together again.

One logical call may be seen by two to four instrumentations at once: the framework, the provider's tool runner, an MCP
client, an MCP server, nested in each other or side by side. Those are one execution. A retried call is several
executions that share a logical call. Ids alone pair nothing: models reuse `tool_call_id`s, and retries get new ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from driftline.analyzers.effects import WRITES, with_effects

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

_LAYER_COLUMNS = (
    "tool_call_id", "call_id", "args_digest", "result_digest", "effect_key", "effect_compensates", "attempt_reason",
    "error_type", "status_message", "agent", "agent_instance", "code_file",
)  # fmt: skip


def executions(record: Record, config: Config) -> pl.DataFrame:
    """Every execution of a tool (or of a step with an effect or a call id), one row each, in order of start.

    Columns: `row` (the outermost span), `rows` (all its layers), `run`, `trace_id`, `span_id`, `tool`, `call` (the
    logical call, unique over runs), `call_id`, `tool_call_id`, `attempt`, `attempt_max`, `attempt_reason`, `agent`,
    `agent_instance`, `uow`, `service`, `proc`, `seq`, `seq_end`, `start_ns`, `end_ns`, `clock`, `status` (ok, error,
    open), `effect` (none, read, write, destructive, unknown), `effect_source` (explicit, catalogue, child, name, ''),
    `idempotent`, `effect_key`, `targets`, `created`, `outcome` (applied, refused, failed, unknown), `outcome_source`
    (explicit, catalogue, status), `refused`, `failed`, `args_digest`, `args_state`, `result_digest`, `result_empty`,
    `replayed`, `compensates`, `used`, `conversation_id`, `code_file`, `code_line`, `sure` (nothing hints that this is a
    fragment of another call).
    """
    spans = record.spans
    base = spans.filter(
        (pl.col("kind") == "tool")
        | ((pl.col("kind") == "step") & ((pl.col("effect") != "") | (pl.col("call_id") != "")))
        | pl.col("effect").is_in(WRITES)
    ).with_columns(
        tool=pl.when(pl.col("tool") != "")
        .then("tool")
        .when(pl.col("step_name") != "")
        .then("step_name")
        .otherwise("name")
    )
    if base.is_empty():
        return with_effects(
            _aggregate(base.with_columns(group=pl.lit(0, dtype=pl.Int64), depth=pl.lit(0)), record),
            record,
            config.catalogue,
        )
    mask = np.zeros(spans.height, dtype=bool)
    mask[base["row"].to_numpy()] = True
    base = base.with_columns(
        outer=pl.Series(record.tree.nearest(mask, strict=True)[base["row"].to_numpy()]),
        depth=pl.Series(record.tree.depth()[base["row"].to_numpy()]),
    )
    copies = _side_by_side(base)
    nested, wrappers = _nested(base, copies)
    base = base.with_columns(group=_groups(base, pl.concat([copies, nested])))
    base = _inherit_from_wrappers(base, wrappers).filter(~pl.col("row").is_in(wrappers["outer"].implode()))
    return with_effects(_aggregate(base, record), record, config.catalogue)


def _same_arguments(left: str, right: str) -> pl.Expr:
    unknown = (pl.col(left) == "") | (pl.col(right) == "")
    return unknown | (pl.col(left) == pl.col(right))


_BESIDE = ("trace_id", "parent_id", "tool")


def _side_by_side(base: pl.DataFrame) -> pl.DataFrame:
    """Copies of one call by two instrumentations: same parent and tool, other scope, at the same time, same call.

    The model's call id pairs them first; what is left is paired by its arguments.
    """
    several = base.filter(pl.col("scope").n_unique().over(_BESIDE) > 1)
    by_id = _copies(several, "tool_call_id")
    paired = pl.concat([by_id["inner"], by_id["outer"]])
    by_arguments = _copies(several.filter(~pl.col("row").is_in(paired.implode())), "args_digest")
    return pl.concat([by_id, by_arguments])


def _copies(base: pl.DataFrame, same: str) -> pl.DataFrame:
    """Calls with one value in column *same*, the n-th of one scope paired with the n-th of another.

    Only among those whose times hang together: calls made one after the other, or side by side, stay apart.
    """
    key = [*_BESIDE, same]
    known = base.filter((pl.col(same) != "") & (pl.col("scope").n_unique().over(*_BESIDE, same) > 1))
    ordered = known.sort(*key, "start_ns", "row").with_columns(
        gap=(pl.col("start_ns") > pl.col("end_ns").cum_max().shift(1).over(key)).fill_null(value=False)
    )
    numbered = ordered.with_columns(cluster=pl.col("gap").cum_sum().over(key)).with_columns(
        place=pl.int_range(pl.len()).over(*key, "cluster", "scope")
    )
    columns = ["row", "scope", "args_digest", "call_id", "start_ns", "end_ns"]
    seats = [*key, "cluster", "place"]
    firsts = numbered.group_by(seats, maintain_order=True).agg(pl.col(columns).first().name.suffix("_2"))
    other_attempt = (pl.col("call_id") != "") & (pl.col("call_id_2") != "")
    return (
        numbered.join(firsts, on=seats)
        .filter(
            (pl.col("row") != pl.col("row_2"))
            & ~other_attempt
            & _same_arguments("args_digest", "args_digest_2")
            & (pl.col("start_ns") <= pl.col("end_ns_2"))
            & (pl.col("start_ns_2") <= pl.col("end_ns"))
        )
        .select(inner="row", outer="row_2")
    )


def _nested(base: pl.DataFrame, copies: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Layers of one call inside each other; and wrappers, which hold several attempts of a call, with those.

    Several calls inside one are its attempts only if their arguments, ids or numbers say so; a tool may call itself.
    """
    outer = base.select(
        outer="row", outer_tool="tool", outer_args="args_digest", outer_run="run", outer_call="call_id",
        outer_tcid="tool_call_id", outer_attempt="attempt",
    )  # fmt: skip
    inner = base.filter(pl.col("outer") >= 0).join(outer, on="outer", how="inner")
    same_id = (pl.col("tool_call_id") != "") & (pl.col("tool_call_id") == pl.col("outer_tcid"))
    layers = inner.filter(
        (pl.col("run") == pl.col("outer_run"))
        & ((pl.col("tool") == pl.col("outer_tool")) | same_id)
        & _same_arguments("args_digest", "outer_args")
    ).with_columns(
        attempts=same_id
        | ((pl.col("args_digest") != "") & (pl.col("args_digest") == pl.col("outer_args")))
        | pl.col("attempt").is_not_null()
    )
    firsts = layers.filter(~pl.col("row").is_in(copies["inner"].implode()))
    several = firsts.group_by("outer").len().filter(pl.col("len") > 1).select("outer")
    return (
        layers.join(several, on="outer", how="anti").select(inner="row", outer="outer"),
        layers.join(several, on="outer", how="semi").filter("attempts").select(inner="row", outer="outer"),
    )


def _groups(base: pl.DataFrame, edges: pl.DataFrame) -> pl.Series:
    """The number of the execution each span of *base* belongs to."""
    rows = base["row"].to_numpy()
    ends = [np.searchsorted(rows, edges[side].to_numpy()) for side in ("inner", "outer")]
    graph = coo_array((np.ones(edges.height, dtype=np.int8), (ends[0], ends[1])), (base.height, base.height))
    return pl.Series(connected_components(graph, directed=False)[1]).cast(pl.Int64)


def _inherit_from_wrappers(base: pl.DataFrame, wrappers: pl.DataFrame) -> pl.DataFrame:
    """Attempts take from the call that wraps them what only that one says; its outcome is the last attempt's."""
    said = base.select(
        outer="row", w_effect="effect", w_idem="effect_idempotent", w_key="effect_key", w_targets="effect_targets",
        w_call=pl.when(pl.col("call_id") != "").then("call_id").otherwise(pl.col("trace_id") + "/" + pl.col("span_id")),
        w_args="args_digest",
    )  # fmt: skip
    above = wrappers.join(said, on="outer").rename({"inner": "row"}).drop("outer").unique("row")
    joined = base.join(above, on="row", how="left", maintain_order="left")
    return joined.with_columns(
        effect=pl.when(pl.col("effect") != "").then("effect").otherwise(pl.col("w_effect").fill_null("")),
        effect_idempotent=pl.coalesce("effect_idempotent", "w_idem"),
        effect_key=pl.when(pl.col("effect_key") != "").then("effect_key").otherwise(pl.col("w_key").fill_null("")),
        effect_targets=pl.when(pl.col("effect_targets").list.len() > 0)
        .then("effect_targets")
        .otherwise(pl.col("w_targets").fill_null(pl.col("effect_targets"))),
        call_id=pl.when(pl.col("call_id") != "").then("call_id").otherwise(pl.col("w_call").fill_null("")),
        args_digest=pl.when(pl.col("args_digest") != "").then("args_digest").otherwise(pl.col("w_args").fill_null("")),
    ).drop("w_effect", "w_idem", "w_key", "w_targets", "w_call", "w_args")


def _said(column: str) -> pl.Expr:
    """The word of the outermost layer that has one."""
    return pl.col(column).filter(pl.col(column) != "").first().fill_null("")


def _aggregate(base: pl.DataFrame, record: Record) -> pl.DataFrame:
    orphan = (pl.col("parent_id") != "") & (pl.col("parent") < 0)
    merged = (
        base.sort("depth", "row")
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("row").first(),
            rows=pl.col("row"),
            said_outcome=pl.when(pl.col("effect_outcome").filter(pl.col("effect_outcome") != "").n_unique() > 1)
            .then(pl.lit("unknown"))
            .otherwise(_said("effect_outcome")),
            effect=_said("effect"),
            idempotent=pl.col("effect_idempotent").drop_nulls().first(),
            targets=pl.col("effect_targets").filter(pl.col("effect_targets").list.len() > 0).first(),
            used=pl.col("used").filter(pl.col("used").list.len() > 0).first(),
            attempt=pl.col("attempt").drop_nulls().first(),
            attempt_max=pl.col("attempt_max").drop_nulls().first(),
            replayed=pl.col("replayed").any(),
            result_empty=pl.col("result_empty").drop_nulls().first(),
            args_state=pl.when((pl.col("args_state") == "known").any())
            .then(pl.lit("known"))
            .otherwise(pl.col("args_state").first()),
            status=pl.when(pl.col("pending").first())
            .then(pl.lit("open"))
            .when((pl.col("status") == "error").any() | pl.col("result_error").any())
            .then(pl.lit("error"))
            .otherwise(pl.lit("ok")),
            # One layer's clock, whole: ticks of two layers would make an order that no process saw.
            seq=pl.col("seq").filter(pl.col("proc") != "").first(),
            seq_end=pl.col("seq_end").filter(pl.col("proc") != "").first(),
            proc=_said("proc"),
            code_line=pl.col("code_line").drop_nulls().first(),
            sure=~(orphan | pl.col("pending")).any(),
            **{column: _said(column) for column in _LAYER_COLUMNS},
        )
    )
    rep = record.spans.select(
        "row", "run", "trace_id", "span_id", "uow", "service", "start_ns", "end_ns", "clock", "conversation_id"
    )
    names = base.select("row", "tool")
    empty = pl.lit([], dtype=pl.List(pl.String))
    return (
        merged.drop("group")
        .join(rep, on="row", maintain_order="left")
        .join(names, on="row", maintain_order="left")
        .rename({"effect_compensates": "compensates"})
        .with_columns(
            pl.col("targets").fill_null(empty),
            pl.col("used").fill_null(empty),
            call=pl.when(pl.col("call_id") != "")
            .then(pl.col("run") + "/" + pl.col("call_id") + "/" + pl.col("tool"))
            .otherwise(pl.col("trace_id") + "/" + pl.col("span_id")),
        )
        .sort("row")
    )
