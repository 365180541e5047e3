"""Acting or reading on a version although a newer one was knowable.

What: a read returned version u of a key, or an effect was based on u, although a committed write of u', u << u', came
before it by happens-before: along the program order of a process, a message, or a version somebody read.

Why: agents decide on what they remember. Two agents that remember different plans do not act as one system.

Evidence and grades: `definite` needs native version ids, committed writes, recorded lineage (or store ordinals) and a
path of H1 to H6. An effect after a newer write by the clocks of one host, or within a stated skew, is
`definite_within_skew`. Other version kinds, blind writes, unknown outcomes and spans whose unit of work is uncertain
give `possible`, each with its doubt. Lost spans can hide such a finding; they cannot make one.

Limits: reads without versions are counted and not judged. Inside one unit of work it is split_state's matter. A
program that reads an old version on purpose looks the same as one that does not know better. More in
docs/detectors/stale_context.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from driftline.analyzers.detector import Detector
from driftline.analyzers.detectors.stale_context.causes import one_a_cause
from driftline.analyzers.detectors.stale_context.evidence import Spans, finding_of
from driftline.analyzers.detectors.stale_context.judge import Judge
from driftline.analyzers.detectors.stale_context.touches import touches, unversioned, without_key
from driftline.analyzers.finding import NotChecked, Verdict
from driftline.analyzers.lineage import lineages
from driftline.analyzers.memory_history import MemoryHistory, ordered_versions
from driftline.analyzers.order import HappensBefore
from driftline.analyzers.order_edges import named_by_id

if TYPE_CHECKING:
    from driftline.analyzers.config import Config
    from driftline.analyzers.detectors.stale_context.stale import Stale
    from driftline.analyzers.record import Record

_NAME = "stale_context"


def analyse(record: Record, config: Config) -> Verdict:
    """Judge a record: every read, derivation and effect that touched a version."""
    history = MemoryHistory(record)
    keyless = _counted(without_key(record), "memory read", "named no key (driftline.memory.keys)")
    if history.ops.is_empty():
        return Verdict(not_checked=tuple(keyless))
    order = HappensBefore(record, history)
    found, uses, unjudged = _judged(record, config, history, order)
    if named_by_id(record.spans):
        proved = {(stale.touch.row, stale.touch.key) for stale in found}
        likely, _, more = _judged(record, config, history, HappensBefore(record, history, by_message_id=True))
        found += [stale for stale in likely if (stale.touch.row, stale.touch.key) not in proved]
        unjudged |= more
    kept = one_a_cause(record, order, found)
    spans = Spans(record, history)
    return Verdict(
        findings=tuple(finding_of(spans, stale, others) for stale, others in kept),
        not_checked=(
            *keyless,
            *_counted(unversioned(history), "memory read", "carried no version that orders anything"),
            *_counted(
                uses.filter(pl.col("version") == "").group_by("run").len(),
                "effect",
                "used a record whose version is unknown",
            ),
            *(NotChecked(_NAME, reason, run) for reason, run in sorted(unjudged)),
        ),
        judged=history.reads.filter(ordered_versions()).height + uses.filter(pl.col("version") != "").height,
    )


def _judged(
    record: Record, config: Config, history: MemoryHistory, order: HappensBefore
) -> tuple[list[Stale], pl.DataFrame, set[tuple[str, str]]]:
    """What is stale by *order*, what effects used, and what could not be judged."""
    late, uses = touches(record, config, history, order)
    judge = Judge(record, config, history, order, lineages(history, {touch.key for touch in late}))
    return judge.judge(late), uses, judge.unjudged


def _counted(by_run: pl.DataFrame, what: str, why: str) -> list[NotChecked]:
    return [
        NotChecked(_NAME, f"{count} {what}{'s' if count > 1 else ''} {why}", run)
        for run, count in by_run.select("run", "len").sort("run").iter_rows()
    ]


DETECTOR = Detector(
    name=_NAME,
    prefix="SC",
    anomalies={
        "handoff_stale": "read an old version although a message sent after the newer write had reached the reader",
        "read_your_writes": "an agent read a version older than one it had written itself",
        "monotonic_reads": "an agent read a version older than one it had read before",
        "monotonic_writes": "an agent's later write was seen, and then the state before its earlier one",
        "writes_follow_reads": "a write was seen, and then the state before what its writer had read",
        "causal_stale_read": "read an old version although the newer write came first on another causal path",
        "resurrected_memory": "a deleted version was read or derived from after its tombstone",
        "stale_effect": "an effect was based on a version that had been replaced before the effect began",
    },
    analyse=analyse,
)
