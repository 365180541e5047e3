"""From a judged touch to a finding: evidence as data first, then the sentence drawn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from driftline.analyzers.finding import Explanation, Finding, Source, SpanRef, severity_of, stable_name
from driftline.analyzers.lineage import INIT, Lineage
from driftline.analyzers.order import Hop

if TYPE_CHECKING:
    from driftline.analyzers.detectors.stale_context.judge import Stale
    from driftline.analyzers.record import Record

_BECAUSE = {
    "H1": "they follow each other in one process",
    "H2": "a span begins before its children",
    "H4": "a message is sent before it is received",
    "H5": "a version is written before it is read",
    "H6": "a version is written before what is derived from it",
    "link": "a linked span begins before the linking one ends",
    "": "an operation takes effect between its start and its end",
}


def finding_of(record: Record, lineage: Lineage, stale: Stale, others: list[Stale]) -> Finding:
    """The finding for *stale*, with *others* as further occurrences."""
    spans = _Spans(record)
    touch, newer = stale.touch, stale.newer
    subject = f"{touch.store}/{touch.key}"
    agent = spans.who(touch.row)
    refs = [spans.ref(touch.row, "effect" if touch.how == "effect" else "reader"), spans.ref(newer.row, "newer_write")]
    refs += [spans.ref(write.row, "observed_write") for write in lineage.producers(touch.version)[:1]]
    if stale.earlier_read is not None:
        refs.append(spans.ref(stale.earlier_read, "earlier_read"))
    for hop in stale.path:
        if hop.rule == "H4":
            refs += [spans.ref(hop.from_row, "message_send"), spans.ref(hop.to_row, "message_receive")]
    file, line = spans.at(touch.row, "code_file"), spans.at(touch.row, "code_line")
    return Finding(
        detector="stale_context",
        anomaly=stale.anomaly,
        grade=stale.grade,
        severity=severity_of(stale.grade),
        run_id=spans.at(touch.row, "run"),
        workflow="",
        subject=subject,
        title=_title(spans, lineage, stale),
        explanation=_explanation(spans, lineage, stale),
        spans=tuple(refs),
        signature=(agent, spans.who(newer.row), stable_name(subject), spans.at(touch.row, "tool")),
        prefix="SC",
        evidence=_evidence(spans, lineage, stale),
        margin_ms=stale.margin_ms,
        source=Source(file, line) if file and line else None,
        occurred_ns=spans.at(touch.row, "start_ns"),
        occurrences=tuple(
            (
                spans.at(other.touch.row, "run"),
                (spans.ref(other.touch.row, "reader"), spans.ref(other.newer.row, "newer_write")),
            )
            for other in others
        ),
    )


class _Spans:
    """Look-ups in the record's spans, for the few that a finding names."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def at(self, row: int, column: str) -> Any:
        return self._record.spans[column][row]

    def ref(self, row: int, role: str) -> SpanRef:
        return SpanRef(self.at(row, "trace_id"), self.at(row, "span_id"), role)

    def who(self, row: int) -> str:
        return str(self.at(row, "agent") or self.at(row, "service") or "somebody")

    def what(self, row: int) -> str:
        ops = self._record.memory.filter(pl.col("row") == row)
        if ops.height:
            word = {"read": "read", "search": "found", "write": "wrote", "delete": "deleted"}[ops["op"][0]]
            return f"{self.who(row)} {word} {ops['store'][0]}/{ops['key'][0]}@{ops['version'][0]}"
        return f"{self.who(row)}: {self.at(row, 'name')}"

    def readers(self, lineage: Lineage, version: str) -> list[int]:
        ops = self._record.memory.filter(
            pl.col("op").is_in(["read", "search"])
            & (pl.col("store") == lineage.store)
            & (pl.col("key") == lineage.key)
            & (pl.col("version") == version)
        )
        return ops["row"].to_list()[:20]


