"""All analysed runs: filter, sort, page. The whole state is in the address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from driftline.web import params
from driftline.web.page import reader_of, show, url
from driftline.web.words import OUTCOMES, STATUSES

router = APIRouter()

PAGE_SIZE = 50
_LAST_PAGE = 100_000
_FILTERS = ("since", "workflow", "status", "outcome", "severity", "agent", "text")
_SEVERITIES = ("error", "warning", "info", "none")
# What a column sorts by. Findings: worst first.
_SORTS = {
    "started": "started_at",
    "run": "run_id",
    "workflow": "workflow",
    "status": "status",
    "outcome": "outcome",
    "duration": "duration_ns",
    "spans": "spans",
    "agents": "length(agents)",
    "tools": "tools",
    "retries": "retries",
    "errors": "errors",
    "tokens": "tokens",
    "findings": "(findings_error, findings_warning, findings_info)",
}
_WHERE = {
    "workflow": "workflow = {workflow:String}",
    "status": "status = {status:String}",
    "outcome": "outcome = {outcome:String}",
    "agent": "has(agents, {agent:String})",
    "text": "positionCaseInsensitiveUTF8("
    "concat_ws(' ', run_id, workflow, service, conversation_id), {text:String}) > 0",
}
_BY_SEVERITY = {
    "error": "findings_error > 0",
    "warning": "findings_warning > 0",
    "info": "findings_info > 0",
    "none": "findings_error + findings_warning + findings_info = 0",
}


@dataclass(frozen=True)
class RunLine:
    """One run in the list. `duration_ns` means nothing where `clock` is synthetic."""

    run_id: str
    workflow: str
    service: str
    service_version: str
    variant: str
    outcome: str
    status: str
    clock: str
    started_at: datetime
    duration_ns: int
    traces: int
    spans: int
    agents: list[str]
    tools: int
    effects: int
    retries: int
    errors: int
    tokens: int
    findings_error: int
    findings_warning: int
    findings_info: int
    incomplete: bool


@dataclass(frozen=True)
class RunsPage:
    """Context of `runs.html`."""

    runs: tuple[RunLine, ...]
    matching: int
    total: int
    filters: dict[str, str]
    sort: str
    descending: bool
    number: int
    pages: int
    workflows: tuple[str, ...] = field(metadata={"json": False})
    agents: tuple[str, ...] = field(metadata={"json": False})

    def address(self, **changes: object) -> str:
        """This page's address with *changes* to its state."""
        state: dict[str, object] = {
            **self.filters,
            "sort": self.sort,
            "order": "desc" if self.descending else "asc",
            "page": self.number,
            **changes,
        }
        usual: dict[str, object] = {"sort": "started", "order": "desc", "page": 1, "since": "all"}
        return url("runs", **{key: value for key, value in state.items() if usual.get(key) != value})

    def sorted_by(self, column: str) -> str:
        """Where the header of *column* leads: sort by it, or turn the order round."""
        downward = (
            not self.descending if column == self.sort else column not in ("run", "workflow", "status", "outcome")
        )
        return self.address(sort=column, order="desc" if downward else "asc", page=1)


@router.get("/runs")
@router.get("/runs.json")
def runs(request: Request) -> Response:
    """The runs that match the filters."""
    params.expect_only(request, [*_FILTERS, "sort", "order", "page"])
    window, since = params.since(request)
    filters = {
        "since": window,
        "workflow": params.text(request, "workflow"),
        "status": params.choice(request, "status", STATUSES),
        "outcome": params.choice(request, "outcome", OUTCOMES),
        "severity": params.choice(request, "severity", _SEVERITIES),
        "agent": params.text(request, "agent"),
        "text": params.text(request, "text"),
    }
    sort = params.choice(request, "sort", _SORTS, "started")
    descending = params.choice(request, "order", ("asc", "desc"), "desc") == "desc"
    number = params.whole(request, "page", 1, 1, _LAST_PAGE)
    where = ["started_at >= {since:DateTime64(9, 'UTC')}"]
    where += [condition for name, condition in _WHERE.items() if filters[name]]
    where += [_BY_SEVERITY[filters["severity"]]] if filters["severity"] else []
    reader = reader_of(request)
    rows = reader.rows(
        "runs_list",
        {"where": " AND ".join(where), "order": f"{_SORTS[sort]} {'DESC' if descending else 'ASC'}, run_id"},
        **{**filters, "since": since},
        limit=PAGE_SIZE,
        offset=(number - 1) * PAGE_SIZE,
    )
    facets = reader.rows("run_facets")[0]
    matching = rows[0]["matching"] if rows else 0
    page = RunsPage(
        runs=tuple(RunLine(**{key: value for key, value in row.items() if key != "matching"}) for row in rows),
        matching=matching,
        total=facets["runs"],
        filters=filters,
        sort=sort,
        descending=descending,
        number=number,
        pages=max(1, -(-matching // PAGE_SIZE)),
        workflows=tuple(facets["workflows"]),
        agents=tuple(facets["agents"]),
    )
    return show(request, "runs.html", page, reader)
