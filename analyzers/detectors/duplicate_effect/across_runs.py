"""Repeats over runs: a re-run, a redelivered message, a second user turn. Two runs may act on different worlds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import (
    Execution,
    in_order,
    objects,
    perhaps_one_call,
    targets_differ,
)
from driftline.analyzers.detectors.duplicate_effect.repeated import doubts_of
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion
from driftline.analyzers.detectors.duplicate_effect.undone import Compensations, Undone

if TYPE_CHECKING:
    from driftline.analyzers.catalogue import Catalogue

# What may tie executions of two runs, best evidence first: name, columns that must be equal.
_WAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("key", ("tool", "effect_key")),
    ("target", ("tool", "args_digest")),
    ("conversation call", ("conversation", "tool", "call_id")),
    ("conversation", ("conversation", "tool", "args_digest")),
)
_OTHER_WORLDS = "two runs may act on different worlds"


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
        if execution.perhaps_applied and (execution.row not in undone.by or execution.row in undone.unseen):
            held = standing.get(execution.run)
            if held is None or _rank(execution, undone) < _rank(held, undone):
                standing[execution.run] = execution
    in_turn = in_order(standing.values())
    for second in in_turn[1:]:
        first = in_turn[0]
        if not _tied(way, first, second):
            continue
        pair = (first, second)
        complete = whole(first.run) and whole(second.run)
        proven = (
            way == "key"
            and complete
            and not targets_differ(first, second)
            and not perhaps_one_call(first, second)
            and all(e.proven and (e.row not in undone.doubtful or e.row in undone.unseen) for e in pair)
        )
        if not proven and any(e.row in undone.by for e in pair):
            continue
        yield Suspicion(
            anomaly="repeated_across_runs",
            grade="definite" if proven else "possible",
            run=second.run,
            live=pair,
            undone={row: by for row, by in undone.by.items() if row in {e.row for e in pair}},
            doubts=() if proven else doubts_of(pair, undone, whole=complete) if way == "key" else (_OTHER_WORLDS,),
            same_by="key" if way == "key" else "call" if way == "conversation call" else way,
            severity=undone.severity(pair) if proven else None,
        )


def _rank(execution: Execution, undone: Undone) -> tuple[bool, bool]:
    """Of one run's executions the one that speaks for it: one that stands, one that is proven, the first."""
    return (execution.row in undone.by, not execution.proven)


def _tied(way: str, first: Execution, second: Execution) -> bool:
    if not (first.applied or second.applied) or (way != "key" and targets_differ(first, second)):
        return False
    other_arguments = first.args_digest and second.args_digest not in ("", first.args_digest)
    return not (way == "conversation call" and other_arguments)
