"""One run: a single waterfall over all its traces and services, its findings marked on the spans."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import polars as pl
from fastapi import APIRouter, Request
from fastapi.responses import Response

from driftline.web import params
from driftline.web.formats import from_nanos
from driftline.web.page import Trouble, reader_of, show
from driftline.web.queries import Reader
from driftline.web.rows import Mark, RowView, describe, rows_by_span
from driftline.web.run_spans import load_run_spans
from driftline.web.span_detail import SpanDetail, load_span
from driftline.web.timeline import Gap, Tick
from driftline.web.waterfall import Waterfall

router = APIRouter()

_MOST_REVEALED = 100


@dataclass(frozen=True)
class RunFinding:
    """A finding of the run, numbered as on the page."""

    number: int
    id: str
    occurrence: str
    detector: str
    anomaly: str
    grade: str
    severity: str
    subject: str
    title: str
    spans: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class RunFacts:
    """The run as a whole. `analysed_at` is None while it has not been judged."""

    run_id: str
    workflow: str
    outcome: str
    status: str
    started_at: datetime
    duration_ns: int | None
    spans: int
    traces: int
    services: tuple[str, ...]
    agents: tuple[str, ...]
    errors: int
    retries: int
    tokens_input: int
    tokens_output: int
    parent_id: str
    conversation_id: str
    service_version: str
    variant: str
    incomplete: tuple[str, ...]
    analysed_at: datetime | None


@dataclass(frozen=True)
class RunPage:
    """Context of `run.html`."""

    run: RunFacts
    synthetic: bool
    findings: tuple[RunFinding, ...]
    not_checked: tuple[tuple[str, str], ...]
    rows: list[RowView]
    ticks: tuple[Tick, ...]
    gaps: tuple[Gap, ...]
    colours: dict[str, int]
    hidden: int
    selected: SpanDetail | None
    selected_key: str
    gone: str = field(default="")


@dataclass(frozen=True)
class RowsPart:
    """Context of `_rows.html`: some more rows of a waterfall."""

    run: Any
    rows: list[RowView]
    selected_key: str = ""


@router.get("/runs/{run_id:path}/rows")
@router.get("/runs/{run_id:path}/rows.json")
def rows(request: Request, run_id: str) -> Response:
    """The rows under one row (`under`, empty = roots), from position `start` on: what expanding fetches."""
    params.expect_only(request, ["under", "start"])
    reader = reader_of(request)
    spans = _spans(reader, run_id)
    findings = _findings(reader, run_id)
    waterfall, marks = _waterfall(spans, findings)
    under = params.text(request, "under")
    if under and under not in waterfall.keys:
        raise Trouble(404, "No such row", f"The run has no row {under}.", "Reload the page: the run may have changed.")
    start = params.whole(request, "start", 0, 0, spans.height)
    found = waterfall.below(waterfall.keys[under] if under else -1, start)
    part = RowsPart(run={"run_id": run_id}, rows=describe(waterfall, found, marks))
    return show(request, "_rows.html", part)


@router.get("/runs/{run_id:path}")
@router.get("/runs/{run_id:path}.json")
def run(request: Request, run_id: str) -> Response:
    """The run page. `span=TRACE-SPAN` opens the way to that span, `open=KEY` one row more."""
    params.expect_only(request, ["span", "open", "finding"])
    reader = reader_of(request)
    spans = _spans(reader, run_id)
    findings = _findings(reader, run_id)
    waterfall, marks = _waterfall(spans, findings)
    wanted = params.text(request, "span")
    opened = params.text(request, "open")
    reveal = sorted(marks)[:_MOST_REVEALED]
    selected, gone = None, ""
    if wanted:
        if wanted in waterfall.keys:
            reveal.append(waterfall.keys[wanted])
            trace_id, _, span_id = wanted.partition("-")
            selected = load_span(reader, trace_id, span_id)
        else:
            gone = wanted
    shown = waterfall.rows(reveal=reveal, opened=[waterfall.keys[opened]] if opened in waterfall.keys else [])
    synthetic = not waterfall.by_time
    page = RunPage(
        run=_facts(reader, run_id, spans, synthetic=synthetic),
        synthetic=synthetic,
        findings=findings,
        not_checked=tuple((row["detector"], row["reason"]) for row in reader.rows("run_not_checked", run=run_id)),
        rows=describe(waterfall, shown, marks),
        ticks=waterfall.timeline.ticks() if not synthetic else (),
        gaps=waterfall.timeline.gaps,
        colours=waterfall.colours,
        hidden=spans.height - sum(1 for row in shown if not row.fold),
        selected=selected,
        selected_key=wanted if selected else "",
        gone=gone,
    )
    return show(request, "run.html", page, reader)


def _spans(reader: Reader, run_id: str) -> pl.DataFrame:
    spans = load_run_spans(reader, run_id)
    if spans.is_empty():
        raise Trouble(
            404,
            "No such run",
            f"The store holds no spans of a run {run_id}.",
            "It may have been deleted by retention, or the id may be cut off. Look for it in the list of runs.",
        )
    return spans


def _findings(reader: Reader, run_id: str) -> tuple[RunFinding, ...]:
    return tuple(
        RunFinding(
            number=number,
            id=row["fingerprint"],
            spans=tuple(json.loads(row["body"]).get("spans", ())),
            **{k: row[k] for k in ("occurrence", "detector", "anomaly", "grade", "severity", "subject", "title")},
        )
        for number, row in enumerate(reader.rows("run_findings", run=run_id), start=1)
    )


def _waterfall(spans: pl.DataFrame, findings: tuple[RunFinding, ...]) -> tuple[Waterfall, dict[int, list[Mark]]]:
    numbers = rows_by_span(spans) if findings else {}
    marks: dict[int, list[Mark]] = {}
    for finding in findings:
        for span in finding.spans:
            row = numbers.get((span["trace_id"], span["span_id"]))
            if row is not None:
                mark = Mark(finding.number, span["role"], finding.severity, finding.title)
                marks.setdefault(row, []).append(mark)
    by_time = not bool((spans["clock"] == "synthetic").any())
    counts = {row: len(found) for row, found in marks.items()}
    return Waterfall(spans, counts, by_time=by_time), marks


def _facts(reader: Reader, run_id: str, spans: pl.DataFrame, *, synthetic: bool) -> RunFacts:
    known = reader.rows("run", run=run_id)
    row = known[0] if known else {}
    start = int(spans["start_ns"].min() or 0)  # type: ignore[arg-type]
    end = int(spans["end_ns"].max() or 0)  # type: ignore[arg-type]
    llm = spans.filter(pl.col("kind") == "llm")
    return RunFacts(
        run_id=run_id,
        workflow=row.get("workflow", "") or spans["name"][0],
        outcome=row.get("outcome", ""),
        status=row.get("status", "open"),
        started_at=from_nanos(start).astimezone(timezone.utc),
        duration_ns=None if synthetic else max(0, end - start),
        spans=spans.height,
        traces=spans["trace_id"].n_unique(),
        services=tuple(sorted(spans["service"].unique().to_list())),
        agents=tuple(sorted(agent for agent in spans["agent"].unique().to_list() if agent)),
        errors=int((spans["status"] == "error").sum()),
        retries=int((spans["attempt"].fill_null(1) > 1).sum()),
        tokens_input=int(llm["tokens_input"].fill_null(0).sum()),
        tokens_output=int(llm["tokens_output"].fill_null(0).sum()),
        parent_id=row.get("parent_id", ""),
        conversation_id=row.get("conversation_id", ""),
        service_version=row.get("service_version", ""),
        variant=row.get("variant", ""),
        incomplete=tuple(row.get("incomplete", ())),
        analysed_at=row.get("analysed_at"),
    )
