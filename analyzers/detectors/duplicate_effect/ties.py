"""What makes two executions the same intended effect, and how strongly the record says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import (
    Execution,
    in_order,
    objects,
    perhaps_one_call,
    targets_differ,
)
from driftline.analyzers.dialects.compile import digest_of

Strength = Literal["strong", "weak"]

# Arguments that say nothing: equal by accident, not by intent.
_NO_ARGUMENTS = frozenset(digest_of(text) for text in ("{}", "[]", "null", '""', '{"args":[],"kwargs":{}}'))

_BUCKETS: tuple[tuple[str, ...], ...] = (("tool", "call_id"), ("tool", "effect_key"), ("tool", "args_digest"))


def candidates(writes: pl.DataFrame) -> list[Execution]:
    """The executions that share a call, a key or arguments with another one of their run."""
    shared = [(pl.col(names[-1]) != "") & (pl.len().over("run", *names) > 1) for names in _BUCKETS]
    return objects(writes.filter(pl.any_horizontal(shared)))


def groups(executions: Sequence[Execution]) -> list[list[Execution]]:
    """*executions* of one run partitioned into same intended effects; only groups of two or more."""
    return _components(executions, [(a, b) for a, b, _ in _links(executions)])


def proven_groups(executions: Sequence[Execution]) -> list[list[Execution]]:
    """Likewise, counting strong ties between executions whose application is proven only."""
    proven = [execution for execution in executions if execution.proven]
    return _components(proven, [(a, b) for a, b, strength in _links(proven) if strength == "strong"])


def same_call(one: Execution, other: Execution) -> bool:
    """Whether both are attempts of one logical call, by its id."""
    return bool(one.call_id) and (one.run, one.tool, one.call_id) == (other.run, other.tool, other.call_id)


def _links(executions: Sequence[Execution]) -> list[tuple[Execution, Execution, Strength]]:
    """Ties between neighbours of each bucket: enough to connect all that belong together, and linear in number."""
    found: list[tuple[Execution, Execution, Strength]] = []
    for kind in ("call_id", "effect_key", "args_digest"):
        buckets: dict[tuple[str, str, str], list[Execution]] = defaultdict(list)
        for execution in executions:
            value = getattr(execution, kind)
            if value:
                buckets[execution.run, execution.tool, value].append(execution)
        for members in buckets.values():
            for one, other in _neighbours(members):
                strength = _STRENGTH[kind](one, other)
                if strength:
                    found.append((one, other, "weak" if perhaps_one_call(one, other) else strength))
    return found


def _neighbours(members: list[Execution]) -> Iterable[tuple[Execution, Execution]]:
    """Consecutive members, those with equal targets first so that a stranger between two equals parts nothing."""
    by_target: dict[tuple[str, ...], list[Execution]] = defaultdict(list)
    for execution in in_order(members):
        by_target[tuple(sorted(execution.targets))].append(execution)
    for same in by_target.values():
        yield from pairwise(same)
    unnamed = by_target.get((), [])
    if unnamed:
        for targets, same in by_target.items():
            if targets:
                yield unnamed[0], same[0]


def _by_call(one: Execution, other: Execution) -> Strength | None:
    if targets_differ(one, other):
        return None
    if not one.args_digest or not other.args_digest or one.args_digest == other.args_digest:
        return "strong"
    # One retry block may call the same tool for several things; only another attempt of the same thing is a repeat.
    return "weak" if one.targets and one.attempt != other.attempt else None


def _by_key(one: Execution, other: Execution) -> Strength | None:
    return "weak" if targets_differ(one, other) else "strong"


def _by_arguments(one: Execution, other: Execution) -> Strength | None:
    if targets_differ(one, other):
        return None
    if bool(one.targets) != bool(other.targets):
        return "weak"
    if not one.targets and one.args_digest in _NO_ARGUMENTS:
        return "weak"
    if one.turn != other.turn:
        return "weak"
    keys_differ = bool(one.effect_key and other.effect_key) and one.effect_key != other.effect_key
    return "weak" if keys_differ and not same_call(one, other) else "strong"


_STRENGTH = {"call_id": _by_call, "effect_key": _by_key, "args_digest": _by_arguments}


def _components(executions: Sequence[Execution], edges: Iterable[tuple[Execution, Execution]]) -> list[list[Execution]]:
    leader = {execution.row: execution.row for execution in executions}

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for one, other in edges:
        leader[find(one.row)] = find(other.row)
    members: dict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        members[find(execution.row)].append(execution)
    return [in_order(group) for group in members.values() if len(group) > 1]
