"""One module a report format; each has `render(report) -> str`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers import Report

FORMATS = ("text", "json", "md", "sarif", "junit", "github")


def render(report: Report, fmt: str) -> str:
    """*report* in format *fmt*, one of `FORMATS`."""
    module = import_module(f"driftline.cli.formats.{'json_' if fmt == 'json' else fmt}")
    return str(module.render(report))
