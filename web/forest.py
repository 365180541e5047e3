"""What hangs under what in a waterfall: spans over all traces of a run, attempts and repetitions folded.

Nodes 0…n-1 are the spans by row; behind them come the folds. Three kinds of edges make one tree of many traces: parent
to child; sender to receiver (a root that links to a span of the run hangs under it); and fold to member.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from driftline.analyzers.tree import SpanTree

Index = npt.NDArray[np.int64]

FOLD_FROM = 5  # so many equal siblings become one row
_CROWDED = 40  # a parent with more children than this folds equal ones even when others stand between them


@dataclass(frozen=True)
class Forest:
    """The display tree. `parent[i]` is -1 for roots; `fold[i]` is '' for a span, `call` or `same` for a fold.

    `first[i]` is the row of the node's (first) span, `linked[i]` whether it hangs by a message or link, `size[i]` how
    many spans the node and everything under it hold.
    """

    parent: Index
    fold: tuple[str, ...]
    first: Index
    linked: npt.NDArray[np.bool_]
    depth: Index
    children: tuple[Index, ...]
    roots: Index
    size: Index

    def __len__(self) -> int:
        return len(self.parent)

    def summed(self, of_spans: npt.NDArray[np.int64]) -> Index:
        """For each node the sum of *of_spans* (one number a span) over all spans at and under it."""
        total = np.zeros(len(self), dtype=np.int64)
        total[: len(of_spans)] = of_spans
        for level in range(int(self.depth.max(initial=0)), 0, -1):
            at = np.flatnonzero(self.depth == level)
            np.add.at(total, self.parent[at], total[at])
        return total

    def ancestors(self, node: int) -> list[int]:
        """The nodes above *node*, nearest first."""
        above = []
        while (node := int(self.parent[node])) >= 0:
            above.append(node)
        return above


def grow(spans: pl.DataFrame) -> Forest:
    """The display tree of *spans*: `trace_id`, `span_id`, `parent_id`, `name`, `call_id`, `link_traces`, `link_spans`,
    in the order they are to be shown."""
    parent, linked = _joined(spans)
    nodes = pl.DataFrame(
        {"node": np.arange(len(parent)), "parent": parent, "name": spans["name"], "call_id": spans["call_id"]}
    ).with_columns(first="node")
    folds: list[str] = []
    nodes, made = _fold(nodes, nodes.filter(pl.col("call_id") != ""), ["parent", "call_id"], 2, len(parent))
    folds += ["call"] * made
    top = nodes.filter(~pl.col("node").is_in(nodes.filter(pl.col("folded"))["node"].implode())) if made else nodes
    top = top.sort("parent", "first").with_columns(
        stretch=(pl.struct("parent", "name") != pl.struct("parent", "name").shift(1)).fill_null(True).cum_sum()
    )
    nodes, made = _fold(nodes, top, ["stretch"], FOLD_FROM, len(nodes))
    folds += ["same"] * made
    loose = nodes.filter(~pl.col("folded")).filter(pl.len().over("parent") > _CROWDED)
    loose = loose.filter(pl.col("node") < len(nodes) - made)
    nodes, made = _fold(nodes, loose, ["parent", "name"], FOLD_FROM, len(nodes))
    folds += ["same"] * made
    return _forest(nodes.sort("node"), len(parent), folds, linked)


def _fold(
    nodes: pl.DataFrame, among: pl.DataFrame, by: list[str], least: int, next_node: int
) -> tuple[pl.DataFrame, int]:
    """Put a new node over each group *by* of at least *least* members of *among*; (all nodes, how many are new)."""
    if "folded" not in nodes.columns:
        nodes = nodes.with_columns(folded=pl.lit(False))
    groups = (
        among.group_by(by, maintain_order=True)
        .agg(
            members=pl.col("node"),
            above=pl.col("parent").first(),
            label=pl.col("name").first(),
            first_row=pl.col("first").min(),
        )
        .filter(pl.col("members").list.len() >= least)
        .sort("first_row")
    )
    if groups.is_empty():
        return nodes, 0
    groups = groups.with_columns(fold=next_node + pl.int_range(pl.len(), dtype=pl.Int64))
    over = groups.select("fold", "members").explode("members").rename({"members": "node"})
    new = groups.select(
        node="fold", parent="above", name="label", call_id=pl.lit(""), first="first_row", folded=pl.lit(False)
    )
    nodes = (
        nodes.join(over, on="node", how="left")
        .with_columns(parent=pl.coalesce("fold", "parent"), folded=pl.col("folded") | pl.col("fold").is_not_null())
        .drop("fold")
    )
    return pl.concat([nodes, new.select(nodes.columns).cast(dict(nodes.schema))]), groups.height  # type: ignore[arg-type]


def _joined(spans: pl.DataFrame) -> tuple[Index, npt.NDArray[np.bool_]]:
    """Parents by row over all traces; a root that links to a span of the run hangs under that one."""
    parent = SpanTree.of(spans).parent
    rows = spans.select("trace_id", "span_id").with_row_index("target")
    links = (
        spans.select("link_traces", "link_spans")
        .with_row_index("row")
        .filter(pl.Series(parent < 0) & (pl.col("link_spans").list.len() > 0))
        .with_columns(trace_id=pl.col("link_traces").list.first(), span_id=pl.col("link_spans").list.first())
        .join(rows, on=["trace_id", "span_id"])
    )
    linked = np.zeros(len(parent), dtype=bool)
    at = links["row"].to_numpy()
    parent[at] = links["target"].to_numpy()
    linked[at] = True
    _cut_cycles(parent, linked)
    return parent, linked


def _cut_cycles(parent: Index, linked: npt.NDArray[np.bool_]) -> None:
    """Make a root of one span in every ring of parents: wrong data must not make spans vanish."""
    lost = SpanTree(parent).nearest(parent < 0) < 0
    while lost.any():
        node, seen = int(np.flatnonzero(lost)[0]), set()
        while node not in seen:
            seen.add(node)
            node = int(parent[node])
        ring = [node]
        while int(parent[ring[-1]]) != node:
            ring.append(int(parent[ring[-1]]))
        cut = next((member for member in ring if linked[member]), min(ring))
        parent[cut], linked[cut] = -1, False
        lost = SpanTree(parent).nearest(parent < 0) < 0


def _forest(nodes: pl.DataFrame, spans: int, folds: list[str], linked: npt.NDArray[np.bool_]) -> Forest:
    parent = nodes["parent"].cast(pl.Int64).to_numpy().copy()
    first = nodes["first"].cast(pl.Int64).to_numpy()
    order = np.lexsort((np.arange(len(parent)), first, parent))
    bounds = np.searchsorted(parent[order], np.arange(-1, len(parent) + 1))
    children = tuple(order[bounds[node + 1] : bounds[node + 2]] for node in range(len(parent)))
    forest = Forest(
        parent=parent,
        fold=("",) * spans + tuple(folds),
        first=first,
        linked=np.append(linked, np.zeros(len(folds), dtype=bool)),
        depth=SpanTree(parent).depth(),
        children=children,
        roots=order[bounds[0] : bounds[1]],
        size=np.zeros(0, dtype=np.int64),
    )
    size = forest.summed(np.ones(spans, dtype=np.int64))
    return Forest(**{**forest.__dict__, "size": size})
