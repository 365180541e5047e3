"""`driftline runs`: the runs the store holds, newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, open_for_reading

_COLUMNS = {
    "run_id": "run", "workflow": "workflow", "started": "started (UTC)", "status": "status", "outcome": "claims",
    "spans": "spans", "agents": "agents", "findings_error": "errors", "findings_warning": "warnings",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("runs")(runs)


def runs(
    data: DataOption = DEFAULT_DATA,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    fmt: Annotated[str, typer.Option("--format", metavar="text|json", help="How to print.")] = "text",
) -> None:
    """List runs, newest first."""
    from driftline.analyzers import Scope
    from driftline.analyzers.run_summary import summarise_runs
    from driftline.analyzers.runs import resolve_runs
    from driftline.cli.tables import print_rows

    store = open_for_reading(data)
    try:
        judged = {
            row["run_id"]: row
            for row in store.rows("SELECT run_id, findings_error, findings_warning, findings_info FROM runs FINAL")
        }
        found = summarise_runs(store, Scope(), resolve_runs(store, Scope())).sort("started_at", descending=True)
    finally:
        store.close()
    rows = [
        {**row, "started": row["started_at"].strftime("%Y-%m-%d %H:%M:%S"), **judged.get(row["run_id"], {})}
        for row in found.iter_rows(named=True)
        if workflow in (None, row["workflow"])
    ]
    print_rows(rows[:limit], _COLUMNS, fmt, "no runs yet: point an OTLP exporter at `driftline up`")
