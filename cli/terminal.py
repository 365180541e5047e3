"""Printing for people: width, colour, progress."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.analyzers import Report


def colour() -> bool:
    """Whether to colour standard output."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def width() -> int:
    """Columns of the terminal; 120 where there is none."""
    return shutil.get_terminal_size((120, 40)).columns


def render_text(report: Report, url: str = "") -> str:
    """The report as this terminal shows it best."""
    from driftline.cli.formats import text

    return text.render(report, width=width(), colour=colour(), url=url)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A callback `(stage, done, total)` that draws a bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)
