"""Repeats inside a run: the same intended effect applied more than once, or refused each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from driftline.analyzers.detectors.duplicate_effect.executions import Execution, perhaps_one_call
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion
from driftline.analyzers.detectors.duplicate_effect.ties import groups, proven_groups, same_call
from driftline.analyzers.detectors.duplicate_effect.undone import Compensations, Undone
from driftline.analyzers.finding import Severity


def judge_run(
    executions: Sequence[Execution], compensations: Compensations, *, whole: bool
) -> tuple[list[Suspicion], list[list[Execution]]]:
    """Suspicions among the repeated writes of one run, and the groups of which no outcome is known."""
    found: list[Suspicion] = []
    undecided: list[list[Execution]] = []
    for group in groups(executions):
        undone = compensations.of(group)
        live = [e for e in group if e.perhaps_applied and e.row not in undone.by]
        if all(e.outcome == "refused" for e in group):
            found.append(_suspicion("refused_repeat", group, group, undone, doubts=(), severity="info"))
        standing: list[Suspicion] = []
        for still in groups(live):
            if any(e.applied for e in still):
                standing.extend(_standing(still, group, undone, whole=whole))
            else:
                undecided.append(still)
        found.extend(_with_unseen(standing, group, undone) if whole and undone.unseen else standing)
    return found, undecided


def _standing(still: list[Execution], group: list[Execution], undone: Undone, *, whole: bool) -> list[Suspicion]:
    certain = [e for e in still if e.row not in undone.doubtful]
    proven = proven_groups(certain) if whole else []
    if proven:
        return [_suspicion("repeated_effect", members, group, undone) for members in proven]
    return [_suspicion(_name(still), still, group, undone, doubts=doubts_of(still, undone, whole=whole))]


def _with_unseen(standing: list[Suspicion], group: list[Execution], undone: Undone) -> list[Suspicion]:
    """Repeats that are proved, although what took them back, or may have, could have got lost without a trace."""
    found = list(standing)
    for members in proven_groups([e for e in group if not undone.clearly(e)]):
        rows = {e.row for e in members}
        touched = [suspicion for suspicion in found if rows & {e.row for e in suspicion.live}]
        if all(suspicion.grade != "definite" for suspicion in touched):
            found = [suspicion for suspicion in found if suspicion not in touched]
            severity = undone.severity(members)
            found.append(_suspicion("repeated_effect", members, group, undone, severity=severity))
    return found


def doubts_of(live: Sequence[Execution], undone: Undone, *, whole: bool) -> tuple[str, ...]:
    """Why a repeat among *live* is not proved."""
    said = {
        "the effect of the tool is known by its name only": any(e.effect_source == "name" for e in live),
        "the effect is judged by HTTP or database calls inside": any(e.effect_source == "child" for e in live),
        "an outcome is judged by the span's status alone": any(
            e.applied and e.outcome_source != "explicit" for e in live
        ),
        "an outcome is unknown": any(e.outcome == "unknown" for e in live),
        "the idempotency keys differ": len({e.effect_key for e in live if e.effect_key}) > 1,
        "a later call may have undone one of them": any(e.row in undone.doubtful for e in live),
        "a span's parent is missing, so it may be a part of another call": any(
            not e.sure and e.status != "open" for e in live
        ),
        "two instrumentations may have seen one call": any(perhaps_one_call(a, b) for a, b in pairwise(live)),
        "something around it was played back, and it may have been too": any(e.in_replay for e in live),
        "in between, the same tool did something else to the same target": len({e.turn for e in live}) > 1
        and same_by(live) == "arguments",
        "the record of the run is not whole, so a compensation may be missing": not whole,
    }
    return tuple(reason for reason, holds in said.items() if holds)


def _name(still: list[Execution]) -> str:
    """An attempt begun after success, of which nobody knows what it did, is not yet a repeated effect."""
    first, *later = still
    if (
        first.applied
        and not any(e.applied for e in later)
        and all(same_call(first, e) and first.ended_before(e) for e in later)
    ):
        return "retry_after_success"
    return "repeated_effect"


def _suspicion(
    anomaly: str,
    live: list[Execution],
    group: list[Execution],
    undone: Undone,
    *,
    doubts: tuple[str, ...] | None = None,
    severity: Severity | None = None,
) -> Suspicion:
    rows = {e.row for e in live}
    return Suspicion(
        anomaly=anomaly,
        grade="definite" if doubts is None else "possible",
        run=live[0].run,
        live=tuple(live),
        same_by=same_by(live),
        aside=tuple(e for e in group if e.row not in rows),
        undone={row: by for row, by in undone.by.items() if row in {e.row for e in group}},
        doubts=doubts or (),
        severity=severity,
    )


def same_by(executions: Sequence[Execution]) -> str:
    """What ties *executions* together: the strongest evidence that all of them share."""
    ways: tuple[tuple[str, Callable[[Execution], str]], ...] = (
        ("call", lambda e: e.call_id and f"{e.run}/{e.call_id}"),
        ("key", lambda e: e.effect_key),
        ("arguments", lambda e: e.args_digest),
    )
    for name, value in ways:
        values = {value(e) for e in executions}
        if len(values) == 1 and values != {""}:
            return name
    return "several"


def without_nested(suspicions: list[Suspicion], enclosing: Callable[[Execution], set[int]]) -> list[Suspicion]:
    """One cause, one finding: a repeat inside each of two repeated calls is said once, by the better proved.

    *enclosing* gives the rows of all calls around an execution.
    """
    ranked = sorted(suspicions, key=lambda s: (s.grade != "definite", s.live[0].order))
    kept: list[Suspicion] = []
    for suspicion in ranked:
        if not any(_implied(suspicion, other, enclosing) or _implied(other, suspicion, enclosing) for other in kept):
            kept.append(suspicion)
    return kept


def _implied(inner: Suspicion, outer: Suspicion, enclosing: Callable[[Execution], set[int]]) -> bool:
    if inner.run != outer.run or inner.live[0].tool == outer.live[0].tool:
        return False
    rows = {e.row for e in outer.live}
    holders = [enclosing(e) & rows for e in inner.live]
    return all(holders) and len({row for holder in holders for row in holder}) == len(inner.live)
