"""Findings by defect, and one defect with all its occurrences."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from driftline.analyzers.finding import GRADES, SEVERITIES
from driftline.web import params
from driftline.web.findings_index import Group, buckets_of, load_groups, load_workflows
from driftline.web.page import Trouble, reader_of, show, url
from driftline.web.words import anomaly_meaning

router = APIRouter()

PAGE_SIZE = 100
_EARLIEST = "1970-01-01 00:00:00"


@dataclass(frozen=True)
class FindingsPage:
    """Context of `findings.html`."""

    groups: tuple[Group, ...]
    filters: dict[str, str]
    bucket: str
    bucket_start: datetime
    workflows: tuple[str, ...] = field(metadata={"json": False})

    def address(self, **changes: object) -> str:
        """This page's address with *changes* to its filters."""
        state = {**self.filters, **changes}
        return url("findings", **{k: v for k, v in state.items() if (k, v) != ("since", "all")})


@dataclass(frozen=True)
class GroupPage:
    """Context of `group.html`."""

    group: Group
    meaning: str
    bucket: str
    bucket_start: datetime
    occurrences: tuple[dict[str, Any], ...]
    number: int
    pages: int


@router.get("/findings")
@router.get("/findings.json")
def findings(request: Request) -> Response:
    """The defects that match the filters, worst first."""
    params.expect_only(request, ["since", "workflow", "severity", "grade", "detector", "anomaly", "text"])
    window, since = params.since(request)
    filters = {
        "since": window,
        "workflow": params.text(request, "workflow"),
        "severity": params.choice(request, "severity", SEVERITIES),
        "grade": params.choice(request, "grade", GRADES),
        "detector": params.text(request, "detector"),
        "anomaly": params.text(request, "anomaly"),
        "text": params.text(request, "text"),
    }
    reader = reader_of(request)
    workflows = load_workflows(reader, since)
    buckets = buckets_of(workflows)
    groups = load_groups(reader, since, workflows, buckets, **{k: v for k, v in filters.items() if k != "since"})
    names = tuple(sorted(each.name for each in workflows))
    page = FindingsPage(groups, filters, buckets.label, buckets.begins(0), names)
    return show(request, "findings.html", page, reader)


@router.get("/findings/{fingerprint}")
@router.get("/findings/{fingerprint}.json")
def group(request: Request, fingerprint: str) -> Response:
    """One defect: what it is, how often, and each run it was found in."""
    params.expect_only(request, ["page"])
    number = params.whole(request, "page", 1, 1, 100_000)
    reader = reader_of(request)
    workflows = load_workflows(reader, _EARLIEST)
    buckets = buckets_of(workflows)
    found = load_groups(reader, _EARLIEST, workflows, buckets, id=fingerprint)
    if not found:
        raise Trouble(
            404,
            "No such finding",
            f"Nothing with the id {fingerprint} is in this store.",
            "A finding that a later analysis no longer makes is withdrawn. The list of findings has what stands now.",
        )
    only = found[0]
    occurrences = reader.rows("group_occurrences", id=fingerprint, limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE)
    page = GroupPage(
        group=only,
        meaning=anomaly_meaning(only.detector, only.anomaly),
        bucket=buckets.label,
        bucket_start=buckets.begins(0),
        occurrences=tuple(occurrences),
        number=number,
        pages=max(1, -(-only.occurrences // PAGE_SIZE)),
    )
    return show(request, "group.html", page, reader)
