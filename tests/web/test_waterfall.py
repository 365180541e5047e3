"""The waterfall on shapes that no sane program writes."""

from __future__ import annotations

import polars as pl

from driftline.web.waterfall import Waterfall


def chain(length: int) -> pl.DataFrame:
    """Spans each of which is the child of the one before."""
    return pl.DataFrame(
        {
            "trace_id": ["t"] * length,
            "span_id": [f"s{number}" for number in range(length)],
            "parent_id": ["", *(f"s{number}" for number in range(length - 1))],
            "name": ["n"] * length,
            "call_id": [""] * length,
            "link_traces": [[]] * length,
            "link_spans": [[]] * length,
            "start_ns": list(range(length)),
            "end_ns": [length + 1] * length,
            "status": ["ok"] * length,
            "agent": ["a"] * length,
        },
        schema_overrides={"link_traces": pl.List(pl.String), "link_spans": pl.List(pl.String)},
    )


def test_a_run_may_nest_deeper_than_python_calls() -> None:
    """Agents that call agents without end are a fault worth looking at: every level is a row under the one before."""
    waterfall = Waterfall(chain(5000))
    rows = waterfall.rows(reveal=[4999])
    assert [row.level for row in rows] == list(range(1, 5001))
    assert [row.row for row in rows] == list(range(5000))
    assert not rows[-1].opened
    assert [row.level for row in waterfall.below(4998)] == [5000]
