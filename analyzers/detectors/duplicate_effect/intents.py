"""One intent acted on twice with different arguments: an agent that forgot that it had acted already."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.detectors.duplicate_effect.executions import (
    Execution,
    Payloads,
    in_order,
    objects,
    perhaps_one_call,
)
from driftline.analyzers.detectors.duplicate_effect.suspicion import Suspicion
from driftline.analyzers.detectors.duplicate_effect.ties import groups
from driftline.analyzers.detectors.duplicate_effect.undone import Compensations, Undone
from driftline.analyzers.effects import parse_json
from driftline.analyzers.json_path import JsonPath

if TYPE_CHECKING:
    from driftline.analyzers.catalogue import Catalogue, Tool

# Calls that bring something about each time they are made, for which two on one target are worth a question.
_BRINGS_ABOUT = re.compile(
    r"(?i)(^|_|\b)(book|charge|pay|create|order|reserve|purchase|buy|issue|refund|transfer|submit|place|schedule|hire|"
    r"provision|ship|invoice|register|enrol|enroll|allocate)(_|[A-Z]|$|\b)"
)
# Changing one target again and again is everyday work.
_CHANGES = (
    r"(?i)(^|_|\b)(update|set|put|modify|change|edit|patch|write|save|append|add|log|delete|remove|cancel|close)"
    r"(_|[A-Z]|$|\b)"
)
# Two things wanted, not one thing twice: instalments, a second trip.
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Of what the two calls say beside the target, at least this share must be equal before they look like one intent:
# for calls that bring something about, and for others (two messages to one person share much, too).
_ALIKE, _NEARLY_EQUAL = 0.5, 0.75


def candidates(writes: pl.DataFrame, catalogue: Catalogue) -> list[Execution]:
    """Executions of tools whose intent is declared, and of tools that act on one target with different arguments."""
    declared = [name for name, tool in catalogue.tools.items() if tool.intent or tool.one_per]
    applied = writes.filter(pl.col("outcome") == "applied").with_columns(
        target_set=pl.col("targets").list.sort().list.join("\n")
    )
    by_catalogue = pl.col("tool").is_in(declared) & (pl.len().over("run", "tool") > 1)
    by_target = (
        ~pl.col("tool").is_in(declared)
        & pl.col("effect_source").is_in(["explicit", "catalogue"])
        & ~pl.col("tool").str.contains(_CHANGES)
        & (pl.col("target_set") != "")
        & (pl.col("args_digest") != "")
        & (pl.col("args_digest").n_unique().over("run", "tool", "target_set") > 1)
    )
    return objects(applied.filter(by_catalogue | by_target))


def judge(
    executions: Sequence[Execution],
    catalogue: Catalogue,
    compensations: Callable[[], Compensations],
    payloads: Payloads,
    whole: Callable[[str], bool],
) -> Iterator[Suspicion]:
    """Double intents: `definite` where the catalogue says what one intent is, else `possible`."""
    if not executions:
        return
    payloads.load(executions)
    undoing = compensations()
    for (run, tool_name), members in _by(executions, lambda e: (e.run, e.tool)).items():
        tool = catalogue.get(tool_name)
        if tool and (tool.intent or tool.one_per):
            yield from _declared(tool, members, undoing, payloads, whole=whole(run))
        else:
            yield from _undeclared(members, undoing, payloads)


def _declared(
    tool: Tool, members: list[Execution], compensations: Compensations, payloads: Payloads, *, whole: bool
) -> Iterator[Suspicion]:
    intents = {e.row: _intent(tool, e, payloads) for e in members}
    known = [e for e in members if intents[e.row] is not None]
    for group in _by(known, lambda e: json.dumps(intents[e.row], sort_keys=True)).values():
        undone = compensations.of(group)
        live = _representatives([e for e in group if e.row not in undone.by])
        proven = [e for e in live if e.proven and e.row not in undone.doubtful]
        if whole and len(proven) < 2 and undone.unseen:
            proven = [e for e in _representatives([e for e in group if not undone.clearly(e)]) if e.proven]
        definite = whole and any(not perhaps_one_call(one, other) for one, other in pairwise(proven))
        chosen = proven if definite else live
        if len(chosen) > 1:
            yield _suspicion(chosen, group, undone, intents[chosen[0].row] or {}, definite=definite)


def _undeclared(members: list[Execution], compensations: Compensations, payloads: Payloads) -> Iterator[Suspicion]:
    for group in _by(members, lambda e: tuple(sorted(e.targets))).values():
        undone = compensations.of(group)
        standing = _representatives([e for e in group if e.row not in undone.by])
        alike = [
            (one, other)
            for one, other in combinations(standing[:50], 2)
            if one.ended_before(other) and not _undo_different_calls(one, other) and _alike(one, other, payloads)
        ]
        rows = {e.row for pair in alike for e in pair}
        if rows:
            live = [e for e in standing if e.row in rows]
            yield _suspicion(live, group, undone, {"target": ", ".join(live[0].targets)}, definite=False)


def _representatives(executions: list[Execution]) -> list[Execution]:
    """One execution for each same effect: its plain repeats are findings of their own."""
    repeats: set[int] = set()
    for group in groups(executions):
        _first, *rest = sorted(group, key=lambda e: (not e.proven, e.order))
        repeats.update(e.row for e in rest)
    return [e for e in in_order(executions) if e.row not in repeats]


def _suspicion(
    live: list[Execution], group: list[Execution], undone: Undone, intent: Mapping[str, Any], *, definite: bool
) -> Suspicion:
    rows = {e.row for e in live}
    return Suspicion(
        anomaly="double_intent",
        grade="definite" if definite else "possible",
        run=live[0].run,
        live=tuple(live),
        same_by="declared intent" if "target" not in intent or definite else "target",
        aside=tuple(e for e in group if e.row in undone.by and e.row not in rows),
        undone={row: by for row, by in undone.by.items() if row in {e.row for e in group}},
        intent=intent,
        severity=undone.severity(live) if definite else None,
    )


def _intent(tool: Tool, execution: Execution, payloads: Payloads) -> dict[str, Any] | None:
    """What makes this call this intent, by the catalogue's word; None where the record does not hold it."""
    if tool.intent:
        return _values(tool.intent, execution, payloads)
    if tool.one_per == "run":
        return {"run": execution.run}
    if tool.one_per == "target":
        return {"targets": sorted(execution.targets)} if execution.targets else None
    return None if isinstance(tool.one_per, str) else _values(tool.one_per, execution, payloads)


