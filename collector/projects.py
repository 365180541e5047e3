"""The projects of one store: each a database with a collector of its own, opened when needed, closed together."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from driftline.collector.access import DEFAULT, Access, AccessFile, AccessUnreadable, NoSuchProject
from driftline.collector.collector import Collector
from driftline.collector.store import Store
from driftline.collector.store.project_databases import drop_project, open_project

_log = logging.getLogger("driftline.projects")

_LOOK = 1.0  # seconds between looks at the file that names the projects


@dataclass(frozen=True)
class Project:
    """A project that is open. *ending*: what to close, last opened first."""

    name: str
    store: Store
    collector: Collector
    ending: ExitStack = field(repr=False)


Begin = Callable[[str, Store, Path, ExitStack], Collector]


class Projects:
    """The open projects over *base*, the store of `default`.

    *folder* is the data folder. *begin* makes a project work: it is given its name, store and folder, returns its
    collector, started, and puts whatever ends with the project on the stack. `default` is open from the beginning; the
    others that *access* names are opened by `start`, or when somebody enters.
    """

    def __init__(self, base: Store, folder: Path, access: AccessFile, begin: Begin) -> None:
        self._base = base
        self._folder = folder
        self._access = access
        self._begin = begin
        self._lock = threading.RLock()
        self._open: dict[str, Project] = {}
        self._complaints: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._get(DEFAULT)

    @property
    def default(self) -> Project:
        """The project that is always there."""
        return self._open[DEFAULT]

    def start(self) -> None:
        """Open what the file names, and follow it from now on: new projects are opened, deleted ones dropped."""
        self._follow()
        self._thread = threading.Thread(target=self._run, name="driftline-projects", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every project; what was acknowledged is stored first."""
        self._stop.set()
        if self._thread:
            self._thread.join()
        with self._lock, ExitStack() as all_of_them:
            for project in self._open.values():
                all_of_them.callback(project.ending.close)
            self._open.clear()

    def get(self, name: str) -> Project:
        """The project, opened if it was not.

        Raises:
            NoSuchProject: the file does not name it.
        """
        found = self._open.get(name)
        if found is not None:
            return found
        with self._lock:  # so that nobody opens again what is just being deleted
            if name not in self._access.read().every_project:
                raise NoSuchProject(f"there is no project {name}", f"create it with `driftline projects create {name}`")
            return self._get(name)

    def opened(self) -> list[Project]:
        """The projects that are open, `default` first."""
        return list(self._open.values())

    def _get(self, name: str) -> Project:
        with self._lock:
            if name not in self._open:
                self._open[name] = self._opened(name)
            return self._open[name]

    def _opened(self, name: str) -> Project:
        folder = folder_of_project(self._folder, name)
        with ExitStack() as stack:
            if name == DEFAULT:
                store = self._base
            else:
                folder.mkdir(parents=True, exist_ok=True)
                store = open_project(self._base, name)
                stack.callback(store.close)
            collector = self._begin(name, store, folder, stack)
            return Project(name, store, collector, stack.pop_all())

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            self._follow()

    def _follow(self) -> None:
        try:
            access = self._access.read()
        except AccessUnreadable:
            return  # the door tells everybody who asks
        for name in access.projects:
            if self._stop.is_set():
                return
            self._try("opened", name, self.get)
        for name in access.deleting:
            self._try("deleted", name, self._drop)

    def _try(self, what: str, name: str, act: Callable[[str], object]) -> None:
        """Do it; an error is logged, unless the last try had the same. It is tried again with the next look."""
        try:
            act(name)
        except Exception as error:  # noqa: BLE001 - one project must not keep the others from being opened
            if self._complaints.get(name) != str(error):
                self._complaints[name] = str(error)
                _log.error("project %s cannot be %s, it is tried again: %s", name, what, error)
        else:
            self._complaints.pop(name, None)

    def _drop(self, name: str) -> None:
        with self._lock:
            project = self._open.pop(name, None)
            if project is not None:
                project.ending.close()
            delete_data(self._base, self._folder, name, self._access)


def folder_of_project(data: Path, name: str) -> Path:
    """Where the log and the dead letters of a project lie."""
    return data if name == DEFAULT else data / "projects" / name


def delete_data(base: Store, data: Path, name: str, access: AccessFile) -> None:
    """Drop the database and the folder of *name*, then strike it from what is to be deleted."""
    drop_project(base, name)
    shutil.rmtree(folder_of_project(data, name), ignore_errors=True)
    with access.changing() as found:
        access.write(replace(found, deleting=tuple(other for other in found.deleting if other != name)))


def without_project(access: Access, name: str) -> Access:
    """*access* with *name* among what is to be deleted. Keys that open nothing else go with it."""
    kept = (replace(key, projects=tuple(other for other in key.projects if other != name)) for key in access.keys)
    return replace(
        access,
        keys=tuple(key for key in kept if key.projects),
        projects=tuple(other for other in access.projects if other != name),
        deleting=(*access.deleting, name),
    )
