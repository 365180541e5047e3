"""Two JSON values side by side: aligned by path, what differs first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_MOST = 400
_DEEPEST = 12
_ABSENT = object()


@dataclass(frozen=True)
class DiffLine:
    """One path. `state`: changed, only_left, only_right, same."""

    path: str
    left: str
    right: str
    state: str


def diff(left: Any, right: Any) -> tuple[DiffLine, ...]:
    """The leaves of *left* and *right* by path; differing ones first, each part in the order of *left*, then *right*.

    Text that is a JSON object or array counts as its value. None stands for "not captured" and has no leaves.
    """
    one, other = dict(_leaves(_value(left))), dict(_leaves(_value(right)))
    paths = [*one, *(path for path in other if path not in one)]
    lines = [_line(path, one.get(path, _ABSENT), other.get(path, _ABSENT)) for path in paths]
    return tuple(sorted(lines, key=lambda line: line.state == "same")[:_MOST])


def _line(path: str, left: Any, right: Any) -> DiffLine:
    if left is _ABSENT:
        return DiffLine(path, "", _text(right), "only_right")
    if right is _ABSENT:
        return DiffLine(path, _text(left), "", "only_left")
    same = left == right and isinstance(left, bool) == isinstance(right, bool)
    return DiffLine(path, _text(left), _text(right), "same" if same else "changed")


def _leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{place}]", depth + 1)
    elif value is not None or path:
        yield path or "value", value


def _value(given: Any) -> Any:
    if isinstance(given, str) and given.lstrip().startswith(("{", "[")):
        try:
            return json.loads(given)
        except (ValueError, RecursionError):
            return given
    return given


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
