"""The versions of one key: which one was seen, which newer one was there, and what orders the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from driftline.web.formats import from_nanos
from driftline.web.version_graph import VersionGraph, by_lineage, lay_out

RULES = {
    "H1": "one process: its own clock ticked between them",
    "H2": "parent to child: the child began inside its parent",
    "H3": "child to parent: the child had ended before its parent went on",
    "H4": "message: sent before it was taken",
    "H5": "reads-from: a version is written before it is read",
    "H6": "lineage: a version comes after the one it was derived from",
}
_MOMENTS = (("read_ns", "read"), ("replaced_ns", "replaced"), ("acted_ns", "acted on"))
_READERS = ("effect", "reader", "second")


@dataclass(frozen=True)
class PathStep:
    """One step of the happens-before path. `from_key` and `to_key` name spans as the run page does ('' = none)."""

    rule: str
    rule_meaning: str
    source: str
    target: str
    from_key: str
    to_key: str
    because: str


@dataclass(frozen=True)
class StaleView:
    """The key, its versions (as given and as drawn), the path that orders write and read, and the moments
    of the window between check and use, with its length."""

    store: str
    key: str
    versions: tuple[Mapping[str, Any], ...]
    graph: VersionGraph
    path: tuple[PathStep, ...]
    window: tuple[tuple[str, datetime], ...]
    open_ns: float | None


def view(body: Mapping[str, Any], known: Mapping[tuple[str, str], Mapping[str, Any]]) -> StaleView | None:
    """None when the evidence names no versions."""
    evidence = body["evidence"]
    versions = tuple(by_lineage([each for each in evidence.get("versions") or () if isinstance(each, Mapping)]))
    if not versions:
        return None
    key = evidence.get("key") or {}
    window = evidence.get("window") or {}
    return StaleView(
        store=str(key.get("store") or ""),
        key=str(key.get("key") or ""),
        versions=versions,
        graph=lay_out(versions, _reader(body, versions, known)),
        path=tuple(_step(step) for step in evidence.get("path") or () if isinstance(step, Mapping)),
        window=tuple((label, from_nanos(window[name])) for name, label in _MOMENTS if window.get(name)),
        open_ns=float(window["length_ms"]) * 1e6 if window.get("length_ms") is not None else None,
    )


def _reader(
    body: Mapping[str, Any], versions: tuple[Mapping[str, Any], ...], known: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The operation that saw the old version: the finding's span with that role, else who read it."""
    for role in _READERS:
        for span in body.get("spans") or ():
            if span.get("role") == role:
                facts = known.get((span["trace_id"], span["span_id"]), {})
                what = "acted on it" if role == "effect" else "read it"
                return {**span, "agent": facts.get("agent") or facts.get("service") or "", "what": what}
    for each in versions:
        if each.get("role") == "observed" and each.get("read_by"):
            return {**each["read_by"][-1], "what": "read it"}
    return None


def _step(step: Mapping[str, Any]) -> PathStep:
    source, target = step.get("from") or {}, step.get("to") or {}
    rule = str(step.get("rule") or "")
    return PathStep(
        rule=rule,
        rule_meaning=RULES.get(rule, ""),
        source=str(source.get("what") or ""),
        target=str(target.get("what") or ""),
        from_key=_key(source),
        to_key=_key(target),
        because=str(step.get("because") or ""),
    )


def _key(span: Mapping[str, Any]) -> str:
    return f"{span['trace_id']}-{span['span_id']}" if span.get("trace_id") and span.get("span_id") else ""
