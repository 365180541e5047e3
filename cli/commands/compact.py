"""`driftline compact`: merge what lies in many parts, delete what is due."""

from __future__ import annotations

from typing import Any

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, ProjectOption
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import remark


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("compact")(compact)


def compact(data: DataOption = DEFAULT_DATA, project: ProjectOption = None, fmt: ListFormat = "text") -> None:
    """Merge every table to as few parts as it can have, and delete what retention makes due. Takes a while on a large
    store; spans are taken meanwhile.
    """
    from driftline.cli.operations import perform
    from driftline.cli.tables import print_rows

    expect_list_format(fmt)
    found = perform(data, "compact", {"project": project}, remark)
    print_rows(
        [_row(table, before, found["after"].get(table)) for table, before in found["before"].items()],
        {"table": "table", "rows": "rows", "rows_after": "after", "parts": "parts", "parts_after": "after",
         "bytes": "bytes", "bytes_after": "after"},
        fmt,
        "nothing is stored yet",
    )  # fmt: skip


def _row(table: str, before: dict[str, int], after: dict[str, int] | None) -> dict[str, Any]:
    now = after or {"rows": 0, "parts": 0, "bytes": 0}
    return {"table": table, **before, **{f"{name}_after": number for name, number in now.items()}}
