"""Options that several commands have, said once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from re import compile as pattern
from typing import Annotated

import typer

from driftline.cli.formats import FORMATS

_AGO = pattern(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

ReportFormat = Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="How to print.")]
ListFormat = Annotated[str, typer.Option("--format", metavar="text|json", help="How to print.")]
ConfigFile = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Settings; default: driftline.toml, or pyproject.toml, here."),
]
CatalogFile = Annotated[str | None, typer.Option("--catalog", metavar="FILE", help="Tool catalogue.")]
Skew = Annotated[
    str | None, typer.Option("--skew", metavar="auto|DURATION", help="Bound between the clocks of different hosts.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="14d|6h|RFC3339", help="Only what began since.", show_default=False)
]


def expect_format(fmt: str, allowed: tuple[str, ...] = FORMATS) -> None:
    """Refuse a format that is none of *allowed*."""
    if fmt not in allowed:
        raise typer.BadParameter(f"{fmt!r} is not one of {', '.join(allowed)}", param_hint="--format")


def expect_list_format(fmt: str) -> None:
    """Refuse a format that lists do not have."""
    expect_format(fmt, ("text", "json"))


def moment(text: str) -> datetime:
    """A point in time: so long ago (`14d`), or RFC 3339."""
    match = _AGO.fullmatch(text.strip())
    try:
        if match:
            return datetime.now(timezone.utc) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is no time: use 14d, 6h, or 2026-11-24T10:00:00Z", param_hint="--since"
        ) from error
    return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
