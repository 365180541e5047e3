"""`driftline projects`: records kept apart, in one store."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli import exit_codes
from driftline.cli.commands.keys import access_file
from driftline.cli.context import (
    DEFAULT_DATA,
    ClickHouseOption,
    DataOption,
    data_option,
    folder_of,
    prepare_folder,
    running_server,
)
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import remark, write
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from driftline.collector.access import AccessFile, Key, Right

app = typer.Typer(help="Records that are kept apart, each entered with keys of its own.")

_PATIENCE = 60.0  # seconds for a running server to drop a project
_COLUMNS = {"project": "project", "ingest_keys": "ingest keys", "viewer_keys": "viewer keys", "state": "state"}

Name = Annotated[str, typer.Argument(metavar="NAME", help="Up to 40 lower-case letters, digits and _.")]


@app.command()
def create(name: Name, data: DataOption = DEFAULT_DATA) -> None:
    """Create a project. It is entered with keys only; a running server opens it at once."""
    from driftline.collector.access import check_project_name

    check_project_name(name)
    file = access_file(data)
    prepare_folder(folder_of(data))
    with file.changing() as access:
        if name in access.every_project:
            raise DriftlineError(f"there is a project {name} already", "choose another name")
        if name in access.deleting:
            raise DriftlineError(f"the old project {name} is still being deleted", "try again in a moment")
        file.write(replace(access, projects=(*access.projects, name)))
    write(f"created {name}")
    remark(f"let somebody in: driftline keys create --project {name} --role ingest{data_option(data)}")


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, fmt: ListFormat = "text") -> None:
    """List the projects there are. `default` always is."""
    from driftline.cli.tables import print_rows

    expect_list_format(fmt)
    access = access_file(data).read()
    now = time.time()
    rows = [
        {
            "project": name,
            "ingest_keys": _count(access.keys, name, "write", now),
            "viewer_keys": _count(access.keys, name, "read", now),
            "state": "being deleted" if name in access.deleting else "open",
        }
        for name in (*access.every_project, *access.deleting)
    ]
    print_rows(rows, _COLUMNS, fmt, "")


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
    clickhouse: ClickHouseOption = None,
    data: DataOption = DEFAULT_DATA,
) -> int:
    """Delete a project with all it holds: spans, findings, log, dead letters, and the keys that open nothing else."""
    from driftline.collector.access import DEFAULT, NoSuchProject
    from driftline.collector.projects import without_project

    file = access_file(data)
    if name == DEFAULT:
        raise DriftlineError("the project default cannot be deleted", "delete the data folder to delete everything")
    if name not in (*file.read().projects, *file.read().deleting):
        raise NoSuchProject(f"there is no project {name}", "`driftline projects list` names those there are")
    if not yes and not typer.confirm(f"Delete all spans and findings of project {name}? Nothing brings them back"):
        remark("nothing was deleted")
        return exit_codes.INTERRUPTED
    with file.changing() as access:
        if name in access.projects:
            file.write(without_project(access, name))
    _drop(name, data, clickhouse, file)
    write(f"deleted {name}")
    return exit_codes.CLEAN


def _drop(name: str, data: str, clickhouse: str | None, file: AccessFile) -> None:
    """Let the running server drop the data, as it owns the store; without one, drop it here."""
    from driftline.collector.projects import delete_data
    from driftline.collector.store import open_store

    if running_server(data) is None:
        with open_store(clickhouse or folder_of(data)) as store:
            delete_data(store, folder_of(data), name, file)
        return
    end = time.monotonic() + _PATIENCE
    while name in file.read().deleting:
        if time.monotonic() > end:
            raise DriftlineError(
                f"nobody enters {name} any more, but the server has not dropped its data yet", "see the server's output"
            )
        time.sleep(0.1)


def _count(keys: Iterable[Key], project: str, right: Right, now: float) -> int:
    return sum(project in key.projects and key.may(right) and not key.expired(now) for key in keys)
