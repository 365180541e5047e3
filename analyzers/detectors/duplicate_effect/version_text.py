"""Findings of `duplicate_version`: their evidence and text."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from driftline.analyzers.detectors.duplicate_effect.evidence import role_of
from driftline.analyzers.detectors.duplicate_effect.versions import DuplicateVersion
from driftline.analyzers.finding import Explanation, Finding, Source, SpanRef, severity_of, stable_name


def finding_of(found: DuplicateVersion, detector: str, prefix: str) -> Finding:
    """The finding for one version with two writers."""
    evidence = _evidence(found)
    record, who = evidence["record"], [write["agent"] or "an unnamed writer" for write in evidence["writes"]]
    writers = f"{who[0]} and {who[1]}" if who[0] != who[1] else f"{who[0]} both times"
    second = found.writes[1]
    return Finding(
        detector=detector,
        anomaly="duplicate_version",
        grade=found.grade,
        severity=severity_of(found.grade),
        run_id=found.run,
        workflow="",
        subject=record,
        title=f"version {found.version} of {record} was made by {len(found.writes)} writes ({writers})",
        explanation=Explanation(
            let=tuple(
                f"Write {n} of {record}@{found.version}, by {name}, is {write['status']}."
                for n, (name, write) in enumerate(zip(who, evidence["writes"], strict=True), start=1)
            ),
            then=("No retry links them: they share neither a logical call nor an idempotency key.",),
            however="A version names one state: who reads it cannot tell whose write it got, and one may be lost.",
        ),
        spans=tuple(SpanRef(write["trace_id"], write["span_id"], write["role"]) for write in evidence["writes"]),
        signature=(found.store, stable_name(found.key)),
        prefix=prefix,
        evidence=evidence,
        source=Source(second["code_file"], second["code_line"])
        if second["code_file"] and second["code_line"] is not None
        else None,
        occurred_ns=second["start_ns"],
    )


def _evidence(found: DuplicateVersion) -> dict[str, Any]:
    return {
        "record": f"{found.store}/{found.key}",
        "version": found.version,
        "writes": [
            {
                "role": role_of(place),
                "trace_id": write["trace_id"],
                "span_id": write["span_id"],
                "agent": write["agent"],
                "status": write["write_status"],
                "parents": list(write["parents"]),
                "digest": write["digest"],
                "started_at": ""
                if write["clock"] == "synthetic"
                else datetime.fromtimestamp(write["start_ns"] / 1e9, timezone.utc).isoformat().replace("+00:00", "Z"),
            }
            for place, write in enumerate(found.writes)
        ],
    }
