"""What this detector could not decide, and how much it could."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import Execution, writes_of
from driftline.analyzers.finding import NotChecked

_STATES = {"missing": "not captured", "truncated": "truncated", "scrubbed": "scrubbed"}


def judged(calls: pl.DataFrame) -> int:
    """Executions whose effect is known and that can be compared with others."""
    comparable = (
        (pl.col("args_digest") != "")
        | (pl.col("call_id") != "")
        | (pl.col("effect_key") != "")
        | (pl.len().over("run", "tool") == 1)
    )
    return calls.filter((pl.col("effect") != "unknown") & comparable).height


def reasons(detector: str, calls: pl.DataFrame, undecided: Sequence[Sequence[Execution]]) -> tuple[NotChecked, ...]:
    """Repeats that nobody can tell from something else, by tool: one entry each, not one for each run."""
    found = [*_unknown_arguments(calls), *_unknown_effects(calls)]
    by_tool: dict[str, list[Sequence[Execution]]] = {}
    for group in undecided:
        by_tool.setdefault(group[0].tool, []).append(group)
    for tool, groups in sorted(by_tool.items()):
        runs = {group[0].run for group in groups}
        found.append((f"{tool}: {len(groups)} repeated calls of which no outcome is known", runs))
    return tuple(NotChecked(detector, reason, next(iter(runs)) if len(runs) == 1 else "") for reason, runs in found)


def _unknown_arguments(calls: pl.DataFrame) -> list[tuple[str, set[str]]]:
    unclear = writes_of(calls).filter(
        (pl.col("args_digest") == "")
        & pl.col("outcome").is_in(["applied", "unknown"])
        & (pl.col("effect_key") == "")
        & (pl.len().over("run", "tool") > 1)
        & (pl.col("call").n_unique().over("run", "tool") > 1)
    )
    grouped = unclear.group_by("tool", "args_state").agg(pl.len(), runs=pl.col("run").unique())
    return [
        (
            f"{tool}: arguments of {number} calls {_STATES.get(state, 'unknown')}: repeats among them cannot be told",
            set(runs),
        )
        for tool, state, number, runs in grouped.sort("tool", "args_state").iter_rows()
    ]


def _unknown_effects(calls: pl.DataFrame) -> list[tuple[str, set[str]]]:
    unclear = calls.filter(
        (pl.col("effect") == "unknown")
        & ~pl.col("replayed")
        & ~pl.col("failed")
        & (pl.col("args_digest") != "")
        & (pl.len().over("run", "tool", "args_digest") > 1)
    )
    grouped = unclear.group_by("tool").agg(pl.len(), runs=pl.col("run").unique())
    return [
        (f"{tool}: {number} repeated calls of a tool whose effect nobody declared (tool catalogue)", set(runs))
        for tool, number, runs in grouped.sort("tool").iter_rows()
    ]
