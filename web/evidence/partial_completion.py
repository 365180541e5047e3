"""What was promised against what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STATES = {
    "done": "done",
    "missing": "never happened",
    "failed": "failed",
    "open": "never ended",
    "refused": "refused",
}


@dataclass(frozen=True)
class CourseStep:
    """One expected step. `key` names its span as the run page does ('' = there is none)."""

    name: str
    kind: str
    state: str
    said: str
    key: str


@dataclass(frozen=True)
class PartialView:
    """The obligation (may be empty) and the expected course against the actual one."""

    obligation: Mapping[str, Any]
    declared_key: str
    course: tuple[CourseStep, ...]
    rest: Mapping[str, Any]


def view(body: Mapping[str, Any], _known: Mapping[tuple[str, str], Mapping[str, Any]]) -> PartialView | None:
    """None when the evidence holds neither an obligation nor a course."""
    evidence = body["evidence"]
    obligation = evidence.get("obligation") or {}
    course = tuple(_step(step) for step in evidence.get("course") or () if isinstance(step, Mapping))
    if not obligation and not course:
        return None
    rest = {key: value for key, value in evidence.items() if key not in ("obligation", "course") and value}
    return PartialView(obligation, _key(obligation.get("declared_by") or {}), course, rest)


def _step(step: Mapping[str, Any]) -> CourseStep:
    state = str(step.get("state") or "")
    return CourseStep(
        str(step.get("name") or ""), str(step.get("kind") or ""), state, _STATES.get(state, state), _key(step)
    )


def _key(span: Mapping[str, Any]) -> str:
    return f"{span['trace_id']}-{span['span_id']}" if span.get("trace_id") and span.get("span_id") else ""