def _title(spans: _Spans, lineage: Lineage, stale: Stale) -> str:
    touch, newer = stale.touch, stale.newer
    who, writer = spans.who(touch.row), spans.who(newer.row)
    old = "before anything was written to it" if touch.version == INIT else f"at {touch.version}"
    name = f"{touch.store}/{touch.key}"
    if stale.anomaly == "stale_effect":
        call = spans.at(touch.row, "tool") or spans.at(touch.row, "step_name") or spans.at(touch.row, "name")
        return f"{who} ran {call} on {name}@{touch.version} after {writer} had replaced it by {newer.version}"
    if stale.anomaly == "resurrected_memory":
        verb = "derived a new version from" if touch.how == "derived" else "read"
        return f"{who} {verb} {name}@{touch.version} after {writer} had deleted it"
    reason = {
        "read_your_writes": f"although it had itself written {newer.version}",
        "monotonic_reads": "although it had already read a newer version",
        "handoff_stale": f"although {writer}'s {newer.version} had come before the message that reached it",
        "monotonic_writes": f"although it had seen a later write of {writer}, who had written {newer.version} first",
        "writes_follow_reads": f"although it had seen a write made in knowledge of {newer.version}",
        "causal_stale_read": f"although {writer} had written {newer.version} before",
    }[stale.anomaly]
    return f"{who} read {name} {old} {reason}"


def _explanation(spans: _Spans, lineage: Lineage, stale: Stale) -> Explanation:
    touch, newer = stale.touch, stale.newer
    let = [
        f"W = {spans.what(newer.row)}" + (f", derived from {', '.join(newer.parents)}" if newer.parents else ""),
        f"{'X' if touch.how == 'effect' else 'R'} = {spans.what(touch.row)}"
        + (f", based on {touch.store}/{touch.key}@{touch.version}" if touch.how != "read" else ""),
    ]
    label = "X" if touch.how == "effect" else "R"
    if stale.path:
        then = [f"{_said(spans, hop)}, because {_BECAUSE[hop.rule]}" for hop in stale.path]
        then.append(f"so W took effect before {label} began")
    else:
        then = [f"W ended {stale.margin_ms} ms, beyond what their clocks may differ, before {label} began"]
    behind = lineage.distance(touch.version, newer.version)
    return Explanation(
        tuple(let),
        tuple(then),
        f"{touch.version} is {behind} version{'s' if behind > 1 else ''} behind {newer.version}, which was there to be known",
    )


def _said(spans: _Spans, hop: Hop) -> str:
    return f"{spans.what(hop.from_row)} before {spans.what(hop.to_row)}"


def _evidence(spans: _Spans, lineage: Lineage, stale: Stale) -> dict[str, Any]:
    touch, newer = stale.touch, stale.newer
    roles = {touch.version: "observed", newer.version: "newer"}
    versions = []
    if touch.version == INIT:
        versions.append(
            {"version": INIT, "parents": [], "writer": None, "read_by": [_place(spans, touch.row)], "role": "observed"}
        )
    for version in lineage.ordered():
        write = lineage.producers(version)[0]
        versions.append(
            {
                "version": version,
                "parents": list(write.parents),
                "writer": _place(spans, write.row),
                "status": write.status,
                "tombstone": write.tombstone,
                "read_by": [_place(spans, row) for row in spans.readers(lineage, version)],
                "role": roles.get(version, ""),
            }
        )
    evidence: dict[str, Any] = {
        "key": {"store": touch.store, "key": touch.key},
        "observed": touch.version,
        "newer": newer.version,
        "versions_behind": lineage.distance(touch.version, newer.version),
        "versions": versions,
        "path": [
            {
                "rule": hop.rule,
                "from": {**_place(spans, hop.from_row), "what": spans.what(hop.from_row)},
                "to": {**_place(spans, hop.to_row), "what": spans.what(hop.to_row)},
                "because": _BECAUSE[hop.rule],
            }
            for hop in stale.path
        ],
    }
    if touch.how == "effect" and "synthetic" not in (spans.at(touch.row, "clock"), spans.at(newer.row, "clock")):
        evidence["window"] = {
            "replaced_ns": spans.at(newer.row, "end_ns"),
            "acted_ns": spans.at(touch.row, "start_ns"),
        }
    return evidence


def _place(spans: _Spans, row: int) -> dict[str, Any]:
    return {"trace_id": spans.at(row, "trace_id"), "span_id": spans.at(row, "span_id"), "agent": spans.who(row)}
