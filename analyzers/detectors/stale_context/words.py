"""The sentences of a finding, drawn from its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftline.analyzers.finding import Explanation
from driftline.analyzers.memory_history import INIT


def title(anomaly: str, evidence: Mapping[str, Any]) -> str:
    """One sentence."""
    reader, newer, own = evidence["reader"], evidence["newer"], evidence["own"]
    writer = (
        f"another {reader}" if evidence["writer"] == reader and not reader.startswith("a span") else evidence["writer"]
    )
    doer = "it had itself" if own else f"{writer} had"
    name = f"{evidence['key']['store']}/{evidence['key']['key']}"
    seen = f"{name}@{evidence['observed']}"
    if anomaly == "stale_effect":
        ran = f"{reader} ran {evidence['call']} on {seen} after {doer} {_replaced(evidence)}"
        return f"{ran}; it was undone" if evidence["undone"] else ran
    if anomaly == "resurrected_memory":
        verb = "derived a new version from" if evidence["how"] == "derived" else "read"
        return f"{reader} {verb} {seen} after {doer} deleted it"
    nothing = evidence["observed"] == INIT
    said = f"{reader} found nothing in {name}" if nothing else f"{reader} read {seen}"
    wrote = f"its own write of {newer}" if own else f"{writer} wrote {newer}"
    reason = {
        "read_your_writes": f"although it had itself written {newer}",
        "monotonic_reads": f"although it had already read {newer}",
        "handoff_stale": f"although a message sent after {wrote} had reached it",
        "monotonic_writes": f"although it had seen what {'it' if own else writer} wrote after {newer}",
        "writes_follow_reads": f"although it had seen what was written in knowledge of {newer}",
        "causal_stale_read": f"although {writer} had written {newer} before",
    }[anomaly]
    return f"{said} {reason}"


def explanation(evidence: Mapping[str, Any]) -> Explanation:
    """Given the write and the touch, what orders them, and what the touch missed."""
    name = f"{evidence['key']['store']}/{evidence['key']['key']}"
    label = "X" if evidence["how"] == "effect" else "R"
    parents: list[str] = next((v["parents"] for v in evidence["versions"] if v["version"] == evidence["newer"]), [])
    touch = evidence["touch"]["what"]
    if evidence["how"] == "effect":
        touch = f"{touch}, based on {name}@{evidence['observed']}"
    elif evidence["how"] == "derived":
        touch = f"{touch}, derived from {evidence['observed']}"
    let = (
        f"W: {evidence['write']['what']}" + (f", derived from {', '.join(parents)}" if parents else ""),
        f"{label}: {touch}",
    )
    if evidence["path"]:
        then = [f"{_step(hop)} ({hop['rule']}: {hop['because']})" for hop in evidence["path"]]
        then.append(f"so W took effect before {label} began")
    else:
        then = [f"W ended {evidence['margin_ms']} ms more than their clocks may differ before {label} began"]
    then += [f"not proved: {doubt}" for doubt in evidence["doubts"]]
    return Explanation(let, tuple(then), _however(evidence))


def _step(hop: Mapping[str, Any]) -> str:
    return f"{hop['from']['what']} before {hop['to']['what']}"


def _however(evidence: Mapping[str, Any]) -> str:
    """Lists show it without the argument above it, so it names the reader, not the argument's letter."""
    reader, seen, newer = evidence["reader"], evidence["observed"], evidence["newer"]
    if evidence["deleted"]:
        return f"{reader} went on with {seen}, which {newer} had deleted"
    behind = evidence["versions_behind"]
    way = "before anything was written" if seen == INIT else f"{behind} version{'s' if behind > 1 else ''} behind"
    return f"{reader} went by the state {way}: {newer} was there to be known"


def _replaced(evidence: Mapping[str, Any]) -> str:
    return "deleted it" if evidence["deleted"] else f"replaced it by {evidence['newer']}"
