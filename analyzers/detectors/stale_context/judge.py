"""Decides each touch of an old version: was the newer one knowable, and what is that called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from driftline.analyzers.detectors.stale_context.explain import finding_of
from driftline.analyzers.detectors.stale_context.touches import Touch, touches, unversioned
from driftline.analyzers.finding import Grade, NotChecked, Verdict
from driftline.analyzers.lineage import Lineage, Write, lineages
from driftline.analyzers.order import EFFECT, START, HappensBefore, Hop, Past

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.record import Record

NAME = "stale_context"
# Most specific first (DETECTORS.md, rulings).
_ORDER = (
    "stale_effect", "resurrected_memory", "handoff_stale", "read_your_writes", "monotonic_reads", "monotonic_writes",
    "writes_follow_reads", "causal_stale_read",
)  # fmt: skip


@dataclass(frozen=True)
class Stale:
    """A touch judged stale: by which newer write, along which path, or by how much margin of clocks."""

    touch: Touch
    newer: Write
    anomaly: str
    grade: Grade
    path: tuple[Hop, ...]
    margin_ms: float | None
    earlier_read: int | None = None


def analyse(record: Record, config: Config) -> Verdict:
    """Judge a record (see the package's docstring)."""
    todo = touches(record, config)
    known = lineages(record.memory, {(touch.store, touch.key) for touch in todo})
    judge = _Judge(record, config, known) if todo else None
    found = [stale for touch in todo if judge and (stale := judge.touch(touch))]
    kept = _one_a_cause(record, found)
    not_checked = [
        NotChecked(NAME, f"{count} memory reads carry no version", run)
        for run, count in unversioned(record.memory).sort("run").iter_rows()
    ]
    if judge:
        not_checked += [
            NotChecked(NAME, "the record contradicts itself about what came first", run)
            for run in sorted(judge.contradicted)
        ]
        not_checked += [
            NotChecked(NAME, "clocks of different hosts are not bounded (--skew), so they order nothing", run)
            for run in sorted(judge.unbounded)
        ]
    judged = record.memory.filter((pl.col("version") != "") & pl.col("op").is_in(["read", "search"])).height
    return Verdict(
        findings=tuple(finding_of(record, known[s.touch.store, s.touch.key], s, others) for s, others in kept),
        not_checked=tuple(not_checked),
        judged=judged + sum(touch.how == "effect" for touch in todo),
    )


class _Judge:
    def __init__(self, record: Record, config: Config, known: dict[tuple[str, str], Lineage]) -> None:
        self._spans = record.spans
        self._memory = record.memory
        self._config = config
        self._known = known
        self._order = HappensBefore(record)
        self._messages = self._order.messages()
        self._past: dict[int, Past] = {}
        self._columns = {
            name: record.spans[name].to_list()
            for name in ("agent_instance", "uow", "run", "proc", "host", "clock", "start_ns", "end_ns", "kind")
        }
        self._uncertain = _broken_chains(record)
        self._read_index: dict[tuple[str, str], list[tuple[int, str]]] | None = None
        self.contradicted: set[str] = set()
        self.unbounded: set[str] = set()

    def touch(self, touch: Touch) -> Stale | None:
        lineage = self._known.get((touch.store, touch.key))
        newer = [w for w in lineage.newer(touch.version) if w.row != touch.row] if lineage else []
        committed = [write for write in newer if write.status == "committed"]
        if not lineage or not committed:
            return None
        past = self._before(touch.row)
        knowable = [write for write in committed if past.holds(write.row, EFFECT)]
        sound = [write for write in knowable if past.sound(write.row, EFFECT)]
        if knowable and not sound:
            self.contradicted.add(self._columns["run"][touch.row])
            return None
        stale = [found for write in sound if (found := self._by_order(touch, write, past, lineage))]
        if stale:
            return min(stale, key=lambda found: (_ORDER.index(found.anomaly), len(found.path), -found.newer.row))
        return self._by_clock(touch, committed) if touch.how == "effect" and not knowable else None

    def _before(self, row: int) -> Past:
        if row not in self._past:
            self._past[row] = self._order.before(row, START)
        return self._past[row]

    def _by_order(self, touch: Touch, write: Write, past: Past, lineage: Lineage) -> Stale | None:
        columns = self._columns
        if touch.how == "derived" and not write.tombstone:
            return None
        if touch.how == "derived" and not lineage.precedes(touch.version, write.version):
            return None
        same_unit = columns["uow"][write.row] == columns["uow"][touch.row]
        if touch.how != "effect" and same_unit:
            return None
        earlier = self._earlier_read(touch, lineage, past) if touch.how == "read" else None
        if earlier is not None and columns["uow"][earlier] == columns["uow"][touch.row]:
            return None
        path = tuple(past.path(write.row, EFFECT))
        anomaly = self._name(touch, write, past, path, earlier)
        native = touch.native and write.native
        single = len(lineage.producers(write.version)) == 1 and len(lineage.producers(touch.version)) <= 1
        witnesses = [touch.row, write.row, *([earlier] if earlier is not None else [])]
        certain = touch.how == "effect" or not any(self._uncertain[row] for row in witnesses)
        grade: Grade = "definite" if native and single and touch.sure and certain else "possible"
        shown = earlier if anomaly == "monotonic_reads" else None
        return Stale(touch, write, anomaly, grade, path, None, shown)

    def _name(self, touch: Touch, write: Write, past: Past, path: tuple[Hop, ...], earlier: int | None) -> str:
        if touch.how == "effect":
            return "stale_effect"
        if write.tombstone:
            return "resurrected_memory"
        sessions = self._columns["agent_instance"]
        mine = sessions[touch.row]
        if mine and sessions[write.row] == mine:
            return "read_your_writes"
        if self._through_message(write.row, past):
            return "handoff_stale"
        if earlier is not None:
            return "monotonic_reads"
        return self._by_path(path)

    def _by_path(self, path: tuple[Hop, ...]) -> str:
        """The session guarantee a path of program order and reads-from breaks (Terry et al. 1994)."""
        seen = [hop for hop in path if hop.rule == "H5"]
        if len(seen) > 1:
            return "writes_follow_reads"
        if seen and path[0].rule == "H1":
            first, last = path[0].from_row, seen[0].from_row
            sessions = self._columns["agent_instance"]
            if first != last and sessions[first] and sessions[first] == sessions[last]:
                return "monotonic_writes"
        return "causal_stale_read"

    def _through_message(self, writer: int, past: Past) -> bool:
        """Whether some hand-off lies between the write and us."""
        return any(
            past.holds(received, START) and self._before(sent).holds(writer, EFFECT)
            for sent, received in self._messages
        )

    def _earlier_read(self, touch: Touch, lineage: Lineage, past: Past) -> int | None:
        """The last read by the same agent, before this one, that had already returned a newer version."""
        session = self._columns["agent_instance"][touch.row]
        if not session:
            return None
        if self._read_index is None:
            self._read_index = {}
            reads = self._memory.filter(pl.col("op").is_in(["read", "search"]) & ~pl.col("failed"))
            for store, key, row, version in reads.select("store", "key", "row", "version").iter_rows():
                self._read_index.setdefault((store, key), []).append((row, version))
        found = [
            row
            for row, version in self._read_index.get((touch.store, touch.key), [])
            if row != touch.row
            and self._columns["agent_instance"][row] == session
            and lineage.precedes(touch.version, version)
            and past.holds(row, EFFECT)
        ]
        return found[-1] if found else None

    def _by_clock(self, touch: Touch, newer: list[Write]) -> Stale | None:
        columns, best = self._columns, None
        for write in newer:
            if not (touch.native and write.native):
                continue
            bound = self._bound(touch.row, write.row)
            after_ms = (columns["start_ns"][touch.row] - columns["end_ns"][write.row]) / 1e6
            if bound is None:
                if after_ms > 0 and "synthetic" not in (columns["clock"][touch.row], columns["clock"][write.row]):
                    self.unbounded.add(columns["run"][touch.row])
                continue
            if after_ms > bound:
                grade: Grade = "definite_within_skew" if touch.sure else "possible"
                stale = Stale(touch, write, "stale_effect", grade, (), round(after_ms - bound, 3))
                best = stale if best is None or (stale.margin_ms or 0) > (best.margin_ms or 0) else best
        return best

    def _bound(self, row: int, other: int) -> float | None:
        """How far the clocks of two spans may be apart, in ms; None: unknown."""
        columns = self._columns
        if "synthetic" in (columns["clock"][row], columns["clock"][other]):
            return None
        if columns["host"][row] and columns["host"][row] == columns["host"][other]:
            return 0.0
        return self._config.skew_ms


def _broken_chains(record: Record) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Spans whose unit of work is uncertain, because an ancestor is missing from the record."""
    spans = record.spans
    orphan = ((spans["parent_id"] != "") & (spans["parent"] < 0) & (spans["kind"] != "run")).to_numpy()
    named = (spans["said_uow"] != "").to_numpy()
    return (record.tree.nearest(orphan) >= 0) & ~named


def _one_a_cause(record: Record, found: list[Stale]) -> list[tuple[Stale, list[Stale]]]:
    """An effect stands for the reads behind it; of several findings of one agent on one key the most specific stays."""
    sessions, runs = record.spans["agent_instance"].to_list(), record.spans["run"].to_list()
    units = record.spans["uow"].to_list()

    def who(stale: Stale) -> str:
        return str(sessions[stale.touch.row] or units[stale.touch.row])

    acted = {(runs[s.touch.row], who(s), s.touch.store, s.touch.key) for s in found if s.anomaly == "stale_effect"}
    groups: dict[tuple[str, str, str, str, bool], list[Stale]] = {}
    for stale in found:
        key = (runs[stale.touch.row], who(stale), stale.touch.store, stale.touch.key)
        effect = stale.anomaly == "stale_effect"
        if not effect and key in acted:
            continue
        groups.setdefault((*key, effect), []).append(stale)
    kept = []
    for members in groups.values():
        members.sort(key=lambda s: (s.grade != "definite", _ORDER.index(s.anomaly), s.touch.row))
        kept.append((members[0], members[1:]))
    return kept
