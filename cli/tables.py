"""Rows for people (a table) or programs (JSON), from the same data."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from driftline.cli.formats.plain import one_line
from driftline.cli.terminal import colour, width, write

_ID = 40  # characters of an id: a UUID has 36


def print_rows(rows: Sequence[dict[str, Any]], columns: dict[str, str], fmt: str, empty: str) -> None:
    """Print *rows*; *columns* maps a member to its heading; *empty*: what to say when there are none."""
    if fmt == "json":
        print_json(list(rows))
    elif not rows:
        write(empty)
    else:
        write(_table(rows, columns))


def print_json(data: Any) -> None:
    """Print *data* as JSON, times as RFC 3339."""
    write(json.dumps(data, indent=2, ensure_ascii=False, default=_json))


def _table(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, (name, heading) in enumerate(columns.items()):
        # An id is copied whole, or not at all; one nobody would copy may be folded.
        whole = place == 0 and all(len(_text(row.get(name))) <= _ID for row in rows)
        table.add_column(heading, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(_text(row.get(name))) for name in columns))
    out = io.StringIO()
    Console(file=out, width=width(), force_terminal=colour(), no_color=not colour(), highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)))
    return one_line("" if value is None else str(value))


def _json(value: Any) -> str:
    if isinstance(value, datetime):
        known = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return known.isoformat().replace("+00:00", "Z")
    return str(value)
