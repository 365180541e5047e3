"""Findings by defect: the groups that the overview, the findings page and the page of one defect show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from driftline.web.queries import Reader
from driftline.web.sparkline import Buckets

_ANY = {"workflow": "", "severity": "", "detector": "", "anomaly": "", "grade": "", "id": "", "text": ""}


@dataclass(frozen=True)
class Group:
    """One defect: in how many runs it was found, out of how many of its workflow, and when.

    Title, subject and `shown_run` are those of its worst finding, of several the latest.
    """

    id: str
    detector: str
    anomaly: str
    severity: str
    grade: str
    workflow: str
    title: str
    subject: str
    shown_run: str
    runs: int
    of_runs: int
    occurrences: int
    first_at: datetime
    last_at: datetime
    trend: tuple[int, ...]

    @property
    def rate(self) -> float:
        """The share of the workflow's runs that have it."""
        return self.runs / self.of_runs if self.of_runs else 0.0


@dataclass(frozen=True)
class Workflow:
    """The analysed runs of one workflow; `failing` have a proved finding, `doubtful` only unproved ones."""

    name: str
    runs: int
    failing: int
    doubtful: int
    incomplete: int
    open: int
    spans: int
    first_at: datetime
    last_at: datetime
    last_span: datetime


def load_workflows(reader: Reader, since: str) -> tuple[Workflow, ...]:
    """The workflows with runs since *since*, most runs first."""
    rows = reader.rows("overview_runs", since=since)
    return tuple(Workflow(name=row.pop("workflow"), **row) for row in rows)


def buckets_of(workflows: tuple[Workflow, ...]) -> Buckets:
    """Stretches of time over all runs of *workflows*, for trends."""
    return Buckets.over(
        min((each.first_at for each in workflows), default=None),
        max((each.last_at for each in workflows), default=None),
    )


def load_groups(
    reader: Reader, since: str, workflows: tuple[Workflow, ...], buckets: Buckets, **filters: Any
) -> tuple[Group, ...]:
    """The defects found since *since* that match *filters* (see `finding_groups.sql`), worst first."""
    of_runs = {each.name: each.runs for each in workflows}
    rows = reader.rows("finding_groups", since=since, start=buckets.start, step=buckets.step, **{**_ANY, **filters})
    return tuple(
        Group(
            **{key: value for key, value in row.items() if key not in ("fingerprint", "trend")},
            id=row["fingerprint"],
            of_runs=of_runs.get(row["workflow"], row["runs"]),
            trend=buckets.fill(row["trend"]),
        )
        for row in rows
    )
