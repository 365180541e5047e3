"""A whole server in one process: store, collector, analysis and the ports they are reached on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftline.cli.context import (
    Server,
    announce,
    check_port,
    folder_of,
    is_url,
    prepare_folder,
    running_server,
    withdraw,
)
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.analyzers.loop import AnalysisLoop
    from driftline.collector import Collector
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
    data: str, host: str, otlp_port: int, web_port: int, clickhouse_port: int, config: Any = None
) -> Iterator[Running]:
    """The server while the block runs.

    Raises:
        AlreadyRunning, PortInUse, StoreInUse, UnusableFolder: it cannot be started; says why.
    """
    from driftline.analyzers import install_views
    from driftline.analyzers.loop import AnalysisLoop
    from driftline.collector import Collector, create_receiver
    from driftline.collector.store import open_store
    from driftline.collector.store.http_interface import create_interface
    from driftline.web import create_app

    if is_url(data):
        raise DriftlineError(
            "`driftline up` keeps its store in a folder, not on a ClickHouse server", "give a folder with --data"
        )
    folder = folder_of(data)
    other = running_server(str(folder))
    if other:
        raise AlreadyRunning(
            f"a server (pid {other.pid}) has {folder} open: {other.web}", "stop it first, or use another --data"
        )
    for port, option in ((otlp_port, "--otlp-port"), (web_port, "--web-port"), (clickhouse_port, "--clickhouse-port")):
        check_port(host, port, option)
    prepare_folder(folder)
    with ExitStack() as stack:
        store = open_store(folder)
        stack.callback(store.close)
        install_views(store)
        collector = Collector(store, folder)
        collector.start()
        stack.callback(collector.stop)
        loop = AnalysisLoop(store, config)
        loop.start()
        stack.callback(loop.stop)
        name = _reachable(host)
        server = Server(
            pid=os.getpid(),
            web=f"http://{name}:{web_port}",
            otlp=f"http://{name}:{otlp_port}",
            clickhouse=f"http://{name}:{clickhouse_port}",
        )
        apps = (
            (create_receiver(collector), otlp_port),
            (create_app(store, stats=collector.stats), web_port),
            (create_interface(store), clickhouse_port),
        )
        for app, port in apps:
            stack.enter_context(_listening(app, host, port))
        announce(folder, server)
        stack.callback(withdraw, folder)
        yield Running(store, collector, loop, server)


def _reachable(host: str) -> str:
    """The part of a URL that leads to what listens on *host*."""
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised here, not bound
    address = every.get(host, host)
    return f"[{address}]" if ":" in address else address


@contextmanager
def _listening(app: Any, host: str, port: int) -> Iterator[None]:
    import uvicorn

    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name=f"driftline-http-{port}", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise DriftlineError(f"the server on port {port} did not start", "see the message above")
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
