"""Calls that changed nothing and were made again: worth knowing, never a verdict. Set operations throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import Execution, in_order, objects
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion
from driftline.analyzers.effects import WRITES

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

# Calls that are made again and again on purpose until something else happens.
_WAITING_NAME = (
    r"(?i)(^|_|\b|\.)(poll|wait|watch|status|progress|health|heartbeat|ping|await|tail|subscribe|is|has|next|page|"
    r"receive|dequeue|time|now|sleep)(_|[A-Z]|$|\b)"
)
_SAME = ("run", "agent_instance", "tool", "args_digest")


def redundant(calls: pl.DataFrame, record: Record, loop_min: int) -> list[Suspicion]:
    """`loop`: *loop_min* or more equal calls with equal results; `redundant_read`: a read made again, fewer times.

    Both only where nothing in the run changed between the calls, as far as the record tells.
    """
    changes = pl.concat(
        [
            calls.filter(pl.col("effect").is_in([*WRITES, "unknown"]) & (pl.col("outcome") != "refused"))
            .filter(~pl.col("failed"))
            .select("run", "row"),
            record.memory.filter(pl.col("op").is_in(["write", "delete"])).select("run", "row"),
        ]
    ).with_columns(change=pl.lit(value=True))
    steady = calls.filter(
        (pl.col("args_digest") != "")
        & (pl.col("effect").is_in(["read", "none"]) | (pl.col("outcome") == "failed"))
        & (pl.col("outcome") != "refused")
        & ~pl.col("replayed")
        & ~pl.col("tool").str.contains(_WAITING_NAME)
        & (pl.len().over(_SAME) > 1)
    ).filter(
        (pl.col("result_digest").n_unique().over(_SAME) == 1)
        & ((pl.col("result_digest") != "") | pl.col("failed"))
        & (pl.col("outcome").n_unique().over(_SAME) == 1)
    )
    if steady.is_empty():
        return []
    few = changes.join(steady.select("run").unique(), on="run", how="semi")
    epochs = (
        pl.concat([few, steady.select("run", "row", change=pl.lit(value=False))])
        .sort("run", "row")
        .with_columns(epoch=pl.col("change").cum_sum().over("run"))
        .filter(~pl.col("change"))
        .select("row", "epoch")
    )
    same = steady.join(epochs, on="row", maintain_order="left").with_columns(
        times=pl.col("call").n_unique().over(*_SAME, "epoch")
    )
    again = same.filter((pl.col("times") >= loop_min) | ((pl.col("times") > 1) & (pl.col("effect") == "read")))
    times = dict(again.select("row", "times").iter_rows())
    epoch_of = dict(again.select("row", "epoch").iter_rows())
    groups: dict[tuple[object, ...], list[Execution]] = {}
    for execution in objects(again):
        key = (*(getattr(execution, name) for name in _SAME), epoch_of[execution.row])
        groups.setdefault(key, []).append(execution)
    return [
        Suspicion(
            anomaly="loop" if times[members[0].row] >= loop_min else "redundant_read",
            grade="possible",
            run=members[0].run,
            live=tuple(in_order(members)),
            same_by="arguments",
            severity="info",
        )
        for members in groups.values()
        if times[members[0].row] >= loop_min or members[0].status != "error"
    ]
