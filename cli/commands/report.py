"""`driftline report`: judge what the store holds."""

from __future__ import annotations

from typing import Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption, data_option, reading, running_server
from driftline.cli.options import CatalogFile, ConfigFile, ReportFormat, Since, Skew, expect_format, moment
from driftline.cli.terminal import progress, render_shown, write


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("report")(report)


def report(
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
    since: Since = None,
    fmt: ReportFormat = "text",
    config: ConfigFile = None,
    catalog: CatalogFile = None,
    skew: Skew = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="End with 0 whatever is found.")] = False,
) -> int:
    """Judge the runs in the store. The first line is the verdict.

    Exits 0 clean, 1 findings, 2 usage, configuration or storage error, 3 internal error, 5 nothing to check.
    """
    from driftline.analyzers import Scope, analyse
    from driftline.cli.formats import Shown
    from driftline.cli.queries import ask
    from driftline.cli.settings import config_from
    from driftline.cli.sites import read_sites

    expect_format(fmt)
    settings = config_from(config, catalog, skew)
    scope = Scope(since=moment(since) if since else None)
    server = running_server(data)
    with reading(data, project) as store:
        with progress() as say:
            found = analyse(store, scope, settings, say, pass_over_failing=True)
        sites = read_sites(store, found)
        # What the server, or an import, has stored. Other settings than theirs find what has no page.
        kept = {row["fingerprint"] for row in ask(store, "kept_findings")}
    shown = Shown(
        found,
        fail_on=settings.fail_on,
        sites=sites,
        in_store=True,
        data=data_option(data),
        kept=kept,
        url=server.pages(project) if server else "",
    )
    write(render_shown(shown, fmt))
    return exit_codes.CLEAN if exit_zero else exit_codes.exit_code(found)
