"""Printing: width, colour, progress, and a reader that goes away."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from driftline.cli.interrupts import heed

if TYPE_CHECKING:
    from driftline.analyzers import Report
    from driftline.cli.formats import Shown


def write(text: str) -> None:
    """Print *text* and a newline. A reader that has seen enough (`| head`) ends the output, not the command."""
    heed()
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def remark(text: str) -> None:
    """Say something beside the result, on standard error."""
    sys.stderr.write(f"driftline: {text}\n")


def silence() -> None:
    """Send what is still printed nowhere; nothing may fail on it, not even at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def colour() -> bool:
    """Whether to colour standard output."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Columns of the terminal, as far as text is pleasant to read in; 120 where there is none."""
    return min(500, max(40, shutil.get_terminal_size((120, 40)).columns))


def render_text(report: Report, url: str = "") -> str:
    """The report on what is in a store, as this terminal shows it best."""
    from driftline.cli.formats import Shown

    return render_shown(Shown(report, in_store=True, url=url), "text")


def render_shown(shown: Shown, fmt: str) -> str:
    """A report in format *fmt*; text as this terminal shows it best."""
    if fmt == "text":
        from driftline.cli.formats import text

        return text.render(shown, width=width(), colour=colour())
    from driftline.cli.formats import render

    return render(shown, fmt)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A callback `(stage, done, total)` that draws a bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
    with bar:
        task = bar.add_task("", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)
