"""`driftline report`: judge what the store holds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.context import DEFAULT_DATA, DataOption, open_for_reading, running_server

_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("report")(report)


def report(
    data: DataOption = DEFAULT_DATA,
    since: Annotated[str | None, typer.Option(metavar="14d|6h|RFC3339", help="Only runs that began since.")] = None,
    fmt: Annotated[str, typer.Option("--format", metavar="text|json|md|sarif|junit|github", help="How to print.")] = "text",
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", help="Settings.")] = None,
    catalog: Annotated[str | None, typer.Option("--catalog", metavar="FILE", help="Tool catalogue.")] = None,
    skew: Annotated[str | None, typer.Option("--skew", metavar="auto|DURATION", help="Bound between hosts' clocks.")] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="End with 0 whatever is found.")] = False,
) -> int:  # fmt: skip
    """Judge the runs in the store. The first line is the verdict; the exit code goes with it."""
    from driftline.analyzers import Scope, analyse
    from driftline.cli.formats import FORMATS, render
    from driftline.cli.settings import config_from
    from driftline.cli.terminal import progress, render_text

    if fmt not in FORMATS:
        raise typer.BadParameter(f"{fmt!r} is not one of {', '.join(FORMATS)}", param_hint="--format")
    settings = config_from(config, catalog, skew)
    scope = Scope(since=moment(since) if since else None)
    server = running_server(data)
    store = open_for_reading(data)
    try:
        with progress() as say:
            found = analyse(store, scope, settings, say)
    finally:
        store.close()
    text = render_text(found, server.web if server else "") if fmt == "text" else render(found, fmt)
    typer.echo(text.rstrip("\n"))
    return exit_codes.CLEAN if exit_zero else exit_codes.exit_code(found)


def moment(text: str) -> datetime:
    """A point in time: so long ago (`14d`), or RFC 3339."""
    match = _AGO.fullmatch(text)
    if match:
        return datetime.now(timezone.utc) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: use 14d, 6h, or 2026-11-24T10:00:00Z", param_hint="--since"
        ) from error
    return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
