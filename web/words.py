"""What grades, severities, statuses and anomalies mean, in one sentence each: said beside every mark."""

from __future__ import annotations

from functools import cache

from driftline.analyzers.detector import detectors

GRADES = {
    "definite": "Proved from the record alone (order of operations, lineage, outcomes): it holds in every execution "
    "that fits what was recorded.",
    "definite_within_skew": "Proved as long as the clocks of different hosts differ by less than the stated bound.",
    "possible": "The record shows it may have happened but does not prove it. Look at what is missing before acting.",
}
SEVERITIES = {
    "error": "Proved and harmful: fails a build by default.",
    "warning": "Harmful if so, but not proved: never fails a build by default.",
    "info": "Worth knowing. Never a verdict.",
}
MARKS = {"error": "✕", "warning": "!", "info": "i", "ok": "✓", "open": "…", "unknown": "?"}
STATUSES = ("ok", "error", "open")
OUTCOMES = ("complete", "partial", "failed", "cancelled")
KINDS = {
    "run": "run",
    "agent": "agent turn",
    "step": "step",
    "tool": "tool call",
    "llm": "model call",
    "memory": "memory",
    "retrieval": "retrieval",
    "validation": "validation",
    "send": "sends a message",
    "process": "takes a message",
    "other": "span",
}
ICONS = {
    "run": "◈",
    "agent": "◉",
    "step": "▸",
    "tool": "⚙",
    "llm": "✦",
    "memory": "▤",
    "retrieval": "⌕",
    "validation": "☑",
    "send": "↗",
    "process": "↘",
    "other": "·",
}


@cache
def anomaly_meaning(detector: str, anomaly: str) -> str:
    """The detector's own sentence about *anomaly*; '' for one this driftline does not know."""
    for known in detectors():
        if known.name == detector:
            return known.anomalies.get(anomaly, "")
    return ""
