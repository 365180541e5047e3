"""`driftline doctor`: what is wrong here, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from driftline.cli import exit_codes
from driftline.cli.context import (
    DEFAULT_DATA,
    DataOption,
    PortInUse,
    check_port,
    folder_of,
    is_url,
    reading,
    running_server,
)
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import write
from driftline.errors import DriftlineError

_PACKAGES = ("opentelemetry-sdk", "chdb", "clickhouse-connect", "polars", "fastapi", "uvicorn", "typer")
_MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}
_PORTS = ((4318, "--otlp-port"), (8318, "--web-port"), (8123, "--clickhouse-port"))


@dataclass(frozen=True)
class Observation:
    """One thing looked at. *state*: ok, note or bad; *mend*: what to do about it."""

    state: str
    what: str
    mend: str = ""


def register(app: typer.Typer) -> None:
    """Put the command on *app*."""
    app.command("doctor")(doctor)


def doctor(data: DataOption = DEFAULT_DATA, fmt: ListFormat = "text") -> int:
    """Look at the installation, the settings here, the data folder and the ports. Exits 1 if something is broken."""
    expect_list_format(fmt)
    found = [*_installation(), *_settings(), *_folder(data), *_store(data)]
    if fmt == "json":
        from driftline.cli.tables import print_json

        print_json([asdict(entry) for entry in found])
    else:
        lines = []
        for entry in found:
            lines.append(f"{_MARKS[entry.state]}  {entry.what}")
            if entry.mend:
                lines.append(f"      mend: {entry.mend}")
        write("\n".join(lines))
    return exit_codes.FINDINGS if any(entry.state == "bad" for entry in found) else exit_codes.CLEAN


def _installation() -> Iterator[Observation]:
    yield Observation("ok", f"Python {sys.version.split()[0]}")
    for name in _PACKAGES:
        try:
            yield Observation("ok", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Observation("bad", f"{name} is not installed", "pip install 'driftline[server]'")


def _settings() -> Iterator[Observation]:
    from driftline.cli.settings import config_from

    try:
        config_from(None, None, None)
    except DriftlineError as error:
        yield Observation("bad", error.what, error.todo)
    else:
        yield Observation("ok", "the settings in this folder can be read, or there are none")


def _folder(data: str) -> Iterator[Observation]:
    """The data folder, the server on it, and the ports one would need."""
    if is_url(data):
        return
    folder = folder_of(data)
    server = running_server(data)
    if server:
        yield Observation("ok", f"server runs (pid {server.pid}): {server.web}")
    else:
        yield Observation("note", f"no server runs on {folder}", "start one with `driftline up`")
        yield from _ports()
    if folder.is_dir():
        yield from _keys(folder)
        yield from _disk(folder)
    elif folder.exists():
        yield Observation("bad", f"{folder} is a file, not a folder", "give a folder with --data")


def _keys(folder: Path) -> Iterator[Observation]:
    """Who may enter, and whether others can read the file that says so."""
    from driftline.collector.access import AccessFile

    file = AccessFile(folder)
    try:
        access = file.read()
    except DriftlineError as error:
        yield Observation("bad", error.what, error.todo)
        return
    now = time.time()
    living = [key for key in access.keys if not key.expired(now)]
    yield Observation("ok", f"{len(access.every_project)} projects, {len(living)} keys")
    for key in access.keys:
        if key.expired(now):
            yield Observation("note", f"key {key.id} has expired", f"`driftline keys revoke {key.id}` removes it")
    if file.path.exists() and file.path.stat().st_mode & 0o077:
        yield Observation("bad", f"others can read {file.path}", f"chmod 600 {shlex.quote(str(file.path))}")


def _ports() -> Iterator[Observation]:
    for port, option in _PORTS:
        try:
            check_port("127.0.0.1", port, option)
        except PortInUse as error:
            yield Observation("note", error.what, error.todo)


def _disk(folder: Path) -> Iterator[Observation]:
    free = shutil.disk_usage(folder).free / 2**30
    yield Observation(
        "ok" if free > 1 else "bad", f"{free:.1f} GiB free in {folder}", "" if free > 1 else "free some disk space"
    )
    letters = sorted((folder / "dead-letter").glob("*.json"))
    if letters:
        yield Observation(
            "bad",
            f"{len(letters)} batches were set aside, refused by ClickHouse or damaged: {letters[0].parent}",
            "`driftline dead-letters list` says why; `driftline dead-letters replay` stores them when that is mended",
        )
    log = sum(path.stat().st_size for path in (folder / "log").glob("*.wal"))
    if log > 2**30:
        yield Observation(
            "bad", f"{log / 2**30:.1f} GiB wait in the write-ahead log", "is ClickHouse reachable and quick enough?"
        )
    else:
        yield Observation("ok", f"{log / 2**20:.1f} MiB wait in the write-ahead log")


def _store(data: str) -> Iterator[Observation]:
    from driftline.cli.queries import ask
    from driftline.collector.store import StoreNotFound

    try:
        with reading(data) as store:
            yield Observation("ok", f"engine ClickHouse {store.value('SELECT version()')}")
            stored = ask(store, "spans_stored")[0]
            yield Observation("ok", f"{stored['spans']:,} spans stored, the last one at {stored['last'] or 'never'}")
            waiting = ask(store, "unjudged_traces")[0]["traces"]
    except StoreNotFound as error:
        yield Observation("note", error.what, error.todo)
        return
    except DriftlineError as error:
        yield Observation("bad", error.what, error.todo)
        return
    if waiting:
        yield Observation(
            "note", f"{waiting:,} traces are not judged yet", "`driftline up` judges them, or run `driftline report`"
        )
