"""One finding in one run: the sentence, the argument, the evidence, the spans that prove it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from fastapi import APIRouter, Request
from fastapi.responses import Response

from driftline.analyzers.tree import SpanTree
from driftline.web import params
from driftline.web.evidence import Evidence, draw
from driftline.web.page import Trouble, reader_of, show
from driftline.web.queries import Reader
from driftline.web.words import anomaly_meaning

router = APIRouter()


@dataclass(frozen=True)
class FindingSpan:
    """A span the finding rests on, numbered as in the argument. `known` is false when the store has lost it."""

    number: int
    role: str
    trace_id: str
    span_id: str
    name: str
    kind: str
    agent: str
    service: str
    started_at: datetime | None
    known: bool

    @property
    def key(self) -> str:
        """The span's key on the run page."""
        return f"{self.trace_id}-{self.span_id}"


@dataclass(frozen=True)
class FindingPage:
    """Context of `finding.html`; `finding` is the finding as `driftline check` prints it."""

    finding: Mapping[str, Any]
    meaning: str
    occurrence: str
    occurred_at: datetime
    service_version: str
    synthetic: bool
    spans: tuple[FindingSpan, ...]
    evidence: Evidence
    others_here: tuple[str, ...]
    clean_run: str


@router.get("/findings/{fingerprint}/{run_id:path}")
@router.get("/findings/{fingerprint}/{run_id:path}.json")
def finding(request: Request, fingerprint: str, run_id: str) -> Response:
    """The finding *fingerprint* in *run_id*; `occurrence` tells several in one run apart."""
    params.expect_only(request, ["occurrence"])
    wanted = params.text(request, "occurrence")
    reader = reader_of(request)
    found = reader.rows("finding", id=fingerprint, run=run_id, occurrence="")
    chosen = [row for row in found if wanted in ("", row["occurrence"])]
    if not chosen:
        raise Trouble(
            404,
            "No such finding",
            f"{fingerprint} was not found in run {run_id}.",
            "A finding that a later analysis no longer makes is withdrawn. The run page has what stands now.",
        )
    row = chosen[0]
    body = json.loads(row["body"])
    known = _brief(reader, body.get("spans") or [])
    clean = reader.rows("clean_run", workflow=row["workflow"])
    page = FindingPage(
        finding=body,
        meaning=anomaly_meaning(body["detector"], body["anomaly"]),
        occurrence=row["occurrence"],
        occurred_at=row["occurred_at"],
        service_version=row["service_version"],
        synthetic=any(facts["clock"] == "synthetic" for facts in known.values()),
        spans=tuple(_span(number, span, known) for number, span in enumerate(body.get("spans") or (), start=1)),
        evidence=draw(body, known),
        others_here=tuple(other["occurrence"] for other in found if other is not row),
        clean_run=clean[0]["run_id"] if clean else "",
    )
    return show(request, "finding.html", page, reader)


def _brief(reader: Reader, spans: list[dict[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the finding's spans are, each with its own or its nearest ancestor's agent, by (trace id, span id)."""
    traces, ids = sorted({span["trace_id"] for span in spans}), sorted({span["span_id"] for span in spans})
    tree = reader.frame("span_agents", traces=traces)
    agents = tree.select("trace_id", "span_id", agent=SpanTree.of(tree).inherited(tree["agent"]))
    found = {(trace, span): agent for trace, span, agent in agents.filter(pl.col("span_id").is_in(ids)).iter_rows()}
    rows = reader.rows("spans_brief", traces=traces, spans=ids)
    keyed = {(row["trace_id"], row["span_id"]): row for row in rows}
    return {key: {**row, "agent": found[key]} for key, row in keyed.items()}


def _span(number: int, span: Mapping[str, str], known: Mapping[tuple[str, str], Mapping[str, Any]]) -> FindingSpan:
    facts = known.get((span["trace_id"], span["span_id"]))
    return FindingSpan(
        number=number,
        role=span["role"],
        trace_id=span["trace_id"],
        span_id=span["span_id"],
        name=facts["name"] if facts else "",
        kind=facts["kind"] if facts else "other",
        agent=facts["agent"] if facts else "",
        service=facts["service"] if facts else "",
        started_at=facts["started_at"] if facts else None,
        known=facts is not None,
    )
