"""What the parts of this detector hand to its text: executions, their parts in the defect, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.analyzers.detectors.duplicate_effect.executions import Execution
from driftline.analyzers.finding import Grade, Severity


@dataclass(frozen=True)
class Suspicion:
    """One defect before it is put into words.

    `live`: the executions whose effects stand (or may stand), in order; `aside`: members of the same group that were
    undone, refused or failed; `undone`: row of a member -> its compensation; `same_by`: call, key, arguments or intent;
    `doubts`: why it is not proved; `severity`: where it is not the one that goes with the grade.
    """

    anomaly: str
    grade: Grade
    run: str
    live: tuple[Execution, ...]
    same_by: str
    aside: tuple[Execution, ...] = ()
    undone: Mapping[int, Execution] = field(default_factory=dict)
    intent: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    severity: Severity | None = None

    @property
    def chain(self) -> list[Execution]:
        """Every execution the story needs, in order: live, undone and refused ones, and the compensations."""
        members = {e.row: e for e in (*self.live, *self.aside, *self.undone.values())}
        return sorted(members.values(), key=lambda e: e.order)
