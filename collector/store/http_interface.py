"""A read-only ClickHouse HTTP interface over the embedded store.

chDB lets one process have a folder open. Everybody else (the other commands, Grafana, `curl`, any ClickHouse client)
reads through this. Reading means our tables: each statement is looked at first (reading.py), and the engine runs it in
its own read-only mode.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftline.collector.door import Door, key_in
from driftline.collector.front import refusal_headers
from driftline.collector.otlp import RefusedRequest
from driftline.collector.store.at_work import engine_call
from driftline.collector.store.connection import Store
from driftline.collector.store.project_databases import database_of, project_database
from driftline.collector.store.reading import Gate, NotForReading, system_filters

# What a client says beside settings; none of it matters to an engine that serves one statement a connection.
_NOT_SETTINGS = frozenset(
    ("query", "database", "default_format", "user", "password", "session_id", "query_id", "compress", "decompress",
     "enable_http_compression", "wait_end_of_query", "buffer_size", "role", "quota_key", "session_timeout",
     "send_progress_in_http_headers", "http_headers_progress_interval_ms", "client_protocol_version", "session_check")
)  # fmt: skip
_READONLY = 164
_CANCELLED = 394
_ACCESS_DENIED = 497
_REFUSED = {401: 516, 503: 202}  # AUTHENTICATION_FAILED, TOO_MANY_SIMULTANEOUS_QUERIES
_MAX_BODY = 32 * 2**20


class _Engine:
    """The embedded engine, read-only. Every query has a connection of its own: settings end with it."""

    def __init__(self, path: str) -> None:
        self._path = path
        connection = self._connect()
        try:
            self._gate = Gate(connection)
        finally:
            connection.close()

    @engine_call()
    def run(
        self, database: str, sql: str, fmt: str, params: dict[str, str], settings: dict[str, str]
    ) -> tuple[bytes, str]:
        """The result of *sql* over *database*, and its format: the one it names, else *fmt*."""
        self._gate.check_settings(settings)
        connection = self._connect()
        try:
            connection.query(f"USE `{database}`")
            reading = self._gate.admit(connection, sql, params)
            connection.query(f"SET additional_table_filters = {system_filters(database)}")
            for name, value in {**settings, **reading.settings}.items():
                connection.query(f"SET {name} = '{_escape(value)}'")
            # In mode 1 the engine lets nobody change a setting. A client that asks which settings it may send would
            # hear "none" in that mode and refuse to send those it needs; it is answered in mode 2.
            connection.query(f"SET readonly = {2 if reading.tables == {'system.settings'} else 1}")
            result = connection.query(reading.sql, reading.fmt or fmt, params=params)
            return bytes(result.bytes() or b""), reading.fmt or fmt
        finally:
            connection.close()

    def _connect(self) -> Any:
        import chdb

        return chdb.connect(self._path)  # type: ignore[no-untyped-call]


def create_interface(store: Store, door: Door | None = None) -> Starlette:
    """The ASGI app over an embedded *store*, or, with a *door*, over the project that a request's key opens."""
    engine = _Engine(store.dsn.removeprefix("chdb://").partition("?")[0])

    async def query(request: Request) -> Response:
        try:
            place = await run_in_threadpool(_database, store, door, request)
            body = await _read(request)
        except RefusedRequest as error:
            return _failure(str(error), _REFUSED.get(error.http, _ACCESS_DENIED), error.http, refusal_headers(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except asyncio.CancelledError:  # the server ends, and will not wait any longer for the rest of the query
            return _failure("the server is stopping", _CANCELLED, 503)
        kind = request.headers.get("content-type", "")
        params = dict(request.query_params)
        if kind.startswith("multipart/form-data"):
            params.update(_form(body, kind))
            body = b""
        sql = "\n".join(part for part in (params.get("query", ""), body.decode("utf-8", "replace")) if part.strip())
        if not sql:
            return PlainTextResponse("Ok.\n")
        fmt = params.get("default_format", "TabSeparated")
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        try:
            data, fmt = await run_in_threadpool(engine.run, place, sql, fmt, bound, _settings(params))
        except NotForReading as error:
            return _failure(str(error), _READONLY, 403)
        except Exception as error:  # noqa: BLE001 - every engine error is the client's to read
            code = re.search(r"Code: (\d+)", str(error))
            return _failure(str(error), int(code[1]) if code else 1000, 400)
        return Response(
            data, headers={"X-ClickHouse-Format": fmt, "X-ClickHouse-Timezone": "UTC"}, media_type=_media(fmt)
        )

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    return Starlette(routes=[Route("/ping", ping), Route("/", query, methods=["GET", "POST"])])


def _database(store: Store, door: Door | None, request: Request) -> str:
    """The database that the request reads: of the project its key opens, or the one it names among several."""
    base = database_of(store.dsn)
    if door is None:
        return base
    params = request.query_params
    said = params.get("database") or request.headers.get("x-clickhouse-database", "")
    key = key_in(request.headers.raw) or params.get("password") or None
    names = {project_database(base, name): name for name in door.readable(key)}
    return database_of(door.read(key, names.get(said, said)).store.dsn)


async def _read(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BODY:
            raise HTTPException(413, f"the query is larger than {_MAX_BODY // 2**20} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def _form(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a form: clients send long parameters in one, as a URL has no room for them."""
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            fields[name] = value.decode("utf-8", "replace")
    return fields


def _settings(params: Mapping[str, str]) -> dict[str, str]:
    said = {name: value for name, value in params.items() if name not in _NOT_SETTINGS and name[:6] != "param_"}
    if said.get("readonly") in ("1", "2"):  # what it is anyway
        del said["readonly"]
    return said


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _failure(message: str, code: int, status: int, headers: Mapping[str, str] | None = None) -> Response:
    text = message if message.startswith("Code:") else f"Code: {code}. DB::Exception: {message}"
    return PlainTextResponse(text + "\n", status, headers={"X-ClickHouse-Exception-Code": str(code), **(headers or {})})


def _media(fmt: str) -> str:
    return (
        "application/json"
        if fmt.startswith("JSON")
        else "text/plain; charset=UTF-8"
        if fmt.startswith("T")
        else "application/octet-stream"
    )
