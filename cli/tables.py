"""Rows for people (a table) or programs (JSON), from the same data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

from driftline.cli.terminal import colour, width


def print_rows(rows: Sequence[dict[str, Any]], columns: dict[str, str], fmt: str, empty: str) -> None:
    """Print *rows*; *columns* maps a member to its heading; *empty*: what to say when there are none."""
    if fmt == "json":
        typer.echo(json.dumps(list(rows), indent=2, ensure_ascii=False, default=str))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(name)) for name in columns))
    Console(width=width(), no_color=not colour(), highlight=False).print(table)


def _text(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, list):
        return escape(", ".join(map(str, value)))
    return escape("" if value is None else str(value))
