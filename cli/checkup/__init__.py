"""What `driftline doctor` looks at: one module a part, each yields what it saw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Observation:
    """One thing looked at. *state*: ok, note or bad; *mend*: what to do about it."""

    state: str
    what: str
    mend: str = ""
