"""What the parts of this detector hand to its text: one thing that is missing, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.analyzers.finding import Grade


@dataclass(frozen=True)
class Shortfall:
    """One defect before it is put into words.

    `spans`: rows and the parts they play, the most telling first; `facts`: JSON-able, what the finding page draws and
    `words` renders; `doubts`: why it is not proved; `explains`: rows of spans whose own failure or silence is this
    defect, so that no other part reports them again.
    """

    anomaly: str
    grade: Grade
    run: str
    subject: str
    signature: tuple[str, ...]
    spans: tuple[tuple[int, str], ...]
    facts: Mapping[str, Any]
    doubts: tuple[str, ...] = ()
    harmful: bool = True
    explains: frozenset[int] = field(default_factory=frozenset)


@dataclass
class Judged:
    """What a part of this detector says: defects, what it could not judge (run, reason), and how much it could."""

    found: list[Shortfall] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    judged: int = 0

    @property
    def explains(self) -> frozenset[int]:
        """The rows that its defects stand for."""
        return frozenset(row for shortfall in self.found for row in shortfall.explains)


def proved(doubts: tuple[str, ...]) -> Grade:
    """`definite` without a doubt."""
    return "possible" if doubts else "definite"
