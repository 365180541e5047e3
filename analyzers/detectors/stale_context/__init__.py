"""Acting or reading on a version although a newer one was knowable.

What: a read returned version u of a key, or an effect was based on u, although a committed write of u', u << u', came
before it by happens-before: along the program order of a process, a message, or a version somebody read.

Why: agents decide on what they remember. Two agents that remember different plans do not act as one system.

Evidence and grades: `definite` needs native version ids, committed writes, recorded lineage (or store ordinals) and a
path of H1–H6. An effect after a newer write by the clocks of one host, or within a stated skew, is
`definite_within_skew`. Other version kinds, unknown write statuses and spans whose unit of work is uncertain give
`possible`. Lost spans can hide such a finding; they cannot make one.

Limits: reads without versions are counted and not judged. Inside one unit of work it is split_state's matter. A
program that reads an old version on purpose looks the same as one that does not know better.
"""

from __future__ import annotations

from driftline.analyzers.detector import Detector
from driftline.analyzers.detectors.stale_context.judge import analyse

DETECTOR = Detector(
    name="stale_context",
    prefix="SC",
    anomalies={
        "handoff_stale": "read an old version although a message had carried the newer one's effect to the reader",
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
