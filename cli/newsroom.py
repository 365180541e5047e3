"""Runs the newsroom of `examples/` as the program it is: its own processes, sending OTLP like anybody's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from driftline.errors import DriftlineError


class NoNewsroom(DriftlineError):
    """The example program is not part of this installation, or it failed."""


@dataclass(frozen=True)
class Article:
    """One run of the newsroom. *finds*: (detector, anomaly, grade) of all that must be found of it."""

    run: str
    mistake: str
    finds: frozenset[tuple[str, str, str]]


class Newsroom:
    """The newsroom as a process that can be stopped from another thread or a signal handler."""

    def __init__(self, endpoint: str, *, seed: int, runs: int, faults: str, edition: str) -> None:
        options = {"endpoint": endpoint, "seed": seed, "runs": runs, "faults": faults, "edition": edition}
        self._arguments = [word for name, value in options.items() if value != "" for word in (f"--{name}", str(value))]
        self._process: subprocess.Popen[str] | None = None
        self._stopped = threading.Event()

    def run(self, say: Callable[[int], None]) -> list[Article]:
        """Make the articles; *say* hears how many are done. Fewer than asked for if it was stopped.

        Raises:
            NoNewsroom: it is not there, or it ended with an error.
        """
        articles: list[Article] = []
        with _start("--json", *self._arguments) as process:
            self._process = process
            assert process.stdout is not None  # noqa: S101 - PIPE was asked for
            for line in process.stdout:
                articles.append(_article(line))
                say(len(articles))
        if process.returncode and not self._stopped.is_set():
            raise NoNewsroom(f"the example program ended with code {process.returncode}", "see its messages above")
        return articles

    def stop(self) -> None:
        """End it early."""
        self._stopped.set()
        if self._process and self._process.poll() is None:
            self._process.terminate()


def mistakes() -> list[str]:
    """The names of the mistakes that can be asked for."""
    with _start("--list") as process:
        return process.communicate()[0].split()


def _start(*arguments: str) -> subprocess.Popen[str]:
    # In its own folder, so that places in the source read `newsroom/tools.py`, whatever folder we are in.
    command = [sys.executable, "-m", "newsroom", *arguments]
    return subprocess.Popen(command, cwd=program_folder(), env=_environment(), stdout=subprocess.PIPE, text=True)  # noqa: S603


def program_folder() -> Path:
    """The folder that holds the package `newsroom`.

    Raises:
        NoNewsroom: it is not part of this installation.
    """
    found = find_spec("driftline.examples")
    folders = [Path(place) for place in (found.submodule_search_locations or [])] if found else []
    for folder in folders:
        if (folder / "newsroom" / "__main__.py").is_file():
            return folder.resolve()
    raise NoNewsroom("the example program is not part of this installation", "reinstall driftline")


def _environment() -> dict[str, str]:
    """Ours without what may send its spans elsewhere, thin them out, or switch them off."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DRIFTLINE_"))}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _article(line: str) -> Article:
    said = json.loads(line)
    finds = frozenset((detector, anomaly, grade) for detector, anomaly, grade in said["finds"])
    return Article(said["run"], said["mistake"], finds)
