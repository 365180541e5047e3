"""One waterfall over all traces and services of a run: spans in, rows with their places out. Pure arithmetic.

A row is only made for what is sent. What is not sent is counted in its parent's row, and fetched by the parent's key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from driftline.web.forest import Forest, grow
from driftline.web.timeline import Timeline

MOST_ROWS = 2000
WINDOW = 500  # so many children of one parent are sent at a time
COLOURS = 12
_PREFIX = {"": "", "call": "call.", "same": "same."}
Nodes = npt.NDArray[np.int64]
_THINNEST = 0.15  # percent: what is shorter is still seen


@dataclass(frozen=True)
class Row:
    """One line of the waterfall. `x` and `width` are percent of the axis; `children` counts direct ones.

    `more` is set on rows that stand for children not sent: ask for them from position `more` on.
    """

    key: str
    level: int
    fold: str
    row: int
    colour: int
    x: float
    width: float
    duration_ns: int | None
    offset_ns: int | None
    children: int
    opened: bool
    place: int
    siblings: int
    spans: int
    errors: int
    findings_inside: int
    linked: bool
    members: tuple[int, ...] = ()
    more: int | None = None
    hidden: int = 0


class Waterfall:
    """The layout of one run. *spans* as `queries/run_spans.sql` gives them, in order of start.

    With *by_time* false (synthetic clocks) places follow the order of the spans and nothing has a duration.
    *marked* counts findings by row.
    """

    def __init__(self, spans: pl.DataFrame, marked: Mapping[int, int] | None = None, *, by_time: bool = True) -> None:
        self.spans = spans
        self.by_time = by_time
        self.forest: Forest = grow(spans)
        self._first_ns = int(spans["start_ns"].min() or 0)  # type: ignore[arg-type]
        marks = np.zeros(spans.height, dtype=np.int64)
        for row, count in (marked or {}).items():
            marks[row] = count
        self._marked = self.forest.summed(marks)
        self._errors = self.forest.summed((spans["status"] == "error").to_numpy().astype(np.int64))
        self._start, self._end = self._intervals()
        leaves = np.array([len(below) == 0 for below in self.forest.children], dtype=bool)
        self.timeline = Timeline.over(self._start[leaves], self._end[leaves], squeeze=by_time)
        if spans.height and by_time:
            self.timeline = self._reaching_out(leaves)
        self._x = self.timeline.at(self._start)
        self._width = np.maximum(self.timeline.at(self._end) - self._x, _THINNEST)
        self._x = np.minimum(self._x, 100.0 - self._width)
        agents = sorted({agent for agent in spans["agent"].unique().to_list() if agent})
        self.colours = {agent: number % COLOURS for number, agent in enumerate(agents)}

    @cached_property
    def keys(self) -> dict[str, int]:
        """Node by key. A key is `trace-span`, after `call.` or `same.` for a fold."""
        return {self.key(node): node for node in range(len(self.forest))}

    def key(self, node: int) -> str:
        """The key of *node*, the same in every request."""
        trace, span = self.spans.row(int(self.forest.first[node]), named=False)[:2]
        return f"{_PREFIX[self.forest.fold[node]]}{trace}-{span}"

    def rows(self, *, reveal: Collection[int] = (), opened: Collection[int] = ()) -> list[Row]:
        """The rows of a first view: opened level by level while at most `MOST_ROWS` show, then along the ways to the
        nodes *reveal*; *opened* are open whatever it costs."""
        shut_by_default = self.forest.fold
        open_nodes: set[int] = set(opened)
        shown = min(len(self.forest.roots), WINDOW)
        level = [int(node) for node in self.forest.roots[:WINDOW]]
        while level:
            wanted = [n for n in level if len(self.forest.children[n]) and not shut_by_default[n]]
            cost = sum(min(len(self.forest.children[n]), WINDOW) for n in wanted)
            if not wanted or shown + cost > MOST_ROWS:
                break
            open_nodes.update(wanted)
            shown += cost
            level = [int(child) for n in wanted for child in self.forest.children[n][:WINDOW]]
        for node in reveal:
            open_nodes.update(self.forest.ancestors(node))
        return list(self._opened(open_nodes, set(reveal)))

    def below(self, node: int, start: int = 0) -> list[Row]:
        """The direct children of *node* from position *start* on, closed, at most `WINDOW`; *node* -1: the roots."""
        nodes = self.forest.children[node] if node >= 0 else self.forest.roots
        level = int(self.forest.depth[node]) + 2 if node >= 0 else 1
        out = [row for row, _ in self._window(nodes, start, level, set())]
        if start + WINDOW < len(nodes):
            out.append(self._more(node, nodes, start + WINDOW, len(nodes), level))
        return out

    def _opened(self, opened: set[int], reveal: set[int]) -> Iterator[Row]:
        """The roots and what is open under them, without calls inside calls: a record may nest as deep as it likes."""
        ways = [self._siblings(self.forest.roots, 1, opened, reveal)]
        while ways:
            step = next(ways[-1], None)
            if step is None:
                ways.pop()
                continue
            row, under = step
            yield row
            if under is not None:
                ways.append(self._siblings(under, row.level + 1, opened, reveal))

    def _siblings(
        self, nodes: Nodes, level: int, opened: set[int], reveal: set[int]
    ) -> Iterator[tuple[Row, Nodes | None]]:
        """The rows of *nodes*, each with what is to be shown under it; blocks without anything wanted stay away."""
        parent = int(self.forest.parent[nodes[0]]) if len(nodes) else -1
        wanted = opened | reveal
        skipped_from: int | None = None
        for start in range(0, len(nodes), WINDOW):
            block = nodes[start : start + WINDOW]
            if start and not wanted.intersection(block.tolist()):
                skipped_from = start if skipped_from is None else skipped_from
                continue
            if skipped_from is not None:
                yield self._more(parent, nodes, skipped_from, start, level), None
                skipped_from = None
            yield from self._window(nodes, start, level, opened)
        if skipped_from is not None:
            yield self._more(parent, nodes, skipped_from, len(nodes), level), None

    def _window(self, nodes: Nodes, start: int, level: int, opened: set[int]) -> Iterator[tuple[Row, Nodes | None]]:
        for place, node in enumerate(nodes[start : start + WINDOW].tolist(), start=start + 1):
            is_open = node in opened and len(self.forest.children[node]) > 0
            row = self._row(node, level, is_open, place, len(nodes))
            yield row, self.forest.children[node] if is_open else None

    def _row(self, node: int, level: int, is_open: bool, place: int, siblings: int) -> Row:
        first = int(self.forest.first[node])
        fold = self.forest.fold[node]
        return Row(
            key=self.key(node),
            level=level,
            fold=fold,
            row=first,
            colour=self.colours.get(self.spans["agent"][first], -1),
            x=round(float(self._x[node]), 3),
            width=round(float(self._width[node]), 3),
            duration_ns=int(self._end[node] - self._start[node]) if self.by_time else None,
            offset_ns=int(self._start[node]) - self._first_ns if self.by_time else None,
            children=len(self.forest.children[node]),
            opened=is_open,
            place=place,
            siblings=siblings,
            spans=int(self.forest.size[node]),
            errors=int(self._errors[node]),
            findings_inside=int(self._marked[node]),
            linked=bool(self.forest.linked[node]),
            members=tuple(int(self.forest.first[m]) for m in self.forest.children[node]) if fold == "call" else (),
        )

    def _more(self, parent: int, nodes: npt.NDArray[np.int64], start: int, end: int, level: int) -> Row:
        hidden = nodes[start:end]
        return Row(
            key=self.key(parent) if parent >= 0 else "",
            level=level,
            fold="more",
            row=int(self.forest.first[hidden[0]]),
            colour=-1,
            x=0.0,
            width=0.0,
            duration_ns=None,
            offset_ns=None,
            children=0,
            opened=False,
            place=start + 1,
            siblings=len(nodes),
            spans=int(self.forest.size[hidden].sum()),
            errors=int(self._errors[hidden].sum()),
            findings_inside=int(self._marked[hidden].sum()),
            linked=False,
            more=start,
            hidden=end - start,
        )

    def _intervals(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Start and end of every node: as recorded, or by order; a fold reaches over its members."""
        count, spans = len(self.forest), self.spans.height
        start = np.full(count, np.iinfo(np.int64).max)
        end = np.full(count, np.iinfo(np.int64).min)
        if self.by_time:
            start[:spans] = self.spans["start_ns"].to_numpy()
            end[:spans] = np.maximum(self.spans["end_ns"].to_numpy(), start[:spans])
            inner = np.flatnonzero(np.arange(count) >= spans)
            for node in inner[np.argsort(-self.forest.depth[inner], kind="stable")].tolist():
                members = self.forest.children[node]
                start[node], end[node] = start[members].min(), end[members].max()
            return start, end
        start[:spans] = np.arange(spans)
        end[:spans] = np.arange(spans) + 1
        for level in range(int(self.forest.depth.max(initial=0)), 0, -1):
            at = np.flatnonzero(self.forest.depth == level)
            np.minimum.at(start, self.forest.parent[at], start[at])
            np.maximum.at(end, self.forest.parent[at], end[at])
        return start, end

    def _reaching_out(self, leaves: npt.NDArray[np.bool_]) -> Timeline:
        """The axis over what the leaves do, widened to where their parents begin and end."""
        edges = np.concatenate([self._start, self._end])
        low, high = int(edges.min()), int(edges.max())
        points = np.array([low, high])
        return Timeline.over(np.concatenate([self._start[leaves], points]), np.concatenate([self._end[leaves], points]))
