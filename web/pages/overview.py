"""The first page: is anything wrong, what, how often, and what could not be judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from driftline.web import params
from driftline.web.findings_index import Group, Workflow, buckets_of, load_groups, load_workflows
from driftline.web.formats import number, plural
from driftline.web.ingest import Fact, facts
from driftline.web.page import counters_of, reader_of, show

router = APIRouter()


@dataclass(frozen=True)
class Verdict:
    """The answer in one sentence. `tone`: fail, warn, ok, unknown, empty."""

    tone: str
    sentence: str
    aside: str


@dataclass(frozen=True)
class NotJudged:
    """Something that could not be judged; `runs` 0 = it is about the whole record."""

    reason: str
    detectors: tuple[str, ...]
    runs: int


@dataclass(frozen=True)
class Ingest:
    """What arrived: spans and bytes in the store, the last span, the collector's own counters, raw and in words."""

    spans: int
    bytes: int
    last_span: datetime | None
    counters: Mapping[str, Any]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class OverviewPage:
    """Context of `overview.html`."""

    since: str
    verdict: Verdict
    runs: int
    workflows: tuple[Workflow, ...]
    groups: tuple[Group, ...]
    notes: tuple[Group, ...]
    bucket: str
    bucket_start: datetime
    not_judged: tuple[NotJudged, ...]
    ingest: Ingest
    endpoint: str


@router.get("/", include_in_schema=False)
@router.get("/overview.json")
def overview(request: Request) -> Response:
    """Everything at a glance; teaches how to send a first span while there is none."""
    params.expect_only(request, ["since"])
    name, since = params.since(request)
    reader = reader_of(request)
    workflows = load_workflows(reader, since)
    buckets = buckets_of(workflows)
    found = load_groups(reader, since, workflows, buckets)
    stored = reader.rows("ingest")[0]
    counters = counters_of(request)
    ingest = Ingest(
        spans=int(stored["spans"] or 0),
        bytes=int(stored["bytes"] or 0),
        last_span=max((each.last_span for each in workflows), default=None),
        counters=counters,
        facts=facts(counters),
    )
    runs = sum(each.runs for each in workflows)
    page = OverviewPage(
        since=name,
        verdict=_verdict(workflows, found, ingest),
        runs=runs,
        workflows=workflows,
        groups=tuple(group for group in found if group.severity != "info"),
        notes=tuple(group for group in found if group.severity == "info"),
        bucket=buckets.label,
        bucket_start=buckets.begins(0),
        not_judged=tuple(
            NotJudged(row["reason"], tuple(row["detectors"]), row["runs"])
            for row in reader.rows("overview_not_checked", since=since)
        ),
        ingest=ingest,
        endpoint=_endpoint(request),
    )
    return show(request, "overview.html", page, reader)


def _verdict(workflows: tuple[Workflow, ...], groups: tuple[Group, ...], ingest: Ingest) -> Verdict:
    runs = sum(each.runs for each in workflows)
    failing = sum(each.failing for each in workflows)
    doubtful = sum(each.doubtful for each in workflows)
    if not runs:
        if ingest.spans:
            return Verdict(
                "unknown", "Spans have arrived; no run has been judged yet.", "A run is judged when it goes quiet."
            )
        return Verdict("empty", "No spans yet.", "")
    looked_at = f"of {plural(runs, 'run')}"
    proved = sum(group.severity == "error" for group in groups)
    maybe = sum(group.severity == "warning" for group in groups)
    if failing:
        aside = f"{plural(proved, 'defect')} proved" + (f", {number(maybe)} more possible" if maybe else "") + "."
        return Verdict("fail", f"{number(failing)} {looked_at} went wrong, with proof.", aside)
    if doubtful:
        return Verdict(
            "warn",
            f"{number(doubtful)} {looked_at} may have gone wrong.",
            f"{plural(maybe, 'possible defect')}, none proved.",
        )
    incomplete = sum(each.incomplete for each in workflows)
    aside = f"{plural(incomplete, 'recording')} not whole: what is missing could hide something." if incomplete else ""
    return Verdict("ok", f"Nothing wrong was found in {plural(runs, 'run')}.", aside)


def _endpoint(request: Request) -> str:
    """Where a program sends its spans to, as far as this server knows: the OTLP port of the same host."""
    return f"{request.url.scheme}://{request.url.hostname or 'localhost'}:4318"
