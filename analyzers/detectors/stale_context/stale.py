"""What the parts of this detector hand to each other: a touch found stale, and why."""

from __future__ import annotations

from dataclasses import dataclass

from driftline.analyzers.detectors.stale_context.touches import Touch
from driftline.analyzers.finding import Grade
from driftline.analyzers.lineage import Lineage, Write
from driftline.analyzers.order import Hop

# Most specific first (DETECTORS.md, rulings).
ANOMALIES = (
    "stale_effect", "resurrected_memory", "handoff_stale", "read_your_writes", "monotonic_reads", "monotonic_writes",
    "writes_follow_reads", "causal_stale_read",
)  # fmt: skip


@dataclass(frozen=True)
class Witness:
    """Why *newer* was knowable: the *path* from its write to the touch, and what that path is called.

    *earlier_read*: the read by which the reader had already seen something newer. Without a path the clocks say so:
    *margin_ms* is what remains when *bound_ms*, by which they may differ, is taken off.
    """

    anomaly: str
    newer: Write
    path: tuple[Hop, ...] = ()
    margin_ms: float | None = None
    bound_ms: float | None = None
    earlier_read: int | None = None


@dataclass(frozen=True)
class Stale:
    """A touch judged stale. *doubts*: why it is not proved (none: `definite`, or within the skew of clocks)."""

    touch: Touch
    lineage: Lineage
    witness: Witness
    doubts: tuple[str, ...] = ()

    @property
    def grade(self) -> Grade:
        """How sure it is."""
        if self.doubts:
            return "possible"
        return "definite" if self.witness.margin_ms is None else "definite_within_skew"

    @property
    def anomaly(self) -> str:
        """What it is called."""
        return self.witness.anomaly
