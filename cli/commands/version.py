"""`driftline version`."""

from __future__ import annotations

import typer

from driftline import __version__


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("version")(version)


def version() -> None:
    """Print the version."""
    typer.echo(f"driftline {__version__}")
