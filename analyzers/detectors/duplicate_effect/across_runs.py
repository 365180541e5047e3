"""Repeats over runs: a re-run, a redelivered message, a second user turn. Two runs may act on different worlds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import Execution, in_order, objects, targets_differ
from driftline.analyzers.detectors.duplicate_effect.repeated import doubts_of
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion
from driftline.analyzers.detectors.duplicate_effect.undone import Compensations

if TYPE_CHECKING:
    from driftline.analyzers.catalogue import Catalogue

# What may tie executions of two runs, best evidence first: name, columns that must be equal.
_WAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("key", ("tool", "effect_key")),
    ("target", ("tool", "args_digest")),
    ("conversation call", ("conversation", "tool", "call_id")),
    ("conversation", ("conversation", "tool", "args_digest")),
)


def candidates(writes: pl.DataFrame, catalogue: Catalogue) -> dict[str, list[Execution]]:
    """By way of being tied, the executions that share it with one of another run."""
    lasting = [name for name, tool in catalogue.tools.items() if tool.lasting]
    found = {}
    for way, columns in _WAYS:
        shared = writes.filter(
            pl.all_horizontal(pl.col(name) != "" for name in columns) & (pl.col("run").n_unique().over(*columns) > 1)
        )
        if way == "target":
            shared = shared.filter(pl.col("tool").is_in(lasting) & (pl.col("targets").list.len() > 0))
        found[way] = objects(shared)
    return found


def judge(
    tied: dict[str, list[Execution]], compensations: Callable[[], Compensations], whole: Callable[[str], bool]
) -> Iterable[Suspicion]:
    """Suspicions over runs: each later run's execution against the first run's, said once whatever ties them."""
    if not any(tied.values()):
        return
    undoing = compensations()
    said: set[int] = set()
    for way, columns in _WAYS:
        buckets: dict[tuple[str, ...], list[Execution]] = defaultdict(list)
        for execution in tied[way]:
            buckets[tuple(getattr(execution, name) for name in columns)].append(execution)
        for members in buckets.values():
            for suspicion in _over_runs(way, members, undoing, whole):
                if suspicion.live[1].row not in said:
                    said.add(suspicion.live[1].row)
                    yield suspicion


def _over_runs(
    way: str, members: list[Execution], compensations: Compensations, whole: Callable[[str], bool]
) -> Iterable[Suspicion]:
    undone = compensations.of(members)
    standing: dict[str, Execution] = {}
    for execution in in_order(members):
        if execution.perhaps_applied and execution.row not in undone.by:
            held = standing.get(execution.run)
            if held is None or (execution.proven and not held.proven):
                standing[execution.run] = execution
    first, *later = in_order(standing.values()) or [None]
    if first is None:
        return
    for second in later:
        if not (first.applied or second.applied) or (way != "key" and targets_differ(first, second)):
            continue
        if way == "conversation call" and first.args_digest and second.args_digest not in ("", first.args_digest):
            continue
        proven = (
            way == "key"
            and first.proven
            and second.proven
            and not targets_differ(first, second)
            and not {first.row, second.row} & undone.doubtful
            and whole(first.run)
            and whole(second.run)
        )
        yield Suspicion(
            anomaly="repeated_across_runs",
            grade="definite" if proven else "possible",
            run=second.run,
            live=(first, second),
            doubts=()
            if proven
            else ("two runs may act on different worlds",)
            if way != "key"
            else doubts_of((first, second), undone, whole=whole(first.run) and whole(second.run)),
            same_by="key" if way == "key" else "call" if way == "conversation call" else way,
        )
