"""`driftline findings`: what the analysis beside the server has found so far."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption, reading
from driftline.cli.options import ListFormat, expect_list_format

_SEVERITIES = ("error", "warning", "info")
_COLUMNS = {
    "fingerprint": "id", "severity": "severity", "anomaly": "anomaly", "grade": "grade", "runs": "runs",
    "last_seen": "last seen (UTC)", "title": "what",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("findings")(findings)


def findings(
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    severity: Annotated[str | None, typer.Option(metavar="|".join(_SEVERITIES), help="Only of this severity.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only in runs of this workflow.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    fmt: ListFormat = "text",
) -> None:
    """List findings, worst first, one row a defect.

    With `--format json`: each finding of each run, with its evidence.
    """
    from driftline.cli.queries import ask
    from driftline.cli.tables import print_rows

    expect_list_format(fmt)
    if severity not in (None, *_SEVERITIES):
        raise typer.BadParameter(f"{severity!r} is not one of {', '.join(_SEVERITIES)}", param_hint="--severity")
    with reading(data, project) as store:
        rows = ask(store, "findings", severity=severity or "", workflow=workflow or "", limit=limit)
        if fmt == "json" and rows:
            ids = [row["fingerprint"] for row in rows]
            rows = [json.loads(row["body"]) for row in ask(store, "finding_bodies", ids=ids, run="", limit=100_000)]
    for row in rows:
        if "last_seen" in row:
            row["last_seen"] = row["last_seen"][:19]
    print_rows(rows, _COLUMNS, fmt, "no findings: the analysis beside `driftline up` has found nothing so far")
