"""`driftline doctor`: what is wrong here, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.context import DEFAULT_DATA, DataOption, open_for_reading, running_server
from driftline.errors import DriftlineError

_PACKAGES = ("opentelemetry-sdk", "chdb", "clickhouse-connect", "polars", "fastapi", "uvicorn", "typer")
_MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


@dataclass(frozen=True)
class Observation:
    """One thing looked at. *state*: ok, note or bad; *mend*: what to do about it."""

    state: str
    what: str
    mend: str = ""


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("doctor")(doctor)


def doctor(
    data: DataOption = DEFAULT_DATA,
    fmt: Annotated[str, typer.Option("--format", metavar="text|json", help="How to print.")] = "text",
) -> int:
    """Look at the installation and the data folder. Exits 1 if something is broken."""
    found = [*_installation(), *_folder(data)]
    if fmt == "json":
        import json

        typer.echo(json.dumps([asdict(entry) for entry in found], indent=2))
    else:
        for entry in found:
            typer.echo(f"{_MARKS[entry.state]}  {entry.what}")
            if entry.mend:
                typer.echo(f"      mend: {entry.mend}")
    return exit_codes.FINDINGS if any(entry.state == "bad" for entry in found) else exit_codes.CLEAN


def _installation() -> Iterator[Observation]:
    yield Observation("ok", f"Python {sys.version.split()[0]}")
    for name in _PACKAGES:
        try:
            yield Observation("ok", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Observation("bad", f"{name} is not installed", "pip install 'driftline[server]'")


def _folder(data: str) -> Iterator[Observation]:
    if not data.startswith("http"):
        folder = Path(data).expanduser().resolve()
        if not folder.is_dir():
            yield Observation("note", f"there is no data folder {folder} yet", "`driftline up` makes one")
            return
        yield from _disk(folder)
        server = running_server(data)
        yield (
            Observation("ok", f"server runs (pid {server.pid}): {server.web}")
            if server
            else Observation("note", "no server runs on this folder", "start one with `driftline up`")
        )
    try:
        store = open_for_reading(data)
    except DriftlineError as error:
        yield Observation("bad", error.what, error.todo)
        return
    try:
        yield Observation("ok", f"engine ClickHouse {store.value('SELECT version()')}")
        spans = store.value("SELECT count() FROM steps")
        last = store.value("SELECT toString(max(ingested_at)) FROM steps") if spans else "never"
        yield Observation("ok", f"{spans:,} spans stored, the last one at {last}")
        waiting = store.value(
            "SELECT count() FROM (SELECT DISTINCT trace_id FROM steps) AS t LEFT ANTI JOIN run_traces USING trace_id"
        )
        if waiting:
            yield Observation(
                "note",
                f"{waiting:,} traces are not judged yet",
                "`driftline up` judges them, or run `driftline report`",
            )
    finally:
        store.close()


def _disk(folder: Path) -> Iterator[Observation]:
    free = shutil.disk_usage(folder).free / 2**30
    yield Observation(
        "ok" if free > 1 else "bad", f"{free:.1f} GiB free in {folder}", "" if free > 1 else "free some disk space"
    )
    letters = sorted((folder / "dead-letter").glob("*.json"))
    if letters:
        yield Observation(
            "bad",
            f"{len(letters)} batches were refused by ClickHouse: {letters[0].parent}",
            "read the .json beside each for the reason",
        )
    log = sum(path.stat().st_size for path in (folder / "log").glob("*.wal"))
    if log > 2**30:
        yield Observation(
            "bad", f"{log / 2**30:.1f} GiB wait in the write-ahead log", "is ClickHouse reachable and quick enough?"
        )
    else:
        yield Observation("ok", f"{log / 2**20:.1f} MiB wait in the write-ahead log")
