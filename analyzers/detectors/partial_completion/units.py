"""What was done: one row for each execution of a call, step, agent turn, check, message sent or taken, and sub-run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from driftline.analyzers.detectors.partial_completion.reach import receipts

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

# Exceptions by which a framework steers: nothing failed.
_STEERING = r"(?i)interrupt|parentcommand|stopiteration|stopasynciteration|generatorexit|handoff"
_CANCELLED = r"(?i)cancel"
_EMPTY = pl.lit([], dtype=pl.List(pl.String))


def units_of(record: Record, config: Config) -> pl.DataFrame:
    """All units of a record, in order of start.

    Columns beside those of the span: `unit` (tool, step, agent, validate, send, process, run), `label` (its name),
    `names` (all names its layers give it), `key` (the logical unit: attempts share it), `state` (done, failed, refused,
    cancelled, skipped, rejected, open), `why` (the error, in a word), `effect`, `effect_source`, `effect_outcome`,
    `outcome_source`, `targets`, `compensates`, `call_id`, `args_digest`, `replayed`, `result_empty`, `sure`, and
    `uneven`: a layer inside of it failed although the unit itself did not.
    """
    spans = record.spans
    calls = record.executions(config)
    layers = calls.select("row", layer="rows").explode("layer")
    names = (
        layers.join(spans.select("tool", layer="row"), on="layer")
        .filter(pl.col("tool") != "")
        .group_by("row")
        .agg(names=pl.col("tool").unique().sort())
    )
    of_calls = calls.select(
        "row", "call_id", "effect", "effect_source", "targets", "compensates", "args_digest", "replayed",
        "result_empty", "result_digest", "outcome_source", "sure", "refused", effect_outcome="outcome", key="call",
        call_name="tool", layered="status",
    ).join(names, on="row", how="left")  # fmt: skip
    others = spans.filter(
        pl.col("kind").is_in(["run", "agent", "step", "validation", "send", "process"])
        & ~pl.col("row").is_in(layers["layer"].implode())
    ).select(
        "row", "call_id", "effect", "args_digest", "replayed", "result_empty",
        targets="effect_targets", compensates="effect_compensates", effect_outcome="effect_outcome",
        refused=pl.col("effect_outcome") == "refused",
    )  # fmt: skip
    facts = spans.select(
        "row", "parent", "parent_id", "trace_id", "span_id", "run", "kind", "name", "step_name", "said_agent",
        "workflow", "validation", "validation_verdict", "destination", "message_id", "status", "status_message",
        "error_type", "result_error", "pending", "outcome", "start_ns", "end_ns", "seq", "seq_end", "proc", "service",
        "host", "clock", "agent", "agent_instance", "tool",
    )  # fmt: skip
    units = pl.concat([of_calls, others], how="diagonal").join(facts, on="row", maintain_order="left").sort("row")
    return _keyed(_settled(_named(units)), record)


def _named(units: pl.DataFrame) -> pl.DataFrame:
    plain = pl.col("kind")
    unit = (
        pl.when(plain == "validation")
        .then(pl.lit("validate"))
        .when(plain.is_in(["step", "agent", "send", "process", "run"]))
        .then(plain)
        .otherwise(pl.lit("tool"))
    )
    step = pl.when(pl.col("step_name") != "").then("step_name").otherwise("name")
    call = pl.when(pl.col("tool") != "").then("tool").otherwise(pl.coalesce("call_name", "name"))
    label = (
        pl.when(plain == "validation")
        .then("validation")
        .when(plain == "step")
        .then(step)
        .when(plain == "agent")
        .then("said_agent")
        .when(plain.is_in(["send", "process"]))
        .then("destination")
        .when(plain == "run")
        .then("workflow")
        .otherwise(call)
    )
    return units.with_columns(unit=unit, label=pl.when(label == "").then("name").otherwise(label)).with_columns(
        names=pl.when((pl.col("unit") == "tool") & (pl.col("names").list.len() > 0))
        .then("names")
        .otherwise(pl.concat_list("label")),
        targets=pl.col("targets").fill_null(_EMPTY),
        **{
            column: pl.col(column).fill_null("")
            for column in ("effect_source", "outcome_source", "compensates", "effect_outcome", "effect", "call_id")
        },
        sure=pl.col("sure").fill_null(value=True),
    )


def _settled(units: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("error_type") + " " + pl.col("status_message")
    error = (pl.col("status") == "error") | pl.col("result_error")
    steered = (pl.col("status") == "error") & pl.col("error_type").str.contains(_STEERING)
    state = (
        pl.when("pending")
        .then(pl.lit("open"))
        .when("refused")
        .then(pl.lit("refused"))
        .when((pl.col("outcome") == "cancelled") | (error & text.str.contains(_CANCELLED)))
        .then(pl.lit("cancelled"))
        .when(steered)
        .then(pl.lit("done"))
        .when(error | (pl.col("outcome") == "failed") | (pl.col("validation_verdict") == "error"))
        .then(pl.lit("failed"))
        .when(pl.col("validation_verdict") == "skipped")
        .then(pl.lit("skipped"))
        .when(pl.col("validation_verdict") == "fail")
        .then(pl.lit("rejected"))
        .otherwise(pl.lit("done"))
    )
    first_line = pl.col("status_message").str.split("\n").list.first().fill_null("").str.slice(0, 120)
    return units.with_columns(
        state=state,
        why=pl.when(pl.col("error_type") != "").then("error_type").otherwise(first_line),
        steered=steered,
    ).with_columns(uneven=(pl.col("state") == "done") & ~pl.col("steered") & (pl.col("layered") == "error"))


def _keyed(units: pl.DataFrame, record: Record) -> pl.DataFrame:
    """The logical unit of each row: attempts, redeliveries and copies by a second instrumentation share it."""
    own = pl.col("trace_id") + "/" + pl.col("span_id")
    said = pl.col("run") + "/" + pl.col("call_id") + "/" + pl.col("label")
    message = pl.col("run") + "/" + pl.col("destination") + "/" + pl.col("message_id")
    taken = receipts(record.spans).group_by(row="taken").agg(sent=pl.col("send").min())
    units = units.join(taken, on="row", how="left", maintain_order="left").join(
        _turns(units, record), on="row", how="left", maintain_order="left"
    )
    return units.with_columns(
        key=pl.when(pl.col("key").is_not_null())
        .then("key")
        .when(pl.col("turn").is_not_null())
        .then("turn")
        .when((pl.col("unit") == "step") & (pl.col("call_id") != ""))
        .then(said)
        .when(pl.col("unit").is_in(["send", "process"]) & (pl.col("message_id") != ""))
        .then(pl.col("unit") + " " + message)
        .when(pl.col("sent").is_not_null())
        .then(pl.format("receipt {}", "sent"))
        .otherwise(own)
    ).drop("turn")


def _turns(units: pl.DataFrame, record: Record) -> pl.DataFrame:
    """Agent turns that are the inner copy of a turn by another instrumentation: the turn they are part of."""
    spans = record.spans
    agents = spans["kind"] == "agent"
    outer = pl.Series(record.tree.nearest(agents.to_numpy(), strict=True)).cast(pl.Int64)
    around = spans.select(outer="row", outer_name="said_agent", outer_scope="scope", trace="trace_id", span="span_id")
    return (
        spans.select("row", "said_agent", "scope", outer=outer)
        .filter(agents & (pl.col("outer") >= 0))
        .join(around, on="outer")
        .filter((pl.col("said_agent") == pl.col("outer_name")) & (pl.col("scope") != pl.col("outer_scope")))
        .select("row", turn=pl.col("trace") + "/" + pl.col("span"))
        .join(units.select("row"), on="row", how="semi")
    )


def seen_by_a_model(record: Record, units: pl.DataFrame) -> pl.Series:
    """Whether a model was called after each unit in the loop it was part of: what went wrong was put before it.

    The loop is the agent turn around the unit, or what lies directly beside it.
    """
    spans = record.spans
    turns = record.tree.nearest((spans["kind"] == "agent").to_numpy(), strict=True)
    loops = spans.select("row", "kind", "parent", "start_ns", turn=pl.Series(turns).cast(pl.Int64))
    models = loops.filter((pl.col("kind") == "llm") & (pl.col("parent") >= 0))
    by_turn = models.filter(pl.col("turn") >= 0).group_by("turn").agg(in_turn=pl.col("start_ns").max())
    beside = models.group_by("parent").agg(beside=pl.col("start_ns").max())
    rows = units["row"].to_numpy()
    place = units.select("row", "parent", "end_ns", turn=pl.Series(turns[rows] if len(rows) else np.empty(0, np.int64)))
    return (
        place.join(by_turn, on="turn", how="left", maintain_order="left")
        .join(beside, on="parent", how="left", maintain_order="left")
        .select(seen=(pl.max_horizontal("in_turn", "beside") >= pl.col("end_ns")).fill_null(value=False))
        .to_series()
    )
