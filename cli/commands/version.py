"""`driftline version`."""

from __future__ import annotations

import json

import typer

from driftline import __version__
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import write


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("version")(version)


def version(fmt: ListFormat = "text") -> None:
    """Print the version."""
    expect_list_format(fmt)
    write(json.dumps({"driftline": __version__}) if fmt == "json" else f"driftline {__version__}")
