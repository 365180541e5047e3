"""`driftline export`: stored spans and what was made of them, for other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption, folder_of
from driftline.cli.options import Since, expect_format, moment
from driftline.cli.terminal import remark, write


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("export")(export)


def export(
    output: Annotated[str, typer.Argument(metavar="FILE", help="Where to; replaced if it is there.")],
    fmt: Annotated[str, typer.Option("--format", metavar="otlp|parquet", help="What to write.")] = "otlp",
    table: Annotated[
        str, typer.Option("--table", metavar="spans|logs|steps|memory|runs|findings", help="Of what, as Parquet.")
    ] = "spans",
    since: Since = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="14d|RFC3339", help="Only what began before.", show_default=False)
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Only this run.", show_default=False)] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", metavar="NAME", help="Only runs of this workflow.", show_default=False)
    ] = None,
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
) -> None:
    """Write spans as OTLP requests (length-delimited protobuf, which `driftline check` reads), or a table as Parquet.

    Values of attributes are text, as ClickHouse keeps them: in OTLP, too, a number comes back as its digits.
    """
    from driftline.cli.operations import perform

    expect_format(fmt, ("otlp", "parquet"))
    place = folder_of(output)
    arguments = {
        "path": str(place),
        "format": fmt,
        "table": table,
        "since": moment(since).isoformat() if since else None,
        "until": moment(until).isoformat() if until else None,
        "run": run,
        "workflow": workflow,
        "project": project,
    }
    count = perform(data, "export", arguments, lambda _said: None)
    write(f"{place}: {count:,} {'traces' if fmt == 'otlp' else 'rows'}")
    if not count:
        remark("nothing that is stored is wanted: see --since, --run and --workflow")
