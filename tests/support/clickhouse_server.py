"""ClickHouse's HTTP protocol, writes included, over chDB: a server that tests can slow down, break, kill and restart.

    python clickhouse_server.py FOLDER PORT

`/trouble?delay=SECONDS&NAME=VALUE…` makes every insert wait and gives every statement those settings (`readonly=1` is a
server that lost its disk, `max_memory_usage=1` one without memory); without arguments all is well again.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftline.collector.store.http_interface import _NOT_SETTINGS, _form

_INSERT = re.compile(r"\s*INSERT\s+INTO\s", re.IGNORECASE)
_FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)


class ClickHouse:
    """The server as a process of its own, on a folder and a port that outlive it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"http://127.0.0.1:{port}/"
        self.start()

    def start(self) -> None:
        """Begin, or begin again, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, __file__, str(self.folder), str(self.port)], cwd=self.folder)
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}ping", timeout=5).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(60)

    def pause(self) -> None:
        """It holds its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was."""
        self.process.send_signal(signal.SIGCONT)

    def trouble(self, **how: object) -> None:
        """Make trouble, or end it."""
        urllib.request.urlopen(f"{self.url}trouble?{urlencode(how)}", timeout=60).close()


class Engine:
    """The engine in *folder*, one connection a statement, so that settings end with it."""

    def __init__(self, folder: str) -> None:
        import chdb

        self._folder = folder
        self._kept = chdb.connect(folder)  # type: ignore[no-untyped-call]
        self.trouble: dict[str, str] = {}

    def run(self, asked: dict[str, str], body: bytes) -> tuple[bytes, str]:
        """The result of a statement and its format."""
        import chdb

        sql = asked.get("query", "")
        if not sql:  # it stands in the body, in an insert before the data
            text, _, data = body.partition(b"\n") if _INSERT.match(body[:20].decode("latin-1")) else (body, b"", b"")
            sql, body = text.decode(), data
        settings = {n: v for n, v in asked.items() if n not in _NOT_SETTINGS and not n.startswith("param_")}
        connection = chdb.connect(self._folder)  # type: ignore[no-untyped-call]
        try:
            for name, value in {**settings, **self.trouble}.items():
                if name != "delay":
                    text_value = value.replace("\\", "\\\\").replace("'", "\\'")
                    connection.query(f"SET {name} = '{text_value}'")
            named = _FORMAT.search(sql)
            if body and named and _INSERT.match(sql):
                time.sleep(float(self.trouble.get("delay", 0)))
                return _insert(connection, sql, body, named)
            fmt = named[1] if named else asked.get("default_format", "TabSeparated")
            params = {name[6:]: value for name, value in asked.items() if name.startswith("param_")}
            return bytes(connection.query(sql, fmt, params=params).bytes() or b""), fmt
        finally:
            connection.close()


def create(folder: str) -> Starlette:
    """The ASGI app over the engine in *folder*."""
    engine = Engine(folder)

    async def query(request: Request) -> Response:
        body, asked = await request.body(), dict(request.query_params)
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            asked.update(_form(body, kind))
            body = b""
        if request.headers.get("content-encoding"):
            body = _unpacked(body, request.headers["content-encoding"])
        try:
            data, fmt = await run_in_threadpool(engine.run, asked, body)
        except Exception as error:  # noqa: BLE001 - the client's to read
            code = re.search(r"Code: (\d+)", str(error))
            headers = {"X-ClickHouse-Exception-Code": code[1] if code else "1000"}
            return PlainTextResponse(str(error), 500, headers=headers)
        return Response(data, headers={"X-ClickHouse-Format": fmt, "X-ClickHouse-Timezone": "UTC"})

    async def make_trouble(request: Request) -> Response:
        engine.trouble = dict(request.query_params)
        return PlainTextResponse("Ok.\n")

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    every = [Route(path, query, methods=["GET", "POST"]) for path in ("/", "/{database}")]
    return Starlette(routes=[Route("/ping", ping), Route("/trouble", make_trouble), *every])


def _insert(connection: Any, sql: str, body: bytes, named: re.Match[str]) -> tuple[bytes, str]:
    """An INSERT with its data in the body: from a file, as the engine takes it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        into = sql[: named.start()]
        connection.query(f"{into} FROM INFILE '{file.name}' FORMAT {named[1]}")
    return b"", named[1]


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "lz4":
        import lz4.frame

        return bytes(lz4.frame.decompress(body))
    raise NotImplementedError(encoding)


if __name__ == "__main__":
    import uvicorn

    os.chdir(sys.argv[1])  # where the engine leaves schemas it was sent as text
    uvicorn.run(create(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
