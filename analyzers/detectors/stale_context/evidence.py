"""From a stale touch to a finding: the evidence as data, which the text is then drawn from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from driftline.analyzers.detectors.stale_context.words import explanation, title
from driftline.analyzers.finding import Finding, Source, SpanRef, severity_of, stable_name
from driftline.analyzers.memory_history import KEY, MemoryHistory

if TYPE_CHECKING:
    from driftline.analyzers.detectors.stale_context.stale import Stale
    from driftline.analyzers.order import Hop
    from driftline.analyzers.record import Record

# Versions around the two in question, and readers of one version, that are kept as evidence.
_AROUND, _READERS = 20, 20

_BECAUSE = {
    "H1": "one process did both, in this order",
    "H2": "a span begins before its children",
    "H3": "the first had ended when their common caller went on",
    "H4": "a message is sent before it is received",
    "H5": "a version is written before it is read",
    "H6": "a version is written before what is derived from it",
    "link": "a linked span begins before the linking one ends",
}
_DID = {"read": "read", "search": "found", "write": "wrote", "delete": "deleted"}


def finding_of(spans: Spans, stale: Stale, others: list[Stale]) -> Finding:
    """The finding for *stale*, with *others* as further occurrences."""
    touch, newer = stale.touch, stale.witness.newer
    evidence = _evidence(spans, stale)
    row = touch.row
    file, line = spans.at(row, "code_file"), spans.at(row, "code_line")
    return Finding(
        detector="stale_context",
        anomaly=stale.anomaly,
        grade=stale.grade,
        severity=severity_of(stale.grade, harmful=not touch.undone),
        run_id=spans.at(row, "run"),
        workflow="",
        subject=f"{stale.lineage.store}/{stale.lineage.key}",
        title=title(stale.anomaly, evidence),
        explanation=explanation(evidence),
        spans=tuple(spans.ref(place, role) for place, role in _roles(stale).items()),
        signature=(
            spans.who(row),
            spans.who(newer.row),
            stable_name(f"{stale.lineage.store}/{stale.lineage.key}"),
            spans.at(row, "tool"),
        ),
        prefix="SC",
        evidence=evidence,
        margin_ms=stale.witness.margin_ms,
        source=Source(file, line) if file and line else None,
        occurred_ns=spans.at(row, "start_ns"),
        occurrences=tuple(
            (
                spans.at(other.touch.row, "run"),
                tuple(spans.ref(place, role) for place, role in _roles(other).items()),
            )
            for other in others
        ),
    )


class Spans:
    """Look-ups in the record, for the few spans that the findings name."""

    def __init__(self, record: Record, history: MemoryHistory) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._record, self._history = record, history
        self._op_rows = history.ops["row"].to_numpy()
        self._ops = [history.ops[column].to_list() for column in ("op", "store", "key", "version")]

    def at(self, row: int, column: str) -> Any:
        """What a span says in *column* of `Record.spans`."""
        if column not in self._columns:
            self._columns[column] = self._record.spans[column].to_list()
        return self._columns[column][row]

    def ref(self, row: int, role: str) -> SpanRef:
        return SpanRef(self.at(row, "trace_id"), self.at(row, "span_id"), role)

    def who(self, row: int) -> str:
        agent, service = self.at(row, "agent"), self.at(row, "service")
        return str(agent or (f"a span of service {service}" if service else "a span"))

    def place(self, row: int, what: str = "") -> dict[str, Any]:
        found = {"trace_id": self.at(row, "trace_id"), "span_id": self.at(row, "span_id"), "agent": self.who(row)}
        return {**found, "what": what} if what else found

    def what(self, row: int) -> str:
        """What a span did, in words."""
        first, last = np.searchsorted(self._op_rows, [row, row + 1])
        if first < last:
            op, store, key, version = self._ops
            places = range(first, min(last, first + 3))
            said = ", ".join(f"{store[place]}/{key[place]}@{version[place]}" for place in places)
            return f"{self.who(row)} {_DID[op[first]]} {said}{', …' if last - first > 3 else ''}"
        kind, name = self.at(row, "kind"), self.at(row, "name")
        agent = self.at(row, "agent")
        if kind in ("send", "process"):
            verb = "sent a message to" if kind == "send" else "took a message from"
            # A receipt mostly lies outside of any agent's turn: then the service is who did it.
            who = agent or self.at(row, "service") or self.who(row)
            return f"{who} {verb} {self.at(row, 'destination')}"
        if kind == "agent":
            return f"the turn of {self.who(row)}"
        return f"{agent}'s {name}" if agent else str(name)

    def reads_of(self, stale: Stale, version: str) -> list[int]:
        """The rows of the reads that returned *version* of the key in question."""
        return self._readers.get((*stale.touch.key, version), [])

    @cached_property
    def _readers(self) -> dict[tuple[str, ...], list[int]]:
        rows = self._history.reads.group_by(*KEY, "version", maintain_order=True).agg(
            pl.col("row").unique(maintain_order=True)
        )
        return {tuple(version): found for *version, found in rows.iter_rows()}

    def clock(self, row: int) -> bool:
        return bool(self.at(row, "clock") != "synthetic")


def _roles(stale: Stale) -> dict[int, str]:
    """The spans of a finding, each with the part it plays."""
    touch, witness = stale.touch, stale.witness
    roles = {touch.row: "effect" if touch.how == "effect" else "reader", witness.newer.row: "newer_write"}
    if witness.earlier_read is not None:
        roles.setdefault(witness.earlier_read, "earlier_read")
    for hop in witness.path:
        if hop.rule == "H4":
            roles.setdefault(hop.from_row, "message_send")
            roles.setdefault(hop.to_row, "message_receive")
    for write in stale.lineage.producers(touch.version)[:1]:
        roles.setdefault(write.row, "observed_write")
    return roles


def _evidence(spans: Spans, stale: Stale) -> dict[str, Any]:
    touch, newer, lineage = stale.touch, stale.witness.newer, stale.lineage
    agent = spans.at(touch.row, "agent_instance")
    evidence: dict[str, Any] = {
        "key": {"store": lineage.store, "key": lineage.key},
        "how": touch.how,
        "observed": touch.version,
        "newer": newer.version,
        "deleted": newer.tombstone,
        "versions_behind": lineage.distance(touch.version, newer.version),
        "reader": spans.who(touch.row),
        "writer": spans.who(newer.row),
        "own": bool(agent) and agent == spans.at(newer.row, "agent_instance"),
        "call": spans.at(touch.row, "tool") or spans.at(touch.row, "step_name") or spans.at(touch.row, "name"),
        "touch": spans.place(touch.row, spans.what(touch.row)),
        "write": spans.place(newer.row, spans.what(newer.row)),
        "versions": _versions(spans, stale),
        "path": [_hop(spans, hop) for hop in stale.witness.path],
        "margin_ms": stale.witness.margin_ms,
        "bound_ms": stale.witness.bound_ms,
        "doubts": list(stale.doubts),
        "undone": touch.undone,
    }
    if touch.how == "effect" and spans.clock(touch.row) and spans.clock(newer.row):
        evidence["window"] = _window(spans, stale)
    return evidence


def _hop(spans: Spans, hop: Hop) -> dict[str, Any]:
    return {
        "rule": hop.rule,
        "from": spans.place(hop.from_row, spans.what(hop.from_row)),
        "to": spans.place(hop.to_row, spans.what(hop.to_row)),
        "because": _BECAUSE[hop.rule],
    }


def _versions(spans: Spans, stale: Stale) -> list[dict[str, Any]]:
    """The versions of the key, ancestors first; of a long history those around the two in question."""
    touch, newer, lineage = stale.touch, stale.witness.newer, stale.lineage
    ordered = list(lineage.ordered)
    if touch.version not in ordered:
        ordered.insert(0, touch.version)
    asked = [ordered.index(touch.version), ordered.index(newer.version)]
    shown = [v for n, v in enumerate(ordered) if min(abs(n - place) for place in asked) <= _AROUND]
    roles = {touch.version: "observed", newer.version: "newer"}
    found = []
    for version in shown:
        writes = lineage.producers(version)
        found.append(
            {
                "version": version,
                "parents": list(writes[0].parents) if writes else [],
                "writer": spans.place(writes[0].row) if writes else None,
                "status": writes[0].status if writes else "",
                "tombstone": bool(writes and writes[0].tombstone),
                "read_by": [spans.place(row) for row in spans.reads_of(stale, version)[:_READERS]],
                "role": roles.get(version, ""),
            }
        )
    return found


def _window(spans: Spans, stale: Stale) -> dict[str, Any]:
    """The time between check and use: from the reader's own read of the version, if recorded, to the effect."""
    row, acted = stale.touch.row, spans.at(stale.touch.row, "start_ns")
    window: dict[str, Any] = {"replaced_ns": spans.at(stale.witness.newer.row, "end_ns"), "acted_ns": acted}
    agent = spans.at(row, "agent_instance")
    read = [
        spans.at(other, "end_ns")
        for other in spans.reads_of(stale, stale.touch.version)
        if spans.at(other, "agent_instance") == agent and spans.at(other, "end_ns") <= acted
    ]
    if read:
        window["read_ns"] = max(read)
        window["length_ms"] = round((acted - window["read_ns"]) / 1e6, 3)
    return window
