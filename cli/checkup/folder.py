"""The data folder: who may enter, the disk, the log, what was set aside; and the ports a server on it would need."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from driftline.cli.checkup import Observation
from driftline.cli.context import PortInUse, check_port, log_files
from driftline.errors import DriftlineError

_PORTS = ((4318, "--otlp-port"), (4317, "--grpc-port"), (8318, "--web-port"), (8123, "--clickhouse-port"))
_LITTLE, _SOME = 2**30, 10 * 2**30  # bytes free


def look(folder: Path) -> Iterator[Observation]:
    """What lies in it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        yield Observation("bad", f"{folder} is a file, not a folder", "give a folder with --data")
        return
    yield from _keys(folder)
    yield from _disk(folder)
    yield from _log(folder)
    yield from _letters(folder)


def look_at_ports() -> Iterator[Observation]:
    """Whether a server could be started with the usual ports."""
    for port, option in _PORTS:
        try:
            check_port("127.0.0.1", port, option)
        except PortInUse as error:
            yield Observation("note", error.what, error.todo)


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


def _disk(folder: Path) -> Iterator[Observation]:
    disk = shutil.disk_usage(folder)
    said = f"{disk.free / 2**30:.1f} GiB free in {folder}"
    if disk.free < _LITTLE:
        yield Observation(
            "bad", said, "free some disk space, keep spans shorter (`driftline retention`), or `driftline compact`"
        )
    elif disk.free < _SOME and disk.free < disk.total / 10:
        yield Observation("note", f"{said}, less than a tenth of the disk", "see to it before it is full")
    else:
        yield Observation("ok", said)


def _log(folder: Path) -> Iterator[Observation]:
    size = sum(path.stat().st_size for path in log_files(folder))
    if size > _LITTLE:
        yield Observation(
            "bad",
            f"{size / 2**30:.1f} GiB wait in the write-ahead log",
            "is ClickHouse reachable and quick enough? Without a server, start one: `driftline up`",
        )
    else:
        yield Observation("ok", f"{size / 2**20:.1f} MiB wait in the write-ahead log")


def _letters(folder: Path) -> Iterator[Observation]:
    letters = sorted((*folder.glob("dead-letter/*.json"), *folder.glob("projects/*/dead-letter/*.json")))
    if letters:
        yield Observation(
            "bad",
            f"{len(letters)} batches were set aside, refused by ClickHouse or damaged: {letters[0].parent}",
            "`driftline dead-letters list` says why; `driftline dead-letters replay` stores them when that is mended",
        )
