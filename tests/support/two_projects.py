"""Two projects over the shared engine, a marker in each, and the three apps that a server would show."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import histories

from driftline.analyzers import Scope, analyse, install_views, persist
from driftline.collector import Collector, create_receiver
from driftline.collector.access import AccessFile, Key, make_key
from driftline.collector.app import otlp_answer
from driftline.collector.door import Door
from driftline.collector.front import Front, plain_answer, receiver_right
from driftline.collector.projects import Projects
from driftline.collector.store import Store
from driftline.collector.store.http_interface import create_interface
from driftline.web import create_app

MINE, THEIRS = "alpha", "beta"

_HISTORY = """
P1 run(trip) outcome=complete run={marker} service={marker}
  P1 agent(planner) run={marker} service={marker}
    P1 tool(book) run={marker} service={marker} call=c1 attempt=1 effect=write eo=applied target=order/{marker}
    P1 tool(book) run={marker} service={marker} call=c1 attempt=2 effect=write eo=applied target=order/{marker}
    P1 write(notes/{marker}@v1 <- init) run={marker} service={marker}
"""


@dataclass
class World:
    """A server's parts. `keys`: (project, role) to the key; `markers`: project to the word that only it holds."""

    folder: Path
    projects: Projects
    door: Door
    access: AccessFile
    keys: dict[tuple[str, str], str]
    markers: dict[str, str]
    web: Any
    receiver: Any
    interface: Any

    def key(self, project: str, role: str) -> dict[str, str]:
        """The header that lets somebody in."""
        return {"Authorization": f"Bearer {self.keys[project, role]}"}

    def store(self, project: str) -> Store:
        """The store of a project."""
        return self.projects.get(project).store


def begin(_name: str, store: Store, folder: Path, ending: ExitStack) -> Collector:
    """A project at work, without the analysis that a server would start."""
    install_views(store)
    collector = Collector(store, folder)
    collector.start()
    ending.callback(collector.stop)
    return collector


@contextmanager
def world(*, keyless: bool = False) -> Iterator[World]:
    """`default`, `alpha` and `beta`, with keys and markers; its databases are dropped at the end."""
    base = histories.fresh_store()
    with tempfile.TemporaryDirectory(prefix="driftline-projects-") as place:
        folder = Path(place)
        access = AccessFile(folder)
        keys: dict[tuple[str, str], str] = {}
        kept: list[Key] = []
        for project in (MINE, THEIRS):
            for role in ("ingest", "viewer", "admin"):
                keys[project, role], key = make_key(role, (project,))
                kept.append(key)
        with access.changing() as found:
            access.write(replace(found, projects=(MINE, THEIRS), keys=tuple(kept)))
        projects = Projects(base, folder, access, begin)
        projects.start()
        try:
            markers = {name: f"marker{secrets.token_hex(6)}" for name in (MINE, THEIRS)}
            for name, marker in markers.items():
                _fill(projects.get(name).store, marker)
            door = Door(access, projects, keyless=keyless)
            collector = projects.default.collector
            yield World(
                folder, projects, door, access, keys, markers,
                Front(create_app(base, stats=collector.stats, door=door), door, answer=plain_answer),
                Front(create_receiver(collector, door), door, answer=otlp_answer, right=receiver_right),
                Front(create_interface(base, door), door, answer=plain_answer),
            )  # fmt: skip
        finally:
            projects.stop()
            for name in (MINE, THEIRS):
                base.command(f"DROP DATABASE IF EXISTS default_{name} SYNC")


def _fill(store: Store, marker: str) -> None:
    requests = histories.requests(_HISTORY.replace("{marker}", marker))
    store.insert_requests(histories.framed(requests), secrets.token_hex(8))
    persist(store, analyse(store, Scope()))
