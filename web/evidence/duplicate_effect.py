"""Two executions of one effect, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftline.web.json_diff import DiffLine, diff

_FACTS = (
    ("tool", "tool"),
    ("agent", "agent"),
    ("service", "service"),
    ("attempt", "attempt"),
    ("call", "call_id"),
    ("outcome", "outcome"),
    ("started", "started_at"),
    ("acted on", "targets"),
    ("arguments digest", "args_digest"),
)


@dataclass(frozen=True)
class Fact:
    """One line of the comparison."""

    name: str
    left: str
    right: str
    same: bool


@dataclass(frozen=True)
class DuplicateView:
    """`left` and `right` are the two executions compared; `others` the rest."""

    left: Mapping[str, Any]
    right: Mapping[str, Any]
    facts: tuple[Fact, ...]
    arguments: tuple[DiffLine, ...]
    results: tuple[DiffLine, ...]
    captured: bool
    others: tuple[Mapping[str, Any], ...]
    chain: tuple[Mapping[str, Any], ...]
    repeated_by: str
    intent: Mapping[str, Any]


@dataclass(frozen=True)
class VersionView:
    """One version of a record and the writes that claim it."""

    template = "evidence/duplicate_version.html"

    record: str
    version: str
    writes: tuple[Mapping[str, Any], ...]


def view(
    body: Mapping[str, Any], _known: Mapping[tuple[str, str], Mapping[str, Any]]
) -> DuplicateView | VersionView | None:
    """The pair that stays live if there is one, else the first two; None with fewer than two executions or writes."""
    evidence = body["evidence"]
    writes = tuple(each for each in evidence.get("writes") or () if isinstance(each, Mapping))
    if len(writes) >= 2:
        return VersionView(str(evidence.get("record") or ""), str(evidence.get("version") or ""), writes)
    executions = [each for each in evidence.get("executions") or () if isinstance(each, Mapping)]
    if len(executions) < 2:
        return None
    live = [each for each in executions if each.get("stays_live")]
    left, right = (live if len(live) >= 2 else executions)[:2]
    facts = [Fact(name, _text(left.get(key)), _text(right.get(key)), _same(left.get(key), right.get(key)))
             for name, key in _FACTS]  # fmt: skip
    return DuplicateView(
        left=left,
        right=right,
        facts=tuple(sorted((f for f in facts if f.left or f.right), key=lambda fact: fact.same)),
        arguments=diff(left.get("arguments"), right.get("arguments")),
        results=diff(left.get("result"), right.get("result")),
        captured=left.get("arguments") is not None or right.get("arguments") is not None,
        others=tuple(each for each in executions if each is not left and each is not right),
        chain=tuple(evidence.get("chain") or ()),
        repeated_by=str(evidence.get("repeated_by") or ""),
        intent=evidence.get("intent") or {},
    )


def _same(left: Any, right: Any) -> bool:
    return bool(left == right)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
