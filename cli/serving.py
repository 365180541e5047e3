"""A whole server in one process: store, collector, analysis and the ports they are reached on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from driftline.cli.context import (
    Server,
    announce,
    check_port,
    data_option,
    folder_of,
    is_url,
    prepare_folder,
    running_server,
    withdraw,
)
from driftline.cli.entrance import Entrance
from driftline.cli.terminal import remark
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from pathlib import Path

    from driftline.analyzers.loop import AnalysisLoop
    from driftline.collector import Collector
    from driftline.collector.door import Door
    from driftline.collector.metrics import Watch
    from driftline.collector.projects import Projects
    from driftline.collector.store import Store


class AlreadyRunning(DriftlineError):
    """A server has this data folder open."""


@dataclass
class Running:
    """A server that is up."""

    store: Store
    collector: Collector
    loop: AnalysisLoop
    server: Server


@contextmanager
def serving(
    data: str,
    host: str,
    otlp_port: int,
    web_port: int,
    clickhouse_port: int,
    config: Any = None,
    entrance: Entrance | None = None,
    clickhouse: str | None = None,
    grpc_port: int | None = 0,
) -> Iterator[Running]:
    """The server while the block runs. *clickhouse*: the URL of the server that keeps the spans; None: the folder does.

    *grpc_port*: 0 for no gRPC, None for the usual port if it can be had.

    Raises:
        AlreadyRunning, PortInUse, StoreInUse, UnusableFolder: it cannot be started; says why.
        NobodyCouldEnter, UnusableCertificate, AccessUnreadable: it must not be.
    """
    from driftline.analyzers import install_views
    from driftline.analyzers.loop import AnalysisLoop
    from driftline.cli.listening import listening
    from driftline.cli.listening_grpc import chosen_port, listening_grpc
    from driftline.cli.operations import served_operations
    from driftline.collector import Collector
    from driftline.collector.access import AccessFile
    from driftline.collector.control import controlled
    from driftline.collector.door import Door
    from driftline.collector.projects import Projects
    from driftline.collector.store.connection import without_password

    ports = [(otlp_port, "--otlp-port"), (web_port, "--web-port")]
    if not clickhouse:
        ports.append((clickhouse_port, "--clickhouse-port"))
    folder = _prepared(data, clickhouse, host, ports)
    grpc_port = chosen_port(host, grpc_port)
    entrance = entrance or Entrance()
    access = AccessFile(folder)
    entrance.check(host, access, data_option(data))
    loops: dict[str, AnalysisLoop] = {}

    def begin(project: str, store: Store, place: Path, ending: ExitStack) -> Collector:
        install_views(store)
        collector = Collector(store, place)
        collector.start()
        ending.callback(collector.stop)
        loops[project] = AnalysisLoop(store, config, stored=lambda: collector.stats()["stored"])
        loops[project].start()
        ending.callback(loops[project].stop)
        return collector

    with ExitStack() as stack:
        stack.enter_context(_temporary_files_in(folder / "tmp"))
        store = _opened(clickhouse, folder, config)
        stack.callback(store.close)
        projects = Projects(store, folder, access, begin)
        stack.callback(projects.stop)
        projects.start()
        collector = projects.default.collector
        door = Door(access, projects, keyless=entrance.keyless(host))
        address = f"{entrance.scheme}://{_reachable(host)}"
        server = Server(
            pid=os.getpid(),
            web=f"{address}:{web_port}",
            otlp=f"{address}:{otlp_port}",
            clickhouse=without_password(clickhouse) if clickhouse else f"{address}:{clickhouse_port}",
            otlp_grpc=f"{address}:{grpc_port}" if grpc_port else "",
            owner=door.owner,
            store=clickhouse or "",
        )
        apps = _apps(store, collector, door, entrance.names, _watch(projects, loops, door, folder))
        stack.enter_context(
            listening(host, list(zip(apps, (otlp_port, web_port, clickhouse_port), strict=False)), **entrance.uvicorn())
        )
        stack.enter_context(listening_grpc(collector, door, host, grpc_port, entrance))
        control = stack.enter_context(controlled(folder))
        for name, operation in served_operations(projects, door, folder).items():
            control.register(name, operation)
        announce(folder, server)
        stack.callback(withdraw, folder)
        yield Running(store, collector, loops["default"], server)


def _opened(clickhouse: str | None, folder: Path, config: Any) -> Store:
    """The store, told what to redact if the settings say so."""
    from driftline.collector.redaction import wanted
    from driftline.collector.store import open_store

    rules = config.redact if config is not None else None
    told = None if rules is None else wanted(rules, folder)
    store = open_store(clickhouse or folder, redaction=told, key_folder=folder)
    if rules is None and store.redaction():
        remark("the rules of redaction that this store was given before stay in force; `redact = []` ends them")
    return store


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Batches on their way into an embedded store lie in *folder*, not where everybody's files lie; a process that was
    killed leaves none behind for long.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _watch(projects: Projects, loops: dict[str, AnalysisLoop], door: Door, folder: Path) -> Watch:
    """What `/metrics` and `/readyz` of this server look at."""
    from driftline.collector.metrics import Watch, Watched

    def gauges(name: str) -> dict[str, float]:
        traces, lag = loops[name].backlog()
        return {"analysis_due_traces": traces, "analysis_lag_seconds": lag}

    def watched() -> list[Watched]:
        return [Watched(one.name, one.collector, partial(gauges, one.name)) for one in projects.opened()]

    return Watch(watched, door.stats, folder)


def _apps(store: Store, collector: Collector, door: Door, names: tuple[str, ...], watch: Watch) -> Iterator[Any]:
    """The receiver, the pages, and the ClickHouse interface to an embedded store, each behind its front."""
    from driftline.collector import create_receiver
    from driftline.collector.app import otlp_answer
    from driftline.collector.front import Front, plain_answer, receiver_right
    from driftline.collector.store.http_interface import create_interface
    from driftline.web import create_app

    yield Front(
        create_receiver(collector, door, watch=watch), door, answer=otlp_answer, right=receiver_right, names=names
    )
    yield Front(create_app(store, stats=collector.stats, door=door), door, answer=plain_answer, names=names)
    if store.embedded:
        yield Front(create_interface(store, door), door, answer=plain_answer, names=names)


def _prepared(data: str, clickhouse: str | None, host: str, ports: list[tuple[int, str]]) -> Path:
    """The data folder, once it is sure that a server can be started on it."""
    if is_url(data):
        raise DriftlineError(
            "`driftline up` needs a folder for its log, wherever the spans are kept",
            "give a folder with --data, and the ClickHouse server with --clickhouse",
        )
    if clickhouse and not is_url(clickhouse):
        raise DriftlineError(
            f"{clickhouse} is no address of a ClickHouse server", "give http://user:password@host:8123"
        )
    folder = folder_of(data)
    other = running_server(str(folder))
    if other:
        raise AlreadyRunning(
            f"a server (pid {other.pid}) has {folder} open: {other.web}", "stop it first, or use another --data"
        )
    for port, option in ports:
        check_port(host, port, option)
    prepare_folder(folder)
    return folder


def _reachable(host: str) -> str:
    """The part of a URL that leads to what listens on *host*."""
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised here, not bound
    address = every.get(host, host)
    return f"[{address}]" if ":" in address else address
