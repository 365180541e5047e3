"""Reads filters from the query string, and refuses by name what is no filter or has no meaning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches

from fastapi import Request

from driftline.web.page import Trouble

WINDOWS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}
_LONGEST = 500


def expect_only(request: Request, known: Iterable[str]) -> None:
    """Refuse parameters that are none of *known*: a filter that filters nothing would mislead."""
    names = list(known)
    for name in request.query_params:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"Did you mean {near[0]}?" if near else f"This page knows {', '.join(names)}."
            raise Trouble(400, "Unknown filter", f"{name} is no filter of this page.", hint)


def choice(request: Request, name: str, allowed: Iterable[str], default: str = "") -> str:
    """The parameter *name*: one of *allowed*, or *default* when it is absent or empty."""
    value = request.query_params.get(name, "")
    options = list(allowed)
    if not value:
        return default
    if value not in options:
        raise Trouble(
            400,
            "Bad filter value",
            f"{name}={value[:_LONGEST]} means nothing here.",
            f"Use one of {', '.join(options)}.",
        )
    return value


def text(request: Request, name: str) -> str:
    """The parameter *name* as text, '' when absent."""
    value = request.query_params.get(name, "").strip()
    if len(value) > _LONGEST:
        raise Trouble(400, "Bad filter value", f"{name} is longer than {_LONGEST} characters.", "Shorten it.")
    return value


def whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    """The parameter *name* as a whole number from *least* to *most*."""
    value = request.query_params.get(name, "")
    if not value:
        return default
    # Python reads no number of thousands of digits.
    digits = value.isascii() and value.isdigit() and len(value) < _LONGEST
    if not digits or not least <= int(value) <= most:
        raise Trouble(
            400,
            "Bad filter value",
            f"{name}={value[:_LONGEST]} means nothing here.",
            f"Use a number from {least} to {most}.",
        )
    return int(value)


def since(request: Request) -> tuple[str, str]:
    """The window asked for, and the moment it begins as ClickHouse reads it."""
    name = choice(request, "since", WINDOWS, "all")
    length = WINDOWS[name]
    if length is None:
        return name, "1970-01-01 00:00:00"
    return name, (datetime.now(timezone.utc) - length).strftime("%Y-%m-%d %H:%M:%S")
