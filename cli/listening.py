"""The HTTP ports of a server: closed together, and no client can spoil them for the others."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from driftline.errors import DriftlineError

_SILENCE = 30.0  # seconds a client may say nothing in the middle of a request, or before its first
_GRACE = 5  # seconds for requests under way when the server ends
_FILES = 65_536  # open files, connections among them, as far as the system lets us


class _Protocol(H11Protocol):
    """uvicorn's HTTP, for clients as they are: silent ones are dropped, half-closed ones get their answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._heard = self.loop.time()
        self._finished = False
        self._watch = self.loop.call_later(_SILENCE, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        super().data_received(data)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends no more: `nc`, `curl` behind some proxies. It may still wait for its answer."""
        if self.transport.get_extra_info("sslcontext") is not None or self._expects_client:
            return None  # TLS cannot be half closed; nobody can be answered whose request has not ended
        self._finished = True
        return True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._finished and self._expects_client and not self.transport.is_closing():
            self.transport.close()

    @property
    def _expects_client(self) -> bool:
        """Whether it is the client's turn: no request is here whole that waits for an answer."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def _look(self) -> None:
        between = self.cycle is not None and self.cycle.response_complete  # uvicorn's keep-alive looks after that
        silent = self.loop.time() - self._heard
        if self._expects_client and not between and silent >= _SILENCE:
            self.transport.close()
        else:
            wait = _SILENCE - silent if 0 < silent < _SILENCE else _SILENCE
            self._watch = self.loop.call_later(wait, self._look)


@contextmanager
def listening(host: str, apps: Sequence[tuple[Any, int]], **settings: Any) -> Iterator[None]:
    """Serve each ASGI app on its port while the block runs. *settings* go to uvicorn.

    Raises:
        DriftlineError: a port could not be opened.
    """
    _allow_files()
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []
    try:
        for app, port in apps:
            servers.append(_start(app, host, port, settings))
        yield
    finally:
        for server, _ in servers:
            server.should_exit = True
        for _, thread in servers:
            thread.join(2 * _GRACE)


def _start(app: Any, host: str, port: int, settings: dict[str, Any]) -> tuple[uvicorn.Server, threading.Thread]:
    config = uvicorn.Config(
        app, host=host, port=port, http=_Protocol, log_level="warning", access_log=False,
        timeout_graceful_shutdown=_GRACE, **settings,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name=f"driftline-http-{port}", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise DriftlineError(f"the server on port {port} did not start", "see the message above")
        time.sleep(0.02)
    return server, thread


def _allow_files() -> None:
    """A connection is an open file, and many systems begin with 1,024 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
