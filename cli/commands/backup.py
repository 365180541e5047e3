"""`driftline backup` and `driftline restore`: a copy of a data folder, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from driftline.cli.context import DEFAULT_DATA, DataOption, folder_of, is_url, running_server
from driftline.cli.terminal import remark, write
from driftline.errors import DriftlineError


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
) -> None:
    """Make a data folder from a backup. The folder must be new or empty, and appears when it is whole."""
    if is_url(data):
        raise DriftlineError("a backup is restored to a folder", "give one with --data")
    place = folder_of(data)
    if running_server(data) or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise DriftlineError(f"{place} is not empty", "give a new folder with --data, or move this one away")
    _restore(folder_of(source), place)
    write(f"restored to {place}")


def _restore(source: Path, place: Path) -> None:
    import shutil

    from driftline.analyzers import install_views
    from driftline.collector.backup import read_manifest, restore, restore_folder
    from driftline.collector.store import open_store
    from driftline.collector.store.project_databases import open_project

    manifest = read_manifest(source)
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with open_store(partial) as base:
            for name in manifest["projects"]:
                store = base if name == "default" else open_project(base, name)
                restore(manifest, source, name, store, remark)
                install_views(store)
                if store is not base:
                    store.close()
        restore_folder(manifest, source, partial)
        if place.exists():
            place.rmdir()
        partial.replace(place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
