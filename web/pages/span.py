"""One span with its payloads: the side panel of a run, and a page of its own."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from driftline.web import params
from driftline.web.page import Trouble, reader_of, show, wants_json
from driftline.web.span_detail import CUT, WHOLE, SpanDetail, load_span

router = APIRouter()


@dataclass(frozen=True)
class SpanPage:
    """Context of `span.html` and `_span.html`."""

    run_id: str
    span: SpanDetail


@router.get("/runs/{run_id:path}/spans/{trace_id}/{span_id}")
@router.get("/runs/{run_id:path}/spans/{trace_id}/{span_id}.json")
def span(request: Request, run_id: str, trace_id: str, span_id: str) -> Response:
    """The span; long values are cut on the page and whole in its JSON twin."""
    params.expect_only(request, [])
    reader = reader_of(request)
    found = load_span(reader, trace_id, span_id, WHOLE if wants_json(request) else CUT)
    if found is None:
        raise Trouble(
            404,
            "No such span",
            f"The store holds no span {span_id} in trace {trace_id}.",
            "It may never have arrived, or retention has deleted it.",
        )
    inside = request.headers.get("hx-request") == "true"
    return show(request, "_span.html" if inside else "span.html", SpanPage(run_id, found), reader)
