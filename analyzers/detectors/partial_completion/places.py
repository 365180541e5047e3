"""Spans as evidence and in words, for the few that a finding names."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from driftline.analyzers.record import Record

_NOUNS = {
    "tool": "tool {}",
    "step": "step {}",
    "agent": "agent {}",
    "validate": "check {}",
    "send": "a message to {}",
    "process": "the work on a message to {}",
    "run": "the run {}",
}
# The kinds of the finding page, which are those of spans.
_KINDS = {"validate": "validation"}


def noun(unit: str, label: str) -> str:
    """`tool charge`, `a message to reviews`."""
    return _NOUNS.get(unit, "{}").format(label)


class Places:
    """Look-ups in a record."""

    def __init__(self, record: Record) -> None:
        self._record = record

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        counted = self._record.spans.group_by("run").agg(pl.len(), traces=pl.col("trace_id").n_unique())
        return {run: (spans, traces) for run, spans, traces in counted.iter_rows()}

    def at(self, row: int, column: str) -> Any:
        """One cell of `Record.spans`."""
        return self._record.spans[column][row]

    def ref(self, row: int) -> dict[str, str]:
        """The ids of a span."""
        return {"trace_id": self.at(row, "trace_id"), "span_id": self.at(row, "span_id")}

    def who(self, row: int) -> str:
        """The span as the one who acts: `the run`, `agent billing`, `step pay`."""
        kind = self.at(row, "kind")
        if kind == "run":
            return "the run"
        names = {"agent": "said_agent", "step": "step_name", "tool": "tool"}
        name = self.at(row, names[kind]) if kind in names else ""
        return noun(kind, name) if name else str(self.at(row, "name") or "the trace")

    def signature(self, row: int) -> str:
        """What stands for the span in a fingerprint."""
        return "run" if self.at(row, "kind") == "run" else self.who(row)

    def around(self, row: int) -> list[int]:
        """The rows of the spans around a span, nearest first."""
        parents, found = self._record.tree.parent, []
        while (row := int(parents[row])) >= 0 and row not in found:
            found.append(row)
        return found

    def size_of(self, run: str) -> tuple[int, int]:
        """How many spans and traces of *run* are in the record."""
        return self._sizes[run]


def course_step(unit: dict[str, Any], *, note: str = "") -> dict[str, Any]:
    """A unit as one step of the course on the finding page."""
    return {
        "name": unit["label"],
        "kind": _KINDS.get(unit["unit"], unit["unit"]),
        "state": unit["state"],
        "note": note or (unit["why"] if unit["state"] != "done" else ""),
        "agent": unit["agent"],
        "trace_id": unit["trace_id"],
        "span_id": unit["span_id"],
    }


def missing_step(unit: str, label: str, note: str = "") -> dict[str, Any]:
    """What never happened, as a step of the course."""
    return {"name": label, "kind": _KINDS.get(unit, unit), "state": "missing", "note": note}
