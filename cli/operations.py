"""What is done to a store as a whole: by the running server that owns it, or here when none runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftline.cli.context import folder_of, is_url, running_server
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.control import Operation, Say
    from driftline.collector.door import Door
    from driftline.collector.projects import Project, Projects
    from driftline.collector.store import Store

Stores = Mapping[str, "Store"]


class NoSuchProject(DriftlineError):
    """The project that was named is not there."""


def perform(data: str, name: str, arguments: Mapping[str, Any], say: Say) -> Any:
    """Have the operation *name* done on the store at *data*; its result.

    Raises:
        DriftlineError: what went wrong, there or here.
    """
    from driftline.collector.control import ask, socket_of

    if not is_url(data) and running_server(data):
        return ask(socket_of(folder_of(data)), name, arguments, say)
    with _opened(data) as stores:
        return _OPERATIONS[name](stores, None if is_url(data) else folder_of(data), arguments, say)


def served_operations(projects: Projects, door: Door, folder: Path) -> dict[str, Operation]:
    """The operations of a server, over the projects it has open; `status` tells how it fares."""

    def status(_arguments: Mapping[str, Any], _say: Say) -> Any:
        return {"projects": {one.name: one.collector.stats() for one in projects.opened()}, "refused": door.stats()}

    def run(name: str, arguments: Mapping[str, Any], say: Say) -> Any:
        opened = projects.opened()
        stores = {project.name: project.store for project in opened}
        if name == "backup":
            return _backup(stores, folder, arguments, say, lambda: _settle(opened))
        return _OPERATIONS[name](stores, folder, arguments, say)

    return {"status": status, **{name: partial(run, name) for name in _OPERATIONS}}


def _settle(projects: Iterable[Project]) -> None:
    for project in projects:
        if not project.collector.settle():
            trouble = project.collector.stats()["trouble"] or "ClickHouse is slow"
            raise DriftlineError(
                f"what was acknowledged of project {project.name} is not stored yet: {trouble}",
                "see what `driftline doctor` says, then try again",
            )


@contextmanager
def _opened(data: str) -> Iterator[Stores]:
    """The stores of all projects at *data*, with nobody else at them."""
    from driftline.collector.access import AccessFile
    from driftline.collector.store import open_store
    from driftline.collector.store.project_databases import open_project

    with ExitStack() as stack:
        base = stack.enter_context(open_store(data, create=False))
        stores = {"default": base}
        for name in () if is_url(data) else AccessFile(folder_of(data)).read().projects:
            if name != "default":
                stores[name] = stack.enter_context(open_project(base, name, create=False))
        yield stores


def _one(stores: Stores, name: str | None) -> Store:
    found = stores.get(name or "default")
    if found is None:
        raise NoSuchProject(f"there is no project {name}", "`driftline projects list` names those there are")
    return found


def _compact(stores: Stores, _folder: Path | None, arguments: Mapping[str, Any], say: Say) -> Any:
    from driftline.collector.upkeep import compact

    return compact(_one(stores, arguments.get("project")), say)


def _retention(stores: Stores, _folder: Path | None, arguments: Mapping[str, Any], _say: Say) -> Any:
    from dataclasses import asdict, replace

    from driftline.collector.upkeep import apply_retention, parse_days, retention_of

    store = _one(stores, arguments.get("project"))
    told = {name: parse_days(arguments[name]) for name in ("spans", "findings") if arguments.get(name)}
    if told:
        apply_retention(store, replace(retention_of(store), **told))
    return asdict(retention_of(store))


def _backup(
    stores: Stores,
    folder: Path | None,
    arguments: Mapping[str, Any],
    say: Say,
    settle: Callable[[], None] | None = None,
) -> Any:
    from driftline.collector.backup import backup

    if folder is None or not all(store.embedded for store in stores.values()):
        raise DriftlineError(
            "a ClickHouse server makes its backups itself",
            "have it run BACKUP DATABASE, once for each project; the log and the keys lie in the folder: copy that",
        )
    return backup(stores, folder, Path(arguments["target"]), say, settle)


def _export(stores: Stores, _folder: Path | None, arguments: Mapping[str, Any], say: Say) -> Any:
    from driftline.collector.export import export_otlp, export_parquet, wanted_from

    store, path, wanted = _one(stores, arguments.get("project")), Path(arguments["path"]), wanted_from(arguments)
    if arguments["format"] == "otlp":
        return export_otlp(store, wanted, path, say)
    return export_parquet(store, wanted, arguments["table"], path, say)


_OPERATIONS: dict[str, Callable[[Stores, Path | None, Mapping[str, Any], Any], Any]] = {
    "backup": _backup,
    "compact": _compact,
    "export": _export,
    "retention": _retention,
}
