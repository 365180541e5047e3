"""`driftline backup` and `driftline restore`: a copy of a data folder, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, folder_of, is_url, running_server
from driftline.cli.terminal import remark, write
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.store import Store


def register(app: typer.Typer) -> None:
    """Put the commands on *app*."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    target: Annotated[str, typer.Argument(metavar="FOLDER", help="A new folder for the copy.")],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Copy all projects, what was set aside, and who may enter, to a new folder; a running server goes on meanwhile.

    Everything acknowledged before the command is in the copy. It appears under its name when it is whole.
    """
    from driftline.cli.operations import perform

    place = folder_of(target)
    found = perform(data, "backup", {"target": str(place)}, remark)
    size = sum(part["bytes"] for tables in found["projects"].values() for parts in tables.values() for part in parts)
    write(f"{place}: {len(found['projects'])} projects, {size / 2**20:,.1f} MiB")


def restore(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="What `driftline backup` wrote.")],
    data: DataOption = DEFAULT_DATA,
    keep_all: Annotated[
        bool,
        typer.Option("--keep-all", show_default=False, help="Without its retention: what is older by now stays, too."),
    ] = False,
) -> None:
    """Make a data folder from a backup. The folder must be new or empty, and appears when it is whole."""
    if is_url(data):
        raise DriftlineError("a backup is restored to a folder", "give one with --data")
    place = folder_of(data)
    if running_server(data) or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise DriftlineError(f"{place} is not empty", "give a new folder with --data, or move this one away")
    _restore(folder_of(source), place, keep_all=keep_all)
    write(f"restored to {place}")


def _restore(source: Path, place: Path, *, keep_all: bool) -> None:
    from driftline.analyzers import install_views
    from driftline.collector.backup import read_manifest, restore, restore_folder, restore_retention

    manifest = read_manifest(source)
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        restore_folder(manifest, source, partial)
        for name, store in _stores(partial, manifest["projects"]):
            restore(manifest, source, name, store, remark)
        # Opened once more: which views a store has depends on what it was told to redact, which is restored by now.
        for name, store in _stores(partial, manifest["projects"]):
            install_views(store)
            if not keep_all:
                restore_retention(manifest, name, store)
        if place.exists():
            place.rmdir()
        partial.replace(place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _stores(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, Store]]:
    """The store of each project in *folder*, one after the other."""
    from driftline.collector.store import open_store
    from driftline.collector.store.project_databases import open_project

    with open_store(folder) as base:
        for name in names:
            if name == "default":
                yield name, base
            else:
                with open_project(base, name) as store:
                    yield name, store
