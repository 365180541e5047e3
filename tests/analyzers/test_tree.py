"""The span tree as arrays: parents, orphans, cycles, depth, and the nearest ancestor, however deep."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.analyzers.tree import SpanTree


def _tree(*edges: tuple[str, str], trace: str = "t") -> SpanTree:
    """Spans as (span, parent), in the order of their rows."""
    return SpanTree.of(
        pl.DataFrame(
            {"trace_id": [trace] * len(edges), "span_id": [e[0] for e in edges], "parent_id": [e[1] for e in edges]},
            schema={"trace_id": pl.String, "span_id": pl.String, "parent_id": pl.String},
        )
    )


def _mask(size: int, *rows: int) -> np.ndarray:
    found = np.zeros(size, dtype=bool)
    found[list(rows)] = True
    return found


def test_a_parent_may_come_after_its_child() -> None:
    tree = _tree(("leaf", "middle"), ("middle", "root"), ("root", ""))
    assert tree.parent.tolist() == [1, 2, -1]
    assert tree.depth().tolist() == [2, 1, 0]


def test_an_orphan_is_a_root() -> None:
    tree = _tree(("a", "lost"), ("b", "a"))
    assert tree.parent.tolist() == [-1, 0]
    assert tree.depth().tolist() == [0, 1]


def test_a_parent_of_another_trace_is_no_parent() -> None:
    spans = pl.DataFrame({"trace_id": ["t1", "t2"], "span_id": ["a", "b"], "parent_id": ["", "a"]})
    assert SpanTree.of(spans).parent.tolist() == [-1, -1]


def test_nearest_counts_the_span_itself_unless_strict() -> None:
    tree = _tree(("root", ""), ("middle", "root"), ("leaf", "middle"))
    wanted = _mask(3, 0, 1)
    assert tree.nearest(wanted).tolist() == [0, 1, 1]
    assert tree.nearest(wanted, strict=True).tolist() == [-1, 0, 1]


def test_nothing_wanted_is_nowhere() -> None:
    tree = _tree(("root", ""), ("leaf", "root"))
    assert tree.nearest(_mask(2)).tolist() == [-1, -1]


def test_a_cycle_of_parents_leads_nowhere_and_ends() -> None:
    tree = _tree(("a", "c"), ("b", "a"), ("c", "b"), ("below", "a"), ("self", "self"))
    assert tree.nearest(_mask(5)).tolist() == [-1] * 5
    assert tree.nearest(_mask(5, 1)).tolist() == [1, 1, 1, 1, -1]
    assert len(tree.depth()) == 5


def test_values_are_inherited_from_the_nearest_that_has_one() -> None:
    tree = _tree(("root", ""), ("middle", "root"), ("leaf", "middle"), ("stranger", ""))
    assert tree.inherited(["r", "", "", ""]).to_list() == ["r", "r", "r", ""]
    assert tree.inherited(["r", "m", "", ""]).to_list() == ["r", "m", "m", ""]
    assert tree.inherited(["r", "m", "l", ""], strict=True).to_list() == ["", "r", "m", ""]


def test_a_chain_of_ten_thousand() -> None:
    size = 10_000
    tree = SpanTree(np.arange(-1, size - 1, dtype=np.int64))
    assert tree.depth()[-1] == size - 1
    assert tree.nearest(_mask(size, 0)).tolist() == [0] * size
    assert tree.inherited(["run"] + [""] * (size - 1)).to_list() == ["run"] * size


@pytest.mark.parametrize("empty", [SpanTree(np.empty(0, dtype=np.int64))])
def test_no_spans_at_all(empty: SpanTree) -> None:
    assert empty.nearest(np.empty(0, dtype=bool)).tolist() == []
    assert empty.depth().tolist() == []
    assert empty.inherited([]).to_list() == []


@given(st.lists(st.integers(-1, 30), min_size=1, max_size=31), st.data())
def test_nearest_is_what_walking_up_finds(parents: list[int], data: st.DataObject) -> None:
    """Against the obvious loop, on any graph of parents, cycles included."""
    size = len(parents)
    parents = [parent if parent < size else -1 for parent in parents]
    wanted = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    found = SpanTree(np.array(parents, dtype=np.int64)).nearest(np.array(wanted, dtype=bool))
    for row in range(size):
        at, steps = row, 0
        while at >= 0 and not wanted[at] and steps <= size:
            at, steps = parents[at], steps + 1
        assert found[row] == (at if at >= 0 and wanted[at] else -1)
