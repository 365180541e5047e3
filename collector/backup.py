"""A copy of a data folder, made while it is in use, and the way back.

A backup is a folder: `manifest.json`, and for each project and table files of rows in ClickHouse's Native format,
packed with zstd. It is written beside its place and renamed when it is whole; the manifest has each file's SHA-256.
What waits in the log is stored first, and spans that come while it is made are left out of all tables alike: a row has
the time at which it came from the table its view reads. Beside the rows it holds what was set aside, who may enter, and
the key of redaction; of a folder that no server has, also the log.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from driftline.collector.access import FILE
from driftline.collector.projects import folder_of_project
from driftline.collector.redaction import KEY_FILE
from driftline.collector.store import migrations
from driftline.collector.upkeep import Retention, apply_retention, retention_of
from driftline.collector.wal import SUFFIX
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.store import Store

Say = Callable[[str], None]

_FORMAT = 1
_MANIFEST = "manifest.json"
_FILE_BYTES = 512 * 2**20  # of rows, unpacked: what an embedded engine reads back at once
_PIECE = 2**20
_NOT_DATA = ("schema_migrations", "installed_views", "run_parts")  # what is made anew, or rolled up from others
# When a row came, by table: what came after the backup began is left out. Small tables are copied as they are.
_CAME = {
    "otel_traces": "IngestedAt", "otel_logs": "IngestedAt", "steps": "ingested_at", "memory_ops": "ingested_at",
    "span_facts": "ingested_at",
}  # fmt: skip

_TABLES = """
SELECT name, trim(splitByChar(',', sorting_key)[1]) AS key FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
ORDER BY name != 'runs', name  -- a run that is said to be judged has its findings in the copy: they are written first
"""
_PARTITIONS = """
SELECT partition_id AS id, sum(data_uncompressed_bytes) AS bytes FROM system.parts
WHERE active AND database = currentDatabase() AND table = {table:String}
GROUP BY partition_id ORDER BY partition_id
"""


class UnusableBackup(DriftlineError):
    """What should be restored is no backup, or not as it was written."""


class InTheWay(DriftlineError):
    """There is something already where a backup, or what it holds, should go."""


def backup(
    stores: Mapping[str, Store], data: Path, target: Path, say: Say, settle: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Copy the projects in *stores* and what else lies in *data* to the new folder *target*; its manifest.

    *settle* returns when what is in the log can be queried; None: nobody empties the log, so it is copied.

    Raises:
        InTheWay: *target* is not empty.
    """
    _expect_nothing(target)
    if settle:
        settle()
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    try:
        began = datetime.now(timezone.utc)
        if settle:
            settle()  # what was on its way into the tables just now is in all of them, or in none
        projects = {
            name: _copy_project(name, store, partial, f"{began:%Y-%m-%d %H:%M:%S.%f}", say)
            for name, store in stores.items()
        }
        files: dict[str, str] = {}
        for path in _beside(data, stores, log=settle is None):
            copy = partial / "folder" / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
            files[path.relative_to(data).as_posix()] = _digest(copy)
        manifest = {
            "format": _FORMAT,
            "schema": _schema(),
            "began_at": began.isoformat(),
            "projects": projects,
            "files": files,
            "retention": {name: asdict(retention_of(store)) for name, store in stores.items()},
        }
        (partial / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _sync(partial)
        if target.exists():
            target.rmdir()
        partial.replace(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def read_manifest(source: Path) -> dict[str, Any]:
    """The manifest of the backup *source*, every file of which is there as it was written.

    Raises:
        UnusableBackup: it is not, or is no backup.
    """
    try:
        found: dict[str, Any] = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
        number, schema, projects, files = found["format"], found["schema"], found["projects"], found["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableBackup(
            f"{source} is no backup: {error}", "give the folder that `driftline backup` wrote"
        ) from error
    if number != _FORMAT or schema > _schema():
        raise UnusableBackup(f"{source} was written by a newer driftline than this one", "upgrade driftline")
    expected = {f"folder/{name}": digest for name, digest in files.items()}
    expected |= {
        part["file"]: part["sha256"] for tables in projects.values() for parts in tables.values() for part in parts
    }
    for name, digest in expected.items():
        path = source / name
        if not path.is_file() or _digest(path) != digest:
            raise UnusableBackup(f"{path} is missing, or not as it was written", "use another copy of the backup")
    return found


def restore(manifest: Mapping[str, Any], source: Path, name: str, store: Store, say: Say) -> None:
    """Put the rows of project *name* into the empty *store*, whose views must not be in place.

    Views would derive once more what is restored itself: what spans meant when they came, before anything was redacted.
    """
    for table, parts in manifest["projects"][name].items():
        for part in parts:
            say(f"{name}: {table}, {part['bytes'] / 2**20:,.1f} MiB")
            store.insert_stream(table, "Native", _unpacked(source / part["file"]))


def restore_retention(manifest: Mapping[str, Any], name: str, store: Store) -> None:
    """Keep the rows of project *name* as long as they were kept: what is older by now goes at once."""
    apply_retention(store, Retention(**manifest["retention"][name]))


def restore_folder(manifest: Mapping[str, Any], source: Path, data: Path) -> None:
    """Put back what lay beside the store: what was set aside, and who may enter."""
    for name in manifest["files"]:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / "folder" / name, data / name)


def _copy_project(name: str, store: Store, partial: Path, until: str, say: Say) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    folder = partial / "projects" / name
    folder.mkdir(parents=True)
    for table in store.rows(_TABLES):
        if table["name"] in _NOT_DATA:
            continue
        came = _CAME.get(table["name"])
        before = f"{came} < toDateTime64('{until}', 6, 'UTC')" if came else "1"
        parts = []
        for partition in store.rows(_PARTITIONS, {"table": table["name"]}):
            pieces = 1 + partition["bytes"] // _FILE_BYTES
            for number in range(pieces):
                path = folder / f"{table['name']}-{partition['id']}-{number}.native.zst"
                sql = (
                    f"SELECT * FROM {table['name']} WHERE _partition_id = '{partition['id']}' AND {before} "
                    f"AND cityHash64({table['key']}) % {pieces} = {number}"
                )
                say(f"{name}: {table['name']}, {partition['bytes'] / pieces / 2**20:,.1f} MiB")
                _pack(store.stream(sql, "Native"), path)
                relative = path.relative_to(partial).as_posix()
                parts.append({"file": relative, "sha256": _digest(path), "bytes": path.stat().st_size})
        tables[table["name"]] = parts
    return tables


def _schema() -> int:
    """The newest migration: a backup is read by a driftline that has it."""
    return migrations.available()[-1][0]


def _beside(data: Path, names: Iterable[str], *, log: bool) -> Iterator[Path]:
    for path in (data / FILE, data / KEY_FILE):
        if path.is_file():
            yield path
    for name in names:
        folder = folder_of_project(data, name)
        yield from sorted(path for path in (folder / "dead-letter").glob("*") if path.is_file())
        if log:
            yield from sorted((folder / "log").glob(f"*{SUFFIX}"))


def _expect_nothing(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InTheWay(f"{target} is there already", "give a new folder, or remove it")


def _pack(pieces: Iterable[bytes], path: Path) -> None:
    with path.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as packer:
        for piece in pieces:
            packer.write(piece)


def _unpacked(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacker:
        while piece := unpacker.read(_PIECE):
            yield piece


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _slowly(file)


def _slowly(file: Any) -> str:
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    """Everything in *folder*, on disk."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
