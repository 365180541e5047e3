"""`driftline dead-letters`: what ClickHouse refused, why, and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline.cli import exit_codes
from driftline.cli.context import (
    DEFAULT_DATA,
    ClickHouseOption,
    DataOption,
    ProjectOption,
    folder_of,
    is_url,
    running_server,
)
from driftline.cli.options import ListFormat, expect_list_format
from driftline.cli.terminal import remark, write
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector import Collector
    from driftline.collector.dead_letters import DeadLetters, Letter

app = typer.Typer(help="Requests that ClickHouse refused or a disk damaged: look at them, replay them, discard them.")

_PATIENCE = 60.0  # seconds for a running server to take a letter back
_COLUMNS = {
    "name": "name", "at": "set aside", "signal": "signal", "requests": "requests", "size": "bytes", "reason": "reason",
}  # fmt: skip

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME...", help="As `driftline dead-letters list` prints it.")
]
OneName = Annotated[str, typer.Argument(metavar="NAME", help="As `driftline dead-letters list` prints it.")]
Every = Annotated[bool, typer.Option("--all", help="All there are.", show_default=False)]


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, project: ProjectOption = None, fmt: ListFormat = "text") -> None:
    """List what was set aside, oldest first, with the reason."""
    from driftline.cli.tables import print_rows

    expect_list_format(fmt)
    rows = [_row(letter) for letter in _letters(data, project).letters()]
    if fmt == "text":
        rows = [{**row, "reason": row["reason"].splitlines()[0][:200] if row["reason"] else ""} for row in rows]
    print_rows(rows, _COLUMNS, fmt, "nothing was set aside")


@app.command()
def show(
    name: OneName, data: DataOption = DEFAULT_DATA, project: ProjectOption = None, fmt: ListFormat = "text"
) -> None:
    """Show one: the whole reason, and what its requests are, as far as they can be read."""
    from driftline.cli.tables import print_json

    expect_list_format(fmt)
    dead = _letters(data, project)
    letter = dead.letter(name)
    found = {**_row(letter), "content": _requests(dead, letter)}
    if fmt == "json":
        print_json(found)
        return
    lines = [f"{label:<10}{found[key]}" for key, label in _COLUMNS.items() if key != "reason"]
    lines += [f"{'file':<10}{dead.folder / letter.name}", "", letter.reason, ""]
    lines += [f"request {one['number']}: {one['bytes']} bytes, {one['holds']}" for one in found["content"]]
    write("\n".join(lines))


@app.command()
def replay(
    names: Names = None,
    every: Every = False,
    clickhouse: ClickHouseOption = None,
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
) -> int:
    """Store what was set aside, once its reason is gone. What is refused again is set aside again."""
    dead = _letters(data, project)
    chosen = _chosen(dead, names, every)
    for letter in chosen:
        dead.check_replayable(letter)
    before = {letter.name for letter in dead.letters()}
    if not chosen:
        write("nothing was set aside")
        return exit_codes.CLEAN
    if running_server(data):
        _ask(dead, chosen)
    else:
        with _collector(data, project, clickhouse) as collector:
            for letter in chosen:
                dead.replay(letter, collector)
            if not collector.flush(_PATIENCE):
                remark(f"they are in the log, not in ClickHouse yet: {collector.stats()['trouble'] or 'it is slow'}")
    write(f"replayed {sum(letter.requests for letter in chosen)} requests")
    again = [letter for letter in dead.letters() if letter.name not in before]
    if again:
        remark(f"refused again, and set aside again: {', '.join(letter.name for letter in again)}")
        return exit_codes.FINDINGS
    return exit_codes.CLEAN


@app.command()
def discard(
    names: Names = None,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
    data: DataOption = DEFAULT_DATA,
    project: ProjectOption = None,
) -> int:
    """Delete what was set aside, for good."""
    dead = _letters(data, project)
    chosen = _chosen(dead, names, every)
    if chosen and not yes and not typer.confirm(f"Discard {len(chosen)} batches? Nothing brings them back"):
        remark("nothing was discarded")
        return exit_codes.INTERRUPTED
    for letter in chosen:
        dead.discard(letter)
    write(f"discarded {len(chosen)} batches")
    return exit_codes.CLEAN


def _letters(data: str, project: str | None) -> DeadLetters:
    from driftline.collector.dead_letters import DeadLetters
    from driftline.collector.projects import folder_of_project

    if is_url(data):
        raise DriftlineError("dead letters lie in the collector's folder, not in ClickHouse", "give the folder: --data")
    return DeadLetters(folder_of_project(folder_of(data), project or "default") / "dead-letter")


def _chosen(dead: DeadLetters, names: list[str] | None, every: bool) -> list[Letter]:
    if bool(names) == every:
        raise typer.BadParameter("give names, or --all", param_hint="NAME")
    return dead.letters() if every else [dead.letter(name) for name in names or []]


def _row(letter: Letter) -> dict[str, Any]:
    return {**asdict(letter), "at": datetime.fromtimestamp(letter.at, timezone.utc).replace(microsecond=0)}


def _requests(dead: DeadLetters, letter: Letter) -> list[dict[str, Any]]:
    """What each request of *letter* holds, in words."""
    from driftline.collector.dead_letters import described, unframed

    if letter.kind != "refused":
        return []
    content = enumerate(unframed(dead.content(letter)), 1)
    return [{"number": number, "bytes": len(one), "holds": described(one, letter.signal)} for number, one in content]


def _ask(dead: DeadLetters, chosen: list[Letter]) -> None:
    """Let the running server take them back, as it owns the store."""
    for letter in chosen:
        dead.want(letter)
    end = time.monotonic() + _PATIENCE + len(chosen)
    while any((dead.folder / f"{letter.name}.replay").exists() for letter in chosen):
        if time.monotonic() > end:
            raise DriftlineError(
                "the server has not taken everything back yet; it does as soon as it can",
                "see what `driftline doctor` says of it",
            )
        time.sleep(0.1)


@contextmanager
def _collector(data: str, project: str | None, clickhouse: str | None) -> Iterator[Collector]:
    """A collector of our own on the folder, while no server has it."""
    from driftline.analyzers import install_views
    from driftline.collector import Collector
    from driftline.collector.projects import folder_of_project
    from driftline.collector.store import open_store
    from driftline.collector.store.project_databases import open_project

    name = project or "default"
    with open_store(clickhouse or folder_of(data), key_folder=folder_of(data)) as base:
        store = base if name == "default" else open_project(base, name)
        install_views(store)
        collector = Collector(store, folder_of_project(folder_of(data), name))
        collector.start()
        try:
            yield collector
        finally:
            collector.stop()
            if store is not base:
                store.close()
