"""One run as a tree for the terminal: over all its traces, attempts and repetitions folded into a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from driftline.cli.formats.plain import one_line

if TYPE_CHECKING:
    import polars as pl

    from driftline.web.forest import Forest

Marks = Mapping[tuple[str, str], list[str]]


class RunTree:
    """The lines of one run.

    *marks*: what findings say of its spans; with *unfold* every span has a line; *events*: lines to stand below a
    span's own.
    """

    def __init__(self, spans: pl.DataFrame, marks: Marks, *, unfold: bool, events: Marks | None = None) -> None:
        from driftline.web.forest import grow

        self._forest: Forest = grow(spans)
        self._spans = spans.rows(named=True)
        self._marks = marks
        self._unfold = unfold
        self._events = events or {}

    def lines(self) -> Iterator[str]:
        """Top down, in order of start."""
        roots = self._forest.roots.tolist()
        stack = [(node, "", "") for node in reversed(roots)]
        while stack:
            node, lead, below = stack.pop()
            yield lead + self._line(node)
            if self._is_folded(node):
                continue
            children = self._forest.children[node].tolist()
            if not self._forest.fold[node]:
                span = self._spans[self._forest.first[node]]
                edge = "│  " if children else "   "
                yield from (
                    f"{below}{edge}· {line}" for line in self._events.get((span["trace_id"], span["span_id"]), [])
                )
            for place, child in reversed(list(enumerate(children))):
                last = place == len(children) - 1
                stack.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))

    def _is_folded(self, node: int) -> bool:
        return bool(self._forest.fold[node]) and not self._unfold

    def _line(self, node: int) -> str:
        fold = self._forest.fold[node]
        if not fold:
            return self._span_line(node)
        members = [member for member in self._forest.children[node].tolist() if member < len(self._spans)]
        spans = [self._spans[member] for member in members]
        name = one_line(spans[0]["name"])
        inside = int(self._forest.size[node]) - len(members)
        parts = [name, _attempts(spans) if fold == "call" else _repetitions(spans)]
        if inside and not self._unfold:
            parts.append(f"{inside} spans inside")
        if not self._unfold:
            parts.extend(mark for span in spans for mark in self._marks.get((span["trace_id"], span["span_id"]), []))
        return "  ".join(part for part in parts if part)

    def _span_line(self, node: int) -> str:
        span = self._spans[node]
        parts = [one_line(span["name"])]
        above = int(self._forest.parent[node])
        over = self._spans[self._forest.first[above]] if above >= 0 else None
        if over is None or over["service"] != span["service"]:
            parts.append(f"[{one_line(span['service'])}]" if span["service"] else "")
        parts.append("by message" if self._forest.linked[node] else "")
        parts.append(f"attempt {span['attempt']}" if span["attempt"] and span["attempt"] > 1 else "")
        parts.extend((one_line(span["touched"]), _took(span), *_states(span)))
        parts.extend(self._marks.get((span["trace_id"], span["span_id"]), []))
        return "  ".join(part for part in parts if part)


def _attempts(spans: list[dict[str, Any]]) -> str:
    """The attempts of one logical call, each with how it ended."""
    told = []
    for place, span in enumerate(spans, start=1):
        how = ", ".join((*_states(span), _took(span)))
        told.append(f"{span['attempt'] or place}: {how.strip(', ') or 'ok'}")
    return f"{len(spans)} attempts ({'; '.join(told)})"


def _repetitions(spans: list[dict[str, Any]]) -> str:
    states = Counter(state for span in spans for state in _states(span))
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{len(spans)} times" + (f" ({told})" if told else "")


def _states(span: dict[str, Any]) -> list[str]:
    """What is worth saying of how a span ended; nothing where all is well."""
    failed = f"FAILED {one_line(span['error_type'])}".strip() if span["status"] == "error" else ""
    claims = f"claims {one_line(span['outcome'])}" if span["outcome"] else ""
    written = span["write_status"] if span["write_status"] not in ("", None, "committed") else ""
    verdict = f"verdict {one_line(span['validation_verdict'])}" if span["validation_verdict"] else ""
    replayed = "replayed" if span["replayed"] else ""
    is_open = "OPEN" if span["pending"] else ""
    found = (one_line(span["effect_outcome"]), claims, verdict, written, failed, replayed, is_open)
    return [state for state in found if state]


def _took(span: dict[str, Any]) -> str:
    if span["clock"] == "synthetic" or span["pending"]:
        return ""
    return duration((span["end_ns"] - span["start_ns"]) / 1e6)


def duration(milliseconds: float) -> str:
    """A length of time as people read it."""
    if milliseconds < 1000:
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
