"""Events and log records of a run's spans, as lines below them in the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline.cli.formats.plain import cut, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from driftline.collector.store import Store

MOST = 10_000  # events and log records of one run that are shown, in order of trace, span and time
_CUT = 2_000  # characters of one value
_WIDTH = 120  # characters of what one line tells


def load_events(store: Store, traces: Iterable[str]) -> list[dict[str, Any]]:
    """What happened during the spans of *traces*, in order of time within each span."""
    from driftline.cli.queries import ask

    return ask(store, "run_events", traces=list(traces), cut=_CUT, most=MOST)


def lines_by_span(events: Iterable[dict[str, Any]], starts: dict[tuple[str, str], int]) -> dict[Any, list[str]]:
    """A line for each of *events*, by (trace id, span id). *starts*: when spans began, in ns; -1 = times made up."""
    found: dict[Any, list[str]] = {}
    for event in events:
        span = (event["trace_id"], event["span_id"])
        if span in starts:
            found.setdefault(span, []).append(_line(event, starts[span]))
    return found


def _line(event: dict[str, Any], start: int) -> str:
    from driftline.cli.run_tree import duration

    past = (event["at_ns"] - start) / 1e6
    when = "" if start < 0 else f"{'-' if past < 0 else '+'}{duration(abs(past))}"
    mark = {"": "event", "log": "log"}.get(event["log"], f"log {event['log']}")
    told = cut(one_line(_told(event)), _WIDTH)
    return "  ".join(part for part in (when, one_line(mark), one_line(event["name"]), told) if part)


def _told(event: dict[str, Any]) -> str:
    """An exception as Python writes it; else the body; else the attributes."""
    said = dict(event["attributes"])
    if said.get("exception.type"):
        return ": ".join(part for part in (said["exception.type"], said.get("exception.message", "")) if part)
    return event["body"] or ", ".join(f"{name}={value}" for name, value in sorted(said.items()))
