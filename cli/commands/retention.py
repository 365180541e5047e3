"""`driftline retention`: how long spans and findings are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import remark, write


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("retention")(retention)


def retention(
    spans: Annotated[
        str | None, typer.Option("--spans", metavar="30d|6w|1y|forever", help="Keep spans and logs so long.")
    ] = None,
    findings: Annotated[
        str | None, typer.Option("--findings", metavar="1y|forever", help="Keep runs and findings so long.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    fmt: ListFormat = "text",
) -> None:
    """Show how long a project's rows are kept, or change it; a running server need not be restarted.

    The time counts from when a row came. ClickHouse deletes what is due when it merges, a few hours later as a rule;
    `driftline compact` does it at once.
    """
    from driftline.cli.operations import perform
    from driftline.cli.tables import print_json

    expect_list_format(fmt)
    found = perform(data, "retention", {"project": project, "spans": spans, "findings": findings}, remark)
    if fmt == "json":
        print_json(found)
    else:
        write("\n".join(f"{name:<9} {f'{days} days' if days else 'kept for ever'}" for name, days in found.items()))
