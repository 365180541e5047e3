"""`driftline runs`: the runs the store holds, newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption, reading
from driftline.cli.options import ListFormat, Since, expect_list_format, moment

_COLUMNS = {
    "run_id": "run", "workflow": "workflow", "started": "started (UTC)", "status": "status", "outcome": "claims",
    "spans": "spans", "agents": "agents", "findings_error": "errors", "findings_warning": "warnings",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("runs")(runs)


def runs(
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    fmt: ListFormat = "text",
) -> None:
    """List runs, newest first. Errors and warnings are those the server has found so far."""
    from driftline.analyzers import Scope
    from driftline.analyzers.run_summary import summarise_runs
    from driftline.analyzers.runs import resolve_runs
    from driftline.cli.queries import ask
    from driftline.cli.tables import print_rows
    from driftline.cli.terminal import remark

    expect_list_format(fmt)
    scope = Scope(since=moment(since) if since else None)
    with reading(data, project) as store:
        judged = {row["run_id"]: row for row in ask(store, "run_findings_count")}
        found = summarise_runs(store, scope, resolve_runs(store, scope)).sort("started_at", descending=True)
    chosen = [row for row in found.iter_rows(named=True) if workflow in (None, row["workflow"])]
    rows = [{**row, **judged.get(row["run_id"], {})} for row in chosen[:limit]]
    if fmt == "text":
        rows = [{**row, "started": row["started_at"].strftime("%Y-%m-%d %H:%M:%S")} for row in rows]
    print_rows(rows, _COLUMNS, fmt, _empty(found.height, workflow, since))
    if fmt == "text" and len(chosen) > limit:
        remark(f"{limit} of {len(chosen)} runs shown; --limit shows more")


def _empty(runs_in_scope: int, workflow: str | None, since: str | None) -> str:
    if runs_in_scope:
        return f"no runs of workflow {workflow!r}"
    return "no runs since then" if since else "no runs yet: point an OTLP exporter at `driftline up`"