def _values(paths: Iterable[JsonPath], execution: Execution, payloads: Payloads) -> dict[str, Any] | None:
    document = parse_json(payloads.arguments(execution))
    found = {path.text: path.find(document) for path in paths}
    return (
        {text: values[0] if len(values) == 1 else values for text, values in found.items()}
        if all(found.values())
        else None
    )


def _alike(one: Execution, other: Execution, payloads: Payloads) -> bool:
    """Whether the arguments, apart from the target, are mostly equal; unknown arguments are given the doubt."""
    documents = [parse_json(payloads.arguments(e)) for e in (one, other)]
    brings_about = bool(_BRINGS_ABOUT.search(one.tool))
    if not all(isinstance(document, dict) for document in documents):
        return brings_about and not any(payloads.arguments(e) for e in (one, other))
    named = {target.rpartition("/")[2] for target in one.targets}
    left, right = (
        {path: value for path, value in _leaves(document) if str(value) not in named} for document in documents
    )
    paths = left.keys() | right.keys()
    changed = [(left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]
    if any(_another_thing(old, new, changed) for old, new in changed):
        return False
    equal = len(paths) - len(changed)
    return not paths or equal / len(paths) >= (_ALIKE if brings_about else _NEARLY_EQUAL)


def _undo_different_calls(one: Execution, other: Execution) -> bool:
    """Whether each takes back a call of its own: two repairs, not one intent."""
    return bool(one.compensates and other.compensates) and one.compensates != other.compensates


def _another_thing(old: Any, new: Any, changed: Sequence[tuple[Any, Any]]) -> bool:
    """Whether what is asked for differs: another day, or two values that changed places (the way back)."""
    other_day = all(isinstance(value, str) and _DAY.fullmatch(value) for value in (old, new))
    return other_day or (None not in (old, new) and (new, old) in changed)


def _leaves(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}")
    elif isinstance(value, list):
        for place, element in enumerate(value):
            yield from _leaves(element, f"{path}[{place}]")
    else:
        yield path, value


def _by(executions: Iterable[Execution], key: Callable[[Execution], Any]) -> dict[Any, list[Execution]]:
    found: dict[Any, list[Execution]] = defaultdict(list)
    for execution in executions:
        found[key(execution)].append(execution)
    return found
