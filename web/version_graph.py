"""Who wrote which version of a key, what was seen and what was missed: laid out as lanes, drawn as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LEFT, _COLUMN, _LANE, _TOP, _RIGHT = 128, 132, 72, 34, 90
_BEFORE = "before the recording"


@dataclass(frozen=True)
class VersionMark:
    """A version, where it was written. `role` as in the evidence; `number` is its place in the order of versions."""

    version: str
    x: float
    y: float
    role: str
    agent: str
    span: str


@dataclass(frozen=True)
class Edge:
    """A line of the graph: `lineage` (derived from), `seen` (what the reader got), `missed` (what it should have)."""

    kind: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class ReaderMark:
    """The operation that acted on the wrong version."""

    x: float
    y: float
    what: str
    agent: str
    span: str


@dataclass(frozen=True)
class VersionGraph:
    """All of it, in pixels of a drawing of `width` by `height`."""

    width: float
    height: float
    lanes: tuple[tuple[str, float], ...]
    versions: tuple[VersionMark, ...]
    reader: ReaderMark | None
    edges: tuple[Edge, ...]
    left: float = _LEFT


def lay_out(versions: Sequence[Mapping[str, Any]], reader: Mapping[str, Any] | None) -> VersionGraph:
    """*versions* as in `evidence.versions` of a stale read, *reader* `{agent, what, trace_id, span_id}` if known."""
    ordered = by_lineage(versions)
    names: list[str] = []
    for each in ordered:
        agent = _writer(each).get("agent") or _BEFORE
        names += [agent] if agent not in names else []
    if reader and (reader.get("agent") or "") not in names:
        names.append(reader.get("agent") or "")
    lane = {name: _TOP + _LANE * place + _LANE / 2 for place, name in enumerate(names)}
    marks = tuple(
        VersionMark(
            version=str(each.get("version", "")),
            x=_LEFT + _COLUMN * place + _COLUMN / 2,
            y=lane[_writer(each).get("agent") or _BEFORE],
            role=str(each.get("role") or ""),
            agent=str(_writer(each).get("agent") or ""),
            span=_key(_writer(each)),
        )
        for place, each in enumerate(ordered)
    )
    at = {mark.version: mark for mark in marks}
    edges = [
        Edge(
            "lineage",
            at[parent].x,
            at[parent].y,
            at[str(each.get("version", ""))].x,
            at[str(each.get("version", ""))].y,
        )
        for each in ordered
        for parent in map(str, each.get("parents") or ())
        if parent in at
    ]
    width = _LEFT + _COLUMN * len(marks) + (_COLUMN if reader else 0) + _RIGHT - 40
    mark = None
    if reader:
        mark = ReaderMark(
            x=_LEFT + _COLUMN * len(marks) + _COLUMN / 2,
            y=lane[reader.get("agent") or ""],
            what=str(reader.get("what") or "read"),
            agent=str(reader.get("agent") or ""),
            span=_key(reader),
        )
        kinds = {"observed": "seen", "newer": "missed"}
        edges += [Edge(kinds[v.role], mark.x, mark.y, v.x, v.y) for v in marks if v.role in kinds]
    lanes = tuple((name, y) for name, y in lane.items())
    return VersionGraph(width, _TOP + _LANE * len(names) + 18, lanes, marks, mark, tuple(edges))


def by_lineage(versions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Ancestors before descendants; otherwise as given."""
    names = {str(each.get("version", "")) for each in versions}
    placed: set[str] = set()
    rest, out = list(versions), []
    while rest:
        ready = next(
            (each for each in rest if not {str(p) for p in each.get("parents") or ()} & names - placed), rest[0]
        )
        rest.remove(ready)
        placed.add(str(ready.get("version", "")))
        out.append(ready)
    return out


def _writer(version: Mapping[str, Any]) -> Mapping[str, Any]:
    writer = version.get("writer")
    return writer if isinstance(writer, Mapping) else {}


def _key(span: Mapping[str, Any]) -> str:
    return f"{span['trace_id']}-{span['span_id']}" if span.get("trace_id") and span.get("span_id") else ""
